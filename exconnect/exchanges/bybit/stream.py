"""One connection to the public topics: subscriptions in acknowledged chunks, a ping in time, and what the frames mean.

https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from msgspec import Struct

from exconnect.errors import MalformedMessage
from exconnect.exchanges.bybit import parse, wire
from exconnect.exchanges.bybit.markets import BOOK_TOPICS, INTERVALS, NAME
from exconnect.protocol.exchange import Market
from exconnect.protocol.session import Acked, BookUpdate, Event, Refused, Topic, Unknown

_CHUNK = 10  # topics in one request
_CHUNK_TEXT = 20_000  # characters of them; the exchange takes 21,000
_ACK_SECONDS = 10.0
_PING_SECONDS = 20.0
_PONG_SECONDS = 10.0
_SILENT_SECONDS = 6.0  # the canary sings every three seconds
_DEAD_SECONDS = 60.0  # a connection without a canary: pongs come every 20 s
_IDLE_SECONDS = 1.0
_CANARY_SYMBOL = "BTCUSDT"

_NOTHING: Sequence[Event] = ()
_new: Any = tuple.__new__  # what BookUpdate() does, without a call in between

_BOOK = '{"topic":"orderbook.'
_TOPIC_START = len('{"topic":"')
_TOPIC_END = 80  # characters within which a frame in its usual form has named its topic
_SUBSCRIBE, _UNSUBSCRIBE = "subscribe", "unsubscribe"
_ALREADY = "already subscribed"
_WHOLE = "snapshot"


def topic_name(topic: Topic) -> str:
    """`Topic("candle", …, "BTCUSDT", "1m")` → `"kline.1.BTCUSDT"`."""
    if topic.kind == "book":
        return f"orderbook.{topic.depth or BOOK_TOPICS[1]}.{topic.exchange_symbol}"
    if topic.kind == "candle":
        return f"kline.{INTERVALS[topic.interval]}.{topic.exchange_symbol}"
    return f"{_PREFIXES[topic.kind]}.{topic.exchange_symbol}"


_PREFIXES = {"trade": "publicTrade", "ticker": "tickers"}


class _Asked(Struct, frozen=True):
    """A request that waits for its answer."""

    op: str
    names: tuple[str, ...]
    until: float


class MarketSession:
    """The conversation on `/v5/public/spot`. All is state of one connection; `want` alone outlives a reconnect."""

    def __init__(self, market: Market) -> None:
        self._path = market.stream_path
        self._topics: dict[str, Topic] = {}  # wanted, by name
        self._last_id = 0
        self._forget(0.0)

    def _forget(self, now: float) -> None:
        self._canary: str | None = None
        self._subscribed: set[str] = set()
        self._refused: set[str] = set()
        self._asked: dict[str, _Asked] = {}
        self._again: deque[tuple[str, ...]] = deque()  # what is left of refused chunks
        self._orders: dict[str, tuple[int, int]] = {}  # by book topic: last id and cross sequence
        self._sung: int | None = None  # the canary's last id
        self._sings = False
        self._heard = now
        self._ping_at = now + _PING_SECONDS
        self._pinged_at: float | None = None  # when the ping left that is not answered yet

    def route(self) -> str:
        """Path to connect to."""
        return self._path

    def opened(self, now: float, at: int) -> list[str]:
        """The connection is up and knows nothing yet; frames to send first."""
        self._forget(now)
        return self._requests(now)

    def want(self, topics: frozenset[Topic]) -> frozenset[Topic]:
        """The whole set of subscriptions from now on; those of them that are confirmed already."""
        self._topics = {topic_name(topic): topic for topic in topics}
        self._refused &= self._topics.keys()
        leaving = {name for asked in self._asked.values() if asked.op == _UNSUBSCRIBE for name in asked.names}
        return self._wanted_among(self._subscribed - leaving)

    # ---- sending ----------------------------------------------------------------------------------------------------

    def due(self, now: float, at: int) -> tuple[list[str], float]:
        """Frames to send now, and when to ask again."""
        frames = self._requests(now)
        if now >= self._ping_at:
            self._ping_at = now + _PING_SECONDS
            self._pinged_at = now if self._pinged_at is None else self._pinged_at
            frames.append(self._frame({"op": "ping"}))
        return frames, min(now + _IDLE_SECONDS, self._ping_at)

    def _requests(self, now: float) -> list[str]:
        frames = []
        while (chunk := self._next_chunk()) is not None:
            op, names = chunk
            frames.append(self._frame({"op": op, "args": names}))
            self._asked[str(self._last_id)] = _Asked(op, names, now + _ACK_SECONDS)
        return frames

    def _frame(self, content: dict[str, Any]) -> str:
        self._last_id += 1
        return json.dumps({"req_id": str(self._last_id), **content}, separators=(",", ":"))

    def _next_chunk(self) -> tuple[str, tuple[str, ...]] | None:
        """What to ask for next; names that are under way are left alone until their answer is there."""
        if self._again:
            return _SUBSCRIBE, self._again.popleft()
        wanted = self._wanted()
        busy = {name for asked in self._asked.values() for name in asked.names}
        surplus = self._subscribed - wanted - busy
        if surplus:
            return _UNSUBSCRIBE, _chunk(surplus)
        missing = wanted - self._subscribed - self._refused - busy
        return (_SUBSCRIBE, _chunk(missing)) if missing else None

    def _wanted(self) -> set[str]:
        if not self._topics:
            return set()
        if self._canary is None:
            symbols = sorted({topic.exchange_symbol for topic in self._topics.values()})
            self._canary = f"orderbook.1.{_CANARY_SYMBOL if _CANARY_SYMBOL in symbols else symbols[0]}"
        return {*self._topics, self._canary}

    # ---- health -----------------------------------------------------------------------------------------------------

    def pinged(self, now: float) -> None:
        """A ping came: the connection is alive, if not the data."""

    def overdue(self, now: float) -> str | None:
        """Why this connection must be given up, or None.

        Silence means something only where the canary has been heard to repeat itself: a server on which it does not
        must not be left for it.
        """
        if any(now > asked.until for asked in self._asked.values()):
            return f"no answer to a subscription within {_ACK_SECONDS:g} s"
        if self._pinged_at is not None and now - self._pinged_at > _PONG_SECONDS:
            return f"no answer to a ping within {_PONG_SECONDS:g} s"
        if self._sings and now - self._heard > _SILENT_SECONDS:
            return f"no data for {_SILENT_SECONDS:g} s"
        if now - self._heard > _DEAD_SECONDS:
            return f"nothing was heard for {_DEAD_SECONDS:g} s"
        return None

    # ---- receiving --------------------------------------------------------------------------------------------------

    def receive(self, text: str, now: float, received_at: datetime) -> Sequence[Event]:
        """What a frame means.

        Raises:
            MalformedMessage: it makes no sense; `symbol` is set where the frame still tells.
        """
        if text.startswith(_BOOK):
            self._heard = now
            return self._book(text[_TOPIC_START : text.find('"', _TOPIC_START, _TOPIC_END)], text, received_at)
        message = wire.loads(text)
        if not isinstance(message, dict):
            raise wire.malformed("no object", text)
        name = message.get("topic")
        if not isinstance(name, str):
            return self._answer(message)
        self._heard = now
        if name.startswith("orderbook."):
            return self._book(name, text, received_at)
        topic = self._topics.get(name)
        if topic is None:
            return _NOTHING if name.partition(".")[0] in _KINDS else (Unknown(name.partition(".")[0]),)
        try:
            return _made(topic, message, received_at)
        except MalformedMessage as error:
            raise error.add(exchange=NAME, symbol=topic.symbol) from None

    def _book(self, name: str, text: str, received_at: datetime) -> Sequence[Event]:
        topic = self._topics.get(name)
        if topic is None and name != self._canary:
            return _NOTHING  # no longer wanted
        try:
            frame = wire.book_frame(text)
            data, is_whole = frame.data, frame.type == _WHOLE
            if name == self._canary:
                self._sings = self._sings or data.u == self._sung
                self._sung = data.u
            if topic is None:
                return _NOTHING
            self._check_order(name, data, text, is_whole=is_whole)
        except MalformedMessage as error:
            raise error.add(exchange=NAME, symbol=None if topic is None else topic.symbol) from None
        time_ms = frame.ts if frame.cts is None else frame.cts
        ids = topic.symbol, data.u, data.u
        return (_new(BookUpdate, (*ids, data.b, data.a, time_ms, received_at, is_whole, None, wire.is_plain(text))),)

    def _check_order(self, name: str, data: wire.Book, text: str, *, is_whole: bool) -> None:
        """A newer update whose cross sequence is older than that of the one before it makes no sense."""
        seq = data.seq
        if seq is None:
            return
        last_id, last_seq = self._orders.get(name, (0, 0))
        self._orders[name] = data.u, seq
        if not is_whole and data.u > last_id > 1 and seq < last_seq:
            raise wire.malformed("the cross sequence went back", text)

    # ---- answers ----------------------------------------------------------------------------------------------------

    def _answer(self, message: dict[str, Any]) -> Sequence[Event]:
        """An answer to a ping (in one of its two shapes) or to a request, which may lack the id of what it answers."""
        op, words = message.get("op"), str(message.get("ret_msg", ""))
        if op == "pong" or words == "pong":
            self._pinged_at = None
            return _NOTHING
        if "success" not in message:
            return (Unknown(str(op or ",".join(sorted(islice(map(str, message), 6))))),)
        asked = self._asked.pop(self._key(message), None)
        if asked is None:
            return (Unknown("answer"),)
        if message["success"] is not True:
            return self._refusal(asked, words)
        return self._confirmed(asked.op, asked.names)

    def _key(self, message: dict[str, Any]) -> str:
        key = message.get("req_id")
        if key in (None, ""):  # answers come in order: it can only be the oldest
            op = message.get("op")
            return next((known for known, asked in self._asked.items() if op in ("", None, asked.op)), "")
        return str(key)

    def _confirmed(self, op: str, names: Sequence[str]) -> Sequence[Event]:
        if op == _UNSUBSCRIBE:
            self._subscribed.difference_update(names)
            for name in names:
                self._orders.pop(name, None)
            return _NOTHING
        self._subscribed.update(names)
        topics = self._wanted_among(names)
        return (Acked(topics),) if topics else _NOTHING

    def _refusal(self, asked: _Asked, words: str) -> Sequence[Event]:
        """A bad topic refuses those that were asked for with it: they are asked for again, without it.

        The exchange names it as a rule; else the chunk is halved until it stands alone.
        """
        if asked.op == _UNSUBSCRIBE:
            return self._confirmed(_UNSUBSCRIBE, asked.names)
        named = {name for name in asked.names if name in _words(words)}
        culprits = tuple(named) or (asked.names if len(asked.names) == 1 else ())
        rest = tuple(name for name in asked.names if name not in culprits)
        if culprits and rest:
            self._again.append(rest)
        elif not culprits:
            middle = len(rest) // 2
            self._again.extend((rest[:middle], rest[middle:]))
        if _ALREADY in words:
            return self._confirmed(_SUBSCRIBE, culprits)
        self._refused.update(culprits)
        topics = self._wanted_among(culprits)
        return (Refused(topics, words or "refused"),) if topics else _NOTHING

    def _wanted_among(self, names: Sequence[str] | set[str]) -> frozenset[Topic]:
        return frozenset(self._topics[name] for name in names if name in self._topics)


def _words(text: str) -> set[str]:
    """The topics that a refusal may name: `Invalid symbol :[<topic>]`, `error:handler not found,topic:<topic>`."""
    return set(text.replace("[", " ").replace("]", " ").replace(",", " ").replace("topic:", " ").split())


def _chunk(names: set[str]) -> tuple[str, ...]:
    chosen: list[str] = []
    size = 0
    for name in islice(sorted(names), _CHUNK):
        size += len(name) + 3  # quotes and comma
        if chosen and size > _CHUNK_TEXT:
            break
        chosen.append(name)
    return tuple(chosen)


_KINDS = frozenset({"publicTrade", "tickers", "kline"})


def _made(topic: Topic, message: dict[str, Any], received_at: datetime) -> Sequence[Event]:
    data = message.get("data")
    time_ms = message.get("ts") if isinstance(message.get("ts"), int) else None
    if topic.kind == "ticker":
        return (parse.ticker(data, topic.symbol, time_ms, received_at),)
    rows = wire.read(list[Any], data)
    if topic.kind == "trade":
        return [parse.trade_event(row, topic.symbol, received_at) for row in rows]
    return [parse.kline_event(row, topic.symbol, topic.interval, time_ms, received_at) for row in rows]
