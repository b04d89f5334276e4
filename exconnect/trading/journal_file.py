"""The journal's file: an SQLite database in WAL mode, what its tables are, and how processes and threads share it.

Whoever writes waits for another process's commit for a moment and no longer; a file that cannot be used is
`JournalUnavailable`. Each process draws a number of its own, its epoch; each thread has a connection of its own, and
none of them outlives a fork.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

from exconnect.errors import JournalUnavailable
from exconnect.resilience.breaker import PartState
from exconnect.runtime import process

if TYPE_CHECKING:
    from pathlib import Path

    from exconnect.environment import Environment

# Rows are kept in the order in which they came: each commit then touches few pages, and mostly those of the one before.
_FIRST = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE epoch (
    epoch INTEGER PRIMARY KEY, process TEXT NOT NULL, started_ms INTEGER NOT NULL, retired_ms INTEGER)""",
    # What is wanted and what was sent for it, so that both are one statement: attempts are a line of JSON each.
    """CREATE TABLE intent (
    client_order_id TEXT PRIMARY KEY, digest TEXT NOT NULL, epoch INTEGER NOT NULL, created_ms INTEGER NOT NULL,
    is_done INTEGER NOT NULL DEFAULT 0, attempt_epoch INTEGER, sent_ms INTEGER, expires_ms INTEGER, attempts TEXT,
    snapshot BLOB NOT NULL)""",
    "CREATE INDEX open_intent ON intent (epoch) WHERE is_done = 0",
    "CREATE INDEX whole_intent ON intent (created_ms) WHERE is_done = 1",
    "CREATE TABLE grave (client_order_id TEXT PRIMARY KEY, since_ms INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE listener (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, process TEXT NOT NULL, since_ms INTEGER NOT NULL,
    symbols TEXT NOT NULL)""",
    """CREATE TABLE handled (
    listener INTEGER NOT NULL, symbol TEXT NOT NULL, order_id TEXT NOT NULL, fill_id TEXT NOT NULL,
    time_ms INTEGER NOT NULL, PRIMARY KEY (listener, symbol, order_id, fill_id)) WITHOUT ROWID""",
    "CREATE TABLE lag (day INTEGER PRIMARY KEY, seconds REAL NOT NULL)",
    # For whoever looks into the file.
    """CREATE VIEW attempt AS
    SELECT client_order_id, attempt_epoch AS epoch, sent_ms, expires_ms, attempts FROM intent
    WHERE attempts IS NOT NULL""",
)
# What is canceled as the last proof that it is not there: by whom (NULL: it was met).
_FENCES = ("CREATE TABLE fence (client_order_id TEXT PRIMARY KEY, epoch INTEGER) WITHOUT ROWID",)
_VERSIONS = (_FIRST, _FENCES)  # each adds to what was before
_PAGE = 2048  # a commit writes whole pages, and an order with all that belongs to it takes about half a one of these
BUSY_S = 0.25  # a place does not wait longer for another process's commit
_PAUSE_S = 0.05  # between two tries of whoever does
_AGAIN_S = 0.01
_TRIAL_MS, _TRIAL_SIZE = 50, 6_000  # whoever asks how it is waits for less, and tries whether an order has room
_TRIAL = "INSERT OR REPLACE INTO meta VALUES ('trial', ?)", "DELETE FROM meta WHERE name = 'trial'"

Values = tuple[Any, ...] | dict[str, Any]

_inherited: list[sqlite3.Connection] = []  # of a parent process: neither used nor closed, which could harm it


class JournalFile:
    """The file of one journal, for all threads of a process. Making one opens nothing.

    `exchange`: whose orders it is for; None takes any file.
    """

    def __init__(self, path: Path, env: Environment, durability: str, exchange: str | None) -> None:
        self.path = path
        self._exchange = exchange
        self._env = env
        self._is_synced = durability == "power"
        self._local = threading.local()
        self._epochs: dict[int, int] = {}  # by process id
        self._opening: dict[int, threading.Lock] = {}  # the same: what a fork copies while it is held stays held
        self._state: PartState | None = None  # replaced, never changed: threads read it while others write

    def epoch(self) -> int:
        """This process's, drawn at its first use."""
        pid = os.getpid()
        known = self._epochs.get(pid)
        if known is not None:
            return known
        # Two threads may both draw one; the loser's stays unused, and is this process's too.
        values = (process.identity(), self._env.wall_ms())
        self.change("INSERT INTO epoch (process, started_ms) VALUES (?, ?)", values)
        number: int = self.rows("SELECT last_insert_rowid()")[0][0]
        return self._epochs.setdefault(pid, number)

    def known_epoch(self) -> int | None:
        """The same, if it was drawn: who only reads needs none."""
        return self._epochs.get(os.getpid())

    def change(self, statement: str, values: Values, *, waits: bool = True) -> int:
        """How many rows a statement has changed, which is all or nothing by itself.

        `waits=False`: not for the disk; for what can be found out again after a power cut.
        """
        try:
            count = self.connection(waits=waits).execute(statement, values).rowcount
        except (sqlite3.Error, OSError) as error:
            raise self.unusable(error) from error
        # Where no row is changed nothing is written, and that goes well on a full disk too.
        if count and (self._state is None or self._state.cause is not None):
            self._state = PartState("closed", self._env.wall(), None)
        return count

    def rows(self, query: str, values: Values = ()) -> list[Any]:
        """What a query gives, all of it."""
        return [*self.each(query, values)]

    def each(self, query: str, values: Values = ()) -> Iterator[Any]:
        """The same row by row; whoever begins goes on to the end."""
        try:
            yield from self.connection().execute(query, values)
        except (sqlite3.Error, OSError) as error:
            raise self.unusable(error) from error

    def transaction(self, *, waits: bool = True) -> Transaction:
        """Several statements that are all or nothing together, while nobody else writes."""
        return Transaction(self, waits=waits)

    def unusable(self, error: Exception) -> JournalUnavailable:
        """What the file's error means; it counts as failing from now on."""
        self._fails(str(error))
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY:
            self._local.own = None  # opened while the file might not be written, and never able to
        return JournalUnavailable(f"the journal {self.path} cannot be used ({error})")

    # ------------------------------------------------------------ how it is

    def state(self) -> PartState | None:
        """Whether an order could be written, since when, and why not; None as long as nothing was written."""
        if self._is_disowned():
            self._fails("this process was taken for dead, and places nothing any more: start it again")
        elif self._state is not None and self._state.cause is not None:
            with suppress(JournalUnavailable):
                self._try()  # nothing else shows whether it can be written again
        return self._state

    def _fails(self, cause: str) -> None:
        known = self._state
        since = self._env.wall() if known is None or known.cause is None else known.since
        self._state = PartState("open", since, cause)

    def _is_disowned(self) -> bool:
        own = self._epochs.get(os.getpid())
        try:
            return own is not None and not self.rows(
                "SELECT 1 FROM epoch WHERE epoch = ? AND retired_ms IS NULL", (own,)
            )
        except JournalUnavailable:
            return False

    def _try(self) -> None:
        try:
            db = self.connection(waits=False)
            db.execute(f"PRAGMA busy_timeout = {_TRIAL_MS}")
        except (sqlite3.Error, OSError) as error:
            raise self.unusable(error) from error
        write, take_back = _TRIAL
        try:
            # Another text each time: what is there already is not written.
            self.change(write, (self._env.token(8).hex().ljust(_TRIAL_SIZE),), waits=False)
            self.change(take_back, (), waits=False)
        finally:
            with suppress(sqlite3.Error):  # it may be closed by now
                db.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000:.0f}")

    # ------------------------------------------------------------ its connections

    def connection(self, *, waits: bool | None = None) -> sqlite3.Connection:
        """This thread's own, opened at its first use. `waits`: whether its next commit waits for the disk.

        Raises:
            sqlite3.Error: the file is none that can be used.
            OSError: the same.
        """
        own: _Own | None = getattr(self._local, "own", None)
        if own is None or own.pid != os.getpid():
            # One after another: threads that begin a journal together would keep each other from it for too long.
            with self._opening.setdefault(os.getpid(), self._env.lock()):
                own = self._local.own = _Own(self._opened())
        if self._is_synced and waits not in (None, own.waits):
            own.waits = None  # so that whatever interrupts this leaves no doubt that it is to be said again
            own.db.execute(f"PRAGMA synchronous = {'FULL' if waits else 'NORMAL'}")
            own.waits = waits
        return own.db

    def _opened(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.path.is_symlink():
            raise OSError("it is a link, which is not followed")
        if not self.path.exists():
            self._create()
        db = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            db.execute(f"PRAGMA page_size = {_PAGE}")  # of a file that is still empty
            db.execute("PRAGMA synchronous = NORMAL")
            self._prepare(db)
            self._check_exchange(db)
        except BaseException:
            db.close()
            raise
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
        deadline = self._env.now() + BUSY_S
        while True:
            try:
                if db.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
                    raise OSError("its file system cannot be shared between processes")
                if _version(db) != len(_VERSIONS):
                    _build(db, self._exchange)
                return
            except sqlite3.OperationalError:
                if self._env.now() >= deadline:
                    raise
                self._env.sleep(_AGAIN_S)

    def _check_exchange(self, db: sqlite3.Connection) -> None:
        # Orders of another exchange would be sought on this one, and taken for never accepted.
        row = db.execute("SELECT value FROM meta WHERE name = 'exchange'").fetchone()
        if row is not None and self._exchange not in (None, row[0]):
            raise OSError(f"it is for orders on {row[0]}, not on {self._exchange}")


def is_held(error: JournalUnavailable) -> bool:
    """Whether that was only because somebody else writes, which passes when he goes on or dies."""
    return getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def insist(act: Callable[[], object], env: Environment, until: float) -> None:
    """Do it as soon as the file is to be had: who was stopped in the middle of a commit holds it until he goes on.

    No try begins that may be over only after `until`.

    Raises:
        JournalUnavailable: somebody held it all the time, or it cannot be used.
    """
    while True:
        try:
            act()
            return
        except JournalUnavailable as error:
            if not is_held(error) or until - env.now() <= BUSY_S + _PAUSE_S:
                raise
        env.sleep(_PAUSE_S)


class Transaction:
    """Lends a thread its connection and keeps all others from writing; a file that fails is `JournalUnavailable`."""

    __slots__ = ("_file", "_waits")

    def __init__(self, file: JournalFile, *, waits: bool) -> None:
        self._file = file
        self._waits = waits

    def __enter__(self) -> sqlite3.Connection:
        self._file.epoch()  # committed by itself: the transaction may be rolled back
        try:
            db = self._file.connection(waits=self._waits)
            db.execute("BEGIN IMMEDIATE")
        except (sqlite3.Error, OSError) as error:
            raise self._file.unusable(error) from error
        return db

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        db = self._file.connection()
        try:
            if error is None:
                db.execute("COMMIT")
        except sqlite3.Error as failed:
            error = failed
        if error is not None:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
        if isinstance(error, (sqlite3.Error, OSError)):
            raise self._file.unusable(error) from error


class _Own:
    """One thread's connection: closed when the thread or the journal goes, but only by the process that opened it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.waits: bool | None = None  # not said yet
        self.pid = os.getpid()
        # Not `__del__`: of a cycle the connection might be finalized first, and Python warns of one that is open.
        weakref.finalize(self, _let_go, db, self.pid)


def _let_go(db: sqlite3.Connection, pid: int) -> None:
    if pid == os.getpid():
        db.close()
    else:
        _inherited.append(db)


# ---- its tables -----------------------------------------------------------------------------------------------------


def _version(db: sqlite3.Connection) -> int:
    number: int = db.execute("PRAGMA user_version").fetchone()[0]
    if number > len(_VERSIONS):
        raise OSError("a later version of exconnect has written it")
    return number


def _build(db: sqlite3.Connection, exchange: str | None) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        version = _version(db)  # somebody may have been faster
        for statement in chain.from_iterable(_VERSIONS[version:]):
            db.execute(statement)
        if version == 0 and exchange is not None:
            db.execute("INSERT INTO meta VALUES ('exchange', ?)", (exchange,))
        db.execute(f"PRAGMA user_version = {len(_VERSIONS)}")
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
