"""SIGINT and SIGTERM end a command the same way: as KeyboardInterrupt in the main thread. Every `with` then closes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


@contextmanager
def as_interrupts() -> Iterator[None]:
    """While it lasts, also where a shell started the command with SIGINT ignored.

    Elsewhere than in the main thread signals stay as they are.
    """
    with _handled(_interrupt):
        yield


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old if old is not None else signal.SIG_DFL)


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(signal.Signals(number).name)


@contextmanager
def as_notes() -> Iterator[list[int]]:
    """While it lasts, signals interrupt nothing: they are written down. For commands that a signal ends well."""
    came: list[int] = []
    with _handled(lambda number, _: came.append(number)):
        yield came
