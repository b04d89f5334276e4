"""Supervision: a loop in the child's own thread, since nobody can restart a Python thread from outside.

A failure that is part of life (a lost connection) costs nothing but time: first at once, then after a random
part of a growing pause, for ever. One that nobody expected is a crash: the fifth within a minute is the end.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 30.0
HEALTHY_AFTER = 60.0
MAX_CRASHES = 5
CRASH_WINDOW = 60.0


class Restarts:
    """How long to wait before the next try. `uniform` draws a number between two."""

    def __init__(self, uniform: Callable[[float, float], float]) -> None:
        self._uniform = uniform
        self._failures = 0
        self._healthy_since: float | None = None
        self._crashes: deque[float] = deque(maxlen=MAX_CRASHES)

    def healthy(self, now: float) -> None:
        """It works now, or still; a minute without a failure makes past ones forgotten."""
        if self._healthy_since is None:
            self._healthy_since = now

    def after_loss(self, now: float) -> float:
        """Seconds to wait after a failure that was to be expected."""
        since, self._healthy_since = self._healthy_since, None
        if since is not None and now - since >= HEALTHY_AFTER:
            self._failures = 0
        tries, self._failures = self._failures, self._failures + 1
        if tries == 0:
            return 0.0
        return self._uniform(0.0, min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries, 10)))

    def after_crash(self, now: float) -> float | None:
        """The same after any other failure; None: enough."""
        self._crashes.append(now)
        if len(self._crashes) == MAX_CRASHES and now - self._crashes[0] <= CRASH_WINDOW:
            return None
        return self.after_loss(now)


class Supervised(Protocol):
    """What `supervise` runs. All of it is called in the thread that runs `supervise`."""

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to end."""

    def run(self) -> None:
        """Do the work with fresh state, until asked to end or something fails."""

    def pause(self, seconds: float) -> None:
        """Wait, or less if asked to end."""

    def failed(self, error: BaseException, *, is_final: bool) -> None:
        """`run` ended with `error`; it is called again unless that was final."""


def supervise(
    child: Supervised, restarts: Restarts, now: Callable[[], float], expected: tuple[type[BaseException], ...]
) -> None:
    """Run `child` again and again until it is asked to end, or crashed too often."""
    while not child.is_stopping:
        try:
            child.run()
        except expected as error:
            pause: float | None = restarts.after_loss(now())
            failure: BaseException = error
        except BaseException as error:  # noqa: BLE001 - whatever it was, it must not end the thread unseen
            pause = restarts.after_crash(now())
            failure = error
        else:
            continue
        if child.is_stopping:
            return
        child.failed(failure, is_final=pause is None)
        if pause is None:
            return
        child.pause(pause)
