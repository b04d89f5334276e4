"""Finds out what became of an order whose answer did not come. It asks; it never sends the order again."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, repeat
from typing import TYPE_CHECKING

from exconnect.errors import ExconnectError
from exconnect.model.enums import OrderStatus, Source

if TYPE_CHECKING:
    from exconnect.model.instrument import Instrument
    from exconnect.model.order import Order
    from exconnect.trading.desk import Deadline, Desk

PAUSES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # seconds between looks; then every ten
_LAST_PAUSE = 10.0
_SPREAD = 0.2  # each pause varies by so much, so that many unknown orders do not ask at once


def find_out(desk: Desk, order: Order, instrument: Instrument, deadline: Deadline) -> Order:
    """Look until the order is seen or the deadline has come; the newest snapshot either way.

    Not seeing an order proves nothing (what the exchange shows may lag behind what it did), so an order that
    is not found stays `UNKNOWN` here.
    """
    pauses = chain(PAUSES, repeat(_LAST_PAUSE))
    while True:
        pause = next(pauses)
        known = _wait(desk, order, min(pause * desk.env.uniform(1 - _SPREAD, 1 + _SPREAD), deadline.left))
        if known.is_definite or deadline.left <= 0:
            return known
        look(desk, order, instrument, deadline)


def _wait(desk: Desk, order: Order, seconds: float) -> Order:
    # A stream may know sooner than the next look.
    known = desk.orders.wait(order.client_order_id, lambda o: o.is_definite, seconds)
    return known or order


def look(desk: Desk, order: Order, instrument: Instrument, deadline: Deadline) -> Order | None:
    """Ask once; what was found is in the store. An answer that fails is no evidence of anything."""
    try:
        return desk.find(instrument, order.client_order_id, order.order_id, deadline)
    except ExconnectError:
        return None


def as_unknown(order: Order) -> Order:
    """The same order with the only honest word for it."""
    return replace(order, status=OrderStatus.UNKNOWN, source=Source.LOCAL)
