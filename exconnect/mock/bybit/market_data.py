"""Public market data.

https://bybit-exchange.github.io/docs/v5/market/time
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from exconnect.mock.fixed import plain
from exconnect.mock.intervals import DAY

from . import shapes
from .endpoints import Call, Endpoint
from .errors import Fail
from .messages import limits_of
from .shapes import INTERVALS

if TYPE_CHECKING:
    from exconnect.mock.market import Market

    from .params import Params
    from .shapes import Json

MOST_DEPTH = 1000
_UNKNOWN = Fail(10001, "Not supported symbols")


def server_time(call: Call) -> Json:
    """The exchange's clock."""
    return {"timeSecond": str(call.now_ms // 1000), "timeNano": str(call.now_ms * 1_000_000)}


def instruments(call: Call) -> Json:
    """Every symbol at once: spot has no pages. An unknown symbol is an empty list."""
    rows = _instruments(call) if call.params.category() == "spot" else []
    return {"category": call.params.text("category"), "nextPageCursor": "", "list": rows}


def own_instruments(call: Call) -> Json:
    """The same for the account, page by page."""
    rows = _instruments(call) if call.params.category() == "spot" else []
    limit, begin = call.params.limit(200, 200), int(_after(call.params.optional("cursor")))
    page = [{**row, "isPublicRpi": False, "myRpiPermission": False} for row in rows[begin : begin + limit]]
    more = quote(f"first={begin + limit}", safe="") if begin + limit < len(rows) else ""
    return {"category": call.params.text("category"), "nextPageCursor": more, "list": page}


def _after(cursor: str) -> str:
    written = unquote(cursor).removeprefix("first=") if cursor else "0"
    if not written.isdigit():
        raise Fail(10001, "Request parameter error: cursor is invalid.")
    return written


def _instruments(call: Call) -> list[Json]:
    if call.params.optional("status") not in {"", "Trading"}:
        return []
    numbers = {market.name: number for number, market in enumerate(call.world.markets.values(), 1)}
    return [shapes.instrument(market, numbers[market.name]) for market in call.params.chosen()]


def orderbook(call: Call) -> Json:
    """The book, best first; its update id is that of the stream with 1,000 levels."""
    call.params.spot()
    market = call.params.market(_UNKNOWN)
    update_id = call.hub.flush(market, call.now_ms)
    book, limit = call.world.engine.books[market.symbol], call.params.limit(1, MOST_DEPTH)
    return {
        "s": market.name,
        "b": shapes.levels(book.bids, limit),
        "a": shapes.levels(book.asks, limit),
        "ts": call.now_ms,
        "u": update_id,
        "seq": book.sequence,
        "cts": call.now_ms,
    }


def tickers(call: Call) -> Json:
    """The last 24 hours and the best prices."""
    call.params.spot()
    if "symbol" in call.params:
        call.params.market(_UNKNOWN)
    return {"category": "spot", "list": [_ticker(call, market) for market in call.params.chosen()]}


def _ticker(call: Call, market: Market) -> Json:
    book, bar = call.world.engine.books[market.symbol], call.world.tapes[market.symbol].window
    bid, ask = book.bids.best() or 0, book.asks.best() or 0
    touch = {
        "bid1Price": plain(bid) if bid else "",
        "bid1Size": plain(book.bids.total(bid)) if bid else "",
        "ask1Price": plain(ask) if ask else "",
        "ask1Size": plain(book.asks.total(ask)) if ask else "",
    }
    return {**shapes.day(market, bar(call.now_ms - DAY, call.now_ms)), **touch}


def recent_trades(call: Call) -> Json:
    """The newest trades, newest first."""
    call.params.spot()
    trades = call.world.tapes[call.params.market(_UNKNOWN).symbol].trades
    newest = trades[-call.params.limit(60, 60) :]
    return {"category": "spot", "list": [shapes.public_trade(trade) for trade in reversed(newest)]}


def klines(call: Call) -> Json:
    """Candles, newest first: the newest of a range that has an end, else those from its start on."""
    params = call.params
    params.spot()
    market = params.market(_UNKNOWN)
    interval = INTERVALS.get(params.text("interval"))
    if interval is None:
        raise Fail(10001, "Invalid period!")
    start, end, limit = params.integer("start"), params.integer("end"), params.limit(200, 1000)
    anchor = start if end is None else None
    rows = call.world.tapes[market.symbol].candles(interval, anchor, end, limit, call.now_ms)
    wanted = [shapes.kline(begin, bar) for begin, _, bar in reversed(rows) if begin >= (start or 0)]
    return {"category": "spot", "symbol": market.name, "list": wanted}


def price_limit(call: Call) -> Json:
    """Between these prices orders are taken."""
    market = call.params.market(_UNKNOWN)
    return limits_of(market, call.world.engine.last[market.symbol], call.now_ms)


def status(call: Call) -> Json:  # noqa: ARG001
    """Nothing is planned."""
    return {"list": []}


def operation_of(endpoint: Endpoint, params: Params) -> str:
    """The name that a client library gives to this call."""
    has_id = "orderId" in params or "orderLinkId" in params
    if endpoint.operation in {"fetch_open_orders", "fetch_orders"} and has_id:
        return "fetch_order"
    if endpoint.operation == "fetch_open_orders" and params.optional("openOnly") == "1":
        return "fetch_orders"
    if endpoint.operation == "fetch_ticker" and "symbol" not in params:
        return "fetch_tickers"
    return endpoint.operation


def _public(path: str, operation: str, handler: Any) -> Endpoint:
    return Endpoint("GET", path, operation, handler)


ENDPOINTS = (
    _public("/v5/market/time", "fetch_time", server_time),
    _public("/v5/market/instruments-info", "fetch_instruments", instruments),
    _public("/v5/market/orderbook", "fetch_book", orderbook),
    _public("/v5/market/tickers", "fetch_ticker", tickers),
    _public("/v5/market/recent-trade", "fetch_trades", recent_trades),
    _public("/v5/market/kline", "fetch_candles", klines),
    _public("/v5/market/price-limit", "fetch_price_limit", price_limit),
    _public("/v5/system/status", "fetch_status", status),
    Endpoint("GET", "/v5/account/instruments-info", "fetch_instruments", own_instruments, 10),
)
