"""The books of one connection: each valid or being made so, by the exchange's rule and with a snapshot if it needs one.

The feed's thread writes; whoever reads a book takes its view under the lock, which is a leaf.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from exconnect.errors import MalformedMessage
from exconnect.feeds import audit
from exconnect.feeds.audit import Audit
from exconnect.protocol.book import BookBuilder, BookState, Change, Fault
from exconnect.runtime.actor import NEVER

if TYPE_CHECKING:
    from datetime import datetime

    from exconnect.environment import Environment
    from exconnect.model.instrument import Instrument
    from exconnect.model.market import Book
    from exconnect.protocol.exchange import Exchange, Market
    from exconnect.protocol.session import BookUpdate

_RESYNC_S = 5.0  # a book that breaks again and again asks for one snapshot in so many seconds
_JITTER_S = 1.0
_STALE_S = (0.1, 0.5)
_STALE_TRIES = 5
_LONGEST_RETRY_S = 30.0
# Members of an enum are looked up slowly, and these are met with every update.
_LIVE, _APPLIED = BookState.LIVE, Change.APPLIED
_LEAST_DEPTH = 500  # levels of a snapshot; fewer are used up as soon as the price moves


class Outlet(Protocol):
    """What the feed does for its books."""

    def book_changed(self, symbol: str) -> None:
        """There is a newer valid book."""

    def book_broke(self, symbol: str, fault: Fault) -> None:
        """It was valid and is not any more."""

    def fetch_snapshot(self, instrument: Instrument, depth: int, generation: int, delay: float) -> None:
        """Ask the exchange in `delay` seconds; `load` or `failed` is called with what comes."""

    def fetch_audit(self, instrument: Instrument, depth: int, generation: int) -> None:
        """Ask the exchange for a snapshot now; `audit` or `unaudited` is called with what comes."""

    def book_audited(self, symbol: str, *, is_right: bool) -> None:
        """It was compared with what the exchange says."""

    def renew(self, symbol: str, delay: float) -> None:
        """Subscribe anew in `delay` seconds, where the stream itself begins with a snapshot."""


class _Entry:
    """One book and what is under way for it."""

    def __init__(self, builder: BookBuilder, instrument: Instrument, since: datetime) -> None:
        self.builder = builder
        self.instrument = instrument
        self.since = since
        self.depth = 0
        self.epoch = 0  # grows when the book breaks: a sequence is comparable within one only
        self.generation = 0  # of the connection; a snapshot that was asked for before it is of no use
        self.is_asking = False
        self.resynced_at: float | None = None
        self.stale = 0
        self.failures = 0
        self.audit: Audit | None = None
        self.audit_at = NEVER

    @property
    def is_valid(self) -> bool:
        return self.builder.state is _LIVE


class Books:
    """The books of one connection."""

    def __init__(self, env: Environment, exchange: Exchange, market: Market, outlet: Outlet) -> None:
        self._env = env
        self._exchange = exchange
        self._market = market
        self._outlet = outlet
        self._has_snapshots = exchange.sequencer(market).needs_snapshot
        self._lock = env.lock()
        self._entries: dict[str, _Entry] = {}
        self._audit_at = 0.0

    def want(self, wanted: dict[str, tuple[Instrument, int]]) -> None:
        """These books, with so many levels a side, and no others."""
        for symbol, (instrument, depth) in wanted.items():
            entry = self._entries.get(symbol)
            if entry is None:
                entry = _Entry(self._builder(symbol, depth), instrument, self._env.wall())
                with self._lock:
                    self._entries[symbol] = entry
            if self._market.book_topics:
                self._change_topic(symbol, entry, depth)
            grown, entry.depth = depth > entry.depth > 0, max(depth, entry.depth)
            if grown and entry.is_valid:
                self._refresh(entry)
        for symbol in [symbol for symbol in self._entries if symbol not in wanted]:
            with self._lock:
                del self._entries[symbol]

    def _builder(self, symbol: str, depth: int) -> BookBuilder:
        limit = depth if self._market.book_topics else None
        return BookBuilder(self._exchange.name, symbol, lambda: self._exchange.sequencer(self._market), limit)

    def _change_topic(self, symbol: str, entry: _Entry, depth: int) -> None:
        """A topic with other levels has ids of its own: the book begins anew with its first message."""
        if entry.depth in (0, depth):
            return
        self._break(symbol, entry, Fault("the book is kept with other levels from now on"))
        with self._lock:
            entry.builder = self._builder(symbol, depth)
        entry.depth = depth
        entry.is_asking = False

    @property
    def all_valid(self) -> bool:
        """Whether no book is on its way."""
        return all(entry.is_valid for entry in self._entries.values())

    def state(self, symbol: str) -> tuple[bool, datetime] | None:
        """Whether the book is valid, and since when it is or is not; None for one that is not kept here."""
        entry = self._entries.get(symbol)
        return None if entry is None else (entry.is_valid, entry.since)

    def view(self, symbol: str, depth: int | None) -> tuple[int, Book] | None:
        """Epoch and book, valid or not. From any thread."""
        with self._lock:
            entry = self._entries.get(symbol)
            return None if entry is None else (entry.epoch, entry.builder.view(depth))

    def standing(self) -> dict[str, tuple[int, int]]:
        """Epoch and sequence of each book."""
        return {symbol: (entry.epoch, entry.builder.sequence) for symbol, entry in self._entries.items()}

    def succeed(self, standing: dict[str, tuple[int, int]]) -> None:
        """Go on where the books of another connection stood."""
        for symbol, entry in self._entries.items():
            epoch, sequence = standing.get(symbol, (0, 0))
            # What is behind cannot be compared with what was shown: a reconnect, for whoever looks at sequences.
            entry.epoch = epoch + (entry.builder.sequence < sequence)

    def tell(self) -> None:
        """Whoever listens from now on has to know how they are."""
        for symbol, entry in self._entries.items():
            if entry.is_valid:
                self._outlet.book_changed(symbol)
            else:
                self._broke(symbol, entry)

    def disconnected(self, reason: str) -> None:
        """None of them is valid any more; what is under way is of no use."""
        for symbol, entry in self._entries.items():
            entry.generation += 1
            entry.audit = None
            entry.is_asking = False
            entry.stale = 0
            self._break(symbol, entry, Fault(reason), is_lost=True)

    def subscribed(self, symbol: str) -> None:
        """Updates come from now on."""
        entry = self._entries.get(symbol)
        if entry is not None and entry.builder.needs_snapshot and not entry.is_valid:
            self._ask(entry, 0.0)

    def renewed(self, symbol: str) -> None:
        """It is subscribed anew: the next whole book is the answer, whatever it looks like."""
        entry = self._entries.get(symbol)
        if entry is not None:
            entry.builder.believe()

    def receive(self, update: BookUpdate) -> None:
        """An update came."""
        entry = self._entries.get(update.symbol)
        if entry is None:
            return
        was_valid, before = entry.is_valid, entry.builder.sequence
        try:
            with self._lock:
                change = entry.builder.receive(update)
        except MalformedMessage:
            self.broken(update.symbol, "an update made no sense")
            raise
        if change is _APPLIED and was_valid and entry.builder.sequence < before:
            # A whole book with a smaller id: valid as ever, but not to be compared with what came before it.
            self._broke(update.symbol, entry, Fault("the exchange counts anew", before + 1, update.last_id))
        self._settle(update.symbol, entry, change, was_valid=was_valid)
        if entry.audit is not None:
            self._follow(update.symbol, entry, goes_on=entry.audit.receive(update))

    # ------------------------------------------------------------ audits

    def tend(self, now: float) -> None:
        """Begin an audit, if one is due; where a book begins in the stream, ask again for what did not come."""
        if not self._has_snapshots:
            self._insist()
        elif now >= self._audit_at:
            self._audit(now)

    def _insist(self) -> None:
        for entry in self._entries.values():
            if entry.is_asking and not entry.is_valid:
                self._resync(entry)

    def _audit(self, now: float) -> None:
        for symbol, entry in self._entries.items():
            if entry.is_valid and entry.audit_at == NEVER:
                entry.audit_at = now + self._env.uniform(0.0, audit.EVERY_S)
            elif entry.is_valid and entry.audit is None and not entry.is_asking and now >= entry.audit_at:
                self._audit_at = now + audit.APART_S
                entry.audit_at = now + audit.EVERY_S
                entry.audit = Audit(self._builder(symbol, entry.depth))
                self._outlet.fetch_audit(entry.instrument, self._market.book_depths[0], entry.generation)
                return

    def audit(self, symbol: str, generation: int, snapshot: BookUpdate) -> None:
        """The snapshot for an audit is there."""
        entry = self._entries.get(symbol)
        if entry is not None and entry.audit is not None and entry.generation == generation:
            self._follow(symbol, entry, goes_on=entry.audit.load(snapshot))

    def unaudited(self, symbol: str) -> None:
        """It cannot be had: the next audit will tell."""
        entry = self._entries.get(symbol)
        if entry is not None:
            entry.audit = None

    def _follow(self, symbol: str, entry: _Entry, *, goes_on: bool) -> None:
        if not goes_on or not entry.is_valid or entry.audit is None:
            entry.audit = None
            return
        with self._lock:
            is_right = entry.audit.judge(entry.builder)
        if is_right is None:
            return
        entry.audit = None
        self._outlet.book_audited(symbol, is_right=is_right)
        if not is_right:
            self.broken(symbol, "an audit found it different from the exchange's")

    # ------------------------------------------------------------ what breaks it

    def broken(self, symbol: str, reason: str) -> None:
        """A message of this book was lost or made no sense."""
        entry = self._entries.get(symbol)
        if entry is not None:
            self._break(symbol, entry, Fault(reason))
            self._resync(entry)

    def _break(self, symbol: str, entry: _Entry, fault: Fault, *, is_lost: bool = False) -> None:
        was_valid = entry.is_valid
        with self._lock:
            if is_lost:
                entry.builder.disconnect(fault)
            else:
                entry.builder.invalidate(fault)
        if was_valid:
            self._broke(symbol, entry)

    def _broke(self, symbol: str, entry: _Entry, fault: Fault | None = None) -> None:
        entry.epoch += 1
        entry.since = self._env.wall()
        self._outlet.book_broke(symbol, fault or entry.builder.fault or Fault("not valid"))

    def _settle(self, symbol: str, entry: _Entry, change: Change, *, was_valid: bool) -> None:
        if change is _APPLIED:
            if not was_valid:
                entry.since = self._env.wall()
                if not self._has_snapshots:
                    entry.is_asking = False
            self._outlet.book_changed(symbol)
            if entry.builder.is_thin and not entry.is_asking:
                self._refresh(entry)
        elif change is Change.BROKEN:
            if was_valid:
                self._broke(symbol, entry)
            self._resync(entry)
        elif change is Change.BUFFERED and not entry.is_asking:
            self._ask(entry, 0.0)

    def _refresh(self, entry: _Entry) -> None:
        if self._has_snapshots and self._due(entry) == 0.0:
            with self._lock:
                entry.builder.refresh()
            self._resync(entry)

    def _resync(self, entry: _Entry) -> None:
        """Ask for a snapshot: at once the first time, then not more often than is good for anybody."""
        if entry.is_asking and (self._has_snapshots or self._due(entry) > 0.0):
            return
        delay = self._due(entry)
        entry.resynced_at = self._env.now() + delay
        if self._has_snapshots:
            self._ask(entry, delay)
        else:
            # Until the whole book that follows is there, every message says again that something is missing.
            entry.is_asking = True
            self._outlet.renew(entry.builder.symbol, delay)

    def _due(self, entry: _Entry) -> float:
        if entry.resynced_at is None:
            return 0.0
        left = entry.resynced_at + _RESYNC_S - self._env.now()
        return left + self._env.uniform(0.0, _JITTER_S) if left > 0 else 0.0

    def _ask(self, entry: _Entry, delay: float) -> None:
        if not entry.is_asking:
            entry.is_asking = True
            self._outlet.fetch_snapshot(entry.instrument, self._levels(entry), entry.generation, delay)

    def _levels(self, entry: _Entry) -> int:
        """How deep a snapshot must be for the price to have room to move."""
        wanted = max(entry.depth * 4, _LEAST_DEPTH)
        depths = self._market.book_depths
        return next((depth for depth in depths if depth >= wanted), depths[-1])

    def load(self, symbol: str, generation: int, snapshot: BookUpdate, depth: int) -> None:
        """The snapshot that was asked for is there."""
        entry = self._answered(symbol, generation)
        if entry is None or not entry.builder.needs_snapshot:
            return
        was_valid = entry.is_valid
        try:
            with self._lock:
                change = entry.builder.load(snapshot)
                if change is Change.APPLIED:
                    entry.builder.set_horizon(depth)
        except MalformedMessage as error:
            self._break(symbol, entry, Fault(f"a snapshot made no sense: {error}"))
            self._retry(entry, 0.0)
            return
        entry.failures = 0
        if change is Change.STALE:
            entry.stale += 1
            if entry.stale > _STALE_TRIES:
                entry.builder.believe()
            quick = self._env.uniform(*_STALE_S)
            self._ask(entry, quick if entry.stale <= _STALE_TRIES else _RESYNC_S + quick)
            return
        entry.stale = 0
        self._settle(symbol, entry, change, was_valid=was_valid)

    def failed(self, symbol: str, generation: int, wait: float) -> None:
        """The snapshot cannot be had now; not before `wait` seconds."""
        entry = self._answered(symbol, generation)
        if entry is not None and entry.builder.needs_snapshot:
            self._retry(entry, wait)

    def _answered(self, symbol: str, generation: int) -> _Entry | None:
        entry = self._entries.get(symbol)
        if entry is None or entry.generation != generation:
            return None
        entry.is_asking = False
        return entry

    def _retry(self, entry: _Entry, wait: float) -> None:
        entry.failures += 1
        pause = self._env.uniform(0.0, min(_LONGEST_RETRY_S, 0.5 * 2.0 ** min(entry.failures, 10)))
        self._ask(entry, wait + pause)
