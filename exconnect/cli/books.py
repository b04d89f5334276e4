"""How a book is shown as data; `Book.draw` is for people."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from exconnect.model.market import Book


def book_as_data(found: Book) -> dict[str, Any]:
    """A book as the object that `--json` shows."""
    return {
        "exchange": found.exchange,
        "symbol": found.symbol,
        "sequence": found.sequence,
        "bids": [_pair(level) for level in found.bids],
        "asks": [_pair(level) for level in found.asks],
    }


def _pair(level: tuple[Decimal, Decimal]) -> list[Decimal]:
    return [level[0], level[1]]
