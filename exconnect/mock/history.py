"""Prices since 2024-01-01, made from a seed when somebody asks.

Every day has one of a few seeded shapes (1,440 minutes each) and begins where the day before ended. A shape is a path
of small integers, price = start price x (100000 + level) / 100000; as rounding to the tick is monotone and volumes
are integers, a candle of any interval is exactly the sum of its minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

from .chance import Source, seeded
from .fixed import SCALE
from .intervals import DAY, MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .market import Market

BEGIN_MS = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 1000
UNIT = 100_000
SHAPES = 16
MINUTES = 1440
REACH = 20_000


@dataclass(frozen=True, slots=True)
class Bar:
    """One candle's numbers in units of 10⁻⁸; ``first_id`` is −1 where nothing traded or the trades are not kept."""

    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    quote_volume: int = 0
    count: int = 0
    taker_base: int = 0
    taker_quote: int = 0
    first_id: int = -1
    last_id: int = -1


def extended(bar: Bar, later: Bar) -> Bar:
    """A bar and a single trade after it; what ``join`` gives, at a fraction of the cost."""
    return Bar(
        bar.open,
        max(bar.high, later.high),
        min(bar.low, later.low),
        later.close,
        bar.volume + later.volume,
        bar.quote_volume + later.quote_volume,
        bar.count + later.count,
        bar.taker_base + later.taker_base,
        bar.taker_quote + later.taker_quote,
        bar.first_id,
        later.last_id,
    )


def join(bars: Iterable[Bar]) -> Bar | None:
    """One bar of consecutive ones."""
    parts = list(bars)
    if not parts:
        return None
    traded = [bar for bar in parts if bar.first_id >= 0]
    return Bar(
        parts[0].open,
        max(bar.high for bar in parts),
        min(bar.low for bar in parts),
        parts[-1].close,
        sum(bar.volume for bar in parts),
        sum(bar.quote_volume for bar in parts),
        sum(bar.count for bar in parts),
        sum(bar.taker_base for bar in parts),
        sum(bar.taker_quote for bar in parts),
        traded[0].first_id if traded else -1,
        traded[-1].last_id if traded else -1,
    )


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of a shape: levels relative to the day's begin; ``weighted`` is Σ lots x level."""

    open: int
    high: int
    low: int
    close: int
    lots: int
    weighted: int
    count: int
    bought: int
    bought_weighted: int


class _Shape:
    """One day's path by minutes."""

    def __init__(self, source: Source) -> None:
        steps = source.choices(range(-12, 13), k=MINUTES)
        self.levels = list(accumulate(steps, initial=0))
        above, below = source.choices(range(7), k=MINUTES), source.choices(range(7), k=MINUTES)
        ends = list(zip(self.levels, self.levels[1:], strict=False))
        self.highs = [max(pair) + wick for pair, wick in zip(ends, above, strict=True)]
        self.lows = [min(pair) - wick for pair, wick in zip(ends, below, strict=True)]
        self.lots = source.choices(range(2_000, 60_000), k=MINUTES)
        shares = source.choices(range(30, 71), k=MINUTES)
        self.bought = [lots * share // 100 for lots, share in zip(self.lots, shares, strict=True)]
        self.counts = source.choices(range(20, 401), k=MINUTES)

    @property
    def end(self) -> int:
        return self.levels[-1]

    @lru_cache(maxsize=4096)  # noqa: B019 (a shape lives as long as its exchange)
    def piece(self, begin: int, end: int) -> _Piece:
        """The minutes ``begin`` to ``end`` (excluded) as one."""
        lots, bought = self.lots[begin:end], self.bought[begin:end]
        middle = self.levels[begin:end]
        return _Piece(
            self.levels[begin],
            max(self.highs[begin:end]),
            min(self.lows[begin:end]),
            self.levels[end],
            sum(lots),
            sum(a * b for a, b in zip(lots, middle, strict=True)),
            sum(self.counts[begin:end]),
            sum(bought),
            sum(a * b for a, b in zip(bought, middle, strict=True)),
        )


class History:
    """The prices of one market from BEGIN_MS to the minute of the exchange's start, where it is at its start price."""

    def __init__(self, market: Market, seed: int, started_ms: int) -> None:
        source = seeded(f"history {market.symbol}", seed)
        self._market = market
        self._shapes = [_Shape(source) for _ in range(SHAPES)]
        self.end_ms = started_ms // MINUTE * MINUTE
        days = max(0, self.end_ms - BEGIN_MS) // DAY + 1
        self._of_day, self._levels = self._plan(source, days)
        day, minute = divmod((self.end_ms - BEGIN_MS) // MINUTE, MINUTES)
        self._shift = self._levels[day] + self._shapes[self._of_day[day]].levels[minute] if days > 0 else 0

    def _plan(self, source: Source, days: int) -> tuple[list[int], list[int]]:
        """A shape for each day, chosen so that the level stays within REACH."""
        order = sorted(range(SHAPES), key=lambda index: self._shapes[index].end)
        of_day, levels = [], [0]
        for _ in range(days):
            choices = order
            if abs(levels[-1]) > REACH:
                choices = order[: SHAPES // 2] if levels[-1] > 0 else order[SHAPES // 2 :]
            of_day.append(source.choice(choices))
            levels.append(levels[-1] + self._shapes[of_day[-1]].end)
        return of_day, levels

    def bar(self, begin_ms: int, end_ms: int) -> Bar | None:
        """What lies within a range of whole minutes (or of whole seconds of one minute); None if nothing does."""
        if begin_ms % MINUTE or end_ms % MINUTE:
            return self._seconds(begin_ms, end_ms)
        begin = (max(begin_ms, BEGIN_MS) - BEGIN_MS) // MINUTE
        end = (min(end_ms, self.end_ms) - BEGIN_MS) // MINUTE
        bars = []
        while begin < end:
            day, minute = divmod(begin, MINUTES)
            until = min(end - day * MINUTES, MINUTES)
            bars.append(self._bar_of(day, self._shapes[self._of_day[day]].piece(minute, until)))
            begin = day * MINUTES + until
        return join(bars)

    def _bar_of(self, day: int, piece: _Piece) -> Bar:
        level, lot = self._levels[day] - self._shift, self._market.lot
        return Bar(
            self._price(level + piece.open),
            self._price(level + piece.high),
            self._price(level + piece.low),
            self._price(level + piece.close),
            piece.lots * lot,
            self._notional(piece.lots, piece.weighted, level),
            piece.count,
            piece.bought * lot,
            self._notional(piece.bought, piece.bought_weighted, level),
        )

    def _price(self, level: int) -> int:
        return self._market.on_tick(self._market.start * (UNIT + level) // UNIT)

    def _notional(self, lots: int, weighted: int, level: int) -> int:
        """Σ lots x price; divisible without a rest, so that sums of parts are the part of the sum."""
        per_lot = self._market.lot * self._market.start // SCALE
        return (lots * (UNIT + level) + weighted) * (per_lot // UNIT)

    def _seconds(self, begin_ms: int, end_ms: int) -> Bar | None:
        """Within a minute: open, high, low, close at seconds 0, 20, 40, 60; volume evenly, the rest at the end."""
        minute_ms = begin_ms // MINUTE * MINUTE
        whole = self.bar(minute_ms, minute_ms + MINUTE)
        if whole is None:
            return None
        first, last = (begin_ms - minute_ms) // SECOND, (end_ms - minute_ms) // SECOND
        points = [self._at_second(whole, second) for second in range(first, last + 1)]
        amounts = (whole.volume, whole.quote_volume, whole.count, whole.taker_base, whole.taker_quote)
        shares = [_share(amount, first, last) for amount in amounts]
        return Bar(points[0], max(points), min(points), points[-1], *shares)

    def _at_second(self, whole: Bar, second: int) -> int:
        corners = (whole.open, whole.high, whole.low, whole.close)
        part, rest = divmod(second, 20)
        if rest == 0:
            return corners[part]
        return self._market.on_tick(corners[part] + (corners[part + 1] - corners[part]) * rest // 20)


def _share(amount: int, first: int, last: int) -> int:
    """What falls to the seconds ``first`` to ``last`` (excluded) of a minute."""
    each = amount // 60
    return each * (last - first) + (amount - each * 60 if last == 60 else 0)
