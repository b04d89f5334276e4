"""The write-ahead journal: what was wanted, what was sent, what became of it.

No byte of an order leaves before its intent and its attempt are committed here. The attempt is one conditional
insert: the intent is still this process's, the process was not taken for dead, and trading is not halted; without
the row nothing is sent. A process that slept through its own takeover, or through `halt()`, therefore sends nothing.

One SQLite file per host and account, shared by any number of processes. Each takes an epoch of its own; whoever
finds the epoch of a dead process takes it over: intents without an attempt were never sent, attempts without an
outcome are unknown. Committed rows survive `kill -9`; with `durability="power"` also a power cut.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from exconnect.errors import JournalUnavailable, OrderRejected, TradingHalted
from exconnect.model.enums import OrderStatus, Source
from exconnect.model.order import Order, PlaceOrder
from exconnect.runtime import process
from exconnect.trading.intents import Halt, Known, Sent, conflict, halted, meaning_of
from exconnect.trading.orders import RANKS

if TYPE_CHECKING:
    from exconnect.environment import Environment
    from exconnect.gateway import Attempt

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS epoch (
    epoch INTEGER PRIMARY KEY, process TEXT NOT NULL, started_ms INTEGER NOT NULL, retired_ms INTEGER);
CREATE TABLE IF NOT EXISTS intent (
    client_order_id TEXT PRIMARY KEY, digest TEXT NOT NULL, epoch INTEGER NOT NULL, created_ms INTEGER NOT NULL,
    snapshot BLOB NOT NULL, is_done INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attempt (
    client_order_id TEXT NOT NULL, number INTEGER NOT NULL, epoch INTEGER NOT NULL, operation TEXT NOT NULL,
    timestamp_ms INTEGER, recv_window_ms INTEGER, expires_ms INTEGER, host TEXT NOT NULL, params BLOB NOT NULL,
    outcome TEXT, PRIMARY KEY (client_order_id, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS grave (client_order_id TEXT PRIMARY KEY, since_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS listener (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, process TEXT NOT NULL, since_ms INTEGER NOT NULL,
    symbols TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS handled (
    listener INTEGER NOT NULL, symbol TEXT NOT NULL, order_id TEXT NOT NULL, fill_id TEXT NOT NULL,
    time_ms INTEGER NOT NULL, PRIMARY KEY (listener, symbol, order_id, fill_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lag (day INTEGER PRIMARY KEY, seconds REAL NOT NULL);
CREATE INDEX IF NOT EXISTS open_intent ON intent (epoch) WHERE is_done = 0;
CREATE INDEX IF NOT EXISTS whole_intent ON intent (created_ms) WHERE is_done = 1;
"""
_INTENT = """
INSERT INTO intent (client_order_id, digest, epoch, created_ms, snapshot)
SELECT :id, :digest, :epoch, :created, :snapshot
WHERE EXISTS (SELECT 1 FROM epoch WHERE epoch = :epoch AND retired_ms IS NULL)
ON CONFLICT DO NOTHING
"""
_ATTEMPT = """
INSERT INTO attempt
SELECT :id, (SELECT COALESCE(MAX(number), 0) + 1 FROM attempt WHERE client_order_id = :id), :epoch, :operation,
       :timestamp, :window, :expires, :host, :params, NULL
WHERE EXISTS (SELECT 1 FROM intent WHERE client_order_id = :id AND epoch = :epoch AND is_done = 0)
  AND EXISTS (SELECT 1 FROM epoch WHERE epoch = :epoch AND retired_ms IS NULL)
  AND NOT EXISTS (SELECT 1 FROM meta WHERE name = 'halt')
"""
# Whether it is over seldom changes; to leave that alone spares the index.
_SNAPSHOT = """
UPDATE intent SET snapshot = :snapshot
WHERE client_order_id = :id AND is_done = :is_done AND (is_done = 0 OR :is_certain)
"""
_TURN = """
UPDATE intent SET snapshot = :snapshot, is_done = :is_done
WHERE client_order_id = :id AND (is_done = 0 OR :is_certain)
"""
_UNSENT = """
UPDATE intent SET snapshot = :snapshot, is_done = 1
WHERE client_order_id = :id AND epoch = :epoch AND is_done = 0
"""
_SEEN, _ENDED = RANKS[OrderStatus.ACCEPTED], RANKS[OrderStatus.CANCELED]  # by the exchange
_BUSY_S = 0.25  # a place does not wait longer for another process's commit
_AGAIN_S = 0.01
_DAY_MS, _LAG_DAYS, _GRAVE_DAYS = 86_400_000, 30, 7
_WHOLE_DAYS, _MOST_PRUNED = 30, 500  # how long every detail of an order is kept after it was wanted
_SYNCHRONOUS = {"process": "NORMAL", "power": "FULL"}

_inherited: list[sqlite3.Connection] = []  # of a parent process: neither used nor closed, which could harm it


class Journal:
    """The journal of one account, for all threads of a process. Making one opens nothing."""

    def __init__(self, path: Path, env: Environment, *, durability: str = "process") -> None:
        self.path = path
        self._env = env
        self._synchronous = _SYNCHRONOUS[durability]
        self._local = threading.local()
        self._epochs: dict[int, int] = {}  # by process id
        self._unwritten: dict[str, dict[str, Any]] = {}  # wishes whose attempt is still to come
        self._halted_here: Halt | None = None  # this process obeys also when the file cannot be written

    # ------------------------------------------------------------ intents

    def intend(self, order: Order, command: PlaceOrder, *, is_new: bool = False) -> Known | None:
        """Write a wish down, and give None; or what is known, if its id stands here already.

        What was never sent is this process's to send now, under the same id. `is_new`: the id was made just now, so
        that nobody can ask for it yet; such a wish is written together with its attempt, in one commit.

        Raises:
            IntentConflict: the id stands for an order with other parameters.
            JournalUnavailable: it cannot be written, or this process was taken for dead meanwhile.
        """
        digest, packed, name = _digest(command), _packed(order), order.client_order_id
        with self._reading() as db:
            row = {
                "id": name,
                "digest": digest,
                "epoch": self.epoch(db),
                "created": self._env.wall_ms(),
                "snapshot": packed,
            }
            if is_new:
                self._unwritten[name] = row
                return None
            self._write_wish(db, name)
            if db.execute(_INTENT, row).rowcount:
                return None
        return self._bound(order, command, packed)

    def _write_wish(self, db: sqlite3.Connection, client_order_id: str) -> None:
        # Whoever did takes it from the waiting ones after the commit, so that it is always to be seen somewhere.
        row = self._unwritten.get(client_order_id)
        if row is not None:
            db.execute(_INTENT, row)

    def _bound(self, order: Order, command: PlaceOrder, packed: bytes) -> Known | None:
        with self.transaction() as db:
            mine, where = self.epoch(db), (order.client_order_id,)
            row = db.execute("SELECT digest, epoch, snapshot FROM intent WHERE client_order_id = ?", where).fetchone()
            if row is None:
                raise _taken_over(order.client_order_id)
            if row[0] != _digest(command):
                raise conflict(order, msgspec.json.decode(row[0]), meaning_of(command))
            known = _unpacked(row[2])
            if known.status is not OrderStatus.NEVER_SENT:
                return Known(known, known.status is OrderStatus.PENDING_NEW and row[1] != mine)
            if db.execute("SELECT retired_ms FROM epoch WHERE epoch = ?", (mine,)).fetchone() != (None,):
                raise _taken_over(order.client_order_id)
            db.execute(
                "UPDATE intent SET epoch = ?, snapshot = ?, is_done = 0 WHERE client_order_id = ?",
                (mine, packed, order.client_order_id),
            )
            return None

    def attempt(self, client_order_id: str, attempt: Attempt) -> None:
        """Write down what is about to leave; without this row nothing is sent.

        Raises:
            TradingHalted: somebody halted trading.
            JournalUnavailable: it cannot be written, or this process was taken for dead meanwhile.
        """
        with self.transaction() as db:
            self._write_wish(db, client_order_id)
            row = {
                "id": client_order_id,
                "epoch": self.epoch(db),
                "operation": attempt.operation,
                "timestamp": attempt.timestamp_ms,
                "window": attempt.recv_window_ms,
                "expires": attempt.expires_ms,
                "host": attempt.host,
                "params": msgspec.json.encode(attempt.params),
            }
            if not db.execute(_ATTEMPT, row).rowcount:
                raise _refusal(db, client_order_id)
        self._unwritten.pop(client_order_id, None)

    def sent(self, client_order_id: str) -> Sent | None:
        """When it was sent, None if no attempt was written down.

        Raises:
            JournalUnavailable: it cannot be read.
        """
        query = "SELECT MIN(timestamp_ms), MAX(expires_ms) FROM attempt WHERE client_order_id = ?"
        with self._reading() as db:
            first_ms, expires_ms = db.execute(query, (client_order_id,)).fetchone()
        return None if first_ms is None or expires_ms is None else Sent(first_ms, expires_ms)

    def record(self, order: Order) -> None:
        """The newest snapshot of an intent. Never raises: what it holds can be found out again.

        Another process may know more: an end that one of them was told by the exchange stays.
        """
        if order.status is OrderStatus.PENDING_NEW and order.source is Source.LOCAL:
            return  # its wish says as much
        with suppress(JournalUnavailable), self._reading() as db:
            self._write_wish(db, order.client_order_id)
            with _unsynced(db) if self._synchronous == "FULL" else nullcontext():
                self._put(db, order)
        self._unwritten.pop(order.client_order_id, None)

    def _put(self, db: sqlite3.Connection, order: Order) -> None:
        rank, name = RANKS[order.status], order.client_order_id
        if order.status is OrderStatus.NEVER_SENT:
            # Only whose it is can know: an heir may have sent it meanwhile.
            db.execute(_UNSENT, {"snapshot": _packed(order), "id": name, "epoch": self.epoch(db)})
            return
        values = {"snapshot": _packed(order), "id": name, "is_done": order.is_done, "is_certain": rank >= _ENDED}
        if db.execute(_SNAPSHOT, values).rowcount or db.execute(_TURN, values).rowcount or rank < _SEEN:
            return
        row = db.execute("SELECT snapshot FROM intent WHERE client_order_id = ?", (name,)).fetchone()
        if row is not None and RANKS[_unpacked(row[0]).status] < _SEEN:
            # Thought never to have reached the exchange, and it is there.
            db.execute(_TURN, values | {"is_certain": True})

    def get(self, client_order_id: str) -> Order | None:
        """The newest snapshot that was recorded, by whatever process."""
        with self._reading() as db:
            row = db.execute("SELECT snapshot FROM intent WHERE client_order_id = ?", (client_order_id,)).fetchone()
        return None if row is None else _unpacked(row[0])

    def orders(self, *, only_open: bool = False) -> list[Order]:
        """All intents, or those that are not over; oldest first."""
        if not self.path.exists():
            return []  # who only reads makes no file
        where = "WHERE is_done = 0" if only_open else ""
        with self._reading() as db:
            rows = db.execute(f"SELECT snapshot FROM intent {where} ORDER BY created_ms").fetchall()  # noqa: S608
        return [_unpacked(row[0]) for row in rows]

    # ------------------------------------------------------------ processes that are gone

    def take_over(self) -> list[Order]:
        """Retire the epochs of dead processes; their orders that may have been sent, as `UNKNOWN`.

        What they had not begun to send is `NEVER_SENT` from the same moment on.
        """
        with self.transaction() as db:
            mine = self.epoch(db)
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
                    "UPDATE intent SET snapshot = ?, is_done = 2 WHERE client_order_id = ?", (_packed(order), name)
                )
                db.execute("DELETE FROM attempt WHERE client_order_id = ?", (name,))
            db.execute("DELETE FROM grave WHERE since_ms < ?", (self._env.wall_ms() - _GRAVE_DAYS * _DAY_MS,))
        return len(rows)

    @staticmethod
    def _inherit(db: sqlite3.Connection, epoch: int, mine: int) -> list[Order]:
        rows = db.execute(
            "SELECT snapshot, EXISTS (SELECT 1 FROM attempt a WHERE a.client_order_id = i.client_order_id"
            " AND a.epoch = i.epoch) FROM intent i WHERE epoch = ? AND is_done = 0",
            (epoch,),
        ).fetchall()
        found: list[Order] = []
        for snapshot, was_attempted in rows:
            order = _unpacked(snapshot)
            if order.status is OrderStatus.PENDING_NEW:
                order = replace(order, status=OrderStatus.UNKNOWN if was_attempted else OrderStatus.NEVER_SENT)
            if order.is_open:
                found.append(order)
            db.execute(
                "UPDATE intent SET epoch = ?, snapshot = ?, is_done = ? WHERE client_order_id = ?",
                (mine, _packed(order), order.is_done, order.client_order_id),
            )
        return found

    # ------------------------------------------------------------ the kill switch

    def halt(self, reason: str) -> None:
        """From now on no attempt is written, in whatever process."""
        self._halted_here = Halt(reason, self._env.wall())
        value = msgspec.json.encode((reason, self._halted_here.since.isoformat())).decode()
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('halt', ?)", (value,))

    def resume(self) -> None:
        """End it."""
        self._halted_here = None
        with self.transaction() as db:
            db.execute("DELETE FROM meta WHERE name = 'halt'")

    def halt_state(self) -> Halt | None:
        """Since when and why, None if trading goes on; what this process was told, if the file cannot be read.

        Nothing is sent on the strength of that: an attempt that cannot be written is refused.
        """
        try:
            with self._reading() as db:
                return _halt(db)
        except JournalUnavailable:
            return self._halted_here

    # ------------------------------------------------------------ orders that count as never accepted

    def bury(self, order: Order) -> None:
        """Watch for it for a week, in every process. Never raises."""
        with suppress(JournalUnavailable), self._reading() as db:
            db.execute("INSERT OR IGNORE INTO grave VALUES (?, ?)", (order.client_order_id, self._env.wall_ms()))

    def unbury(self, client_order_id: str) -> None:
        """It has shown up. Never raises."""
        with suppress(JournalUnavailable), self._reading() as db:
            db.execute("DELETE FROM grave WHERE client_order_id = ?", (client_order_id,))

    def buried(self) -> list[Order]:
        """Those to watch for.

        Raises:
            JournalUnavailable: it cannot be read.
        """
        if not self.path.exists():
            return []
        query = "SELECT i.snapshot FROM grave g JOIN intent i USING (client_order_id) WHERE g.since_ms >= ?"
        with self._reading() as db:
            rows = db.execute(query, (self._env.wall_ms() - _GRAVE_DAYS * _DAY_MS,)).fetchall()
        orders = [_unpacked(row[0]) for row in rows]
        return [order for order in orders if order.status is OrderStatus.NOT_ACCEPTED]

    # ------------------------------------------------------------ how far reads lag behind

    def lagged(self, seconds: float) -> None:
        """So long it took until a read showed an order that the exchange had. Never raises."""
        day = self._env.wall_ms() // _DAY_MS
        with suppress(JournalUnavailable), self._reading() as db:
            db.execute(
                "INSERT INTO lag VALUES (?, ?) ON CONFLICT DO UPDATE SET seconds = MAX(seconds, excluded.seconds)",
                (day, seconds),
            )
            db.execute("DELETE FROM lag WHERE day < ?", (day - _LAG_DAYS,))

    def worst_lag(self) -> float:
        """The longest of that in the last 30 days, seconds.

        Raises:
            JournalUnavailable: it cannot be read.
        """
        since = self._env.wall_ms() // _DAY_MS - _LAG_DAYS
        with self._reading() as db:
            worst = db.execute("SELECT MAX(seconds) FROM lag WHERE day >= ?", (since,)).fetchone()[0]
        return worst or 0.0

    # ------------------------------------------------------------ the file

    def verify(self) -> list[str]:
        """What is wrong with the file: nothing, as a rule."""
        with self._reading() as db:
            problems = [str(row[0]) for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
            orphans = db.execute(
                "SELECT client_order_id FROM attempt WHERE client_order_id NOT IN (SELECT client_order_id FROM intent)"
            )
            problems += [f"attempt without an intent: {row[0]}" for row in orphans]
            for client_order_id, snapshot in db.execute("SELECT client_order_id, snapshot FROM intent"):
                try:
                    _unpacked(snapshot)
                except msgspec.MsgspecError as error:
                    problems.append(f"{client_order_id} cannot be read: {error}")
        return problems

    def next_epoch(self) -> int:
        """This process's epoch, in its client order ids."""
        with self._reading() as db:
            return self.epoch(db)

    def epoch(self, db: sqlite3.Connection) -> int:
        """This process's, drawn at its first use."""
        pid = os.getpid()
        known = self._epochs.get(pid)
        if known is not None:
            return known
        # Two threads may both draw one; the loser's stays unused, and is this process's too.
        values = (process.identity(), self._env.wall_ms())
        number = db.execute("INSERT INTO epoch (process, started_ms) VALUES (?, ?)", values).lastrowid or 0
        return self._epochs.setdefault(pid, number)

    def _reading(self) -> _Reading:
        return _Reading(self)

    def transaction(self) -> _Writing:
        """All or nothing; also for whoever keeps something else in the same file.

        Entering it raises `JournalUnavailable` if the file cannot be used.
        """
        return _Writing(self)

    def connection(self) -> sqlite3.Connection:
        """This thread's own, opened at its first use.

        Raises:
            sqlite3.Error: the file is none that can be used.
            OSError: the same.
        """
        own: _Own | None = getattr(self._local, "own", None)
        if own is None or own.pid != os.getpid():
            own = self._local.own = _Own(self._opened())
        return own.db

    def _opened(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.path.is_symlink():
            raise OSError("it is a link, which is not followed")
        if not self.path.exists():
            self._create()
        db = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        db.execute(f"PRAGMA synchronous = {self._synchronous}")
        self._prepare(db)
        return db

    def _create(self) -> None:
        """An empty file that only its owner may read, under its name in one step.

        Never by opening the name itself: closing a descriptor of a file drops every lock that this process holds on
        it, those of SQLite in other threads among them.
        """
        fresh = self.path.with_name(f".{self.path.name}.{self._env.token(8).hex()}")
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        try:
            with suppress(FileExistsError):  # somebody was faster
                os.link(fresh, self.path)
        finally:
            fresh.unlink()

    def _prepare(self, db: sqlite3.Connection) -> None:
        # Who turns a new file into what it shall be wants it alone, and SQLite does not wait for that: others do.
        deadline = self._env.now() + _BUSY_S
        while True:
            try:
                if db.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
                    raise OSError("its file system cannot be shared between processes")
                db.executescript(_SCHEMA)
                return
            except sqlite3.OperationalError:
                if self._env.now() >= deadline:
                    raise
                self._env.sleep(_AGAIN_S)


class _Reading:
    """Lends a thread its connection; a file that fails is `JournalUnavailable`.

    Every order passes here several times: a class costs less than a generator.
    """

    __slots__ = ("_journal",)

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __enter__(self) -> sqlite3.Connection:
        try:
            return self._journal.connection()
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, (sqlite3.Error, OSError)):
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> JournalUnavailable:
        path = self._journal.path
        return JournalUnavailable(f"the journal {path} cannot be used ({error}): places are refused, cancels go on")


class _Writing(_Reading):
    """The same, all or nothing, while nobody else writes."""

    __slots__ = ()

    def __enter__(self) -> sqlite3.Connection:
        db = super().__enter__()
        try:
            self._journal.epoch(db)  # committed by itself: the transaction may be rolled back
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        return db

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        db = self._journal.connection()
        try:
            if error is None:
                db.execute("COMMIT")
        except sqlite3.Error as failed:
            error = failed
        if error is not None:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
        super().__exit__(kind, error, trace)


class _Own:
    """One thread's connection: closed when the thread or the journal goes, but only by the process that opened it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.pid = os.getpid()
        # Not `__del__`: of a cycle the connection might be finalized first, and Python warns of one that is open.
        weakref.finalize(self, _let_go, db, self.pid)


def _let_go(db: sqlite3.Connection, pid: int) -> None:
    if pid == os.getpid():
        db.close()
    else:
        _inherited.append(db)


@contextmanager
def _unsynced(db: sqlite3.Connection) -> Iterator[None]:
    """Does not wait for the disk: for what can be found out again after a power cut."""
    db.execute("PRAGMA synchronous = NORMAL")
    try:
        yield
    finally:
        db.execute("PRAGMA synchronous = FULL")


def _halt(db: sqlite3.Connection) -> Halt | None:
    row = db.execute("SELECT value FROM meta WHERE name = 'halt'").fetchone()
    if row is None:
        return None
    reason, since = msgspec.json.decode(row[0])
    return Halt(reason, datetime.fromisoformat(since))


def _refusal(db: sqlite3.Connection, client_order_id: str) -> TradingHalted | JournalUnavailable:
    halt = _halt(db)
    if halt is not None:
        return halted(halt)
    return _taken_over(client_order_id)


def _taken_over(client_order_id: str) -> JournalUnavailable:
    message = "this process was taken for dead and its orders were handed over: the order was not sent"
    return JournalUnavailable(message, {"client_order_id": client_order_id})


def _digest(command: PlaceOrder) -> str:
    """What the order means, so short that it can be kept for ever, and so plain that it can be compared by parts."""
    return msgspec.json.encode(meaning_of(command), order="deterministic").decode()


_REJECTIONS: dict[str, type[OrderRejected]] = {cls.__name__: cls for cls in OrderRejected.__subclasses__()}


def _packed(order: Order) -> bytes:
    return msgspec.json.encode(order, enc_hook=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, OrderRejected):
        return [type(value).__name__, value.message, value.details]
    raise NotImplementedError(type(value))


def _unpacked(snapshot: bytes) -> Order:
    return msgspec.json.decode(snapshot, type=Order, dec_hook=_made)


def _made(kind: type, value: Any) -> Any:
    if kind is OrderRejected:
        name, message, details = value
        return _REJECTIONS.get(name, OrderRejected)(message, details)
    raise NotImplementedError(kind)
