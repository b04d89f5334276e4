"""Looks at everything that a stream delivers, and writes down what must not be."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence

from exconnect.environment import Environment
from exconnect.mock import LedgerBook, LedgerFill
from exconnect.model.market import Book, Ticker, Trade
from exconnect.model.order import Fill

_TAPE = 100


class Witness:
    """Handlers for books, trades, tickers and own fills of one stream. The handlers' threads write, others read."""

    def __init__(self, env: Environment) -> None:
        self.violations: list[str] = []
        self.books: dict[str, Book] = {}
        self.updates: Counter[str] = Counter()
        self.tickers: Counter[str] = Counter()
        self.trades = 0
        self.tape: deque[Trade] = deque(maxlen=_TAPE)
        self.fills: dict[tuple[str, str], Fill] = {}
        self.steps_back: Counter[str] = Counter()
        self._last_ids: dict[str, int] = {}
        self._env = env
        self._changed = env.condition()

    def on_book(self, book: Book) -> None:
        """A book: valid, two-sided, not crossed, and newer than the one before."""
        self._check(book)
        before = self.books.get(book.symbol)
        if before is not None and book.sequence <= before.sequence:
            self.steps_back[book.symbol] += 1
        with self._changed:
            self.books[book.symbol] = book
            self.updates[book.symbol] += 1
            self._changed.notify_all()

    def _check(self, book: Book) -> None:
        bid, ask = book.best_bid, book.best_ask
        if not book.is_valid:
            self.violations.append(f"{book.symbol} #{book.sequence}: a book that is not valid was delivered")
        elif bid is None or ask is None:
            self.violations.append(f"{book.symbol} #{book.sequence}: a side is empty")
        elif bid.price >= ask.price:
            self.violations.append(f"{book.symbol} #{book.sequence}: crossed, {bid.price} bid and {ask.price} asked")

    def on_trade(self, trade: Trade) -> None:
        """A trade: ids ascend, each comes once."""
        last = self._last_ids.get(trade.symbol, -1)
        if int(trade.id) <= last:
            self.violations.append(f"{trade.symbol}: trade {trade.id} after trade {last}")
        self._last_ids[trade.symbol] = int(trade.id)
        self.trades += 1
        self.tape.append(trade)

    def on_ticker(self, ticker: Ticker) -> None:
        """A ticker."""
        self.tickers[ticker.symbol] += 1

    def on_fill(self, fill: Fill) -> None:
        """A fill of an order of ours: each comes once."""
        key = fill.order_id, fill.id
        if key in self.fills:
            self.violations.append(f"{fill.symbol}: fill {fill.id} of order {fill.order_id} came twice")
        with self._changed:
            self.fills[key] = fill
            self._changed.notify_all()

    def has_fills(self, truth: Sequence[LedgerFill], timeout: float) -> bool:
        """Whether every fill that the exchange knows of has come."""
        keys = {(str(fill.order_id), str(fill.id)) for fill in truth}
        return self.wait_until(lambda: keys <= self.fills.keys(), timeout)

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> bool:
        """Until `ready()`, asked again after each book and fill; False at the deadline."""
        with self._changed:
            return self._env.wait_for(self._changed, ready, timeout)

    def facts(self, symbols: Sequence[str]) -> dict[str, bool]:
        """What should come in any case, and whether it has."""
        return {
            "trades": self.trades > 0,
            "books of each symbol": all(self.updates[symbol] for symbol in symbols),
            "tickers of each symbol": all(self.tickers[symbol] for symbol in symbols),
        }

    def check_steps(self, allowed: int) -> None:
        """A book may begin anew after a loss of its connection or of an update, and at no other time."""
        for symbol, count in self.steps_back.items():
            if count > allowed:
                self.violations.append(f"{symbol}: the sequence went back {count} times, {allowed} losses explain")

    def compare(self, symbol: str, truth: LedgerBook, timeout: float) -> bool:
        """Whether the book gets to the exchange's own at that sequence, and is the same then, level by level."""
        if not self.wait_until(lambda: self._sequence(symbol) >= truth.sequence, timeout):
            text = f"{symbol}: stands at #{self._sequence(symbol)}, the exchange at #{truth.sequence}"
            self.violations.append(text)
            return False
        book = self.books[symbol]
        pairs = (("bids", book.bids, truth.bids), ("asks", book.asks, truth.asks))
        wrong = [name for name, ours, theirs in pairs if list(map(tuple, ours)) != theirs[: len(ours)] or not theirs]
        self.violations.extend(f"{symbol} #{book.sequence}: {name} differ from the exchange's own" for name in wrong)
        return not wrong

    def _sequence(self, symbol: str) -> int:
        book = self.books.get(symbol)
        return -1 if book is None else book.sequence
