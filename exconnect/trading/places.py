"""Placing an order, once: everything that sends a new one goes through here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from exconnect.errors import DuplicateOrder, ExchangeError, ExconnectError, InsufficientFunds, OutcomeUnknown
from exconnect.model.enums import OrderStatus, OrderType, Side
from exconnect.model.order import Order, PlaceOrder
from exconnect.trading.intents import halted
from exconnect.trading.outcomes import Outcomes, rejected
from exconnect.trading.prices import check_market_order
from exconnect.trading.reconcile import Resolver, as_unknown, find_out, find_out_all, tell_found
from exconnect.trading.risk import RiskCheck, RiskView, run_checks, take_back

if TYPE_CHECKING:
    from exconnect.gateway import Attempt
    from exconnect.model.account import Balances
    from exconnect.model.instrument import Instrument
    from exconnect.protocol.call import Call
    from exconnect.trading.desk import Deadline, Desk
    from exconnect.trading.intents import IntentLog
    from exconnect.trading.recovery import Recovery

log = logging.getLogger("exconnect.orders")

SENDING = 0.85  # the part of the time in which an order may be answered: of the default, above the exchange's 10 s


class Ready(Struct, frozen=True):
    """An order that everything here allows, written down, with the call that sends it."""

    command: PlaceOrder
    order: Order
    instrument: Instrument
    call: Call[Order]


class Sending:
    """Writes an attempt down for each order in it, right before it leaves, or refuses."""

    def __init__(self, intents: IntentLog, client_order_ids: Sequence[str]) -> None:
        self._intents = intents
        self._ids = client_order_ids
        self.has_begun = False

    def __call__(self, attempt: Attempt) -> None:
        """An attempt is about to leave."""
        first, *others = self._ids
        self._intents.attempt(first, attempt, *others)
        self.has_begun = True


class Places:
    """Places orders of one account."""

    def __init__(
        self,
        desk: Desk,
        intents: IntentLog,
        recovery: Recovery,
        resolver: Resolver,
        outcomes: Outcomes,
        *,
        checks: tuple[RiskCheck, ...],
        new_id: Callable[[], str],
        keyed_id: Callable[[str], str],
        last_price: Callable[[Instrument, float], Decimal | None],
        seen_price: Callable[[str], Decimal | None],
        balances: Callable[[], Balances],
    ) -> None:
        self._desk = desk
        self._intents = intents
        self._recovery = recovery
        self._resolver = resolver
        self._outcomes = outcomes
        self._checks = checks
        self._new_id = new_id
        self._keyed_id = keyed_id
        self._last_price = last_price
        self._seen_price = seen_price
        self._balances = balances

    def place(self, command: PlaceOrder, timeout: float) -> Order:
        """Send an order once, and give what is known of it; see `Client.place_order`."""
        deadline = self._desk.deadline(timeout)
        ready = self.prepare(command, deadline)
        return ready if isinstance(ready, Order) else self._send(ready, deadline)

    def prepare(self, command: PlaceOrder, deadline: Deadline) -> Ready | Order:
        """An order that may leave now, or the one that its id stands for already, which is not sent again."""
        client_order_id = self._id(command)
        try:
            return self._prepared(command, client_order_id, deadline)
        except ExconnectError as error:
            error.add(client_order_id=client_order_id, symbol=command.symbol)
            raise

    def _prepared(self, command: PlaceOrder, client_order_id: str, deadline: Deadline) -> Ready | Order:
        self._recovery.begin(deadline)
        is_new = command.client_order_id is None and command.idempotency_key is None
        instrument = self.admit(command, deadline, is_new=is_new)
        order = pending(self._desk.exchange, command, client_order_id, self._desk.env.wall())
        try:
            call = self._desk.rest.place_order(command, instrument, order.client_order_id)
            known = self._intents.intend(order, command, is_new=is_new)
            if known is not None and self._desk.journaled.is_left(client_order_id):
                self._recovery.take_over()  # that process died while this one ran
                known = self._intents.intend(order, command, is_new=is_new)
        except ExconnectError:
            take_back(self._checks, command)
            raise
        if known is not None:
            take_back(self._checks, command)  # nothing leaves
            return self._again(known, instrument, deadline)
        return Ready(command, self._desk.orders.begin(order), instrument, call)

    def _id(self, command: PlaceOrder) -> str:
        if command.idempotency_key is not None:
            return self._keyed_id(command.idempotency_key)
        return command.client_order_id or self._new_id()

    def validate(self, command: PlaceOrder, timeout: float) -> Order:
        """Every check here and the exchange's own test call; nothing is placed."""
        deadline = self._desk.deadline(timeout)
        instrument = self.admit(command, deadline)
        take_back(self._checks, command)
        client_order_id = self._id(command)
        self._desk.call(self._desk.rest.validate_order(command, instrument, client_order_id), deadline.left)
        order = pending(self._desk.exchange, command, client_order_id, self._desk.env.wall())
        return replace(order, status=OrderStatus.NEVER_SENT)

    def admit(self, command: PlaceOrder, deadline: Deadline, *, is_new: bool = False) -> Instrument:
        """The instrument, if an order may leave as it is: its filters, the halt and the risk checks allow it.

        `is_new`: its id was made just now, so that nothing but its attempt will be written of it.
        """
        instrument = self._desk.instrument(command.symbol, deadline.left)
        instrument.check(command)
        if command.type is OrderType.MARKET:
            seen = self._seen_price(command.symbol)
            if seen is not None:
                check_market_order(instrument, command, seen)
        # The attempt asks for a halt once more, and costs nothing extra for that.
        halt = self._intents.halt_heard() if is_new else self._intents.halt_state()
        if halt is not None:
            raise halted(halt)
        if self._checks:
            run_checks(self._checks, command, self._view(command, instrument, deadline))
        return instrument

    def _view(self, command: PlaceOrder, instrument: Instrument, deadline: Deadline) -> RiskView:
        def price() -> Decimal | None:
            return self._last_price(instrument, deadline.left) if command.price is None else command.price

        orders = self._desk.orders.open()
        return RiskView(instrument, orders, self._balances(), self._desk.env.wall(), price)

    def _again(self, known: Order, instrument: Instrument, deadline: Deadline) -> Order:
        """The same wish once more: nothing is sent, what became of the first is told."""
        order = self._desk.orders.begin(known)
        if not order.is_definite:
            # In flight in another thread or process, or without an answer: it may turn up at any moment.
            order = self._found_or_recorded(order, instrument, deadline)
        return self._outcomes.known(order, instrument, "place_order").raise_for_status()

    def _found_or_recorded(self, order: Order, instrument: Instrument, deadline: Deadline) -> Order:
        order = find_out(self._desk, order, instrument, deadline)
        recorded = None if order.is_definite else self._intents.get(order.client_order_id)
        return order if recorded is None else self._desk.orders.recall(recorded)

    def _send(self, ready: Ready, deadline: Deadline) -> Order:
        sending = self.sending((ready,))
        try:
            # What is left of the time belongs to finding out, should no answer come.
            answer = self._desk.gateway.execute(ready.call, deadline.left * SENDING, sending)
        except ExconnectError as error:
            return self.unplaced(ready, error, deadline)
        except BaseException:
            self.interrupted(ready, sending)
            raise
        return self.placed(ready, answer)

    def sending(self, orders: Sequence[Ready]) -> Sending:
        """What must happen right before these orders leave."""
        return Sending(self._intents, [ready.order.client_order_id for ready in orders])

    def placed(self, ready: Ready, answer: Order) -> Order:
        """The exchange has it."""
        order = self._desk.orders.apply(replace(answer, client_order_id=ready.order.client_order_id))
        self._resolver.acknowledged(order, ready.instrument)
        return order

    def search(self, orders: Sequence[Ready], deadline: Deadline) -> None:
        """Look for several of which no answer came, together: one that is missing must not keep the others waiting."""
        lost = [self._desk.orders.apply(as_unknown(ready.order)) for ready in orders]
        find_out_all(self._desk, lost, deadline)

    def unplaced(self, ready: Ready, error: ExconnectError, deadline: Deadline) -> Order:
        """What became of an order whose answer is an error, if that can be found out.

        Raises:
            ExconnectError: `error`; `OutcomeUnknown` if it is still open what became of the order.
        """
        order, instrument = ready.order, ready.instrument
        if isinstance(error, OutcomeUnknown) or _is_there_already(ready, error):
            log.warning("order %s of %s: %s; it is looked for", order.client_order_id, order.symbol, error.message)
            unknown = self._desk.orders.apply(as_unknown(order))
            found = find_out(self._desk, unknown, instrument, deadline)
            tell_found(found)
            is_named = ready.command.client_order_id is not None or ready.command.idempotency_key is not None
            return self._outcomes.told(found, instrument, "place_order", is_named=is_named)
        if isinstance(error, ExchangeError):
            if isinstance(error, InsufficientFunds):
                error.add(asset=instrument.quote if order.side is Side.BUY else instrument.base)
            self._desk.orders.apply(rejected(order, error))
        else:
            take_back(self._checks, ready.command)
            self._desk.orders.apply(replace(order, status=OrderStatus.NEVER_SENT))
        raise error

    def interrupted(self, ready: Ready, sending: Sending) -> None:
        """Ctrl-C or a task's time limit in the middle of a send: what became of an order that left is not known."""
        order = ready.order
        if sending.has_begun:
            log.warning(
                "order %s of %s: interrupted while it was sent; it may exist", order.client_order_id, order.symbol
            )
        self._desk.orders.apply(
            as_unknown(order) if sending.has_begun else replace(order, status=OrderStatus.NEVER_SENT)
        )


def _is_there_already(ready: Ready, error: ExconnectError) -> bool:
    """Whether the exchange refuses an id that was made here as one that it has.

    Nobody else makes it: an attempt before, which was answered with a refusal or made elsewhere, was executed.
    """
    return isinstance(error, DuplicateOrder) and ready.command.client_order_id is None


def pending(exchange: str, command: PlaceOrder, client_order_id: str, now: datetime) -> Order:
    """The order as it is before it leaves."""
    return Order(
        exchange=exchange,
        client_order_id=client_order_id,
        symbol=command.symbol,
        side=command.side,
        type=command.type,
        status=OrderStatus.PENDING_NEW,
        quantity=command.quantity,
        quote_quantity=command.quote_quantity,
        price=command.price,
        stop_price=command.stop_price,
        time_in_force=command.time_in_force,
        post_only=command.post_only,
        created_at=now,
        updated_at=now,
        idempotency_key=command.idempotency_key,
    )
