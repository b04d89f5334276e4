"""The public half of the client: market data, over REST. Every method blocks its caller."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from exconnect.errors import InvalidArgument, NotSupported, says_operation
from exconnect.model.enums import Capability
from exconnect.model.market import INTERVALS, Book, Candle, FundingRate, Ticker, Trade, check_interval
from exconnect.model.order import text_of
from exconnect.model.values import When, count_of, datetime_of, ms_of, symbol_of
from exconnect.protocol.pages import (
    Page,
    Pages,
    State,
    Where,
    begin,
    gather,
    mark_candle,
    mark_item,
    resume,
)

if TYPE_CHECKING:
    from exconnect.model.instrument import Instrument
    from exconnect.protocol.exchange import Exchange
    from exconnect.venue.parts import Venue

T = TypeVar("T")

_INTERVAL = "1m"  # of candles, unless something else is said


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
    def exchange(self) -> str:
        """Name of the exchange."""

    @property
    @abstractmethod
    def _exchange(self) -> Exchange:
        """What the exchange is."""

    @says_operation
    def fetch_time(self, *, timeout: float | None = None) -> datetime:
        """The exchange's clock now."""
        return datetime_of(self._open().call(self._exchange.rest.time(), self._timeout(timeout)))

    @says_operation
    def fetch_instruments(self, *symbols: str, timeout: float | None = None) -> dict[str, Instrument]:
        """What is listed now, by symbol; no symbols: everything. The limits are learnt from it."""
        venue, left = self._open(), self._timeout(timeout)
        wanted = [self._exchange.parse_symbol(symbol_of(symbol)) for symbol in symbols]
        if None in wanted:
            venue.instrument(symbols[wanted.index(None)], left)  # raises with suggestions
        listing = venue.listing(tuple(name for name in wanted if name is not None), left)
        found = {instrument.symbol: instrument for instrument in listing.instruments}
        for symbol in symbols:
            if symbol not in found:
                venue.instrument(symbol, left)  # raises, with suggestions
        return found

    @says_operation
    def fetch_instrument(self, symbol: str, *, timeout: float | None = None) -> Instrument:
        """One instrument, from memory if it is younger than an hour."""
        return self._open().instrument(symbol, self._timeout(timeout))

    @says_operation
    def fetch_ticker(self, symbol: str, *, timeout: float | None = None) -> Ticker:
        """Best prices and the last 24 hours."""
        venue, left = self._open(), self._timeout(timeout)
        ticker = venue.call(self._exchange.rest.fetch_ticker(venue.instrument(symbol, left)), left)
        venue.host.prices.see(symbol, ticker.last)
        return ticker

    @says_operation
    def fetch_tickers(self, *symbols: str, timeout: float | None = None) -> dict[str, Ticker]:
        """Tickers by symbol; no symbols: of everything that is listed."""
        venue, left = self._open(), self._timeout(timeout)
        if not symbols and not venue.host.instruments.is_whole:
            venue.listing((), left)
        instruments = [venue.instrument(symbol, left) for symbol in symbols]
        tickers = venue.call(self._exchange.rest.fetch_tickers(instruments, venue.host.instruments.lookup), left)
        for ticker in tickers.values():
            venue.host.prices.see(ticker.symbol, ticker.last)
        return tickers

    @says_operation
    def fetch_book(self, symbol: str, *, depth: int = 100, timeout: float | None = None) -> Book:
        """At most `depth` levels a side."""
        venue, left = self._open(), self._timeout(timeout)
        instrument = venue.instrument(symbol, left)
        most = self._exchange.markets[instrument.market].book_depths[-1]
        return venue.call(self._exchange.rest.fetch_book(instrument, count_of(depth, "depth", most)), left)

    @says_operation
    def fetch_trades(
        self, symbol: str, *, from_id: str | None = None, limit: int | None = None, timeout: float | None = None
    ) -> list[Trade]:
        """The newest trades, or those from `from_id` on; oldest first."""
        limit = self._limit(limit, "trades", "iter_trades")
        venue, left = self._open(), self._timeout(timeout)
        where: Where = as_range(None, None)
        if from_id is not None:
            self._need(Capability.TRADE_HISTORY)
            where = {"from_id": text_of(from_id, "from_id")}
        call = self._exchange.rest.fetch_trades(venue.instrument(symbol, left), where, limit)
        return venue.call(call, left).items

    @says_operation
    def fetch_candles(
        self,
        symbol: str,
        interval: str = _INTERVAL,
        *,
        start: When | None = None,
        end: When | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> list[Candle]:
        """One page, oldest first: from `start` (in) to `end` (out); without `start` the newest.

        The candle that is still open has `is_closed` False.
        """
        limit = self._limit(limit, "candles", "iter_candles")
        where = as_range(start, end)
        self._check_interval(interval)
        venue = self._open()
        deadline = venue.desk.deadline(self._timeout(timeout))
        instrument = venue.instrument(symbol, deadline.left)

        def ask(where: Where) -> Page[Candle]:
            at = venue.server_now_ms()
            call = self._exchange.rest.fetch_candles(instrument, interval, where, limit=limit, at=at)
            return venue.call(call, max(deadline.left, 0.001))

        return gather(ask, where, mark_candle, limit)

    @says_operation
    def iter_candles(
        self,
        symbol: str,
        interval: str = _INTERVAL,
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

        def ask(state: State, where: Where) -> Page[Candle]:
            venue = self._open()
            instrument, at = venue.instrument(state["symbol"], left), venue.server_now_ms()
            call = self._exchange.rest.fetch_candles(instrument, state["interval"], where, limit=most, at=at)
            return venue.call(call, left)

        if cursor is None:
            where = from_start(as_range(start, end))
            state = begin(where, left_of(limit), symbol=symbol_of(symbol), interval=interval)
        else:
            said = {} if interval == _INTERVAL else {"interval": interval}
            state = resume("iter_candles", cursor, symbol=symbol_of(symbol), **said)
        return Pages("iter_candles", state, ask, mark_candle)

    @says_operation
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
            InvalidArgument: both `start` and `from_id`, or a cursor of another method.
        """
        self._need(Capability.TRADE_HISTORY)
        if start is not None and from_id is not None:
            raise InvalidArgument("give start or from_id, not both", {"argument": "from_id"})
        most, wait = self._exchange.rest.PAGE["trades"], self._timeout(timeout)

        def ask(state: State, where: Where) -> Page[Trade]:
            venue = self._open()
            instrument = venue.instrument(state["symbol"], wait)
            return venue.call(self._exchange.rest.fetch_trades(instrument, where, most), wait)

        if cursor is None:
            where = from_start(as_range(start, end))
            if from_id is not None:
                where = {"from_id": text_of(from_id, "from_id"), "end": where["end"]}
            state = begin(where, left_of(limit), symbol=symbol_of(symbol))
        else:
            state = resume("iter_trades", cursor, symbol=symbol_of(symbol))
        return Pages("iter_trades", state, ask, mark_item)

    @says_operation
    def fetch_funding_rate(self, symbol: str, *, timeout: float | None = None) -> FundingRate:
        """What longs pay shorts next; perpetuals only.

        Raises:
            NotSupported: this version trades spot only.
        """
        raise NotSupported(
            "funding rates are for perpetuals, which this version does not have", {"capability": "futures"}
        )

    # ------------------------------------------------------------ shared by the methods

    def _check_interval(self, interval: str) -> None:
        check_interval(interval, self._intervals, self._exchange.name)

    @property
    def _intervals(self) -> tuple[str, ...]:
        """Those of the candles that the exchange has, shortest first."""
        markets = self._exchange.markets.values()
        return tuple(each for each in INTERVALS if any(each in market.intervals for market in markets))

    def _limit(self, limit: int | None, what: str, iterator: str) -> int:
        most = self._exchange.rest.PAGE[what]
        if limit is None:
            return min(500, most)
        if isinstance(limit, int) and limit > most:
            message = f"limit={limit}: one page of {self._exchange.name} has at most {most}"
            if iterator != "iter_trades" or Capability.TRADE_HISTORY in self._exchange.capabilities:
                message = f"{message}; {iterator}() gives any number"
            raise InvalidArgument(message, {"argument": "limit"})
        return count_of(limit, "limit", most)

    def _need(self, capability: Capability) -> None:
        if capability not in self._exchange.capabilities:
            name = self._exchange.name
            raise NotSupported(f"{name} has no {capability.value}", {"capability": capability.value, "exchange": name})


def left_of(limit: int | None) -> int | None:
    """The `limit` of an iterator: any number above zero, None for no limit."""
    return None if limit is None else count_of(limit, "limit")


def as_range(start: When | None, end: When | None) -> dict[str, int | None]:
    """Both ends in ms, as a position. No exchange has anything from before 1970, nor a way to ask for it.

    Raises:
        InvalidArgument: `start` is after `end`.
    """
    since = None if start is None else ms_of(start, "start")
    until = None if end is None else ms_of(end, "end")
    if since is not None and until is not None and since > until:
        raise InvalidArgument("start is after end", {"argument": "start"})
    return {"start": None if since is None else max(since, 0), "end": None if until is None else max(until, 1)}


def from_start(where: dict[str, int | None]) -> dict[str, Any]:
    """For what goes through all there is: without `start`, from the beginning."""
    return {**where, "start": where["start"] or 0}
