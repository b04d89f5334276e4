"""The matching engine: price-time priority, balances, order types, self-trade prevention.

Pure and deterministic: time is an argument, randomness is seeded, there is no thread and no socket. What happened
waits in ``events`` in the order in which it happened, until somebody takes it.
"""

from __future__ import annotations

import string
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from . import filters
from .account import Account, spends, to_lock
from .book import Book, reaches
from .chance import seeded
from .fixed import SCALE, times
from .market import FEE, Market
from .orders import (
    BUY,
    MARKET_TYPES,
    SELL,
    STOP_TYPES,
    Amendment,
    Fill,
    NewOrder,
    Order,
    Prevention,
    Refused,
    Report,
    Trade,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FIRST_SEQUENCE = 1_000_000
FIRST_TRADE = 1_000_000_001
FIRST_ORDER = 1000
AVERAGE_MS = 300_000
STILL_LEVELS = 100
_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Numbers:
    """Where an exchange begins to count."""

    order: int = FIRST_ORDER
    trade: int = FIRST_TRADE


class Engine:
    """Every market of one exchange, and the accounts that trade there; the owner ``""`` is everybody else."""

    def __init__(
        self,
        markets: Sequence[Market],
        accounts: Mapping[str, Mapping[str, int]],
        seed: int,
        numbers: Numbers | None = None,
    ) -> None:
        numbers = numbers or Numbers()
        self.markets = {market.symbol: market for market in markets}
        self.accounts = {name: Account(dict(balances)) for name, balances in accounts.items()}
        self.books = {market.symbol: Book(FIRST_SEQUENCE) for market in markets}
        self.last = {market.symbol: market.start for market in markets}
        self.orders: dict[int, Order] = {}
        self.open: dict[int, Order] = {}
        self.by_client: dict[tuple[str, str], Order] = {}
        self.fees: dict[str, int] = {}
        self.outside: dict[str, int] = {}
        self.events: list[Report | Trade] = []
        self.prevented: list[Prevention] = []
        self._random = seeded("engine", seed)
        self._recent: dict[str, deque[tuple[int, int, int]]] = {market.symbol: deque() for market in markets}
        self._recent_sums = {market.symbol: [0, 0] for market in markets}
        self._waiting: dict[str, dict[int, Order]] = {market.symbol: {} for market in markets}
        self._next_order = numbers.order
        self._next_report = 1
        self._next_prevented = 0
        self._next_trade = dict.fromkeys(self.markets, numbers.trade)
        for market in markets:
            self._still_book(market)

    # Reading

    def average(self, symbol: str, now_ms: int) -> int:
        """The volume-weighted price of the last five minutes, else the last price."""
        recent, sums = self._recent[symbol], self._recent_sums[symbol]
        while recent and recent[0][0] < now_ms - AVERAGE_MS:
            _, notional, quantity = recent.popleft()
            sums[0] -= notional
            sums[1] -= quantity
        return sums[0] // sums[1] if sums[1] else self.last[symbol]

    def open_orders(self, owner: str) -> list[Order]:
        """The open orders of an account, oldest first."""
        return [order for order in self.open.values() if order.owner == owner]

    # Commands

    def check(self, wish: NewOrder, now_ms: int) -> None:
        """The checks of admission. Raises: Refused."""
        if wish.owner:
            filters.check(wish, self.average(wish.market.symbol, now_ms), self.open_orders(wish.owner))

    def reserve(self) -> int:
        """A number for an order that is placed later."""
        self._next_order += 1
        return self._next_order

    def place(self, wish: NewOrder, now_ms: int, number: int | None = None) -> Order:
        """Admits and matches. The order that comes back may be over already. Raises: Refused, nothing happened."""
        self.check(wish, now_ms)
        self._check_engine(wish)
        quantity = wish.quantity or self._quantity_for(wish)
        self._check_funds(wish, quantity)
        order = self._accept(wish, quantity, now_ms, number)
        if not order.is_conditional:
            self._work(order, now_ms)
            self._trigger(order.market, now_ms)
        return order

    def reject(self, wish: NewOrder, now_ms: int, number: int, reason: str) -> Order:
        """Remembers an order that was taken and then refused."""
        order = Order(number, wish, wish.client_id, wish.client_id, wish.quantity, now_ms, now_ms)
        self.orders[number] = self.by_client[wish.owner, wish.client_id] = order
        self._end(order, "rejected", now_ms, reason=reason)
        return order

    def cancel(self, order: Order, now_ms: int, new_client_id: str = "") -> None:
        """Cancels an open order, which from then on carries the id of the cancel. Raises: Refused."""
        if not order.is_open:
            raise Refused("unknown_order")
        original = order.client_id
        self._rename(order, new_client_id or self.random_id())
        self._end(order, "canceled", now_ms, original=original)

    def expire(self, order: Order, now_ms: int, reason: str) -> None:
        """The exchange itself ends an open order."""
        self._end(order, "expired", now_ms, reason=reason)

    def too_late(self, order: Order, now_ms: int) -> None:
        """A cancel met an order that was over."""
        self._report("too_late", order, now_ms)

    def amend(self, order: Order, quantity: int, now_ms: int, new_client_id: str = "") -> Report:
        """Makes an order smaller, in its place in the queue. Raises: Refused."""
        self._check_amend(order, quantity)
        original, before = order.client_id, order.quantity
        self._rename(order, new_client_id or self.random_id())
        removed = min(order.quantity - quantity, order.remaining)
        release = to_lock(order.wish, removed)
        order.quantity -= removed
        order.updated_ms = now_ms
        amendment = Amendment(self._next_report, original, order.client_id, before, order.quantity, now_ms)
        order.amendments.append(amendment)
        if order.is_working:
            self.books[order.market.symbol].reduce(order, removed)
        self._account(order).unlock(order, release)
        if order.remaining == 0:
            order.is_working = False
            return self._end(order, "expired", now_ms, original=original)
        return self._report("replaced", order, now_ms, original=original)

    def change(self, order: Order, now_ms: int, **wanted: Any) -> Report:
        """Gives an order another ``price``, ``quantity`` or ``stop_price``; it goes to the end of its queue.

        Raises: Refused, and the order stays as it was.
        """
        if not order.is_open:
            raise Refused("unknown_order")
        wish = replace(order.wish, **wanted)
        left = wish.quantity - order.filled - order.prevented
        if left <= 0:
            raise Refused("amend_below_filled")
        account, held = self._account(order), order.locked
        needed = to_lock(wish, left) if held else 0
        if account.of(spends(wish)).free + held < needed:
            raise Refused("insufficient_balance")
        if order.is_working:
            self.books[order.market.symbol].remove(order)
        account.unlock(order, held)
        order.wish, order.quantity, order.updated_ms = wish, wish.quantity, now_ms
        account.lock(order, needed)
        report = self._report("replaced", order, now_ms)
        if order.is_working:
            self._work(order, now_ms)
        self._trigger(order.market, now_ms)
        return report

    def execute(self, symbol: str, side: str, quantity: int, limit: int, now_ms: int) -> int:
        """Other people take liquidity, not worse than ``limit`` (0: at any price); the quantity that traded."""
        wish = NewOrder(self.markets[symbol], side, "limit", quantity, limit, time_in_force="ioc")
        return self.place(wish, now_ms).filled

    def withdraw(self, order: Order) -> None:
        """Other people cancel a resting order."""
        order.status = "canceled"
        self.books[order.market.symbol].remove(order)

    def random_id(self) -> str:
        """An id as the exchange makes them."""
        return "".join(self._random.choices(_ALPHABET, k=22))

    # Admission

    def _check_engine(self, wish: NewOrder) -> None:
        previous = self.by_client.get((wish.owner, wish.client_id)) if wish.client_id else None
        if previous is not None and previous.is_open:
            raise Refused("duplicate")
        if self.would_take(wish):
            raise Refused("would_take")
        if wish.stop_price and triggers(wish, self.last[wish.market.symbol]):
            raise Refused("would_trigger")

    def would_take(self, wish: NewOrder) -> bool:
        """Whether an order that must not take would."""
        return wish.type == "limit_maker" and self.books[wish.market.symbol].crosses(wish.side, wish.price)

    def check_funds(self, wish: NewOrder) -> None:
        """Raises: Refused, when what is free does not pay for this order now, or nothing is there to buy."""
        self._check_funds(wish, wish.quantity or self._quantity_for(wish))

    def _check_funds(self, wish: NewOrder, quantity: int) -> None:
        if not wish.owner or (wish.type in STOP_TYPES and not wish.holds):
            return
        is_bought_now = wish.type == "market" and wish.side == BUY
        needed = self._cost(wish, quantity) if is_bought_now else to_lock(wish, quantity)
        if self.accounts[wish.owner].of(spends(wish)).free < needed:
            raise Refused("insufficient_balance")

    def _check_amend(self, order: Order, quantity: int) -> None:
        if not order.is_open:
            raise Refused("unknown_order")
        if quantity == order.quantity:
            raise Refused("no_change")
        if quantity > order.quantity:
            raise Refused("amend_increase")
        if len(order.amendments) >= order.market.max_amends:
            raise Refused("filter", "MAX_NUM_ORDER_AMENDS")
        filters.check_quantity(order.market, quantity, is_market=False)
        if order.price:
            filters.check_notional(order.market, times(order.price, quantity), is_market=False)

    def _cost(self, wish: NewOrder, quantity: int) -> int:
        """What buying ``quantity`` at the market costs now."""
        cost = 0
        for price, available in self._offered(wish):
            part = min(quantity, available)
            cost += times(price, part)
            quantity -= part
            if not quantity:
                break
        return cost

    def _offered(self, wish: NewOrder) -> Iterator[tuple[int, int]]:
        """(price, quantity) that a taker may meet, best first: never what self-trade prevention would take away."""
        for maker in self.books[wish.market.symbol].against(wish.side).orders():
            if not _prevents(wish, maker):
                yield maker.price, maker.remaining

    def _quantity_for(self, wish: NewOrder) -> int:
        """The whole lots that ``quote_quantity`` buys or that bring it in. Raises: Refused."""
        if wish.stop_price and not triggers(wish, self.last[wish.market.symbol]):
            return wish.quote_quantity * SCALE // wish.stop_price // wish.market.lot * wish.market.lot
        left, quantity = wish.quote_quantity, 0
        for price, available in self._offered(wish):
            affordable = left * SCALE // price // wish.market.lot * wish.market.lot
            part = min(affordable, available)
            quantity += part
            left -= times(price, part)
            if part == affordable:
                break
        if not quantity:
            raise Refused("no_liquidity")
        return quantity

    def _accept(self, wish: NewOrder, quantity: int, now_ms: int, number: int | None = None) -> Order:
        client_id = wish.client_id or (self.random_id() if wish.owner else "")
        order = Order(number or self.reserve(), wish, client_id, client_id, quantity, now_ms, now_ms)
        if wish.owner:
            if wish.type != "market" and (wish.holds or not order.is_conditional):
                self._account(order).lock(order, to_lock(wish, quantity))
            self.orders[order.id] = self.open[order.id] = order
            self.by_client[wish.owner, client_id] = order
        if order.is_conditional:
            self._waiting[wish.market.symbol][order.id] = order
        else:
            self._start_working(order, now_ms)
        self._report("new", order, now_ms)
        return order

    # Matching

    def _start_working(self, order: Order, now_ms: int) -> None:
        order.is_working, order.working_ms, order.updated_ms = True, now_ms, now_ms

    def _work(self, order: Order, now_ms: int) -> None:
        """Takes what it may take; the rest rests or expires."""
        if order.wish.time_in_force == "fok" and self._available(order) < order.remaining:
            self._end(order, "expired", now_ms, reason="unfilled_fok_order_expired", in_book=False)
            return
        self._match(order, now_ms)
        if not order.is_open:
            return
        if order.wish.type in MARKET_TYPES:
            self._end(order, "expired", now_ms, reason="insufficient_liquidity", in_book=False)
        elif order.wish.time_in_force != "gtc":
            self._end(order, "expired", now_ms, reason="unfilled_ioc_quantity_expired", in_book=False)
        else:
            self.books[order.market.symbol].add(order)

    def _available(self, order: Order) -> int:
        available = 0
        for price, quantity in self._offered(order.wish):
            if not reaches(order.side, order.price, price) or available >= order.remaining:
                break
            available += quantity
        return available

    def _match(self, taker: Order, now_ms: int) -> None:
        side = self.books[taker.market.symbol].against(taker.side)
        while taker.is_open and taker.remaining:
            price = side.best()
            if price is None or not reaches(taker.side, taker.price, price):
                return
            maker = side.first(price)
            if _prevents(taker.wish, maker):
                self._prevent(taker, maker, now_ms)
            else:
                self._trade(taker, maker, min(taker.remaining, maker.remaining), now_ms)

    def _trade(self, taker: Order, maker: Order, quantity: int, now_ms: int) -> None:
        symbol, price = taker.market.symbol, maker.price
        number, sequence = self._next_trade[symbol], self.books[symbol].sequence + 1
        trade = Trade(number, taker.market, price, quantity, taker.side, now_ms, taker.id, sequence)
        self._next_trade[symbol] += 1
        self.last[symbol] = price
        self._remember(trade)
        self.events.append(trade)
        for order in (maker, taker):
            order.filled += quantity
            order.filled_quote += times(price, quantity)
            order.updated_ms = now_ms
            order.status = "partially_filled" if order.remaining else "filled"
        self.books[symbol].reduce(maker, quantity)
        for order in (maker, taker):
            self._settle(order, trade, is_maker=order is maker)

    def _settle(self, order: Order, trade: Trade, *, is_maker: bool) -> None:
        market, cost = order.market, times(trade.price, trade.quantity)
        gives, given = (market.quote, cost) if order.side == BUY else (market.base, trade.quantity)
        gets, got = (market.base, trade.quantity) if order.side == BUY else (market.quote, cost)
        if not order.owner:
            self.outside[gives] = self.outside.get(gives, 0) - given
            self.outside[gets] = self.outside.get(gets, 0) + got
            return
        account = self._account(order)
        if order.locked:
            account.unlock(order, min(order.locked, to_lock(order.wish, trade.quantity)))
        account.pay(gives, given)
        fee = got * FEE // SCALE
        account.receive(gets, got - fee)
        account.updated_ms = trade.time_ms
        self.fees[gets] = self.fees.get(gets, 0) + fee
        fill = Fill(trade.id, order, trade.price, trade.quantity, fee, gets, is_maker, trade.time_ms, trade.sequence)
        order.fills.append(fill)
        if not order.is_open:
            self._close(order)
        self._report("trade", order, trade.time_ms, fill=fill)

    def _prevent(self, taker: Order, maker: Order, now_ms: int) -> None:
        """Two orders of one account would trade with each other; the taker's mode says which of them gives way."""
        mode, common = taker.wish.stp, min(taker.remaining, maker.remaining)
        lost = {taker.id: 0, maker.id: 0}
        for order, other in ((maker, taker), (taker, maker)):
            order.prevented_match_id = self._next_prevented
            if mode in {"decrement", "transfer"}:
                lost[order.id] = common
            elif mode == "expire_both" or (mode == "expire_maker") == (order is maker):
                lost[order.id] = order.remaining
            if lost[order.id]:
                self._subtract(order, other, lost[order.id], now_ms)
        row = (taker, maker, maker.price, lost[taker.id], lost[maker.id], now_ms)
        self.prevented.append(Prevention(self._next_prevented, *row))
        self._next_prevented += 1

    def _subtract(self, order: Order, other: Order, quantity: int, now_ms: int) -> None:
        order.prevented += quantity
        order.updated_ms = now_ms
        if self._rests(order):
            self.books[order.market.symbol].reduce(order, quantity)
        if order.locked:
            self._account(order).unlock(order, min(order.locked, to_lock(order.wish, quantity)))
        if order.remaining == 0:
            order.status = "expired_in_match"
            self._close(order)
        self._report("trade_prevention", order, now_ms, prevented=quantity, counter=other.id)

    def _rests(self, order: Order) -> bool:
        level = self.books[order.market.symbol].side(order.side).levels.get(order.price)
        return level is not None and order.id in level.orders

    # Triggers

    def _trigger(self, market: Market, now_ms: int) -> None:
        """Conditional orders start to work in the order of their ids; each may trigger more."""
        waiting = self._waiting[market.symbol]
        while True:
            last = self.last[market.symbol]
            order = next((order for order in waiting.values() if triggers(order.wish, last)), None)
            if order is None:
                return
            del waiting[order.id]
            order.has_triggered = True
            self._start_working(order, now_ms)
            if not self._fund(order):
                self._end(order, "expired", now_ms, reason="rejected", in_book=False)
                continue
            self._report("new", order, now_ms)
            self._work(order, now_ms)

    def _fund(self, order: Order) -> bool:
        """A triggered market order pays from what is free, not from what its trigger had reserved.

        An order that held nothing while it waited must find its funds now.
        """
        account = self._account(order)
        if order.wish.type not in MARKET_TYPES:
            return order.locked > 0 or self._lock_now(order)
        account.unlock(order, order.locked)
        if order.wish.quote_quantity:
            try:
                order.quantity = self._quantity_for(order.wish)
            except Refused:
                return False
        needed = self._cost(order.wish, order.quantity) if order.side == BUY else order.quantity
        return account.of(spends(order.wish)).free >= needed

    def _lock_now(self, order: Order) -> bool:
        try:
            self._account(order).lock(order, to_lock(order.wish, order.remaining))
        except Refused:
            return False
        return True

    # The end of an order

    def _end(
        self, order: Order, status: str, now_ms: int, *, reason: str = "", in_book: bool = True, original: str = ""
    ) -> Report:
        order.status, order.updated_ms, order.expiry_reason = status, now_ms, reason
        if in_book and order.is_working:
            self.books[order.market.symbol].remove(order)
        self._close(order)
        return self._report(status, order, now_ms, original=original)

    def _close(self, order: Order) -> None:
        order.is_working = False
        if order.owner:
            if order.locked:
                self._account(order).unlock(order, order.locked)
            self.open.pop(order.id, None)
            self._waiting[order.market.symbol].pop(order.id, None)

    def _rename(self, order: Order, client_id: str) -> None:
        if self.by_client.get((order.owner, order.client_id)) is order:
            del self.by_client[order.owner, order.client_id]
        order.client_id = client_id
        self.by_client[order.owner, client_id] = order

    def _report(
        self,
        kind: str,
        order: Order,
        now_ms: int,
        *,
        original: str = "",
        fill: Fill | None = None,
        prevented: int = 0,
        counter: int = -1,
    ) -> Report:
        report = Report(
            kind,
            order,
            self._next_report,
            now_ms,
            order.status,
            order.client_id,
            order.filled,
            order.filled_quote,
            order.is_working,
            original,
            fill,
            prevented,
            counter,
        )
        if order.owner:
            self._next_report += 1
            self.events.append(report)
        return report

    def _account(self, order: Order) -> Account:
        return self.accounts[order.owner]

    def _remember(self, trade: Trade) -> None:
        notional = trade.price * trade.quantity
        self._recent[trade.market.symbol].append((trade.time_ms, notional, trade.quantity))
        sums = self._recent_sums[trade.market.symbol]
        sums[0] += notional
        sums[1] += trade.quantity

    def _still_book(self, market: Market) -> None:
        """One base asset at each of a hundred prices a side, in steps of a ten-thousandth of the start price."""
        book = self.books[market.symbol]
        for side, sign in ((BUY, -1), (SELL, 1)):
            for step in range(1, STILL_LEVELS + 1):
                price = market.on_tick(market.start + sign * market.start * step // 10_000)
                wish = NewOrder(market, side, "limit", SCALE, price)
                self._next_order += 1
                order = Order(self._next_order, wish, "", "", SCALE, 0, 0, is_working=True)
                book.add(order)
        book.sequence = FIRST_SEQUENCE


def triggers(wish: NewOrder, last: int) -> bool:
    """Whether a conditional order starts to work at this last price."""
    rises = wish.type.startswith("stop_loss") == (wish.side == BUY)
    return last >= wish.stop_price if rises else last <= wish.stop_price


def _prevents(taker: NewOrder, maker: Order) -> bool:
    return bool(taker.owner) and taker.owner == maker.owner and taker.stp != "none"
