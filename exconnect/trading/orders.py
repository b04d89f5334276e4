"""The order store: what is known of every order, as a join of everything that was ever heard of it.

Replies, stream events and polls come in any order, late, twice, or not at all. A snapshot is therefore never
overwritten but merged: executed quantity is the greatest ever reported, fills are a union, and a status
only moves up the ranks. Merging is commutative, associative and idempotent, so that every order of arrival
ends in the same state, and nothing a user has seen ever goes back.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from exconnect.model.enums import OrderStatus, Source
from exconnect.model.order import Fill, Order
from exconnect.model.values import EPOCH, ZERO

if TYPE_CHECKING:
    from exconnect.environment import Environment

RANKS = {
    OrderStatus.PENDING_NEW: 0.0,
    OrderStatus.UNKNOWN: 1.0,
    OrderStatus.NOT_ACCEPTED: 1.5,
    OrderStatus.NEVER_SENT: 1.5,
    OrderStatus.ACCEPTED: 2.0,
    OrderStatus.UNTRIGGERED: 2.5,
    OrderStatus.NEW: 3.0,
    OrderStatus.PARTIALLY_FILLED: 4.0,
    OrderStatus.CANCELED: 9.0,
    OrderStatus.EXPIRED: 9.0,
    OrderStatus.REJECTED: 9.0,
    OrderStatus.FILLED: 10.0,
}
_KEPT = 10_000  # orders that are over and still remembered


def merge(known: Order, news: Order) -> Order:
    """What is known after both, whichever came first."""
    fills = _union(known.fills, news.fills)
    filled = max(known.filled_quantity, news.filled_quantity, sum((fill.quantity for fill in fills), ZERO))
    newest, other = (news, known) if _version(news) > _version(known) else (known, news)
    status = _status(newest, other, filled)
    quote = max(known.filled_quote, news.filled_quote, sum((fill.notional for fill in fills), ZERO))
    leading = newest if newest.status is status else other if other.status is status else newest
    return replace(
        newest,
        status=status,
        status_text=leading.status_text or other.status_text,
        order_id=newest.order_id or other.order_id,
        quantity=_either(newest.quantity, other.quantity),
        quote_quantity=_either(newest.quote_quantity, other.quote_quantity),
        price=_either(newest.price, other.price),
        stop_price=_either(newest.stop_price, other.stop_price),
        time_in_force=newest.time_in_force or other.time_in_force,
        post_only=known.post_only or news.post_only,
        filled_quantity=filled,
        filled_quote=quote,
        average_price=quote / filled if filled and quote else None,
        fills=fills,
        fills_complete=sum((fill.quantity for fill in fills), ZERO) == filled,
        created_at=_first(known, news),
        updated_at=newest.updated_at or other.updated_at,
        replaces=newest.replaces or other.replaces,
        idempotency_key=newest.idempotency_key or other.idempotency_key,
        rejection=newest.rejection or other.rejection,
        raw=newest.raw if newest.raw is not None else other.raw,
    )


def _version(order: Order) -> tuple[bool, datetime, float, Decimal]:
    # What an exchange said beats what only this process believes; then its own clock decides.
    return order.source is not Source.LOCAL, order.updated_at or EPOCH, RANKS[order.status], order.filled_quantity


def _status(newest: Order, other: Order, filled: Decimal) -> OrderStatus:
    quantity = _either(newest.quantity, other.quantity)
    if quantity is not None and filled >= quantity and filled:
        return OrderStatus.FILLED
    # Of two ends with one rank the newer one holds.
    status = other.status if RANKS[other.status] > RANKS[newest.status] else newest.status
    if filled and RANKS[status] < RANKS[OrderStatus.PARTIALLY_FILLED]:
        return OrderStatus.PARTIALLY_FILLED
    return status


def _union(known: tuple[Fill, ...], news: tuple[Fill, ...]) -> tuple[Fill, ...]:
    if not news or known == news:
        return known
    if not known:
        return news
    by_id = {fill.id: fill for fill in news} | {fill.id: fill for fill in known}
    return tuple(sorted(by_id.values(), key=lambda fill: (fill.time or EPOCH, len(fill.id), fill.id)))


def _either(first: Decimal | None, second: Decimal | None) -> Decimal | None:
    return second if first is None else first


def _first(known: Order, news: Order) -> datetime | None:
    # Created: the exchange's word if it has spoken, else ours.
    by_exchange = [x.created_at for x in (known, news) if x.created_at is not None and x.source is not Source.LOCAL]
    ours = [x.created_at for x in (known, news) if x.created_at is not None]
    return min(by_exchange or ours, default=None)


class OrderStore:
    """Thread-safe and bounded. `apply` is the only way in; what comes out is frozen."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._changed: threading.Condition = env.condition()
        self._open: dict[str, Order] = {}
        self._done: OrderedDict[str, Order] = OrderedDict()
        self._names: dict[str, str] = {}  # exchange's order id → client order id
        self._listeners: tuple[Callable[[Order], None], ...] = ()

    def apply(self, news: Order) -> Order:
        """Merge a snapshot in and give the result; listeners hear of it if it changed anything."""
        with self._changed:
            name = self._name(news)
            known = self._open.get(name) or self._done.get(name)
            order = news if known is None else merge(known, replace(news, client_order_id=name))
            if order == known:
                return order
            self._keep(name, order)
            self._changed.notify_all()
            listeners = self._listeners
        for listener in listeners:
            listener(order)
        return order

    def _name(self, order: Order) -> str:
        # A cancel may rename an order on the exchange; here it keeps the name it was placed under.
        if order.order_id is not None:
            return self._names.get(f"{order.symbol} {order.order_id}", order.client_order_id)
        return order.client_order_id

    def _keep(self, name: str, order: Order) -> None:
        if order.order_id is not None:
            self._names[f"{order.symbol} {order.order_id}"] = name
        if order.is_open:
            self._open[name] = order
            return
        self._open.pop(name, None)
        self._done[name] = order
        self._done.move_to_end(name)
        if len(self._done) > _KEPT:
            _, forgotten = self._done.popitem(last=False)
            self._names.pop(f"{forgotten.symbol} {forgotten.order_id}", None)

    def get(self, client_order_id: str) -> Order | None:
        """The newest snapshot, None if the order is not known here."""
        with self._changed:
            return self._open.get(client_order_id) or self._done.get(client_order_id)

    def name_of(self, symbol: str, order_id: str) -> str | None:
        """Client order id of the order with that exchange id, None if it is not known here."""
        with self._changed:
            return self._names.get(f"{symbol} {order_id}")

    def open(self, symbol: str | None = None) -> list[Order]:
        """All that are open, oldest first."""
        with self._changed:
            orders = list(self._open.values())
        return [order for order in orders if symbol is None or order.symbol == symbol]

    def history(self, symbol: str | None, limit: int) -> list[Order]:
        """The newest first, open ones among them."""
        with self._changed:
            orders = [*self._done.values(), *self._open.values()]
        mine = [order for order in orders if symbol is None or order.symbol == symbol]
        return sorted(mine, key=lambda order: order.created_at or EPOCH, reverse=True)[:limit]

    def wait(self, client_order_id: str, ready: Callable[[Order], bool], timeout: float) -> Order | None:
        """The newest snapshot as soon as `ready` says so of it, or at the deadline."""

        def arrived() -> bool:
            order = self._open.get(client_order_id) or self._done.get(client_order_id)
            return order is not None and ready(order)

        with self._changed:
            self._env.wait_for(self._changed, arrived, timeout)
            return self._open.get(client_order_id) or self._done.get(client_order_id)

    def listen(self, listener: Callable[[Order], None]) -> None:
        """Call `listener` with every snapshot that says something new; it must return at once."""
        with self._changed:
            self._listeners = (*self._listeners, listener)

    def forget(self, listener: Callable[[Order], None]) -> None:
        """No more calls of `listener`."""
        with self._changed:
            self._listeners = tuple(known for known in self._listeners if known != listener)
