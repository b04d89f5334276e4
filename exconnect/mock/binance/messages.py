"""The messages of market streams.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exconnect.mock import intervals
from exconnect.mock.book import Book, opposite
from exconnect.mock.fixed import SCALE, text
from exconnect.mock.intervals import DAY
from exconnect.mock.orders import BUY, Trade

from . import shapes
from .market_data import touch_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exconnect.mock.market import Market
    from exconnect.mock.world import World

    from .shapes import Json

WINDOWS = {"1h": intervals.HOUR, "4h": 4 * intervals.HOUR, "1d": DAY}
_SHORT = {
    "priceChange": "p",
    "priceChangePercent": "P",
    "openPrice": "o",
    "highPrice": "h",
    "lowPrice": "l",
    "lastPrice": "c",
    "weightedAvgPrice": "w",
    "volume": "v",
    "quoteVolume": "q",
    "openTime": "O",
    "closeTime": "C",
    "firstId": "F",
    "lastId": "L",
    "count": "n",
}


def trade(event: Trade) -> Json:
    """``<symbol>@trade``."""
    return {
        "e": "trade",
        "E": event.time_ms,
        "s": event.market.name,
        "t": event.id,
        "p": text(event.price),
        "q": text(event.quantity),
        "T": event.time_ms,
        "m": opposite(event.side) == BUY,
        "M": True,
    }


def candles(world: World, market: Market, interval: str, zone: int, now_ms: int, period: int) -> list[Json]:
    """The open candle; right before it, once, the one that has just closed."""
    begin = intervals.floor(now_ms, interval, zone)
    begins = [begin]
    if now_ms - begin < period:
        begins.insert(0, intervals.preceding(begin, interval, zone))
    rows = [_candle(world, market, interval, zone, begin, now_ms) for begin in begins]
    return [row for row in rows if row]


def _candle(world: World, market: Market, interval: str, zone: int, begin: int, now_ms: int) -> Json:
    end = intervals.following(begin, interval, zone)
    bar = world.tapes[market.symbol].bar(begin, end)
    if bar is None:
        return {}
    candle = {
        "t": begin,
        "T": end - 1,
        "s": market.name,
        "i": interval,
        "f": bar.first_id,
        "L": bar.last_id,
        "o": text(bar.open),
        "c": text(bar.close),
        "h": text(bar.high),
        "l": text(bar.low),
        "v": text(bar.volume),
        "n": bar.count,
        "x": now_ms >= end,
        "q": text(bar.quote_volume),
        "V": text(bar.taker_base),
        "Q": text(bar.taker_quote),
        "B": "0",
    }
    return {"e": "kline", "E": now_ms, "s": market.name, "k": candle}


def mini_ticker(world: World, market: Market, now_ms: int) -> Json:
    """``<symbol>@miniTicker``."""
    bar = world.tapes[market.symbol].window(now_ms - DAY, now_ms)
    head = {"e": "24hrMiniTicker", "E": now_ms, "s": market.name}
    return {
        **head,
        "c": text(bar.close),
        "o": text(bar.open),
        "h": text(bar.high),
        "l": text(bar.low),
        "v": text(bar.volume),
        "q": text(bar.quote_volume),
    }


def ticker(world: World, market: Market, now_ms: int) -> Json:
    """``<symbol>@ticker``."""
    tape, book = world.tapes[market.symbol], world.engine.books[market.symbol]
    bar = tape.window(now_ms - DAY, now_ms)
    bid, bid_size, ask, ask_size = touch_of(book.bids, book.asks).values()
    first, last = shapes.ids(tape, bar)
    return {
        "e": "24hrTicker",
        "E": now_ms,
        "s": market.name,
        "p": text(bar.close - bar.open),
        "P": f"{(bar.close - bar.open) * 100 / bar.open:z.3f}",
        "w": text(bar.quote_volume * SCALE // bar.volume if bar.volume else bar.close),
        "x": text(bar.open),
        "c": text(bar.close),
        "Q": text(tape.trades[-1].quantity if tape.trades else 0),
        "b": bid,
        "B": bid_size,
        "a": ask,
        "A": ask_size,
        "o": text(bar.open),
        "h": text(bar.high),
        "l": text(bar.low),
        "v": text(bar.volume),
        "q": text(bar.quote_volume),
        "O": now_ms - DAY,
        "C": now_ms,
        "F": first,
        "L": last,
        "n": bar.count,
    }


def rolling(world: World, market: Market, window: str, now_ms: int) -> Json:
    """``<symbol>@ticker_<window>``."""
    begin, tape = now_ms - WINDOWS[window], world.tapes[market.symbol]
    row = shapes.changes(shapes.mini(market, tape, begin, now_ms), tape.window(begin, now_ms))
    head = {"e": f"{window}Ticker", "E": now_ms, "s": market.name}
    return {**head, **{short: row[name] for name, short in _SHORT.items()}}


def average(world: World, market: Market, now_ms: int) -> Json:
    """``<symbol>@avgPrice``."""
    trades = world.tapes[market.symbol].trades
    price = world.engine.average(market.symbol, now_ms)
    last = trades[-1].time_ms if trades else world.started_ms
    return {"e": "avgPrice", "E": now_ms, "s": market.name, "i": "5m", "w": text(price), "T": last}


EACH_SECOND: Mapping[str, Callable[[World, Market, int], Json]] = {
    "miniTicker": mini_ticker,
    "ticker": ticker,
    "avgPrice": average,
}


def crossed(payload: Any, market: Market, book: Book) -> Any:
    """The message with a bid above the best ask."""
    best = book.asks.best() or market.start
    bid = [text(best + market.tick), text(SCALE)]
    if not isinstance(payload, dict):
        return payload
    if payload.get("e") == "depthUpdate":
        return {**payload, "b": [bid, *payload["b"]]}
    if "bids" in payload:
        return {**payload, "bids": [bid, *payload["bids"][:-1]]}
    return {**payload, "b": bid[0]} if "a" in payload and "b" in payload else payload
