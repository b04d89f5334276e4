"""One adapter's cost of keeping a book: a text frame in, the ten best levels of both sides out, as numbers.

python benchmarks/book.py ADAPTER FRAMES SECONDS     in the adapter's environment; prints microseconds of CPU per frame

Every adapter goes the way its library goes itself, from the text of the socket on, and is checked against the truth
before it is measured.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from frames import DEPTH, SYMBOL, Market, combined, load

WARM = 200
CHUNK = 100
UNIFIED = "BTC/USDT"

Number = Decimal | float
Best = tuple[list[tuple[Number, Number]], list[tuple[Number, Number]]]


class Exconnect:
    """The stream's own way: session, builder, view; levels become Decimals as they are read."""

    is_combined = True

    def __init__(self, snapshot: dict[str, Any]) -> None:
        from exconnect.exchanges import load as exchange_of
        from exconnect.model.enums import MarketType
        from exconnect.protocol.book import BookBuilder
        from exconnect.protocol.session import BookUpdate, Topic

        exchange = exchange_of("binance")
        market = exchange.markets[MarketType.SPOT]
        self.session = exchange.session(market)
        self.session.want(frozenset({Topic("book", UNIFIED, SYMBOL)}))
        self.builder = BookBuilder(exchange.name, UNIFIED, lambda: exchange.sequencer(market))
        last_id = snapshot["lastUpdateId"]
        self.builder.load(BookUpdate(UNIFIED, last_id, last_id, snapshot["bids"], snapshot["asks"], None, None))

    def feed(self, text: str) -> None:
        for update in self.session.receive(text, time.monotonic(), datetime.now(UTC)):
            self.builder.receive(update)

    def best(self) -> Best:
        view = self.builder.view(DEPTH)
        return view.bids[:DEPTH], view.asks[:DEPTH]


class CcxtPro:
    """Its websocket client's message handler, without the socket. Floats."""

    is_combined = False

    def __init__(self, snapshot: dict[str, Any]) -> None:
        import ccxt.pro

        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        exchange = self.exchange = ccxt.pro.binance({"asyncio_loop": loop})
        exchange.set_markets([_ccxt_market()])
        book = exchange.parse_order_book(snapshot, UNIFIED)
        book["nonce"] = snapshot["lastUpdateId"]
        exchange.orderbooks[UNIFIED] = exchange.order_book(book, 1000)
        self.feed = exchange.client("wss://stream.binance.com:9443/ws").handle_text_or_binary_message

    def best(self) -> Best:
        book = self.exchange.orderbooks[UNIFIED].limit()  # what watch_order_book gives
        return book["bids"][:DEPTH], book["asks"][:DEPTH]


class PythonBinance:
    """Its depth cache, fed as its socket feeds it."""

    is_combined = False
    number: type = float

    def __init__(self, snapshot: dict[str, Any]) -> None:
        from binance.ws.depthcache import DepthCache, DepthCacheManager
        from binance.ws.reconnecting_websocket import ReconnectingWebsocket

        self.loads = ReconnectingWebsocket("", "").json_loads
        keeper = self.keeper = DepthCacheManager.__new__(DepthCacheManager)  # its constructor wants a connection
        keeper._log = logging.getLogger("depth cache")
        keeper._refresh_interval = None
        self.cache = keeper._depth_cache = DepthCache(SYMBOL, conv_type=self.number)
        keeper._apply_orders(snapshot)
        keeper._last_update_id = snapshot["lastUpdateId"]

    def feed(self, text: str) -> None:
        _finish(self.keeper._depth_event(self.loads(text)))

    def best(self) -> Best:
        return self.cache.get_bids()[:DEPTH], self.cache.get_asks()[:DEPTH]


class PythonBinanceDecimal(PythonBinance):
    number = Decimal


class Cryptofeed:
    """Its feed's message handler and its book in C. Decimals."""

    is_combined = True

    def __init__(self, snapshot: dict[str, Any]) -> None:
        from cryptofeed.defines import L2_BOOK
        from cryptofeed.exchanges.binance import Binance
        from cryptofeed.symbols import Symbols
        from cryptofeed.types import OrderBook

        logging.getLogger("feedhandler").setLevel(logging.ERROR)
        Symbols.set("BINANCE", {"BTC-USDT": SYMBOL}, {"instrument_type": {"BTC-USDT": "spot"}, "tick_size": {}})
        self.feed_handler = Binance(symbols=["BTC-USDT"], channels=[L2_BOOK], callbacks={L2_BOOK: self.on_book})
        sides = {
            side: {Decimal(price): Decimal(quantity) for price, quantity in snapshot[side]} for side in ("bids", "asks")
        }
        book = OrderBook("BINANCE", "BTC-USDT", max_depth=0, **sides)
        book.delta = {}
        self.feed_handler._l2_book["BTC-USDT"] = book
        self.feed_handler.last_update_id["BTC-USDT"] = snapshot["lastUpdateId"]

    async def on_book(self, book: Any, _: float) -> None:
        self.book = book.book

    def feed(self, text: str) -> None:
        _finish(self.feed_handler.message_handler(text, None, 0.0))

    def best(self) -> Best:
        return tuple([side.index(i) for i in range(DEPTH)] for side in (self.book.bids, self.book.asks))


ADAPTERS = {
    "exconnect": Exconnect,
    "ccxt.pro": CcxtPro,
    "cryptofeed": Cryptofeed,
    "python-binance Decimal": PythonBinanceDecimal,
    "python-binance float": PythonBinance,
}


def _ccxt_market() -> dict[str, Any]:
    names = {"id": SYMBOL, "symbol": UNIFIED, "base": "BTC", "quote": "USDT", "baseId": "BTC", "quoteId": "USDT"}
    flags = dict.fromkeys(("swap", "future", "option", "contract", "margin"), False)
    numbers = {"precision": {"price": 0.01, "amount": 1e-5}, "limits": {}, "info": {}}
    return names | flags | numbers | {"type": "spot", "spot": True, "active": True}


def _finish(coroutine: Any) -> None:
    """Run what waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("it waits for something")


def check(adapter: Any, texts: list[str], market: Market) -> None:
    """The book is the truth, prices and quantities, at every check point.

    Raises:
        AssertionError: it is not.
    """
    book = adapter(market.snapshot)
    for number, text in enumerate(texts, 1):
        book.feed(text)
        if number in market.truths:
            seen = [[[float(x) for x in level] for level in side] for side in book.best()]
            true = [[[float(x) for x in level] for level in side] for side in market.truths[number]]
            assert seen == true, f"after {number} frames {seen} instead of {true}"
    assert market.truths, "nothing was checked"


def measure(adapter: Any, texts: list[str], market: Market, seconds: float, *, reads: bool) -> float:
    """Microseconds of CPU per frame, with or without reading the best levels after each."""
    book = adapter(market.snapshot)
    feed, read = book.feed, book.best
    for text in texts[:WARM]:
        feed(text)
        read()
    gc.collect()
    run: Callable[[list[str]], None] = _fed_and_read(feed, read) if reads else _fed(feed)
    done, used = WARM, 0.0
    while done < len(texts) and used < seconds:
        chunk = texts[done : done + CHUNK]
        began = time.process_time()
        run(chunk)
        used += time.process_time() - began
        done += len(chunk)
    return used / (done - WARM) * 1e6


def _fed(feed: Callable[[str], object]) -> Callable[[list[str]], None]:
    def run(chunk: list[str]) -> None:
        for text in chunk:
            feed(text)

    return run


def _fed_and_read(feed: Callable[[str], object], read: Callable[[], object]) -> Callable[[list[str]], None]:
    def run(chunk: list[str]) -> None:
        for text in chunk:
            feed(text)
            read()

    return run


def main(name: str, path: str, seconds: str) -> None:
    adapter, market = ADAPTERS[name], load(Path(path))
    texts = list(combined(market.frames)) if adapter.is_combined else market.frames
    check(adapter, texts, market)
    result = {
        "update": measure(adapter, texts, market, float(seconds), reads=False),
        "update + top 10": measure(adapter, texts, market, float(seconds), reads=True),
        "numbers": type(adapter_number(adapter, market)).__name__,
    }
    print(json.dumps(result))


def adapter_number(adapter: Any, market: Market) -> Number:
    book = adapter(market.snapshot)
    book.feed(next(combined(market.frames[:1])) if adapter.is_combined else market.frames[0])
    return book.best()[0][0][0]


if __name__ == "__main__":
    main(*sys.argv[1:])
