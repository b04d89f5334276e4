"""Public topics: what is published, when, and to whom.

https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from exconnect.mock.disturb import Disturber, broken
from exconnect.mock.orders import Trade

from . import messages
from .depths import Depths
from .shapes import INTERVALS

if TYPE_CHECKING:
    from collections.abc import Callable

    from exconnect.mock.market import Market
    from exconnect.mock.world import Happened, World

    from .shapes import Json

BOOK_MS = 20
TICKER_MS = 50
LIMIT_MS = 300
REPEAT_MS = 3000
_TOPIC = re.compile(
    r"(?:orderbook\.(?P<depth>1|50|200|1000)|(?P<trade>publicTrade)|(?P<ticker>tickers)|(?P<limit>priceLimit)"
    r"|kline\.(?P<interval>[0-9]+|[DWM]))\.(?P<symbol>[A-Z0-9]+)"
)


class Refusal(Exception):
    """A topic that nobody can have; the text says why."""


@dataclass(slots=True)
class Topic:
    """A topic that somebody hears: its period (0: as things happen) and what it says at a moment."""

    name: str
    kind: str
    market: Market
    depth: int = 0
    period_ms: int = 0
    render: Callable[[int], list[Json]] = field(default=lambda _: [])
    shown: Any = None
    shown_ms: int = 0


class Hub:
    """Who listens to what, and everything that is published to them."""

    def __init__(self, world: World, now_ms: int) -> None:
        self._world = world
        self._topics: dict[str, Topic] = {}
        self._listeners: dict[str, dict[Callable[[str], None], None]] = {}
        self._periods: set[int] = set()
        self._disturber = Disturber(world.faults)
        self._now_ms = now_ms
        self._depths = {
            market.name: Depths(market, world.engine.books[market.symbol]) for market in world.markets.values()
        }
        world.listeners.append(self._on_happened)

    # Subscriptions

    def topic(self, name: str) -> Topic:
        """Raises: Refusal for a topic or a symbol that does not exist."""
        match = _TOPIC.fullmatch(name)
        if match is None or match["interval"] not in {None, *INTERVALS}:
            raise Refusal(f"error:handler not found,topic:{name}")
        market = self._world.markets.get(match["symbol"])
        if market is None:
            raise Refusal(f"Invalid symbol :[{name}]")
        return self._made(name, market, match)

    def _made(self, name: str, market: Market, match: re.Match[str]) -> Topic:
        world = self._world
        if match["depth"]:
            return Topic(name, "book", market, int(match["depth"]), BOOK_MS)
        if match["trade"]:
            return Topic(name, "trade", market)
        if match["ticker"]:
            topic = Topic(name, "ticker", market, period_ms=TICKER_MS)
            topic.render = lambda now_ms: self._ticker(topic, now_ms)
            return topic
        if match["limit"]:
            render = partial(messages.price_limit, name, world, market)
            return Topic(name, "other", market, period_ms=LIMIT_MS, render=render)
        render = partial(messages.candles, name, world, market, match["interval"])
        return Topic(name, "other", market, period_ms=messages.CANDLE_MS, render=render)

    def add(self, outbox: Callable[[str], None], topic: Topic, now_ms: int) -> None:
        """From now on; books and tickers begin with what they are."""
        self._now_ms = max(self._now_ms, now_ms)
        self.flush(topic.market, now_ms)
        kept = self._topics.setdefault(topic.name, topic)
        if topic.kind == "book":
            if kept.depth == 1:
                kept.shown_ms = now_ms
            first = kept.shown = self._snapshot(kept, now_ms)
        elif topic.kind == "ticker":
            kept.shown = len(self._world.tapes[topic.market.symbol].trades)
            first = messages.ticker(topic.name, self._world, topic.market, now_ms)
        else:
            first = None
        if first is not None and self._world.faults.lasting("silence", "public", now_ms) is None:
            outbox(_written(first))
        self._listeners.setdefault(topic.name, {})[outbox] = None
        self._note_periods()

    def remove(self, outbox: Callable[[str], None], name: str) -> None:
        """No longer this topic."""
        listeners = self._listeners.get(name, {})
        listeners.pop(outbox, None)
        if not listeners:
            self._listeners.pop(name, None)
            self._topics.pop(name, None)
            self._note_periods()

    def _note_periods(self) -> None:
        self._periods = {topic.period_ms for topic in self._topics.values() if topic.period_ms}

    # Time

    def next_ms(self) -> float:
        """When something is due next."""
        return min(((self._now_ms // period + 1) * period for period in self._periods), default=inf)

    def restart(self, now_ms: int) -> None:
        """The clock has jumped."""
        self._now_ms = now_ms

    def tick(self) -> None:
        """Sends what is due at ``next_ms()``."""
        now_ms = self._now_ms = int(self.next_ms())
        for topic in list(self._topics.values()):
            if topic.period_ms and now_ms % topic.period_ms == 0:
                if topic.kind == "book":
                    self.flush(topic.market, now_ms)
                    self._level_one(topic, now_ms)
                for payload in topic.render(now_ms):
                    self._publish(topic, payload, now_ms)

    # Books

    def flush(self, market: Market, now_ms: int) -> int:
        """Shows the book as it is to those who keep one; gives its update id."""
        depths = self._depths[market.name]
        if depths.is_stale:
            depths.show()
            for topic in self._topics.values():
                if topic.kind == "book" and topic.market is market and topic.depth > 1:
                    delta = messages.book(topic.name, "delta", depths.delta(topic.depth), now_ms)
                    self._publish(topic, delta, now_ms)
        return depths.update_id

    def sequence(self, market: Market) -> int:
        """The update id of the book as it is at this moment."""
        return self.flush(market, self._now_ms)

    def _snapshot(self, topic: Topic, now_ms: int) -> Json:
        data = self._depths[topic.market.name].snapshot(topic.depth)
        return messages.book(topic.name, "snapshot", data, now_ms)

    def _level_one(self, topic: Topic, now_ms: int) -> None:
        """Whole every time; after three seconds without a change the same once more."""
        if topic.depth != 1:
            return
        fresh = self._snapshot(topic, now_ms)
        if any(fresh["data"][side] != topic.shown["data"][side] for side in "ba"):
            topic.shown = fresh
        elif now_ms < topic.shown_ms + REPEAT_MS:
            return
        topic.shown_ms = now_ms
        self._publish(topic, topic.shown, now_ms)

    def _ticker(self, topic: Topic, now_ms: int) -> list[Json]:
        """Only when something has traded since the last one."""
        count = len(self._world.tapes[topic.market.symbol].trades)
        if topic.shown == count:
            return []
        topic.shown = count
        return [messages.ticker(topic.name, self._world, topic.market, now_ms)]

    # Things that happen

    def _on_happened(self, happened: list[Happened]) -> None:
        traded: dict[str, list[Trade]] = {}
        for one in happened:
            if isinstance(one.event, Trade):
                traded.setdefault(f"publicTrade.{one.event.market.name}", []).append(one.event)
        for name, events in traded.items():
            topic = self._topics.get(name)
            if topic is not None:
                self._publish(topic, messages.trades(name, events), events[-1].time_ms)

    # Publishing

    def _publish(self, topic: Topic, payload: Json, now_ms: int) -> None:
        if self._world.faults.lasting("silence", "public", now_ms) is not None:
            return
        book = self._world.engine.books[topic.market.symbol]
        cross = (lambda payload: messages.crossed(payload, topic.market, book)) if topic.kind == "book" else None
        for sent, is_broken in self._disturber.apply(topic.kind, topic.market.symbol, topic.name, payload, cross):
            text = _written(sent)
            for outbox in list(self._listeners.get(topic.name, {})):
                outbox(broken(text) if is_broken else text)


def _written(payload: Json) -> str:
    return json.dumps(payload, separators=(",", ":"))
