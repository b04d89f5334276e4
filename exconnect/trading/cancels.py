"""Canceling one order, until it is over or nobody can know."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import Struct

from exconnect.errors import (
    ClientClosed,
    ExchangeError,
    ExconnectError,
    OrderNotFound,
    OutcomeUnknown,
)
from exconnect.model.enums import OrderStatus, OrderType, Side
from exconnect.model.order import CancelOrder, Order
from exconnect.trading.outcomes import LOOKS_S, Answer, Outcomes, naming, repeated
from exconnect.trading.reconcile import Resolver, look

if TYPE_CHECKING:
    from exconnect.model.instrument import Instrument
    from exconnect.trading.desk import Deadline, Desk

log = logging.getLogger("exconnect.orders")

_RECANCEL_S = (0.5, 1.0, 2.0)
_BEHIND_S, _AGAIN_S = 10.0, 2.0  # for a cancel in the background, and before it is tried again
_NOT_YET = (
    "the exchange knows no open order {id}, but what became of its place is unknown too, and it may still arrive or be "
    "filled and not shown yet. If it turns out to be open while this client is, it is canceled in the background; "
    "canceling it again is safe"
)


class Canceling(Struct, frozen=True):
    """An order that shall be no more, and what is known of it."""

    client_order_id: str
    instrument: Instrument
    known: Order | None

    def order(self, exchange: str) -> Order:
        """The order, even if no more of it is known than that somebody wants it gone."""
        return self.known or _stub(exchange, self.client_order_id, self.instrument.symbol)


class Cancels:
    """Cancels orders of one account, one at a time."""

    def __init__(self, desk: Desk, resolver: Resolver, outcomes: Outcomes) -> None:
        self._desk = desk
        self._resolver = resolver
        self._outcomes = outcomes
        self._behind: set[str] = set()  # orders that are being canceled in the background

    def cancel(self, cancel: CancelOrder, timeout: float) -> Order:
        """What the order became; see `Client.cancel_order`."""
        deadline = self._desk.deadline(timeout)
        with naming(cancel):
            return self.canceled(self.canceling(cancel, deadline), deadline)

    def canceling(self, cancel: CancelOrder, deadline: Deadline) -> Canceling:
        """What shall be canceled."""
        client_order_id, symbol, known = self._desk.place_of(cancel.order, cancel.symbol)
        return Canceling(client_order_id, self._desk.instrument(symbol, deadline.left), known)

    def canceled(self, canceling: Canceling, deadline: Deadline, answer: Answer | None = None) -> Order:
        """What the order becomes; a cancel is sent, unless one was and `answer` tells what came of that."""
        client_order_id, instrument, known = canceling.client_order_id, canceling.instrument, canceling.known
        was_sent, words, pauses = False, "", repeated(_RECANCEL_S)
        while True:
            found = None
            try:
                if answer is None or was_sent:
                    found = self._cancel_once(client_order_id, known, instrument, deadline)
                else:
                    answer()
                    found = self.followed(canceling.order(self._desk.exchange), instrument, deadline)
            except OrderNotFound:
                found = self._after_not_found(client_order_id, known, instrument, deadline)
                words = _NOT_YET if known is not None and known.status is OrderStatus.UNKNOWN else ""
            except ExchangeError:
                raise
            except ExconnectError as error:
                if not was_sent and not isinstance(error, OutcomeUnknown):
                    raise
                if isinstance(error, ClientClosed):
                    deadline = self._desk.deadline(0.0)  # no answer will come any more
            was_sent = True
            known = self._desk.orders.get(client_order_id) or found or known
            if found is not None and known is not None and known.is_done:
                return known
            if deadline.left <= 0:
                order = known or canceling.order(self._desk.exchange)
                if known is not None:
                    self._resolver.refuse(order, self.cancel_behind)
                raise self._outcomes.unknown(order, instrument, "cancel_order", words)
            self._desk.env.sleep(min(next(pauses), deadline.left))

    def _cancel_once(
        self, client_order_id: str, known: Order | None, instrument: Instrument, deadline: Deadline
    ) -> Order | None:
        order_id = None if known is None else known.order_id
        call = self._desk.rest.cancel_order(instrument, client_order_id=client_order_id, order_id=order_id, known=known)
        canceled = self._desk.call(call, deadline.left)
        if canceled is None:
            order = known or _stub(self._desk.exchange, client_order_id, instrument.symbol)
            return self.followed(order, instrument, deadline)
        return self._desk.orders.apply(replace(canceled, client_order_id=client_order_id))

    def followed(self, order: Order, instrument: Instrument, deadline: Deadline) -> Order | None:
        """What becomes of an order whose cancel was only acknowledged; None or open: cancel it again."""
        found = self._outcomes.heard(order, lambda known: known.is_done, deadline)
        if found is not None:
            return found
        for pause in LOOKS_S:
            found = look(self._desk, order, instrument, deadline) or found
            if deadline.left <= 0 or (found is not None and found.is_done):
                break
            self._desk.env.sleep(min(pause, deadline.left))
        return found

    def _after_not_found(
        self, client_order_id: str, known: Order | None, instrument: Instrument, deadline: Deadline
    ) -> Order | None:
        """An exchange that knows no such open order: over, never there, not there yet, or not to be seen yet?"""
        if known is None or known.status is OrderStatus.NEVER_SENT:
            return self._desk.find(instrument, client_order_id, None, deadline)
        found = look(self._desk, known, instrument, deadline)
        return known if found is None and known.status is OrderStatus.NOT_ACCEPTED else found

    def cancel_behind(self, order: Order) -> None:
        """Cancel it in the background, until it is done: nobody waits for that."""
        name = order.client_order_id

        def cancel() -> None:
            try:
                self.cancel(CancelOrder(order), _BEHIND_S)
            except (ClientClosed, OrderNotFound, OutcomeUnknown):
                pass  # after the last of these the resolver has it
            except ExconnectError as error:
                log.warning("order %s could not be canceled, trying again: %s", name, error)
                self._resolver.later(cancel, _AGAIN_S)
                return
            self._behind.discard(name)

        if name not in self._behind:
            self._behind.add(name)
            self._resolver.later(cancel)


def _stub(exchange: str, client_order_id: str, symbol: str) -> Order:
    return Order(
        exchange=exchange,
        client_order_id=client_order_id,
        symbol=symbol,
        side=Side.UNKNOWN,
        type=OrderType.UNKNOWN,
        status=OrderStatus.UNKNOWN,
    )
