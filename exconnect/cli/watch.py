"""`exconnect book SYMBOL --watch`: the book as it changes, until a signal comes or nobody reads any more."""

from __future__ import annotations

import argparse
import threading

from exconnect.cli.books import book_as_data
from exconnect.cli.output import DONE, INTERRUPTED, Output, shown
from exconnect.cli.session import connected
from exconnect.cli.terminal import Picture, paint
from exconnect.errors import BookNotReady
from exconnect.model.enums import StreamStatus
from exconnect.model.events import StatusChanged
from exconnect.model.market import Book
from exconnect.stream import Stream

_LOOK_S = 0.2  # how often it looks whether the reader is gone


class Watcher:
    """Shows each change in the handler's thread: when the reader is slow, books in between are left out."""

    def __init__(self, output: Output, rows: int) -> None:
        self._output = output
        self._rows = rows
        self._picture = Picture()
        self._said = ""  # of what is wrong: nobody needs to read it at every attempt
        self.is_unread = threading.Event()

    def show(self, book: Book) -> None:
        """One change."""
        try:
            self._show(book)
        except BrokenPipeError:
            self.is_unread.set()

    def _show(self, book: Book) -> None:
        if self._output.is_json:
            self._output.result(book_as_data(book))
        elif self._picture.is_live:
            head = f"{book.exchange} {paint(book.symbol, 'bold')}  {shown(book.time)}  #{book.sequence}"
            self._picture.draw([head, *coloured(book, self._rows)])
        else:
            self._output.text(f"{shown(book.time)}  {book.symbol}  {_best(book)}  #{book.sequence}")

    def tell(self, change: StatusChanged) -> None:
        """The connection's state, as far as somebody who watches should know."""
        text = f"exconnect: {change.connection} is {change.status}: {change.reason}"
        if change.status in (StreamStatus.DOWN, StreamStatus.SUSPECT, StreamStatus.FAILED) and text != self._said:
            self._said = text
            self._output.note(text)
        elif change.status is StreamStatus.LIVE and self._said:
            self._said = ""
            self._output.note(f"exconnect: {change.connection} is back")

    def leave(self) -> None:
        """The last picture stays."""
        self._picture.leave()


def coloured(book: Book, rows: int) -> list[str]:
    """The lines of `Book.draw`: asks red, bids green."""
    lines = book.draw(rows).splitlines()
    middle = min(rows, len(book.asks))
    painted = (
        paint(line, "red" if at < middle else "green" if at > middle else "dim") for at, line in enumerate(lines)
    )
    return list(painted)


def _best(book: Book) -> str:
    bid, ask = book.best_bid, book.best_ask
    left = "–" if bid is None else f"{shown(bid.quantity)} × {shown(bid.price)}"
    right = "–" if ask is None else f"{shown(ask.price)} × {shown(ask.quantity)}"
    return f"{left} | {right}"


def run(given: argparse.Namespace, output: Output) -> int:
    """Watch until the end.

    Raises:
        UnknownSymbol: no such symbol.
        BookNotReady: there was no book within the timeout.
    """
    with connected(given) as client:
        client.fetch_instrument(given.symbol)
        watcher = Watcher(output, given.depth)
        stream = client.stream(given.symbol)
        stream.on_book(watcher.show, depth=given.depth)
        stream.on_status(watcher.tell)
        try:
            stream.start()
            return _until_the_end(stream, watcher, client.settings.timeout)
        except KeyboardInterrupt:
            return INTERRUPTED
        finally:
            stream.close()
            watcher.leave()
            if watcher.is_unread.is_set():
                output.abandon()


def _until_the_end(stream: Stream, watcher: Watcher, timeout: float) -> int:
    if not watcher.is_unread.is_set() and not stream.wait_live(timeout):
        stream.wait(0)  # raises why, if it has given up
        text = f"there was no valid book within {timeout:g} s (the stream is {stream.status})"
        raise BookNotReady(text, {"exchange": stream.exchange, "state": str(stream.status)})
    while not watcher.is_unread.wait(_LOOK_S):
        if stream.wait(0):
            break
    return DONE
