"""A connection for market data: topics, books, sequences. Everything that comes in is worked off in its thread.

Books are updated before anybody is told.

Before an exchange closes a connection, another relieves it: the new one is made while the old one goes on, holds back
what comes until it has all that is wanted, then takes over where the old one stands. Nothing is lost or told twice.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Set  # noqa: PYI025
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from exconnect.errors import ExconnectError, MalformedMessage
from exconnect.feeds.books import Books
from exconnect.feeds.connection import Connection, Supply
from exconnect.feeds.continuity import CandleSequence, Missing, TradeSequence
from exconnect.feeds.handlers import Router
from exconnect.feeds.registration import Address
from exconnect.model.enums import StreamStatus
from exconnect.model.events import BookOutOfSync, Gap, TopicRefused
from exconnect.model.market import Candle, Ticker, Trade
from exconnect.protocol.session import Acked, BookUpdate, Closing, Refused, Topic
from exconnect.runtime.actor import NEVER

if TYPE_CHECKING:
    from datetime import datetime

    from exconnect.feeds.budget import Attempts
    from exconnect.model.instrument import Instrument
    from exconnect.model.market import Book
    from exconnect.protocol.book import Fault
    from exconnect.protocol.exchange import Market
    from exconnect.protocol.session import Session

log = logging.getLogger("exconnect.stream")
book_log = logging.getLogger("exconnect.book")

_SNAPSHOT_S = 10.0
_RELIEF = 22 / 24, 23 / 24  # of its life, at random in between: then another connection relieves it
_HELD = 100_000  # items that wait for a predecessor to fall silent; what is more than that is a gap, and told
_OFFLINE = "the connection was lost"
_LEVEL_S = 2.0  # books that are behind the predecessor's for longer are counted anew

_Item = Trade | Ticker | Candle


@dataclass(frozen=True, slots=True)
class Want:
    """All that a connection is to carry: topics with their instruments, levels a side by symbol.

    `is_complete`: nothing is still being looked up.
    """

    topics: dict[Topic, Instrument] = field(default_factory=dict)
    depths: dict[str, int] = field(default_factory=dict)
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a connection stands when it falls silent."""

    trades: dict[str, TradeSequence]
    candles: dict[tuple[str, str], CandleSequence]
    books: dict[str, tuple[int, int]]


class Relief(Protocol):
    """Who makes the connection that relieves another."""

    def relieve(self, feed: Feed) -> None:
        """Its life ends soon. Asking again changes nothing."""

    def relieved(self, feed: Feed, successor: Feed) -> None:
        """The successor speaks from now on."""


class Feed(Connection):
    """A connection for market data. A successor is silent until its predecessor is."""

    def __init__(
        self,
        name: str,
        venue: Supply,
        market: Market,
        router: Router,
        attempts: Attempts,
        changed: Callable[[], None],
        *,
        relief: Relief,
        predecessor: Feed | None = None,
    ) -> None:
        super().__init__(name, venue, market, router, attempts, changed)
        self._relief = relief
        self._relief_at = NEVER
        self._predecessor = predecessor
        self._held: deque[_Item] | None = None if predecessor is None else deque(maxlen=_HELD)
        self._was_gone = False
        self._level_by = NEVER
        self._books = Books(venue.env, venue.exchange, market, self)
        # By others; by this thread. Until the first is said nothing is complete: the thread may be at it before that.
        self._want = self._adopted = Want(is_complete=False)
        self._trades: dict[str, TradeSequence] = {}
        self._candles: dict[tuple[str, str], CandleSequence] = {}
        self._session: Session = venue.exchange.session(market)
        self._refused: dict[Topic, str] = {}  # and why; replaced, never changed: others read it
        self._take |= {
            BookUpdate: self._books.receive,
            Trade: self._trade,
            Ticker: self._ticker,
            Candle: self._candle,
            Acked: self._ack,
            Refused: self._refuse,
        }

    # ------------------------------------------------------------ for other threads

    def want(self, want: Want) -> None:
        """Carry this from now on."""
        self._want = want
        self._asked += 1
        self._bell.ring()

    def same_as(self, other: Feed) -> None:
        """Carry what the other carries."""
        self.want(other._want)

    def view(self, symbol: str, depth: int | None) -> tuple[int, Book] | None:
        """Epoch and book; None for a symbol that is not on this connection."""
        return self._books.view(symbol, depth)

    def book_state(self, symbol: str) -> tuple[bool, datetime] | None:
        """Whether its book is valid, and since when it is or is not."""
        return self._books.state(symbol)

    def refusal(self, symbol: str) -> str | None:
        """Why the exchange refused the book of this symbol, in its own words; None: it did not."""
        reasons = (why for topic, why in self._refused.items() if (topic.kind, topic.symbol) == ("book", symbol))
        return next(reasons, None)

    # ------------------------------------------------------------ the connection

    def _base(self) -> str:
        return self._venue.endpoints.stream

    def _begin(self) -> Session:
        self._session = self._venue.exchange.session(self.market)
        self._refused = {}
        if self.market.lifetime_s is not None:
            self._relief_at = self._env.now() + self.market.lifetime_s * self._env.uniform(*_RELIEF)
        return self._session

    def _tend(self, now: float) -> None:
        if now >= self._relief_at:
            self._relief.relieve(self)
        self._books.tend(now)

    def _closing(self, event: Closing) -> None:
        """There is still time for another connection to relieve this one, unless it may not be made at once."""
        if event.retry_after is not None:
            super()._closing(event)
        log.info("%s: the exchange is about to close the connection: %s", self._label, event.reason)
        self._relief.relieve(self)

    def _garbled(self, error: MalformedMessage) -> None:
        reason, what = "a message made no sense", error.details.get("topic")
        if error.symbol is not None and what in (None, "book"):
            self._books.broken(error.symbol, reason)
        if what != "book":
            self._maybe_missed(error.symbol, reason)

    def _gone(self, reason: str) -> None:
        self._was_gone = True
        self._maybe_missed(None, _OFFLINE)
        self._books.disconnected(reason)

    def _maybe_missed(self, symbol: str | None, reason: str) -> None:
        """What comes next, of a symbol or of all, may not follow what came last."""
        for name, trades in self._trades.items():
            if symbol in (None, name):
                trades.interrupted(reason)
        for (name, _), candles in self._candles.items():
            if symbol in (None, name):
                candles.interrupted(reason)

    # ------------------------------------------------------------ one relieves the other

    def _take_over(self, predecessor: Feed) -> None:
        """All that is wanted is here: have the predecessor fall silent, as soon as the books have caught up with it."""
        now = self._env.now()
        self._level_by = min(self._level_by, now + _LEVEL_S)
        ahead, mine = predecessor._books.standing(), self._books.standing()
        if now >= self._level_by or all(mine[symbol][1] >= ahead.get(symbol, (0, 0))[1] for symbol in mine):
            self._predecessor = None
            predecessor._do(partial(predecessor._fall_silent, self))

    def _fall_silent(self, successor: Feed) -> None:
        self._held = deque(maxlen=0)
        standing = Standing(self._trades, self._candles, self._books.standing())
        self._trades, self._candles = {}, {}
        successor._do(partial(successor._speak, self, standing))

    def _speak(self, predecessor: Feed, standing: Standing) -> None:
        """Go on where the predecessor stood, with what was held back."""
        self._trades, self._candles = standing.trades, standing.candles
        if self._was_gone:
            self._maybe_missed(None, _OFFLINE)
        self._books.succeed(standing.books)
        self._relief.relieved(predecessor, self)
        held, self._held = self._held or (), None
        for item in held:
            self._take[type(item)](item)
        self._books.tell()

    def _holds(self, item: _Item) -> bool:
        """Whether it is not this connection's turn to speak: the item is kept for later."""
        if self._held is None:
            return False
        self._held.append(item)
        return True

    # ------------------------------------------------------------ what is wanted, and whether it is there

    def _adopt(self, session: Session) -> None:
        self._taken, want = self._asked, self._want
        self._adopted = want
        topics = frozenset(want.topics)
        self._refused = {topic: why for topic, why in self._refused.items() if topic in topics}
        self._keep_books()
        trades = {topic.symbol for topic in topics if topic.kind == "trade"}
        self._trades = {symbol: sequence for symbol, sequence in self._trades.items() if symbol in trades}
        candles = {(topic.symbol, topic.interval) for topic in topics if topic.kind == "candle"}
        self._candles = {key: sequence for key, sequence in self._candles.items() if key in candles}
        self._confirm(session.want(topics - self._refused.keys()))

    def _keep_books(self) -> None:
        """Those that are wanted; one that is refused will not come, and is not waited for."""
        want = self._adopted
        books = {topic.symbol: topic for topic in want.topics if topic.kind == "book" and topic not in self._refused}
        self._books.want(
            {symbol: (want.topics[topic], topic.depth or want.depths.get(symbol, 0)) for symbol, topic in books.items()}
        )

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
                self._become(StreamStatus.SYNCING, "waiting for acknowledgements or snapshots")
        elif self.status is not StreamStatus.LIVE or self._settled != self._taken:
            self._settled = self._taken
            if self.status is StreamStatus.LIVE:
                self._changed()
            else:
                self._restarts.healthy(self._env.now())
                self._become(StreamStatus.LIVE, "all that was asked for is there")
        if self._predecessor is not None and self.status is StreamStatus.LIVE:
            self._take_over(self._predecessor)

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
        self._refused = {**self._refused, **dict.fromkeys(refused, event.reason)}
        self._keep_books()
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

    def _ticker(self, ticker: Ticker) -> None:
        if self._holds(ticker):
            return
        self._router.route(Address("ticker", ticker.symbol), ticker)

    def _trade(self, trade: Trade) -> None:
        if self._holds(trade):
            return
        sequence = self._trades.get(trade.symbol)
        if sequence is None:
            sequence = TradeSequence(is_consecutive=self.market.has_consecutive_trades)
            self._trades[trade.symbol] = sequence
        is_new, missing = sequence.follow(trade)
        if is_new:
            gap = missing and self._gap("trade", trade.symbol, missing)
            self._router.route(Address("trade", trade.symbol), trade, gap)

    def _candle(self, candle: Candle) -> None:
        if self._holds(candle):
            return
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
        if self._held is not None:
            return
        self._router.route(Address("book", symbol), None)

    def book_broke(self, symbol: str, fault: Fault) -> None:
        """It was valid and is not any more."""
        if self.is_stopping or self._held is not None:
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

    def fetch_audit(self, instrument: Instrument, depth: int, generation: int) -> None:
        """On the venue's errand thread; what comes is worked off in this one."""
        self._venue.jobs("market").submit(partial(self._fetch_audit, instrument, depth, generation))

    def _fetch_audit(self, instrument: Instrument, depth: int, generation: int) -> None:
        symbol = instrument.symbol
        try:
            snapshot = self._venue.call(self._venue.exchange.rest.book_snapshot(instrument, depth), _SNAPSHOT_S)
        except Exception as error:  # noqa: BLE001 - whatever it was, there will be other audits
            book_log.info("%s: no audit of %s: %s", self._label, symbol, error)
            self._do(partial(self._books.unaudited, symbol))
        else:
            self._do(partial(self._books.audit, symbol, generation, snapshot))

    def book_audited(self, symbol: str, *, is_right: bool) -> None:
        """It was compared with what the exchange says."""
        self.counters.audits += 1
        self.counters.audit_mismatches += not is_right

    def renew(self, symbol: str, delay: float) -> None:
        """Subscribe anew: what is wanted is said without it, then with it again."""
        self._venue.jobs("market").submit(partial(self._do, partial(self._renew, symbol)), delay)

    def _renew(self, symbol: str) -> None:
        topics = frozenset(self._adopted.topics)
        self._books.renewed(symbol)
        books = {topic for topic in topics if topic.kind == "book" and topic.symbol == symbol}
        for wanted in (topics - books - self._refused.keys(), topics - self._refused.keys()):
            self._session.want(wanted)
            texts, self._ask_at = self._session.due(self._env.now(), self._venue.server_now_ms())
            for text in texts:
                if self._socket is not None:
                    self._socket.send(text)
