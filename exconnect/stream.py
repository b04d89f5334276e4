"""`Stream`: market data of one exchange and events of an account, handed to plain functions in threads of their own."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn, Self

from exconnect.errors import (
    BookNotReady,
    ForkedStream,
    InvalidArgument,
    InvalidType,
    NotSupported,
    StreamError,
)
from exconnect.feeds.registration import (
    PUBLIC,
    REPORTS,
    Counters,
    Handler,
    Registration,
    Subscription,
    symbols_of,
    whole_of,
)
from exconnect.listening import DEPTH, MAX_DEPTH, Listening
from exconnect.model.enums import StreamStatus
from exconnect.model.market import INTERVALS, Book
from exconnect.model.values import seconds_of
from exconnect.runtime import fork, leaving
from exconnect.runtime.callbacks import is_unheard, name_of

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from exconnect.feeds.connection import Supply
    from exconnect.feeds.connections import Connections

__all__ = ["Handler", "Stream", "Subscription", "run"]

log = logging.getLogger("exconnect.stream")

_ADVICE = {
    StreamStatus.IDLE: ": start() comes first",
    StreamStatus.CONNECTING: ": wait_live() waits for it",
    StreamStatus.SYNCING: ": wait_live() waits for it",
}
_LOOK_S = 0.2  # how often `run` looks whether a signal came


class Stream(Listening):
    """Live market data, and the account's own events. Made by `client.stream(...)`; opens nothing before `start()`.

    Which of the exchange's topics a handler hears is in the documentation: "How the exchanges differ".

    Handlers may be registered and taken back at any time, from any thread and from handlers. A stream may be shared
    by all threads of a process; in a forked child it is `FORKED` until it is started there.
    """

    def __init__(
        self,
        venue: Callable[[], Supply],
        exchange: str,
        symbols: tuple[str, ...],
        name: str | None = None,
        check_private: Callable[[], object] | None = None,
        intervals: Sequence[str] = INTERVALS,
    ) -> None:
        super().__init__(exchange, symbols, check_private, intervals)
        self._venue = venue
        self._name = name or exchange
        self._kept: dict[str, int] = {}  # books that are kept without a handler, with their depth
        self._runs: dict[int, Connections] = {}  # by process id: what one process made, another must not touch
        self._past: list[Counters] = []
        self._starting: dict[int, threading.Lock] = {}  # by process id too: a lock that is held crosses a fork

    def _apply(self) -> None:
        run = self._mine()
        if run is not None:
            run.want(self._registrations, self._kept)

    # ------------------------------------------------------------ starting and ending

    def start(self) -> Self:
        """Connect and deliver, in threads of its own; returns at once. Running already: nothing happens.

        What no handler asks for is not subscribed; without any, a WARNING says so. One may be registered later.
        Failures of the network do not come from here but as `on_status`.

        Raises:
            ClientClosed: the stream or its client was closed.
        """
        self._check_open()
        venue, pid = self._venue(), os.getpid()
        old = self._runs.get(pid)
        if old is not None and not old.is_closing:
            return self
        from exconnect.feeds.connections import Connections  # what only a start needs costs an import nothing

        new = Connections(venue, self._name, self._symbols, {} if old is None else old.handler_threads(), self)
        if not self._replace(pid, old, new):
            return self  # another thread has started it
        fork.watch(new)
        leaving.watch(new)
        new.want(self._registrations, self._kept)
        if self._is_closed:  # meanwhile, by somebody who did not see these connections
            self.stop()
        self._check_open()
        self._warn_of_silence()
        return self

    def _replace(self, pid: int, old: Connections | None, new: Connections) -> bool:
        past = [] if old is None else old.counters()
        with self._starting.setdefault(pid, threading.Lock()):
            if self._runs.get(pid) is not old:
                return False
            self._past.extend(past)
            self._runs[pid] = new
        for other, run in list(self._runs.items()):
            if other != pid:
                run.forked()
                self._runs.pop(other, None)
        return True

    def _warn_of_silence(self) -> None:
        registrations = list(self._registrations.values())
        if not self._kept and all(registration.kind in REPORTS for registration in registrations):
            log.warning("%s hears nothing: no handler is registered, as on_book(handler) does it", self._name)
        for registration in registrations:
            is_market = registration.kind in PUBLIC
            if registration.has_all and is_market and not self._heard(registration):
                log.warning(
                    "on_%s: %s hears nothing: neither the stream nor another handler names a symbol",
                    registration.kind,
                    name_of(registration.handler),
                )

    def stop(self, timeout: float = 5.0) -> None:
        """End connections and threads within `timeout` seconds; no call begins after it returned.

        Registrations are kept for another `start()`. From a handler it only signals.
        """
        run = self._mine()
        if run is None:
            return
        if run.is_mine(threading.current_thread()):
            run.signal()
        else:
            run.close(seconds_of(timeout, "timeout"))

    def close(self, timeout: float = 5.0) -> None:
        """As `stop`, for good. Idempotent, from any thread and handler; nothing in a process that did not start it."""
        if self.status is not StreamStatus.FORKED:
            self._is_closed = True
            self.stop(timeout)

    def complete_through(self, symbol: str, kind: str) -> NoReturn:
        """Until when nothing of that kind is missing. Not delivered yet.

        Raises:
            NotSupported: always.
        """
        raise self._later("complete_through")

    def health(self) -> NoReturn:
        """How its connections are doing. Not delivered yet: `status`, `subscriptions` and `metrics()` are.

        Raises:
            NotSupported: always.
        """
        raise self._later("health")

    def _later(self, operation: str) -> NotSupported:
        text = f"{operation} is not delivered yet: status, subscriptions and metrics() say how a stream is doing"
        return NotSupported(text, {"exchange": self._exchange, "operation": operation})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait(self, timeout: float | None = None) -> bool:
        """Until it is stopped or closed and no handler is in a call any more: True; False at the deadline.

        Raises:
            BaseException: a connection is `FAILED`; this is why.
            ForkedStream: this process did not start it.
            StreamError: called from one of its handlers, which would wait for itself.
        """
        self._check_fork()
        run = self._mine()
        if run is None:
            return True
        if run.is_mine(threading.current_thread()):
            raise StreamError("wait() was called from a handler, which would wait for itself")
        is_over = run.wait_end(timeout)
        if run.cause is not None:
            raise run.cause
        return is_over

    def wait_live(self, timeout: float | None = 30.0) -> bool:
        """Until all that was asked for and not refused is live; False at the deadline, or when it is not running.

        Raises:
            ForkedStream: this process did not start it.
        """
        self._check_fork()
        run = self._mine()
        return run is not None and run.wait_live(timeout)

    # ------------------------------------------------------------ reading

    def book(self, symbol: str, *, stale_ok: bool = False) -> Book:
        """The current book, 50 levels a side or the greatest `depth` that is registered; from any thread.

        Args:
            symbol: registered with `on_book`.
            stale_ok: rather the last one, with `is_valid` False, than none.

        Raises:
            BookNotReady: not valid now; `.state` since `.since`. `.state` is `"refused"` when it will not come: the
                message says why.
            InvalidArgument: not registered.
            ForkedStream: this process did not start the stream.
        """
        self._check_fork()
        depths = [
            registration.options.depth
            for registration in list(self._registrations.values())
            if registration.kind == "book" and symbol in self._heard(registration)
        ]
        depths.extend(depth for kept, depth in list(self._kept.items()) if kept == symbol)
        if not depths:
            text = f"no book of {symbol!r} is registered: stream.on_book(handler, {symbol!r}) comes first"
            raise InvalidArgument(text, {"argument": "symbol"})
        return self._look(symbol, max(DEPTH, *depths), stale_ok=stale_ok)

    def _look(self, symbol: str, depth: int, *, stale_ok: bool = False) -> Book:
        run = self._mine()
        seen = None if run is None else run.view(symbol, depth)
        if seen is not None and (seen[1].is_valid or (stale_ok and seen[0] > 0)):
            return seen[1]
        state = None if run is None else run.book_state(symbol)
        since = None if state is None else state[1].isoformat()
        refusal, status = None if run is None else run.refusal(symbol), self.status
        if refusal is not None:
            text, how = f"the book of {symbol} was refused: {refusal}", "refused"
        else:
            now = f"the stream is {status}{_ADVICE.get(status, '')}"
            text, how = f"the book of {symbol} is not valid now ({now})", str(status)
        raise BookNotReady(text, {"exchange": self._exchange, "symbol": symbol, "state": how, "since": since})

    def _keep_book(self, symbol: str, depth: int) -> None:
        """Keep this book without a handler, for whoever looks at it."""
        wanted = whole_of(depth, "depth", MAX_DEPTH)
        self._kept[symbols_of((symbol,))[0]] = max(wanted, self._kept.get(symbol, 0))
        self._apply()

    def _peek(self, symbol: str, depth: int) -> tuple[Book, float]:
        """A book that is kept, and for how many seconds its connection has brought nothing but pings.

        Raises:
            BookNotReady: not valid now.
            ForkedStream: this process did not start the stream.
        """
        self._check_fork()
        book, run = self._look(symbol, depth), self._mine()
        return book, 0.0 if run is None else run.data_age(symbol)

    @property
    def status(self) -> StreamStatus:
        """The worst of its connections."""
        run = self._mine()
        if run is not None and not run.is_closing:
            return run.status
        if run is None and any(not other.is_closing for other in list(self._runs.values())):
            return StreamStatus.FORKED
        return StreamStatus.CLOSED if self._is_closed else StreamStatus.IDLE

    @property
    def name(self) -> str:
        """What it was called, or the exchange."""
        return self._name

    @property
    def exchange(self) -> str:
        """The exchange that it comes from."""
        return self._exchange

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols it was made with and those that registrations name."""
        registrations = [r for r in list(self._registrations.values()) if r.kind != "balance"]
        named = [symbol for registration in registrations for symbol in list(registration.named)]
        return tuple(dict.fromkeys((*self._symbols, *named, *list(self._kept))))

    @property
    def subscriptions(self) -> list[Subscription]:
        """What became of each registration."""
        run = self._mine()
        return [self._subscription(registration, run) for registration in list(self._registrations.values())]

    def _subscription(self, registration: Registration, run: Connections | None) -> Subscription:
        idle = registration.dropped, registration.conflated, 0, 0.0
        dropped, conflated, waiting, lag = idle if run is None else run.measure(registration)
        return Subscription(
            handler=name_of(registration.handler),
            kind=registration.kind,
            symbols=self._heard(registration),
            policy=registration.options.policy,
            delivered=registration.delivered,
            errors=registration.errors,
            dropped=dropped,
            conflated=conflated,
            waiting=waiting,
            lag_s=lag,
        )

    def metrics(self) -> dict[str, float]:
        """What its connections saw since it was made, and what its handlers made of it."""
        run = self._mine()
        counters = [*self._past, *(run.counters() if run is not None else ())]
        figures = {name: float(sum(getattr(c, name) for c in counters)) for name in Counters.__slots__}
        subscriptions = self.subscriptions
        figures["dropped"] = float(sum(s.dropped for s in subscriptions))
        figures["conflated"] = float(sum(s.conflated for s in subscriptions))
        figures["handler_errors"] = float(sum(s.errors for s in subscriptions))
        return figures

    # ------------------------------------------------------------ whose it is

    def _mine(self) -> Connections | None:
        return self._runs.get(os.getpid())

    def _check_fork(self) -> None:
        if self.status is StreamStatus.FORKED:
            pid = next(iter(self._runs))
            text = (
                f"this stream runs in process {pid}, not in this one ({os.getpid()}): "
                "start() opens a new one here, with the same handlers"
            )
            raise ForkedStream(text, {"exchange": self._exchange, "state": "forked"})

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Stream has threads and connections and is not pickled: make one where it is needed")

    def __repr__(self) -> str:
        return f"<Stream {self._name} {self.status} {' '.join(self.symbols[:5])}>"


def no_stream(given: object) -> InvalidType:
    """The error for what stands in the place of a stream, such as its client."""
    text = f"a stream is wanted, as client.stream('BTC/USDT') makes it, not {type(given).__name__}"
    return InvalidType(text, {"argument": "streams"})


def run(*streams: Stream) -> None:
    """Start the streams, wait for SIGINT or SIGTERM, close them. Only from the main thread.

    Where no logging is set up, warnings and failed handlers are shown on stderr meanwhile.

    Raises:
        BaseException: a stream is `FAILED`; this is why.
        InvalidArgument: not the main thread, which alone may take signals; no stream.
        InvalidType: something else than a stream.
    """
    if not streams:
        raise InvalidArgument("run() needs a stream: run(stream)", {"argument": "streams"})
    for stream in streams:
        if not all(hasattr(stream, name) for name in ("start", "wait", "close")):
            raise no_stream(stream)
    if threading.current_thread() is not threading.main_thread():
        raise InvalidArgument("run() takes signals, and only the main thread can", {"argument": "streams"})
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    logger, fallback = logging.getLogger("exconnect"), logging.lastResort
    is_silent = is_unheard(logger)
    if is_silent and fallback is not None:
        logger.addHandler(fallback)
    try:
        for stream in streams:
            stream.start()
        running = list(streams)
        while running and not came:
            running = [stream for stream in running if not stream.wait(_LOOK_S / len(running))]
    finally:
        for stream in streams:
            stream.close()
        if is_silent and fallback is not None:
            logger.removeHandler(fallback)
        for number, handler in before.items():
            with suppress(TypeError):  # a handler that C code installed cannot be put back
                signal.signal(number, handler)
