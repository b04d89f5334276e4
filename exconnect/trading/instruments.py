"""What may be traded, as the exchange lists it; kept for an hour and shared by everything in the process."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from cachetools import TTLCache

from exconnect.errors import ExchangeError, InvalidType, UnknownSymbol
from exconnect.model.instrument import Instrument

if TYPE_CHECKING:
    from exconnect.environment import Environment

_KEPT_S = 3600.0
_MOST = 100_000

Load = Callable[[tuple[str, ...]], object]  # exchange symbols, none: all; puts what it finds


class Instruments(Mapping[str, Instrument]):
    """Read-only mapping of what is known, by unified symbol. Only `find` goes to the network."""

    def __init__(self, exchange: str, env: Environment, parse_symbol: Callable[[str], str | None]) -> None:
        self._exchange = exchange
        self._parse = parse_symbol
        self._lock: threading.Lock = env.lock()
        self._fresh: TTLCache[str, Instrument] = TTLCache(_MOST, _KEPT_S, env.now)
        self._by_exchange_symbol: dict[str, Instrument] = {}
        self.is_whole = False  # whether everything that is listed has been loaded once

    def __getitem__(self, symbol: str) -> Instrument:
        with self._lock:
            return self._fresh[symbol]

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(tuple(self._fresh))

    def __len__(self) -> int:
        with self._lock:
            return len(self._fresh)

    def put(self, instruments: Iterable[Instrument], *, whole: bool = False) -> None:
        """Remember what the exchange has just listed; `whole`: that is all there is."""
        with self._lock:
            self.is_whole |= whole
            for instrument in instruments:
                self._fresh[instrument.symbol] = instrument
                self._by_exchange_symbol[instrument.exchange_symbol] = instrument

    def lookup(self, exchange_symbol: str) -> Instrument | None:
        """By the exchange's own symbol, however long ago it was listed."""
        return self._by_exchange_symbol.get(exchange_symbol)

    def find(self, symbol: str, load: Load) -> Instrument:
        """The instrument, loaded if it is not known or older than an hour.

        Raises:
            UnknownSymbol: the exchange does not list it; `suggestions` are near.
        """
        if not isinstance(symbol, str):
            message = f"symbol must be text like 'BTC/USDT', not {type(symbol).__name__}"
            raise InvalidType(message, {"argument": "symbol"})
        with self._lock:
            known = self._fresh.get(symbol)
        if known is not None:
            return known
        self._load_one(symbol, load)
        with self._lock:
            known = self._fresh.get(symbol)
        if known is None:
            raise self._unknown(symbol, load)
        return known

    def _load_one(self, symbol: str, load: Load) -> None:
        exchange_symbol = self._parse(symbol)
        if exchange_symbol is None:
            return
        try:
            load((exchange_symbol,))
        except (UnknownSymbol, ExchangeError) as error:
            if not isinstance(error, UnknownSymbol):
                raise

    def _unknown(self, symbol: str, load: Load) -> UnknownSymbol:
        load(())
        near = self._suggest(symbol)
        hint = f": did you mean {', '.join(near)}?" if near else ", or it is written differently: 'BTC/USDT'"
        details = {"argument": "symbol", "symbol": symbol[:60], "suggestions": near, "exchange": self._exchange}
        return UnknownSymbol(f"{self._exchange} has no symbol {symbol[:60]!r}{hint}", details)

    def _suggest(self, symbol: str) -> list[str]:
        squeezed = "".join(c for c in symbol.upper() if c.isalnum())
        same = self._by_exchange_symbol.get(squeezed)
        near = difflib.get_close_matches(symbol.upper(), list(self), n=3, cutoff=0.6)
        first = [same.symbol] if same is not None else []
        return list(dict.fromkeys([*first, *near]))[:3]
