"""What one sees of the demo: on a terminal a live picture below the lines of the story, elsewhere the lines alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from exconnect.cli.output import Output, shown
from exconnect.cli.terminal import Picture, clip, paint
from exconnect.errors import StreamError
from exconnect.model.enums import Side
from exconnect.model.market import Book, Trade

if TYPE_CHECKING:
    from exconnect.cli.demo.merged import Merged
    from exconnect.cli.demo.performance import Performance
    from exconnect.cli.demo.telling import Telling

_ROWS = 5
_BOOK_WIDTH, _TAPE_WIDTH, _GAP = 44, 34, "  "
_LINES = 2 * _ROWS + 2
_BAR = 30


class Show:
    """Draws; called by the main thread only. With `--json` it is silent."""

    def __init__(
        self,
        output: Output,
        performances: Sequence[Performance],
        merged: Sequence[Merged],
        telling: Telling,
        seconds: float,
    ) -> None:
        self._output = output
        self._performances = performances
        self._merged = merged
        self._telling = telling
        self._seconds = seconds
        self._picture = Picture()
        self._next_line = 1.0
        self._was_drawn = False

    def frame(self) -> None:
        """The next picture, or what was said since the last."""
        if self._output.is_json:
            return
        for said in self._telling.take():
            self._picture.say(f"{said.at:6.1f} s  {paint(said.glyph, *said.colours)} {said.text}")
        if self._picture.is_live:
            width = shutil.get_terminal_size().columns
            self._picture.draw([clip(line, width) for line in self._lines(width)])
        elif self._telling.elapsed() >= self._next_line:
            self._next_line += 1.0
            self._output.text(f"{self._telling.elapsed():6.1f} s    {self._one_line()}")
        if not self._picture.is_live and not self._was_drawn:
            self._draw_once()

    def _draw_once(self) -> None:
        # Where nothing can be drawn again: one picture, as soon as there is a book.
        performance = self._performances[0]
        book = performance.witness.books.get(performance.symbols[0])
        if book is not None:
            self._was_drawn = True
            self._output.text(f"\n{' ' * 10}{performance.exchange} {book.symbol}")
            for line in book.draw(_ROWS).splitlines():
                self._output.text(f"{' ' * 10}{line}")
            self._output.text()

    def leave(self) -> None:
        """The last picture stays."""
        if not self._output.is_json:
            self._picture.leave()

    # ------------------------------------------------------------ the picture

    def _lines(self, width: int) -> Iterator[str]:
        yield ""
        yield self._progress(width)
        yield ""
        columns = [self._book(performance, symbol) for performance, symbol in self._shown(width)]
        for row in zip_longest(*columns, self._tape(), fillvalue=""):
            yield _GAP.join(row)
        yield ""
        for merged in self._merged:
            yield f"  {paint('all together', 'bold')}  {merged.symbol}  {merged.best()}"
        for performance in self._performances:
            for life in performance.lives:
                yield f"  {performance.exchange:<9}{paint(life.name, 'bold')}  {paint(' ── ', 'dim').join(life.steps)}"

    def _progress(self, width: int) -> str:
        elapsed = self._telling.elapsed()
        statuses = [(p.exchange, str(p.stream.status)) for p in self._performances]
        time = f"{elapsed:.1f} of {self._seconds:g} s"
        others = len("  exconnect demo    ") + len(time) + sum(3 + len(name) + len(how) for name, how in statuses)
        length = min(max(width - others, 0), _BAR)
        done = min(int(elapsed / self._seconds * length), length)
        bar = paint("━" * done, "cyan") + paint("━" * (length - done), "dim")
        states = "  ".join(f"{name} {paint(how, 'green' if how == 'live' else 'yellow')}" for name, how in statuses)
        return f"  exconnect demo  {bar}  {time}  {states}"

    def _shown(self, width: int) -> list[tuple[Performance, str]]:
        pairs = [(performance, symbol) for performance in self._performances for symbol in performance.symbols]
        return pairs[: max((width - _TAPE_WIDTH) // (_BOOK_WIDTH + len(_GAP)), 1)]

    def _book(self, performance: Performance, symbol: str) -> list[str]:
        book = performance.witness.books.get(symbol)
        try:
            book = performance.stream.book(symbol)
            is_valid = True
        except StreamError:
            is_valid = False
        title = f"  {performance.exchange} {symbol}  " + ("" if is_valid else "not valid now")
        lines = [] if book is None else book.draw(_ROWS).splitlines()
        painted = [paint(line.ljust(_BOOK_WIDTH), *_colours(at, book, is_valid)) for at, line in enumerate(lines)]
        blank = [" " * _BOOK_WIDTH] * (_LINES - 1 - len(painted))
        return [paint(title.ljust(_BOOK_WIDTH), "bold" if is_valid else "yellow"), *painted, *blank]

    def _tape(self) -> list[str]:
        trades = [trade for performance in self._performances for trade in list(performance.witness.tape)[-_LINES:]]
        count = sum(performance.witness.trades for performance in self._performances)
        newest = sorted(trades, key=lambda trade: trade.time.timestamp() if trade.time else 0.0)[1 - _LINES :]
        return [paint(f"{count} trades", "bold"), *(_print(trade) for trade in reversed(newest))]

    # ------------------------------------------------------------ lines

    def _one_line(self) -> str:
        parts = []
        for performance in self._performances:
            books = performance.witness.books
            parts.append(performance.exchange)
            parts += [f"{symbol} {_best(books.get(symbol))}" for symbol in performance.symbols]
            parts.append(f"{performance.witness.trades} trades")
        return "  ".join(parts)

    def summary(self, result: Mapping[str, Any]) -> None:
        """The last words."""
        text = self._output.text
        text()
        for performance in self._performances:
            for symbol in performance.symbols:
                seen = result["books"][f"{performance.exchange}:{symbol}"]
                name, best = f"{performance.exchange:<9}{symbol}", f"{shown(seen['bid'])} / {shown(seen['ask'])}"
                text(f"  {name}  {best:<21} {seen['updates']} books, {_ends(performance, symbol)}")
            for life in performance.lives:
                text(f"  {performance.exchange:<9}{life.name}: {', '.join(life.steps)}")
            for wrong in performance.violations():
                text(paint(f"  {'wrong':<8} {wrong}", "red"))
            for missing in performance.missing():
                text(paint(f"  {'missing':<8} {missing}", "red"))
        for merged in self._merged:
            where = " and ".join(sorted(merged.exchanges))
            text(f"  {'together':<9}{merged.symbol}  {merged.best()}, {merged.updates} books of {where}")
        text(f"  {'trades':<8} {result['trades']}, each once and in order")
        text(f"  {'stream':<8} connected again {_times(result['reconnects'])} after a loss")
        is_well = "all as it should be" if result["ok"] else "not as it should be"
        verdict = paint(is_well, "green" if result["ok"] else "red", "bold")
        text(f"\n{verdict}: {result['violations']} violations in {result['seconds']} s")


def _colours(at: int, book: Book | None, is_valid: bool) -> tuple[str, ...]:  # noqa: FBT001 - private, and short
    asks = 0 if book is None else min(_ROWS, len(book.asks))
    if not is_valid or at == asks:
        return ("dim",)
    return ("red",) if at < asks else ("green",)


def _print(trade: Trade) -> str:
    side = paint("buy ", "green") if trade.side is Side.BUY else paint("sell", "red")
    return f"{trade.symbol} {side} {shown(trade.quantity):>8} × {shown(trade.price)}"


def _best(book: Book | None) -> str:
    return "–" if book is None else f"{shown(book.bids[0].price)} / {shown(book.asks[0].price)}"


def _ends(performance: Performance, symbol: str) -> str:
    return "in the end the exchange's own" if symbol in performance.matches else "not proven to be the exchange's own"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
