"""Public market data.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from exconnect.mock.fixed import text
from exconnect.mock.intervals import DAY, HOUR, INTERVALS, MINUTE

from . import shapes
from .endpoints import Endpoint, names
from .errors import Fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from exconnect.mock.book import BookSide
    from exconnect.mock.market import Market

    from .endpoints import Call
    from .params import Params
    from .shapes import Json

MOST_DEPTH = 5000
DEPTH_COSTS = ((100, 5), (500, 25), (1000, 50), (MOST_DEPTH, 250))
_ZONE = re.compile(r"([+-]?)(\d{1,2})(?::(\d{2}))?")
_WINDOW = re.compile(r"([1-5]?[0-9]m|1?[0-9]h|2[0-3]h|[1-7]d)")
_UNITS = {"m": MINUTE, "h": HOUR, "d": DAY}


def ping(call: Call) -> Json:  # noqa: ARG001
    """Nothing, quickly."""
    return {}


def server_time(call: Call) -> Json:
    """The exchange's clock."""
    return {"serverTime": call.now_ms}


def exchange_info(call: Call) -> Json:
    """Symbols, filters, limits."""
    chosen = call.params.markets()
    if chosen is not None and ("permissions" in call.params or "symbolStatus" in call.params):
        raise Fail(-1128)
    markets = list(call.world.markets.values()) if chosen is None else chosen
    if "SPOT" not in (call.params.optional("permissions") or "SPOT"):
        markets = []
    if call.params.optional("symbolStatus") not in {None, "TRADING"}:
        markets = []
    rows = [shapes.instrument(market) for market in markets]
    if not call.params.flag("showPermissionSets", default=True):
        for row in rows:
            del row["permissionSets"]
    return {
        "timezone": "UTC",
        "serverTime": call.now_ms,
        "rateLimits": call.rate_limits(),
        "exchangeFilters": [],
        "symbols": rows,
    }


def depth(call: Call) -> Json:
    """The book, best first."""
    book = call.world.engine.books[call.params.market().symbol]
    limit = call.params.limit(100, MOST_DEPTH)
    return {"lastUpdateId": book.sequence, "bids": levels(book.bids, limit), "asks": levels(book.asks, limit)}


def levels(side: BookSide, limit: int | None) -> list[list[str]]:
    """``[[price, quantity], …]``, best first."""
    return [[text(price), text(side.total(price))] for price in side.prices(limit)]


def depth_cost(params: Params) -> int:
    """5 for 100 levels, 250 for 5,000."""
    limit = params.limit(100, MOST_DEPTH)
    return next(cost for most, cost in DEPTH_COSTS if limit <= most)


def trades(call: Call) -> list[Json]:
    """The newest trades."""
    tape = call.world.tapes[call.params.market().symbol]
    return [shapes.public_trade(trade) for trade in tape.trades[-call.params.limit(500, 1000) :]]


def historical_trades(call: Call) -> list[Json]:
    """Trades from an id on, else the newest."""
    tape = call.world.tapes[call.params.market().symbol]
    limit, first = call.params.limit(500, 1000), call.params.integer("fromId")
    if first is None:
        return [shapes.public_trade(trade) for trade in tape.trades[-limit:]]
    begin = tape.since(first)
    return [shapes.public_trade(trade) for trade in tape.trades[begin : begin + limit]]


def aggregate_trades(call: Call) -> list[Json]:
    """Aggregates from an id on, or of a range of time, else the newest."""
    found = call.world.tapes[call.params.market().symbol].aggregates
    limit, first = call.params.limit(500, 1000), call.params.integer("fromId")
    start, end = call.params.time_ms("startTime"), call.params.time_ms("endTime")
    if first is not None and (start is not None or end is not None):
        raise Fail(-1128)
    if first is not None:
        begin = max(0, first - 1)
        return [shapes.aggregate(trade) for trade in found[begin : begin + limit]]
    until = len(found) if end is None else bisect_left(found, end + 1, key=lambda trade: trade.time_ms)
    if start is None:
        return [shapes.aggregate(trade) for trade in found[max(0, until - limit) : until]]
    begin = bisect_left(found, start, key=lambda trade: trade.time_ms)
    return [shapes.aggregate(trade) for trade in found[begin : min(until, begin + limit)]]


def klines(call: Call) -> list[list[Any]]:
    """Candles; the last one of the newest is not finished."""
    params = call.params
    market = params.market()
    interval = params.one_of("interval", frozenset(INTERVALS), Fail(-1120))
    rows = call.world.tapes[market.symbol].candles(
        interval,
        params.time_ms("startTime"),
        params.time_ms("endTime"),
        params.limit(500, 1000),
        call.now_ms,
        zone_ms(params.optional("timeZone") or "0"),
    )
    return [shapes.kline(begin, end, bar) for begin, end, bar in rows]


def zone_ms(zone: str) -> int:
    """``8``, ``-05:45``, ``+08:00`` as milliseconds. Raises: Fail outside −12:00 … +14:00."""
    match = _ZONE.fullmatch(zone)
    if match is None:
        raise Fail(-1130, "Data sent for parameter 'timeZone' is not valid.")
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    offset = -minutes if match[1] == "-" else minutes
    if not -12 * 60 <= offset <= 14 * 60:
        raise Fail(-1130, "Data sent for parameter 'timeZone' is not valid.")
    return offset * MINUTE


def average_price(call: Call) -> Json:
    """The volume-weighted price of five minutes."""
    market = call.params.market()
    tape = call.world.tapes[market.symbol]
    closed = tape.trades[-1].time_ms if tape.trades else call.world.started_ms
    return {"mins": 5, "price": text(call.world.engine.average(market.symbol, call.now_ms)), "closeTime": closed}


def ticker_24h(call: Call) -> Any:
    """The last 24 hours."""
    is_mini = _is_mini(call.params)

    def row(market: Market) -> Json:
        tape, begin = call.world.tapes[market.symbol], call.now_ms - DAY
        small = shapes.mini(market, tape, begin, call.now_ms)
        return small if is_mini else whole_ticker(call, market, small)

    return _per_market(call, row)


def whole_ticker(call: Call, market: Market, small: Json) -> Json:
    """A FULL 24-hour ticker."""
    tape, book = call.world.tapes[market.symbol], call.world.engine.books[market.symbol]
    bar = tape.window(small["openTime"], small["closeTime"])
    row = shapes.changes(small, bar)
    touch = touch_of(book.bids, book.asks)
    last = text(tape.trades[-1].quantity) if tape.trades else shapes.ZERO
    head = ("symbol", "priceChange", "priceChangePercent", "weightedAvgPrice")
    begin = {name: row.pop(name) for name in head}
    price = row.pop("lastPrice")
    return {**begin, "prevClosePrice": text(bar.open), "lastPrice": price, "lastQty": last, **touch, **row}


def touch_of(bids: BookSide, asks: BookSide) -> Json:
    """Best prices and their quantities; zero where a side is empty."""
    bid, ask = bids.best() or 0, asks.best() or 0
    return {
        "bidPrice": text(bid),
        "bidQty": text(bids.total(bid)),
        "askPrice": text(ask),
        "askQty": text(asks.total(ask)),
    }


def ticker_price(call: Call) -> Any:
    """The last price."""
    engine = call.world.engine
    return _per_market(call, lambda market: {"symbol": market.name, "price": text(engine.last[market.symbol])})


def ticker_book(call: Call) -> Any:
    """The best prices."""

    def row(market: Market) -> Json:
        book = call.world.engine.books[market.symbol]
        return {"symbol": market.name, **touch_of(book.bids, book.asks)}

    return _per_market(call, row)


def ticker_rolling(call: Call) -> Any:
    """A window of one's choice."""
    written = call.params.optional("windowSize") or "1d"
    if not _WINDOW.fullmatch(written) or written.startswith("0"):
        raise Fail(-1130, "Data sent for parameter 'windowSize' is not valid.")
    length = int(written[:-1]) * _UNITS[written[-1]]
    return _over(call, lambda: (call.now_ms - length) // MINUTE * MINUTE)


def ticker_day(call: Call) -> Any:
    """The trading day of a time zone."""
    zone = zone_ms(call.params.optional("timeZone") or "0")
    return _over(call, lambda: (call.now_ms + zone) // DAY * DAY - zone)


def _over(call: Call, begin: Callable[[], int]) -> Any:
    is_mini = _is_mini(call.params)
    if call.params.markets() is None:
        raise Fail(-1102, "Param 'symbol' or 'symbols' must be sent, but both were empty/null!")

    def row(market: Market) -> Json:
        tape = call.world.tapes[market.symbol]
        small = shapes.mini(market, tape, begin(), call.now_ms)
        return small if is_mini else shapes.changes(small, tape.window(begin(), call.now_ms))

    return _per_market(call, row)


def _per_market(call: Call, row: Callable[[Market], Json]) -> Any:
    chosen = call.params.markets()
    if chosen is None:
        return [row(market) for market in call.world.markets.values()]
    rows = [row(market) for market in chosen]
    return rows[0] if "symbol" in call.params else rows


def _is_mini(params: Params) -> bool:
    kind = params.optional("type") or "FULL"
    if kind not in {"FULL", "MINI"}:
        raise Fail(-1139, "Invalid ticker type.")
    return kind == "MINI"


def _cost_24h(params: Params) -> int:
    chosen = params.markets()
    if chosen is None:
        return 80
    return 2 if len(chosen) <= 20 else 40


def _cost_windows(params: Params) -> int:
    return min(200, 4 * len(params.markets() or [None]))


def _cost_small(params: Params) -> int:
    return 2 if "symbol" in params else 4


_RANGE = "startTime endTime limit"
_ONE = names("symbol")
_SOME = "symbol symbols symbolStatus"
ENDPOINTS = (
    Endpoint("GET", "/api/v3/ping", "ping", 1, ping),
    Endpoint("GET", "/api/v3/time", "fetch_time", 1, server_time),
    Endpoint(
        "GET",
        "/api/v3/exchangeInfo",
        "fetch_instruments",
        20,
        exchange_info,
        optional=names(f"{_SOME} permissions showPermissionSets"),
    ),
    Endpoint("GET", "/api/v3/depth", "fetch_book", depth_cost, depth, _ONE, names("limit symbolStatus")),
    Endpoint("GET", "/api/v3/trades", "fetch_trades", 25, trades, _ONE, names("limit")),
    Endpoint("GET", "/api/v3/historicalTrades", "fetch_trades", 25, historical_trades, _ONE, names("limit fromId")),
    Endpoint("GET", "/api/v3/aggTrades", "fetch_trades", 4, aggregate_trades, _ONE, names(f"fromId {_RANGE}")),
    Endpoint(
        "GET", "/api/v3/klines", "fetch_candles", 2, klines, names("symbol interval"), names(f"timeZone {_RANGE}")
    ),
    Endpoint(
        "GET", "/api/v3/uiKlines", "fetch_candles", 2, klines, names("symbol interval"), names(f"timeZone {_RANGE}")
    ),
    Endpoint("GET", "/api/v3/avgPrice", "fetch_average_price", 2, average_price, _ONE),
    Endpoint("GET", "/api/v3/ticker/24hr", "fetch_ticker", _cost_24h, ticker_24h, optional=names(f"{_SOME} type")),
    Endpoint("GET", "/api/v3/ticker/price", "fetch_ticker", _cost_small, ticker_price, optional=names(_SOME)),
    Endpoint("GET", "/api/v3/ticker/bookTicker", "fetch_ticker", _cost_small, ticker_book, optional=names(_SOME)),
    Endpoint(
        "GET",
        "/api/v3/ticker/tradingDay",
        "fetch_ticker",
        _cost_windows,
        ticker_day,
        optional=names(f"{_SOME} type timeZone"),
    ),
    Endpoint(
        "GET",
        "/api/v3/ticker",
        "fetch_ticker",
        _cost_windows,
        ticker_rolling,
        optional=names(f"{_SOME} type windowSize"),
    ),
)
