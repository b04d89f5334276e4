"""What a command ends in: the order as it became, or the honest error when that is not known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from itertools import chain, repeat
from typing import TYPE_CHECKING

from exconnect.errors import ExchangeError, ExconnectError, OrderRejected, OutcomeUnknown, TransportError
from exconnect.model.enums import OrderStatus, Source
from exconnect.model.order import AmendOrder, CancelOrder, client_id_of
from exconnect.trading.reconcile import Resolver, find_out, look

if TYPE_CHECKING:
    from exconnect.model.instrument import Instrument
    from exconnect.model.order import Order
    from exconnect.trading.desk import Deadline, Desk

_UNCLEAR = {
    "place_order": (
        "what became of order {id} is unknown. resolve() or client.orders.resolve() finds out, in a little over a "
        "minute if it never arrived; do not send it again"
    ),
    "amend_order": (
        "whether order {id} was changed is unknown. fetch_order() shows how it is; amending it again is safe"
    ),
    "cancel_order": (
        "order {id} may still be open. While this client is open the canceling goes on in the background; canceling it "
        "again is safe"
    ),
}
LOOKS_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # between looks for what was acknowledged and is to happen soon
_HEARD_S = 0.25  # in which a live stream tells what became of what was acknowledged

# What a call for several has said of one of them: None if it is acknowledged; raises if it was refused, or not told.
Answer = Callable[[], None]


class Outcomes:
    """Tells the caller, and has what is not known looked for in the background."""

    def __init__(self, desk: Desk, resolver: Resolver) -> None:
        self._desk = desk
        self._resolver = resolver

    def told(self, order: Order, instrument: Instrument, operation: str, *, is_named: bool = False) -> Order:
        """The order, or the honest error when it was refused, never arrived, or its fate is still open.

        `is_named`: by whoever wants it, so that the same call means the same order ever after.
        """
        if order.status is OrderStatus.NOT_ACCEPTED:
            self._resolver.watch(order, instrument)
            message = (
                f"{operation} got no answer and never arrived: order {order.client_order_id} can no longer be accepted "
                "and is nowhere to be found. The wish may be sent again, under a new id or key"
            )
            raise TransportError(message, {**self._details(order, operation), "retryable": not is_named})
        return self.known(order, instrument, operation).raise_for_status()

    def known(self, order: Order, instrument: Instrument, operation: str) -> Order:
        """The order, unless its fate is still open."""
        if order.status not in (OrderStatus.UNKNOWN, OrderStatus.PENDING_NEW):
            return order
        raise self.unknown(order, instrument, operation)

    def unknown(self, order: Order, instrument: Instrument, operation: str, words: str = "") -> OutcomeUnknown:
        """The error that says so; the order is looked for in the background. `words` instead of the usual ones."""
        desk = self._desk
        self._resolver.watch(order, instrument)
        message = f"{operation} was sent and no clear answer came: {words or _UNCLEAR[operation]}".format(
            id=order.client_order_id
        )

        def resolve(timeout: float) -> Order:
            deadline = desk.deadline(timeout)
            if operation != "place_order":
                look(desk, order, instrument, deadline)  # what is known of it is from before
            return self.known(find_out(desk, order, instrument, deadline), instrument, operation)

        return OutcomeUnknown(message, self._details(order, operation)).bind(resolve)

    def _details(self, order: Order, operation: str) -> dict[str, str]:
        return {
            "client_order_id": order.client_order_id,
            "symbol": order.symbol,
            "exchange": self._desk.exchange,
            "operation": operation,
        }

    def heard(self, order: Order, ready: Callable[[Order], bool], deadline: Deadline) -> Order | None:
        """What a live stream tells soon after an acknowledgement, without asking; None if it does not."""
        if not self._desk.orders.is_followed:
            return None
        known = self._desk.orders.wait(order.client_order_id, ready, min(_HEARD_S, deadline.left))
        return known if known is not None and ready(known) else None


def rejected(order: Order, error: ExchangeError) -> Order:
    """The order as one that the exchange refused."""
    # A copy: the one that is raised drags its frames along for as long as the order is remembered.
    rejection = copy(error) if isinstance(error, OrderRejected) else OrderRejected(error.message, error.details)
    return replace(order, status=OrderStatus.REJECTED, rejection=rejection, source=Source.REST)


def repeated(pauses: tuple[float, ...]) -> Iterator[float]:
    """These, and then the last one for ever."""
    return chain(pauses, repeat(pauses[-1]))


@contextmanager
def naming(wish: AmendOrder | CancelOrder) -> Iterator[None]:
    """Errors that come from within name the order, too."""
    try:
        yield
    except ExconnectError as error:
        error.add(client_order_id=client_id_of(wish.order), symbol=wish.symbol)
        raise
