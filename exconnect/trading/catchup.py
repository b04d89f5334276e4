"""What private streams tell of the account goes into the stores here; what they did not tell is fetched.

A stream has no memory: what happened while nobody listened never comes again. So whenever somebody begins to listen
the account is walked: balances, open orders, the fate of orders that were thought open, fills of every symbol that
matters. Reads may lag behind what happened, so a walk overlaps the one before it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from exconnect.errors import ExchangeError, ExconnectError, JournalUnavailable, OrderNotFound, UnknownSymbol
from exconnect.model.enums import OrderStatus, Side
from exconnect.model.values import ms_of
from exconnect.protocol.pages import mark_item, rank, whole
from exconnect.protocol.session import Standing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from exconnect.model.account import Balance
    from exconnect.model.instrument import Instrument
    from exconnect.model.order import Fill, Order
    from exconnect.protocol.exchange import Lookup
    from exconnect.protocol.pages import Page, Where
    from exconnect.trading.desk import Deadline, Desk
    from exconnect.trading.handouts import HandoutLog
    from exconnect.trading.holdings import Holdings

log = logging.getLogger("exconnect.orders")

_RECENT = 1_000  # orders that are looked at again
_MANY = 20  # symbols: each costs a question, and of more only those are asked for whose asset has moved
_UNSEEN_S = 120.0  # so long reads may not show the fill that a balance tells of already
_CALL_S = 5.0  # for one question; whoever closes the client waits for no answer much longer


class AccountRecords:
    """The stores of one account, as its private streams see them."""

    def __init__(
        self,
        desk: Desk,
        holdings: Holdings,
        listing: Callable[[tuple[str, ...], float], object],
        error_ms: ErrorMs,
        recall: Callable[[], None],
        handouts: Callable[[str], HandoutLog | None],
    ) -> None:
        self._desk = desk
        self._holdings = holdings
        self._listing = listing
        self._error_ms = error_ms
        self._recall = recall
        self._unlisted: set[str] = set()  # and said to be so, once
        self._moved: dict[str, float] = {}  # assets whose balance has changed, and when
        self.handouts = handouts  # of a stream of that name; None: there is no journal

    # ------------------------------------------------------------ what was told

    @property
    def lookup(self) -> Lookup:
        """An instrument by the exchange's symbol."""
        return self._desk.instruments.lookup

    def order(self, news: Order) -> Order:
        """Merge it in; what is known then."""
        return self._desk.orders.apply(news)

    def balances(self, changed: Sequence[Balance], time_ms: int) -> None:
        """Merge them in."""
        self._holdings.change(changed, time_ms)

    def held(self, assets: Iterable[str]) -> list[Balance]:
        """As much of these as is known to be held."""
        return self._holdings.held(assets)

    def filled(self, fill: Fill) -> None:
        """It explains a change of balances."""
        instrument = self._desk.instruments.get(fill.symbol)
        if instrument is not None:
            sign = 1 if fill.side is Side.BUY else -1
            changes = [(instrument.base, sign * fill.quantity), (instrument.quote, -sign * fill.notional)]
            if fill.fee is not None and fill.fee_asset is not None:
                changes.append((fill.fee_asset, -fill.fee))
            self._holdings.explain((fill.symbol, fill.order_id, fill.id), changes)

    def transferred(self, asset: str, quantity: Decimal, time_ms: int) -> None:
        """So does this."""
        self._holdings.explain((asset, quantity, time_ms), [(asset, quantity)])

    def unexplained(self) -> dict[str, Decimal]:
        """Changes of balances that nothing explains."""
        return self._holdings.unexplained()

    def settle(self) -> None:
        """The account was walked: there is nothing left to explain."""
        self._holdings.settle()

    def fills(self) -> list[Fill]:
        """All that the order store knows."""
        orders = self._desk.orders
        return [fill for order in orders.history(None, orders.MOST) for fill in order.fills]

    def has_open_orders(self) -> bool:
        """Whether anything may still be filled."""
        return bool(self._desk.orders.open())

    def listen(self, listener: Callable[[Order], None]) -> None:
        """Call it with every change of an order, from whatever thread makes it."""
        self._desk.orders.listen(listener)

    def forget(self, listener: Callable[[Order], None]) -> None:
        """No more calls."""
        self._desk.orders.forget(listener)

    def follow(self, follower: object, *, is_live: bool) -> None:
        """Say whether a live stream keeps the store up to date."""
        self._desk.orders.follow(follower, is_live=is_live)

    def earliest_ms(self, ago: float) -> int:
        """The earliest that the exchange's clock can have shown so many seconds ago."""
        error = self._error_ms() or 0.0
        return int(self._desk.gateway.server_now_ms() - ago * 1000 - error)

    # ------------------------------------------------------------ what was not told

    def catch_up(
        self,
        start_ms: int,
        symbols: Iterable[str],
        unknown: Iterable[str],
        timeout: float,
        heard: Callable[[Balance], bool] | None = None,
    ) -> Standing:
        """Ask how the account stands, and for its fills since `start_ms`; all of it is merged into the stores.

        Args:
            start_ms: exchange time.
            symbols: whose fills somebody waits for; those of the store's own orders are looked at too. Of many those
                alone whose asset has moved lately, at first those whose asset is held.
            unknown: symbols in the exchange's words that were heard of and are not known.
            timeout: seconds.
            heard: whether a stream's handlers have heard of a balance: what the store knows they may have missed.

        Raises:
            ExconnectError: an answer did not come; what did is merged.
        """
        desk, deadline = self._desk, self._desk.deadline(timeout)
        time_ms = desk.gateway.server_now_ms()
        with suppress(JournalUnavailable):
            self._recall()
        self._learn(set(unknown), deadline)
        is_first = not self._holdings.balances()
        changed = self._holdings.put(desk.call(desk.rest.fetch_balances(), _brief(deadline)), time_ms)
        balances = self._holdings.held()
        if heard is not None:
            changed = [balance for balance in balances if not heard(balance)]
        moved = set() if is_first else self._moved_lately(changed)
        self._look_at_open(deadline)
        recent = self._recent(start_ms)
        wanted = {order.symbol for order in recent if order.is_open or _since(order, start_ms)}
        held = {balance.asset for balance in balances if balance.total} if heard is None else set()
        wanted |= self._worth_asking(set(symbols), moved | held, deadline)
        wanted |= self._touched(moved, wanted, deadline)
        fills = [fill for symbol in sorted(wanted) for fill in self._fills(symbol, start_ms, deadline)]
        fills += self._missing(start_ms, deadline)
        orders = [order for order in self._recent(start_ms) if order.order_id is not None]
        return Standing(
            orders=sorted(orders, key=_age),
            fills=sorted(fills, key=lambda fill: rank(mark_item(fill))),
            balances=balances,
            time_ms=time_ms,
            is_complete=not any(_lacks_fills(order, start_ms) for order in orders),
        )

    def _recent(self, start_ms: int) -> list[Order]:
        """The newest, and the older ones to which something may have happened."""
        orders = self._desk.orders
        known = enumerate(orders.history(None, orders.MOST))
        return [order for place, order in known if place < _RECENT or order.is_open or _since(order, start_ms)]

    def _learn(self, names: set[str], deadline: Deadline) -> None:
        for name in sorted(names):
            if self.lookup(name) is None:
                try:
                    self._listing((name,), _brief(deadline))
                except (UnknownSymbol, ExchangeError) as error:
                    # What it refuses to be asked for is no symbol, and must not keep the account from being read.
                    if type(error) not in (UnknownSymbol, ExchangeError):
                        raise
                    log.warning("the exchange tells of %.40s and does not list it: %s", name, error)

    def _look_at_open(self, deadline: Deadline) -> None:
        """Open orders, and what became of those that were thought open and are not among them."""
        desk = self._desk
        found = desk.open_orders(None, desk.deadline(_brief(deadline)))
        seen = {desk.orders.apply(order).client_order_id for order in found}
        for order in desk.orders.open():
            # One that is still being sent has a thread that waits for its answer.
            if order.client_order_id not in seen and order.status is not OrderStatus.PENDING_NEW:
                self._look_at(order, deadline)

    def _look_at(self, order: Order, deadline: Deadline) -> None:
        try:
            instrument = self._instrument(order.symbol, deadline)
            self._desk.find(instrument, order.client_order_id, order.order_id, self._desk.deadline(_brief(deadline)))
        except (OrderNotFound, UnknownSymbol):
            log.debug("order %s is not to be seen", order.client_order_id)

    def _instrument(self, symbol: str, deadline: Deadline) -> Instrument:
        return self._desk.instrument(symbol, _brief(deadline))

    def _moved_lately(self, changed: Iterable[Balance]) -> set[str]:
        """Assets whose fills may be still to come."""
        now = self._desk.env.now()
        self._moved = {asset: at for asset, at in self._moved.items() if now - at < _UNSEEN_S}
        self._moved |= {balance.asset: now for balance in changed}
        return set(self._moved)

    def _worth_asking(self, symbols: set[str], assets: set[str], deadline: Deadline) -> set[str]:
        """All of these, if they are few: who trades moves what a symbol is of."""
        if len(symbols) <= _MANY:
            return symbols
        instruments = self._desk.instruments
        if not all(map(instruments.get, symbols)):
            self._list_all(deadline)
        return {symbol for symbol in symbols if (i := instruments.get(symbol)) is None or i.base in assets}

    def _list_all(self, deadline: Deadline) -> None:
        if not self._desk.instruments.is_whole:
            self._listing((), max(deadline.left, 0.001))

    def _touched(self, changed: set[str], known: set[str], deadline: Deadline) -> set[str]:
        """Symbols that nobody thought of and whose assets have changed: somebody traded there."""
        instruments = self._desk.instruments
        explained = {asset for symbol in known if (i := instruments.get(symbol)) for asset in (i.base, i.quote)}
        if not changed - explained:
            return set()
        self._list_all(deadline)
        return {i.symbol for i in instruments.values() if {i.base, i.quote} <= changed}

    def _fills(self, symbol: str, start_ms: int, deadline: Deadline, order_id: str | None = None) -> list[Fill]:
        """Those of a symbol, or none if it is not listed, or not any more: that must not cost the others theirs."""
        try:
            return self._pages(self._instrument(symbol, deadline), start_ms, deadline, order_id)
        except UnknownSymbol:
            if symbol not in self._unlisted:
                self._unlisted.add(symbol)
                log.warning("no fills of %s: there is no such symbol", symbol)
            return []

    def _pages(self, instrument: Instrument, start_ms: int, deadline: Deadline, order_id: str | None) -> list[Fill]:
        """Page by page until there is no more; each is in the store when it is given."""
        desk = self._desk

        def ask(where: Where) -> Page[Fill]:
            call = desk.rest.fetch_fills(
                instrument,
                where,
                order_id=order_id,
                limit=desk.rest.PAGE["fills"],
                at=desk.gateway.server_now_ms(),
            )
            return desk.call(call, _brief(deadline))

        fills: list[Fill] = []
        where: Where | None = {"start": None if order_id else start_ms, "end": None}
        while where is not None:
            page = whole(ask, where, mark_item)
            fills += page.items
            where = page.next
        return self._kept(instrument, fills, deadline)

    def _kept(self, instrument: Instrument, fills: list[Fill], deadline: Deadline) -> list[Fill]:
        by_order: dict[str, list[Fill]] = {}
        for fill in fills:
            by_order.setdefault(fill.order_id, []).append(fill)
        kept: list[Fill] = []
        for order_id, group in by_order.items():
            order = self._order_of(instrument, order_id, deadline)
            named = [replace(fill, client_order_id=order.client_order_id) for fill in group]
            self._desk.orders.apply(replace(order, fills=tuple(named)))
            kept += named
        return kept

    def _order_of(self, instrument: Instrument, order_id: str, deadline: Deadline) -> Order:
        name = self._desk.orders.name_of(instrument.symbol, order_id)
        known = None if name is None else self._desk.orders.get(name)
        return known or self._desk.find(instrument, None, order_id, self._desk.deadline(_brief(deadline)))

    def _missing(self, start_ms: int, deadline: Deadline) -> list[Fill]:
        """Fills that orders tell of by their sums and that were never seen themselves."""
        lacking = [order for order in self._recent(start_ms) if _lacks_fills(order, start_ms)]
        fills: list[Fill] = []
        for order in lacking:
            try:
                fills += self._fills(order.symbol, start_ms, deadline, order.order_id)
            except ExconnectError as error:
                log.warning("fills of order %s are missing: %s", order.client_order_id, error)
        return fills


ErrorMs = Callable[[], float | None]


def _brief(deadline: Deadline) -> float:
    return max(0.001, min(deadline.left, _CALL_S))


def _since(order: Order, start_ms: int) -> bool:
    return order.updated_at is not None and ms_of(order.updated_at, "updated_at") >= start_ms


def _lacks_fills(order: Order, start_ms: int) -> bool:
    return bool(order.filled_quantity) and not order.fills_complete and bool(order.order_id) and _since(order, start_ms)


def _age(order: Order) -> int:
    return 0 if order.updated_at is None else ms_of(order.updated_at, "updated_at")
