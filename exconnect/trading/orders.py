"""The order store: what is known of every order, as a join of everything that was ever heard of it.

Replies, stream events and polls come in any order, late, twice, or not at all. A snapshot is therefore never
overwritten. Kept are the greatest of each kind (the newest, the newest that states the terms, the one furthest on in
the order's life), the greatest executed quantity, and the union of the fills. All these are maxima and unions, so
merging is commutative, associative and idempotent: every order of arrival ends in the same state, and nothing that a
user has seen ever goes back.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct, structs

from exconnect.model.enums import OrderStatus, OrderType, Source
from exconnect.model.order import Fill, Order
from exconnect.model.values import EPOCH, EXACT, ZERO, quotient, total

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
_SPOKEN = RANKS[OrderStatus.ACCEPTED]  # from here on an exchange has said so
_KEPT = 10_000  # orders that are over and still remembered


class Evidence(Struct, frozen=True):
    """What was heard of one order, no more of it than decides."""

    newest: Order
    terms: Order  # the newest that states a quantity
    furthest: Order  # in its life; of two ends with one rank, the newer
    created: Order  # the earliest word of its creation, the exchange's if it has spoken
    order_id: str | None
    replaces: str | None
    idempotency_key: str | None
    asked: OrderType | None  # what was placed from here: an exchange may know no more of it than a trigger
    filled_quantity: Decimal
    filled_quote: Decimal
    fills: tuple[Fill, ...]

    @classmethod
    def of(cls, order: Order) -> Evidence:
        """What one snapshot says."""
        return cls(
            newest=order,
            terms=order,
            furthest=order,
            created=order,
            order_id=order.order_id,
            replaces=order.replaces,
            idempotency_key=order.idempotency_key,
            asked=order.type if order.source is Source.LOCAL and order.type is not OrderType.UNKNOWN else None,
            filled_quantity=order.filled_quantity,
            filled_quote=order.filled_quote,
            fills=_union(order.fills),
        )

    def order(self) -> Order:
        """What it amounts to."""
        terms, newest, furthest = self.terms, self.newest, self.furthest
        summed = total(fill.quantity for fill in self.fills) if self.fills else ZERO
        filled, quote = max(self.filled_quantity, summed), self.filled_quote
        if self.fills:
            quote = max(quote, total(EXACT.multiply(fill.price, fill.quantity) for fill in self.fills))
        status = self._status(filled)
        # Every event of an account passes here: written out, it takes a third of the time that `replace` does.
        return Order(
            exchange=terms.exchange,
            client_order_id=terms.client_order_id,
            symbol=terms.symbol,
            side=terms.side,
            type=self.asked or terms.type,
            status=status,
            order_id=self.order_id,
            status_text=furthest.status_text if status is furthest.status else None,
            quantity=terms.quantity,
            quote_quantity=terms.quote_quantity,
            price=terms.price,
            stop_price=terms.stop_price,
            time_in_force=terms.time_in_force,
            post_only=terms.post_only,
            filled_quantity=filled,
            filled_quote=quote,
            average_price=quotient(quote, filled) if filled and quote else None,
            fills=self.fills,
            fills_complete=summed == filled,
            created_at=self.created.created_at,
            updated_at=newest.updated_at,
            replaces=self.replaces,
            idempotency_key=self.idempotency_key,
            rejection=furthest.rejection if status is OrderStatus.REJECTED else None,
            source=newest.source,
            raw=newest.raw,
        )

    def _status(self, filled: Decimal) -> OrderStatus:
        status, quantity = self.furthest.status, self.terms.quantity
        # Only a quantity in base asset tells when an order is full.
        if filled and quantity is not None and self.terms.quote_quantity is None and filled >= quantity:
            return OrderStatus.FILLED
        if filled and RANKS[status] < RANKS[OrderStatus.PARTIALLY_FILLED]:
            return OrderStatus.PARTIALLY_FILLED
        return status


def merge(known: Evidence, news: Evidence) -> Evidence:
    """What is known after both, whichever came first."""
    return Evidence(
        newest=_greater(known.newest, news.newest, _age),
        terms=_greater(known.terms, news.terms, _authority, _content),
        furthest=_greater(known.furthest, news.furthest, _progress, _words),
        created=_greater(known.created, news.created, _origin),
        order_id=known.order_id or news.order_id,
        replaces=known.replaces or news.replaces,
        idempotency_key=known.idempotency_key or news.idempotency_key,
        asked=known.asked or news.asked,
        filled_quantity=max(known.filled_quantity, news.filled_quantity),
        filled_quote=max(known.filled_quote, news.filled_quote),
        fills=known.fills if known.fills == news.fills else _union((*known.fills, *news.fills)),
    )


# What each maximum goes by. Behind what decides come things that only make equal snapshots of different content
# come out the same whichever was first.


def _greater(known: Order, news: Order, *keys: Callable[[Order], Any]) -> Order:
    """The one that has more in the first of these in which they differ."""
    for key in keys:
        one, other = key(known), key(news)
        if one != other:
            return news if other > one else known
    return known


def _age(order: Order) -> tuple[bool, datetime, Source]:
    # What an exchange said beats what only this process believes; then its own clock decides.
    return order.source is not Source.LOCAL, order.updated_at or EPOCH, order.source


def _authority(order: Order) -> tuple[object, ...]:
    is_stated = order.quantity is not None or order.quote_quantity is not None
    # In one millisecond, the smaller quantity is the later: an amend in place only ever takes away.
    return is_stated, _age(order), EXACT.minus(order.quantity or ZERO)


def _content(order: Order) -> str:
    content = (order.price, order.quote_quantity, order.stop_price, order.time_in_force, order.post_only)
    return str((content, order.side, order.type))


def _progress(order: Order) -> tuple[object, ...]:
    rank = RANKS[order.status]
    # Until an exchange has spoken, the newest attempt counts: what was never sent may be sent now.
    return rank if rank >= _SPOKEN else 0.0, _age(order), rank


def _words(order: Order) -> tuple[object, ...]:
    return order.status, order.status_text or "", order.rejection is not None


def _origin(order: Order) -> tuple[bool, bool, timedelta]:
    created = order.created_at
    return created is not None, order.source is not Source.LOCAL, EPOCH - (created or EPOCH)


def _union(fills: tuple[Fill, ...]) -> tuple[Fill, ...]:
    if len(fills) < 2:
        return fills
    by_id: dict[str, Fill] = {}
    for fill in fills:
        known = by_id.get(fill.id)
        by_id[fill.id] = fill if known is None else max(known, fill, key=_detail)
    return tuple(sorted(by_id.values(), key=lambda fill: (fill.time or EPOCH, len(fill.id), fill.id)))


def _detail(fill: Fill) -> tuple[object, ...]:
    # A stream may tell of a fill before its fee is known.
    said = (fill.fee, fill.is_maker, fill.client_order_id, fill.time)
    return sum(x is not None for x in said), fill.source, fill.received_at or EPOCH, str(said), fill.replayed


class _Kept(NamedTuple):
    evidence: Evidence
    order: Order


class OrderStore:
    """Thread-safe and bounded. `apply` is the only way in; what comes out is frozen."""

    MOST = 1_000_000  # no store holds more

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._changed: threading.Condition = env.condition()
        self._open: dict[str, _Kept] = {}
        self._done: OrderedDict[str, _Kept] = OrderedDict()
        self._names: dict[str, str] = {}  # symbol and exchange's order id → name that it is kept under
        self._untold: deque[Order] = deque()
        self._is_telling = False
        self._listeners: tuple[Callable[[Order], None], ...] = ()
        self._followers: dict[object, float] = {}  # and since when

    def apply(self, news: Order) -> Order:
        """Merge a snapshot in and give the result; listeners hear of it if it changed anything."""
        return self._merge(news, is_ours=False)

    def recall(self, order: Order) -> Order:
        """The same for an order as it was written down when it was placed: it has its name from here.

        What was heard of it before, under a name that a cancel gave it, is of this order.
        """
        return self._merge(order, is_ours=True)

    def _merge(self, news: Order, *, is_ours: bool) -> Order:
        with self._changed:
            name = self._name(news, is_ours=is_ours)
            known = self._find(name)
            mine = news.client_order_id if known is None else known.order.client_order_id
            evidence = Evidence.of(news if news.client_order_id == mine else replace(news, client_order_id=mine))
            stranger = self._taken(name, news)
            if stranger is not None:
                evidence = merge(evidence, _renamed(stranger, mine))
            if known is not None:
                evidence = merge(known.evidence, evidence)
            order = evidence.order()
            self._keep(name, _Kept(evidence, order))
            if known is not None and _says_the_same(order, known.order):
                return order
            self._changed.notify_all()
            self._untold.append(order)
        self._tell()
        return order

    def _taken(self, name: str, news: Order) -> Evidence | None:
        """What is kept of the same order under another name, which it loses."""
        other = None if news.order_id is None else self._names.get(_place(news))
        if other is None or other == name:
            return None
        kept = self._open.pop(other, None) or self._done.pop(other, None)
        return None if kept is None else kept.evidence

    def begin(self, order: Order) -> Order:
        """The same for an intent that is begun, perhaps once more: that it was never sent before is of no account.

        The clock cannot tell that: one that was set back would make the new attempt the older news.
        """
        with self._changed:
            kept = self._done.get(order.client_order_id)
            if kept is not None and kept.order.status is OrderStatus.NEVER_SENT:
                del self._done[order.client_order_id]
        return self.recall(order)

    def _tell(self) -> None:
        # One thread at a time, outside the lock: listeners hear of changes in the order in which they were made.
        while True:
            with self._changed:
                if self._is_telling or not self._untold:
                    return
                self._is_telling = True
                order, listeners = self._untold.popleft(), self._listeners
            try:
                for listener in listeners:
                    listener(order)
            finally:
                self._is_telling = False

    def _name(self, order: Order, *, is_ours: bool) -> str:
        """Client order id it is kept under: the one it was placed with, however a cancel may have renamed it since."""
        if order.order_id is None:
            return order.client_order_id
        place, known = _place(order), self._find(order.client_order_id)
        is_same = known is not None and known.order.symbol == order.symbol
        # One that is waited for has its name from here, whatever the exchange has called its number meanwhile.
        is_ours = is_ours if known is None else is_same and known.order.order_id is None
        if place in self._names and not is_ours:
            return self._names[place]
        if known is None or (is_same and known.order.order_id in (None, order.order_id)):
            return order.client_order_id
        return place  # an exchange lets an id be used again once its order is over

    def _find(self, name: str) -> _Kept | None:
        return self._open.get(name) or self._done.get(name)

    def _keep(self, name: str, kept: _Kept) -> None:
        if kept.order.order_id is not None:
            self._names[_place(kept.order)] = name
        if kept.order.is_open:
            self._done.pop(name, None)
            self._open[name] = kept
            return
        self._open.pop(name, None)
        self._done[name] = kept
        self._done.move_to_end(name)
        if len(self._done) > _KEPT:
            _, forgotten = self._done.popitem(last=False)
            self._names.pop(_place(forgotten.order), None)

    def _order(self, name: str) -> Order | None:
        known = self._find(name)
        return None if known is None else known.order

    def get(self, client_order_id: str) -> Order | None:
        """The newest snapshot, None if the order is not known here."""
        with self._changed:
            return self._order(client_order_id)

    def name_of(self, symbol: str, order_id: str) -> str | None:
        """Client order id of the order with that exchange id, None if it is not known here."""
        with self._changed:
            order = self._order(self._names.get(f"{symbol} {order_id}", ""))
            return None if order is None else order.client_order_id

    def open(self, symbol: str | None = None) -> list[Order]:
        """All that are open, oldest first."""
        return sorted(self._select(symbol, self._open), key=_born)

    def history(self, symbol: str | None, limit: int) -> list[Order]:
        """The newest first, open ones among them."""
        return sorted(self._select(symbol, self._done, self._open), key=_born, reverse=True)[:limit]

    def _select(self, symbol: str | None, *parts: dict[str, _Kept]) -> list[Order]:
        with self._changed:
            found = [*chain.from_iterable(part.values() for part in parts)]  # a copy is all that others wait for
        return [kept.order for kept in found if symbol is None or kept.order.symbol == symbol]

    def wait(self, client_order_id: str, ready: Callable[[Order], bool], timeout: float) -> Order | None:
        """The newest snapshot as soon as `ready` says so of it, or at the deadline."""

        def arrived() -> bool:
            order = self._order(client_order_id)
            return order is not None and ready(order)

        with self._changed:
            self._env.wait_for(self._changed, arrived, timeout)
            return self._order(client_order_id)

    def wait_for_any(self, names: Iterable[str], timeout: float) -> bool:
        """Until the exchange has judged one of these (True), or the deadline."""

        def is_judged() -> bool:
            return any(order.is_definite for name in names if (order := self._order(name)) is not None)

        with self._changed:
            return self._env.wait_for(self._changed, is_judged, max(timeout, 0.0))

    def listen(self, listener: Callable[[Order], None]) -> None:
        """Call `listener` with every snapshot that says something new; it must return at once."""
        with self._changed:
            self._listeners = (*self._listeners, listener)

    def forget(self, listener: Callable[[Order], None]) -> None:
        """No more calls of `listener`."""
        with self._changed:
            self._listeners = tuple(known for known in self._listeners if known != listener)

    def follow(self, follower: object, *, is_live: bool) -> None:
        """Say whether `follower` brings every change as it happens."""
        with self._changed:
            if not is_live:
                self._followers.pop(follower, None)
            elif follower not in self._followers:
                self._followers[follower] = self._env.now()

    @property
    def is_followed(self) -> bool:
        """Whether somebody brings every change as it happens, so that asking the exchange brings little."""
        return bool(self._followers)

    @property
    def followed_since(self) -> float | None:
        """Since when (steady clock) somebody has brought every change without a break; None: nobody does."""
        with self._changed:
            return min(self._followers.values(), default=None)


def _renamed(evidence: Evidence, name: str) -> Evidence:
    """The same of the order under that name."""
    return structs.replace(
        evidence,
        newest=replace(evidence.newest, client_order_id=name),
        terms=replace(evidence.terms, client_order_id=name),
        furthest=replace(evidence.furthest, client_order_id=name),
        created=replace(evidence.created, client_order_id=name),
        fills=tuple(replace(fill, client_order_id=name) for fill in evidence.fills),
    )


def _says_the_same(order: Order, known: Order) -> bool:
    if order.updated_at != known.updated_at:
        return False
    if order.source is known.source:
        return order == known
    return replace(order, source=known.source) == known


def _place(order: Order) -> str:
    return f"{order.symbol} {order.order_id}"  # the blank keeps it apart from every client order id


def _born(order: Order) -> datetime:
    return order.created_at or EPOCH
