"""What happens a little later, in the order in which it was asked for."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    Action = Callable[[int], None]


class Timed(Protocol):
    """Something that has to be done at its time."""

    def next_ms(self) -> float:
        """When that is."""
        ...

    def tick(self) -> None:
        """Does it."""
        ...


@dataclass(slots=True)
class Later:
    """Everything takes ``latency_ms``; an action is given the time at which it happens."""

    latency_ms: int
    _queue: deque[tuple[int, Action]] = field(default_factory=deque)

    def submit(self, now_ms: int, action: Action) -> None:
        """Never before what was submitted earlier, even where the clock was set back."""
        due_ms = now_ms + self.latency_ms
        self._queue.append((max(due_ms, self._queue[-1][0]) if self._queue else due_ms, action))

    def next_ms(self) -> float:
        """When something happens next."""
        return self._queue[0][0] if self._queue else inf

    def restart(self, now_ms: int) -> None:
        """The clock has jumped: nothing waits longer than it would have."""
        latest_ms = now_ms + self.latency_ms
        self._queue = deque((min(due_ms, latest_ms), action) for due_ms, action in self._queue)

    def tick(self) -> None:
        """Does what is due at ``next_ms()``."""
        due_ms, action = self._queue.popleft()
        action(due_ms)
