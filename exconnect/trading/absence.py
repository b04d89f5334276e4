"""The closer look at an order that is missing: only after this does it count as never accepted."""

from __future__ import annotations

import logging
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from exconnect.errors import ExconnectError, OrderNotFound
from exconnect.model.enums import OrderStatus, Outcome, Source
from exconnect.protocol.pages import mark_item, mark_order, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exconnect.model.instrument import Instrument
    from exconnect.model.order import Fill, Order
    from exconnect.protocol.pages import Page, Where
    from exconnect.trading.desk import Deadline, Desk
    from exconnect.trading.doubts import Case

log = logging.getLogger("exconnect.orders")

_BEFORE_MS = 1_000  # what is older than this when the order was sent cannot be the order
_FORGOTTEN = "over without a fill; whether it was accepted is no longer known"


class _Is(Enum):
    """What a row of the exchange's lists has to do with the order."""

    THE_ORDER = "the order"
    ANOTHER = "another"
    OPEN = "open"  # it might be the order under another name


def conclude(desk: Desk, case: Case, order: Order, instrument: Instrument, deadline: Deadline) -> Order | None:
    """The order with its fate, if a closer look leaves only one; None: it stays unknown.

    Raises:
        ExconnectError: a question failed, which is evidence of nothing.
    """
    doubts = desk.doubts
    if not doubts.is_ripe(case) or not _left_no_trace(desk, case, order, instrument, deadline):
        return None
    if not doubts.is_old(case) and not doubts.was_followed(case, desk.orders.followed_since):
        if not doubts.begin_fence(case, order.client_order_id, desk.gateway.server_now_ms()):
            return None
        found = _fenced(desk, case, order, instrument, deadline)
        if found is not None or doubts.lag.is_alarming:
            return found
    recorded = desk.recorded(order.client_order_id)
    if recorded is not None and recorded.is_definite:
        return desk.orders.recall(recorded)  # another process was told what became of it
    status, words = OrderStatus.NOT_ACCEPTED, None
    if doubts.is_forgotten(case):
        status, words = OrderStatus.EXPIRED, _FORGOTTEN
    known = desk.orders.get(order.client_order_id)
    if known is None or not known.is_definite:  # who waits for it and the background may conclude it together
        text = words or "the exchange never accepted it"
        log.warning("order %s of %s: %s", order.client_order_id, order.symbol, text)
    now = desk.env.wall()
    last = now if order.updated_at is None else max(now, order.updated_at)
    return desk.orders.apply(replace(order, status=status, status_text=words, source=Source.LOCAL, updated_at=last))


# ---- no trace in the lists of orders and fills ----------------------------------------------------------------------


def _left_no_trace(desk: Desk, case: Case, order: Order, instrument: Instrument, deadline: Deadline) -> bool:
    """Whether nothing in the exchange's lists can be this order; if something is, it is in the store then."""
    placed: dict[str | None, _Is] = {}
    for row in _orders_since(desk, case, instrument, deadline):
        placed[row.order_id] = verdict = _of_order(desk, order, row)
        if verdict is _Is.THE_ORDER:
            desk.orders.apply(replace(row, client_order_id=order.client_order_id))
        if verdict is not _Is.ANOTHER:
            return False
    for fill in _fills_since(desk, case, instrument, deadline):
        verdict = placed.get(fill.order_id) or _of_fill(desk, order, fill, instrument, deadline)
        if verdict is not _Is.ANOTHER:
            return False
    return True


def _of_order(desk: Desk, order: Order, row: Order) -> _Is:
    if row.client_order_id == order.client_order_id:
        return _Is.THE_ORDER
    renames = desk.doubts.absence is not None and desk.doubts.absence.renames
    if not renames or row.status is not OrderStatus.CANCELED:
        return _Is.ANOTHER
    if _is_somebody_elses(desk, order, row.order_id) or desk.doubts.is_wish(row.client_order_id):
        return _Is.ANOTHER  # also of a process that is gone: a cancel gives no order the name of another one of ours
    terms = ("side", "type", "quantity", "price", "stop_price")
    same = all(getattr(row, term) == getattr(order, term) for term in terms if getattr(order, term) is not None)
    return _Is.OPEN if same else _Is.ANOTHER


def _is_somebody_elses(desk: Desk, order: Order, order_id: str | None) -> bool:
    """Whether the number belongs to another wish. A name that nobody here gave may be this one's, given by a cancel."""
    name = None if order_id is None else desk.orders.name_of(order.symbol, order_id)
    return name is not None and name != order.client_order_id and desk.doubts.is_wish(name)


def _of_fill(desk: Desk, order: Order, fill: Fill, instrument: Instrument, deadline: Deadline) -> _Is:
    if fill.client_order_id is not None and fill.client_order_id == order.client_order_id:
        desk.find(instrument, order.client_order_id, fill.order_id, deadline)
        return _Is.THE_ORDER
    if fill.side is not order.side or (order.quantity is not None and fill.quantity > order.quantity):
        return _Is.ANOTHER
    if fill.client_order_id or _is_somebody_elses(desk, order, fill.order_id):
        return _Is.ANOTHER
    try:
        return _of_order(desk, order, desk.find(instrument, None, fill.order_id, deadline))
    except OrderNotFound:
        return _Is.OPEN


def _orders_since(desk: Desk, case: Case, instrument: Instrument, deadline: Deadline) -> Iterator[Order]:
    def ask(where: Where) -> Page[Order]:
        at = desk.gateway.server_now_ms()
        return desk.call(
            desk.rest.fetch_orders(instrument, where, limit=desk.rest.PAGE["orders"], at=at), deadline.left
        )

    # None that was placed after the margin can be the order.
    where: Where | None = {"start": case.sent.first_ms - _BEFORE_MS, "end": int(desk.doubts.margin_at_ms(case)) + 1}
    while where is not None:
        page = whole(ask, where, mark_order)
        yield from page.items
        where = page.next


def _fills_since(desk: Desk, case: Case, instrument: Instrument, deadline: Deadline) -> Iterator[Fill]:
    def ask(where: Where) -> Page[Fill]:
        limit, at = desk.rest.PAGE["fills"], desk.gateway.server_now_ms()
        return desk.call(desk.rest.fetch_fills(instrument, where, order_id=None, limit=limit, at=at), deadline.left)

    where: Where | None = {"start": case.sent.first_ms - _BEFORE_MS, "end": None}
    while where is not None:
        page = whole(ask, where, mark_item)
        yield from page.items
        where = page.next


# ---- the fence ------------------------------------------------------------------------------------------------------


def _fenced(desk: Desk, case: Case, order: Order, instrument: Instrument, deadline: Deadline) -> Order | None:
    was_there: bool | None = None
    try:
        found = _canceled(desk, order, instrument, deadline)
        was_there = found is not None
    except ExconnectError as error:
        if error.outcome is not Outcome.UNKNOWN and not error.details.get("uncertain"):
            was_there = False  # no cancel has been done
        raise
    finally:
        desk.doubts.end_fence(case, order.client_order_id, desk.gateway.server_now_ms(), was_there=was_there)
    return found


def _canceled(desk: Desk, order: Order, instrument: Instrument, deadline: Deadline) -> Order | None:
    """Cancel it: None if the exchange does not know it. If it does, it is canceled, and what became of it is given.

    Raises:
        ExconnectError: the exchange did not say either.
    """
    call = desk.rest.cancel_order(instrument, client_order_id=order.client_order_id, order_id=None, known=order)
    try:
        canceled = desk.call(call, deadline.left)
    except OrderNotFound as error:
        if desk.doubts.says_unknown(error) and not error.details.get("uncertain"):
            return None
        raise  # also the echo of an attempt before it that may have canceled it
    log.warning("order %s of %s: nobody showed it, and it was open: canceled", order.client_order_id, order.symbol)
    if canceled is None:  # acknowledged: the next look shows it
        return order
    return desk.orders.apply(replace(canceled, client_order_id=order.client_order_id))
