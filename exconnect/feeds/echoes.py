"""Whether a private stream says what replies have said: one that falls silent and looks healthy is found out so."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, NamedTuple

from exconnect.feeds.delivered import Key, key_of
from exconnect.model.enums import OrderStatus, Source
from exconnect.model.values import ms_of

if TYPE_CHECKING:
    from exconnect.environment import Environment
    from exconnect.model.order import Order

_WITHIN_S, _WITHIN_MS = 5.0, 1_000  # in which an event follows a reply; by how much their times may differ
_MOST = 10_000


class _Expected(NamedTuple):
    """An event that a reply announces."""

    time_ms: int
    until: float


class Echoes:
    """`replied` may be called from any thread, everything else only by the connection's own."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._replies: deque[tuple[Order, float]] = deque(maxlen=_MOST)
        self._expected: dict[Key, _Expected] = {}
        self._heard: OrderedDict[Key, int] = OrderedDict()  # exchange time of the last event of an order
        self._from_ms = 0

    def restart(self, from_ms: int) -> None:
        """A new connection: it owes an echo of nothing that happened before."""
        self._expected.clear()
        self._from_ms = from_ms

    def replied(self, order: Order) -> None:
        """The store has changed; a refusal is no event."""
        if order.source is Source.REST and order.status is not OrderStatus.REJECTED:
            self._replies.append((order, self._env.now()))

    def heard(self, key: Key, told: Order) -> None:
        """An event came."""
        if told.updated_at is not None:
            time_ms = ms_of(told.updated_at, "updated_at")
            self._heard[key] = max(time_ms, self._heard.pop(key, 0))
            if len(self._heard) > _MOST:
                _, forgotten_ms = self._heard.popitem(last=False)
                self._from_ms = max(self._from_ms, forgotten_ms)  # of what is as old nobody knows any more

    def missing(self, now: float) -> Key | None:
        """An order of which a reply told more than the stream, for too long already."""
        while self._replies:
            order, at = self._replies.popleft()
            if order.order_id is None or order.updated_at is None:
                continue
            time_ms = ms_of(order.updated_at, "updated_at")
            if time_ms > self._from_ms:
                self._expected[key_of(order)] = _Expected(time_ms, at + _WITHIN_S)
        for key, expected in list(self._expected.items()):
            if self._heard.get(key, 0) + _WITHIN_MS >= expected.time_ms:
                del self._expected[key]
            elif now > expected.until:
                return key
        return None
