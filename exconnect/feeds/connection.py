"""One connection and its thread, whatever it is for: socket, session, status, and how it is made again.

The thread waits on its socket and on a doorbell in one selector, so that what others want of it takes effect at once
and the session needs no lock.
"""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Set  # noqa: PYI025
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from exconnect.errors import ExconnectError, MalformedMessage, StaleStream, StreamError, TransportError
from exconnect.feeds.doorbell import Doorbell
from exconnect.feeds.handlers import Router
from exconnect.feeds.registration import Counters
from exconnect.model.enums import StreamStatus
from exconnect.model.events import StatusChanged
from exconnect.protocol.session import Closing, Event, Reply, Topic, Unknown
from exconnect.runtime.actor import Thread
from exconnect.runtime.supervisor import Restarts, supervise
from exconnect.transport.websocket import GOODBYE_TIMEOUT, Ping, Undecodable, WebSocket

if TYPE_CHECKING:
    from exconnect.endpoints import Endpoints
    from exconnect.environment import Environment
    from exconnect.feeds.budget import Attempts
    from exconnect.feeds.records import Records
    from exconnect.metrics import Metrics
    from exconnect.model.instrument import Instrument
    from exconnect.model.order import Order
    from exconnect.protocol.call import Call
    from exconnect.protocol.exchange import Exchange, Market
    from exconnect.protocol.session import Session
    from exconnect.protocol.signing import Signer
    from exconnect.runtime.jobs import Jobs

T = TypeVar("T")

log = logging.getLogger("exconnect.stream")

_TICK_S = 1.0  # how often a connection on which nothing happens is looked at
_SILENCE_S = 60.0
_LEVELS = {
    StreamStatus.FAILED: logging.ERROR,
    StreamStatus.DOWN: logging.WARNING,
    StreamStatus.SUSPECT: logging.WARNING,
}
_ROUTE_S = 5.0
_MALFORMED, _MALFORMED_S = 3, 10.0


class Zombies(Protocol):
    """Tells of orders that showed up although they counted as never accepted."""

    def listen(self, hear: Callable[[Order], object]) -> None:
        """Call this method, as long as its object lives."""


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

    def stopped_for(self) -> float:
        """Seconds for which the exchange wants to hear nothing at all."""

    def stop(self, seconds: float, cause: str) -> None:
        """The exchange said stop on a connection that counts as calls do: they wait too."""

    def jobs(self, name: str) -> Jobs:
        """A background thread of the venue."""

    def signer(self) -> Signer:
        """Who signs for the account.

        Raises:
            ConfigurationError: nobody does.
        """

    def sync_clock(self, timeout: float) -> None:
        """Ask the exchange for the time."""

    @property
    def records(self) -> Records:
        """What is known of the account."""

    @property
    def zombies(self) -> Zombies:
        """Tells of the account's orders that should not exist."""


class Connection(ABC):
    """A connection for one market. `changed` is told, in its thread, after each change of status.

    What it carries, and what becomes of what comes in, is for the kinds of connection to say.
    """

    def __init__(
        self,
        name: str,
        venue: Supply,
        market: Market,
        router: Router,
        attempts: Attempts,
        changed: Callable[[], None],
    ) -> None:
        self.name = name
        self.market = market
        self.pid = os.getpid()
        self.status = StreamStatus.IDLE
        self.since = venue.env.wall()
        self.cause: BaseException | None = None
        self._lamented = ""  # why it was lost, as the log has it
        self.counters = Counters()
        self.is_stopping = False
        self._end = "closed"
        self.thread: Thread | None = None
        self.data_at = 0.0
        self._venue = venue
        self._env = venue.env
        self._exchange = venue.exchange.name
        self._router = router
        self._attempts = attempts
        self._changed = changed
        self._asked = self._settled = 0  # how often somebody wanted something else; up to where that is live
        self._taken = 0
        self._acked: Set[Topic] = frozenset()
        self._errands: deque[Callable[[], None]] = deque()
        self._socket: WebSocket | None = None
        self._restarts = Restarts(venue.env.uniform)
        self._bell = Doorbell()
        self._is_new = True
        self._heard_at = self._ask_at = self._tick_at = self._not_before = 0.0
        self._malformed: deque[float] = deque(maxlen=_MALFORMED + 1)
        self._reported = Counters()
        self._take: dict[type, Callable[[Any], None]] = {
            Closing: self._closing,
            Unknown: self._unknown,
            Reply: _ignore,
        }

    # ------------------------------------------------------------ for each kind to say

    @abstractmethod
    def _base(self) -> str:
        """URL that the session's path is below."""

    @abstractmethod
    def _begin(self) -> Session:
        """A connection is about to be made: nothing of the last one holds any more; who will talk on it."""

    @abstractmethod
    def _adopt(self, session: Session) -> None:
        """Tell the session what is wanted by now."""

    @abstractmethod
    def _judge(self) -> None:
        """Be LIVE if everything is there, SYNCING as long as something is on its way."""

    @abstractmethod
    def _garbled(self, error: MalformedMessage) -> None:
        """A message made no sense; there may be more of its kind."""

    @abstractmethod
    def _gone(self, reason: str) -> None:
        """The connection is gone, for now or for good."""

    def _tend(self, now: float) -> None:  # noqa: B027 - nothing, unless a kind has something
        """Once a second."""

    # ------------------------------------------------------------ for other threads

    def start(self) -> None:
        """Start the thread."""
        self.thread = self._env.spawn(f"exconnect.{self._exchange}.feed.{self.name}", self._live)

    @property
    def is_live(self) -> bool:
        """Whether all that was asked of it until now and not refused is live."""
        return self.status is StreamStatus.LIVE and self._settled == self._asked

    def close(self, reason: str = "closed") -> None:
        """Ask the thread to end."""
        self._end = reason
        self.is_stopping = True
        self._bell.ring()

    def abort(self) -> None:
        """It did not end by itself: take the socket from under it."""
        socket = self._socket  # its own thread may give it up at any moment
        if socket is not None:
            socket.abort()

    def forked(self) -> None:
        """In a child: the connection is the parent's."""
        if self._socket is not None:
            self._socket.abandon()
        self._bell.close()

    def _do(self, errand: Callable[[], None]) -> None:
        """From another thread: have it done in this one, if there is a connection."""
        self._errands.append(errand)
        self._bell.ring()

    # ------------------------------------------------------------ life of the thread

    def _live(self) -> None:
        supervise(self, self._restarts, self._env.now, (TransportError, StreamError, OSError))
        self._close_socket(GOODBYE_TIMEOUT)
        self._gone("the connection was closed")
        if self.status is not StreamStatus.FAILED:
            self._become(StreamStatus.CLOSED, self._end)
        self._report()
        self._bell.close()

    def run(self) -> None:
        """One connection, from the first byte to the last."""
        self.pause(max(self._attempts.wait(self._env.now()), self._not_before - self._env.now()))
        if self.is_stopping:
            return
        self._become(StreamStatus.CONNECTING, "connecting")
        session = self._begin()
        self._taken = -1
        self._acked = frozenset()
        route = session.route()
        path = route if isinstance(route, str) else self._venue.call(route, _ROUTE_S)
        socket = self._socket = WebSocket(
            self._base() + path,
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
            self._run_errands()

    def failed(self, error: BaseException, *, is_final: bool) -> None:
        """The connection is gone."""
        self._close_socket(0.0)
        reason = str(error) or type(error).__name__
        expected = isinstance(error, (ExconnectError, OSError))
        if not expected:
            log.error("%s failed", self._label, exc_info=error)
        self._gone("the connection was lost")
        self._become(StreamStatus.FAILED if is_final else StreamStatus.DOWN, reason, error)

    def _give_up(self, error: BaseException) -> None:
        """Trying again would not help."""
        self.is_stopping = True
        self._become(StreamStatus.FAILED, str(error), error)

    def _close_socket(self, timeout: float) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            self._bell.watch(None)
            socket.close(timeout)

    def _run_errands(self) -> None:
        while self._errands:
            self._errands.popleft()()

    def _turn(self, socket: WebSocket, session: Session) -> None:
        """Wait for one of: a message, something to do, the time to look after things."""
        now = self._env.now()
        if self._taken != self._asked:
            self._adopt(session)
            self._ask_at = now
        self._run_errands()
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
        before = socket.received_bytes
        messages = socket.receive()
        self.counters.bytes += socket.received_bytes - before
        for message in messages:
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
        self._garbled(error)
        self._malformed.append(now)
        if len(self._malformed) > _MALFORMED and now - self._malformed[0] <= _MALFORMED_S:
            self._malformed.clear()
            raise TransportError(f"more than {_MALFORMED} messages in {_MALFORMED_S:.0f} s made no sense")

    def _look_after(self, session: Session, now: float) -> None:
        self._report()
        self._tend(now)
        reason = session.overdue(now)
        if reason is None and now - self._heard_at > _SILENCE_S:
            reason = f"nothing was heard for {_SILENCE_S:.0f} s"
        if reason is not None:
            self._suspect(reason)

    def _suspect(self, reason: str) -> NoReturn:
        stale = StaleStream(reason, {"state": "suspect", "since": self.since.isoformat()})
        self._become(StreamStatus.SUSPECT, reason, stale)
        raise stale

    def _become(self, status: StreamStatus, reason: str, cause: BaseException | None = None) -> None:
        old = self.status
        if old is StreamStatus.FAILED:
            return
        self.status, self.cause = status, cause
        self.since = self._env.wall()
        log.log(self._level(status, reason), "%s: %s → %s: %s", self._label, old, status, reason)
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

    def _level(self, status: StreamStatus, reason: str) -> int:
        """How loud the log is to be: an outage of hours is no warning for every attempt to end it."""
        level = _LEVELS.get(status, logging.INFO)
        if status is StreamStatus.DOWN and reason == self._lamented:
            return logging.INFO
        if status in (StreamStatus.DOWN, StreamStatus.LIVE):
            self._lamented = reason
        return level

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

    # ------------------------------------------------------------ what comes on every kind

    def _closing(self, event: Closing) -> None:
        self._not_before = self._env.now() + (event.retry_after or 0.0)
        raise TransportError(f"the exchange is about to close the connection: {event.reason}")

    def _unknown(self, event: Unknown) -> None:
        self.counters.unknown += 1
        log.debug("%s: a message of an unknown kind: %s", self._label, event.name)


def _undecodable(message: Undecodable) -> MalformedMessage:
    return MalformedMessage(f"a message is no text: {message.reason}")


def _ignore(event: Event) -> None:
    """Replies to calls that nobody makes on a public connection."""
