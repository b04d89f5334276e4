"""A CSV file of candles that is only ever added to, and can be killed at any moment.

Each line names its symbol and interval, so that a file never comes to hold two kinds. What a dead process left of its
last line is cut off; the next run fetches that candle again.
"""

from __future__ import annotations

import fcntl
import os
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from exconnect.errors import ConfigurationError
from exconnect.model.market import Candle
from exconnect.model.values import plain

COLUMNS = (
    "open_time", "open", "high", "low", "close", "volume", "quote_volume", "trades", "symbol", "interval",
)  # fmt: skip

_HEADER = (",".join(COLUMNS) + "\n").encode()
_BLOCK = 1 << 20
_LONGEST_LINE = 4096


class CandleCsv:
    """The file at `path`, opened by `with` and ours alone until its end. `rows`, `first` and `last` tell what is in it.

    Raises:
        ConfigurationError: the file cannot be written, is another process's now, or holds something else.
    """

    def __init__(self, path: Path, symbol: str, interval: str) -> None:
        self.path = path
        self.rows = 0
        self.first: datetime | None = None
        self.last: datetime | None = None
        self._kind = (symbol, interval)
        self._file: BinaryIO

    def __enter__(self) -> Self:
        try:
            self._file = self.path.open("a+b", buffering=_BLOCK)
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be written: {error.strerror}") from None
        try:
            self._take()
            self._mend()
            self._read()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, candle: Candle) -> None:
        """Add one that follows the last. It may stay in memory until `flush`."""
        self.first = self.first or candle.open_time
        self.last = candle.open_time
        self.rows += 1
        self._file.write(_line(candle))

    def flush(self) -> None:
        """Hand what was added to the operating system."""
        self._file.flush()

    def finish(self) -> None:
        """All is there: onto the disk with it."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def _take(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"{self.path} is being written by another process") from None

    def _mend(self) -> None:
        size = self._file.seek(0, os.SEEK_END)
        tail_begins = max(size - _LONGEST_LINE, 0)
        self._file.seek(tail_begins)
        tail = self._file.read()
        if not tail or tail.endswith(b"\n"):
            return
        whole = tail_begins + tail.rfind(b"\n") + 1
        if whole == tail_begins and not _HEADER.startswith(tail):
            raise self._wrong(tail)
        self._file.truncate(whole)

    def _read(self) -> None:
        self._file.seek(0)
        header = self._file.readline()
        if not header:
            self._file.write(_HEADER)
            return
        if header != _HEADER:
            raise self._wrong(header)
        first = self._file.readline()
        if not first:
            return
        self.first = self.last = self._time_of(first)
        self.rows = 1
        line = first
        while block := self._file.read(_BLOCK):
            self.rows += block.count(b"\n")
            line = (line[-_LONGEST_LINE:] + block)[-2 * _LONGEST_LINE :]
        self.last = self._time_of(line.splitlines()[-1])

    def _time_of(self, line: bytes) -> datetime:
        fields = line.decode("utf-8", "replace").rstrip("\n").split(",")
        try:
            time = datetime.fromisoformat(fields[0])
            found = (fields[-2], fields[-1])
        except (ValueError, IndexError):
            raise self._wrong(line) from None
        if len(fields) != len(COLUMNS) or time.tzinfo is None:
            raise self._wrong(line)
        if found != self._kind:
            text = f"{self.path} holds {' '.join(found)} candles, not {' '.join(self._kind)}: give another --out"
            raise ConfigurationError(text)
        return time

    def _wrong(self, line: bytes) -> ConfigurationError:
        shown = line[:60].decode("utf-8", "replace").rstrip("\n")
        return ConfigurationError(f"{self.path} was not written by this command ({shown!r}): give another --out")


def _line(candle: Candle) -> bytes:
    money = (candle.open, candle.high, candle.low, candle.close, candle.volume, candle.quote_volume)
    fields = (
        candle.open_time.isoformat(),
        *("" if amount is None else plain(amount) for amount in money),
        "" if candle.trades is None else str(candle.trades),
        candle.symbol,
        candle.interval,
    )
    return (",".join(fields) + "\n").encode()
