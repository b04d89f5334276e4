"""What processes that are gone left behind: looked for at the first order, and on request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from exconnect.errors import ExconnectError, JournalUnavailable
from exconnect.model.enums import OrderStatus
from exconnect.trading.journal_file import insist
from exconnect.trading.reconcile import Resolver, find_out_all, look, look_at_open

if TYPE_CHECKING:
    from exconnect.model.order import Order
    from exconnect.trading.desk import Deadline, Desk
    from exconnect.trading.intents import IntentLog


class Recovery:
    """Takes over the orders of dead processes, and finds out what became of those without an answer.

    `recall` brings back those that counted as never accepted.
    """

    def __init__(self, desk: Desk, intents: IntentLog, resolver: Resolver, recall: Callable[[], None]) -> None:
        self._desk = desk
        self._intents = intents
        self._resolver = resolver
        self._recall = recall
        self._has_begun = False

    def recover(self, timeout: float) -> list[Order]:
        """Find out what became of every order without an answer; each as it is known at the end.

        Raises:
            JournalUnavailable: it cannot be used, or somebody held it all the time.
        """
        deadline = self._desk.deadline(timeout)
        insist(self.take_over, self._desk.env, deadline.at)
        orders = self._unanswered()
        ended = look_at_open(self._desk, self._desk.deadline(deadline.left / 4))
        self._look_at(ended, self._desk.deadline(deadline.left / 2))
        find_out_all(self._desk, orders, deadline)
        self._watch()  # whoever asked waits no longer, but it is still to be found out
        return [self._desk.orders.get(order.client_order_id) or order for order in orders]

    def begin(self, deadline: Deadline) -> None:
        """Before the first order of this process: look once for what dead ones left behind; wait for none of it."""
        if self._has_begun:
            return
        self.take_over()
        with suppress(JournalUnavailable):
            self._intents.prune()
        self._has_begun = True
        self._look_at(self._unanswered(), deadline)
        self._watch()

    def _look_at(self, orders: list[Order], deadline: Deadline) -> None:
        """Ask what became of each, as far as there is time: whoever knew may be gone, and has not written it down."""
        for order in orders:
            if deadline.left > 0:
                # An exchange that does not answer does not say either what became of the order.
                with suppress(ExconnectError):
                    look(self._desk, order, self._desk.instrument(order.symbol, deadline.left), deadline)

    def take_over(self) -> None:
        """What is open in the journal is in the store then, also what processes that are gone left there.

        What others ended meanwhile, by the journal, is over here too.
        """
        self._intents.take_over()
        recorded = {order.client_order_id: order for order in self._intents.orders(only_open=True)}
        for known in self._desk.orders.open():
            if known.client_order_id not in recorded:
                ended = self._intents.get(known.client_order_id)
                if ended is not None:
                    self._desk.orders.recall(ended)
        for order in recorded.values():
            self._desk.orders.recall(order)
        self._recall()

    def _watch(self) -> None:
        for order in self._unanswered():
            self._resolver.watch(order)

    def _unanswered(self) -> list[Order]:
        return [order for order in self._desk.orders.open() if order.status is OrderStatus.UNKNOWN]
