"""An order book kept from a stream: valid only while it is provably contiguous and not crossed.

Per side there is one sorted list of keys with the best last, and beside it the list of slots in the same order; a
dict finds a slot by the text of its price. The key of a price is its value: `0.10` and `0.1` are one level, and a
text that is new is looked up by value before it becomes a level of its own.

What a slot holds is replaced, never changed, and the cells that views share (`[price text, quantity text, Level or
None]`) are made when a view is taken: a view stays as it was, and Decimals are built once, when somebody reads a level.

Nothing here locks: the feed that owns a builder holds its lock around `receive`, `load` and `view`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, Protocol

from msgspec import Struct

from exconnect.errors import MalformedMessage
from exconnect.model.enums import Source
from exconnect.model.market import Book, Cell, Levels
from exconnect.model.values import datetime_of
from exconnect.protocol.session import BookUpdate, Pair

if TYPE_CHECKING:
    from datetime import datetime

Key = float | Decimal

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


_FLOAT_DIGITS = 15  # significant decimal digits that a float tells apart, whatever they are
_NUMBER = re.compile(r"\d{1,20}(?:\.\d{1,20})?", re.ASCII)

# Comparing texts takes a tenth of the time that a float takes. A plain number up to the first of these is zero; one
# above it is not, unless it begins with two zeros (nobody writes that, and it is looked at more closely).
_ZERO = "0." + "0" * 20
_TWO_ZEROS, _ZERO_ONE = "00", "01"


def check_levels(*sides: Sequence[Pair]) -> None:
    """See that all prices and quantities are plain numbers: digits with at most one point.

    What `float` and `Decimal` would take beyond that (`1e5`, `nan`, `1_0`, `-1`) is no number here.

    Raises:
        MalformedMessage: they are not.
    """
    for level in chain(*sides):
        try:
            price, quantity = level
            is_plain = _NUMBER.fullmatch(price) is not None and _NUMBER.fullmatch(quantity) is not None
        except (TypeError, ValueError):
            is_plain = False
        if not is_plain:
            raise MalformedMessage("a book level is no price and quantity", {"text": repr(level)[:60]})


def is_zero(quantity: str) -> bool:
    """By value: `0`, `0.0` and `0.00000000` are."""
    return not quantity.strip("0.")


def _fits_float(text: str) -> bool:
    """Whether no other plain number has the same float."""
    return len(text) <= _FLOAT_DIGITS or len(text.replace(".", "").strip("0")) <= _FLOAT_DIGITS


class _Slot(Struct, gc=False):
    """A level: its price and quantity as they are now, the text it is known by, and the cell that its views share."""

    key: Key
    text: str
    pair: Pair
    cell: Cell | None = None


class _Side:
    """One side of a book. Keys are floats until a price comes that floats cannot tell apart, then Decimals."""

    __slots__ = ("_by_text", "_keys", "_number", "_sign", "_slots")

    def __init__(self, sign: str) -> None:
        self._sign = sign  # "-" for asks: the best is the last on both sides
        self._number: Callable[[str], Key] = float
        self._by_text: dict[str, _Slot] = {}
        self._keys: list[Key] = []
        self._slots: list[_Slot] = []

    def __len__(self) -> int:
        return len(self._keys)

    def load(self, levels: Sequence[Pair]) -> None:
        self._number = float if all(_fits_float(price) for price, _ in levels) else Decimal
        standing = (level for level in levels if not is_zero(level[1]))
        slots = [_Slot(self._number(self._sign + level[0]), level[0], level) for level in standing]
        by_key = {slot.key: slot for slot in slots}
        self._keys = sorted(by_key)
        self._slots = [by_key[key] for key in self._keys]
        self._by_text = {slot.text: slot for slot in self._slots}

    def apply(self, levels: Sequence[Pair]) -> None:
        find = self._by_text.get
        for level in levels:
            price, quantity = level
            slot = find(price)
            if quantity > _ZERO and (quantity < _TWO_ZEROS or quantity >= _ZERO_ONE or not is_zero(quantity)):
                if slot is None:
                    self._place(level)
                else:
                    slot.pair = level
                    slot.cell = None
            elif slot is None:
                self._remove(price)
            else:
                index = bisect_left(self._keys, slot.key)
                del self._keys[index], self._slots[index], self._by_text[price]

    def _place(self, level: Pair) -> None:
        """Put a level where its price is not known by this text: in place of the same value, or as a new one."""
        price, keys = level[0], self._keys
        if len(price) > _FLOAT_DIGITS and self._number is float and not _fits_float(price):
            self._use_decimals()
        key = self._number(self._sign + price)
        index = bisect_left(keys, key)
        slot = self._by_text[price] = _Slot(key, price, level)
        if index < len(keys) and keys[index] == key:
            del self._by_text[self._slots[index].text]
            self._slots[index] = slot
        else:
            keys.insert(index, key)
            self._slots.insert(index, slot)

    def _remove(self, price: str) -> None:
        """Remove a price that is not known by this text, if its value is."""
        key = Decimal(self._sign + price) if not _fits_float(price) else self._number(self._sign + price)
        index = bisect_left(self._keys, key)
        if index < len(self._keys) and self._keys[index] == key:
            del self._by_text[self._slots[index].text], self._keys[index], self._slots[index]

    def _use_decimals(self) -> None:
        self._number = Decimal
        for slot in self._slots:
            slot.key = Decimal(self._sign + slot.text)
        self._keys[:] = [slot.key for slot in self._slots]

    def best(self) -> _Slot | None:
        return self._slots[-1] if self._slots else None

    def worst(self) -> Key | None:
        return self._keys[0] if self._keys else None

    def count_from(self, mark: Key) -> int:
        """How many levels stand at `mark` or better."""
        return len(self._keys) - bisect_left(self._keys, mark)

    def levels(self, depth: int | None) -> Levels:
        stop = None if depth is None else -depth - 1
        return Levels([slot.cell or _cell(slot) for slot in self._slots[:stop:-1]])

    def prune(self, depth: int) -> None:
        surplus = len(self._keys) - depth
        if surplus > 0:
            for slot in self._slots[:surplus]:
                del self._by_text[slot.text]
            del self._keys[:surplus], self._slots[:surplus]


def _cell(slot: _Slot) -> Cell:
    slot.cell = cell = [*slot.pair, None]
    return cell


def _is_crossed(bid: _Slot | None, ask: _Slot | None) -> bool:
    if bid is None or ask is None:
        return False
    if type(bid.key) is float and type(ask.key) is float:
        return bid.key >= -ask.key
    return Decimal(bid.text) >= Decimal(ask.text)


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
        self._bids, self._asks = _Side(""), _Side("-")
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
        if not update.is_plain:
            check_levels(update.bids, update.asks)
        sequencer = self._sequencer
        last_id = sequencer.last_id
        verdict = sequencer.judge(update)
        if verdict is Verdict.APPLY:
            self._bids.apply(update.bids)
            self._asks.apply(update.asks)
            if self._limit is not None:
                self._bids.prune(self._limit)
                self._asks.prune(self._limit)
        elif verdict is Verdict.DROP:
            return Change.IGNORED
        elif verdict is Verdict.RESYNC:
            return self._break(Fault("updates are missing", last_id + 1, update.first_id))
        else:
            self._load_sides(update)
            self.state = BookState.LIVE
        self._time_ms, self._received_at = update.time_ms, update.received_at
        return self._checked(update.last_id)

    def _checked(self, last_id: int) -> Change:
        if _is_crossed(self._bids.best(), self._asks.best()):
            return self._break(Fault("the book is crossed", got=last_id))
        return Change.APPLIED

    def load(self, snapshot: BookUpdate) -> Change:
        """Take a snapshot in, and the updates that came meanwhile. STALE: fetch another one.

        Raises:
            MalformedMessage: not numbers; the book is as it was.
        """
        check_levels(snapshot.bids, snapshot.asks)
        pending = self._pending or []
        if pending and snapshot.last_id + 1 < pending[0].first_id:
            return Change.STALE
        self._sequencer = self._make()
        self._sequencer.anchor(snapshot.last_id)
        self._load_sides(snapshot)
        self._time_ms, self._received_at = snapshot.time_ms, snapshot.received_at
        self._pending = None
        self.state = BookState.LIVE
        change = self._checked(snapshot.last_id)
        for update in pending:
            if change is Change.BROKEN:
                break
            change = self._follow(update)
        return change if change is Change.BROKEN else Change.APPLIED

    def _load_sides(self, whole: BookUpdate) -> None:
        self._bids.load(whole.bids)
        self._asks.load(whole.asks)

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
        return any(mark is not None and side.count_from(mark[0]) * 2 < mark[1] for side, mark in sides)

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
