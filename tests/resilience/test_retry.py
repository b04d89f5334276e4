"""The table of what a failure allows, row by row."""

from __future__ import annotations

import pytest

from exconnect.protocol.call import FailureKind, Replay
from exconnect.resilience.retry import Action, decide

R, P, C, W, U = Action.RAISE, Action.REPEAT, Action.RESYNC, Action.WAIT, Action.UNKNOWN

FIRST = {  # safe, never, absolute
    FailureKind.LOCAL: (P, P, P),
    FailureKind.LOST: (P, U, P),
    FailureKind.SERVER: (P, U, P),
    FailureKind.LIMIT: (W, W, W),
    FailureKind.CLOCK: (C, C, C),
    FailureKind.AUTH: (R, R, R),
    FailureKind.DUPLICATE: (R, R, R),
    FailureKind.BUSINESS: (R, R, R),
}


@pytest.mark.parametrize("kind", FailureKind)
def test_the_first_failure(kind):
    assert tuple(decide(replay, kind, 1).action for replay in Replay) == FIRST[kind]


@pytest.mark.parametrize("kind", [FailureKind.LOST, FailureKind.SERVER])
@pytest.mark.parametrize("attempt", [1, 2, 5, 100])
def test_what_may_have_been_executed_is_never_sent_again(kind, attempt):
    assert decide(Replay.NEVER, kind, attempt).action is Action.UNKNOWN


def test_a_read_is_tried_five_times_in_all():
    actions = [decide(Replay.SAFE, FailureKind.LOST, attempt).action for attempt in range(1, 6)]
    assert actions == [P, P, P, P, R]


def test_a_cancel_is_repeated_until_the_deadline():
    assert decide(Replay.ABSOLUTE, FailureKind.LOST, 1_000).action is Action.REPEAT


def test_the_clock_is_synced_once():
    assert [decide(Replay.NEVER, FailureKind.CLOCK, n).action for n in (1, 2)] == [C, R]


@pytest.mark.parametrize("replay", Replay)
def test_pauses_grow_up_to_a_cap(replay):
    pauses = [decide(replay, FailureKind.LOCAL, attempt).pause for attempt in (1, 2, 3, 4)]
    assert pauses == sorted(pauses)
    assert pauses[0] > 0
    assert decide(Replay.ABSOLUTE, FailureKind.LOST, 10_000).pause == 1.0


def test_what_is_not_repeated_has_no_pause():
    assert decide(Replay.NEVER, FailureKind.LOST, 1).pause == 0.0
