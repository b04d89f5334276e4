"""Market streams: what is published, when, and to whom.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exconnect.mock import intervals
from exconnect.mock.book import Book, opposite
from exconnect.mock.fixed import SCALE, text
from exconnect.mock.intervals import DAY, INTERVALS
from exconnect.mock.orders import BUY, Trade

from . import shapes
from .market_data import levels, touch_of, zone_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from exconnect.mock.market import Market
    from exconnect.mock.world import Happened, World

    from .shapes import Json

TICK_MS = 100
SECOND_MS = 1000
_STREAM = re.compile(
    r"(?P<symbol>[a-z0-9]+)@(?:"
    r"(?P<instant>trade|aggTrade|bookTicker)"
    r"|(?P<second>miniTicker|ticker|avgPrice)"
    r"|ticker_(?P<window>1h|4h|1d)"
    r"|kline_(?P<interval>[0-9]+[smhdwM])(?:@(?P<zone>[+-][0-9]{2}:[0-9]{2}))?"
    r"|depth(?P<levels>5|10|20)?(?P<fast>@100ms)?)"
)
_WINDOWS = {"1h": intervals.HOUR, "4h": 4 * intervals.HOUR, "1d": DAY}
_KINDS = {"trade": "trade", "aggTrade": "trade", "bookTicker": "ticker", "miniTicker": "ticker", "ticker": "ticker"}


@dataclass(slots=True)
class Topic:
    """A stream that exists: its period (0: as things happen) and what it says at a moment."""

    name: str
    kind: str
    market: Market | None
    period_ms: int = 0
    render: Callable[[int], list[Any]] = field(default=lambda _: [])


class Diffs:
    """What has changed in one book since the last message of one cadence."""

    def __init__(self, market: Market, book: Book) -> None:
        self._market = market
        self._book = book
        self._changes = book.watch()
        self._sent = book.sequence

    def take(self, now_ms: int) -> Json | None:
        """The next depthUpdate; None if nothing changed. Ids follow each other without a gap."""
        if self._book.sequence == self._sent:
            return None
        first, self._sent = self._sent + 1, self._book.sequence
        changes = sorted(self._changes)
        self._changes.clear()
        sides: dict[str, list[list[str]]] = {"b": [], "a": []}
        for side, price in changes:
            sides["b" if side == BUY else "a"].append([text(price), text(self._book.side(side).total(price))])
        head = {"e": "depthUpdate", "E": now_ms, "s": self._market.name, "U": first, "u": self._sent}
        return {**head, "b": sides["b"][::-1], "a": sides["a"]}


class Hub:
    """Who listens to what, and everything that is published to them."""

    def __init__(self, world: World, now_ms: int) -> None:
        self._world = world
        self._listeners: dict[str, dict[Listener, None]] = {}
        self._topics: dict[str, Topic] = {}
        self._held: dict[str, Any] = {}
        self._touch: dict[str, Json] = {}
        self._shown: dict[str, int] = {}
        self._last_trade: dict[str, int] = {}
        self._next_ms = (now_ms // TICK_MS + 1) * TICK_MS
        self._diffs = {
            (market.symbol, period): Diffs(market, world.engine.books[market.symbol])
            for market in world.markets.values()
            for period in (TICK_MS, SECOND_MS)
        }
        world.listeners.append(self._on_happened)

    # Subscriptions

    def add(self, listener: Listener, name: str) -> None:
        """A stream that does not exist is taken too, and stays silent."""
        self._listeners.setdefault(name, {})[listener] = None
        self._shown.pop(name, None)
        if name not in self._topics:
            topic = self._topic(name)
            if topic is not None:
                self._topics[name] = topic

    def remove(self, listener: Listener, name: str) -> None:
        listeners = self._listeners.get(name, {})
        listeners.pop(listener, None)
        if not listeners:
            self._listeners.pop(name, None)
            self._topics.pop(name, None)

    # Time

    def next_ms(self) -> int:
        """When periodic messages are due next."""
        return self._next_ms

    def restart(self, now_ms: int) -> None:
        """The clock has jumped."""
        self._next_ms = (now_ms // TICK_MS + 1) * TICK_MS

    def tick(self) -> None:
        """Sends what is due at ``next_ms()``."""
        now_ms = self._next_ms
        self._next_ms += TICK_MS
        for (symbol, period), diffs in self._diffs.items():
            if now_ms % period == 0:
                self._send_diff(symbol, period, diffs, now_ms)
        for topic in list(self._topics.values()):
            if topic.period_ms and now_ms % topic.period_ms == 0:
                for payload in topic.render(now_ms):
                    self._publish(topic, payload, now_ms)

    def _send_diff(self, symbol: str, period: int, diffs: Diffs, now_ms: int) -> None:
        message = diffs.take(now_ms)
        if message is None:
            return
        name = f"{message['s'].lower()}@depth"
        for full in (name, f"{name}@1000ms") if period == SECOND_MS else (f"{name}@100ms",):
            topic = self._topics.get(full)
            if topic is not None:
                self._publish(topic, message, now_ms)

    # Things that happen

    def _on_happened(self, happened: list[Happened]) -> None:
        now_ms = 0
        for one in happened:
            if isinstance(one.event, Trade):
                now_ms = one.event.time_ms
                self._say(f"{one.event.market.name.lower()}@trade", _trade(one.event), now_ms)
        for one in happened:
            if one.aggregate is not None and isinstance(one.event, Trade):
                row = shapes.aggregate(one.aggregate)
                head = {"e": "aggTrade", "E": now_ms, "s": one.event.market.name}
                self._say(f"{one.event.market.name.lower()}@aggTrade", {**head, **row}, now_ms)
        for market in self._world.markets.values():
            self._say_touch(market, now_ms)

    def _say_touch(self, market: Market, now_ms: int) -> None:
        name = f"{market.name.lower()}@bookTicker"
        if name not in self._topics:
            self._touch.pop(name, None)
            return
        book = self._world.engine.books[market.symbol]
        touch = touch_of(book.bids, book.asks)
        if touch != self._touch.get(name):
            self._touch[name] = touch
            bid, bid_size, ask, ask_size = touch.values()
            row = {"u": book.sequence, "s": market.name, "b": bid, "B": bid_size, "a": ask, "A": ask_size}
            self._say(name, row, now_ms)

    def _say(self, name: str, payload: Json, now_ms: int) -> None:
        topic = self._topics.get(name)
        if topic is not None:
            self._publish(topic, payload, now_ms)

    # Publishing

    def _publish(self, topic: Topic, payload: Any, now_ms: int) -> None:  # noqa: ANN401 (JSON)
        faults = self._world.faults
        if faults.lasting("silence", "public", now_ms) is not None:
            return
        symbol = topic.market.symbol if topic.market else None
        fault = faults.message(topic.kind, symbol)
        name = fault.plan.name if fault else ""
        if name == "cross" and topic.market is not None:
            payload = crossed(payload, topic.market, self._world.engine.books[topic.market.symbol])
        if name == "reorder" and topic.name not in self._held:
            self._held[topic.name] = payload
            return
        if name != "gap":
            self._deliver(topic.name, payload, is_broken=name == "malformed")
        if name == "duplicate":
            self._deliver(topic.name, payload)
        if topic.name in self._held:
            self._deliver(topic.name, self._held.pop(topic.name))

    def _deliver(self, name: str, payload: Any, *, is_broken: bool = False) -> None:  # noqa: ANN401
        raw = json.dumps(payload, separators=(",", ":"))
        wrapped = f'{{"stream":"{name}","data":{raw}}}'
        for listener in self._listeners.get(name, {}):
            message = wrapped if listener.is_combined else raw
            listener.outbox(message[: len(message) * 2 // 3] if is_broken else message)

    # Topics

    def _topic(self, name: str) -> Topic | None:
        if name == "!miniTicker@arr":
            return Topic(name, "ticker", None, SECOND_MS, lambda now_ms: self._changed_tickers(name, now_ms))
        match = _STREAM.fullmatch(name)
        market = self._world.markets.get(match["symbol"].upper()) if match else None
        if match is None or market is None:
            return None
        if match["instant"]:
            return Topic(name, _KINDS[match["instant"]], market)
        if match["second"]:
            render = {"miniTicker": self._mini, "ticker": self._ticker, "avgPrice": self._average}[match["second"]]
            kind = _KINDS.get(match["second"], "other")
            return Topic(name, kind, market, SECOND_MS, lambda now_ms: [render(market, now_ms)])
        if match["window"]:
            window = match["window"]
            return Topic(name, "ticker", market, SECOND_MS, lambda now_ms: [self._rolling(market, window, now_ms)])
        if match["interval"]:
            return self._candle_topic(name, market, match["interval"], match["zone"])
        period = TICK_MS if match["fast"] else SECOND_MS
        if match["levels"]:
            depth = int(match["levels"])
            return Topic(name, "book", market, period, lambda _: self._partial(name, market, depth))
        return Topic(name, "book", market)

    def _candle_topic(self, name: str, market: Market, interval: str, zone: str | None) -> Topic | None:
        if interval not in INTERVALS:
            return None
        period = SECOND_MS if interval == "1s" else 2 * SECOND_MS
        offset = zone_ms(zone) if zone else 0
        return Topic(
            name, "other", market, period, lambda now_ms: self._candles(market, interval, offset, now_ms, period)
        )

    def _partial(self, name: str, market: Market, depth: int) -> list[Json]:
        """Only when something has changed since the last one."""
        book = self._world.engine.books[market.symbol]
        if self._shown.get(name) == book.sequence:
            return []
        self._shown[name] = book.sequence
        return [{"lastUpdateId": book.sequence, "bids": levels(book.bids, depth), "asks": levels(book.asks, depth)}]

    def _candles(self, market: Market, interval: str, zone: int, now_ms: int, period: int) -> list[Json]:
        """The open candle; right before it, once, the one that has just closed."""
        begin = intervals.floor(now_ms, interval, zone)
        rows = [self._candle(market, interval, zone, begin, now_ms)]
        if now_ms - begin < period:
            before = intervals.preceding(begin, interval, zone)
            rows.insert(0, self._candle(market, interval, zone, before, now_ms))
        return [row for row in rows if row]

    def _candle(self, market: Market, interval: str, zone: int, begin: int, now_ms: int) -> Json:
        end = intervals.following(begin, interval, zone)
        bar = self._world.tapes[market.symbol].bar(begin, end)
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

    def _mini(self, market: Market, now_ms: int) -> Json:
        bar = shapes.window(self._world.tapes[market.symbol], now_ms - DAY, now_ms)
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

    def _changed_tickers(self, name: str, now_ms: int) -> list[list[Json]]:
        rows = []
        for market in self._world.markets.values():
            trades = self._world.tapes[market.symbol].trades
            newest = trades[-1].id if trades else 0
            key = f"{name} {market.symbol}"
            if name not in self._shown or self._last_trade.get(key) != newest:
                self._last_trade[key] = newest
                rows.append(self._mini(market, now_ms))
        self._shown[name] = 1
        return [rows] if rows else []

    def _ticker(self, market: Market, now_ms: int) -> Json:
        tape, book = self._world.tapes[market.symbol], self._world.engine.books[market.symbol]
        bar = shapes.window(tape, now_ms - DAY, now_ms)
        bid, bid_size, ask, ask_size = touch_of(book.bids, book.asks).values()
        first, last = shapes.ids(tape, bar)
        return {
            "e": "24hrTicker",
            "E": now_ms,
            "s": market.name,
            "p": text(bar.close - bar.open),
            "P": f"{(bar.close - bar.open) * 100 / bar.open:.3f}",
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

    def _rolling(self, market: Market, window: str, now_ms: int) -> Json:
        begin = now_ms - _WINDOWS[window]
        tape = self._world.tapes[market.symbol]
        row = shapes.changes(shapes.mini(market, tape, begin, now_ms), shapes.window(tape, begin, now_ms))
        names = {
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
        head = {"e": f"{window}Ticker", "E": now_ms, "s": market.name}
        return {**head, **{short: row[name] for name, short in names.items()}}

    def _average(self, market: Market, now_ms: int) -> Json:
        trades = self._world.tapes[market.symbol].trades
        price = self._world.engine.average(market.symbol, now_ms)
        last = trades[-1].time_ms if trades else self._world.started_ms
        return {"e": "avgPrice", "E": now_ms, "s": market.name, "i": "5m", "w": text(price), "T": last}


@dataclass(eq=False, slots=True)
class Listener:
    """One connection as the hub sees it."""

    outbox: Callable[[str], None]
    is_combined: bool = False


def crossed(payload: Any, market: Market, book: Book) -> Any:  # noqa: ANN401 (JSON)
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


def _trade(trade: Trade) -> Json:
    return {
        "e": "trade",
        "E": trade.time_ms,
        "s": trade.market.name,
        "t": trade.id,
        "p": text(trade.price),
        "q": text(trade.quantity),
        "T": trade.time_ms,
        "m": opposite(trade.side) == BUY,
        "M": True,
    }
