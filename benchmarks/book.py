"""One adapter's cost of keeping a book: a text frame in, the ten best levels of both sides out, as numbers.

python benchmarks/book.py ADAPTER SECONDS FRAMES…     in the adapter's environment; prints microseconds of CPU per frame

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
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from frames import DEPTH, SYMBOL, Market, combined, load

if TYPE_CHECKING:
    from exconnect.model.market import Book

WARM = 200
CHUNK = 100
LOOK_EVERY = 10  # frames, of which it is looked once at the book over several exchanges
UNIFIED = "BTC/USDT"

Number = Decimal | float
Best = tuple[list[tuple[Number, Number]], list[tuple[Number, Number]]]


class Exconnect:
    """The stream's own way: session, builder, view; levels become Decimals as they are read."""

    is_combined = True

    def __init__(self, market: Market) -> None:
        from exconnect.exchanges import load as exchange_of
        from exconnect.model.enums import MarketType
        from exconnect.protocol.book import BookBuilder
        from exconnect.protocol.session import BookUpdate, Topic

        exchange = exchange_of("binance" if market.kind == "binance" else "bybit")
        spot = exchange.markets[MarketType.SPOT]
        self.session = exchange.session(spot)
        limit = None if market.kind == "binance" else int(market.kind[5:])
        self.session.want(frozenset({Topic("book", UNIFIED, SYMBOL, depth=limit or 0)}))
        self.builder = BookBuilder(exchange.name, UNIFIED, lambda: exchange.sequencer(spot), limit)
        if limit is not None:
            self.feed(market.snapshot)
            return
        bids, asks, last_id = market.snapshot["bids"], market.snapshot["asks"], market.snapshot["lastUpdateId"]
        self.builder.load(BookUpdate(UNIFIED, last_id, last_id, bids, asks, None, None))

    def feed(self, text: str) -> None:
        for update in self.session.receive(text, time.monotonic(), datetime.now(UTC)):
            self.builder.receive(update)

    def best(self) -> Best:
        view = self.builder.view(DEPTH)
        return view.bids[:DEPTH], view.asks[:DEPTH]


class CcxtPro:
    """Its websocket client's message handler, without the socket. Floats."""

    is_combined = False

    def __init__(self, market: Market) -> None:
        import ccxt.pro

        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        kind, url = _CCXT["binance" if market.kind == "binance" else "bybit"]
        exchange = self.exchange = getattr(ccxt.pro, kind)({"asyncio_loop": loop})
        exchange.set_markets([_ccxt_market()])
        self.feed = exchange.client(url).handle_text_or_binary_message
        if kind == "bybit":
            self.feed(market.snapshot)
            return
        book = exchange.parse_order_book(market.snapshot, UNIFIED)
        book["nonce"] = market.snapshot["lastUpdateId"]
        exchange.orderbooks[UNIFIED] = exchange.order_book(book, 1000)

    def best(self) -> Best:
        book = self.exchange.orderbooks[UNIFIED].limit()  # what watch_order_book gives
        return book["bids"][:DEPTH], book["asks"][:DEPTH]


_CCXT = {
    "binance": ("binance", "wss://stream.binance.com:9443/ws"),
    "bybit": ("bybit", "wss://stream.bybit.com/v5/public/spot"),
}


class Pybit:
    """Its message handler and its callback, which is given a copy of the whole book: texts, in no order."""

    is_combined = False

    def __init__(self, market: Market) -> None:
        from pybit._websocket_stream import _V5WebSocketManager

        manager = _V5WebSocketManager("benchmark", testnet=False)
        manager._set_callback(f"orderbook.{market.kind[5:]}.{SYMBOL}", self.on_book)
        self.feed = manager._on_message
        self.feed(market.snapshot)

    def on_book(self, message: dict[str, Any]) -> None:
        self.book = message["data"]

    def best(self) -> Best:
        return _first(self.book["b"], highest=True), _first(self.book["a"], highest=False)


def _first(levels: list[list[str]], *, highest: bool) -> list[tuple[Decimal, Decimal]]:
    """The best of what comes unordered, as its user has to find them."""
    best = sorted(((Decimal(price), quantity) for price, quantity in levels), reverse=highest)[:DEPTH]
    return [(price, Decimal(quantity)) for price, quantity in best]


class PythonBinance:
    """Its depth cache, fed as its socket feeds it."""

    is_combined = False
    number: type = float

    def __init__(self, market: Market) -> None:
        from binance.ws.depthcache import DepthCache, DepthCacheManager
        from binance.ws.reconnecting_websocket import ReconnectingWebsocket

        self.loads = ReconnectingWebsocket("", "").json_loads
        keeper = self.keeper = DepthCacheManager.__new__(DepthCacheManager)  # its constructor wants a connection
        keeper._log = logging.getLogger("depth cache")
        keeper._refresh_interval = None
        self.cache = keeper._depth_cache = DepthCache(SYMBOL, conv_type=self.number)
        keeper._apply_orders(market.snapshot)
        keeper._last_update_id = market.snapshot["lastUpdateId"]

    def feed(self, text: str) -> None:
        _finish(self.keeper._depth_event(self.loads(text)))

    def best(self) -> Best:
        return self.cache.get_bids()[:DEPTH], self.cache.get_asks()[:DEPTH]


class PythonBinanceDecimal(PythonBinance):
    number = Decimal


class Cryptofeed:
    """Its feed's message handler and its book in C. Decimals."""

    def __init__(self, market: Market) -> None:
        from cryptofeed.defines import L2_BOOK
        from cryptofeed.exchanges import EXCHANGE_MAP
        from cryptofeed.symbols import Symbols

        logging.getLogger("feedhandler").setLevel(logging.ERROR)
        name, symbol = ("BINANCE", SYMBOL) if market.kind == "binance" else ("BYBIT", UNIFIED)
        Symbols.set(name, {"BTC-USDT": symbol}, {"instrument_type": {"BTC-USDT": "spot"}, "tick_size": {}})
        self.is_combined = name == "BINANCE"
        self.handler = EXCHANGE_MAP[name](symbols=["BTC-USDT"], channels=[L2_BOOK], callbacks={L2_BOOK: self.on_book})
        self.connection = SimpleNamespace(address=_CCXT["bybit"][1], uuid="benchmark")
        self.load(market.snapshot) if self.is_combined else self.feed(market.snapshot)

    def load(self, snapshot: dict[str, Any]) -> None:
        from cryptofeed.types import OrderBook

        sides = {
            side: {Decimal(price): Decimal(quantity) for price, quantity in snapshot[side]} for side in ("bids", "asks")
        }
        book = OrderBook("BINANCE", "BTC-USDT", max_depth=0, **sides)
        book.delta = {}
        self.handler._l2_book["BTC-USDT"] = book
        self.handler.last_update_id["BTC-USDT"] = snapshot["lastUpdateId"]

    async def on_book(self, book: Any, _: float) -> None:
        self.book = book.book

    def feed(self, text: str) -> None:
        _finish(self.handler.message_handler(text, self.connection, 0.0))

    def best(self) -> Best:
        return tuple([side.index(i) for i in range(DEPTH)] for side in (self.book.bids, self.book.asks))


class Together:
    """Books of two exchanges, a frame of each by turns, and one book over both."""

    def __init__(self, *markets: Market) -> None:
        from exconnect.consolidated import ConsolidatedBook

        self.sources = [source_of(market) for market in markets]
        self.book = ConsolidatedBook(UNIFIED, *self.sources, depth=DEPTH)

    def best(self) -> tuple[Any, Any]:
        view = self.book.view()
        return view.bids[:DEPTH], view.asks[:DEPTH]


def source_of(market: Market) -> Any:
    """What a stream is for the book over all of them, without its sockets."""
    from exconnect.stream import Stream

    class Source(Exconnect, Stream):
        @property
        def exchange(self) -> str:
            return self.builder.exchange

        def _keep_book(self, symbol: str, depth: int) -> None:
            """It is kept."""

        def _peek(self, symbol: str, depth: int) -> tuple[Book, float]:
            return self.builder.view(depth), 0.0

    return Source(market)


ADAPTERS = {
    "exconnect": Exconnect,
    "ccxt.pro": CcxtPro,
    "cryptofeed": Cryptofeed,
    "pybit": Pybit,
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


def check(adapter: Any, market: Market) -> list[str]:
    """The book is the truth, prices and quantities, at every check point; the frames as they come to this adapter.

    Raises:
        AssertionError: it is not.
    """
    book = adapter(market)
    is_combined = book.is_combined and market.kind == "binance"
    texts = list(combined(market.frames)) if is_combined else market.frames
    for number, text in enumerate(texts, 1):
        book.feed(text)
        if number in market.truths:
            seen = [[[float(x) for x in level] for level in side] for side in book.best()]
            true = [[[float(x) for x in level] for level in side] for side in market.truths[number]]
            assert seen == true, f"after {number} frames {seen} instead of {true}"
    assert market.truths, "nothing was checked"
    return texts


def measure(adapter: Any, texts: list[str], market: Market, seconds: float, *, reads: bool) -> float:
    """Microseconds of CPU per frame, with or without reading the best levels after each."""
    book = adapter(market)
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


def main(name: str, seconds: str, *paths: str) -> None:
    markets = [load(Path(path)) for path in paths]
    measured = alone if len(markets) == 1 else together
    print(json.dumps(measured(name, float(seconds), *markets)))


def alone(name: str, seconds: float, market: Market) -> dict[str, Any]:
    adapter = ADAPTERS[name]
    texts = check(adapter, market)
    book = adapter(market)
    book.feed(texts[0])
    return {
        "update": measure(adapter, texts, market, seconds, reads=False),
        "update + top 10": measure(adapter, texts, market, seconds, reads=True),
        "numbers": type(book.best()[0][0][0]).__name__,
    }


def together(name: str, seconds: float, *markets: Market) -> dict[str, Any]:
    """A frame of each market by turns; of every ten frames the book over all is looked at once, or not at all."""
    texts = [text for turn in zip(*(check(Exconnect, market) for market in markets), strict=True) for text in turn]
    looks, taken = name in ADAPTERS, []
    began = time.process_time()
    while time.process_time() - began < seconds * 3:
        book = Together(*markets)
        feeds = [source.feed for source in book.sources] * LOOK_EVERY
        used = time.process_time()
        for start in range(0, len(texts), LOOK_EVERY):
            for feed, text in zip(feeds, texts[start : start + LOOK_EVERY], strict=False):
                feed(text)
            if looks:
                book.best()
        taken.append((time.process_time() - used) / len(texts) * 1e6)
    bids, asks = book.best()
    assert len(bids) == len(asks) == DEPTH
    assert list(bids) == sorted(bids, key=lambda level: -level.price), bids
    return {"update": min(taken), "numbers": type(bids[0].price).__name__}


if __name__ == "__main__":
    main(*sys.argv[1:])
