"""The write path: place, amend, cancel. Everything that changes money goes through here, once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import chain, repeat
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from exconnect.errors import (
    AmendRefused,
    ClientClosed,
    ExchangeError,
    ExconnectError,
    InsufficientFunds,
    JournalUnavailable,
    OrderNotFound,
    OrderRejected,
    OutcomeUnknown,
    RateLimited,
    TransportError,
    WouldExceedLimit,
)
from exconnect.model.enums import OrderStatus, OrderType, Side, Source
from exconnect.model.order import AmendOrder, CancelOrder, Order, PlaceOrder, client_id_of
from exconnect.trading.intents import halted
from exconnect.trading.prices import check_market_order
from exconnect.trading.reconcile import Resolver, as_unknown, find_out, find_out_all, look
from exconnect.trading.risk import RiskCheck, RiskView, run_checks, take_back

if TYPE_CHECKING:
    from exconnect.gateway import Attempt
    from exconnect.model.account import Balances
    from exconnect.model.instrument import Instrument
    from exconnect.protocol.call import Call
    from exconnect.trading.desk import Deadline, Desk
    from exconnect.trading.intents import IntentLog, Known

T = TypeVar("T")

log = logging.getLogger("exconnect.orders")

SENDING = 0.85  # the part of the time in which an order may be answered: of the default, above the exchange's 10 s
_RECANCEL_S = (0.5, 1.0, 2.0)
_BEHIND_S, _AGAIN_S = 10.0, 2.0  # for a cancel in the background, and before it is tried again
_FLAT_S = 2.0  # between cancels of what may still arrive
_LOOKS_APART_S = 0.25
_UNCLEAR = {
    "place_order": (
        "what became of order {id} is unknown. resolve() or client.orders.resolve() finds out; do not send it again"
    ),
    "amend_order": (
        "whether order {id} was changed is unknown. fetch_order() shows how it is; amending it again is safe"
    ),
    "cancel_order": (
        "order {id} may still be open. While this client is open the canceling goes on in the background; canceling it "
        "again is safe"
    ),
}
_NOT_YET = (
    "the exchange knows no open order {id}, but what became of its place is unknown too, and it may still arrive or be "
    "filled and not shown yet. If it turns out to be open while this client is, it is canceled in the background; "
    "canceling it again is safe"
)
_ACKNOWLEDGED_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # between looks for what was acknowledged and is to happen soon
_HEARD_S = 0.25  # in which a live stream tells what became of what was acknowledged


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
        for client_order_id in self._ids:
            self._intents.attempt(client_order_id, attempt)
        self.has_begun = True


class Amending(Struct, frozen=True):
    """A change of an open order that everything here allows, with the call that sends it."""

    order: Order
    amend: AmendOrder
    command: PlaceOrder  # the order as it would be then
    instrument: Instrument
    call: Call[Order | None]

    @property
    def is_in_place(self) -> bool:
        """Whether the order stays the same one."""
        return self.call.client_order_id == self.order.client_order_id


class Canceling(Struct, frozen=True):
    """An order that shall be no more, and what is known of it."""

    client_order_id: str
    instrument: Instrument
    known: Order | None

    def order(self, exchange: str) -> Order:
        """The order, even if no more of it is known than that somebody wants it gone."""
        return self.known or _stub(exchange, self.client_order_id, self.instrument.symbol)


# What a call for several has said of one of them: None if it is acknowledged; raises if it was refused, or not told.
Answer = Callable[[], None]


class Commands:
    """Places, amends and cancels for one account."""

    def __init__(
        self,
        desk: Desk,
        *,
        intents: IntentLog,
        checks: tuple[RiskCheck, ...],
        new_id: Callable[[], str],
        keyed_id: Callable[[str], str],
        resolver: Resolver,
        last_price: Callable[[Instrument, float], Decimal | None],
        seen_price: Callable[[str], Decimal | None],
        balances: Callable[[], Balances],
        recall: Callable[[], None],
    ) -> None:
        self._desk = desk
        self._intents = intents
        self._checks = checks
        self._new_id = new_id
        self._keyed_id = keyed_id
        self._resolver = resolver
        self._last_price = last_price
        self._seen_price = seen_price
        self._balances = balances
        self._recall = recall
        self._is_recovered = False
        self._behind: set[str] = set()  # orders that are being canceled in the background

    # ------------------------------------------------------------ place

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
        self._first(deadline)
        instrument = self._admit(command, deadline)
        order = _pending(self._desk.exchange, command, client_order_id, self._desk.env.wall())
        try:
            call = self._desk.rest.place_order(command, instrument, order.client_order_id)
            is_new = command.client_order_id is None and command.idempotency_key is None
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
        instrument = self._admit(command, deadline)
        take_back(self._checks, command)
        client_order_id = self._id(command)
        self._desk.call(self._desk.rest.validate_order(command, instrument, client_order_id), deadline.left)
        order = _pending(self._desk.exchange, command, client_order_id, self._desk.env.wall())
        return replace(order, status=OrderStatus.NEVER_SENT)

    def _admit(self, command: PlaceOrder, deadline: Deadline) -> Instrument:
        instrument = self._desk.instrument(command.symbol, deadline.left)
        instrument.check(command)
        if command.type is OrderType.MARKET:
            seen = self._seen_price(command.symbol)
            if seen is not None:
                check_market_order(instrument, command, seen)
        halt = self._intents.halt_state()
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

    def _again(self, known: Known, instrument: Instrument, deadline: Deadline) -> Order:
        """The same wish once more: nothing is sent, what became of the first is told."""
        order = self._desk.orders.begin(known.order)
        if not order.is_definite:
            # In flight in another thread or process, or without an answer: it may turn up at any moment.
            order = self._found_or_recorded(order, instrument, deadline)
        return self._known(order, instrument, "place_order").raise_for_status()

    def _found_or_recorded(self, order: Order, instrument: Instrument, deadline: Deadline) -> Order:
        order = find_out(self._desk, order, instrument, deadline)
        recorded = None if order.is_definite else self._intents.get(order.client_order_id)
        return order if recorded is None else self._desk.orders.apply(recorded)

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
        if isinstance(error, OutcomeUnknown):
            unknown = self._desk.orders.apply(as_unknown(order))
            return self._told(find_out(self._desk, unknown, instrument, deadline), instrument, "place_order")
        if isinstance(error, ExchangeError):
            if isinstance(error, InsufficientFunds):
                error.add(asset=instrument.quote if order.side is Side.BUY else instrument.base)
            self._desk.orders.apply(_rejected(order, error))
        else:
            take_back(self._checks, ready.command)
            self._desk.orders.apply(replace(order, status=OrderStatus.NEVER_SENT))
        raise error

    def interrupted(self, ready: Ready, sending: Sending) -> None:
        """Ctrl-C or a task's time limit in the middle of a send: what became of an order that left is not known."""
        order = ready.order
        self._desk.orders.apply(
            as_unknown(order) if sending.has_begun else replace(order, status=OrderStatus.NEVER_SENT)
        )

    def _told(self, order: Order, instrument: Instrument, operation: str) -> Order:
        """The order, or the honest error when it was refused, never arrived, or its fate is still open."""
        if order.status is OrderStatus.NOT_ACCEPTED:
            self._resolver.watch(order, instrument)
            message = (
                f"{operation} got no answer and never arrived: order {order.client_order_id} can no longer be accepted "
                "and is nowhere to be found. The wish may be sent again, under a new id or key"
            )
            raise TransportError(message, self._details(order, operation))
        return self._known(order, instrument, operation).raise_for_status()

    def _known(self, order: Order, instrument: Instrument, operation: str) -> Order:
        """The order, unless its fate is still open."""
        if order.status not in (OrderStatus.UNKNOWN, OrderStatus.PENDING_NEW):
            return order
        raise self._unknown(order, instrument, operation)

    def _details(self, order: Order, operation: str) -> dict[str, str]:
        return {
            "client_order_id": order.client_order_id,
            "symbol": order.symbol,
            "exchange": self._desk.exchange,
            "operation": operation,
        }

    def _unknown(self, order: Order, instrument: Instrument, operation: str, words: str = "") -> OutcomeUnknown:
        desk = self._desk
        self._resolver.watch(order, instrument)
        message = f"{operation} was sent and no clear answer came: {words or _UNCLEAR[operation]}".format(
            id=order.client_order_id
        )

        def resolve(timeout: float) -> Order:
            deadline = desk.deadline(timeout)
            if operation != "place_order":
                look(desk, order, instrument, deadline)  # what is known of it is from before
            return self._known(find_out(desk, order, instrument, deadline), instrument, operation)

        return OutcomeUnknown(message, self._details(order, operation)).bind(resolve)

    # ------------------------------------------------------------ amend

    def amend(self, amend: AmendOrder, timeout: float) -> Order:
        """Change an open order, in place where the exchange can; see `Client.amend_order`."""
        deadline = self._desk.deadline(timeout)
        with _naming(amend):
            return self.amended(self.amending(amend, deadline), deadline)

    def amending(self, amend: AmendOrder, deadline: Deadline) -> Amending:
        """A change that may be sent."""
        self._first(deadline)
        client_order_id, symbol, known = self._desk.place_of(amend.order, amend.symbol)
        instrument = self._desk.instrument(symbol, deadline.left)
        order = known if known is not None and known.order_id else self._fetch(client_order_id, instrument, deadline)
        if order.is_done:
            message = f"order {client_order_id} is {order.status.value}: only an open order can be amended"
            raise AmendRefused(message, {"client_order_id": client_order_id, "symbol": symbol})
        command = _amended(order, amend)
        self._admit(command, deadline)
        call = self._desk.rest.amend_order(order, amend, instrument, self._new_id())
        return Amending(order, amend, command, instrument, call)

    def amended(self, amending: Amending, deadline: Deadline, answer: Answer | None = None) -> Order:
        """What the order becomes; the change is sent, unless it was and `answer` tells what came of that."""
        order, amend, instrument = amending.order, amending.amend, amending.instrument
        if not amending.is_in_place:
            return self._replace(order, amending.command, amending.call, instrument, deadline)
        try:
            if answer is None:
                changed = self._desk.gateway.execute(amending.call, deadline.left, self.refuse_if_halted)
            else:
                changed = answer()
        except OutcomeUnknown:
            changed = None
        except OrderRejected as error:
            if not error.details.get("uncertain"):
                raise
            changed = None  # the refusal may be the echo of an attempt before it that was executed
        if changed is None:
            return self._amend_outcome(order, amend, instrument, deadline)
        return self._desk.orders.apply(replace(changed, client_order_id=order.client_order_id))

    def refuse_if_halted(self, _: Attempt) -> None:
        """An attempt to change an order is about to leave."""
        halt = self._intents.halt_state()
        if halt is not None:
            raise halted(halt)

    def _amend_outcome(self, order: Order, amend: AmendOrder, instrument: Instrument, deadline: Deadline) -> Order:
        # The values are absolute: the order itself tells whether they arrived.
        def is_there(known: Order) -> bool:
            return known.is_done or _is_amended(known, amend)

        found = self._heard(order, is_there, deadline)
        for pause in _repeated(_ACKNOWLEDGED_S):
            found = found or look(self._desk, order, instrument, deadline)
            if found is not None and is_there(found):
                return found
            if deadline.left <= 0:
                break
            self._desk.env.sleep(min(pause, deadline.left))
            found = None
        raise self._unknown(order, instrument, "amend_order")

    def _replace(
        self, old: Order, command: PlaceOrder, call: Call[Order | None], instrument: Instrument, deadline: Deadline
    ) -> Order:
        if old.filled_quantity:
            message = (
                f"order {old.client_order_id} is filled in part, and this exchange could only cancel and replace it: "
                "it was left as it is"
            )
            raise AmendRefused(message, {"client_order_id": old.client_order_id, "symbol": old.symbol})
        new_id = call.client_order_id or ""
        new = _pending(self._desk.exchange, command, new_id, self._desk.env.wall())
        new = replace(new, replaces=old.client_order_id)
        self._intents.intend(new, command, is_new=True)
        new = self._desk.orders.apply(new)
        sent = False

        def before_send(attempt: Attempt) -> None:
            nonlocal sent
            self._intents.attempt(new_id, attempt)
            sent = True

        try:
            placed = self._desk.gateway.execute(call, deadline.left * SENDING, before_send)
        except OutcomeUnknown:
            return self._replacement(old, new, instrument, deadline)
        except ExchangeError as error:
            if error.details.get("uncertain"):  # it may be the echo of an attempt before it that was executed
                return self._replacement(old, new, instrument, deadline)
            self._desk.orders.apply(_rejected(new, error))
            look(self._desk, old, instrument, deadline)
            raise
        except ExconnectError:
            self._desk.orders.apply(replace(new, status=OrderStatus.NEVER_SENT))
            raise
        except BaseException:
            self._desk.orders.apply(as_unknown(new) if sent else replace(new, status=OrderStatus.NEVER_SENT))
            raise
        if placed is None:
            return self._told(find_out(self._desk, new, instrument, deadline), instrument, "amend_order")
        self._desk.orders.apply(
            replace(old, status=OrderStatus.CANCELED, source=Source.REST, updated_at=placed.updated_at)
        )
        return self._desk.orders.apply(replace(placed, client_order_id=new_id, replaces=old.client_order_id))

    def _replacement(self, old: Order, new: Order, instrument: Instrument, deadline: Deadline) -> Order:
        """What became of both orders of a replacement without a clear answer."""
        new = self._desk.orders.apply(as_unknown(new))
        look(self._desk, old, instrument, deadline)
        return self._told(find_out(self._desk, new, instrument, deadline), instrument, "amend_order")

    def _fetch(self, client_order_id: str, instrument: Instrument, deadline: Deadline) -> Order:
        return self._desk.find(instrument, client_order_id, None, deadline)

    # ------------------------------------------------------------ cancel

    def cancel(self, cancel: CancelOrder, timeout: float) -> Order:
        """What the order became; see `Client.cancel_order`."""
        deadline = self._desk.deadline(timeout)
        with _naming(cancel):
            return self.canceled(self.canceling(cancel, deadline), deadline)

    def canceling(self, cancel: CancelOrder, deadline: Deadline) -> Canceling:
        """What shall be canceled."""
        client_order_id, symbol, known = self._target(cancel)
        return Canceling(client_order_id, self._desk.instrument(symbol, deadline.left), known)

    def canceled(self, canceling: Canceling, deadline: Deadline, answer: Answer | None = None) -> Order:
        """What the order becomes; a cancel is sent, unless one was and `answer` tells what came of that."""
        client_order_id, instrument, known = canceling.client_order_id, canceling.instrument, canceling.known
        was_sent, words, pauses = False, "", _repeated(_RECANCEL_S)
        while True:
            found = None
            try:
                if answer is None or was_sent:
                    found = self._cancel_once(client_order_id, known, instrument, deadline)
                else:
                    answer()
                    found = self._followed(canceling.order(self._desk.exchange), instrument, deadline)
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
                raise self._unknown(order, instrument, "cancel_order", words)
            self._desk.env.sleep(min(next(pauses), deadline.left))

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

    def _target(self, cancel: CancelOrder) -> tuple[str, str, Order | None]:
        """What shall be canceled: client order id, symbol, and what is known here or in the journal."""
        client_order_id = client_id_of(cancel.order)
        if self._desk.orders.get(client_order_id) is None:
            with suppress(JournalUnavailable):  # cancels go on without one
                recorded = self._intents.get(client_order_id)
                if recorded is not None:
                    self._desk.orders.apply(recorded)
                    self._take_over()
        return self._desk.place_of(cancel.order, cancel.symbol)

    def _cancel_once(
        self, client_order_id: str, known: Order | None, instrument: Instrument, deadline: Deadline
    ) -> Order | None:
        order_id = None if known is None else known.order_id
        call = self._desk.rest.cancel_order(instrument, client_order_id=client_order_id, order_id=order_id, known=known)
        canceled = self._desk.call(call, deadline.left)
        if canceled is None:
            order = known or _stub(self._desk.exchange, client_order_id, instrument.symbol)
            return self._followed(order, instrument, deadline)
        return self._desk.orders.apply(replace(canceled, client_order_id=client_order_id))

    def _followed(self, order: Order, instrument: Instrument, deadline: Deadline) -> Order | None:
        """What becomes of an order whose cancel was only acknowledged; None or open: cancel it again."""
        found = self._heard(order, lambda known: known.is_done, deadline)
        if found is not None:
            return found
        for pause in _ACKNOWLEDGED_S:
            found = look(self._desk, order, instrument, deadline) or found
            if deadline.left <= 0 or (found is not None and found.is_done):
                break
            self._desk.env.sleep(min(pause, deadline.left))
        return found

    def _heard(self, order: Order, ready: Callable[[Order], bool], deadline: Deadline) -> Order | None:
        """What a live stream tells soon after an acknowledgement, without asking; None if it does not."""
        if not self._desk.orders.is_followed:
            return None
        known = self._desk.orders.wait(order.client_order_id, ready, min(_HEARD_S, deadline.left))
        return known if known is not None and ready(known) else None

    def _after_not_found(
        self, client_order_id: str, known: Order | None, instrument: Instrument, deadline: Deadline
    ) -> Order | None:
        """An exchange that knows no such open order: over, never there, not there yet, or not to be seen yet?"""
        if known is None or known.status is OrderStatus.NEVER_SENT:
            return self._desk.find(instrument, client_order_id, None, deadline)
        found = look(self._desk, known, instrument, deadline)
        return known if found is None and known.status is OrderStatus.NOT_ACCEPTED else found

    def cancel_all(self, symbol: str | None, timeout: float) -> list[Order]:
        """Cancel, then look until nothing is open on two looks; see `Client.cancel_all_orders`."""
        deadline = self._desk.deadline(timeout)
        gone: dict[str, Order] = {}
        try:
            self._clear(symbol, gone, deadline)
        except WouldExceedLimit as error:
            if not gone:
                raise  # nothing was sent
            raise self._not_sure(symbol, list(gone.values()), set()) from error
        ended = [self._ended(order, deadline) for order in gone.values()]
        self._look_for_ended(symbol, deadline)
        return [order for order in ended if order.status is OrderStatus.CANCELED]

    def _clear(self, symbol: str | None, gone: dict[str, Order], deadline: Deadline) -> None:
        """Until nothing is open on two looks; what was open or canceled is put into `gone` when a cancel has left."""
        empty_looks = 0
        while True:
            coming = self._coming(symbol, deadline)  # before the look: whoever may not open any more is in it
            left, has_looked = self._look_for_open(symbol, deadline)
            swept = {order.symbol for order in left} | coming
            if not left and symbol is not None and not gone and not empty_looks:
                swept.add(symbol)  # what the read does not show yet
            canceled = self._sweep(swept, deadline)
            gone |= {order.client_order_id: order for order in left} | canceled
            empty_looks = empty_looks + 1 if has_looked and not left else 0
            if empty_looks >= 2 and not coming:
                return
            if deadline.left <= 0:
                raise self._not_sure(symbol, left, coming)
            self._desk.env.sleep(min(_FLAT_S if coming and not left else _LOOKS_APART_S, deadline.left))

    def _look_for_ended(self, symbol: str | None, deadline: Deadline) -> None:
        """What was open here and nowhere else ended before: see how, as far as there is time."""
        if self._desk.orders.is_followed:
            return  # it was told of, or will be
        until = self._desk.deadline(deadline.left / 2)
        for order in self._desk.orders.open(symbol):
            if order.order_id is not None and until.left > 0:
                with suppress(ExconnectError):  # that nothing is open is known already
                    look(self._desk, order, self._desk.instrument(order.symbol, until.left), until)

    def _look_for_open(self, symbol: str | None, deadline: Deadline) -> tuple[list[Order], bool]:
        """What is open, and whether the exchange said so: if it does not answer, what is known here must do."""
        try:
            return self._open(symbol, self._desk.deadline(deadline.left / 3)), True  # time to cancel is left
        except (RateLimited, WouldExceedLimit):
            raise  # asking again would make it worse, and cancels are refused as well
        except ExconnectError as error:
            if not error.retryable:
                raise
            known = self._desk.orders.open(symbol)
            return [order for order in known if order.order_id is not None], False

    def _coming(self, symbol: str | None, deadline: Deadline) -> set[str]:
        """Symbols of orders that were sent, are without an answer, and may yet open."""
        desk = self._desk
        sent = [o for o in desk.orders.open(symbol) if o.status in (OrderStatus.UNKNOWN, OrderStatus.PENDING_NEW)]
        if not any(map(desk.doubts.may_be_overtaken, sent)):
            return set()
        desk.ask_time(deadline)
        return {order.symbol for order in sent if desk.doubts.may_be_overtaken(order)}

    def _ended(self, order: Order, deadline: Deadline) -> Order:
        """What became of an order that is not open any more, where the sweep has not told."""
        if order.is_done:
            return order
        instrument = self._desk.instrument(order.symbol, max(deadline.left, 0.001))
        return self._followed(order, instrument, deadline) or order

    def _open(self, symbol: str | None, deadline: Deadline) -> list[Order]:
        instrument = None if symbol is None else self._desk.instrument(symbol, deadline.left)
        return self._desk.open_orders(instrument, deadline)

    def _sweep(self, symbols: set[str], deadline: Deadline) -> dict[str, Order]:
        canceled: dict[str, Order] = {}
        for symbol in sorted(symbols):
            instrument = self._desk.instrument(symbol, deadline.left)
            for call in self._desk.rest.cancel_all_orders(instrument):
                try:
                    orders = self._desk.call(call, deadline.left)
                except OrderNotFound:
                    continue  # nothing was open
                for order in orders:
                    kept = self._desk.orders.apply(order)
                    canceled[kept.client_order_id] = kept
        return canceled

    def _not_sure(self, symbol: str | None, left: list[Order], coming: set[str]) -> OutcomeUnknown:
        ids = ", ".join(order.client_order_id for order in left[:5]) or "none"
        more = (
            f"; sent without an answer, and may still arrive: orders of {', '.join(sorted(coming))}" if coming else ""
        )
        message = f"cancel_all_orders could not be sure in time that nothing is open (seen open: {ids}{more})"
        return OutcomeUnknown(
            message, {"symbol": symbol, "exchange": self._desk.exchange, "operation": "cancel_all_orders"}
        )

    # ------------------------------------------------------------ afterwards

    def recover(self, timeout: float) -> list[Order]:
        """Find out what became of every order without an answer; each as it is known at the end."""
        deadline = self._desk.deadline(timeout)
        self._take_over()
        orders = self._unanswered()
        find_out_all(self._desk, orders, deadline)
        self._watch()  # whoever asked waits no longer, but it is still to be found out
        return [self._desk.orders.get(order.client_order_id) or order for order in orders]

    def _first(self, deadline: Deadline) -> None:
        """Before the first order of this process: look once for what dead ones left behind; wait for none of it."""
        if self._is_recovered:
            return
        self._take_over()
        with suppress(JournalUnavailable):
            self._intents.prune()
        self._is_recovered = True
        for order in self._unanswered():
            # An exchange that does not answer does not say either what became of the order.
            with suppress(ExconnectError):
                instrument = self._desk.instrument(order.symbol, max(deadline.left, 0.001))
                look(self._desk, order, instrument, deadline)
        self._watch()

    def _watch(self) -> None:
        for order in self._unanswered():
            self._resolver.watch(order)

    def _take_over(self) -> None:
        self._intents.take_over()
        for order in self._intents.orders(only_open=True):
            self._desk.orders.apply(order)
        self._recall()

    def _unanswered(self) -> list[Order]:
        return [order for order in self._desk.orders.open() if order.status is OrderStatus.UNKNOWN]


@contextmanager
def _naming(wish: AmendOrder | CancelOrder) -> Iterator[None]:
    """Errors that come from within name the order, too."""
    try:
        yield
    except ExconnectError as error:
        error.add(client_order_id=client_id_of(wish.order), symbol=wish.symbol)
        raise


def _pending(exchange: str, command: PlaceOrder, client_order_id: str, now: datetime) -> Order:
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


def _rejected(order: Order, error: ExchangeError) -> Order:
    # A copy: the one that is raised drags its frames along for as long as the order is remembered.
    rejection = copy(error) if isinstance(error, OrderRejected) else OrderRejected(error.message, error.details)
    return replace(order, status=OrderStatus.REJECTED, rejection=rejection, source=Source.REST)


def _amended(order: Order, amend: AmendOrder) -> PlaceOrder:
    return PlaceOrder(
        order.symbol,
        order.side,
        amend.quantity or order.quantity,
        price=amend.price or order.price,
        type=order.type,
        time_in_force=order.time_in_force if order.type.has_price else None,
        post_only=order.post_only,
        stop_price=order.stop_price,
        amends=order.client_order_id,
    )


def _is_amended(found: Order, amend: AmendOrder) -> bool:
    return amend.quantity in (None, found.quantity) and amend.price in (None, found.price)


def _repeated(pauses: tuple[float, ...]) -> Iterator[float]:
    """These, and then the last one for ever."""
    return chain(pauses, repeat(pauses[-1]))


def _stub(exchange: str, client_order_id: str, symbol: str) -> Order:
    return Order(
        exchange=exchange,
        client_order_id=client_order_id,
        symbol=symbol,
        side=Side.UNKNOWN,
        type=OrderType.UNKNOWN,
        status=OrderStatus.UNKNOWN,
    )
