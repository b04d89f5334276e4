"""Which fills the handlers of a stream have had, on disk: what a dead process may not have handled comes again.

A stream that hands out fills has a row in the journal: who it is, and from when on it answers for fills. Each fill
that its handlers are through with is noted. A process that ends in order takes the row back; the rows of dead ones go
to the next stream of the same name, together with what was noted.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from functools import reduce
from typing import TYPE_CHECKING

import msgspec

from exconnect.errors import JournalUnavailable
from exconnect.model.values import ms_of
from exconnect.protocol.session import Inherited
from exconnect.runtime import process

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from exconnect.model.order import Fill
    from exconnect.trading.journal import Journal

log = logging.getLogger("exconnect.orders")

_KEPT_MS = 7 * 86_400_000
_CLOCKS_MS = 3_600_000  # by which this machine's clock may be behind the exchange's
_Row = tuple[int, str, int, str, str]  # number, process, since, symbols, name


class HandoutLog:
    """What one running stream has handed out."""

    def __init__(self, journal: Journal, name: str) -> None:
        self._journal = journal
        self._name = name
        self._number: int | None = None
        self._symbols: set[str] = set()  # as they are written down
        self._pid = 0

    def begin(self, since_ms: int, symbols: Iterable[str]) -> Inherited | None:
        """From now on it is known what was handed out; what dead streams of this name have left behind.

        Raises:
            JournalUnavailable: it cannot be written.
        """
        with self._journal.transaction() as db:
            rows: list[_Row] = db.execute("SELECT number, process, since_ms, symbols, name FROM listener").fetchall()
            inherited = self._estate(db, [row for row in rows if not process.is_alive(row[1])], since_ms - _KEPT_MS)
            # What it inherits it leaves behind, should it die before that was handed out.
            since_ms = since_ms if inherited is None else min(since_ms, inherited.since_ms)
            self._symbols = {*symbols, *(() if inherited is None else inherited.symbols)}
            number = db.execute(
                "INSERT INTO listener (name, process, since_ms, symbols) VALUES (?, ?, ?, ?)",
                (self._name, process.identity(), since_ms, _text(self._symbols)),
            ).lastrowid
            if inherited is not None:
                values = ((number, *identity, since_ms) for identity in inherited.handled)
                db.executemany("INSERT INTO handled VALUES (?, ?, ?, ?, ?)", values)
        self._number, self._pid = number, os.getpid()
        if inherited is None:
            return None
        # A fill that was on its way, and was not told when the process ended, is of one of these.
        ours = {order.symbol for order in self._journal.recent(inherited.since_ms - _CLOCKS_MS)}
        return msgspec.structs.replace(inherited, symbols=tuple(sorted(ours.union(inherited.symbols))))

    def _estate(self, db: sqlite3.Connection, dead: list[_Row], oldest_ms: int) -> Inherited | None:
        """What the dead ones of this name have left; what is older than a week is left by nobody."""
        mine = [row for row in dead if row[4] == self._name]
        handled = []
        for number, *_ in mine:
            query = "SELECT symbol, order_id, fill_id FROM handled WHERE listener = ?"
            handled.append(frozenset(db.execute(query, (number,)).fetchall()))
        for number, _, since_ms, _, name in dead:
            if name == self._name or since_ms < oldest_ms:
                _drop(db, number)
        if not mine:
            return None
        return Inherited(
            since_ms=max(min(row[2] for row in mine), oldest_ms),
            handled=reduce(frozenset.intersection, handled),  # of two streams, each had to hand it out
            symbols=tuple({symbol for row in mine for symbol in msgspec.json.decode(row[3])}),
        )

    def handled(self, fill: Fill) -> None:
        """Every handler is through with it. Never raises: at worst it comes again."""
        time_ms = 0 if fill.time is None else ms_of(fill.time, "time")
        row = (self._number, fill.symbol, fill.order_id, fill.id, time_ms)
        with suppress(JournalUnavailable), self._journal.transaction() as db:
            db.execute("INSERT OR IGNORE INTO handled VALUES (?, ?, ?, ?, ?)", row)

    def covers(self, symbol: str) -> None:
        """Fills of this symbol are going to be told too. Never raises."""
        if symbol not in self._symbols:
            self._symbols = {*self._symbols, symbol}
            with suppress(JournalUnavailable), self._journal.transaction() as db:
                db.execute("UPDATE listener SET symbols = ? WHERE number = ?", (_text(self._symbols), self._number))

    def advance(self, since_ms: int, symbols: Iterable[str]) -> None:
        """All that was filled before has been handled. Never raises."""
        self._symbols = set(symbols)
        with suppress(JournalUnavailable), self._journal.transaction() as db:
            db.execute(
                "UPDATE listener SET since_ms = MAX(since_ms, ?), symbols = ? WHERE number = ?",
                (since_ms, _text(self._symbols), self._number),
            )
            db.execute("DELETE FROM handled WHERE listener = ? AND time_ms < ?", (self._number, since_ms))

    def end(self) -> None:
        """It ended in order, and nothing that it was told is left. Never raises."""
        if self._number is None or self._pid != os.getpid():
            return
        with suppress(JournalUnavailable), self._journal.transaction() as db:
            _drop(db, self._number)


def _drop(db: sqlite3.Connection, number: int) -> None:
    db.execute("DELETE FROM handled WHERE listener = ?", (number,))
    db.execute("DELETE FROM listener WHERE number = ?", (number,))


def _text(symbols: Iterable[str]) -> str:
    return msgspec.json.encode(sorted(set(symbols))).decode()
