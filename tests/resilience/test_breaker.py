from __future__ import annotations

import pytest

from exconnect.errors import CircuitOpen
from exconnect.resilience.breaker import Admission, CircuitBreaker


@pytest.fixture
def breaker(env):
    return CircuitBreaker(env)


def fail(breaker, times, now, name="place"):
    for _ in range(times):
        breaker.record(name, now, "no answer")


def test_few_failures_change_nothing(breaker):
    fail(breaker, 4, 0.0)
    assert breaker.admit("place", 0.0) is Admission.NORMAL
    assert breaker.parts()["place"].state == "closed"


def test_half_of_five_or_more_open_it(breaker, env):
    for _ in range(5):
        breaker.record("place", env.now() - 1.0)
    fail(breaker, 4, env.now())
    assert breaker.parts()["place"].state == "closed"
    fail(breaker, 1, env.now())
    with pytest.raises(CircuitOpen, match="no answer") as caught:
        breaker.admit("place", env.now())
    assert caught.value.retry_after == 1.0
    opened = env.wall()
    assert breaker.parts()["place"] == ("open", opened, "no answer")
    env.steady += 1.0
    assert breaker.parts()["place"] == ("half_open", opened, "no answer")  # the next call may try


def test_what_is_half_a_minute_old_is_forgotten(breaker):
    fail(breaker, 4, 0.0)
    fail(breaker, 1, 31.0)
    assert breaker.admit("place", 31.0) is Admission.NORMAL


def test_parts_are_apart(breaker):
    fail(breaker, 5, 0.0)
    assert breaker.admit("reads", 0.0) is Admission.NORMAL


def test_one_probe_at_a_time_and_three_successes_close_it(breaker):
    fail(breaker, 5, 0.0)
    for _ in range(3):
        assert breaker.admit("place", 2.0) is Admission.PROBE
        with pytest.raises(CircuitOpen) as caught:
            breaker.admit("place", 2.0)
        assert caught.value.retry_after == 1.0
        breaker.record("place", 2.0)
    assert breaker.admit("place", 2.0) is Admission.NORMAL
    assert breaker.parts()["place"].cause is None


def test_a_failed_probe_opens_it_for_longer(breaker):
    fail(breaker, 5, 0.0)
    now, waits = 0.0, []
    for _ in range(8):
        with pytest.raises(CircuitOpen) as caught:
            breaker.admit("place", now)
        waits.append(caught.value.retry_after)
        now += waits[-1]
        assert breaker.admit("place", now) is Admission.PROBE
        fail(breaker, 1, now)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_jitter_is_half_at_least(breaker, env):
    env.dice = 0.0
    fail(breaker, 5, 0.0)
    with pytest.raises(CircuitOpen) as caught:
        breaker.admit("place", 0.0)
    assert caught.value.retry_after == 0.5


def test_a_probe_that_was_not_made_leaves_its_place(breaker):
    fail(breaker, 5, 0.0)
    assert breaker.admit("place", 2.0) is Admission.PROBE
    breaker.release("place")
    assert breaker.admit("place", 2.0) is Admission.PROBE
    breaker.release("never used")


def test_a_probe_that_never_comes_back_is_given_up(breaker):
    fail(breaker, 5, 0.0)
    assert breaker.admit("place", 2.0) is Admission.PROBE
    assert breaker.admit("place", 63.0) is Admission.PROBE


def test_a_straggler_while_it_is_open_says_nothing(breaker):
    fail(breaker, 5, 0.0)
    breaker.record("place", 0.1)
    fail(breaker, 1, 0.1)
    with pytest.raises(CircuitOpen):
        breaker.admit("place", 0.5)


def test_a_cancel_is_counted_and_never_refused(breaker):
    fail(breaker, 50, 0.0, "cancel")
    assert breaker.parts()["cancel"].state == "open"
    assert breaker.admit("cancel", 0.0) is Admission.NORMAL
    breaker.record("cancel", 20.0)
    assert breaker.parts()["cancel"].state == "open"
    breaker.record("cancel", 40.0)
    assert breaker.parts()["cancel"].state == "closed"
