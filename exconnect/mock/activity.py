"""Other people: seeded orders, cancels and trades, a third of the events trades."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .chance import seeded
from .fixed import SCALE
from .orders import BUY, SELL, NewOrder

if TYPE_CHECKING:
    from .book import BookSide
    from .engine import Engine
    from .market import Market

FEWEST_LEVELS = 60
MOST_LEVELS = 140
WANDER = 0.00002
REACH = 0.05


class Crowd:
    """The other people of one market. Their next move is known beforehand, so that time alone makes them act."""

    def __init__(self, engine: Engine, market: Market, seed: int, rate: float, now_ms: int) -> None:
        self._engine = engine
        self._market = market
        self._random = seeded(f"activity {market.symbol}", seed)
        self._fair = float(market.start)
        self._moves = 0
        self._rate = rate
        self._next_ms = self._later(float(now_ms))

    def retune(self, rate: float, now_ms: int) -> None:
        """Another number of events per second, from now on."""
        self._rate = rate
        self._next_ms = self._later(float(now_ms))

    @property
    def next_ms(self) -> float:
        """When they act next."""
        return self._next_ms

    def act(self) -> int:
        """Makes the next move; gives its time."""
        now_ms = int(self._next_ms)
        self._next_ms = self._later(self._next_ms)
        self._fair *= 1 + self._random.gauss(0, WANDER)
        self._fair = min(max(self._fair, self._market.start * (1 - REACH)), self._market.start * (1 + REACH))
        self._moves += 1
        if self._moves % 3 == 0 and self._trade(now_ms):
            return now_ms
        side = self._random.choice((BUY, SELL))
        levels = len(self._book_side(side))
        if levels > MOST_LEVELS or (levels > FEWEST_LEVELS and self._random.random() < 0.5):
            self._cancel(side)
        else:
            self._add(side, now_ms)
        return now_ms

    def _later(self, now_ms: float) -> float:
        return now_ms + self._random.expovariate(self._rate) * 1000 if self._rate > 0 else float("inf")

    def _book_side(self, side: str) -> BookSide:
        return self._engine.books[self._market.symbol].side(side)

    def _trade(self, now_ms: int) -> bool:
        """Takes a little, more often towards the fair price."""
        bid, ask = self._book_side(BUY).best(), self._book_side(SELL).best()
        if bid is None or ask is None:
            return False
        rising = (bid + ask) / 2 < self._fair
        side = BUY if rising == (self._random.random() < 0.7) else SELL
        reach = self._market.start // 200
        limit = self._market.on_tick(ask + reach if side == BUY else bid - reach)
        return self._engine.execute(self._market.symbol, side, self._size(), limit, now_ms) > 0

    def _add(self, side: str, now_ms: int) -> None:
        """A limit order near the fair price that takes nothing."""
        away = int(self._random.expovariate(1.0) * self._market.start / 1000)
        price = self._market.on_tick(int(self._fair) + (-away if side == BUY else away))
        best = self._engine.books[self._market.symbol].against(side).best()
        if best is not None:
            price = min(price, best - self._market.tick) if side == BUY else max(price, best + self._market.tick)
        if price >= self._market.tick:
            self._engine.place(NewOrder(self._market, side, "limit", self._size(), price), now_ms)

    def _cancel(self, side: str) -> None:
        """Rather far from the market: the book stays dense at its touch."""
        levels = self._book_side(side)
        rank = int(len(levels) * max(self._random.random(), self._random.random()))
        orders = levels.levels[levels.price_at(rank)].orders.values()
        order = next((order for order in orders if not order.owner), None)
        if order is not None:
            self._engine.withdraw(order)

    def _size(self) -> int:
        """Whole lots worth 50 to a few thousand quote units."""
        notional = 50 + self._random.expovariate(1 / 1500)
        lots = int(notional * SCALE * SCALE / self._market.start / self._market.lot)
        return max(lots, 1) * self._market.lot
