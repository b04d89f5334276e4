"""The messages of public topics.

https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exconnect.mock import intervals
from exconnect.mock.fixed import SCALE, plain
from exconnect.mock.intervals import DAY

from . import shapes
from .placing import BAND
from .shapes import INTERVALS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exconnect.mock.book import Book
    from exconnect.mock.market import Market
    from exconnect.mock.orders import Trade
    from exconnect.mock.world import World

    from .shapes import Json

Levels = dict[int, int]
CANDLE_MS = 1000


def book(topic: str, kind: str, data: Json, now_ms: int) -> Json:
    """``orderbook.<depth>.<symbol>``; level 1 says ``ts`` before ``type``, as all spot frames do."""
    return {"topic": topic, "ts": now_ms, "type": kind, "data": data, "cts": now_ms}


def book_data(market: Market, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]], ids: Json) -> Json:
    """Levels of both sides, best first, and the ids ``u`` and ``seq``."""
    sides = {"b": [[plain(price), plain(size)] for price, size in bids]}
    sides["a"] = [[plain(price), plain(size)] for price, size in asks]
    return {"s": market.name, **sides, **ids}


def changes(before: Levels, after: Levels) -> list[tuple[int, int]]:
    """New sizes of the levels that differ; 0 for those that are gone or have left the window."""
    gone = [(price, 0) for price in before if price not in after]
    return gone + [(price, size) for price, size in after.items() if before.get(price) != size]


def trades(topic: str, events: list[Trade]) -> Json:
    """``publicTrade.<symbol>``: what one taker did, in the order of the matches."""
    rows = [
        {
            "i": str(event.id),
            "T": event.time_ms,
            "p": plain(event.price),
            "v": plain(event.quantity),
            "S": shapes.SIDES[event.side],
            "seq": event.sequence,
            "s": event.market.name,
            "BT": False,
            "RPI": False,
        }
        for event in events
    ]
    return {"topic": topic, "ts": events[-1].time_ms, "type": "snapshot", "data": rows}


def ticker(topic: str, world: World, market: Market, now_ms: int) -> Json:
    """``tickers.<symbol>``: always whole, and without bid and ask."""
    bar = world.tapes[market.symbol].window(now_ms - DAY, now_ms)
    data, cs = shapes.day(market, bar), world.engine.books[market.symbol].sequence
    return {"topic": topic, "ts": now_ms, "type": "snapshot", "cs": cs, "data": data}


def price_limit(topic: str, world: World, market: Market, now_ms: int) -> list[Json]:
    """``priceLimit.<symbol>``: without a type."""
    row = limits_of(market, world.engine.last[market.symbol], now_ms)
    del row["ts"]
    return [{"topic": topic, "ts": now_ms, "data": row}]


def limits_of(market: Market, last: int, now_ms: int) -> Json:
    """The band around the last price."""
    highest, lowest = plain(last + last // BAND), plain(last - last // BAND)
    return {"symbol": market.name, "buyLmt": highest, "sellLmt": lowest, "ts": str(now_ms)}


def candles(topic: str, world: World, market: Market, interval: str, now_ms: int) -> list[Json]:
    """The open candle; right before it, once, the one that has just closed."""
    name = INTERVALS[interval]
    begin = intervals.floor(now_ms, name)
    begins = [intervals.preceding(begin, name), begin] if now_ms - begin < CANDLE_MS else [begin]
    rows = [_candle(world, market, interval, begin, now_ms) for begin in begins]
    return [{"type": "snapshot", "topic": topic, "data": [row], "ts": now_ms} for row in rows if row]


def _candle(world: World, market: Market, interval: str, begin: int, now_ms: int) -> Json:
    end = intervals.following(begin, INTERVALS[interval])
    bar = world.tapes[market.symbol].bar(begin, end)
    if bar is None:
        return {}
    return {
        "start": begin,
        "end": end - 1,
        "interval": interval,
        "open": plain(bar.open),
        "close": plain(bar.close),
        "high": plain(bar.high),
        "low": plain(bar.low),
        "volume": plain(bar.volume),
        "turnover": plain(bar.quote_volume),
        "confirm": now_ms >= end,
        "timestamp": min(now_ms, end - 1),
    }


def crossed(payload: Any, market: Market, book: Book) -> Any:
    """The message with a bid above the best ask."""
    data = payload.get("data")
    if not isinstance(data, dict) or "b" not in data:
        return payload
    best = book.asks.best() or market.start
    bid = [plain(best + market.tick), plain(SCALE)]
    rest = [] if payload["topic"].startswith("orderbook.1.") else data["b"]
    return {**payload, "data": {**data, "b": [bid, *rest]}}
