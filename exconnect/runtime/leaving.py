"""What is closed when the interpreter ends, for those who forgot: in this process only, and in two seconds in all."""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

if TYPE_CHECKING:
    from exconnect.environment import Environment

LEAVE_S = 2.0


class Running(Protocol):
    """Something with threads."""

    pid: int  # of the process whose threads they are
    env: Environment

    def signal(self) -> None:
        """Ask them to end."""

    def close(self, timeout: float) -> None:
        """See to it that they end, in at most `timeout` seconds."""


_running: WeakSet[Running] = WeakSet()
_hooked: list[bool] = []


def watch(thing: Running) -> None:
    """Close it at the end, if it is still there."""
    _running.add(thing)
    if not _hooked:
        _hooked.append(True)
        atexit.register(_leave)


def _leave() -> None:
    # A forked child inherits this hook, and what it would close is not its own.
    mine = [thing for thing in list(_running) if thing.pid == os.getpid()]
    for thing in mine:
        thing.signal()
    if mine:
        deadline = mine[0].env.now() + LEAVE_S
        for thing in mine:
            thing.close(max(deadline - thing.env.now(), 0.0))
