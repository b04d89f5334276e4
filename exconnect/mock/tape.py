"""What has traded: public trades, aggregates, live minutes and seconds joined with the seeded past."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from . import intervals
from .fixed import times
from .history import BEGIN_MS, Bar, History, extended, join
from .intervals import MINUTE, SECOND
from .orders import BUY

if TYPE_CHECKING:
    from .market import Market
    from .orders import Trade


@dataclass(slots=True)
class Aggregate:
    """Trades of one taker at one price."""

    id: int
    price: int
    quantity: int
    first_id: int
    last_id: int
    time_ms: int
    side: str
    taker_order_id: int


class Tape:
    """The trades of one market."""

    def __init__(self, market: Market, seed: int, started_ms: int) -> None:
        self.market = market
        self.trades: list[Trade] = []
        self.aggregates: list[Aggregate] = []
        self._seed, self._started_ms = seed, started_ms
        self._live: dict[int, dict[int, Bar]] = {MINUTE: {}, SECOND: {}}
        self._begins: dict[int, list[int]] = {MINUTE: [], SECOND: []}

    @cached_property
    def _history(self) -> History:
        """Made when somebody asks for candles: most tests never do."""
        return History(self.market, self._seed, self._started_ms)

    def add(self, trade: Trade) -> Aggregate | None:
        """Takes a trade; gives the new aggregate if it begins one."""
        self.trades.append(trade)
        for length in (MINUTE, SECOND):
            self._count(trade, length)
        last = self.aggregates[-1] if self.aggregates else None
        if last and last.taker_order_id == trade.taker_order_id and last.price == trade.price:
            last.quantity += trade.quantity
            last.last_id = trade.id
            return None
        number = len(self.aggregates) + 1
        begun = Aggregate(
            number, trade.price, trade.quantity, trade.id, trade.id, trade.time_ms, trade.side, trade.taker_order_id
        )
        self.aggregates.append(begun)
        return begun

    def _count(self, trade: Trade, length: int) -> None:
        begin = trade.time_ms // length * length
        notional, bought = times(trade.price, trade.quantity), trade.side == BUY
        amounts = (trade.quantity, notional, 1, trade.quantity * bought, notional * bought, trade.id, trade.id)
        bar = Bar(trade.price, trade.price, trade.price, trade.price, *amounts)
        known = self._live[length].get(begin)
        if known is None:
            self._begins[length].append(begin)
            opened = self._close_before(begin, length)
            bar = replace(bar, open=opened, high=max(bar.high, opened), low=min(bar.low, opened))
        self._live[length][begin] = extended(known, bar) if known else bar

    def _close_before(self, begin_ms: int, length: int) -> int:
        """The last price before a moment."""
        begins = self._begins[length]
        index = bisect_left(begins, begin_ms) - 1
        if index >= 0 and begins[index] < begin_ms:
            return self._live[length][begins[index]].close
        return self.market.start

    def bar(self, begin_ms: int, end_ms: int) -> Bar | None:
        """The candle of a range; None before the beginning of time."""
        if end_ms <= BEGIN_MS:
            return None
        past = self._history.bar(begin_ms, end_ms) if begin_ms < self._history.end_ms else None
        length = MINUTE if begin_ms % MINUTE == 0 and end_ms % MINUTE == 0 else SECOND
        begins = self._begins[length]
        found = begins[bisect_left(begins, begin_ms) : bisect_left(begins, end_ms)]
        bars = [self._live[length][begin] for begin in found]
        if past:
            bars.insert(0, past)
        if bars:
            return join(bars)
        flat = self._close_before(begin_ms, length)
        return Bar(flat, flat, flat, flat)

    def window(self, begin_ms: int, now_ms: int) -> Bar:
        """The minutes from the one that holds ``begin_ms`` on; in a world older than 2024 nothing has happened."""
        bar = self.bar(begin_ms // MINUTE * MINUTE, (now_ms // MINUTE + 1) * MINUTE)
        if bar is None:
            raise ValueError("the clock of the mock exchange is before 2024")
        return bar

    def candles(
        self, interval: str, start_ms: int | None, end_ms: int | None, limit: int, now_ms: int, zone_ms: int = 0
    ) -> list[tuple[int, int, Bar]]:
        """(begin, end, bar) ascending: from ``start_ms`` on, else the newest; the open one is the last."""
        newest = intervals.floor(min(now_ms, now_ms if end_ms is None else end_ms), interval, zone_ms)
        if start_ms is None:
            begin = newest
            for _ in range(limit - 1):
                begin = intervals.preceding(begin, interval, zone_ms)
        else:
            begin = intervals.floor(start_ms, interval, zone_ms)
            begin = begin if begin == start_ms else intervals.following(begin, interval, zone_ms)
        begin = max(begin, intervals.floor(BEGIN_MS, interval, zone_ms))
        rows: list[tuple[int, int, Bar]] = []
        while begin <= newest and len(rows) < limit:
            end = intervals.following(begin, interval, zone_ms)
            bar = self.bar(begin, end)
            if bar is not None:
                rows.append((begin, end, bar))
            begin = end
        return rows

    def since(self, trade_id: int) -> int:
        """The index of the first trade with an id of at least this."""
        first = self.trades[0].id if self.trades else trade_id
        return max(0, trade_id - first)
