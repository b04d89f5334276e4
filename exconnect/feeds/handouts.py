"""Which fills the handlers of one running stream are through with, for whoever comes after a crash."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from exconnect.errors import JournalUnavailable
from exconnect.model.values import ms_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exconnect.environment import Environment
    from exconnect.model.order import Fill
    from exconnect.protocol.session import Inherited

log = logging.getLogger("exconnect.stream")

_REMEMBERED = 100_000


class HandoutLog(Protocol):
    """Where that is written down."""

    def begin(self, since_ms: int, symbols: Iterable[str]) -> Inherited | None:
        """From now on; what dead ones have left behind."""

    def handled(self, fill: Fill) -> None:
        """Every handler is through with it."""

    def covers(self, symbol: str) -> None:
        """Fills of this symbol are going to be told too."""

    def advance(self, since_ms: int, symbols: Iterable[str]) -> None:
        """All that was filled before has been handled."""

    def end(self) -> None:
        """It ended in order."""


class Handouts:
    """Thread-safe: one thread tells of fills, the handlers' threads of what they are through with."""

    def __init__(self, env: Environment, open_log: Callable[[], HandoutLog | None]) -> None:
        self.is_wanted = False  # whether anybody hears of fills
        self._lock = env.lock()
        self._open_log = open_log
        self._log: HandoutLog | None = None
        self._has_begun = False
        self._open: OrderedDict[tuple[str, str, str], tuple[int, int]] = OrderedDict()  # calls to come, time
        self._inherited: Inherited | None = None  # until it was handed out
        self._told: set[str] = set()  # symbols of which fills were told, named by somebody or not

    @property
    def is_due(self) -> bool:
        """Whether somebody hears of fills by now, and that is not written down yet."""
        return self.is_wanted and not self._has_begun

    def begin(self, since_ms: int, symbols: Iterable[str]) -> Inherited | None:
        """From the first time that somebody hears of fills; what dead streams have left behind."""
        if not self.is_due:
            return self._inherited
        self._has_begun = True
        found = self._open_log()
        if found is None:
            return None
        try:
            inherited = found.begin(since_ms, {*symbols, *self._told})
        except JournalUnavailable as error:
            log.warning("it will not be known after a crash which fills were handled: %s", error)
            return None
        self._log, self._inherited = found, inherited
        return inherited

    def settled(self) -> None:
        """What the dead have left behind was handed out; a connection that ended before that leaves it to the next."""
        self._inherited = None

    def expect(self, symbol: str) -> None:
        """A fill of it is about to be told. Whoever comes after a crash has to look for it there."""
        if symbol not in self._told:
            self._told = {*self._told, symbol}
            if self._log is not None:
                self._log.covers(symbol)

    def told(self, fill: Fill, calls: int) -> None:
        """So many handlers are going to hear of it."""
        if calls and self._count(fill, calls):
            self._note(fill)

    def handled(self, fill: Fill) -> None:
        """A handler is through with it."""
        if self._count(fill, -1):
            self._note(fill)

    def dropped(self, fill: Fill) -> None:
        """A handler was taken back and does not want it any more."""
        self._count(fill, -1)

    def _count(self, fill: Fill, calls: int) -> bool:
        """Whether nobody is left who has not had it. Counted before anything is written down: that may begin late."""
        # The first handler may be through with it before it is known how many there are.
        identity = fill.symbol, fill.order_id, fill.id
        with self._lock:
            left = self._open.pop(identity, (0, 0))[0] + calls
            if left:
                self._open[identity] = left, 0 if fill.time is None else ms_of(fill.time, "time")
                if len(self._open) > _REMEMBERED:
                    self._open.popitem(last=False)
        return not left

    def _note(self, fill: Fill) -> None:
        if self._log is not None:
            self._log.handled(fill)

    def advance(self, until_ms: int, symbols: Iterable[str]) -> None:
        """All that was filled before has been told."""
        if self._log is not None:
            with self._lock:
                oldest_ms = min((time_ms for _, time_ms in self._open.values()), default=until_ms)
            self._log.advance(min(until_ms, oldest_ms), {*symbols, *self._told})

    def end(self) -> None:
        """No call begins any more, and none is under way."""
        if self._log is not None and not self._open:
            self._log.end()
