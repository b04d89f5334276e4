"""One side of a book: its levels by price, and an index of the best of them in order.

Prices are compared as texts, which costs a tenth of what making numbers of them costs. Among texts that are alike, of
one length and with the point at one place, the order of the texts is that of the values. What else may come:

- A price with the same decimals and another number of digits before the point, that makes it worse than all the
  others: it is kept apart, and matters when the others are used up.
- Anything else (`10.0` beside `10`, `99.5` beside `100.0`): from then on until the next whole book every price goes by
  its canonical text, so that a price is its value and not its text.

Most of what an exchange sends is too far from the best price to be looked at. The index holds the best levels only and
is made anew when somebody wants to see more or when it is used up.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from exconnect.errors import MalformedMessage
from exconnect.model.market import Cell

_LEAST = 12  # levels of which the index holds two to four times as many, if nobody looks at more
_NEXT = " "  # a price with it behind it comes next after the price, before all others that begin with it
_LONGEST = 41  # characters of a number

# Every text of a zero: a look into the set is exact, and cheaper than two comparisons.
_ZEROS = frozenset(
    "0" * whole + "." + "0" * decimals for whole in range(_LONGEST) for decimals in range(_LONGEST - whole)
)
_ZEROS |= {"0" * length for length in range(1, _LONGEST + 1)}

_NUMBER = re.compile(r"\d{1,20}(?:\.\d{1,20})?", re.ASCII)


def cells_of(levels: Sequence[Any]) -> list[Cell]:
    """Levels whose prices and quantities are all plain numbers: digits with at most one point.

    What `Decimal` would take beyond that (`1e5`, `nan`, `1_0`, `-1`) is no number here.

    Raises:
        MalformedMessage: they are not.
    """
    return [_cell(level) for level in levels]


def _cell(level: Any) -> Cell:
    try:
        price, quantity = level
        if _NUMBER.fullmatch(price) is not None and _NUMBER.fullmatch(quantity) is not None:
            return Cell(price, quantity)
    except (TypeError, ValueError):
        pass
    raise MalformedMessage("a book level is no price and quantity", {"text": repr(level)[:60]})


@lru_cache(maxsize=20_000)
def canonical(price: str) -> str:
    """The same text for the same value; the texts are ordered as the values are."""
    whole, _, decimals = price.partition(".")
    return f"{whole.zfill(_LONGEST)}.{decimals.rstrip('0')}"


class Side:
    """Bids or asks. `limit`: no more than so many levels are kept, the best."""

    __slots__ = (
        "_apart",
        "_cells",
        "_edge",
        "_index",
        "_is_bids",
        "_key",
        "_length",
        "_limit",
        "_loaded",
        "_lowest",
        "_most",
        "_point",
        "_within",
        "_worst",
    )

    def __init__(self, *, is_bids: bool, limit: int | None = None) -> None:
        self._is_bids = is_bids
        self._limit = limit
        self.load(())

    def __len__(self) -> int:
        return len(self._cells) + len(self._apart)

    # ---- taking levels in -------------------------------------------------------------------------------------------

    def load(self, levels: Sequence[Cell]) -> None:
        """These are all levels there are."""
        standing = [cell for cell in levels if cell.quantity not in _ZEROS]
        forms = {(len(cell.price), cell.price.find(".")) for cell in standing}
        self._apart: dict[str, Cell] = {}  # by price; in none of the other fields
        self._key: Callable[[str], str] | None = canonical
        self._length, self._point = forms.pop() if len(forms) == 1 else (0, 0)
        self._lowest = "1" if self._digits(self._length, self._point) > 1 else "0"
        if self._point > 0 and all(cell.price >= self._lowest for cell in standing):
            self._key = None
            self._cells: dict[str, Cell] = {cell.price: cell for cell in standing}
        else:
            self._cells = {canonical(cell.price): cell for cell in standing}
        self._most = 4 * _LEAST
        self._sort()
        self._loaded = self._within = len(self._cells)
        self._worst = self._beyond(min(self._cells) if self._is_bids else max(self._cells)) if self._cells else None
        if self._limit is not None and len(standing) > self._limit:
            self._prune(self._limit)

    def apply(self, levels: Sequence[Cell]) -> None:
        """Quantities are absolute, zero removes a level. In a message that names a price twice the last one counts."""
        cells, index, edge, is_bids, key = self._cells, self._index, self._edge, self._is_bids, self._key
        length, point, lowest = self._length, self._point, self._lowest
        removed = 0
        for cell in levels:
            price = cell.price if key is None else key(cell.price)
            if price in cells:
                if cell.quantity not in _ZEROS:
                    cells[price] = cell
                    continue
                del cells[price]
                removed += 1
                if edge is None or (price >= edge) is is_bids:
                    del index[bisect_left(index, price)]
            elif key is None and (len(price) != length or price[point] != "." or price < lowest):
                if not self._keep_apart(cell):
                    self._within -= removed
                    self._go_canonical()
                    self.apply(levels)
                    return
            elif cell.quantity not in _ZEROS:
                cells[price] = cell
                if edge is None or (price >= edge) is is_bids:
                    insort(index, price)
        self._within -= removed
        if self._limit is not None and len(cells) > self._limit:
            self._prune(self._limit)
        elif not index:
            self._renew()
        elif len(index) > self._most:
            self._cut()

    def _keep_apart(self, cell: Cell) -> bool:
        """Whether its price is not like the others, but worse than all of them: then this is done with it."""
        if self._limit is not None:
            return False
        price = cell.price
        point = price.find(".")
        digits, others = self._digits(len(price), point), self._digits(self._length, self._point)
        is_worse = 0 < digits < others if self._is_bids else digits > others
        if not is_worse or len(price) - digits != self._length - others or (digits > 1 and price[0] == "0"):
            return False
        if cell.quantity in _ZEROS:
            self._apart.pop(price, None)
        else:
            self._apart[price] = cell
        return True

    @staticmethod
    def _digits(length: int, point: int) -> int:
        """Before the point of a text with so many characters."""
        return length if point < 0 else point

    def _go_canonical(self) -> None:
        if self._key is None:
            self._key = canonical
            self._cells = {canonical(cell.price): cell for cell in [*self._cells.values(), *self._apart.values()]}
            self._apart = {}
            self._worst = None if self._worst is None else self._beyond(canonical(self._worst.rstrip(_NEXT)))
            self._sort()

    # ---- the index --------------------------------------------------------------------------------------------------

    def _prune(self, limit: int) -> None:
        """Drop the worst. An exchange that keeps as many tells of most that leave: this is rare."""
        prices = sorted(self._cells)
        for price in prices[:-limit] if self._is_bids else prices[limit:]:
            del self._cells[price]
        self._sort()

    def _renew(self) -> None:
        if not self._cells and self._apart:
            self._go_canonical()
        else:
            self._sort()

    def _sort(self) -> None:
        """Have the best levels in the index, in rising order of price."""
        self._index = sorted(self._cells)
        self._edge: str | None = None  # the index holds all
        if len(self._index) > self._most // 2:
            self._cut()

    def _cut(self) -> None:
        """Leave half of what the index may hold."""
        index, count = self._index, self._most // 2
        del index[slice(-count) if self._is_bids else slice(count, None)]
        self._edge = self._beyond(index[0 if self._is_bids else -1])

    def _beyond(self, worst: str) -> str:
        """What is not below it is a bid at `worst` or above; what is below it is an ask at `worst` or below."""
        return worst if self._is_bids else worst + _NEXT

    def _reach(self, depth: int) -> None:
        """Have as many levels in the index as there are, if they are less than `depth`."""
        if depth > len(self._cells) and self._apart:
            self._go_canonical()
        if len(self._index) < len(self._cells):
            self._most = max(self._most, 4 * depth)
            self._sort()

    # ---- looking at it ----------------------------------------------------------------------------------------------

    def meets(self, asks: Side) -> bool:
        """Whether the best bid is not below the best ask."""
        if not self._index or not asks._index:
            return False
        high, low = self._index[-1], asks._index[0]
        if self._length != asks._length or self._point != asks._point or self._key is not asks._key:
            return canonical(self._cells[high].price) >= canonical(asks._cells[low].price)
        return high >= low

    def top(self, depth: int | None) -> Sequence[Cell]:
        """The best `depth` levels, best first. To see all of them is rare, and does not change what the index holds."""
        if depth is None:
            if self._apart:
                self._go_canonical()
            prices = sorted(self._cells, reverse=self._is_bids)
            return [self._cells[price] for price in prices]
        if depth > len(self._index):
            self._reach(depth)
        prices = self._index[: -depth - 1 : -1] if self._is_bids else self._index[:depth]
        if len(prices) < 2:
            return [self._cells[price] for price in prices]
        best: tuple[Cell, ...] = itemgetter(*prices)(self._cells)  # takes half as long as any loop
        return best

    def is_thin(self, depth: int) -> bool:
        """Whether less than half is left of what was loaded, where that was `depth` levels and not all there is."""
        if self._worst is None or self._loaded < depth or self._within * 2 >= self._loaded:
            return False
        # At least so many were left. Now they are counted, with those that came since.
        worst, is_bids = self._worst, self._is_bids
        self._within = sum((price >= worst) is is_bids for price in self._cells)
        return self._within * 2 < self._loaded
