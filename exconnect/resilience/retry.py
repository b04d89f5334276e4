"""What a failure allows, by what repeating the call would do: a table, and how long to pause."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from exconnect.protocol.call import FailureKind, Replay


class Action(Enum):
    """What to do after a failure."""

    RAISE = auto()  # it is definite: tell the caller
    REPEAT = auto()  # again, after a pause
    RESYNC = auto()  # sync the clock, sign anew, again
    WAIT = auto()  # again, when the exchange allows it
    UNKNOWN = auto()  # it may have been executed: find out, do not send


class Decision(NamedTuple):
    """The action, and for a repetition the longest pause before it (seconds; full jitter draws from 0 to it)."""

    action: Action
    pause: float = 0.0


class _Rule(NamedTuple):
    action: Action
    times: int | None = None  # how often before it is given up; None: the deadline decides
    base: float = 0.25
    cap: float = 5.0


_RAISE = _Rule(Action.RAISE)
_UNKNOWN = _Rule(Action.UNKNOWN)
_ONCE = _Rule(Action.RESYNC, times=1)
_WAIT = _Rule(Action.WAIT)
_READ = _Rule(Action.REPEAT, times=4)
_UNSENT = _Rule(Action.REPEAT, times=4, base=0.1, cap=1.0)
_INSIST = _Rule(Action.REPEAT, base=0.05, cap=1.0)  # a cancel is repeated until there is a definite answer

# Rows: why there is no success. Columns: what sending it once more does.
_TABLE: dict[FailureKind, dict[Replay, _Rule]] = {
    FailureKind.LOCAL: {Replay.SAFE: _READ, Replay.NEVER: _UNSENT, Replay.ABSOLUTE: _INSIST},
    FailureKind.LOST: {Replay.SAFE: _READ, Replay.NEVER: _UNKNOWN, Replay.ABSOLUTE: _INSIST},
    FailureKind.SERVER: {Replay.SAFE: _READ, Replay.NEVER: _UNKNOWN, Replay.ABSOLUTE: _INSIST},
    FailureKind.LIMIT: {Replay.SAFE: _WAIT, Replay.NEVER: _WAIT, Replay.ABSOLUTE: _WAIT},
    FailureKind.CLOCK: {Replay.SAFE: _ONCE, Replay.NEVER: _ONCE, Replay.ABSOLUTE: _ONCE},
    FailureKind.AUTH: {Replay.SAFE: _RAISE, Replay.NEVER: _RAISE, Replay.ABSOLUTE: _RAISE},
    FailureKind.DUPLICATE: {Replay.SAFE: _RAISE, Replay.NEVER: _RAISE, Replay.ABSOLUTE: _RAISE},
    FailureKind.BUSINESS: {Replay.SAFE: _RAISE, Replay.NEVER: _RAISE, Replay.ABSOLUTE: _RAISE},
}


def decide(replay: Replay, kind: FailureKind, attempt: int) -> Decision:
    """What to do after the `attempt`-th failure of that kind (from 1) in one call."""
    rule = _TABLE[kind][replay]
    if rule.times is not None and attempt > rule.times:
        return Decision(Action.RAISE)
    if rule.action is not Action.REPEAT:
        return Decision(rule.action)
    return Decision(Action.REPEAT, min(rule.cap, rule.base * 2 ** min(attempt - 1, 20)))
