"""`exconnect time`, `symbols`, `ticker` and `book`: public data, no key needed."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from exconnect.cli.books import book_as_data
from exconnect.cli.output import DONE, Output, shown
from exconnect.cli.session import connected, read_clock


def time(given: argparse.Namespace, output: Output) -> int:
    """The exchange's clock beside this machine's."""
    with connected(given) as client:
        reading = read_clock(client)
    output.text(f"{client.exchange}  {reading.time.isoformat(sep=' ', timespec='milliseconds')}")
    where = "ahead of" if reading.offset_ms >= 0 else "behind"
    output.text(f"{abs(reading.offset_ms)} ms {where} this machine, give or take {reading.error_ms} ms")
    output.text(f"round trip {reading.round_trip_ms} ms")
    output.result(
        {
            "exchange": client.exchange,
            "time": reading.time,
            "offset_ms": reading.offset_ms,
            "error_ms": reading.error_ms,
            "round_trip_ms": reading.round_trip_ms,
        }
    )
    return DONE


_INSTRUMENT = ("symbol", "status", "tick_size", "lot_size", "min_notional")


def symbols(given: argparse.Namespace, output: Output) -> int:
    """What is listed, with the steps that orders must keep."""
    with connected(given) as client:
        listed = client.fetch_instruments()
    rows = [{name: getattr(listed[symbol], name) for name in _INSTRUMENT} for symbol in sorted(listed)]
    output.text(table(_INSTRUMENT, ([shown(row[name]) for name in _INSTRUMENT] for row in rows)))
    output.result({"symbols": rows})
    return DONE


def table(heads: Iterable[str], rows: Iterable[list[str]]) -> str:
    """Columns as wide as what is in them; numbers to the right."""
    lines = [[head.replace("_", " ") for head in heads], *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(map(_aligned, line, widths)).rstrip() for line in lines)


def _aligned(text: str, width: int) -> str:
    return text.rjust(width) if text[:1].isdigit() else text.ljust(width)


_TICKER = ("exchange", "symbol", "time", "bid", "ask", "last", "volume")


def ticker(given: argparse.Namespace, output: Output) -> int:
    """Best prices and the last 24 hours of one symbol."""
    with connected(given) as client:
        found = client.fetch_ticker(given.symbol)
    for name in _TICKER:
        output.text(f"{name:<9} {shown(getattr(found, name))}")
    output.result({name: getattr(found, name) for name in _TICKER})
    return DONE


def book(given: argparse.Namespace, output: Output) -> int:
    """The order book, once or live."""
    if given.watch:
        from exconnect.cli import watch

        return watch.run(given, output)
    with connected(given) as client:
        found = client.fetch_book(given.symbol, depth=given.depth)
    output.text(f"{found.exchange} {found.symbol}\n{found.draw(given.depth)}")
    output.result(book_as_data(found))
    return DONE
