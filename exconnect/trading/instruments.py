"""What may be traded, as the exchange lists it; kept for an hour and shared by everything in the process."""

from __future__ import annotations

import difflib
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from cachetools import TTLCache

from exconnect.errors import ExconnectError, TransportError, UnknownSymbol
from exconnect.model.instrument import Instrument
from exconnect.model.values import symbol_of

if TYPE_CHECKING:
    from exconnect.environment import Environment

_KEPT_S = 3600.0
_MOST = 100_000
_SHOWN = 60  # characters of somebody's text that an error repeats

Load = Callable[[tuple[str, ...]], object]  # exchange symbols, none: all; puts what it finds


class _Loading:
    """A load that is under way in some thread."""

    __slots__ = ("has_succeeded", "is_over")

    def __init__(self) -> None:
        self.is_over = self.has_succeeded = False


class Instruments(Mapping[str, Instrument]):
    """Read-only mapping of what is known, by unified symbol. Only `find` goes to the network."""

    def __init__(self, exchange: str, env: Environment, parse_symbol: Callable[[str], str | None]) -> None:
        self._exchange = exchange
        self._env = env
        self._parse = parse_symbol
        self._lock: threading.Lock = env.lock()
        self._fresh: TTLCache[str, Instrument] = TTLCache(_MOST, _KEPT_S, env.now)
        self._by_exchange_symbol: dict[str, Instrument] = {}
        self._whole_until = -math.inf
        self._ended: threading.Condition = env.condition()
        self._under_way: dict[tuple[str, ...], _Loading] = {}
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
        """Remember what the exchange has just listed; `whole`: that is all there is, and the rest is listed no more."""
        with self._lock:
            if whole:
                self.is_whole = True
                self._whole_until = self._env.now() + _KEPT_S
                self._fresh.clear()
            for instrument in instruments:
                self._fresh[instrument.symbol] = instrument
                self._by_exchange_symbol[instrument.exchange_symbol] = instrument

    def lookup(self, exchange_symbol: str) -> Instrument | None:
        """By the exchange's own symbol, however long ago it was listed."""
        return self._by_exchange_symbol.get(exchange_symbol)

    def find(self, symbol: str, load: Load, timeout: float = math.inf) -> Instrument:
        """The instrument, loaded if it is not known or older than an hour; threads that need the same load share it.

        Raises:
            UnknownSymbol: the exchange does not list it; `suggestions` are near.
            TransportError: another thread has not loaded it within `timeout` seconds.
        """
        symbol_of(symbol)
        deadline = self._env.now() + timeout
        known = self.get(symbol)
        if known is None:
            self._load_one(symbol, load, deadline)
            known = self.get(symbol)
        if known is None:
            self._load_all(load, deadline)
            known = self.get(symbol)
        if known is None:
            raise self._unknown(symbol)
        return known

    def check(self, symbol: str) -> None:
        """Refuse what is known to be no symbol, without asking anybody.

        Raises:
            UnknownSymbol: it looks like none, or all that the exchange lists is known and it is not among that.
        """
        exchange_symbol = self._parse(symbol_of(symbol))
        known = None if exchange_symbol is None else self.lookup(exchange_symbol)
        if exchange_symbol is None or (self.is_whole if known is None else known.symbol != symbol):
            raise self._unknown(symbol)

    def _load_one(self, symbol: str, load: Load, deadline: float) -> None:
        exchange_symbol = self._parse(symbol)
        if exchange_symbol is None:
            return

        def load_it(names: tuple[str, ...]) -> None:
            with suppress(UnknownSymbol):
                load(names)

        if not self._shared((exchange_symbol,), load_it, deadline):
            load_it((exchange_symbol,))  # the other thread had less time, or bad luck

    def _load_all(self, load: Load, deadline: float) -> None:
        # For the suggestions only: a wrong symbol is a wrong symbol without them, and asked once an hour they do.
        if self._env.now() >= self._whole_until:
            with suppress(ExconnectError):
                self._shared((), load, deadline)

    def _shared(self, names: tuple[str, ...], load: Load, deadline: float) -> bool:
        """Load, or wait for the thread that is at it; False: that one failed."""
        with self._ended:
            other = self._under_way.get(names)
            if other is not None:
                left = max(deadline - self._env.now(), 0.0)
                if not self._env.wait_for(self._ended, lambda: other.is_over, left):
                    raise TransportError("not sent: another thread is still loading the instruments")
                return other.has_succeeded
            mine = self._under_way[names] = _Loading()
        try:
            load(names)
            mine.has_succeeded = True
        finally:
            with self._ended:
                mine.is_over = True
                del self._under_way[names]
                self._ended.notify_all()
        return True

    def _unknown(self, symbol: str) -> UnknownSymbol:
        shown = symbol[:_SHOWN]
        near = self._suggest(shown)
        hint = f": did you mean {', '.join(near)}?" if near else ": symbols are written like 'BTC/USDT'"
        details = {"argument": "symbol", "symbol": shown, "suggestions": near, "exchange": self._exchange}
        return UnknownSymbol(f"{self._exchange} has no symbol {shown!r}{hint}", details)

    def _suggest(self, symbol: str) -> list[str]:
        squeezed = "".join(c for c in symbol.upper() if c.isalnum())
        same = self._by_exchange_symbol.get(squeezed)
        near = difflib.get_close_matches(symbol.upper(), list(self), n=3, cutoff=0.6)
        first = [same.symbol] if same is not None else []
        return list(dict.fromkeys([*first, *near]))[:3]
