"""An order book kept from a stream: valid only while it is provably contiguous and not crossed.

The cells of its sides are replaced, never changed: a view stays as it was, and the Decimals of a level are built once
for all views, when somebody reads it.

Nothing here locks: the feed that owns a builder holds its lock around `receive`, `load` and `view`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple, Protocol

from exconnect.model.market import Book, Levels, streamed
from exconnect.protocol.session import BookUpdate
from exconnect.protocol.side import Side, cells_of

_NOTHING = BookUpdate("", 0, 0, (), (), None, None)
_BUFFERED = 20_000  # updates kept while a snapshot is on its way; more means it will never fit
_REMEMBERED = 64  # whole books of the stream: where every message is one, the oldest of them are forgotten


class Verdict(Enum):
    """What a sequencer says of an update."""

    APPLY = "apply"
    DROP = "drop"  # older than the book
    RESYNC = "resync"  # something is missing
    RESET = "reset"  # the update is a whole book


class Sequencer(Protocol):
    """The exchange's rule for which update follows which."""

    needs_snapshot: bool

    def anchor(self, snapshot_id: int) -> None:
        """The book is now as of `snapshot_id`."""

    def judge(self, update: BookUpdate) -> Verdict:
        """What to do with an update; APPLY and RESET move the anchor to it."""

    @property
    def last_id(self) -> int:
        """Id of the last update that is in the book."""


def is_later(one_ms: int | None, other_ms: int | None) -> bool:
    """Whether one moment is known to lie behind another."""
    return one_ms is not None and other_ms is not None and one_ms > other_ms


class BookState(Enum):
    """Whether a book may be shown."""

    SYNCING = "syncing"
    LIVE = "live"


class Change(Enum):
    """What an update or a snapshot did."""

    APPLIED = "applied"
    IGNORED = "ignored"
    BUFFERED = "buffered"
    BROKEN = "broken"  # not valid from now on; `BookBuilder.fault` says why
    STALE = "stale"  # the snapshot is older than what was buffered: fetch another


class Fault(NamedTuple):
    """Why a book stopped being valid."""

    reason: str
    expected: int | None = None
    got: int | None = None


# Members of an enum are looked up slowly, and these are met with every update.
_APPLY, _DROP, _RESYNC = Verdict.APPLY, Verdict.DROP, Verdict.RESYNC
_APPLIED, _LIVE = Change.APPLIED, BookState.LIVE


class BookBuilder:
    """Keeps the book of one symbol. `limit`: levels a side that the exchange keeps for us (None: all)."""

    def __init__(
        self, exchange: str, symbol: str, sequencer: Callable[[], Sequencer], limit: int | None = None
    ) -> None:
        self.exchange = exchange
        self.symbol = symbol
        self.state = BookState.SYNCING
        self.fault: Fault | None = None
        self._make = sequencer
        self._names = exchange, symbol
        self._sequencer = sequencer()
        self._bids = Side(is_bids=True, limit=limit)
        self._asks = Side(is_bids=False, limit=limit)
        self._pending: list[BookUpdate] | None = [] if self._sequencer.needs_snapshot else None
        self._seen = 0  # the newest id that was seen: a snapshot that does not lead there is old
        self._is_seen_before = False  # on a connection that is lost: this one may count anew
        self._broken_ms: int | None = None  # when it broke: a whole book of the stream from before may have come twice
        self._wholes: deque[tuple[int, int | None]] = deque(maxlen=_REMEMBERED)  # id and time of those that came
        self._horizon: int | None = None
        self._last = _NOTHING  # what came last

    @property
    def needs_snapshot(self) -> bool:
        """Whether a snapshot is awaited."""
        return self._pending is not None

    @property
    def sequence(self) -> int:
        """The exchange's id of the last update in the book."""
        return self._sequencer.last_id

    def receive(self, update: BookUpdate) -> Change:
        """Take an update in. The whole message is validated before any of it is applied.

        Raises:
            MalformedMessage: not numbers; the book is as it was, and no longer valid: `invalidate` it.
        """
        bids, asks = update.bids, update.asks
        if not update.is_plain:
            bids, asks = cells_of(bids), cells_of(asks)
        if self._pending is not None:
            self._pending.append(update)
            if len(self._pending) > _BUFFERED:
                del self._pending[: -_BUFFERED // 2]
            if self.state is not _LIVE:
                self._see(update)
                return Change.BUFFERED
        if update.is_snapshot:
            if (update.last_id < self._last.last_id or self.state is not _LIVE) and self._came_before(update):
                return Change.IGNORED
            self._wholes.append((update.last_id, update.time_ms))
        verdict = self._sequencer.judge(update)
        if verdict is _APPLY:
            self._bids.apply(bids)
            self._asks.apply(asks)
        elif verdict is _DROP:
            return Change.IGNORED
        elif verdict is _RESYNC:
            return self._break(Fault("updates are missing", self._sequencer.last_id + 1, update.first_id), update)
        else:
            self._bids.load(bids)
            self._asks.load(asks)
            self.state = _LIVE
            self._broken_ms = None
        self._last = update
        return self._crossed() if self._bids.meets(self._asks) else _APPLIED

    def _came_before(self, update: BookUpdate) -> bool:
        """Whether a whole book of the stream, behind a valid one, came twice, or comes too late for what was seen.

        A smaller id and an earlier time alone do not say so of a valid book: an exchange that counts anew need not have
        the clock that it had before. So those that came are remembered; where they are too many, the time must do.
        """
        is_live = self.state is _LIVE
        since = self._last.time_ms if is_live else self._broken_ms
        if since is None and not is_live:
            return False
        is_behind = is_live or update.last_id < self._seen
        is_old, wholes = is_later(since, update.time_ms), self._wholes
        if (update.last_id, update.time_ms) in wholes:
            return is_old or is_behind
        return is_old and (len(wholes) == _REMEMBERED or (is_behind and not is_live))

    def _see(self, update: BookUpdate) -> None:
        self._seen = update.last_id if self._is_seen_before else max(self._seen, update.last_id)
        self._is_seen_before = False

    def _crossed(self) -> Change:
        return self._break(Fault("the book is crossed", got=self._last.last_id))

    def load(self, snapshot: BookUpdate) -> Change:
        """Take a snapshot in, and the updates that came meanwhile. STALE: fetch another one.

        Raises:
            MalformedMessage: not numbers; the book is as it was.
        """
        bids, asks = cells_of(snapshot.bids), cells_of(snapshot.asks)
        pending = self._pending or []
        if self._is_old(snapshot.last_id, pending):
            return Change.STALE
        seen = max(self._seen, self._sequencer.last_id)
        self._sequencer = self._make()
        self._sequencer.anchor(snapshot.last_id)
        self._bids.load(bids)
        self._asks.load(asks)
        self._last = snapshot
        self._pending = None
        self.state = BookState.LIVE
        change = _APPLIED
        if self._bids.meets(self._asks):
            change, self._seen = self._crossed(), seen  # by its id it would make all that are right look old
        for update in pending:
            did = self.receive(update)
            change = change if change is Change.BROKEN else did
        return change if change is Change.BROKEN else Change.APPLIED

    def _is_old(self, snapshot_id: int, pending: list[BookUpdate]) -> bool:
        """Whether what was buffered does not follow the snapshot, or both end before what was seen already."""
        if pending and snapshot_id + 1 < pending[0].first_id:
            return True
        reached = max((update.last_id for update in pending), default=snapshot_id)
        return max(reached, snapshot_id) < max(self._seen, self._sequencer.last_id)

    def set_horizon(self, depth: int) -> None:
        """The last snapshot asked for `depth` levels: where a side is full, what lies beyond it is not known."""
        self._horizon = depth

    @property
    def is_thin(self) -> bool:
        """Whether the market has eaten through half of what the last snapshot showed: time for another."""
        depth = self._horizon
        return depth is not None and (self._bids.is_thin(depth) or self._asks.is_thin(depth))

    def refresh(self) -> None:
        """Await a new snapshot while the book goes on being valid."""
        if self._pending is None:
            self._pending = []

    def invalidate(self, fault: Fault) -> None:
        """Not valid from now on: a message was broken."""
        self._break(fault)

    def disconnect(self, fault: Fault) -> None:
        """Not valid from now on: what the next connection brings need not follow."""
        self._break(fault)
        self._is_seen_before = True
        self._broken_ms = None
        self._wholes.clear()

    def believe(self) -> None:
        """The exchange knows best, if it insists: what comes from now on may be older than what was seen before."""
        self._broken_ms = None
        if self._is_seen_before:
            self._seen = 0

    def _break(self, fault: Fault, update: BookUpdate | None = None) -> Change:
        """`update`: what broke it, which the next snapshot must lead up to."""
        self._seen = max(self._seen, self._sequencer.last_id) if update is None else update.last_id
        if self.state is BookState.LIVE and not self._sequencer.needs_snapshot:
            self._broken_ms = self._last.time_ms if update is None else update.time_ms
        self.state = BookState.SYNCING
        self.fault = fault
        self._sequencer = self._make()
        self._pending = ([] if update is None else [update]) if self._sequencer.needs_snapshot else None
        return Change.BROKEN

    def view(self, depth: int | None = None) -> Book:
        """The book as it is now, `depth` levels a side; `is_valid` says whether it may be believed."""
        last = self._last
        return streamed(
            self._names,
            (Levels(self._bids.top(depth)), Levels(self._asks.top(depth))),
            self._sequencer.last_id,
            last.received_at,
            (last.time_ms, last.raw),
            is_valid=self.state is _LIVE,
        )
