"""What the write path and the read path of one account both stand on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from exconnect.errors import InvalidArgument, JournalUnavailable, OrderNotFound, UnknownSymbol
from exconnect.model.enums import OrderStatus
from exconnect.model.order import Order, OrderRef, client_id_of
from exconnect.protocol.call import Lane
from exconnect.protocol.pages import Page, Where, mark_order, whole

if TYPE_CHECKING:
    from exconnect.environment import Environment
    from exconnect.gateway import Gateway
    from exconnect.model.instrument import Instrument
    from exconnect.protocol.call import Call
    from exconnect.protocol.exchange import Rest
    from exconnect.trading.doubts import Doubts
    from exconnect.trading.instruments import Instruments
    from exconnect.trading.orders import OrderStore
    from exconnect.trading.recorded import Recorded
    from exconnect.trading.strays import Strays

T = TypeVar("T")

log = logging.getLogger("exconnect.orders")

_UNANSWERED = (OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN)


class Desk(Struct, frozen=True):
    """An account's place of work: the exchange's calls, the road out, and the stores."""

    exchange: str
    rest: Rest
    gateway: Gateway
    env: Environment
    instruments: Instruments
    orders: OrderStore
    journaled: Recorded
    doubts: Doubts
    strays: Strays | None  # None without a journal: then nothing is written down of earlier orders
    instrument: Callable[[str, float], Instrument]  # symbol, timeout: loaded if need be
    listing: Callable[[tuple[str, ...], float], object]  # loads by the exchange's symbols
    recorded: Callable[[str], Order | None]  # what the journal has of a client order id, of whatever process

    def call(self, call: Call[T], timeout: float) -> T:
        """One call through the gateway."""
        return self.gateway.execute(call, timeout)

    def find(
        self, instrument: Instrument, client_order_id: str | None, order_id: str | None, deadline: Deadline
    ) -> Order:
        """One order, wherever the exchange keeps it; merged into the store.

        Raises:
            OrderNotFound: none of these places shows it.
        """
        where: Where | None = None
        while True:
            call = self.rest.fetch_order(instrument, client_order_id=client_order_id, order_id=order_id, where=where)
            page = self.call(call, max(deadline.left, 0.001))
            if page.items:
                found = page.items[0]
                return self.orders.apply(replace(found, client_order_id=client_order_id or found.client_order_id))
            if page.next is None:
                details = {"exchange": self.exchange, "symbol": instrument.symbol, "client_order_id": client_order_id}
                raise OrderNotFound(f"{self.exchange} shows no order {client_order_id or order_id}", details)
            where = page.next

    def open_orders(self, instrument: Instrument | None, deadline: Deadline) -> list[Order]:
        """Every open order of an instrument or of the account, oldest first; what it is in is loaded if need be."""
        strange: set[str] = set()

        def lookup(exchange_symbol: str) -> Instrument | None:
            known = self.instruments.lookup(exchange_symbol)
            if known is None:
                strange.add(exchange_symbol)
            return known

        def ask(where: Where) -> Page[Order]:
            call = self.rest.fetch_open_orders(instrument, lookup, where or None)
            return self.call(call, max(deadline.left, 0.001))

        found = whole(ask, {}, mark_order).items
        for name in sorted(strange):
            self._learn(name, deadline)
        if strange:
            found = [replace(order, symbol=self._symbol(order.symbol)) for order in found]
        if self.strays is not None:
            self.strays.look(found)
        return found

    def _learn(self, exchange_symbol: str, deadline: Deadline) -> None:
        try:
            self.listing((exchange_symbol,), max(deadline.left, 0.001))
        except UnknownSymbol:
            log.warning("the exchange tells of %s and does not list it", exchange_symbol)

    def _symbol(self, name: str) -> str:
        known = self.instruments.lookup(name)
        return name if known is None else known.symbol

    def ask_time(self, deadline: Deadline, lane: Lane = Lane.QUERY) -> None:
        """Hear from the exchange what time it is: only its own word says whether an order has expired."""
        asked_at, call = self.env.now(), msgspec.structs.replace(self.rest.time(), lane=lane)
        self.doubts.heard(self.call(call, max(deadline.left, 0.001)), asked_at)

    def is_stopped(self) -> bool:
        """Whether the exchange has said stop, to cancels too: asking again would make it worse."""
        return "cancel" in self.gateway.held_back()

    def deadline(self, timeout: float) -> Deadline:
        """A deadline that begins now."""
        return Deadline(self.env, self.env.now() + timeout)

    def known(self, client_order_id: str) -> Order | None:
        """The newest snapshot; of an order that another process placed, what the journal has of it."""
        known = self.orders.get(client_order_id)
        if known is None or (known.status in _UNANSWERED and self.journaled.is_left(client_order_id)):
            with suppress(JournalUnavailable):  # reads and cancels go on without one
                recorded = self.recorded(client_order_id)
                known = known if recorded is None else self.orders.recall(recorded)
        return known

    def id_of(self, order: OrderRef) -> str:
        """The client order id that is meant.

        Raises:
            InvalidArgument: an order of another exchange, whose id may be that of a different order here.
        """
        client_order_id = client_id_of(order)
        if isinstance(order, Order) and order.exchange != self.exchange:
            message = f"order {client_order_id} is of {order.exchange}, this client of {self.exchange}"
            raise InvalidArgument(message, {"argument": "order", "client_order_id": client_order_id})
        return client_order_id

    def place_of(self, order: OrderRef, symbol: str | None) -> tuple[str, str, Order | None]:
        """Client order id and symbol that are meant, and what is known here.

        Raises:
            InvalidArgument: the order is not known here and no symbol was given, or it is of another exchange.
        """
        client_order_id = self.id_of(order)
        known = self.known(client_order_id) or (order if isinstance(order, Order) else None)
        if symbol is None and known is None:
            message = f"order {client_order_id} is not known here: give its symbol too"
            raise InvalidArgument(message, {"argument": "symbol", "client_order_id": client_order_id})
        return client_order_id, symbol or (known.symbol if known else ""), known


class Deadline(Struct, frozen=True):
    """A moment after which nobody waits any more."""

    env: Environment
    at: float

    @property
    def left(self) -> float:
        """Seconds until then, never below zero."""
        return max(0.0, self.at - self.env.now())

    def share(self, count: int) -> float:
        """Seconds for the next of `count` that share what is left: one that hangs leaves the others their time."""
        return self.left / count
