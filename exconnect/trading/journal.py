"""The write-ahead journal: what was wanted, what was sent, what became of it.

No byte of an order leaves before its intent and its attempt are committed here. The attempt is one conditional
insert: the intent is still this process's, the process was not taken for dead, and trading is not halted; without
the row nothing is sent. A process that slept through its own takeover, or through `halt()`, therefore sends nothing.

One SQLite file per host and account, shared by any number of processes. Each takes an epoch of its own; whoever
finds the epoch of a dead process takes it over: intents without an attempt were never sent, attempts without an
outcome are unknown. Committed rows survive `kill -9`; with `durability="power"` also a power cut.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from exconnect.errors import JournalUnavailable, OrderRejected
from exconnect.gateway import Attempt
from exconnect.model.enums import OrderStatus, Source
from exconnect.model.order import Order, PlaceOrder
from exconnect.runtime import process
from exconnect.trading.intents import Fence, Halt, Sent, conflict, halted, halted_again, meaning_of
from exconnect.trading.journal_file import JournalFile, insist
from exconnect.trading.orders import RANKS, Evidence, merge

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from exconnect.environment import Environment
    from exconnect.resilience.breaker import PartState
    from exconnect.trading.journal_file import Transaction

_WISH = """
INSERT INTO intent (client_order_id, digest, epoch, created_ms, snapshot)
SELECT :id, :digest, :epoch, :created, :snapshot
WHERE EXISTS (SELECT 1 FROM epoch WHERE epoch = :epoch AND retired_ms IS NULL)
ON CONFLICT DO NOTHING
"""
_WISH_AND_ATTEMPT = """
INSERT INTO intent (
    client_order_id, digest, epoch, created_ms, snapshot, attempt_epoch, sent_ms, expires_ms, attempts)
SELECT :id, :digest, :epoch, :created, :snapshot, :epoch, :timestamp, :expires, :attempt
WHERE EXISTS (SELECT 1 FROM epoch WHERE epoch = :epoch AND retired_ms IS NULL)
  AND NOT EXISTS (SELECT 1 FROM meta WHERE name = 'halt')
ON CONFLICT DO NOTHING
"""
_ATTEMPT = """
UPDATE intent SET
    attempt_epoch = :epoch,
    sent_ms = COALESCE(MIN(sent_ms, :timestamp), :timestamp, sent_ms),
    expires_ms = COALESCE(MAX(expires_ms, :expires), :expires, expires_ms),
    attempts = COALESCE(attempts || char(10), '') || :attempt
WHERE client_order_id = :id AND epoch = :epoch AND is_done = 0
  AND EXISTS (SELECT 1 FROM epoch WHERE epoch = :epoch AND retired_ms IS NULL)
  AND NOT EXISTS (SELECT 1 FROM meta WHERE name = 'halt')
"""
# Whether it is over seldom changes; to leave that alone spares the index.
_SNAPSHOT = """
UPDATE intent SET snapshot = :snapshot
WHERE client_order_id = :id AND epoch = :epoch AND is_done = 0
"""
_TURN = """
UPDATE intent SET snapshot = :snapshot, is_done = :is_done
WHERE client_order_id = :id AND epoch = :epoch AND (is_done = 0 OR :is_certain)
"""
_UNSENT = """
UPDATE intent SET snapshot = :snapshot, is_done = 1
WHERE client_order_id = :id AND epoch = :epoch AND is_done = 0
"""
_AT_FENCE = """
SELECT fence.epoch, process, retired_ms FROM fence LEFT JOIN epoch USING (epoch) WHERE client_order_id = ?
"""
# Whose an order is, and whether that process had begun to send it.
_READ = """
SELECT client_order_id, intent.epoch, process, attempt_epoch IS intent.epoch, snapshot
FROM intent LEFT JOIN epoch USING (epoch)
"""
_OVER = f"{_READ} WHERE is_done > 0 AND client_order_id IN (SELECT value FROM json_each(?))"  # noqa: S608
_SEEN, _ENDED = RANKS[OrderStatus.ACCEPTED], RANKS[OrderStatus.CANCELED]  # by the exchange
_Row = tuple[str, int, str | None, int, bytes]
_Reading = tuple[bytes, bool | None]
_DAY_MS, _LAG_DAYS, _GRAVE_DAYS = 86_400_000, 30, 7
_HALTING_S = 5.0  # a kill switch waits longer than an order for whoever holds the file
_WHOLE_DAYS, _MOST_PRUNED = 30, 500  # how long every detail of an order is kept after it was wanted


class Journal:
    """The journal of one account, for all threads of a process. Making one opens nothing.

    `exchange`: whose orders it is for, which a file remembers that is made for it; None takes any file.
    """

    def __init__(
        self, path: Path, env: Environment, *, durability: str = "process", exchange: str | None = None
    ) -> None:
        self.path = path
        self._env = env
        self._file = JournalFile(path, env, durability, exchange)
        self._unwritten: dict[str, tuple[Order, PlaceOrder]] = {}  # wishes whose attempt is still to come
        self._halted_here: Halt | None = None  # obeyed also when the file cannot be read
        self._unwritten_halt: Halt | None = None  # this process obeys what it could not tell the others
        self._has_heard_of_halt = True  # or has not looked yet
        self._told: dict[str, tuple[_Reading, Order]] = {}  # what `news` has told last

    # ------------------------------------------------------------ intents

    def intend(self, order: Order, command: PlaceOrder, *, is_new: bool = False) -> Order | None:
        """Write a wish down, and give None; or its newest snapshot, if its id stands here already.

        What was never sent is this process's to send now, under the same id. `is_new`: the id was made just now, so
        that nobody can ask for it yet; such a wish is written together with its attempt, in one commit.

        Raises:
            IntentConflict: the id stands for an order with other parameters.
            JournalUnavailable: it cannot be written, or this process was taken for dead meanwhile.
        """
        name = order.client_order_id
        if is_new:
            self._unwritten[name] = order, command
            return None
        self._write_wish(name)
        wish = self._wish(order, command)
        return None if self._file.change(_WISH, wish) else self._bound(order, command, wish)

    def _wish(self, order: Order, command: PlaceOrder) -> dict[str, Any]:
        return {
            "id": order.client_order_id,
            "digest": _digest(command),
            "epoch": self._file.epoch(),
            "created": self._env.wall_ms(),
            "snapshot": _packed(order),
        }

    def _write_wish(self, client_order_id: str) -> None:
        # Whoever did takes it from the waiting ones after the commit, so that it is always to be seen somewhere.
        waiting = self._unwritten.get(client_order_id)
        if waiting is not None:
            self._file.change(_WISH, self._wish(*waiting))

    def _bound(self, order: Order, command: PlaceOrder, wish: dict[str, Any]) -> Order | None:
        mine, where = wish["epoch"], (order.client_order_id,)
        with self.transaction() as db:
            row = db.execute("SELECT digest, snapshot FROM intent WHERE client_order_id = ?", where).fetchone()
            if row is None:
                raise _taken_over(order.client_order_id)
            if row[0] != wish["digest"]:
                raise conflict(order, msgspec.json.decode(row[0]), meaning_of(command))
            known = _unpacked(row[1])
            if known.status is not OrderStatus.NEVER_SENT:
                return known
            if db.execute("SELECT retired_ms FROM epoch WHERE epoch = ?", (mine,)).fetchone() != (None,):
                raise _taken_over(order.client_order_id)
            db.execute(
                "UPDATE intent SET epoch = ?, snapshot = ?, is_done = 0 WHERE client_order_id = ?",
                (mine, wish["snapshot"], order.client_order_id),
            )
            return None

    def attempt(self, client_order_id: str, attempt: Attempt, *others: str) -> None:
        """Write down what is about to leave; without this row nothing is sent.

        `others`: ids of orders that leave in the same request. All are written in one commit, or none is.

        Raises:
            TradingHalted: somebody halted trading.
            JournalUnavailable: it cannot be written, or this process was taken for dead meanwhile.
        """
        if self._unwritten_halt is not None:
            raise halted(self._unwritten_halt)
        if others:
            with self.transaction():
                for name in (client_order_id, *others):
                    self._write_attempt(name, attempt)
        else:
            self._write_attempt(client_order_id, attempt)
        for name in (client_order_id, *others):
            self._unwritten.pop(name, None)

    def _write_attempt(self, client_order_id: str, attempt: Attempt) -> None:
        row = {
            "id": client_order_id,
            "epoch": self._file.epoch(),
            "timestamp": attempt.timestamp_ms,
            "expires": attempt.expires_ms,
            "attempt": _encoder.encode(attempt).decode(),
        }
        waiting = self._unwritten.get(client_order_id)
        is_written = waiting is not None and self._file.change(_WISH_AND_ATTEMPT, self._wish(*waiting) | row)
        if not is_written and not self._file.change(_ATTEMPT, row):
            halt = self.halt_state()
            raise _taken_over(client_order_id) if halt is None else halted(halt)

    def sent(self, client_order_id: str) -> Sent | None:
        """When it was sent, None if no attempt was written down.

        Raises:
            JournalUnavailable: it cannot be read.
        """
        query = "SELECT sent_ms, expires_ms FROM intent WHERE client_order_id = ?"
        found = self._file.rows(query, (client_order_id,))
        return Sent(*found[0]) if found and None not in found[0] else None

    def record(self, order: Order) -> None:
        """The newest snapshot of an intent. Never raises: what it holds can be found out again.

        Another process may know more: an end that one of them was told by the exchange stays.
        """
        if order.status is OrderStatus.PENDING_NEW and order.source is Source.LOCAL:
            return  # its wish says as much
        name = order.client_order_id
        told = self._told.get(name)
        if told is not None and told[1] == order:
            return  # it was read here
        try:
            if name in self._unwritten:
                self._write_wish(name)
            self._put(order)
        except JournalUnavailable:
            pass
        self._unwritten.pop(name, None)

    def _put(self, order: Order) -> None:
        status, mine, change = order.status, self._file.epoch(), self._file.change
        values = {"snapshot": _packed(order), "id": order.client_order_id, "epoch": mine}
        if status is OrderStatus.NEVER_SENT:
            # Only whose it is can know: an heir may have sent it meanwhile.
            change(_UNSENT, values, waits=False)
            return
        values["is_done"] = is_done = status.is_done
        values["is_certain"] = RANKS[status] >= _ENDED
        if not is_done and change(_SNAPSHOT, values, waits=False):
            return
        if not change(_TURN, values, waits=False) and self.get(order.client_order_id) is not None:
            self._put_into(order, values)

    def _put_into(self, order: Order, values: dict[str, Any]) -> None:
        """Into one that another process placed, or that was over."""
        rank = RANKS[order.status]
        with self._file.transaction(waits=False) as db:
            query = "SELECT epoch, snapshot FROM intent WHERE client_order_id = ?"
            epoch, snapshot = db.execute(query, (order.client_order_id,)).fetchone()
            known = _unpacked(snapshot)
            if epoch != values["epoch"] and rank >= _SEEN:
                # With what only the process that placed it knows, such as its key: this one may have heard of it.
                order = merge(Evidence.of(known), Evidence.of(order)).order()
            # The second: thought never to have reached the exchange, and it is there.
            is_certain = rank >= _ENDED or rank >= _SEEN > RANKS[known.status]
            values |= {"epoch": epoch, "snapshot": _packed(order), "is_done": order.is_done, "is_certain": is_certain}
            db.execute(_TURN, values)

    def get(self, client_order_id: str) -> Order | None:
        """The newest snapshot that was recorded, by whatever process."""
        if not self.path.exists():
            return None  # who only reads makes no file
        found = self._file.rows("SELECT snapshot FROM intent WHERE client_order_id = ?", (client_order_id,))
        return _unpacked(found[0][0]) if found else None

    def orders(self, *, only_open: bool = False) -> list[Order]:
        """All intents, or those that are not over, as they are to be read now; oldest first."""
        if not self.path.exists():
            return []  # who only reads makes no file
        where = "WHERE is_done = 0" if only_open else ""
        rows = self._file.rows(f"{_READ} {where} ORDER BY created_ms")
        return [_order_of(reading) for _, reading in self._readings(rows)]

    def look(self, client_order_id: str) -> Order | None:
        """The newest snapshot, as it is to be read now; None if it is no intent.

        Raises:
            JournalUnavailable: it cannot be read.
        """
        reading = self._reading(client_order_id)
        return None if reading is None else _order_of(reading)

    def is_left(self, client_order_id: str) -> bool:
        """Whether its process is gone, its outcome is not written down, and nobody has taken it over.

        Raises:
            JournalUnavailable: it cannot be read.
        """
        snapshot, was_begun = self._reading(client_order_id) or (b"", None)
        return was_begun is not None and _unpacked(snapshot).status is OrderStatus.PENDING_NEW

    def news(self, open_here: Iterable[str]) -> list[Order]:
        """What other processes have open or have left, and what has ended of these orders, which count as open here.

        As it is to be read now, and only what has changed since it was told last. Nothing is taken over by that.

        Raises:
            JournalUnavailable: it cannot be read.
        """
        if not self.path.exists():
            return []
        rows = self._file.rows(f"{_READ} WHERE is_done = 0 AND intent.epoch IS NOT ?", (self._file.known_epoch(),))
        rows += self._file.rows(_OVER, (msgspec.json.encode(list(open_here)).decode(),))
        before, told, news = self._told, {}, []
        for name, reading in self._readings(rows):
            known = before.get(name)
            if known is None or known[0] != reading:
                # As a store gives it, so that `record` knows it again.
                known = reading, Evidence.of(_order_of(reading)).order()
                news.append(known[1])
            told[name] = known
        self._told = told
        return news

    def _reading(self, client_order_id: str) -> _Reading | None:
        if not self.path.exists():
            return None
        rows = self._file.rows(f"{_READ} WHERE client_order_id = ?", (client_order_id,))
        return next((reading for _, reading in self._readings(rows)), None)

    def _readings(self, rows: Iterable[_Row]) -> Iterator[tuple[str, _Reading]]:
        """Names, snapshots, and of an order whose process is gone whether that had begun to send it."""
        mine, gone = self._file.known_epoch(), {}
        for name, epoch, who, was_begun, snapshot in rows:
            if who not in gone:
                gone[who] = who is not None and not process.is_alive(who)
            yield name, (snapshot, bool(was_begun) if gone[who] and epoch != mine else None)

    def recent(self, since_ms: int) -> list[Order]:
        """Those that are not over, and those that were begun since then by this machine's clock."""
        query = "SELECT snapshot FROM intent WHERE is_done = 0 OR (is_done = 1 AND created_ms >= ?)"
        return [_unpacked(row[0]) for row in self._file.rows(query, (since_ms,))]

    # ------------------------------------------------------------ processes that are gone

    def take_over(self) -> list[Order]:
        """Retire the epochs of dead processes; their orders that may have been sent, as `UNKNOWN`.

        What they had not begun to send is `NEVER_SENT` from the same moment on.
        """
        with self.transaction() as db:
            mine = self._file.epoch()
            rows = db.execute("SELECT epoch, process FROM epoch WHERE retired_ms IS NULL AND epoch <> ?", (mine,))
            dead = [epoch for epoch, who in rows.fetchall() if not process.is_alive(who)]
            orders: list[Order] = []
            for epoch in dead:
                db.execute("UPDATE epoch SET retired_ms = ? WHERE epoch = ?", (self._env.wall_ms(), epoch))
                orders += self._inherit(db, epoch, mine)
            return orders

    def prune(self) -> int:
        """Of orders that were over long ago keep what they were and what became of them, and drop the rest.

        Their ids stay bound for ever. How many were pruned, a few hundred at most: others wait meanwhile.
        """
        before_ms = self._env.wall_ms() - _WHOLE_DAYS * _DAY_MS
        query = "SELECT client_order_id, snapshot FROM intent WHERE is_done = 1 AND created_ms < ? LIMIT ?"
        with self.transaction() as db:
            rows = db.execute(query, (before_ms, _MOST_PRUNED)).fetchall()
            for name, snapshot in rows:
                order = replace(_unpacked(snapshot), raw=None, fills=(), fills_complete=False)
                # Two: over, and no more than this is left.
                db.execute(
                    "UPDATE intent SET snapshot = ?, is_done = 2, attempts = NULL, sent_ms = NULL, expires_ms = NULL"
                    " WHERE client_order_id = ?",
                    (_packed(order), name),
                )
                db.execute("DELETE FROM fence WHERE client_order_id = ?", (name,))
            db.execute("DELETE FROM grave WHERE since_ms < ?", (self._env.wall_ms() - _GRAVE_DAYS * _DAY_MS,))
        return len(rows)

    @staticmethod
    def _inherit(db: sqlite3.Connection, epoch: int, mine: int) -> list[Order]:
        rows = db.execute(
            "SELECT snapshot, attempt_epoch IS epoch FROM intent WHERE epoch = ? AND is_done = 0", (epoch,)
        ).fetchall()
        found: list[Order] = []
        for snapshot, was_attempted in rows:
            order = _read(snapshot, was_begun=bool(was_attempted))
            if order.is_open:
                found.append(order)
            db.execute(
                "UPDATE intent SET epoch = ?, snapshot = ?, is_done = ? WHERE client_order_id = ?",
                (mine, _packed(order), order.is_done, order.client_order_id),
            )
        return found

    # ------------------------------------------------------------ the kill switch

    def halt(self, reason: str) -> None:
        """From now on no attempt is written, in whatever process.

        Raises:
            JournalUnavailable: it cannot be written, or somebody held it for some seconds; this process obeys all the
                same, until `resume()`.
        """
        halt = halted_again(self.halt_state(), reason) or Halt(reason, self._env.wall())
        self._halted_here = self._unwritten_halt = halt
        self._has_heard_of_halt = True
        value = msgspec.json.encode((halt.reason, halt.since.isoformat())).decode()
        try:
            self._insist("INSERT OR REPLACE INTO meta VALUES ('halt', ?)", (value,))
        except JournalUnavailable as error:
            text = f"NOT halted, but for this process: {error.message}. The others place orders as ever: try again"
            raise JournalUnavailable(text, error.details) from error
        self._unwritten_halt = None

    def resume(self) -> None:
        """End it.

        Raises:
            JournalUnavailable: it cannot be written, or somebody held it for some seconds; the halt goes on.
        """
        try:
            self._insist("DELETE FROM meta WHERE name = 'halt'")
        except JournalUnavailable as error:
            text = f"NOT resumed: {error.message}. A halt goes on: try again"
            raise JournalUnavailable(text, error.details) from error
        self._halted_here = self._unwritten_halt = None

    def _insist(self, statement: str, values: tuple[str, ...] = ()) -> None:
        def write() -> None:
            with self.transaction() as db:
                db.execute(statement, values)

        insist(write, self._env, self._env.now() + _HALTING_S)

    def halt_state(self) -> Halt | None:
        """Since when and why, None if trading goes on; what this process was told, if the file cannot be read.

        Nothing is sent on the strength of that: an attempt that cannot be written is refused.
        """
        try:
            rows = self._file.rows("SELECT value FROM meta WHERE name = 'halt'")
        except JournalUnavailable:
            return self._halted_here
        if not rows:
            self._has_heard_of_halt = self._unwritten_halt is not None
            return self._unwritten_halt
        self._has_heard_of_halt = True
        reason, since = msgspec.json.decode(rows[0][0])
        return Halt(reason, datetime.fromisoformat(since))

    def halt_heard(self) -> Halt | None:
        """The same without looking each time: none that another process began and that no attempt has met yet.

        To look costs a third of what the attempt does, which looks anyway.
        """
        return self.halt_state() if self._has_heard_of_halt else None

    # ------------------------------------------------------------ orders that count as never accepted

    def bury(self, order: Order) -> None:
        """Watch for it for a week, in every process. Never raises."""
        with suppress(JournalUnavailable):
            values = (order.client_order_id, self._env.wall_ms())
            self._file.change("INSERT OR IGNORE INTO grave VALUES (?, ?)", values)

    def unbury(self, client_order_id: str) -> None:
        """It has shown up. Never raises."""
        with suppress(JournalUnavailable):
            self._file.change("DELETE FROM grave WHERE client_order_id = ?", (client_order_id,))

    def buried(self) -> list[Order]:
        """Those to watch for.

        Raises:
            JournalUnavailable: it cannot be read.
        """
        if not self.path.exists():
            return []
        query = "SELECT i.snapshot FROM grave g JOIN intent i USING (client_order_id) WHERE g.since_ms >= ?"
        rows = self._file.rows(query, (self._env.wall_ms() - _GRAVE_DAYS * _DAY_MS,))
        orders = [_unpacked(row[0]) for row in rows]
        return [order for order in orders if order.status is OrderStatus.NOT_ACCEPTED]

    # ------------------------------------------------------------ the last proof

    def begin_fence(self, client_order_id: str, expires_ms: int, now_ms: int) -> Fence:
        """Whether this process may cancel it as the last proof; if so, no other may until `end_fence`.

        Raises:
            JournalUnavailable: it cannot be written.
        """
        name = (client_order_id,)
        with self.transaction() as db:
            begun = db.execute(_AT_FENCE, name).fetchone()
            if begun == (None, None, None):
                return Fence.MET
            if begun is not None:
                epoch, who, retired_ms = begun
                if epoch != self._file.epoch() and retired_ms is None and process.is_alive(who):
                    return Fence.HELD
                # It is gone, or could not write the end down, and nobody knows what its cancel has met.
                _end_fence(db, client_order_id, now_ms, was_there=None)
            until = db.execute("SELECT expires_ms FROM intent WHERE client_order_id = ?", name).fetchone()
            if until is not None and until[0] is not None and until[0] > expires_ms:
                return Fence.MOVED
            db.execute("INSERT INTO fence VALUES (?, ?)", (client_order_id, self._file.epoch()))
            return Fence.FREE

    def end_fence(self, client_order_id: str, now_ms: int, *, was_there: bool | None) -> None:
        """What the cancel has met. Never raises: what is not written is not known to the next one."""
        with suppress(JournalUnavailable), self.transaction() as db:
            _end_fence(db, client_order_id, now_ms, was_there=was_there)

    # ------------------------------------------------------------ how far reads lag behind

    def lagged(self, seconds: float) -> None:
        """So long it took until a read showed an order that the exchange had. Never raises."""
        day = self._env.wall_ms() // _DAY_MS
        with suppress(JournalUnavailable):
            self._file.change(
                "INSERT INTO lag VALUES (?, ?) ON CONFLICT DO UPDATE SET seconds = MAX(seconds, excluded.seconds)",
                (day, seconds),
            )
            self._file.change("DELETE FROM lag WHERE day < ?", (day - _LAG_DAYS,))

    def worst_lag(self) -> float:
        """The longest of that in the last 30 days, seconds.

        Raises:
            JournalUnavailable: it cannot be read.
        """
        since = self._env.wall_ms() // _DAY_MS - _LAG_DAYS
        worst = self._file.rows("SELECT MAX(seconds) FROM lag WHERE day >= ?", (since,))[0][0]
        return worst or 0.0

    # ------------------------------------------------------------ the file

    def verify(self) -> list[str]:
        """What is wrong with the file: nothing, as a rule."""
        problems = [str(row[0]) for row in self._file.rows("PRAGMA integrity_check") if row[0] != "ok"]
        for client_order_id, snapshot, attempts in self._file.each(
            "SELECT client_order_id, snapshot, attempts FROM intent"
        ):
            try:
                _unpacked(snapshot)
                _attempts.decode_lines(attempts or "")
            except msgspec.MsgspecError as error:
                problems.append(f"{client_order_id} cannot be read: {error}")
        return problems

    def parts(self) -> dict[str, PartState]:
        """How writing goes, if anything was written yet. One that fails is tried once more."""
        state = self._file.state()
        return {} if state is None else {"journal": state}

    def next_epoch(self) -> int:
        """This process's epoch, in its client order ids."""
        return self._file.epoch()

    def transaction(self) -> Transaction:
        """All or nothing; also for whoever keeps something else in the same file.

        Entering it raises `JournalUnavailable` if the file cannot be used.
        """
        return self._file.transaction()


def _end_fence(db: sqlite3.Connection, client_order_id: str, now_ms: int, *, was_there: bool | None) -> None:
    name = (client_order_id,)
    if was_there:
        db.execute("UPDATE fence SET epoch = NULL WHERE client_order_id = ?", name)
        return
    db.execute("DELETE FROM fence WHERE client_order_id = ?", name)
    if was_there is None:
        later = "UPDATE intent SET expires_ms = MAX(expires_ms, ?) WHERE client_order_id = ?"
        db.execute(later, (now_ms, client_order_id))


def _taken_over(client_order_id: str) -> JournalUnavailable:
    message = "this process was taken for dead and its orders were handed over: it sends none any more"
    return JournalUnavailable(message, {"client_order_id": client_order_id})


def _digest(command: PlaceOrder) -> str:
    """What the order means, so short that it can be kept for ever, and so plain that it can be compared by parts."""
    return _sorted.encode(meaning_of(command)).decode()


_REJECTIONS: dict[str, type[OrderRejected]] = {cls.__name__: cls for cls in OrderRejected.__subclasses__()}


def _packed(order: Order) -> bytes:
    return _encoder.encode(order)


def _plain(value: Any) -> Any:
    if isinstance(value, OrderRejected):
        return [type(value).__name__, value.message, value.details]
    raise NotImplementedError(type(value))


def _unpacked(snapshot: bytes) -> Order:
    return _decoder.decode(snapshot)


def _order_of(reading: _Reading) -> Order:
    snapshot, was_begun = reading
    # What was not begun may still be sent: only who takes it over knows that it never will be.
    return _read(snapshot, was_begun=was_begun or None)


def _read(snapshot: bytes, *, was_begun: bool | None) -> Order:
    """An order as it is to be read; `was_begun`: whether its process, which is gone, had begun to send it."""
    order = _unpacked(snapshot)
    if order.status is not OrderStatus.PENDING_NEW or was_begun is None:
        return order
    return replace(order, status=OrderStatus.UNKNOWN if was_begun else OrderStatus.NEVER_SENT)


def _made(kind: type, value: Any) -> Any:
    if kind is OrderRejected:
        name, message, details = value
        return _REJECTIONS.get(name, OrderRejected)(message, details)
    raise NotImplementedError(kind)


_sorted = msgspec.json.Encoder(order="deterministic")
_encoder = msgspec.json.Encoder(enc_hook=_plain)
_decoder = msgspec.json.Decoder(Order, dec_hook=_made)
_attempts = msgspec.json.Decoder(Attempt)
