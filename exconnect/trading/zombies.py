"""Orders that count as never accepted, and are watched for all the same: one may show up after all."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from cachetools import LRUCache

from exconnect.model.enums import OrderStatus
from exconnect.trading.orders import RANKS

if TYPE_CHECKING:
    from exconnect.environment import Environment
    from exconnect.model.order import Order
    from exconnect.trading.intents import IntentLog
    from exconnect.trading.orders import OrderStore

log = logging.getLogger("exconnect.orders")

_REMEMBERED = 10_000


class Zombies:
    """Hears of every change of an order, whoever brings it, and tells of those that should not exist."""

    def __init__(self, env: Environment, orders: OrderStore, intents: IntentLog) -> None:
        self._lock = env.lock()
        self._orders = orders
        self._intents = intents
        self._buried: LRUCache[str, bool] = LRUCache(_REMEMBERED)
        self._listeners: list[weakref.WeakMethod[Callable[[Order], object]]] = []
        orders.listen(self._changed)

    def listen(self, hear: Callable[[Order], object]) -> None:
        """Call a method with every order that shows up after all, as long as its object lives."""
        with self._lock:
            self._listeners = [known for known in self._listeners if known() is not None]
            self._listeners.append(weakref.WeakMethod(hear))

    def recall(self) -> None:
        """Watch for those of other processes too, and of earlier ones.

        Raises:
            JournalUnavailable: they cannot be read.
        """
        for order in self._intents.buried():
            if order.client_order_id not in self._buried:
                self._orders.recall(order)

    def _changed(self, order: Order) -> None:
        if order.status is OrderStatus.NOT_ACCEPTED:
            with self._lock:
                self._buried[order.client_order_id] = True
            self._intents.bury(order)
        elif self._buried and RANKS[order.status] >= RANKS[OrderStatus.ACCEPTED]:
            self._look(order)

    def _look(self, order: Order) -> None:
        with self._lock:
            if self._buried.pop(order.client_order_id, None) is None:
                return
            listeners = list(self._listeners)
        self._intents.unbury(order.client_order_id)
        log.critical(
            "ZombieOrder: %s of %s counted as never accepted, and the exchange has it: %s",
            order.client_order_id,
            order.symbol,
            order.status.value,
        )
        for listener in listeners:
            hear = listener()
            if hear is not None:
                hear(order)
