"""One connection and its thread: socket, session, books. Everything that comes in is worked off here.

The thread waits on its socket and on a doorbell in one selector, so that a subscription or a snapshot takes effect
at once and the session needs no lock. Books are updated before anybody is told.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Set  # noqa: PYI025
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from exconnect.errors import ExconnectError, MalformedMessage, StaleStream, StreamError, TransportError
from exconnect.feeds.books import Books
from exconnect.feeds.continuity import CandleSequence, Missing, TradeSequence
from exconnect.feeds.doorbell import Doorbell
from exconnect.feeds.handlers import Router
from exconnect.feeds.registration import Address
from exconnect.model.enums import StreamStatus
from exconnect.model.events import BookOutOfSync, Gap, StatusChanged, TopicRefused
from exconnect.model.market import Candle, Ticker, Trade
from exconnect.protocol.session import Acked, BookUpdate, Closing, Event, Refused, Reply, Topic, Unknown
from exconnect.runtime.actor import Thread
from exconnect.runtime.supervisor import Restarts, supervise
from exconnect.transport.websocket import GOODBYE_TIMEOUT, Ping, Undecodable, WebSocket

if TYPE_CHECKING:
    from datetime import datetime

    from exconnect.config import Endpoints
    from exconnect.environment import Environment
    from exconnect.feeds.budget import Attempts
    from exconnect.metrics import Metrics
    from exconnect.model.instrument import Instrument
    from exconnect.model.market import Book
    from exconnect.protocol.book import Fault
    from exconnect.protocol.call import Call
    from exconnect.protocol.exchange import Exchange, Market
    from exconnect.protocol.session import Session
    from exconnect.runtime.jobs import Jobs

T = TypeVar("T")

log = logging.getLogger("exconnect.stream")
book_log = logging.getLogger("exconnect.book")

_TICK_S = 1.0  # how often a connection on which nothing happens is looked at
_SILENCE_S = 60.0
_SNAPSHOT_S = 10.0
_ROUTE_S = 5.0
_MALFORMED, _MALFORMED_S = 3, 10.0


class Supply(Protocol):
    """What a feed needs of its venue."""

    env: Environment
    exchange: Exchange
    endpoints: Endpoints
    proxy: str | None

    @property
    def ca_file(self) -> str | os.PathLike[str] | None:
        """More authorities to trust."""

    @property
    def metrics(self) -> Metrics:
        """Where figures go."""

    def instrument(self, symbol: str, timeout: float) -> Instrument:
        """One instrument, loaded if need be."""

    def listing(self, exchange_symbols: tuple[str, ...], timeout: float) -> object:
        """Load these instruments; `instrument` knows them from then on."""

    def call(self, call: Call[T], timeout: float) -> T:
        """Make a REST call."""

    def server_now_ms(self) -> int:
        """The exchange's clock."""

    def jobs(self, name: str) -> Jobs:
        """A background thread of the venue."""


@dataclass(slots=True)
class Counters:
    """What a connection has seen. Only its own thread counts."""

    messages: int = 0
    bytes: int = 0
    connects: int = 0
    reconnects: int = 0
    malformed: int = 0
    unknown: int = 0
    gaps: int = 0
    resyncs: int = 0


@dataclass(frozen=True, slots=True)
class Want:
    """All that a connection is to carry: topics with their instruments, levels a side by symbol.

    `is_complete`: nothing is still being looked up.
    """

    topics: dict[Topic, Instrument] = field(default_factory=dict)
    depths: dict[str, int] = field(default_factory=dict)
    is_complete: bool = True


class Feed:
    """A connection for one market. `changed` is told, in its thread, after each change of status."""

    def __init__(
        self, name: str, venue: Supply, market: Market, router: Router, attempts: Attempts, changed: Callable[[], None]
    ) -> None:
        self.name = name
        self.market = market
        self.pid = os.getpid()
        self.status = StreamStatus.IDLE
        self.since = venue.env.wall()
        self.cause: BaseException | None = None
        self.counters = Counters()
        self.is_stopping = False
        self._venue = venue
        self._env = venue.env
        self._exchange = venue.exchange.name
        self._router = router
        self._attempts = attempts
        self._changed = changed
        self._books = Books(venue.env, venue.exchange, market, self)
        self._want = self._adopted = Want()  # by others; by this thread
        self._asked = self._settled = 0  # how often somebody wanted something else; up to where that is live
        self._taken = 0
        self._errands: deque[Callable[[], None]] = deque()
        self._trades: dict[str, TradeSequence] = {}
        self._candles: dict[tuple[str, str], CandleSequence] = {}
        self._session: Session = venue.exchange.session(market)
        self._socket: WebSocket | None = None
        self._acked: Set[Topic] = frozenset()
        self._refused: set[Topic] = set()
        self._restarts = Restarts(venue.env.uniform)
        self._bell = Doorbell()
        self._is_new = True
        self.data_at = self._heard_at = self._ask_at = self._tick_at = 0.0
        self._malformed: deque[float] = deque(maxlen=_MALFORMED + 1)
        self._reported = Counters()
        self.thread: Thread | None = None
        self._take: dict[type, Callable[[Any], None]] = {
            BookUpdate: self._books.receive,
            Trade: self._trade,
            Ticker: self._ticker,
            Candle: self._candle,
            Acked: self._ack,
            Refused: self._refuse,
            Closing: self._closing,
            Unknown: self._unknown,
            Reply: _ignore,
        }

    # ------------------------------------------------------------ for other threads

    def start(self) -> None:
        """Start the thread."""
        self.thread = self._env.spawn(f"exconnect.{self._exchange}.feed.{self.name}", self._live)

    def want(self, want: Want) -> None:
        """Carry this from now on."""
        self._want = want
        self._asked += 1
        self._bell.ring()

    def view(self, symbol: str, depth: int | None) -> tuple[int, Book] | None:
        """Epoch and book; None for a symbol that is not on this connection."""
        return self._books.view(symbol, depth)

    def book_state(self, symbol: str) -> tuple[bool, datetime] | None:
        """Whether its book is valid, and since when it is or is not."""
        return self._books.state(symbol)

    @property
    def is_live(self) -> bool:
        """Whether all that was asked of it until now and not refused is live."""
        return self.status is StreamStatus.LIVE and self._settled == self._asked

    def close(self) -> None:
        """Ask the thread to end."""
        self.is_stopping = True
        self._bell.ring()

    def abort(self) -> None:
        """It did not end by itself: take the socket from under it."""
        if self._socket is not None:
            self._socket.abort()

    def forked(self) -> None:
        """In a child: the connection is the parent's."""
        if self._socket is not None:
            self._socket.abandon()
        self._bell.close()

    # ------------------------------------------------------------ life of the thread

    def _live(self) -> None:
        supervise(self, self._restarts, self._env.now, (TransportError, StreamError, OSError))
        self._close_socket(GOODBYE_TIMEOUT)
        self._books.disconnected("the connection was closed")
        if self.status is not StreamStatus.FAILED:
            self._become(StreamStatus.CLOSED, "closed")
        self._report()
        self._bell.close()

    def run(self) -> None:
        """One connection, from the first byte to the last."""
        self.pause(self._attempts.wait(self._env.now()))
        if self.is_stopping:
            return
        self._become(StreamStatus.CONNECTING, "connecting")
        session = self._session = self._venue.exchange.session(self.market)
        self._taken = -1
        self._acked, self._refused = frozenset(), set()
        route = session.route()
        path = route if isinstance(route, str) else self._venue.call(route, _ROUTE_S)
        socket = self._socket = WebSocket(
            self._venue.endpoints.stream + path,
            now=self._env.now,
            proxy=self._venue.proxy,
            ca_file=self._venue.ca_file,
        )
        socket.open()
        self._bell.watch(socket.fileno())
        self.counters.connects += 1
        if not self._is_new:
            self.counters.reconnects += 1
        self._is_new = False
        now = self._heard_at = self._env.now()
        self._become(StreamStatus.SYNCING, "connected")
        for text in session.opened(now, self._venue.server_now_ms()):
            socket.send(text)
        self._ask_at = self._tick_at = now
        while not self.is_stopping:
            self._turn(socket, session)

    def pause(self, seconds: float) -> None:
        """Wait, unless asked to end."""
        until = self._env.now() + seconds
        while not self.is_stopping and (left := until - self._env.now()) > 0:
            self._bell.wait(left)

    def failed(self, error: BaseException, *, is_final: bool) -> None:
        """The connection is gone."""
        self._close_socket(0.0)
        for trades in self._trades.values():
            trades.reconnected()
        for candles in self._candles.values():
            candles.reconnected()
        reason = str(error) or type(error).__name__
        expected = isinstance(error, (ExconnectError, OSError))
        if not expected:
            log.error("%s failed", self._label, exc_info=error)
        self._books.disconnected("the connection was lost")
        self._become(StreamStatus.FAILED if is_final else StreamStatus.DOWN, reason, error)

    def _close_socket(self, timeout: float) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            self._bell.watch(None)
            socket.close(timeout)
            self.counters.bytes += socket.received_bytes

    def _turn(self, socket: WebSocket, session: Session) -> None:
        """Wait for one of: a message, something to do, the time to look after things."""
        now = self._env.now()
        if self._taken != self._asked:
            self._adopt(session)
            self._ask_at = now
        while self._errands:
            self._errands.popleft()()
        if now >= self._ask_at:
            texts, self._ask_at = session.due(now, self._venue.server_now_ms())
            for text in texts:
                socket.send(text)
        if now >= self._tick_at:
            self._tick_at = now + _TICK_S
            self._look_after(session, now)
        self._judge()
        timeout = min(self._ask_at, self._tick_at) - now
        if socket.pending() or self._bell.wait(timeout):
            self._read(socket, session)

    def _read(self, socket: WebSocket, session: Session) -> None:
        now, received_at = self._env.now(), self._env.wall()
        for message in socket.receive():
            self._heard_at = now
            if isinstance(message, str):
                self.counters.messages += 1
                self.data_at = now
                try:
                    for event in session.receive(message, now, received_at):
                        self._take[type(event)](event)
                except MalformedMessage as error:
                    self._broken(error, now)
            elif isinstance(message, Ping):
                session.pinged(now)
            else:
                self._broken(_undecodable(message), now)

    def _broken(self, error: MalformedMessage, now: float) -> None:
        self.counters.malformed += 1
        log.warning("%s: a message made no sense: %s", self._label, error)
        if error.symbol is not None:
            self._books.broken(error.symbol, "a message made no sense")
        self._malformed.append(now)
        if len(self._malformed) > _MALFORMED and now - self._malformed[0] <= _MALFORMED_S:
            self._malformed.clear()
            raise TransportError(f"more than {_MALFORMED} messages in {_MALFORMED_S:.0f} s made no sense")

    def _look_after(self, session: Session, now: float) -> None:
        self._report()
        reason = session.overdue(now)
        if reason is None and now - self._heard_at > _SILENCE_S:
            reason = f"nothing was heard for {_SILENCE_S:.0f} s"
        if reason is not None:
            stale = StaleStream(reason, {"state": "suspect", "since": self.since.isoformat()})
            self._become(StreamStatus.SUSPECT, reason, stale)
            raise stale

    # ------------------------------------------------------------ what is wanted, and whether it is there

    def _adopt(self, session: Session) -> None:
        self._taken, want = self._asked, self._want
        self._adopted = want
        topics = frozenset(want.topics)
        self._refused &= topics
        books = {topic.symbol: topic for topic in topics if topic.kind == "book"}
        self._books.want(
            {symbol: (want.topics[topic], topic.depth or want.depths.get(symbol, 0)) for symbol, topic in books.items()}
        )
        trades = {topic.symbol for topic in topics if topic.kind == "trade"}
        self._trades = {symbol: sequence for symbol, sequence in self._trades.items() if symbol in trades}
        candles = {(topic.symbol, topic.interval) for topic in topics if topic.kind == "candle"}
        self._candles = {key: sequence for key, sequence in self._candles.items() if key in candles}
        self._confirm(session.want(topics - self._refused))

    def _judge(self) -> None:
        """LIVE when everything is there, SYNCING as long as something is on its way."""
        want = self._adopted
        is_there = (
            want.is_complete
            and self._taken == self._asked
            and len(self._acked) + len(self._refused) == len(want.topics)
            and self._books.all_valid
        )
        if not is_there:
            if self.status is StreamStatus.LIVE:
                self._become(StreamStatus.SYNCING, "something is on its way")
        elif self.status is not StreamStatus.LIVE or self._settled != self._taken:
            self._settled = self._taken
            if self.status is StreamStatus.LIVE:
                self._changed()
            else:
                self._restarts.healthy(self._env.now())
                self._become(StreamStatus.LIVE, "all that was asked for is there")

    def _become(self, status: StreamStatus, reason: str, cause: BaseException | None = None) -> None:
        old, self.status = self.status, status
        self.cause = cause
        self.since = self._env.wall()
        level = logging.WARNING if status in (StreamStatus.DOWN, StreamStatus.SUSPECT) else logging.INFO
        log.log(level, "%s: %s → %s: %s", self._label, old, status, reason)
        self._router.publish(
            StatusChanged(
                exchange=self._exchange,
                time=self.since,
                connection=self.name,
                old=old,
                status=status,
                reason=reason,
                cause=cause,
            )
        )
        self._changed()

    @property
    def _label(self) -> str:
        return f"{self._exchange} {self.name}"

    def _report(self) -> None:
        """Hand the figures on."""
        for name in Counters.__slots__:
            value = getattr(self.counters, name)
            more = value - getattr(self._reported, name)
            if more:
                setattr(self._reported, name, value)
                self._venue.metrics.count(f"stream_{name}", more, connection=self.name)

    # ------------------------------------------------------------ what comes

    def _ack(self, event: Acked) -> None:
        self._confirm(self._acked | event.topics)
        self._ask_at = 0.0

    def _confirm(self, topics: Set[Topic]) -> None:
        self._acked = topics & self._adopted.topics.keys()
        for topic in self._acked:
            if topic.kind == "book":
                self._books.subscribed(topic.symbol)

    def _refuse(self, event: Refused) -> None:
        refused = event.topics & self._adopted.topics.keys()
        self._refused |= refused
        self._ask_at = 0.0
        for topic in sorted(refused):
            log.warning("%s: %s of %s was refused: %s", self._label, topic.kind, topic.symbol, event.reason)
            self._router.publish(
                TopicRefused(
                    exchange=self._exchange,
                    time=self._env.wall(),
                    symbol=topic.symbol,
                    reason=event.reason,
                    kind=topic.kind,
                )
            )

    def _closing(self, event: Closing) -> None:
        raise TransportError(f"the exchange is about to close the connection: {event.reason}")

    def _unknown(self, event: Unknown) -> None:
        self.counters.unknown += 1
        log.debug("%s: a message of an unknown kind: %s", self._label, event.name)

    def _ticker(self, ticker: Ticker) -> None:
        self._router.route(Address("ticker", ticker.symbol), ticker)

    def _trade(self, trade: Trade) -> None:
        sequence = self._trades.get(trade.symbol)
        if sequence is None:
            sequence = TradeSequence(is_consecutive=self.market.has_consecutive_trades)
            self._trades[trade.symbol] = sequence
        is_new, missing = sequence.follow(trade)
        if is_new:
            gap = missing and self._gap("trade", trade.symbol, missing)
            self._router.route(Address("trade", trade.symbol), trade, gap)

    def _candle(self, candle: Candle) -> None:
        key = candle.symbol, candle.interval
        is_new, missing = self._candles.setdefault(key, CandleSequence()).follow(candle)
        if is_new:
            gap = missing and self._gap("candle", candle.symbol, missing)
            self._router.route(Address("candle", *key), candle, gap)

    def _gap(self, kind: str, symbol: str, missing: Missing) -> Gap:
        self.counters.gaps += 1
        gap = Gap(
            exchange=self._exchange,
            time=self._env.wall(),
            symbol=symbol,
            reason=missing.reason,
            kind=kind,
            first_id=missing.first_id,
            last_id=missing.last_id,
            count=missing.items,
        )
        log.warning("%s: %s of %s are missing: %s to %s", self._label, kind, symbol, gap.first_id, gap.last_id)
        self._router.publish(gap)
        return gap

    # ------------------------------------------------------------ for the books

    def book_changed(self, symbol: str) -> None:
        """There is a newer valid book."""
        self._router.route(Address("book", symbol), None)

    def book_broke(self, symbol: str, fault: Fault) -> None:
        """It was valid and is not any more."""
        if self.is_stopping:
            return
        self.counters.resyncs += 1
        book_log.warning("%s: the book of %s is not valid: %s", self._label, symbol, fault.reason)
        self._router.publish(
            BookOutOfSync(
                exchange=self._exchange,
                time=self._env.wall(),
                symbol=symbol,
                reason=fault.reason,
                expected=fault.expected,
                got=fault.got,
            )
        )

    def fetch_snapshot(self, instrument: Instrument, depth: int, generation: int, delay: float) -> None:
        """On the venue's errand thread; what comes is worked off in this one."""
        job = partial(self._fetch, instrument, depth, generation)
        self._venue.jobs("market").submit(job, delay)

    def _fetch(self, instrument: Instrument, depth: int, generation: int) -> None:
        if self.is_stopping:
            return
        symbol = instrument.symbol
        try:
            call = self._venue.exchange.rest.book_snapshot(instrument, depth)
            snapshot = self._venue.call(call, _SNAPSHOT_S)
        except Exception as error:  # noqa: BLE001 - whatever it was, the book must be asked for again
            wait = (error.retry_after if isinstance(error, ExconnectError) else None) or 0.0
            book_log.warning("%s: no snapshot of %s: %s", self._label, symbol, error)
            self._do(partial(self._books.failed, symbol, generation, wait))
        else:
            self._do(partial(self._books.load, symbol, generation, snapshot, depth))

    def renew(self, symbol: str, delay: float) -> None:
        """Subscribe anew: what is wanted is said without it, then with it again."""
        self._venue.jobs("market").submit(partial(self._do, partial(self._renew, symbol)), delay)

    def _renew(self, symbol: str) -> None:
        topics = frozenset(self._adopted.topics)
        books = {topic for topic in topics if topic.kind == "book" and topic.symbol == symbol}
        for wanted in (topics - books - self._refused, topics - self._refused):
            self._session.want(wanted)
            texts, self._ask_at = self._session.due(self._env.now(), self._venue.server_now_ms())
            for text in texts:
                if self._socket is not None:
                    self._socket.send(text)

    def _do(self, errand: Callable[[], None]) -> None:
        """From another thread: have it done in this one, if there is a connection."""
        self._errands.append(errand)
        self._bell.ring()


def _undecodable(message: Undecodable) -> MalformedMessage:
    return MalformedMessage(f"a message is no text: {message.reason}")


def _ignore(event: Event) -> None:
    """Replies to calls that nobody makes on a public connection."""
