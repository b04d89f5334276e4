"""Time, waiting, randomness and thread starts: the only place that reads a clock or throws dice.

Everything else asks an `Environment`, so that the same code runs on the machine's clock and, in tests, on
a clock and dice that the test holds. Primitives are looked up in `threading` when they are made, not when
this module is imported, so that a process that patches `threading` late gets the patched ones.
"""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_WAIT = 1.0  # a lock wait without an end cannot be interrupted on every platform


class Environment:
    """The machine as it is."""

    caution = 1.0  # the margins by which a doubt outlasts what an exchange says; a test in real time has less of them

    def now(self) -> float:
        """Seconds on a clock that never jumps; only differences mean something."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Milliseconds since 1970 by the machine's clock, which may be wrong and may jump."""
        return time.time_ns() // 1_000_000

    def wall(self) -> datetime:
        """The machine's clock as an aware UTC datetime."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Pause the calling thread."""
        if seconds > 0:
            time.sleep(seconds)

    def wait_for(self, condition: threading.Condition, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Wait on a condition that the caller holds until `ready()`; False at the deadline. Ctrl-C gets through."""
        deadline = None if timeout is None else self.now() + timeout
        while not ready():
            left = _LONGEST_WAIT if deadline is None else min(deadline - self.now(), _LONGEST_WAIT)
            if left <= 0:
                return False
            condition.wait(left)
        return True

    def uniform(self, low: float, high: float) -> float:
        """A random number between `low` and `high`, for jitter."""
        import random  # brings hashlib with it, which a program that only reads never needs

        return random.uniform(low, high)  # noqa: S311 - spreads retries, protects nothing

    def token(self, size: int) -> bytes:
        """`size` random bytes that no other process, fork or clone draws too."""
        return os.urandom(size)

    def spawn(self, name: str, run: Callable[[], None]) -> threading.Thread:
        """Start a daemon thread of that name."""
        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    def lock(self) -> threading.Lock:
        """A lock, made now."""
        return threading.Lock()

    def condition(self) -> threading.Condition:
        """A condition over a lock of its own, made now."""
        return threading.Condition(threading.Lock())
