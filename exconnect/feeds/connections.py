"""The connections of one running stream: which topic is on which, and who hears what comes.

Market data comes over as many connections as it needs, the account's own events over one.

A stream says what it wants as often as it likes and from any thread. What is not known yet is looked up on the
venue's errand thread; a symbol that does not exist is reported, and the others go on.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from exconnect.errors import ExconnectError, UnknownSymbol
from exconnect.feeds.budget import attempts
from exconnect.feeds.connection import Connection
from exconnect.feeds.delivered import Delivered
from exconnect.feeds.feed import Feed, Want
from exconnect.feeds.handlers import HandlerThread, Router
from exconnect.feeds.handouts import Handouts
from exconnect.feeds.private import PrivateFeed
from exconnect.feeds.registration import PUBLIC, Address, Counters, Registration, Same, audience
from exconnect.model.enums import MarketType, StreamStatus
from exconnect.model.events import TopicRefused, ZombieOrder
from exconnect.protocol.session import PRIVATE, Topic
from exconnect.runtime.actor import NEVER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from exconnect.feeds.connection import Supply
    from exconnect.model.instrument import Instrument
    from exconnect.model.market import Book
    from exconnect.model.order import Order
    from exconnect.protocol.exchange import Market
    from exconnect.runtime.actor import Thread

log = logging.getLogger("exconnect.stream")

_LOOKUP_S = 10.0
_BATCH = 100  # symbols in one look-up
_LONGEST_RETRY_S = 30.0
_HALT_S = 0.5  # of the time to close, kept for taking the sockets from threads that do not end

# The worst first: a stream is as well as its worst connection.
_WORST = (
    StreamStatus.FAILED,
    StreamStatus.DOWN,
    StreamStatus.SUSPECT,
    StreamStatus.CONNECTING,
    StreamStatus.SYNCING,
    StreamStatus.LIVE,
)


class Connections:
    """All that runs for a stream in one process, from `start()` to `close()`."""

    def __init__(
        self, venue: Supply, name: str, symbols: tuple[str, ...], ended: Mapping[Same, HandlerThread], owner: object
    ) -> None:
        self.pid = os.getpid()
        self.env = venue.env
        self.is_closing = False
        self._owner = owner  # lives as long as this runs, so that whoever knows it weakly can still close it
        self._venue = venue
        self._symbols = symbols
        # The one lock here that is no leaf: whoever changes what is wanted holds it, and no feed or handler thread
        # waits for it while holding another.
        self._changing = venue.env.lock()
        self._condition = venue.env.condition()
        self._handouts = Handouts(venue.env, lambda: venue.records.handouts(name))
        self._router = Router(
            venue.env,
            venue.exchange.name,
            self.view,
            self._count,
            self._changed,
            handled=self._handouts.handled,
            dropped=self._handouts.dropped,
        )
        self._router.inherit(ended)
        self._feeds: tuple[Feed, ...] = ()
        self._successors: dict[Feed, Feed] = {}  # by the one that each will relieve
        self._private: PrivateFeed | None = None
        self._leaving: tuple[Connection, ...] = ()  # asked to end, and not waited for
        self._delivered = Delivered(venue.env)
        self._private_symbols: tuple[str, ...] = ()
        self._retired: list[Counters] = []
        self._numbers = 0
        self._place: dict[Topic, Feed] = {}
        self._wanted: set[Address] = set()  # of the market's
        self._named: set[Address] = set()  # of the account's, with a symbol
        self._depths: dict[str, int] = {}
        self._known: dict[str, Instrument] = {}
        self._asking: dict[str, int] = {}  # symbols being looked up, and how often that failed
        self._refused: dict[str, str] = {}  # symbol → why
        self._reported: set[Address] = set()
        venue.zombies.listen(self._risen)

    # ------------------------------------------------------------ what is wanted

    def want(self, registrations: Mapping[Any, Registration], kept: Mapping[str, int]) -> None:
        """What is in there now is all that is wanted from now on; `kept`: levels of books that nobody is handed."""
        with self._changing:
            if self.is_closing:
                return
            heard = audience(list(registrations.values()), self._symbols)
            self._depths = dict(kept)
            for address, listeners in heard.items():
                if address.kind == "book":
                    depths = (registration.options.depth for registration in listeners)
                    self._depths[address.symbol] = max(self._depths.get(address.symbol, 0), *depths)
            books = {Address("book", symbol) for symbol in kept}
            self._wanted = books.union(address for address in heard if address.kind in PUBLIC)
            self._router.update(heard)
            private = {address for address in heard if address.kind in PRIVATE}
            self._named = {address for address in private if address.symbol and address.kind != "balance"}
            self._want_private(private)
            wanted = {address.symbol for address in self._wanted | self._named}
            self._refused = {symbol: why for symbol, why in self._refused.items() if symbol in wanted}
            self._report_refused()
            new = sorted(wanted - self._known.keys() - self._asking.keys() - self._refused.keys())
            self._asking.update(dict.fromkeys(new, 0))
            for start in range(0, len(new), _BATCH):
                self._venue.jobs("market").submit(partial(self._look_up, new[start : start + _BATCH]))
            self._distribute()

    def _want_private(self, wanted: set[Address]) -> None:
        """One connection for the account, as long as somebody listens."""
        named = (address.symbol for address in sorted(self._named))
        self._handouts.is_wanted = any(address.kind == "fill" for address in wanted)
        self._private_symbols = tuple(dict.fromkeys((*self._symbols, *named)))
        if wanted and self._private is None:
            market = next(iter(self._venue.exchange.markets.values()))
            budget = attempts(self.env, self._venue.endpoints.private)
            self._private = PrivateFeed(
                self._venue,
                market,
                self._router,
                budget,
                self._changed,
                delivered=self._delivered,
                handouts=self._handouts,
                symbols=lambda: self._private_symbols,
            )
            self._private.start()
        elif not wanted and self._private is not None:
            self._leave(self._private)
            self._private = None

    def _look_up(self, symbols: list[str]) -> None:
        """On the venue's errand thread."""
        if self.is_closing:
            return
        found: dict[str, Instrument] = {}
        refused: dict[str, str] = {}
        failed: dict[str, Exception] = {}
        self._list(symbols)
        for symbol in symbols:
            try:
                found[symbol] = self._venue.instrument(symbol, _LOOKUP_S)
            except UnknownSymbol as error:
                refused[symbol] = str(error)
            except Exception as error:  # noqa: BLE001 - the network, as a rule; what is wanted stays wanted
                failed[symbol] = error
        with self._changing:
            self._known |= found
            self._refused |= refused
            for symbol in found.keys() | refused.keys():
                self._asking.pop(symbol, None)
            self._report_refused()
            self._distribute()
        for symbol, failure in failed.items():
            self._look_up_later(symbol, failure)

    def _list(self, symbols: list[str]) -> None:
        """Learn all of them with one call; whoever is still unknown after that is asked for alone."""
        names = [name for symbol in symbols if (name := self._venue.exchange.parse_symbol(symbol)) is not None]
        if len(names) > 1:
            with suppress(ExconnectError):  # one that does not exist fails them all
                self._venue.listing(tuple(names), _LOOKUP_S)

    def _look_up_later(self, symbol: str, error: Exception) -> None:
        with self._changing:
            if symbol not in self._asking:
                return
            failures = self._asking[symbol] = self._asking[symbol] + 1
        log.log(logging.WARNING if failures == 1 else logging.DEBUG, "%s is not known yet: %s", symbol, error)
        pause = self.env.uniform(0.0, min(_LONGEST_RETRY_S, 0.5 * 2.0 ** min(failures, 10)))
        self._venue.jobs("market").submit(partial(self._look_up, [symbol]), pause)

    def _report_refused(self) -> None:
        refused = {address for address in self._wanted | self._named if address.symbol in self._refused}
        for address in sorted(refused - self._reported):
            reason = self._refused[address.symbol]
            log.warning("%s of %s is refused: %s", address.kind, address.symbol, reason)
            self._router.publish(
                TopicRefused(
                    exchange=self._venue.exchange.name,
                    time=self.env.wall(),
                    symbol=address.symbol,
                    reason=reason,
                    kind=address.kind,
                )
            )
        self._reported = refused

    def _distribute(self) -> None:
        """Give every topic a connection, and tell each connection all that it is to carry."""
        if self.is_closing:
            return
        topics = self._topics()
        self._place = {topic: feed for topic, feed in self._place.items() if topic in topics}
        load = dict.fromkeys(self._feeds, 0)
        for feed in self._place.values():
            load[feed] += 1
        for topic, instrument in topics.items():
            if topic not in self._place:
                feed = self._room(self._venue.exchange.markets[instrument.market], load)
                self._place[topic] = feed
                load[feed] += 1
        self._connect_early(load)
        for feed in self._feeds[1:]:
            if not load[feed] and feed.market.type not in {_market_of(symbol) for symbol in self._asking}:
                self._retire(feed)
        is_complete = not any(address.symbol in self._asking for address in self._wanted)
        for feed in self._feeds:
            mine = {topic: instrument for topic, instrument in topics.items() if self._place[topic] is feed}
            for carrier in filter(None, (feed, self._successors.get(feed))):
                carrier.want(Want(mine, self._depths, is_complete))

    def _connect_early(self, load: dict[Feed, int]) -> None:
        """Make the connections while the instruments are looked up."""
        markets = self._venue.exchange.markets
        for kind in {_market_of(address.symbol) for address in self._wanted}:
            if kind in markets and not any(feed.market is markets[kind] for feed in self._feeds):
                self._room(markets[kind], load)

    def _retire(self, feed: Feed) -> None:
        self._feeds = tuple(other for other in self._feeds if other is not feed)
        for ended in filter(None, (feed, self._successors.pop(feed, None))):
            self._leave(ended)

    def _leave(self, connection: Connection, reason: str = "closed") -> None:
        connection.close(reason)
        self._retired.append(connection.counters)
        leaving = (*self._leaving, connection)
        self._leaving = tuple(other for other in leaving if other.thread is not None and other.thread.is_alive())

    def _topics(self) -> dict[Topic, Instrument]:
        topics: dict[Topic, Instrument] = {}
        for kind, symbol, interval in sorted(self._wanted):
            instrument = self._known.get(symbol)
            if instrument is not None:
                depth = self._levels(symbol, instrument) if kind == "book" else 0
                topics[Topic(kind, symbol, instrument.exchange_symbol, interval, depth)] = instrument
        return topics

    def _levels(self, symbol: str, instrument: Instrument) -> int:
        """The smallest book topic with as many levels a side as somebody wants, where there are several."""
        depths, wanted = self._venue.exchange.markets[instrument.market].book_topics, self._depths.get(symbol, 0)
        return next((depth for depth in depths if depth >= wanted), depths[-1]) if depths else 0

    def _room(self, market: Market, load: dict[Feed, int]) -> Feed:
        for feed, count in load.items():
            if feed.market is market and count < market.max_topics:
                return feed
        feed = self._feed(market)
        self._feeds = (*self._feeds, feed)
        load[feed] = 0
        feed.start()
        return feed

    def _feed(self, market: Market, predecessor: Feed | None = None) -> Feed:
        self._numbers += 1
        return Feed(
            f"public-{self._numbers}",
            self._venue,
            market,
            self._router,
            attempts(self.env, self._venue.endpoints.stream),
            self._changed,
            relief=self,
            predecessor=predecessor,
        )

    # ------------------------------------------------------------ one relieves the other

    def relieve(self, feed: Feed) -> None:
        """In the feed's thread."""
        with self._changing:
            if self.is_closing or feed not in self._feeds or feed in self._successors:
                return
            successor = self._successors[feed] = self._feed(feed.market, feed)
            successor.same_as(feed)
            successor.start()

    def relieved(self, feed: Feed, successor: Feed) -> None:
        """In the successor's thread."""
        with self._changing:
            if self.is_closing or self._successors.pop(feed, None) is None:
                return
            self._feeds = tuple(successor if other is feed else other for other in self._feeds)
            self._place = {topic: successor if other is feed else other for topic, other in self._place.items()}
            self._leave(feed, f"{successor.name} has relieved it")
        self._changed()

    def _risen(self, order: Order) -> None:
        reason = "it counted as never accepted, and the exchange has it"
        if not self.is_closing:
            self._router.publish(
                ZombieOrder(
                    exchange=self._venue.exchange.name,
                    time=self.env.wall(),
                    symbol=order.symbol,
                    reason=reason,
                    order=order,
                )
            )

    # ------------------------------------------------------------ how it is

    @property
    def _all(self) -> tuple[Connection, ...]:
        return self._feeds if self._private is None else (*self._feeds, self._private)

    @property
    def _running(self) -> tuple[Connection, ...]:
        """Also those that do not speak yet or any more."""
        return (*self._all, *self._successors.values(), *self._leaving)

    def _changed(self) -> None:
        if self.is_closing and all(feed.status in (StreamStatus.CLOSED, StreamStatus.FAILED) for feed in self._all):
            self._router.close()
        with self._condition:
            self._condition.notify_all()

    def _count(self, name: str, handler: str) -> None:
        self._venue.metrics.count(f"stream_{name}", 1, handler=handler)

    @property
    def status(self) -> StreamStatus:
        """The worst of the connections; `IDLE` if nothing is wanted that needs one."""
        present = {feed.status for feed in self._all}
        return next((status for status in _WORST if status in present), StreamStatus.IDLE)

    @property
    def is_live(self) -> bool:
        """Whether all that was asked for and not refused is live."""
        return not self._asking and all(feed.is_live for feed in self._all)

    @property
    def cause(self) -> BaseException | None:
        """Why a connection was given up."""
        return next((feed.cause for feed in self._all if feed.status is StreamStatus.FAILED), None)

    def wait_live(self, timeout: float | None) -> bool:
        """Until `is_live`; False at the deadline or when that will not be any more."""
        with self._condition:
            self.env.wait_for(
                self._condition, lambda: self.is_live or self.is_closing or self.cause is not None, timeout
            )
        return self.is_live and not self.is_closing

    def wait_end(self, timeout: float | None) -> bool:
        """Until everything has ended, or something was given up."""
        with self._condition:
            self.env.wait_for(self._condition, lambda: self.is_over or self.cause is not None, timeout)
        return self.is_over

    @property
    def is_over(self) -> bool:
        """Whether it was closed and no handler is in a call any more."""
        return self.is_closing and all(thread.is_over for thread in self._router.threads().values())

    def view(self, symbol: str, depth: int | None) -> tuple[int, Book] | None:
        """Epoch and book of a symbol, from whatever connection it is on."""
        for feed in self._feeds:
            seen = feed.view(symbol, depth)
            if seen is not None:
                return seen
        return None

    def data_age(self, symbol: str) -> float:
        """Seconds since the connection that a book is on brought anything but pings."""
        feed = next((feed for feed in self._feeds if feed.book_state(symbol) is not None), None)
        return NEVER if feed is None else self.env.now() - feed.data_at

    def book_state(self, symbol: str) -> tuple[bool, datetime] | None:
        """Whether a book is valid, and since when it is or is not."""
        for feed in self._feeds:
            state = feed.book_state(symbol)
            if state is not None:
                return state
        return None

    def refusal(self, symbol: str) -> str | None:
        """Why there will be no book of this symbol: not listed, or refused by the exchange; None: there may be."""
        feeds = (why for feed in self._feeds if (why := feed.refusal(symbol)) is not None)
        return self._refused.get(symbol) or next(feeds, None)

    def measure(self, registration: Registration) -> tuple[int, int, int, float]:
        """Dropped, conflated, waiting, lag of a registration."""
        return self._router.measure(registration)

    def counters(self) -> list[Counters]:
        """Of every connection that there was."""
        return [*self._retired, *(feed.counters for feed in self._all)]

    # ------------------------------------------------------------ the end

    def handler_threads(self) -> dict[Same, HandlerThread]:
        """Those that may still be in a handler."""
        return self._router.threads()

    def is_mine(self, thread: Thread) -> bool:
        """Whether this is one of the handlers' threads."""
        return any(thread is other.thread for other in self._router.threads().values())

    def _all_threads(self) -> list[Thread]:
        feeds = [feed.thread for feed in self._running if feed.thread is not None]
        return [*feeds, *(handler.thread for handler in self._router.threads().values())]

    def signal(self) -> None:
        """Ask everything to end, and come back at once."""
        with self._changing:
            self.is_closing = True
        for feed in self._running:
            feed.close()
        self._changed()

    def close(self, timeout: float) -> None:
        """End everything within `timeout` seconds: connections first, so that handlers hear of that too."""
        deadline = self.env.now() + timeout
        self.signal()
        feeds = [feed for feed in self._running if feed.thread is not None]
        self._join([feed.thread for feed in feeds if feed.thread], deadline - min(_HALT_S, timeout / 4))
        for feed in feeds:
            if feed.thread is not None and feed.thread.is_alive():
                feed.abort()
        self._router.close()
        self._join(self._all_threads(), deadline)
        self._router.halt()
        self._handouts.end()
        self._changed()

    def _join(self, threads: list[Thread], deadline: float) -> None:
        for thread in threads:
            thread.join(max(deadline - self.env.now(), 0.0))

    def forked(self) -> None:
        """In a child: what is open belongs to the parent."""
        for feed in self._running:
            feed.forked()


def _market_of(symbol: str) -> MarketType:
    """What the notation says."""
    return MarketType.LINEAR if ":" in symbol else MarketType.SPOT
