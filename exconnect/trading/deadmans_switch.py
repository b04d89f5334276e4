"""Cancels everything unless somebody keeps saying that all is well."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from exconnect.errors import ExconnectError, InvalidArgument

if TYPE_CHECKING:
    from exconnect.environment import Environment
    from exconnect.runtime.jobs import Jobs

logger = logging.getLogger("exconnect.orders")

_AGAIN_S = 2.0  # a cancel that failed is tried again


class DeadMansSwitch:
    """Cancels all orders unless `touch()` is called within `after` seconds; `close()` disarms it.

    It lives in this process: it covers a script that hangs or forgets, not a process that is killed or a
    machine that loses its network. `is_native` says whether the exchange itself holds the timer.
    """

    def __init__(self, after: float, *, env: Environment, jobs: Jobs, cancel_all: Callable[[], object]) -> None:
        if isinstance(after, bool) or not isinstance(after, (int, float)) or not after > 0:
            raise InvalidArgument("after must be seconds, above 0", {"argument": "after"})
        self._after = float(after)
        self._env = env
        self._jobs = jobs
        self._cancel_all = cancel_all
        self._due = env.now() + self._after
        self._armed = True
        self.fired = False
        jobs.submit(self._look, delay=self._after)

    @property
    def is_native(self) -> bool:
        """Whether the exchange holds the timer."""
        return False

    def touch(self) -> None:
        """All is well: begin to count anew."""
        self._due = self._env.now() + self._after

    def close(self) -> None:
        """Disarm; nothing is canceled."""
        self._armed = False

    def _look(self) -> None:
        if not self._armed:
            return
        left = self._due - self._env.now()
        if left > 0:
            self._jobs.submit(self._look, delay=left)
            return
        self.fired = True
        logger.warning("no sign of life for %s s: canceling all orders", self._after)
        try:
            self._cancel_all()
        except ExconnectError as error:
            logger.warning("canceling all orders failed, trying again: %s", error)
            self._jobs.submit(self._look, delay=_AGAIN_S)
        else:
            self._armed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
