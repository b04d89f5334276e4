"""An actor: one daemon thread with private state, fed through bounded inboxes.

What a full inbox does depends on what its items mean: `Newest` keeps one item per key, `Recent` loses the oldest
and says which, `Everything` keeps all and refuses what it has no room for. An inbox does not lock; the actor does,
with one condition that is a leaf.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from exconnect.errors import StreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from exconnect.environment import Environment

T = TypeVar("T")

NEVER = float("inf")


class Thread(Protocol):
    """What others may do with a thread that the environment has started."""

    def is_alive(self) -> bool:
        """Whether it has not ended yet."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""


def is_current(thread: Thread) -> bool:
    """Whether it is the thread that asks."""
    import threading

    return thread is threading.current_thread()


class Parcel(NamedTuple, Generic[T]):
    """An item on its way. `weight`: how many items are lost with it, None if that is not known."""

    key: str
    item: T
    at: float
    weight: int | None = 1


class Loss(NamedTuple, Generic[T]):
    """Parcels that a full inbox gave up, from the oldest to the newest of one key; `items` of them, if known."""

    first: Parcel[T]
    last: Parcel[T]
    items: int | None


class Inbox(Protocol[T]):
    """Where items wait for one receiver."""

    dropped: int  # given up because it was full
    conflated: int  # replaced by a newer one

    def put(self, parcel: Parcel[T]) -> None:
        """Take it in."""

    def ready_at(self) -> float:
        """When the next one may be taken; `NEVER` if there is none."""

    def take(self, now: float) -> Parcel[T]:
        """The next one; only when it is ready."""

    def losses(self) -> list[Loss[T]]:
        """What was given up since the last time somebody asked."""

    def keep_only(self, keys: Collection[str]) -> list[T]:
        """Forget what waits under other keys; that is what it gives."""

    def oldest(self) -> float | None:
        """When the item that waits longest arrived."""

    def __len__(self) -> int: ...


class Newest(Generic[T]):
    """One item per key. `interval`: at most one per key in so many seconds."""

    def __init__(self, interval: float = 0.0) -> None:
        self.dropped = self.conflated = 0
        self._interval = interval
        self._waiting: OrderedDict[str, Parcel[T]] = OrderedDict()
        self._not_before: dict[str, float] = {}

    def put(self, parcel: Parcel[T]) -> None:
        """Replace what waits under the same key; it keeps its place and its age."""
        older = self._waiting.get(parcel.key)
        if older is not None:
            self.conflated += 1
            parcel = parcel._replace(at=older.at)
        self._waiting[parcel.key] = parcel

    def _due(self, parcel: Parcel[T]) -> float:
        return self._not_before.get(parcel.key, 0.0)

    def ready_at(self) -> float:
        """When the first key may be taken."""
        if not self._waiting:
            return NEVER
        return min(map(self._due, self._waiting.values())) if self._interval else 0.0

    def take(self, now: float) -> Parcel[T]:
        """The one that waits longest among those that are due."""
        key = next(key for key, parcel in self._waiting.items() if self._due(parcel) <= now)
        if self._interval:
            self._not_before[key] = now + self._interval
        return self._waiting.pop(key)

    def losses(self) -> list[Loss[T]]:
        """None: a newer item says all that the older one did."""
        return []

    def keep_only(self, keys: Collection[str]) -> list[T]:
        """Forget what waits under other keys."""
        return [self._waiting.pop(key).item for key in list(self._waiting) if key not in keys]

    def oldest(self) -> float | None:
        """When the item that waits longest arrived."""
        return next(iter(self._waiting.values())).at if self._waiting else None

    def __len__(self) -> int:
        return len(self._waiting)


def _parted(parcels: deque[Parcel[T]], keys: Collection[str]) -> tuple[deque[Parcel[T]], list[T]]:
    """What is under these keys, and the items that are not."""
    return deque(p for p in parcels if p.key in keys), [p.item for p in parcels if p.key not in keys]


class Recent(Generic[T]):
    """At most `capacity` items; then the oldest goes, and is remembered as lost."""

    def __init__(self, capacity: int) -> None:
        self.dropped = self.conflated = 0
        self._capacity = capacity
        self._waiting: deque[Parcel[T]] = deque()
        self._losses: dict[str, Loss[T]] = {}

    def put(self, parcel: Parcel[T]) -> None:
        """Append; the oldest makes room."""
        self._waiting.append(parcel)
        if len(self._waiting) > self._capacity:
            self._lose(self._waiting.popleft())

    def _lose(self, parcel: Parcel[T]) -> None:
        self.dropped += 1
        loss = self._losses.get(parcel.key)
        if loss is None:
            self._losses[parcel.key] = Loss(parcel, parcel, parcel.weight)
        else:
            items = None if loss.items is None or parcel.weight is None else loss.items + parcel.weight
            self._losses[parcel.key] = Loss(loss.first, parcel, items)

    def ready_at(self) -> float:
        """At once, if there is anything."""
        return 0.0 if self._waiting else NEVER

    def take(self, now: float) -> Parcel[T]:
        """The oldest."""
        return self._waiting.popleft()

    def losses(self) -> list[Loss[T]]:
        """What went since the last time, by key."""
        losses, self._losses = list(self._losses.values()), {}
        return losses

    def keep_only(self, keys: Collection[str]) -> list[T]:
        """Forget what waits, or was lost, under other keys."""
        self._losses = {key: loss for key, loss in self._losses.items() if key in keys}
        self._waiting, gone = _parted(self._waiting, keys)
        return gone

    def oldest(self) -> float | None:
        """When the oldest arrived."""
        return self._waiting[0].at if self._waiting else None

    def __len__(self) -> int:
        return len(self._waiting)


class Everything(Generic[T]):
    """All items, in their order. One that is full takes no more, and says so: nothing in it is ever given up."""

    def __init__(self, capacity: int) -> None:
        self.dropped = self.conflated = 0
        self._capacity = capacity
        self._waiting: deque[Parcel[T]] = deque()

    def put(self, parcel: Parcel[T]) -> None:
        """Append.

        Raises:
            StreamError: it is full.
        """
        if len(self._waiting) >= self._capacity:
            raise StreamError(f"{self._capacity} items wait for a handler, and none of them may be lost")
        self._waiting.append(parcel)

    def ready_at(self) -> float:
        """At once, if there is anything."""
        return 0.0 if self._waiting else NEVER

    def take(self, now: float) -> Parcel[T]:
        """The oldest."""
        return self._waiting.popleft()

    def losses(self) -> list[Loss[T]]:
        """None, ever."""
        return []

    def keep_only(self, keys: Collection[str]) -> list[T]:
        """Forget what waits under other keys."""
        self._waiting, gone = _parted(self._waiting, keys)
        return gone

    def oldest(self) -> float | None:
        """When the oldest arrived."""
        return self._waiting[0].at if self._waiting else None

    def __len__(self) -> int:
        return len(self._waiting)


class Actor:
    """Runs `step` in a thread of its own whenever it may have something to do.

    `step` is called with the condition held and gives either a piece of work, which is then run without it, or the
    time before which there is none, or None to end. Where another thread had the same duty before, `after` is waited
    for; `ended` is called last.
    """

    def __init__(
        self,
        env: Environment,
        name: str,
        step: Callable[[float], Callable[[], None] | float | None],
        after: Thread | None = None,
        ended: Callable[[], None] | None = None,
    ) -> None:
        self.condition = env.condition()
        self._env = env
        self._step = step
        self._after = after
        self._ended = ended
        self.is_over = False
        self._has_news = False
        self.thread: Thread = env.spawn(name, self._run)

    def join(self, timeout: float) -> None:
        """Wait for its end, at most `timeout` seconds; in its own thread not at all."""
        if not is_current(self.thread):
            self.thread.join(timeout)

    def wake(self) -> None:
        """There is news. Call it with the condition held."""
        self._has_news = True
        self.condition.notify()

    def _run(self) -> None:
        if self._after is not None:
            self._after.join()
        while (work := self._next()) is not None:
            work()
        self.is_over = True
        if self._ended is not None:
            self._ended()

    def _next(self) -> Callable[[], None] | None:
        with self.condition:
            while True:
                self._has_news = False
                now = self._env.now()
                step = self._step(now)
                if not isinstance(step, float):
                    return step
                self._env.wait_for(self.condition, self._is_awake, None if step == NEVER else step - now)

    def _is_awake(self) -> bool:
        return self._has_news
