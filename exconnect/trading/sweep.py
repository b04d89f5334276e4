"""Canceling all that is open, and looking until nothing is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from exconnect.errors import (
    ExconnectError,
    JournalUnavailable,
    OrderNotFound,
    OutcomeUnknown,
    RateLimited,
    UnknownSymbol,
    WouldExceedLimit,
)
from exconnect.model.enums import OrderStatus, Outcome
from exconnect.protocol.call import Lane
from exconnect.trading.reconcile import look

if TYPE_CHECKING:
    from exconnect.model.instrument import Instrument
    from exconnect.model.order import Order
    from exconnect.trading.desk import Deadline, Desk

_FLAT_S = 2.0  # between cancels of what may still arrive
_LOOKS_APART_S = 0.25


class _Swept(Struct):
    """What has come of the cancels so far."""

    gone: dict[str, Order]  # was open, or was canceled
    has_sent: bool = False


class Sweep:
    """Cancels every open order of a symbol or of the account.

    `follow` waits for what an order becomes whose cancel was only acknowledged; `take_over` brings in what is open by
    the journal.
    """

    def __init__(
        self,
        desk: Desk,
        follow: Callable[[Order, Instrument, Deadline], Order | None],
        take_over: Callable[[], None],
    ) -> None:
        self._desk = desk
        self._follow = follow
        self._take_over = take_over

    def cancel_all(self, symbol: str | None, timeout: float) -> list[Order]:
        """Cancel, then look until nothing is open on two looks; see `Client.cancel_all_orders`."""
        deadline = self._desk.deadline(timeout)
        swept = _Swept({})
        try:
            self._clear(symbol, swept, deadline)
        except ExconnectError as error:
            is_cut_short = isinstance(error, WouldExceedLimit) or deadline.left <= 0
            if not swept.has_sent or not is_cut_short or error.outcome is Outcome.REJECTED:
                raise
            raise self._not_sure(symbol, list(swept.gone.values()), set()) from error
        ended = [self._ended(order, deadline) for order in swept.gone.values()]
        doubtful = [order for order in ended if order.is_open]
        if doubtful:
            raise self._not_sure(symbol, doubtful, set())
        self._look_for_ended(symbol, deadline)
        return [order for order in ended if order.status is OrderStatus.CANCELED]

    def _clear(self, symbol: str | None, swept: _Swept, deadline: Deadline) -> None:
        """Until nothing is open on two looks."""
        empty_looks, unseen = 0, self._may_be_open(symbol)
        while True:
            coming = self._coming(symbol, deadline)  # before the look: whoever may not open any more is in it
            left, has_looked = self._look_for_open(symbol, deadline)
            symbols = {order.symbol for order in left} | coming
            swept.gone |= {order.client_order_id: order for order in left}
            self._sweep(symbols | unseen, swept, deadline)
            unseen = set()
            empty_looks = empty_looks + 1 if has_looked and not left else 0
            if empty_looks >= 2 and not coming:
                return
            if deadline.left <= 0:
                raise self._not_sure(symbol, left, coming)
            self._desk.env.sleep(min(_FLAT_S if coming and not left else _LOOKS_APART_S, deadline.left))

    def _may_be_open(self, symbol: str | None) -> set[str]:
        """Symbols to cancel whatever a read says, which may not show yet what has just been placed."""
        with suppress(JournalUnavailable):  # cancels go on without one
            self._take_over()
        return {symbol} if symbol is not None else {order.symbol for order in self._desk.orders.open()}

    def _look_for_open(self, symbol: str | None, deadline: Deadline) -> tuple[list[Order], bool]:
        """What is open, and whether the exchange said so: if it does not answer, what is known here must do."""
        try:
            return self._open(symbol, self._desk.deadline(deadline.left / 3)), True  # time to cancel is left
        except ExconnectError as error:
            if not error.retryable or self._desk.is_stopped():
                raise
            known = self._desk.orders.open(symbol)
            return [order for order in known if order.order_id is not None], False

    def _open(self, symbol: str | None, deadline: Deadline) -> list[Order]:
        instrument = None if symbol is None else self._desk.instrument(symbol, deadline.left)
        return self._desk.open_orders(instrument, deadline)

    def _coming(self, symbol: str | None, deadline: Deadline) -> set[str]:
        """Symbols of orders that were sent, are without an answer, and may yet open."""
        desk = self._desk
        sent = [o for o in desk.orders.open(symbol) if o.status in (OrderStatus.UNKNOWN, OrderStatus.PENDING_NEW)]
        if not any(map(desk.doubts.may_be_overtaken, sent)):
            return set()
        desk.ask_time(deadline, Lane.CANCEL)  # a cancel waits for it
        return {order.symbol for order in sent if desk.doubts.may_be_overtaken(order)}

    def _sweep(self, symbols: set[str], swept: _Swept, deadline: Deadline) -> None:
        refused: ExconnectError | None = None
        for symbol in sorted(symbols):
            try:
                self._sweep_symbol(symbol, swept, deadline)
            except UnknownSymbol:
                continue  # of an order of long ago: nothing of it can be open any more
            except ExconnectError as error:
                if error.outcome is not Outcome.REJECTED or isinstance(error, RateLimited):
                    raise
                refused = error  # what is open of the other symbols goes all the same
        if refused is not None:
            raise refused

    def _sweep_symbol(self, symbol: str, swept: _Swept, deadline: Deadline) -> None:
        instrument = self._desk.instrument(symbol, deadline.left)
        for call in self._desk.rest.cancel_all_orders(instrument):
            orders: list[Order] = []
            with suppress(OrderNotFound):  # nothing was open
                orders = self._desk.call(call, deadline.left)
            swept.has_sent = True
            for order in orders:
                kept = self._desk.orders.apply(order)
                swept.gone[kept.client_order_id] = kept

    def _ended(self, order: Order, deadline: Deadline) -> Order:
        """What became of an order that is not open any more, where the sweep has not told."""
        while not order.is_done:
            instrument = self._desk.instrument(order.symbol, max(deadline.left, 0.001))
            order = self._follow(order, instrument, deadline) or order
            if deadline.left <= 0:
                break
        return order

    def _look_for_ended(self, symbol: str | None, deadline: Deadline) -> None:
        """What was open here and nowhere else ended before: see how, as far as there is time."""
        if self._desk.orders.is_followed:
            return  # it was told of, or will be
        until = self._desk.deadline(deadline.left / 2)
        for order in self._desk.orders.open(symbol):
            if order.order_id is not None and until.left > 0:
                with suppress(ExconnectError):  # that nothing is open is known already
                    look(self._desk, order, self._desk.instrument(order.symbol, until.left), until)

    def _not_sure(self, symbol: str | None, left: list[Order], coming: set[str]) -> OutcomeUnknown:
        ids = ", ".join(order.client_order_id for order in left[:5]) or "none"
        more = (
            f"; sent without an answer, and may still arrive: orders of {', '.join(sorted(coming))}" if coming else ""
        )
        message = f"cancel_all_orders could not be sure in time that nothing is open (seen open: {ids}{more})"
        return OutcomeUnknown(
            message, {"symbol": symbol, "exchange": self._desk.exchange, "operation": "cancel_all_orders"}
        )
