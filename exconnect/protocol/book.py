"""An order book kept from a stream: valid only while it is provably contiguous and not crossed.

Per side there is one sorted list of keys with the best last, and beside it the list of slots in the same
order; a dict finds a slot by key. A slot holds the current cell (`[price text, quantity text, Level or None]`);
a change puts a new cell into the slot, so that a view that somebody took keeps its own cells, and Decimals are
built once, when somebody reads a level. The key of a price is its value: `0.10` and `0.1` are one level.

Nothing here locks: the feed that owns a builder holds its lock around `receive`, `load` and `view`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, Protocol

from exconnect.errors import MalformedMessage
from exconnect.model.enums import Source
from exconnect.model.market import Book, Cell, Levels
from exconnect.model.values import datetime_of, number
from exconnect.protocol.session import BookUpdate

if TYPE_CHECKING:
    from datetime import datetime

Key = float | Decimal
Slot = list[Cell]

_EXACT = 16  # texts up to this length have at most 15 significant digits, which a float tells apart
_BUFFERED = 20_000  # updates kept while a snapshot is on its way; more means it will never fit


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


def _key(text: str) -> Key:
    """The value of a price or quantity as something that sorts; exact, whatever the length of the text."""
    if len(text) <= _EXACT:
        return float(text)
    value = number(text)
    digits = value.normalize().as_tuple().digits
    return float(value) if len(digits) < _EXACT else value


def _keys(levels: Sequence[Sequence[str]], column: int) -> list[Key]:
    return [float(level[column]) if len(level[column]) <= _EXACT else _key(level[column]) for level in levels]


def _check(levels: Sequence[Sequence[str]]) -> None:
    """Only digits and points: what float() would take beyond that (`1e5`, `nan`, `1_0`) is no number here."""
    if "".join(chain.from_iterable(levels)).encode().translate(None, b"0123456789."):
        raise MalformedMessage("a book level is no number", {"text": repr(levels)[:60]})


class _Side:
    """One side of a book."""

    __slots__ = ("_by_key", "_keys", "_sign", "_slots")

    def __init__(self, sign: int) -> None:
        self._sign = sign  # -1 for asks: the best is the last on both sides
        self._by_key: dict[Key, Slot] = {}
        self._keys: list[Key] = []
        self._slots: list[Slot] = []

    def __len__(self) -> int:
        return len(self._keys)

    def load(self, levels: Sequence[Sequence[str]]) -> None:
        self._by_key.clear()
        for level, key, size in zip(levels, _keys(levels, 0), _keys(levels, 1), strict=True):
            if size:
                self._by_key[key * self._sign] = [[level[0], level[1], None]]
        self._keys = sorted(self._by_key)
        self._slots = [self._by_key[key] for key in self._keys]

    def apply(self, levels: Sequence[Sequence[str]], prices: list[Key], sizes: list[Key]) -> None:
        by_key, sign = self._by_key, self._sign
        for (price, quantity), value, size in zip(levels, prices, sizes, strict=True):
            key = value * sign
            slot = by_key.get(key)
            if not size:
                if slot is not None:
                    self._remove(key)
            elif slot is None:
                self._insert(key, [[price, quantity, None]])
            else:
                slot[0] = [price, quantity, None]

    def _insert(self, key: Key, slot: Slot) -> None:
        index = bisect_left(self._keys, key)
        self._keys.insert(index, key)
        self._slots.insert(index, slot)
        self._by_key[key] = slot

    def _remove(self, key: Key) -> None:
        index = bisect_left(self._keys, key)
        del self._keys[index], self._slots[index], self._by_key[key]

    def best(self) -> Key | None:
        return self._keys[-1] * self._sign if self._keys else None

    def worst(self) -> Key | None:
        return self._keys[0] * self._sign if self._keys else None

    def count_better_than(self, price: Key) -> int:
        return len(self._keys) - bisect_left(self._keys, price * self._sign)

    def levels(self, depth: int | None) -> Levels:
        stop = None if depth is None else -depth - 1
        return Levels([slot[0] for slot in self._slots[:stop:-1]])

    def prune(self, depth: int) -> None:
        surplus = len(self._keys) - depth
        if surplus > 0:
            for key in self._keys[:surplus]:
                del self._by_key[key]
            del self._keys[:surplus], self._slots[:surplus]


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
        self._limit = limit
        self._sequencer = sequencer()
        self._bids, self._asks = _Side(1), _Side(-1)
        self._pending: list[BookUpdate] | None = [] if self._sequencer.needs_snapshot else None
        self._horizons: tuple[tuple[Key, int] | None, tuple[Key, int] | None] = (None, None)
        self._time_ms: int | None = None
        self._received_at: datetime | None = None

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
        if self._pending is not None:
            self._pending.append(update)
            if len(self._pending) > _BUFFERED:
                del self._pending[: -_BUFFERED // 2]
            if self.state is BookState.SYNCING:
                return Change.BUFFERED
        return self._follow(update)

    def _follow(self, update: BookUpdate) -> Change:
        expected = self._sequencer.last_id + 1
        verdict = self._sequencer.judge(update)
        if verdict is Verdict.DROP:
            return Change.IGNORED
        if verdict is Verdict.RESYNC:
            return self._break(Fault("updates are missing", expected, update.first_id))
        if verdict is Verdict.RESET:
            self._load_sides(update.bids, update.asks)
            self.state = BookState.LIVE
        else:
            self._apply(update)
        self._time_ms, self._received_at = update.time_ms, update.received_at
        return self._checked(update.last_id)

    def _apply(self, update: BookUpdate) -> None:
        bids, asks = update.bids, update.asks
        try:
            _check(bids)
            _check(asks)
            keys = _keys(bids, 0), _keys(bids, 1), _keys(asks, 0), _keys(asks, 1)
        except (ValueError, TypeError, IndexError):
            raise MalformedMessage("a book level is no number", {"text": repr(update)[:60]}) from None
        self._bids.apply(bids, keys[0], keys[1])
        self._asks.apply(asks, keys[2], keys[3])
        if self._limit is not None:
            self._bids.prune(self._limit)
            self._asks.prune(self._limit)

    def _checked(self, last_id: int) -> Change:
        bid, ask = self._bids.best(), self._asks.best()
        if bid is not None and ask is not None and bid >= ask:
            return self._break(Fault("the book is crossed", got=last_id))
        return Change.APPLIED

    def load(self, snapshot: BookUpdate) -> Change:
        """Take a snapshot in, and the updates that came meanwhile. STALE: fetch another one."""
        pending = self._pending or []
        if pending and snapshot.last_id + 1 < pending[0].first_id:
            return Change.STALE
        self._sequencer = self._make()
        self._sequencer.anchor(snapshot.last_id)
        self._load_sides(snapshot.bids, snapshot.asks)
        self._time_ms, self._received_at = snapshot.time_ms, snapshot.received_at
        self._pending = None
        self.state = BookState.LIVE
        change = self._checked(snapshot.last_id)
        for update in pending:
            if change is Change.BROKEN:
                break
            change = self._follow(update)
        return change if change is Change.BROKEN else Change.APPLIED

    def _load_sides(self, bids: Sequence[Sequence[str]], asks: Sequence[Sequence[str]]) -> None:
        try:
            _check(bids)
            _check(asks)
            self._bids.load(bids)
            self._asks.load(asks)
        except (ValueError, TypeError, IndexError):
            raise MalformedMessage("a book level is no number", {"text": repr(bids)[:60]}) from None

    def set_horizon(self, depth: int) -> None:
        """The last snapshot asked for `depth` levels: where a side is full, what lies beyond it is not known."""

        def horizon(side: _Side) -> tuple[Key, int] | None:
            worst = side.worst()
            return None if worst is None or len(side) < depth else (worst, len(side))

        self._horizons = horizon(self._bids), horizon(self._asks)

    @property
    def is_thin(self) -> bool:
        """Whether the market has eaten through half of what the last snapshot showed: time for another."""
        sides = zip((self._bids, self._asks), self._horizons, strict=True)
        return any(mark is not None and side.count_better_than(mark[0]) * 2 < mark[1] for side, mark in sides)

    def refresh(self) -> None:
        """Await a new snapshot while the book goes on being valid."""
        if self._pending is None:
            self._pending = []

    def invalidate(self, fault: Fault) -> None:
        """Not valid from now on: a connection was lost, a message was broken."""
        self._break(fault)

    def _break(self, fault: Fault) -> Change:
        self.state = BookState.SYNCING
        self.fault = fault
        self._sequencer = self._make()
        self._pending = [] if self._sequencer.needs_snapshot else None
        return Change.BROKEN

    def view(self, depth: int | None = None) -> Book:
        """The book as it is now, `depth` levels a side; `is_valid` says whether it may be believed."""
        return Book(
            exchange=self.exchange,
            symbol=self.symbol,
            bids=self._bids.levels(depth),
            asks=self._asks.levels(depth),
            sequence=self._sequencer.last_id,
            is_valid=self.state is BookState.LIVE,
            source=Source.STREAM,
            time=None if self._time_ms is None else datetime_of(self._time_ms),
            received_at=self._received_at,
        )
