"""Finds out what became of an order whose answer did not come. It asks; it never sends the order again.

In the caller's thread while the caller waits (`find_out`), and in the background afterwards (`Resolver`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, repeat
from typing import TYPE_CHECKING

from exconnect.errors import ClientClosed, ExconnectError
from exconnect.model.enums import OrderStatus, Source

if TYPE_CHECKING:
    from exconnect.model.instrument import Instrument
    from exconnect.model.order import Order
    from exconnect.runtime.jobs import Jobs
    from exconnect.trading.desk import Deadline, Desk

PAUSES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # seconds between looks; then every ten
_LAST_PAUSE = 10.0
_LOOK_S = 5.0  # that one look in the background may take
_SPREAD = 0.2  # each pause varies by so much, so that many unknown orders do not ask at once


def find_out(desk: Desk, order: Order, instrument: Instrument, deadline: Deadline) -> Order:
    """Look until the order is seen or the deadline has come; the newest snapshot either way.

    Not seeing an order proves nothing (what the exchange shows may lag behind what it did), so an order that
    is not found stays `UNKNOWN` here.
    """
    pauses = _pauses(desk)
    while True:
        known = _wait(desk, order, min(next(pauses), deadline.left))
        if known.is_definite or deadline.left <= 0:
            return known
        try:
            desk.find(instrument, known.client_order_id, known.order_id, deadline)
        except ClientClosed:
            return known
        except ExconnectError:
            continue


def _pauses(desk: Desk) -> Iterator[float]:
    spread = desk.env.uniform(1 - _SPREAD, 1 + _SPREAD)
    return (pause * spread for pause in chain(PAUSES, repeat(_LAST_PAUSE)))


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


class Resolver:
    """Goes on looking for orders without an answer when nobody waits for them any more, until they are seen."""

    def __init__(self, desk: Desk, jobs: Callable[[], Jobs]) -> None:
        self._desk = desk
        self._jobs = jobs
        self._watched: set[str] = set()

    def watch(self, order: Order, instrument: Instrument) -> None:
        """Look for this one too; once more changes nothing."""
        if order.client_order_id not in self._watched:
            self._watched.add(order.client_order_id)
            self._later(order, instrument, _pauses(self._desk))

    def _later(self, order: Order, instrument: Instrument, pauses: Iterator[float]) -> None:
        self._jobs().submit(lambda: self._look(order, instrument, pauses), next(pauses))

    def _look(self, order: Order, instrument: Instrument, pauses: Iterator[float]) -> None:
        known = self._desk.orders.get(order.client_order_id) or order
        if not known.is_definite:
            look(self._desk, known, instrument, self._desk.deadline(_LOOK_S))
            known = self._desk.orders.get(order.client_order_id) or order
        if known.is_definite:
            self._watched.discard(order.client_order_id)
        else:
            self._later(order, instrument, pauses)
