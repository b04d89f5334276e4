"""`exconnect history candles`: every closed candle of a symbol into a file, and on from there when it is run again."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

from exconnect.cli.candle_csv import CandleCsv
from exconnect.cli.candle_parquet import CandleParquet
from exconnect.cli.output import DONE, Output
from exconnect.cli.progress import progress
from exconnect.cli.session import connected
from exconnect.client import Client
from exconnect.errors import ConfigurationError, ExconnectError, InvalidArgument
from exconnect.model.market import INTERVALS, after
from exconnect.model.values import When, datetime_of, ms_of

_EVERY = 500  # candles between two looks at the progress


CandleFile = CandleCsv | CandleParquet

_KINDS: dict[str, type[CandleFile]] = {".csv": CandleCsv, ".parquet": CandleParquet}


def run(given: argparse.Namespace, output: Output) -> int:
    """Download what is not in the file yet."""
    path = Path(given.out)
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise ConfigurationError(f"--out {given.out}: must end with {' or '.join(_KINDS)}")
    if given.interval not in INTERVALS:
        text = f"--interval {given.interval}: must be one of {' '.join(INTERVALS)}"
        raise InvalidArgument(text, {"argument": "interval"})
    wanted = _moment(given.start, "start"), _moment(given.end, "end")
    if wanted[0] is not None and wanted[1] is not None and wanted[0] > wanted[1]:
        raise InvalidArgument("--start is after --end", {"argument": "start"})
    with connected(given) as client:
        client.fetch_instrument(given.symbol)
        # Asks nobody, and refuses an interval that the exchange lacks before a file is made.
        client.iter_candles(given.symbol, given.interval)
        with kind(path, given.symbol, given.interval) as file:
            resumed = file.rows > 0
            if _is_missing_before(client, given, file.first, wanted[0]):
                text = f"{path} begins at {file.first}: candles from {wanted[0]} on are not added before it"
                output.note(f"{text}; give another --out for them")
            try:
                added = _download(given, client, file, output, wanted)
            except (KeyboardInterrupt, ExconnectError):
                if file.rows:
                    note = f"{path}: {file.rows} rows so far, to {file.last}; the same command goes on behind them"
                    output.note(note)
                raise
    kept = f"{file.rows} rows, {file.first} to {file.last}" if file.rows else "no rows"
    output.text(f"{path}: {added} candles added, now {kept}")
    result = {"ok": True, "rows": file.rows, "first": file.first, "last": file.last}
    output.result({**result, "file": given.out, "resumed": resumed})
    return DONE


def _is_missing_before(
    client: Client, given: argparse.Namespace, first: datetime | None, start: datetime | None
) -> bool:
    """Whether there are candles from `start` on that the file, which is only ever added to, does not begin with."""
    if first is None or start is None or start >= first:
        return False
    earlier = client.fetch_candles(given.symbol, given.interval, start=start, end=first, limit=1)
    return bool(earlier)


def _moment(text: str | None, argument: str) -> datetime | None:
    if text is None:
        return None
    when: When = int(text) if text.isascii() and text.isdigit() and len(text) > 9 else text
    return datetime_of(ms_of(when, argument))


def _download(
    given: argparse.Namespace,
    client: Client,
    file: CandleFile,
    output: Output,
    wanted: tuple[datetime | None, datetime | None],
) -> int:
    # Closed is what ended by the exchange's clock: a machine whose clock is fast must not write half a candle.
    now = client.fetch_time()
    start = wanted[0] if file.last is None else after(file.last, given.interval)
    end = now if wanted[1] is None else min(wanted[1], now)
    added = 0
    if start is not None and start >= end:
        file.finish()
        return added
    with progress(output, f"{given.symbol} {given.interval}", end) as step:
        for candle in client.iter_candles(given.symbol, given.interval, start=start, end=end):
            if candle.close_time > now:
                break
            file.append(candle)
            added += 1
            if added % _EVERY == 1:
                file.flush()
                step(candle.open_time, file.rows)
    file.finish()
    return added
