"""One connection to the public topics (subscriptions in acknowledged chunks, a ping in time), or to one account's.

https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec
from msgspec import Struct

from exconnect.errors import MalformedMessage
from exconnect.exchanges.bybit import auth, errors, parse, wire
from exconnect.exchanges.bybit.book import RESTARTED
from exconnect.exchanges.bybit.markets import BOOK_TOPICS, CATEGORY, INTERVALS, NAME
from exconnect.protocol.call import FailureKind
from exconnect.protocol.exchange import Market
from exconnect.protocol.session import (
    Acked,
    BookUpdate,
    ClockOff,
    Closing,
    Denied,
    Event,
    Refused,
    Topic,
    Unknown,
    broke_off,
)
from exconnect.protocol.signing import Signer

_CHUNK = 10  # topics in one request
_CHUNK_TEXT = 20_000  # characters of them; the exchange takes 21,000
_ACK_SECONDS = 10.0
_TACIT_SECONDS = 5.0  # after which the data of a subscription is answer enough
_PING_SECONDS = 20.0
_PONG_SECONDS = 10.0
_SILENT_SECONDS = 6.0  # the canary sings every three seconds
_STEADY_SECONDS = 12.0  # one that never paused for so long sings, though it has not repeated itself: the market moves
_PAUSE_SECONDS = 3.5
_DEAD_SECONDS = 60.0  # a connection without a canary: pongs come every 20 s
_IDLE_SECONDS = 1.0
_CANARY_SYMBOL = "BTCUSDT"

_NOTHING: Sequence[Event] = ()

_BOOK = '{"topic":"orderbook.'
_TOPIC_START = len('{"topic":"')
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


class _Asking:
    """The requests of one connection that wait for their answers, in the order in which they left, and its pings."""

    def __init__(self, now: float) -> None:
        self.open: dict[str, _Asked] = {}
        self.ping_at = now + _PING_SECONDS
        self._last_id = 0
        self._pinged_at: float | None = None  # when the ping left that is not answered yet

    def request(self, op: str, args: Sequence[Any], now: float, names: tuple[str, ...] = ()) -> str:
        """A frame that must be answered."""
        frame = self._frame({"op": op, "args": args})
        self.open[str(self._last_id)] = _Asked(op, names, now + _ACK_SECONDS)
        return frame

    def pings(self, now: float) -> list[str]:
        """A ping, if it is time."""
        if now < self.ping_at:
            return []
        self.ping_at = now + _PING_SECONDS
        self._pinged_at = now if self._pinged_at is None else self._pinged_at
        return [self._frame({"op": "ping"})]

    def _frame(self, content: dict[str, Any]) -> str:
        self._last_id += 1
        return msgspec.json.encode({"req_id": str(self._last_id), **content}).decode()

    def busy(self, op: str | None = None) -> set[str]:
        """Topics that are under way, to be subscribed or not, or by one of the two."""
        return {name for asked in self.open.values() if op in (None, asked.op) for name in asked.names}

    def is_pong(self, message: dict[str, Any]) -> bool:
        """Whether a message answers a ping, in one of the shapes that there are."""
        if message.get("op") != "pong" and message.get("ret_msg") != "pong":
            return False
        self._pinged_at = None
        return True

    def answered(self, message: dict[str, Any]) -> _Asked | None:
        """The request that a message answers; it may lack the id of it."""
        key = message.get("req_id")
        if key in (None, ""):  # answers come in order: it can only be the oldest
            op = message.get("op")
            key = next((known for known, asked in self.open.items() if op in ("", None, asked.op)), "")
        return self.open.pop(str(key), None)

    def agreed(self, name: str, now: float) -> _Asked | None:
        """The request for a topic whose data comes, though it was not answered for a while."""
        for key, asked in self.open.items():
            if asked.op == _SUBSCRIBE and name in asked.names:
                return self.open.pop(key) if now > asked.until - _ACK_SECONDS + _TACIT_SECONDS else None
        return None

    def overdue(self, now: float, heard: float = 0.0) -> str | None:
        """What has not been answered in time; a ping is answered by data, too, that was `heard` after it."""
        late = next((asked.op for asked in self.open.values() if now > asked.until), None)
        if late is not None:
            return f"no answer to {late} within {_ACK_SECONDS:g} s"
        if self._pinged_at is not None and now - max(self._pinged_at, heard) > _PONG_SECONDS:
            return f"no answer to a ping within {_PONG_SECONDS:g} s"
        return None


class MarketSession:
    """The conversation on `/v5/public/spot`. All is state of one connection; `want` alone outlives a reconnect."""

    def __init__(self, market: Market) -> None:
        self._path = market.stream_path
        self._topics: dict[str, Topic] = {}  # wanted, by name
        self._forget(0.0)

    def _forget(self, now: float) -> None:
        self._canary: str | None = None
        self._subscribed: set[str] = set()
        self._refused: set[str] = set()
        self._asking = _Asking(now)
        self._again: deque[tuple[str, ...]] = deque()  # what is left of refused chunks
        self._orders: dict[str, wire.BookChange] = {}  # by book topic: the last that had a cross sequence
        self._sung: int | None = None  # the canary's last id
        self._sung_at = self._steady_since = now
        self._sings = False
        self._heard = self._first = now
        self._frames = 0

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
        return self._wanted_among(self._subscribed - self._asking.busy(_UNSUBSCRIBE))

    # ---- sending ----------------------------------------------------------------------------------------------------

    def due(self, now: float, at: int) -> tuple[list[str], float]:
        """Frames to send now, and when to ask again."""
        frames = self._requests(now) + self._asking.pings(now)
        return frames, min(now + _IDLE_SECONDS, self._asking.ping_at)

    def _requests(self, now: float) -> list[str]:
        frames = []
        while (chunk := self._next_chunk()) is not None:
            op, names = chunk
            frames.append(self._asking.request(op, names, now, names))
        return frames

    def _next_chunk(self) -> tuple[str, tuple[str, ...]] | None:
        """What to ask for next; names that are under way are left alone until their answer is there."""
        if self._again:
            return _SUBSCRIBE, self._again.popleft()
        wanted = self._wanted()
        busy = self._asking.busy()
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

        Silence means something only where the canary has been heard to sing, or much else: a server on which it does
        not must not be left for it.
        """
        late = self._asking.overdue(now, self._heard)
        if late is not None:
            return late
        if self._sings and now - self._heard > _SILENT_SECONDS:
            return f"no data for {_SILENT_SECONDS:g} s"
        if broke_off(self._frames, self._first, self._heard, now):
            return f"no data for {now - self._heard:.0f} s"
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
            self._frames += 1
            return self._book(text, received_at)
        message = wire.loads(text)
        if not isinstance(message, dict):
            raise wire.malformed("no object", text)
        name = message.get("topic")
        if not isinstance(name, str):
            return self._answer(message)
        self._heard = now
        self._frames += 1
        if name.startswith("orderbook."):
            return self._book(text, received_at, name)
        topic = self._topics.get(name)
        if topic is None:
            return _NOTHING if name.partition(".")[0] in _KINDS else (Unknown(name.partition(".")[0]),)
        try:
            made = _made(topic, message, received_at)
        except MalformedMessage as error:
            raise error.add(exchange=NAME, symbol=topic.symbol, topic=topic.kind) from None
        return (*made, *self._tacit(name)) if self._asking.open else made

    def _book(self, text: str, received_at: datetime, name: str = "") -> Sequence[Event]:
        """`name`: of its topic, where the frame does not begin with it."""
        topic = None
        try:
            frame = wire.book_frame(text)
            name, data = frame.topic, frame.data
            topic = self._topics.get(name)
            if name == self._canary:
                self._listen(data.u)
            if topic is None:
                return _NOTHING  # no longer wanted
            if data.s != topic.exchange_symbol and data.s.upper() not in ("", topic.exchange_symbol):
                raise wire.malformed("an update of another book", text)
            is_whole = frame.type == _WHOLE or data.u == RESTARTED
            if not self._is_in_order(name, data) and not is_whole:
                raise wire.malformed("the cross sequence went back", text)
        except MalformedMessage as error:
            topic = topic or self._topics.get(name or text[_TOPIC_START : text.find('"', _TOPIC_START)])
            raise error.add(exchange=NAME, symbol=None if topic is None else topic.symbol, topic="book") from None
        is_plain = wire.is_plain(text)
        bids, asks = (data.b, data.a) if is_plain else (wire.pairs(data.b), wire.pairs(data.a))
        time_ms = frame.ts if frame.cts is None else frame.cts
        made = BookUpdate(
            topic.symbol, data.u, data.u, bids, asks, time_ms, received_at, is_whole, None, is_plain, text
        )
        return (made, *self._tacit(name)) if self._asking.open else (made,)

    def _listen(self, song: int) -> None:
        """Whether the canary sings: it repeats itself every three seconds, or tells of changes more often than that."""
        if self._heard - self._sung_at > _PAUSE_SECONDS:
            self._steady_since = self._heard
        is_steady = self._heard - self._steady_since >= _STEADY_SECONDS
        self._sings = self._sings or is_steady or song == self._sung
        self._sung, self._sung_at = song, self._heard

    def _tacit(self, name: str) -> Sequence[Event]:
        """A server that does not answer a request and sends what was asked for has agreed to it."""
        asked = self._asking.agreed(name, self._heard)
        return _NOTHING if asked is None else self._confirmed(asked.op, asked.names)

    def _is_in_order(self, name: str, data: wire.BookChange) -> bool:
        """A newer update whose cross sequence is older than that of the one before it makes no sense."""
        if data.seq is None:
            return True
        last = self._orders.get(name, data)
        self._orders[name] = data
        return last.seq is None or data.seq >= last.seq or not data.u > last.u > 1

    # ---- answers ----------------------------------------------------------------------------------------------------

    def _answer(self, message: dict[str, Any]) -> Sequence[Event]:
        if self._asking.is_pong(message):
            return _NOTHING
        if "success" not in message:
            return (Unknown(_shape(message)),)
        asked = self._asking.answered(message)
        if asked is None:
            return (Unknown("answer"),)
        if message["success"] is not True:
            return self._refusal(asked, str(message.get("ret_msg", "")))
        return self._confirmed(asked.op, asked.names)

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


def _shape(message: dict[str, Any]) -> str:
    """What to call a message that is no answer and has no topic."""
    return str(message.get("op") or ",".join(sorted(islice(map(str, message), 6))))


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


# ---- one account's own events ---------------------------------------------------------------------------------------

_LOGIN = "auth"
_LOGIN_MS = 10_000  # for how long a login is valid: a second, as others have it, is too short for a slow line
_ORDERS, _FILLS, _WALLET = f"order.{CATEGORY}", f"execution.{CATEGORY}", "wallet"
_ACCOUNT = {"order": _ORDERS, "fill": _FILLS, "balance": _WALLET}
# Whether a topic was asked for with its category or without, what comes may be called by either name.
_WHOLE_TOPICS = {"order": _ORDERS, "execution": _FILLS}


class UserSession:
    """The conversation on `/v5/private`: logged in, then subscribed. What it carries has no numbers that show a gap.

    https://bybit-exchange.github.io/docs/v5/websocket/private/order
    """

    def __init__(self, market: Market, signer: Signer) -> None:
        self._path = market.private_path
        self._signer = signer
        self._topics: dict[str, Topic] = {}  # wanted, by name
        self._forget(0.0)

    def _forget(self, now: float) -> None:
        self._asking = _Asking(now)
        self._subscribed: set[str] = set()
        self._is_let_in = self._waits_for_time = False

    def route(self) -> str:
        """Path to connect to."""
        return self._path

    def opened(self, now: float, at: int) -> list[str]:
        """The connection is up; who we are is told when it is known what is wanted."""
        self._forget(now)
        return []

    def want(self, topics: frozenset[Topic]) -> frozenset[Topic]:
        """The whole set of subscriptions from now on; those of them that are confirmed already."""
        self._topics = {_ACCOUNT[topic.kind]: topic for topic in topics}
        self._waits_for_time = False
        return frozenset(topic for name, topic in self._topics.items() if name in self._subscribed)

    def due(self, now: float, at: int) -> tuple[list[str], float]:
        """Frames to send now, and when to ask again; after an answer to the login it must be asked again at once."""
        if not self._topics or self._waits_for_time:
            frames = []
        elif self._is_let_in:
            missing = self._topics.keys() - self._subscribed - self._asking.busy()
            # One by one: an answer to several tells of those that were refused in its words only.
            frames = [self._asking.request(_SUBSCRIBE, [name], now, (name,)) for name in sorted(missing)]
        else:
            frames = self._login(now, at)
        return frames + self._asking.pings(now), self._asking.ping_at

    def _login(self, now: float, at: int) -> list[str]:
        if self._asking.open:
            return []
        expires = at + _LOGIN_MS
        return [self._asking.request(_LOGIN, [self._signer.key, expires, auth.sign_login(self._signer, expires)], now)]

    def pinged(self, now: float) -> None:
        """A ping says nothing about the account."""

    def overdue(self, now: float) -> str | None:
        """Why this connection must be given up, or None."""
        return self._asking.overdue(now)

    def receive(self, text: str, now: float, received_at: datetime) -> Sequence[Event]:
        """What a frame means.

        Raises:
            MalformedMessage: it makes no sense.
        """
        message = wire.loads(text)
        if not isinstance(message, dict):
            raise wire.malformed("no object", text)
        name = message.get("topic")
        if isinstance(name, str):
            return self._told(_WHOLE_TOPICS.get(name, name), message, received_at)
        return self._answer(message)

    def _told(self, name: str, message: dict[str, Any], received_at: datetime) -> Sequence[Event]:
        """The faster form of executions is no record: it knows no fees, and not always whose order it was."""
        if name not in (_ORDERS, _FILLS, _WALLET):
            return (Unknown(name),)
        frame = wire.read(wire.AccountFrame, message)
        if name == _WALLET:
            return (parse.wallet_event(frame.data, frame.creation_time),)
        rows = [row for row in frame.data if row.get("category") in (CATEGORY, None)]
        if name == _ORDERS:
            return [parse.order_event(row) for row in rows]
        return [parse.fill_event(row, received_at) for row in rows if parse.is_trade(row)]

    def _answer(self, message: dict[str, Any]) -> Sequence[Event]:
        if self._asking.is_pong(message):
            return _NOTHING
        if "success" not in message and "retCode" not in message:
            return (Unknown(_shape(message)),)
        asked = self._asking.answered(message)
        if asked is None:
            return (Unknown("answer"),)
        is_success = message.get("success", message.get("retCode") == 0) is True
        topics = frozenset(topic for name, topic in self._topics.items() if name in asked.names)
        words = str(message.get("ret_msg") or message.get("retMsg") or "refused")
        if asked.op == _LOGIN:
            return self._let_in() if is_success else self._turned_away(message.get("retCode"), words)
        if not is_success and _ALREADY not in words:
            return (Refused(topics, words),)
        self._subscribed.update(asked.names)
        return (Acked(topics),)

    def _let_in(self) -> Sequence[Event]:
        self._is_let_in = True
        return (Acked(frozenset()),)

    def _turned_away(self, code: Any, words: str) -> Sequence[Event]:
        failure = errors.of_login(code, words)
        if failure.kind is FailureKind.CLOCK:
            self._waits_for_time = True
            return (ClockOff(words),)
        is_final = failure.kind in (FailureKind.AUTH, FailureKind.BUSINESS)
        return (Denied(failure.error) if is_final else Closing(words),)
