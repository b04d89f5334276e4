"""SIGINT and SIGTERM end a command the same way: as KeyboardInterrupt in the main thread. Every `with` then closes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


@contextmanager
def as_interrupts() -> Iterator[None]:
    """While it lasts, also where a shell started the command with SIGINT ignored.

    Elsewhere than in the main thread signals stay as they are.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(signal.Signals(number).name)


def wait_for_one() -> None:
    """Until a signal comes."""
    never = threading.Event()
    try:
        while True:
            never.wait(1.0)
    except KeyboardInterrupt:
        return
