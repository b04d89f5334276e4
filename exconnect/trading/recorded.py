"""What the journal has of orders, for whoever asks what is known here. A look at it takes nothing over."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING

from exconnect.errors import JournalUnavailable

if TYPE_CHECKING:
    from exconnect.environment import Environment
    from exconnect.model.order import Order
    from exconnect.trading.intents import IntentLog
    from exconnect.trading.orders import OrderStore

_FRESH_S = 1.0  # so old may be what is told of another process's orders: a file is not read at every question


class Recorded:
    """Brings into the store of one account what other processes have written down, those that are gone among them.

    A journal that cannot be read adds nothing.
    """

    def __init__(self, env: Environment, orders: OrderStore, intents: IntentLog) -> None:
        self._env = env
        self._orders = orders
        self._intents = intents
        self._due = -math.inf

    def refresh(self) -> None:
        """Look, unless somebody did just now. Threads that come at once may both do it: nobody waits for a lock."""
        if self._env.now() < self._due:
            return
        with suppress(JournalUnavailable):
            for order in self._intents.news(order.client_order_id for order in self._orders.open()):
                self._orders.recall(order)
        self._due = self._env.now() + _FRESH_S

    def find(self, client_order_id: str) -> Order | None:
        """One that the store may not have, such as one that was over before this process began."""
        with suppress(JournalUnavailable):
            return self._intents.look(client_order_id)
        return None

    def is_left(self, client_order_id: str) -> bool:
        """Whether its process is gone, its outcome is not written down, and nobody has taken it over."""
        with suppress(JournalUnavailable):
            return self._intents.is_left(client_order_id)
        return False
