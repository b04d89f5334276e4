"""What the story has to say, from its threads to the one that writes."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import NamedTuple

from exconnect.environment import Environment


class _Said(NamedTuple):
    at: float
    glyph: str
    text: str
    colours: tuple[str, ...]


class Telling:
    """What the threads of the story have to say, for the one that writes."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._begun = env.now()
        self._said: queue.SimpleQueue[_Said] = queue.SimpleQueue()

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._env.now() - self._begun

    def say(self, glyph: str, text: str, *colours: str) -> None:
        """From any thread."""
        self._said.put(_Said(self.elapsed(), glyph, text, colours))

    def take(self) -> Iterator[_Said]:
        """All that was said since the last time."""
        while not self._said.empty():
            yield self._said.get()
