"""Open orders that exconnect placed for this account and that stand in no journal here."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from cachetools import LRUCache

from exconnect.errors import JournalUnavailable
from exconnect.resilience.clock import ClientOrderIds

if TYPE_CHECKING:
    from exconnect.environment import Environment
    from exconnect.model.order import Order
    from exconnect.trading.intents import IntentLog

log = logging.getLogger("exconnect.orders")

_REMEMBERED = 10_000


class Strays:
    """Tells of each once: its journal was lost or moved, or another machine placed it."""

    def __init__(self, env: Environment, account: str, intents: IntentLog) -> None:
        self._lock = env.lock()
        self._account = account
        self._intents = intents
        self._seen: LRUCache[str, bool] = LRUCache(_REMEMBERED)

    def look(self, orders: Iterable[Order]) -> None:
        """At what the exchange says is open."""
        for order in orders:
            if ClientOrderIds.is_of(self._account, order.client_order_id) and self._is_new(order.client_order_id):
                with suppress(JournalUnavailable):
                    self._tell(order)

    def _is_new(self, client_order_id: str) -> bool:
        with self._lock:
            is_new = client_order_id not in self._seen
            self._seen[client_order_id] = True
        return is_new

    def _tell(self, order: Order) -> None:
        if self._intents.get(order.client_order_id) is None:
            log.warning(
                "open order %s of %s was placed for this account and is in no journal here: another machine placed it, "
                "or its journal was lost or moved. fetch_open_orders() shows it; cancel it if nobody counts on it",
                order.client_order_id,
                order.symbol,
            )
