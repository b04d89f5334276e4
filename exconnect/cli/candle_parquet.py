"""A Parquet file of candles. What comes in waits in a CSV file beside it until all is there."""

from __future__ import annotations

import os
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from exconnect.cli.candle_csv import COLUMNS, CandleCsv
from exconnect.errors import ConfigurationError
from exconnect.model.market import Candle

_MONEY = COLUMNS[1:7]


class CandleParquet:
    """As `CandleCsv`. Prices and quantities are decimals, `open_time` is UTC.

    Raises:
        ConfigurationError: as `CandleCsv`; pandas or pyarrow is not installed.
    """

    def __init__(self, path: Path, symbol: str, interval: str) -> None:
        self.path = path
        self._pandas = _pandas()
        self._kind = (symbol, interval)
        self._waiting = CandleCsv(path.with_name(f"{path.name}.part"), symbol, interval)
        self._old: Any = None  # the frame that is in the file

    def __enter__(self) -> Self:
        self._old = self._stored()
        self._waiting.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.__exit__(kind, error, trace)

    @property
    def rows(self) -> int:
        """How many there are, waiting ones included."""
        return self._waiting.rows + (0 if self._old is None else len(self._old))

    @property
    def first(self) -> datetime | None:
        """When the first begins."""
        return self._waiting.first if self._old is None else self._time(0)

    @property
    def last(self) -> datetime | None:
        """When the last begins."""
        if self._waiting.last is None and self._old is not None:
            return self._time(-1)
        return self._waiting.last

    def append(self, candle: Candle) -> None:
        """Add one that follows the last."""
        self._waiting.append(candle)

    def flush(self) -> None:
        """Hand what was added to the operating system."""
        self._waiting.flush()

    def finish(self) -> None:
        """All is there: make one file of it, which replaces the old one in a single step."""
        self._waiting.finish()
        if not self._waiting.rows:
            self._waiting.path.unlink()
            return
        new = self._frame()
        whole = new if self._old is None else self._pandas.concat([self._old, new], ignore_index=True)
        made = self.path.with_name(f"{self.path.name}.new")
        whole.to_parquet(made, index=False)
        os.replace(made, self.path)  # noqa: PTH105 - the one call that says that it is atomic
        self._waiting.path.unlink()

    def _frame(self) -> Any:
        frame = self._pandas.read_csv(self._waiting.path, dtype=str, keep_default_na=False)
        frame["open_time"] = self._pandas.to_datetime(frame["open_time"], utc=True)
        frame["trades"] = self._pandas.to_numeric(frame["trades"]).astype("Int64")
        for name in _MONEY:
            frame[name] = frame[name].map(lambda text: Decimal(text) if text else None)
        return frame

    def _stored(self) -> Any:
        if not self.path.exists():
            return None
        try:
            frame = self._pandas.read_parquet(self.path)
            found = {tuple(row) for row in frame[["symbol", "interval"]].drop_duplicates().itertuples(index=False)}
        except (OSError, ValueError, KeyError) as error:
            text = f"{self.path} was not written by this command ({type(error).__name__}): give another --out"
            raise ConfigurationError(text) from None
        if found - {self._kind}:
            holds = " ".join(min(found - {self._kind}))
            raise ConfigurationError(f"{self.path} holds {holds} candles, not {' '.join(self._kind)}")
        return frame if len(frame) else None

    def _time(self, at: int) -> datetime:
        time: datetime = self._old["open_time"].iloc[at].to_pydatetime()
        return time


def _pandas() -> Any:
    try:
        import_module("pyarrow")
        return import_module("pandas")
    except ImportError as error:
        text = f"a .parquet file needs {error.name}: pip install 'exconnect[frame]'; a .csv file needs nothing"
        raise ConfigurationError(text) from None
