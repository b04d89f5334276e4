"""Changing an open order: in place where the exchange can, else by a replacement that is an order of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import Struct

from exconnect.errors import AmendRefused, ExchangeError, ExconnectError, OrderRejected, OutcomeUnknown
from exconnect.model.enums import OrderStatus, Source
from exconnect.model.order import AmendOrder, Order, PlaceOrder
from exconnect.trading.intents import halted
from exconnect.trading.outcomes import LOOKS_S, Answer, Outcomes, naming, rejected, repeated
from exconnect.trading.places import SENDING, pending
from exconnect.trading.reconcile import as_unknown, find_out, look

if TYPE_CHECKING:
    from exconnect.gateway import Attempt
    from exconnect.model.instrument import Instrument
    from exconnect.protocol.call import Call
    from exconnect.trading.desk import Deadline, Desk
    from exconnect.trading.intents import IntentLog
    from exconnect.trading.recovery import Recovery


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


class Amends:
    """Amends orders of one account. `admit` lets the order pass as it would be then."""

    def __init__(
        self,
        desk: Desk,
        intents: IntentLog,
        recovery: Recovery,
        outcomes: Outcomes,
        *,
        admit: Callable[[PlaceOrder, Deadline], Instrument],
        new_id: Callable[[], str],
    ) -> None:
        self._desk = desk
        self._intents = intents
        self._recovery = recovery
        self._outcomes = outcomes
        self._admit = admit
        self._new_id = new_id

    def amend(self, amend: AmendOrder, timeout: float) -> Order:
        """Change an open order, in place where the exchange can; see `Client.amend_order`."""
        deadline = self._desk.deadline(timeout)
        with naming(amend):
            return self.amended(self.amending(amend, deadline), deadline)

    def amending(self, amend: AmendOrder, deadline: Deadline) -> Amending:
        """A change that may be sent."""
        self._recovery.begin(deadline)
        client_order_id, symbol, known = self._desk.place_of(amend.order, amend.symbol)
        instrument = self._desk.instrument(symbol, deadline.left)
        order = (
            known
            if known is not None and known.order_id
            else self._desk.find(instrument, client_order_id, None, deadline)
        )
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
            unchanged = self._unchanged(amending, deadline)
            return unchanged or self._replace(order, amending.command, amending.call, instrument, deadline)
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

    def _unchanged(self, amending: Amending, deadline: Deadline) -> Order | None:
        """The order, if it is as it shall be: a successor that is just like it would lose the place in the queue."""
        if not _is_amended(amending.order, amending.amend):
            return None
        # Another process may have amended it in place: what is known here says no more than that it is worth a look.
        found = look(self._desk, amending.order, amending.instrument, deadline)
        return found if found is not None and found.is_open and _is_amended(found, amending.amend) else None

    def refuse_if_halted(self, _: Attempt) -> None:
        """An attempt to change an order is about to leave."""
        halt = self._intents.halt_state()
        if halt is not None:
            raise halted(halt)

    def _amend_outcome(self, order: Order, amend: AmendOrder, instrument: Instrument, deadline: Deadline) -> Order:
        # The values are absolute: the order itself tells whether they arrived.
        def is_there(known: Order) -> bool:
            return known.is_done or _is_amended(known, amend)

        found = self._outcomes.heard(order, is_there, deadline)
        for pause in repeated(LOOKS_S):
            found = found or look(self._desk, order, instrument, deadline)
            if found is not None and is_there(found):
                return found
            if deadline.left <= 0:
                break
            self._desk.env.sleep(min(pause, deadline.left))
            found = None
        raise self._outcomes.unknown(order, instrument, "amend_order")

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
        new = pending(self._desk.exchange, command, new_id, self._desk.env.wall())
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
            self._desk.orders.apply(rejected(new, error))
            look(self._desk, old, instrument, deadline)
            raise
        except ExconnectError:
            self._desk.orders.apply(replace(new, status=OrderStatus.NEVER_SENT))
            raise
        except BaseException:
            self._desk.orders.apply(as_unknown(new) if sent else replace(new, status=OrderStatus.NEVER_SENT))
            raise
        if placed is None:
            return self._outcomes.told(find_out(self._desk, new, instrument, deadline), instrument, "amend_order")
        self._desk.orders.apply(
            replace(
                old, status=OrderStatus.CANCELED, status_text=None, source=Source.REST, updated_at=placed.updated_at
            )
        )
        return self._desk.orders.apply(replace(placed, client_order_id=new_id, replaces=old.client_order_id))

    def _replacement(self, old: Order, new: Order, instrument: Instrument, deadline: Deadline) -> Order:
        """What became of both orders of a replacement without a clear answer."""
        new = self._desk.orders.apply(as_unknown(new))
        look(self._desk, old, instrument, deadline)
        return self._outcomes.told(find_out(self._desk, new, instrument, deadline), instrument, "amend_order")


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
