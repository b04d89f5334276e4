"""The read path: what the store knows (no network), and what only the exchange knows (`fetch_…`)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import chain, repeat
from typing import TYPE_CHECKING

from exconnect.errors import InvalidArgument, JournalUnavailable, OutcomeUnknown
from exconnect.model.enums import OrderStatus
from exconnect.model.order import Fill, Order, OrderRef
from exconnect.model.values import count_of, seconds_of
from exconnect.protocol.pages import Page, Where
from exconnect.trading.reconcile import find_out, look

if TYPE_CHECKING:
    from collections.abc import Callable

    from exconnect.model.instrument import Instrument
    from exconnect.trading.desk import Desk
    from exconnect.trading.watchers import Watchers

_POLL_S = (0.1, 0.25, 0.5, 1.0)  # then every two seconds
_LAST_POLL_S = 2.0
_FOLLOWED_POLL_S = 5.0  # while a live stream tells of every change


class OrderView:
    """`client.orders`: what is known of the account's orders, without asking the exchange.

    Of those of other processes, also of such as are gone, what the journal has, a second old at most; nothing is taken
    over by a look at them. Thread-safe. Only `wait` and `resolve` go to the network.
    """

    def __init__(self, desk: Callable[[], Desk], watchers: Callable[[], Watchers]) -> None:
        self._desk = desk
        self._watchers = watchers

    def get(self, order: OrderRef) -> Order | None:
        """The newest snapshot, None if the order is known neither here nor to the journal.

        Raises:
            InvalidArgument: an order of another exchange.
        """
        desk = self._looked()
        client_order_id = desk.id_of(order)
        return desk.orders.get(client_order_id) or desk.journaled.find(client_order_id)

    def open(self, symbol: str | None = None) -> list[Order]:
        """All that are open (`is_open`), oldest first; also those that other processes have placed or have left.

        Raises:
            InvalidArgument: no symbol; `UnknownSymbol` if it is known that there is none of that name.
        """
        desk = self._looked(symbol)
        return desk.orders.open(symbol)

    def history(self, symbol: str | None = None, *, limit: int = 100) -> list[Order]:
        """The newest `limit` of what is known here, newest first: this process's orders, and what `open()` gave.

        Raises:
            InvalidArgument: no symbol, as in `open`, or a limit that cannot be right.
        """
        limit = count_of(limit, "limit")
        desk = self._looked(symbol)
        return desk.orders.history(symbol, limit)

    def unresolved(self) -> list[Order]:
        """Orders that were sent and of which no answer came (`UNKNOWN`), by whatever process."""
        return [order for order in self._looked().orders.open() if order.status is OrderStatus.UNKNOWN]

    def _looked(self, symbol: str | None = None) -> Desk:
        """Where it is kept, with what other processes have written down; without asking the exchange."""
        desk = self._desk()
        if symbol is not None:
            desk.instruments.check(symbol)
        desk.journaled.refresh()
        return desk

    def wait(self, order: OrderRef, *, until: str = "done", timeout: float = 30.0) -> Order:
        """The newest snapshot once the order is over, or at the deadline; polls in the caller's thread.

        Seldom while a stream with a private handler is live, which brings changes as they happen; often otherwise.
        `until="accepted"`: as soon as the exchange has judged it.

        Raises:
            InvalidArgument: another `until`, an order that is not known here, or a timeout that cannot be right.
        """
        if until not in ("done", "accepted"):
            raise InvalidArgument(f"until={until!r}: must be 'done' or 'accepted'", {"argument": "until"})

        def ready(snapshot: Order) -> bool:
            return snapshot.is_done if until == "done" else snapshot.is_definite

        desk = self._desk()
        deadline = desk.deadline(seconds_of(timeout, "timeout"))
        known, instrument = self._known(desk, order, deadline.left)
        pauses = chain(_POLL_S, repeat(_LAST_POLL_S))
        while not ready(known) and deadline.left > 0:
            if desk.orders.is_followed:
                pause = _FOLLOWED_POLL_S
            else:
                look(desk, known, instrument, deadline)
                pause = next(pauses)
            known = desk.orders.wait(known.client_order_id, ready, min(pause, deadline.left)) or known
            if desk.orders.is_followed and not ready(known) and deadline.left > 0:
                look(desk, known, instrument, deadline)  # streams have been known to fall silent
                known = desk.orders.get(known.client_order_id) or known
        return known

    def resolve(self, order: OrderRef | OutcomeUnknown, *, timeout: float = 30.0) -> Order:
        """Find out what became of an order until it is not `UNKNOWN`.

        One that the exchange has is seen within seconds, as a rule; that one never arrived takes a little over a minute
        from when it was sent to know.

        Raises:
            OutcomeUnknown: still not known after `timeout` seconds.
            InvalidArgument: an order that is not known here, or a timeout that cannot be right.
        """
        if isinstance(order, OutcomeUnknown):
            order = order.client_order_id or ""
        desk = self._desk()
        deadline = desk.deadline(seconds_of(timeout, "timeout"))
        known, instrument = self._known(desk, order, deadline.left)
        if known.status is OrderStatus.UNKNOWN:
            known = find_out(desk, known, instrument, deadline)
        if known.status is OrderStatus.UNKNOWN:
            known.raise_for_status()
        return known

    def on_change(self, handler: Callable[[Order], object]) -> Callable[[Order], object]:
        """Call `handler` with every change, whatever its source, in a thread of its own; none is dropped.

        Raises:
            InvalidType: not callable with one argument, or a coroutine function.
        """
        self._watchers().add(handler)
        return handler

    def off(self, handler: Callable[[Order], object]) -> None:
        """No more calls of `handler` begin."""
        self._watchers().remove(handler)

    @staticmethod
    def _known(desk: Desk, order: OrderRef, timeout: float) -> tuple[Order, Instrument]:
        client_order_id = desk.id_of(order)
        known = desk.known(client_order_id) or (order if isinstance(order, Order) else None)
        if known is None:
            text = f"order {client_order_id} is not known here: client.fetch_order() asks the exchange for it"
            raise InvalidArgument(text, {"argument": "order", "client_order_id": client_order_id})
        return known, desk.instrument(known.symbol, timeout)


class AccountQueries:
    """What is asked of the exchange about orders and fills; what comes back is merged into the store."""

    def __init__(self, desk: Desk, recorded: Callable[[], list[Order]]) -> None:
        self._desk = desk
        self._recorded = recorded  # orders that are open by the journal

    def order(self, client_order_id: str | None, order_id: str | None, symbol: str, timeout: float) -> Order:
        """One order, by either id."""
        deadline = self._desk.deadline(timeout)
        found = self._desk.find(self._desk.instrument(symbol, deadline.left), client_order_id, order_id, deadline)
        return self._kept([found])[0]

    def open_orders(self, symbol: str | None, timeout: float) -> list[Order]:
        """All open orders of a symbol or of the account, oldest first."""
        deadline = self._desk.deadline(timeout)
        instrument = None if symbol is None else self._desk.instrument(symbol, deadline.left)
        return self._kept(self._desk.open_orders(instrument, deadline))

    def orders(self, symbol: str, where: Where, limit: int, timeout: float) -> Page[Order]:
        """One page of the order history."""
        deadline = self._desk.deadline(timeout)
        instrument = self._desk.instrument(symbol, deadline.left)
        at = self._desk.gateway.server_now_ms()
        page = self._desk.call(self._desk.rest.fetch_orders(instrument, where, limit=limit, at=at), deadline.left)
        return Page(self._kept(page.items), page.next, page.more)

    def fills(self, symbol: str, where: Where, *, order_id: str | None, limit: int, timeout: float) -> Page[Fill]:
        """One page of the account's fills, or of one order's."""
        deadline = self._desk.deadline(timeout)
        instrument = self._desk.instrument(symbol, deadline.left)
        call = self._desk.rest.fetch_fills(
            instrument, where, order_id=order_id, limit=limit, at=self._desk.gateway.server_now_ms()
        )
        page = self._desk.call(call, deadline.left)
        named = [replace(fill, client_order_id=self._name(symbol, fill)) for fill in page.items]
        return Page(named, page.next, page.more)

    def _name(self, symbol: str, fill: Fill) -> str | None:
        return self._desk.orders.name_of(symbol, fill.order_id) or fill.client_order_id

    def _kept(self, orders: list[Order]) -> list[Order]:
        absence = self._desk.doubts.absence
        if absence is not None and absence.renames:
            self._name_ours({order.order_id for order in orders if order.status is OrderStatus.CANCELED})
        return [self._desk.orders.apply(order) for order in orders]

    def _name_ours(self, canceled: set[str | None]) -> None:
        """Those of another process are in the journal alone; a cancel may have given them names that nobody knows."""
        with suppress(JournalUnavailable):  # what the exchange says can be told without it
            for order in self._recorded() if canceled else ():
                if order.order_id is not None and order.order_id in canceled:
                    self._desk.orders.recall(order)
