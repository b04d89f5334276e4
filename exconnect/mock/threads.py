"""Clock and threads of the mock exchange: the only place here that knows of either."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

monotonic = time.monotonic


def wall_ms(offset: float) -> int:
    """This machine's clock plus an offset in seconds, as milliseconds since 1970."""
    return time.time_ns() // 1_000_000 + round(offset * 1000)


def spawn(name: str, target: Callable[[], None]) -> threading.Thread:
    """A started daemon thread of this package."""
    thread = threading.Thread(target=target, name=f"exconnect-mock.{name}", daemon=True)
    thread.start()
    return thread
