"""One book over all exchanges of the demo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from exconnect.cli.output import shown
from exconnect.consolidated import ConsolidatedBook, ConsolidatedView
from exconnect.errors import StreamError

if TYPE_CHECKING:
    from exconnect.cli.demo.performance import Performance


class Merged:
    """One symbol's book over all exchanges, and how often it changed."""

    def __init__(self, symbol: str, performances: Sequence[Performance]) -> None:
        self.symbol = symbol
        self.updates = 0
        self.exchanges: set[str] = set()
        self._book = ConsolidatedBook(symbol, *(performance.stream for performance in performances))
        self._book.on_change(self._count)

    def best(self) -> str:
        """The best prices now, and where they are."""
        try:
            view = self._book.view()
        except StreamError:
            return "–"
        bid, ask = view.best_bid, view.best_ask
        if bid is None or ask is None:
            return "–"
        return f"{shown(bid.price)} on {bid.exchange} / {shown(ask.price)} on {ask.exchange}"

    def _count(self, view: ConsolidatedView) -> None:
        self.updates += 1
        self.exchanges.update(view.exchanges)

    def __enter__(self) -> Self:
        self._book.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._book.close()
