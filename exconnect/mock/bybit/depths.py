"""One market's order book as its topics show it: one update id, and a window for each depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .messages import Levels, book_data, changes

if TYPE_CHECKING:
    from exconnect.mock.book import Book, BookSide
    from exconnect.mock.market import Market

    from .shapes import Json

FIRST_UPDATE = 5_000_000


class Depths:
    """The update id grows by one with each moment at which the book is shown and differs from before.

    The topics of all depths share it, and so a book that is kept from any of them can be compared with the truth.
    """

    def __init__(self, market: Market, book: Book) -> None:
        self.update_id = FIRST_UPDATE
        self._market = market
        self._book = book
        self._shown_at = book.sequence
        self._windows: dict[int, tuple[Levels, Levels]] = {}

    @property
    def is_stale(self) -> bool:
        """Whether the book has changed since it was shown."""
        return self._book.sequence != self._shown_at

    def show(self) -> None:
        """A new update id."""
        self.update_id += 1
        self._shown_at = self._book.sequence

    def snapshot(self, depth: int) -> Json:
        """The window as it is shown, whole."""
        bids, asks = self._windows[depth] = self._window(depth)
        return book_data(self._market, bids.items(), asks.items(), self._ids())

    def delta(self, depth: int) -> Json:
        """What differs from the window as it was shown before; perhaps nothing."""
        before, now = self._windows[depth], self._window(depth)
        self._windows[depth] = now
        return book_data(self._market, changes(before[0], now[0]), changes(before[1], now[1]), self._ids())

    def _ids(self) -> Json:
        return {"u": self.update_id, "seq": self._shown_at}

    def _window(self, depth: int) -> tuple[Levels, Levels]:
        return _levels(self._book.bids, depth), _levels(self._book.asks, depth)


def _levels(side: BookSide, depth: int) -> Levels:
    return {price: side.total(price) for price in side.prices(depth)}
