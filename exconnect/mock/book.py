"""One order book: price levels, in each of them orders in the order of their arrival."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

from .orders import BUY, SELL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .orders import Order


class Level:
    """The orders at one price, oldest first, and their sum."""

    __slots__ = ("orders", "total")

    def __init__(self) -> None:
        self.total = 0
        self.orders: dict[int, Order] = {}


class BookSide:
    """Levels by price; keys are sorted so that the best price comes first on both sides."""

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[int, Level] = {}
        self._keys: list[int] = []

    def __len__(self) -> int:
        return len(self._keys)

    def best(self) -> int | None:
        """The best price."""
        return self.sign * self._keys[0] if self._keys else None

    def prices(self, depth: int | None = None) -> Iterator[int]:
        """Prices, best first."""
        return (self.sign * key for key in self._keys[:depth])

    def price_at(self, index: int) -> int:
        """The price of the level with this rank, 0 being the best."""
        return self.sign * self._keys[index]

    def total(self, price: int) -> int:
        """The quantity at a price, 0 if there is none."""
        level = self.levels.get(price)
        return level.total if level else 0

    def first(self, price: int) -> Order:
        """The oldest order at a price that exists."""
        return next(iter(self.levels[price].orders.values()))

    def orders(self) -> Iterator[Order]:
        """Every order by price and time."""
        for price in self.prices():
            yield from self.levels[price].orders.values()

    def add(self, order: Order) -> None:
        """Puts an order at the end of its level's queue."""
        level = self.levels.get(order.price)
        if level is None:
            level = self.levels[order.price] = Level()
            insort(self._keys, self.sign * order.price)
        level.orders[order.id] = order
        level.total += order.remaining

    def shrink(self, price: int, quantity: int) -> None:
        """Subtracts from a level's sum."""
        self.levels[price].total -= quantity

    def remove(self, order: Order) -> None:
        """Takes the order away; what it still had open must have been subtracted before."""
        level = self.levels[order.price]
        del level.orders[order.id]
        if not level.orders:
            del self.levels[order.price]
            del self._keys[bisect_left(self._keys, self.sign * order.price)]


class Book:
    """Both sides, the update id that every change of a level raises by one, and what has changed lately."""

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self.bids = BookSide(-1)
        self.asks = BookSide(1)
        self.dirty: list[set[tuple[str, int]]] = []

    def watch(self) -> set[tuple[str, int]]:
        """A set that from now on collects (side, price) of every change; its owner empties it."""
        changes: set[tuple[str, int]] = set()
        self.dirty.append(changes)
        return changes

    def side(self, side: str) -> BookSide:
        """The orders of buyers or of sellers."""
        return self.bids if side == BUY else self.asks

    def against(self, side: str) -> BookSide:
        """What a taker of this side meets."""
        return self.asks if side == BUY else self.bids

    def add(self, order: Order) -> None:
        """An order begins to rest."""
        self.side(order.side).add(order)
        self._touch(order)

    def reduce(self, order: Order, quantity: int) -> None:
        """``quantity`` of a resting order is gone (traded, prevented, amended away)."""
        side = self.side(order.side)
        side.shrink(order.price, quantity)
        if order.remaining == 0:
            side.remove(order)
        self._touch(order)

    def remove(self, order: Order) -> None:
        """An order stops resting."""
        side = self.side(order.side)
        side.shrink(order.price, order.remaining)
        side.remove(order)
        self._touch(order)

    def crosses(self, side: str, price: int) -> bool:
        """Whether an order of this side at this price would trade at once."""
        best = self.against(side).best()
        return best is not None and reaches(side, price, best)

    def _touch(self, order: Order) -> None:
        self.sequence += 1
        change = (order.side, order.price)
        for changes in self.dirty:
            changes.add(change)


def reaches(side: str, limit: int, price: int) -> bool:
    """Whether a taker of this side with this limit (0: none) accepts the price."""
    return limit == 0 or (price <= limit if side == BUY else price >= limit)


def opposite(side: str) -> str:
    """The other side."""
    return SELL if side == BUY else BUY
