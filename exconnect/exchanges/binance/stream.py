"""One connection to the market streams (subscriptions in paced, acknowledged chunks) or to the account's own events.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

import msgspec

from exconnect.errors import MalformedMessage
from exconnect.exchanges.binance import auth, errors, parse, wire
from exconnect.exchanges.binance.markets import NAME
from exconnect.model.values import plain
from exconnect.protocol.call import FailureKind, Response
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

_CHUNK = 200  # streams in one request
_PACE = 3  # requests a second; the exchange allows 5 messages, pongs included
_ACK_SECONDS = 10.0
_TACIT_SECONDS = 5.0  # after which the data of a subscription is answer enough
_SILENT_SECONDS = 5.0  # the canary sings every second
_DEAD_SECONDS = 60.0  # a connection without a canary: the exchange pings every 20 s
_IDLE_SECONDS = 1.0
_CANARY_SYMBOL = "btcusdt"

_NOTHING: Sequence[Event] = ()

_COMBINED = '{"stream":"'
_COMBINED_LENGTH = len(_COMBINED)
_DEPTH = '{"e":"depthUpdate",'
_DEPTH_SYMBOL = '"s":"'
_DEPTH_SYMBOL_BY = 60  # characters of a raw depth frame within which its symbol stands


def stream_name(topic: Topic) -> str:
    """`Topic("candle", …, "BTCUSDT", "1m")` → `"btcusdt@kline_1m"`. An upper-case name would stay silent."""
    symbol = topic.exchange_symbol.lower()
    if topic.kind == "book":
        return f"{symbol}@depth@100ms"
    return f"{symbol}@kline_{topic.interval}" if topic.kind == "candle" else f"{symbol}@{topic.kind}"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that waits for its answer."""

    method: str
    names: tuple[str, ...]
    until: float


class MarketSession:
    """The conversation on `/stream`. All of it is state of one connection; `want` alone outlives a reconnect."""

    def __init__(self, market: Market) -> None:
        self._path = market.stream_path
        self._topics: dict[str, Topic] = {}  # wanted, by stream name
        self._books: dict[str, Topic] = {}  # wanted books by exchange symbol, for raw frames
        self._last_id = 0
        self._forget(0.0)

    def _forget(self, now: float) -> None:
        self._canary: str | None = None
        self._subscribed: set[str] = set()
        self._refused: set[str | None] = set()
        self._asked: dict[str, _Asked] = {}
        self._again: deque[tuple[str, ...]] = deque()  # halves of refused chunks
        self._sent: deque[float] = deque(maxlen=_PACE)
        self._heard = self._alive = self._first = now
        self._frames = 0
        self._sings = False

    def route(self) -> str:
        """Path to connect to."""
        return self._path

    def opened(self, now: float, at: int) -> list[str]:
        """The connection is up and knows nothing yet; frames to send first."""
        self._forget(now)
        return self._requests(now)

    def want(self, topics: frozenset[Topic]) -> frozenset[Topic]:
        """The whole set of subscriptions from now on; those of them that are confirmed already."""
        self._topics = {stream_name(topic): topic for topic in topics}
        self._books = {topic.exchange_symbol: topic for topic in topics if topic.kind == "book"}
        self._refused &= {*self._topics, self._canary}
        leaving = {name for asked in self._asked.values() if asked.method == "UNSUBSCRIBE" for name in asked.names}
        return self._wanted_among(tuple(self._subscribed - leaving))

    # ---- sending ----------------------------------------------------------------------------------------------------

    def due(self, now: float, at: int) -> tuple[list[str], float]:
        """Frames to send now, and when to ask again."""
        frames = self._requests(now)
        wake = now + _IDLE_SECONDS
        if len(self._sent) == _PACE:
            wake = min(wake, max(self._sent[0] + 1.0, now))
        return frames, wake

    def _requests(self, now: float) -> list[str]:
        frames = []
        while self._may_send(now) and (chunk := self._next_chunk()) is not None:
            method, names = chunk
            self._last_id += 1
            self._asked[str(self._last_id)] = _Asked(method, names, now + _ACK_SECONDS)
            self._sent.append(now)
            frames.append(msgspec.json.encode({"method": method, "params": names, "id": self._last_id}).decode())
        return frames

    def _may_send(self, now: float) -> bool:
        return len(self._sent) < _PACE or now - self._sent[0] >= 1.0

    def _next_chunk(self) -> tuple[str, tuple[str, ...]] | None:
        """What to ask for next; names that are under way are left alone until their answer is there."""
        if self._again:
            return "SUBSCRIBE", self._again.popleft()
        wanted = self._wanted()
        busy = {name for asked in self._asked.values() for name in asked.names}
        surplus = self._subscribed - wanted - busy
        if surplus:
            return "UNSUBSCRIBE", tuple(islice(sorted(surplus), _CHUNK))
        missing = wanted - self._subscribed - self._refused - busy
        return ("SUBSCRIBE", tuple(islice(sorted(missing), _CHUNK))) if missing else None

    def _wanted(self) -> set[str]:
        if not self._topics:
            return set()
        if self._canary is None:
            symbols = sorted({topic.exchange_symbol.lower() for topic in self._topics.values()})
            self._canary = f"{_CANARY_SYMBOL if _CANARY_SYMBOL in symbols else symbols[0]}@avgPrice"
        return {*self._topics, self._canary}

    # ---- health -----------------------------------------------------------------------------------------------------

    def pinged(self, now: float) -> None:
        """A ping came: the connection is alive, if not the data."""
        self._alive = now

    def overdue(self, now: float) -> str | None:
        """Why this connection must be given up, or None.

        Silence means something only where the canary has been heard, or much else: a server without one must not be
        left for it.
        """
        if any(now > asked.until for asked in self._asked.values()):
            return f"no answer to a subscription within {_ACK_SECONDS:g} s"
        if self._sings and now - self._heard > _SILENT_SECONDS:
            return f"no data for {_SILENT_SECONDS:g} s"
        if broke_off(self._frames, self._first, self._heard, now):
            return f"no data for {now - self._heard:.0f} s"
        if now - max(self._heard, self._alive) > _DEAD_SECONDS:
            return f"neither data nor ping for {_DEAD_SECONDS:g} s"
        return None

    # ---- receiving --------------------------------------------------------------------------------------------------

    def receive(self, text: str, now: float, received_at: datetime) -> Sequence[Event]:
        """What a frame means.

        Raises:
            MalformedMessage: it makes no sense; `symbol` is set where the frame still tells.
        """
        self._heard = now
        self._frames += 1
        topic = self._book_of(text)
        if topic is None:
            return self._general(text, received_at)
        event = wire.depth_event(text)
        if event is None or event.s != topic.exchange_symbol or not wire.is_plain(text, event):
            return self._unusual(text, topic, received_at)
        update = BookUpdate(
            topic.symbol, event.U, event.u, event.b, event.a, event.E, received_at, False, None, True, text
        )
        return (update, *self._tacit(topic)) if self._asked else (update,)

    def _book_of(self, text: str) -> Topic | None:
        """The book that a depth frame in its usual form belongs to: told by how it begins, without decoding it."""
        if text.startswith(_COMBINED):
            topic = self._topics.get(text[_COMBINED_LENGTH : text.find('"', _COMBINED_LENGTH)])
            return topic if topic is not None and topic.kind == "book" else None
        if text.startswith(_DEPTH):
            start = text.find(_DEPTH_SYMBOL, 0, _DEPTH_SYMBOL_BY) + len(_DEPTH_SYMBOL)
            return self._books.get(text[start : text.find('"', start)])
        return None

    def _unusual(self, text: str, topic: Topic, received_at: datetime) -> Sequence[Event]:
        """A frame that began like an update of this book."""
        try:
            events = self._general(text, received_at)
        except MalformedMessage as error:
            raise error.add(exchange=NAME, symbol=topic.symbol, topic="book") from None
        if not events:
            alien = wire.malformed("an update of another book", text)
            raise alien.add(exchange=NAME, symbol=topic.symbol, topic="book")
        return events

    def _general(self, text: str, received_at: datetime) -> Sequence[Event]:
        message = wire.loads(text)
        if isinstance(message, list):
            return (Unknown("array"),)
        if not isinstance(message, dict):
            raise wire.malformed("neither object nor array", text)
        data = message.get("data")
        if isinstance(data, dict) and "stream" in message:
            return self._event(data, str(message["stream"]), received_at)
        if isinstance(message.get("event"), dict):
            return self._event(message["event"], "event", received_at)
        if "e" in message:
            return self._event(message, "event", received_at)
        if "result" in message or "error" in message or "code" in message:
            return self._answer(message)
        return (Unknown(_shape(message)),)

    def _event(self, data: dict[str, Any], stream: str, received_at: datetime) -> Sequence[Event]:
        """One event, whatever wraps it: its own fields say what it is, or (partial books) the name of its stream."""
        kind = data.get("e")
        if kind == "serverShutdown":
            return (Closing("the server is shutting down"),)
        if kind == "avgPrice":
            self._sings = True
            return _NOTHING
        naming = _NAMES.get(kind) if isinstance(kind, str) else None
        if naming is None:
            return (Unknown(str(kind or stream.partition("@")[2] or stream)),)
        topic = self._topics.get(naming(data))
        if topic is None:
            return _NOTHING  # no longer wanted
        try:
            made = _made(topic, data, received_at)
        except MalformedMessage as error:
            raise error.add(exchange=NAME, symbol=topic.symbol, topic=topic.kind) from None
        return (made, *self._tacit(topic)) if self._asked else (made,)

    def _tacit(self, topic: Topic) -> Sequence[Event]:
        """A server that does not answer a request and sends what was asked for has agreed to it: to all or nothing."""
        name = stream_name(topic)
        for key, asked in self._asked.items():
            if asked.method == "SUBSCRIBE" and name in asked.names:
                is_late = self._heard > asked.until - _ACK_SECONDS + _TACIT_SECONDS
                return self._agreed(self._asked.pop(key)) if is_late else _NOTHING
        return _NOTHING

    def _answer(self, message: dict[str, Any]) -> Sequence[Event]:
        """An answer to a request; success is `null`, the error forms are nested or flat, with or without an id."""
        problem = message.get("error", message if "code" in message else message.get("result"))
        key = _id(message)
        if key == "":
            key = next(iter(self._asked), key)  # answers come in order: it can only be the oldest
        asked = self._asked.pop(key, None)
        if asked is None:
            return (Unknown("answer"),)
        if problem is not None:
            return self._refusal(asked, problem)
        return self._agreed(asked)

    def _agreed(self, asked: _Asked) -> Sequence[Event]:
        if asked.method == "UNSUBSCRIBE":
            self._subscribed.difference_update(asked.names)
            return _NOTHING
        self._subscribed.update(asked.names)
        topics = self._wanted_among(asked.names)
        return (Acked(topics),) if topics else _NOTHING

    def _refusal(self, asked: _Asked, problem: Any) -> Sequence[Event]:
        """One bad name must not cost the others: halve until it stands alone."""
        if asked.method == "UNSUBSCRIBE":
            self._subscribed.difference_update(asked.names)
            return _NOTHING
        if len(asked.names) > 1:
            middle = len(asked.names) // 2
            self._again.extend((asked.names[:middle], asked.names[middle:]))
            return _NOTHING
        self._refused.update(asked.names)
        topics = self._wanted_among(asked.names)
        return (Refused(topics, _reason(problem)),) if topics else _NOTHING

    def _wanted_among(self, names: tuple[str, ...]) -> frozenset[Topic]:
        return frozenset(self._topics[name] for name in names if name in self._topics)


def _named(suffix: str) -> Any:
    return lambda data: f"{str(data.get('s')).lower()}@{suffix}"


def _kline_name(data: dict[str, Any]) -> str:
    bar = data.get("k")
    return f"{str(data.get('s')).lower()}@kline_{bar.get('i') if isinstance(bar, dict) else None}"


_NAMES = {
    "depthUpdate": _named("depth@100ms"),
    "trade": _named("trade"),
    "24hrTicker": _named("ticker"),
    "kline": _kline_name,
}


def _made(topic: Topic, data: dict[str, Any], received_at: datetime) -> Event:
    if topic.kind == "trade":
        return parse.trade_event(data, topic.symbol, received_at)
    if topic.kind == "ticker":
        return parse.ticker_event(data, topic.symbol, received_at)
    if topic.kind == "candle":
        return parse.kline_event(data, topic.symbol, received_at)
    return parse.depth_event(data, topic.symbol, received_at)


def _id(message: dict[str, Any]) -> str:
    """Of the request that is answered: a number, whatever its form; empty if it is not said."""
    value = message.get("id")
    if isinstance(value, Decimal):
        return plain(value).partition(".")[0]
    return "" if value is None else str(value)


def _reason(problem: Any) -> str:
    if isinstance(problem, dict):
        return f"{problem.get('msg', 'refused')} ({problem.get('code')})"
    return str(problem)


def _shape(message: dict[str, Any]) -> str:
    """What to call a message that does not say what it is."""
    return ",".join(sorted(str(key) for key in islice(message, 6)))


_SUBSCRIBE_SIGNED = "userDataStream.subscribe.signature"
_LOGON, _SUBSCRIBE, _TIME = "session.logon", "userDataStream.subscribe", "time"
_PROBE_SECONDS = 15.0
_ANSWER_SECONDS = {_LOGON: _ACK_SECONDS, _SUBSCRIBE: _ACK_SECONDS, _SUBSCRIBE_SIGNED: _ACK_SECONDS, _TIME: 5.0}
_ALREADY_ACTIVE = -2035


class UserSession:
    """The conversation on the WebSocket API about one account: subscribed once, with any kind of key.

    An Ed25519 key logs the connection on first; of the others each request carries a signature of its own.

    https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
    """

    def __init__(self, market: Market, signer: Signer) -> None:
        self._path = market.private_path
        self._signer = signer
        self._topics: frozenset[Topic] = frozenset()
        self._last_id = 0
        self._forget(0.0)

    def _forget(self, now: float) -> None:
        self._asked: dict[str, _Asked] = {}
        self._is_logged_on = self._is_subscribed = self._waits_for_time = False
        self._probe_at = now + _PROBE_SECONDS

    def route(self) -> str:
        """Path to connect to."""
        return self._path

    def opened(self, now: float, at: int) -> list[str]:
        """The connection is up; what is wanted is asked for when it is known."""
        self._forget(now)
        return []

    def want(self, topics: frozenset[Topic]) -> frozenset[Topic]:
        """One subscription brings all there is."""
        self._topics = topics
        self._waits_for_time = False
        return topics if self._is_subscribed else frozenset()

    def due(self, now: float, at: int) -> tuple[list[str], float]:
        """Frames to send now, and when to ask again."""
        frames = []
        is_asked = any(asked.method != _TIME for asked in self._asked.values())
        if self._topics and not (self._is_subscribed or self._waits_for_time or is_asked):
            if self._is_logged_on:
                frames.append(self._request(_SUBSCRIBE, now, {}))
            else:
                method = _LOGON if self._signer.kind == "ed25519" else _SUBSCRIBE_SIGNED
                frames.append(self._request(method, now, auth.sign_frame({}, self._signer, at)))
        if now >= self._probe_at:
            self._probe_at = now + _PROBE_SECONDS
            frames.append(self._request(_TIME, now, {}))
        return frames, self._probe_at

    def _request(self, method: str, now: float, params: dict[str, Any]) -> str:
        self._last_id += 1
        self._asked[str(self._last_id)] = _Asked(method, (), now + _ANSWER_SECONDS[method])
        return msgspec.json.encode({"id": self._last_id, "method": method, "params": params}).decode()

    def pinged(self, now: float) -> None:
        """Pings say nothing about the account; the exchange is asked for the time instead."""

    def overdue(self, now: float) -> str | None:
        """Why this connection must be given up, or None."""
        late = next((asked.method for asked in self._asked.values() if now > asked.until), None)
        return None if late is None else f"no answer to {late} within {_ANSWER_SECONDS[late]:g} s"

    def receive(self, text: str, now: float, received_at: datetime) -> Sequence[Event]:
        """What a frame means.

        Raises:
            MalformedMessage: it makes no sense.
        """
        message = wire.loads(text)
        if not isinstance(message, dict):
            raise wire.malformed("no object", text)
        for event in (message.get("event"), message.get("data"), message):
            if isinstance(event, dict) and "e" in event:
                return self._event(event, received_at)
        return self._answer(message) if "status" in message else (Unknown(_shape(message)),)

    def _event(self, event: dict[str, Any], received_at: datetime) -> Sequence[Event]:
        kind = event["e"]
        if kind == "executionReport":
            return (parse.execution_report(event, received_at),)
        if kind == "outboundAccountPosition":
            return (parse.account_position(event),)
        if kind == "balanceUpdate":
            return (parse.balance_update(event),)
        if kind == "eventStreamTerminated":
            return (Closing("the subscription was ended"),)
        if kind == "serverShutdown":
            return (Closing("the server is shutting down"),)
        # An order list says nothing that its orders do not say themselves.
        return _NOTHING if kind == "listStatus" else (Unknown(str(kind)),)

    def _answer(self, message: dict[str, Any]) -> Sequence[Event]:
        """Only a revoked key is told without an id."""
        asked = self._asked.pop(_id(message), None)
        problem = message.get("error")
        if isinstance(problem, dict) and problem.get("code") != _ALREADY_ACTIVE:
            return self._refusal(message["status"], problem, is_entry=asked is not None and asked.method != _TIME)
        if asked is None:
            return (Unknown("answer"),)
        if asked.method == _TIME:
            return _NOTHING
        if asked.method == _LOGON:
            self._is_logged_on = True
            return (Acked(frozenset()),)
        self._is_subscribed = True
        return (Acked(self._topics),)

    def _refusal(self, status: Any, problem: dict[str, Any], *, is_entry: bool) -> Sequence[Event]:
        """`is_entry`: of what lets us in. That something else was refused keeps nobody out."""
        response = Response(status if isinstance(status, int) else 400, _wait_of(problem), msgspec.json.encode(problem))
        failure = errors.error(response)
        if failure is None:
            return (Unknown("error"),)
        if failure.kind is FailureKind.CLOCK:
            self._waits_for_time = True
            return (ClockOff(str(failure.error)),)
        if failure.kind is FailureKind.AUTH or (failure.kind is FailureKind.BUSINESS and is_entry):
            return (Denied(failure.error),)
        if failure.kind is FailureKind.BUSINESS:
            return (Unknown("error"),)
        return (Closing(str(failure.error), failure.error.retry_after),)


def _wait_of(problem: dict[str, Any]) -> dict[str, str]:
    """How long to stay away, as a header would say it: here two times in ms tell."""
    data = problem.get("data")
    now, until = (data.get("serverTime"), data.get("retryAfter")) if isinstance(data, dict) else (None, None)
    if not isinstance(now, int) or not isinstance(until, int):
        return {}
    return {"retry-after": str(max(0, -(-(until - now) // 1000)))}
