"""Cancels everything unless somebody keeps saying that all is well."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from exconnect.model.values import seconds_of

if TYPE_CHECKING:
    from exconnect.environment import Environment
    from exconnect.runtime.jobs import Jobs

logger = logging.getLogger("exconnect.orders")

_LONGEST_S = 86_400
_AGAIN_S = 2.0  # a cancel that failed is tried again
_NEVER = float("inf")


class DeadMansSwitch:
    """Cancels all orders unless `touch()` is called within `after` seconds; `close()` disarms it.

    Once it has canceled (`fired`), the next `touch()` arms it again. It lives in this process: it covers a script that
    hangs or forgets, not a process that is killed or a machine that loses its network. `is_native` says whether the
    exchange itself holds the timer.

    Raises:
        InvalidArgument: `after` is not above 0, or more than a day, in which nobody would be missed.
        InvalidType: `after` is no number.
    """

    def __init__(self, after: float, *, env: Environment, jobs: Jobs, cancel_all: Callable[[], object]) -> None:
        self._after = seconds_of(after, "after", most=_LONGEST_S, above_zero=True)
        self._env = env
        self._jobs = jobs
        self._cancel_all = cancel_all
        self._due = env.now() + self._after
        self._is_closed = False
        self._fired = False
        jobs.submit(self._look, delay=self._after)

    def __repr__(self) -> str:
        fired = ", has fired" if self._fired else ""
        return f"<DeadMansSwitch after {self._after:g} s{', closed' if self._is_closed else ''}{fired}>"

    @property
    def fired(self) -> bool:
        """Whether it has begun to cancel because nobody said that all is well; it stays True when it is armed again."""
        return self._fired

    @property
    def is_native(self) -> bool:
        """Whether the exchange holds the timer."""
        return False

    def touch(self) -> None:
        """All is well: begin to count anew."""
        self._due = self._env.now() + self._after

    def close(self) -> None:
        """Disarm. What it has begun to cancel, it goes on with: until it has seen twice that nothing is open."""
        self._is_closed = True

    def _look(self) -> None:
        if self._is_closed:
            return
        left = self._due - self._env.now()
        if left <= 0:
            left = self._fire()
        self._jobs.submit(self._look, delay=min(left, self._after))  # it may be touched meanwhile

    def _fire(self) -> float:
        """Cancel, and say in how many seconds to look again."""
        self._fired = True
        self._due = _NEVER
        logger.warning("no sign of life for %s s: canceling all orders", self._after)
        try:
            self._cancel_all()
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave the orders open either
            logger.warning("canceling all orders failed, trying again: %s", error)
            if self._due == _NEVER:
                self._due = self._env.now() + _AGAIN_S
        return self._due - self._env.now()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
