"""How a book is shown: as data, and tidied for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from exconnect.model.market import Book, Level


def book_as_data(found: Book) -> dict[str, Any]:
    """A book as the object that `--json` shows."""
    return {
        "exchange": found.exchange,
        "symbol": found.symbol,
        "sequence": found.sequence,
        "bids": [_pair(level) for level in found.bids],
        "asks": [_pair(level) for level in found.asks],
    }


def tidy(found: Book) -> Book:
    """The same book without the zeros that exchanges write behind every number; points stay below points."""
    levels = [*found.bids, *found.asks]
    price, quantity = (_finest(level[part] for level in levels) for part in (0, 1))

    def side(side: Iterable[Level]) -> list[Level]:
        return [Level(at.quantize(price), much.quantize(quantity)) for at, much in side]

    return replace(found, bids=side(found.bids), asks=side(found.asks))


def _finest(numbers: Iterable[Decimal]) -> Decimal:
    """A number of as many decimals as the longest of them."""
    exponents = [number.normalize().as_tuple().exponent for number in numbers]
    return Decimal((0, (1,), min([0, *(exponent for exponent in exponents if isinstance(exponent, int))])))


def _pair(level: tuple[Decimal, Decimal]) -> list[Decimal]:
    return [level[0], level[1]]
