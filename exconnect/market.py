"""The public half of the client: market data, over REST. Every method blocks its caller."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from exconnect.errors import InvalidArgument, InvalidType, NotSupported
from exconnect.model.enums import Capability
from exconnect.model.market import INTERVALS, Book, Candle, FundingRate, Ticker, Trade
from exconnect.model.values import When, datetime_of, ms_of
from exconnect.protocol.pages import Page, Pages, State, resume

if TYPE_CHECKING:
    from exconnect.model.instrument import Instrument
    from exconnect.protocol.exchange import Exchange
    from exconnect.venue.parts import Venue

T = TypeVar("T")


class MarketData(ABC):
    """Instruments, tickers, books, trades and candles of one exchange.

    `symbol` is unified (`BTC/USDT`); `timeout` is seconds in all for one call, None the client's own. Every
    method raises `UnknownSymbol` for a symbol that is not listed, `InvalidArgument` or `InvalidType` for values
    that cannot be right, `TransportError`, `RateLimited`, `Banned`, `Unavailable`, `CircuitOpen` or
    `WouldExceedLimit` when the exchange cannot be asked, and `ClientClosed` after `close()`.
    """

    @abstractmethod
    def _open(self) -> Venue:
        """This process's parts."""

    @abstractmethod
    def _timeout(self, timeout: float | None) -> float:
        """Seconds that a call may take."""

    @property
    @abstractmethod
    def _exchange(self) -> Exchange:
        """What the exchange is."""

    def fetch_time(self, *, timeout: float | None = None) -> datetime:
        """The exchange's clock now (Binance: `GET /api/v3/time`)."""
        return datetime_of(self._open().call(self._exchange.rest.time(), self._timeout(timeout)))

    def fetch_instruments(self, *symbols: str, timeout: float | None = None) -> dict[str, Instrument]:
        """What is listed now, by symbol; no symbols: everything. The limits are learnt from it.

        Binance: `GET /api/v3/exchangeInfo`.
        """
        venue, left = self._open(), self._timeout(timeout)
        wanted = [self._exchange.parse_symbol(as_symbol(symbol)) for symbol in symbols]
        if None in wanted:
            venue.instrument(symbols[wanted.index(None)], left)  # raises with suggestions
        listing = venue.listing(tuple(name for name in wanted if name is not None), left)
        found = {instrument.symbol: instrument for instrument in listing.instruments}
        for symbol in symbols:
            if symbol not in found:
                venue.instrument(symbol, left)  # raises, with suggestions
        return found

    def fetch_instrument(self, symbol: str, *, timeout: float | None = None) -> Instrument:
        """One instrument, from memory if it is younger than an hour."""
        return self._open().instrument(symbol, self._timeout(timeout))

    def fetch_ticker(self, symbol: str, *, timeout: float | None = None) -> Ticker:
        """Best prices and the last 24 hours (Binance: `GET /api/v3/ticker/24hr`)."""
        venue, left = self._open(), self._timeout(timeout)
        return venue.call(self._exchange.rest.fetch_ticker(venue.instrument(symbol, left)), left)

    def fetch_tickers(self, *symbols: str, timeout: float | None = None) -> dict[str, Ticker]:
        """Tickers by symbol; no symbols: of everything that is listed."""
        venue, left = self._open(), self._timeout(timeout)
        if not symbols and not venue.host.instruments.is_whole:
            venue.listing((), left)
        instruments = [venue.instrument(symbol, left) for symbol in symbols]
        return venue.call(self._exchange.rest.fetch_tickers(instruments, venue.host.instruments.lookup), left)

    def fetch_book(self, symbol: str, *, depth: int = 100, timeout: float | None = None) -> Book:
        """At most `depth` levels a side (Binance: `GET /api/v3/depth`, up to 5000)."""
        venue, left = self._open(), self._timeout(timeout)
        instrument = venue.instrument(symbol, left)
        most = self._exchange.markets[instrument.market].book_depths[-1]
        return venue.call(self._exchange.rest.fetch_book(instrument, _count(depth, "depth", most)), left)

    def fetch_trades(
        self, symbol: str, *, from_id: str | None = None, limit: int | None = None, timeout: float | None = None
    ) -> list[Trade]:
        """The newest trades, or those from `from_id` on; oldest first (Binance: `trades`, `historicalTrades`)."""
        limit = self._limit(limit, "trades", "iter_trades")
        venue, left = self._open(), self._timeout(timeout)
        if from_id is not None:
            self._need(Capability.TRADE_HISTORY)
            _digits(from_id, "from_id")
        return venue.call(self._exchange.rest.fetch_trades(venue.instrument(symbol, left), from_id, limit), left)

    def fetch_candles(
        self,
        symbol: str,
        interval: str = "1m",
        *,
        start: When | None = None,
        end: When | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> list[Candle]:
        """One page, oldest first: from `start` (in) to `end` (out); without `start` the newest.

        The candle that is still open has `is_closed` False (Binance: `GET /api/v3/klines`).
        """
        limit = self._limit(limit, "candles", "iter_candles")
        since, until = as_range(start, end)
        self._check_interval(interval)
        return self._candles(symbol, interval, since, until, limit, self._timeout(timeout))

    def iter_candles(
        self,
        symbol: str,
        interval: str = "1m",
        *,
        start: When | None = None,
        end: When | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        timeout: float | None = None,
    ) -> Pages[Candle]:
        """Every candle with `start <= open_time < end` that exists, ascending, once; see `Pages`."""
        self._check_interval(interval)
        most, left = self._exchange.rest.PAGE["candles"], self._timeout(timeout)

        def fetch(state: State) -> Page[Candle]:
            since = state["start"]
            candles = self._candles(state["symbol"], state["interval"], since, state["end"], most, left)
            # A page that is not full is the last one.
            return candles, behind(state, candles[-1]) if len(candles) == most else None

        def behind(state: State, candle: Candle) -> State:
            return {**state, "start": ms_of(candle.open_time, "open_time") + 1}

        since, until = as_range(start, end)
        begin = {
            "symbol": as_symbol(symbol),
            "interval": interval,
            "start": since or 0,
            "end": until,
            "left": left_of(limit),
        }
        return Pages("iter_candles", begin if cursor is None else resume("iter_candles", cursor), fetch, behind)

    def iter_trades(
        self,
        symbol: str,
        *,
        start: When | None = None,
        end: When | None = None,
        from_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        timeout: float | None = None,
    ) -> Pages[Trade]:
        """Every public trade from `start` or `from_id` to `end`, ascending, once; see `Pages`.

        Raises:
            NotSupported: the exchange keeps no trade history (`TRADE_HISTORY`).
        """
        self._need(Capability.TRADE_HISTORY)
        most, wait = self._exchange.rest.PAGE["trades"], self._timeout(timeout)

        def fetch(state: State) -> Page[Trade]:
            venue = self._open()
            instrument = venue.instrument(state["symbol"], wait)
            first = state["from_id"]
            if first is None:
                first = venue.call(self._exchange.rest.first_trade_id(instrument, state["start"]), wait)
            if first is None:
                return [], None
            trades = venue.call(self._exchange.rest.fetch_trades(instrument, first, most), wait)
            kept = [trade for trade in trades if _before(trade.time, state["end"])]
            return kept, behind(state, kept[-1]) if len(kept) == most else None

        def behind(state: State, trade: Trade) -> State:
            return {**state, "from_id": str(int(trade.id) + 1)}

        since, until = as_range(start, end)
        first = from_id if from_id is None else _digits(from_id, "from_id")
        begin = {
            "symbol": as_symbol(symbol),
            "start": since or 0,
            "end": until,
            "from_id": first,
            "left": left_of(limit),
        }
        return Pages("iter_trades", begin if cursor is None else resume("iter_trades", cursor), fetch, behind)

    def fetch_funding_rate(self, symbol: str, *, timeout: float | None = None) -> FundingRate:
        """What longs pay shorts next; perpetuals only.

        Raises:
            NotSupported: this version trades spot only.
        """
        raise NotSupported(
            "funding rates are for perpetuals, which this version does not have", {"capability": "futures"}
        )

    # ------------------------------------------------------------ shared by the methods

    def _candles(
        self, symbol: str, interval: str, start: int | None, end: int | None, limit: int, timeout: float
    ) -> list[Candle]:
        venue = self._open()
        instrument = venue.instrument(symbol, timeout)
        call = self._exchange.rest.fetch_candles(
            instrument, interval, start=start, end=end, limit=limit, at=venue.server_now_ms()
        )
        return venue.call(call, timeout)

    def _check_interval(self, interval: str) -> None:
        if interval not in INTERVALS:
            choices = " ".join(INTERVALS)
            raise InvalidArgument(f"interval={interval!r}: must be one of {choices}", {"argument": "interval"})
        if not any(interval in market.intervals for market in self._exchange.markets.values()):
            raise NotSupported(f"{self._exchange.name} has no {interval} candles", {"exchange": self._exchange.name})

    def _limit(self, limit: int | None, what: str, iterator: str) -> int:
        most = self._exchange.rest.PAGE[what]
        if limit is None:
            return min(500, most)
        if isinstance(limit, int) and limit > most:
            message = (
                f"limit={limit}: one page of {self._exchange.name} has at most {most}; {iterator}() gives any number"
            )
            raise InvalidArgument(message, {"argument": "limit"})
        return _count(limit, "limit", most)

    def _need(self, capability: Capability) -> None:
        if capability not in self._exchange.capabilities:
            name = self._exchange.name
            raise NotSupported(f"{name} has no {capability.value}", {"capability": capability.value, "exchange": name})


def as_symbol(symbol: str) -> str:
    """`symbol` if it is text."""
    if not isinstance(symbol, str):
        raise InvalidType(f"symbol must be text like 'BTC/USDT', not {type(symbol).__name__}", {"argument": "symbol"})
    return symbol


def _count(value: int, argument: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidType(f"{argument} must be an int, not {type(value).__name__}", {"argument": argument})
    if not 1 <= value <= most:
        raise InvalidArgument(f"{argument}={value}: must be from 1 to {most}", {"argument": argument})
    return value


def left_of(limit: int | None) -> int | None:
    """The `limit` of an iterator: any number above zero, None for no limit."""
    return None if limit is None else _count(limit, "limit", 10**15)


def _digits(value: str, argument: str) -> str:
    if not isinstance(value, str) or not (value.isascii() and value.isdigit()):
        raise InvalidArgument(
            f"{argument}={value!r}: must be the digits of a trade id, as text", {"argument": argument}
        )
    return value


def as_range(start: When | None, end: When | None) -> tuple[int | None, int | None]:
    """Both ends in ms.

    Raises:
        InvalidArgument: `start` is after `end`.
    """
    since = None if start is None else ms_of(start, "start")
    until = None if end is None else ms_of(end, "end")
    if since is not None and until is not None and since > until:
        raise InvalidArgument("start is after end", {"argument": "start"})
    return since, until


def _before(time: datetime | None, end: int | None) -> bool:
    return end is None or time is None or ms_of(time, "time") < end
