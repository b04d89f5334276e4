"""A circuit breaker: after many failures in a short time, stop knocking for a while.

It holds no lock during a call, and says per part (`"place"`, `"reads"`, `"market"`, …) how things stand. What
counts as a failure is the caller's to say: no connection, no answer, an answer that leaves the outcome open.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from exconnect.errors import CircuitOpen

if TYPE_CHECKING:
    from datetime import datetime

    from exconnect.environment import Environment

WINDOW_S = 30.0
MIN_CALLS = 5
FAILED_SHARE = 0.5
MAX_OPEN_S = 60.0
SUCCESSES_TO_CLOSE = 3
_ADVISORY = frozenset({"cancel"})  # parts that are counted and never refused
PROBE_S = 60.0  # a probe of which nobody has heard for so long is taken for lost


class Admission(Enum):
    """How a call was let through."""

    NORMAL = "normal"
    PROBE = "probe"  # the one call that finds out whether the exchange is back


class PartState(NamedTuple):
    """`"closed"`, `"open"` or `"half_open"`; since when, and why it is not closed."""

    state: str
    since: datetime
    cause: str | None


@dataclass(slots=True)
class _Part:
    since: datetime
    state: str = "closed"
    cause: str | None = None
    calls: deque[tuple[float, bool]] = field(default_factory=deque)  # when, failed
    failures: int = 0
    opened: int = 0  # times in a row
    until: float = 0.0
    probing_since: float | None = None
    successes: int = 0


class CircuitBreaker:
    """One for all that talks to the same host. Cancels are counted and never refused."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._lock = env.lock()
        self._parts: dict[str, _Part] = {}

    def admit(self, name: str, now: float) -> Admission:
        """Let a call through, or not. A `PROBE` must be followed by `record` or `release`.

        Raises:
            CircuitOpen: `retry_after` says when it is worth asking again.
        """
        with self._lock:
            part = self._parts.get(name)
            if part is None or part.state == "closed" or name in _ADVISORY:
                return Admission.NORMAL
            if part.state == "open" and now >= part.until:
                part.state, part.successes = "half_open", 0
            if part.state == "half_open" and (part.probing_since is None or now - part.probing_since > PROBE_S):
                part.probing_since = now
                return Admission.PROBE
            wait, cause = max(part.until - now, 1.0 if part.state == "half_open" else 0.0), part.cause
        raise CircuitOpen(
            f"not tried: {name} calls failed too often just now ({cause}); it is tried again in {wait:.1f} s",
            {"retry_after": round(wait, 3)},
        )

    def record(self, name: str, now: float, cause: str | None = None) -> None:
        """A call ended: well, or with a failure whose `cause` is told."""
        with self._lock:
            part = self._parts.get(name)
            if part is None:
                part = self._parts[name] = _Part(self._env.wall())
            part.probing_since = None
            if part.state == "closed" or name in _ADVISORY:
                self._count(part, now, cause)
            elif part.state == "half_open":
                self._judge(part, now, cause)

    def release(self, name: str) -> None:
        """A call that was let through was not made after all."""
        with self._lock:
            part = self._parts.get(name)
            if part is not None:
                part.probing_since = None

    def parts(self) -> dict[str, PartState]:
        """Every part that was ever used."""
        now = self._env.now()
        with self._lock:
            return {
                name: PartState(_shown(name, part, now), part.since, part.cause) for name, part in self._parts.items()
            }

    def _count(self, part: _Part, now: float, cause: str | None) -> None:
        calls = part.calls
        calls.append((now, cause is not None))
        part.failures += cause is not None
        while calls[0][0] < now - WINDOW_S:
            part.failures -= calls.popleft()[1]
        if part.state == "closed":
            if cause is not None and len(calls) >= MIN_CALLS and part.failures >= FAILED_SHARE * len(calls):
                self._open(part, now, cause)
        elif part.failures < FAILED_SHARE * len(calls):  # an advisory part closes by itself
            self._close(part)

    def _judge(self, part: _Part, now: float, cause: str | None) -> None:
        part.successes += cause is None
        if cause is not None:
            self._open(part, now, cause)
        elif part.successes >= SUCCESSES_TO_CLOSE:
            self._close(part)

    def _open(self, part: _Part, now: float, cause: str) -> None:
        seconds = min(MAX_OPEN_S, 2.0 ** min(part.opened, 6)) * self._env.uniform(0.5, 1.0)
        part.opened += 1
        part.until = now + seconds
        part.state, part.cause, part.since = "open", cause, self._env.wall()

    def _close(self, part: _Part) -> None:
        part.calls.clear()
        part.failures = part.opened = 0
        part.state, part.cause, part.since = "closed", None, self._env.wall()


def _shown(name: str, part: _Part, now: float) -> str:
    """The state that the next call meets: one that waits to see it before it calls must not wait for ever."""
    may_try = part.state == "open" and now >= part.until and name not in _ADVISORY
    return "half_open" if may_try else part.state
