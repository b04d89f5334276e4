"""The audit of a book: is what was kept from the stream still what the exchange has?

No rule of continuity sees an update that the exchange never sent. So now and then a second book is made from a fresh
snapshot and the same stream, by the same rule; as soon as both are as of one update, they must be the same wherever
the snapshot reaches.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import takewhile
from typing import TYPE_CHECKING

from exconnect.errors import MalformedMessage
from exconnect.protocol.book import BookBuilder, BookState, Change

if TYPE_CHECKING:
    from exconnect.model.market import Book, Level
    from exconnect.protocol.session import BookUpdate

EVERY_S = 600.0  # of one book
APART_S = 3.0  # of two on one connection, so that they take few per cent of a budget


class Audit:
    """The audit of one book, from the request for the snapshot to the comparison."""

    def __init__(self, builder: BookBuilder) -> None:
        self._builder = builder
        self._reach: tuple[Decimal, Decimal] | None = None  # worst bid and ask that the snapshot shows

    def receive(self, update: BookUpdate) -> bool:
        """Follow the stream; False: it came to nothing."""
        return self._builder.receive(update) is not Change.BROKEN

    def load(self, snapshot: BookUpdate) -> bool:
        """Take the snapshot in; False: it came to nothing."""
        if not snapshot.bids or not snapshot.asks:
            return False
        try:
            change = self._builder.load(snapshot)
        except MalformedMessage:
            return False
        worst_bid = min(Decimal(price) for price, _ in snapshot.bids)
        worst_ask = max(Decimal(price) for price, _ in snapshot.asks)
        self._reach = worst_bid, worst_ask
        return change is Change.APPLIED

    def judge(self, book: BookBuilder) -> bool | None:
        """Whether the book is right; None as long as the two cannot be compared."""
        other = self._builder
        if self._reach is None or other.state is not BookState.LIVE or other.sequence != book.sequence:
            return None
        return self._reached(book.view()) == self._reached(other.view())

    def _reached(self, book: Book) -> tuple[list[Level], list[Level]]:
        worst_bid, worst_ask = self._reach or (Decimal(0), Decimal(0))
        bids = takewhile(lambda level: level.price >= worst_bid, book.bids)
        asks = takewhile(lambda level: level.price <= worst_ask, book.asks)
        return list(bids), list(asks)
