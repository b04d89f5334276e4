"""What must happen in the child after a fork: everything that owns a connection or a thread is told, once.

One hook for the whole module, because hooks cannot be taken back, over weak references, because nobody is kept
alive for it. A C-level fork does not run it (uWSGI): who may be called in a child compares process ids as well.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """Something that does not survive a fork."""

    def forked(self) -> None:
        """In the child, before anything else runs: let go. Take no lock, join nothing, send nothing."""


_watched: WeakSet[Forkable] = WeakSet()


def watch(thing: Forkable) -> None:
    """Tell `thing` when it finds itself in a child."""
    _watched.add(thing)


def _in_child() -> None:
    for thing in list(_watched):
        thing.forked()
    _watched.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
