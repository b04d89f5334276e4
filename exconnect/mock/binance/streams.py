"""Market streams: what is published, when, and to whom.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exconnect.mock.book import Book
from exconnect.mock.disturb import Disturber, broken
from exconnect.mock.fixed import text
from exconnect.mock.intervals import INTERVALS
from exconnect.mock.orders import BUY, Trade

from . import messages, shapes
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
    r"|(?P<depth>depth(?:5|10|20)?(?:@100ms|@1000ms)?))"
)
_OF_ALL = re.compile(r"!(?:miniTicker|ticker_(?P<window>1h|4h|1d))@arr")
KINDS = {"trade": "trade", "aggTrade": "trade", "bookTicker": "ticker", "miniTicker": "ticker", "ticker": "ticker"}


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

    def skip(self) -> None:
        """Nobody listens."""
        self._sent = self._book.sequence
        self._changes.clear()

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
        self._disturber = Disturber(world.faults)
        self._touch: dict[str, Json] = {}
        self._shown: dict[str, int] = {}
        self._counted: dict[tuple[str, str], int] = {}
        self._next_ms = (now_ms // TICK_MS + 1) * TICK_MS
        self._diffs = {
            (market.symbol, period): Diffs(market, world.engine.books[market.symbol])
            for market in world.markets.values()
            for period in (TICK_MS, SECOND_MS)
        }
        self._diff_topics = {
            (market.symbol, period): tuple(f"{market.name.lower()}@depth{suffix}" for suffix in suffixes)
            for market in world.markets.values()
            for period, suffixes in ((TICK_MS, ("@100ms",)), (SECOND_MS, ("", "@1000ms")))
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
        """No longer this stream."""
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
                self._send_diff(self._diff_topics[symbol, period], diffs, now_ms)
        for topic in list(self._topics.values()):
            if topic.period_ms and now_ms % topic.period_ms == 0:
                for payload in topic.render(now_ms):
                    self._publish(topic, payload, now_ms)

    def _send_diff(self, names: tuple[str, ...], diffs: Diffs, now_ms: int) -> None:
        topics = [self._topics[name] for name in names if name in self._topics]
        if not topics:
            diffs.skip()
            return
        message = diffs.take(now_ms)
        for topic in topics if message is not None else ():
            self._publish(topic, message, now_ms)

    # Things that happen

    def _on_happened(self, happened: list[Happened]) -> None:
        now_ms = 0
        for one in happened:
            if isinstance(one.event, Trade):
                now_ms = one.event.time_ms
                self._say(f"{one.event.market.name.lower()}@trade", messages.trade(one.event), now_ms)
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

    def _publish(self, topic: Topic, payload: Any, now_ms: int) -> None:
        if self._world.faults.lasting("silence", "public", now_ms) is not None:
            return
        symbol = topic.market.symbol if topic.market else None
        for sent, is_broken in self._disturber.apply(topic.kind, symbol, topic.name, payload, self._crossing(topic)):
            self._deliver(topic.name, sent, is_broken=is_broken)

    def _crossing(self, topic: Topic) -> Callable[[Any], Any] | None:
        market = topic.market
        if market is None:
            return None
        return lambda payload: messages.crossed(payload, market, self._world.engine.books[market.symbol])

    def _deliver(self, name: str, payload: Any, *, is_broken: bool) -> None:
        raw = json.dumps(payload, separators=(",", ":"))
        wrapped = f'{{"stream":"{name}","data":{raw}}}'
        for listener in self._listeners.get(name, {}):
            message = wrapped if listener.is_combined else raw
            listener.outbox(broken(message) if is_broken else message)

    # Topics

    def _topic(self, name: str) -> Topic | None:
        of_all = _OF_ALL.fullmatch(name)
        if of_all:
            window = of_all["window"]
            return Topic(name, "ticker", None, SECOND_MS, lambda now_ms: self._changed_tickers(name, window, now_ms))
        match = _STREAM.fullmatch(name)
        market = self._world.markets.get(match["symbol"].upper()) if match else None
        if match is None or market is None:
            return None
        if match["instant"]:
            return Topic(name, KINDS[match["instant"]], market)
        if match["depth"]:
            return self._book_topic(name, market, match["depth"])
        return self._periodic(name, market, match)

    def _book_topic(self, name: str, market: Market, suffix: str) -> Topic:
        period = TICK_MS if suffix.endswith("@100ms") else SECOND_MS
        depth = suffix.removeprefix("depth").partition("@")[0]
        if not depth:
            return Topic(name, "book", market)
        return Topic(name, "book", market, period, lambda _: self._partial(name, market, int(depth)))

    def _periodic(self, name: str, market: Market, match: re.Match[str]) -> Topic | None:
        world = self._world
        if match["second"]:
            render = messages.EACH_SECOND[match["second"]]
            kind = KINDS.get(match["second"], "other")
            return Topic(name, kind, market, SECOND_MS, lambda now_ms: [render(world, market, now_ms)])
        if match["window"]:
            window = match["window"]
            return Topic(
                name, "ticker", market, SECOND_MS, lambda now_ms: [messages.rolling(world, market, window, now_ms)]
            )
        interval, zone = match["interval"], zone_ms(match["zone"] or "0")
        if interval not in INTERVALS:
            return None
        period = SECOND_MS if interval == "1s" else 2 * SECOND_MS
        return Topic(
            name, "other", market, period, lambda at: messages.candles(world, market, interval, zone, at, period)
        )

    def _partial(self, name: str, market: Market, depth: int) -> list[Json]:
        """Only when something has changed since the last one."""
        book = self._world.engine.books[market.symbol]
        if self._shown.get(name) == book.sequence:
            return []
        self._shown[name] = book.sequence
        return [{"lastUpdateId": book.sequence, "bids": levels(book.bids, depth), "asks": levels(book.asks, depth)}]

    def _changed_tickers(self, name: str, window: str | None, now_ms: int) -> list[list[Json]]:
        """The first time all, then those that have traded since."""
        world, rows = self._world, []
        for market in world.markets.values():
            trades = world.tapes[market.symbol].trades
            if name not in self._shown or self._counted.get((name, market.symbol)) != len(trades):
                self._counted[name, market.symbol] = len(trades)
                rolling = window and messages.rolling(world, market, window, now_ms)
                rows.append(rolling or messages.mini_ticker(world, market, now_ms))
        self._shown[name] = 1
        return [rows] if rows else []


@dataclass(eq=False, slots=True)
class Listener:
    """One connection as the hub sees it."""

    outbox: Callable[[str], None]
    is_combined: bool = False
