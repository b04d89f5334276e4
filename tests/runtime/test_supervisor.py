from __future__ import annotations

import pytest

from exconnect.runtime.supervisor import Restarts, supervise


class Lost(Exception):
    pass


def longest(low, high):
    return high


def test_first_at_once_then_longer_and_longer_up_to_thirty_seconds():
    restarts = Restarts(longest)
    pauses = [restarts.after_loss(now) for now in range(12)]
    assert pauses[:4] == [0.0, 0.5, 1.0, 2.0]
    assert pauses[-1] == 30.0
    assert pauses == sorted(pauses)


def test_the_jitter_is_full():
    asked = []
    restarts = Restarts(lambda low, high: asked.append(low) or low)
    restarts.after_loss(0.0)
    assert restarts.after_loss(0.0) == 0.0
    assert asked == [0.0]


def test_a_healthy_minute_is_a_new_beginning_and_less_is_not():
    restarts = Restarts(longest)
    for _ in range(5):
        restarts.after_loss(0.0)
    restarts.healthy(100.0)
    assert restarts.after_loss(159.0) > 0
    for now in (200.0, 250.0):  # a book was out of sync in between, or something more was asked for
        restarts.healthy(now)
    assert restarts.after_loss(260.0) == 0.0


def test_the_fifth_crash_in_a_minute_is_the_end():
    restarts = Restarts(longest)
    assert [restarts.after_crash(now) is None for now in (0, 10, 20, 30, 60)] == [False] * 4 + [True]
    spread = Restarts(longest)
    assert all(spread.after_crash(now) is not None for now in range(0, 200, 16))


class Child:
    def __init__(self, *ends):
        self.ends = list(ends)
        self.runs, self.pauses, self.failures = 0, [], []

    @property
    def is_stopping(self):
        return not self.ends

    def run(self):
        self.runs += 1
        error = self.ends.pop(0)
        if error is not None:
            raise error

    def pause(self, seconds):
        self.pauses.append(seconds)

    def failed(self, error, *, is_final):
        self.failures.append((type(error), is_final))


def test_what_is_expected_is_restarted_for_ever():
    child = Child(*[Lost() for _ in range(50)], None)
    supervise(child, Restarts(longest), lambda: 0.0, (Lost,))
    assert child.runs == 51
    assert not any(is_final for _, is_final in child.failures)
    assert child.pauses[0] == 0.0


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_what_is_not_is_given_up_after_five(error):
    child = Child(*[error() for _ in range(50)], None)
    supervise(child, Restarts(longest), lambda: 0.0, (Lost,))
    assert child.runs == 5
    assert child.failures == [(error, False)] * 4 + [(error, True)]


def test_a_failure_while_it_ends_is_none():
    child = Child(Lost())
    supervise(child, Restarts(longest), lambda: 0.0, (Lost,))
    assert child.failures == []
