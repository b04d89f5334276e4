"""Rate limits: windows aligned to the clock and windows that roll, and the ban of those who do not listen."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PATIENCE = 2
GRACE_MS = 250
FIRST_BAN_MS = 120_000
LONGEST_BAN_MS = 3 * 86_400_000


@dataclass(slots=True)
class Window:
    """``limit`` per ``seconds``; the count begins anew whenever the clock passes a multiple of ``seconds``."""

    limit: int
    seconds: int
    _count: int = 0
    _index: int = -1

    def used(self, now_ms: int) -> int:
        """The count of the window that holds this moment."""
        index = now_ms // (self.seconds * 1000)
        if index != self._index:
            self._index, self._count = index, 0
        return self._count

    def add(self, amount: int, now_ms: int) -> None:
        """Counts; a negative amount gives back, never below zero."""
        self._count = max(0, self.used(now_ms) + amount)

    def would_exceed(self, amount: int, now_ms: int) -> bool:
        """Whether so much more is too much."""
        return self.used(now_ms) + amount > self.limit

    def ends_ms(self, now_ms: int) -> int:
        """When the next window begins."""
        length = self.seconds * 1000
        return (now_ms // length + 1) * length


@dataclass(frozen=True, slots=True)
class Limited:
    """A refusal: wait until ``until_ms``; ``window`` says which limit, None for a ban."""

    until_ms: int
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class Full:
    """A refusal of an order: ``window`` is used up, wait until ``until_ms``."""

    until_ms: int
    window: Window


@dataclass(slots=True)
class Door:
    """Shut until a time. What was on its way when it was shut is refused too, but held against nobody.

    A connection is a number, 0 where there is none: who was refused on it, and asks on it again, has heard.
    """

    until_ms: int = 0
    _since_ms: int = 0
    _told: set[int] = field(default_factory=set)

    def shut(self, until_ms: int, now_ms: int, connection: int = 0) -> None:
        """Nobody passes before ``until_ms``; ``connection`` is the one on which that was said first."""
        self.until_ms, self._since_ms, self._told = until_ms, now_ms, {connection}

    def is_shut(self, now_ms: int) -> bool:
        """Whether nobody passes."""
        return now_ms < self.until_ms

    def was_known(self, now_ms: int, connection: int = 0) -> bool:
        """Whether who asks now must have heard that it is shut; from now on he has."""
        is_told = connection != 0 and connection in self._told
        self._told.add(connection)
        return is_told or now_ms >= self._since_ms + GRACE_MS


@dataclass(slots=True)
class Gate:
    """The limits of one address: what it has used, and whether it is shut out."""

    windows: Sequence[Window]
    on_violation: Callable[[str], None]
    _door: Door = field(default_factory=Door)
    _ignored: int = 0
    _banned_until_ms: int = 0
    _bans: int = 0

    def admit(self, weights: Sequence[int], now_ms: int, connection: int = 0) -> Limited | None:
        """None lets pass (and counts nothing yet); knocking at a closed gate is a violation and leads to a ban."""
        if now_ms < self._banned_until_ms:
            self.on_violation("a request during a ban")
            return Limited(self._banned_until_ms)
        if self._door.is_shut(now_ms):
            return self._ignore(now_ms, connection)
        for window, weight in zip(self.windows, weights, strict=True):
            if window.would_exceed(weight, now_ms):
                self.on_violation(f"over a limit: {window.limit} per {window.seconds} s")
                self.shut(window.ends_ms(now_ms), now_ms, connection)
                return Limited(self._door.until_ms, window)
        return None

    def shut(self, until_ms: int, now_ms: int, connection: int = 0) -> None:
        """Nobody passes before ``until_ms``."""
        self._door.shut(until_ms, now_ms, connection)
        self._ignored = 0

    def count(self, weights: Sequence[int], now_ms: int) -> None:
        """Counts what was admitted."""
        for window, weight in zip(self.windows, weights, strict=True):
            window.add(weight, now_ms)

    def _ignore(self, now_ms: int, connection: int) -> Limited:
        if not self._door.was_known(now_ms, connection):
            return Limited(self._door.until_ms, self.windows[0])
        self.on_violation("a request before Retry-After had passed")
        self._ignored += 1
        if self._ignored <= PATIENCE:
            return Limited(self._door.until_ms, self.windows[0])
        ban = min(FIRST_BAN_MS * 4**self._bans, LONGEST_BAN_MS)
        self._bans += 1
        self._banned_until_ms = now_ms + ban
        return Limited(self._banned_until_ms)


@dataclass(slots=True)
class OrderCount:
    """Unfilled orders of one account: every accepted one counts, its first fill gives back."""

    windows: list[Window]
    on_violation: Callable[[str], None]
    _door: Door = field(default_factory=Door)
    _is_shut: bool = False  # whatever is left of the count

    def admit(self, amount: int, now_ms: int, connection: int = 0) -> Full | None:
        """None lets pass, and counts nothing yet."""
        if self._is_shut and self._door.is_shut(now_ms):
            self._knock(now_ms, connection)
            return Full(self._door.until_ms, self.windows[0])
        self._is_shut = False
        for window in self.windows:
            if window.would_exceed(amount, now_ms):
                self._refuse(window, now_ms, connection)
                return Full(window.ends_ms(now_ms), window)
        return None

    def shut(self, until_ms: int, now_ms: int, connection: int = 0) -> None:
        """No order passes before ``until_ms``."""
        self._door.shut(until_ms, now_ms, connection)
        self._is_shut = True

    def _refuse(self, window: Window, now_ms: int, connection: int) -> None:
        if self._door.is_shut(now_ms):
            self._knock(now_ms, connection)
            return
        self.on_violation(f"over a limit: {window.limit} orders per {window.seconds} s")
        self._door.shut(window.ends_ms(now_ms), now_ms, connection)

    def _knock(self, now_ms: int, connection: int) -> None:
        if self._door.was_known(now_ms, connection):
            self.on_violation("an order before Retry-After had passed")

    def add(self, amount: int, now_ms: int) -> None:
        """Counts an accepted order, or gives credit back."""
        for window in self.windows:
            window.add(amount, now_ms)


@dataclass(slots=True)
class Rolling:
    """``limit`` in any ``seconds``."""

    limit: int
    seconds: int
    _times: deque[int] = field(default_factory=deque)

    def left(self, now_ms: int) -> int:
        """How many more are allowed now."""
        while self._times and self._times[0] <= now_ms - self.seconds * 1000:
            self._times.popleft()
        return max(0, self.limit - len(self._times))

    def add(self, amount: int, now_ms: int) -> None:
        """Counts."""
        self._times.extend([now_ms] * amount)

    def frees_ms(self, now_ms: int) -> int:
        """When one more is allowed: now, unless all are used."""
        return now_ms if self.left(now_ms) or not self._times else self._times[0] + self.seconds * 1000


@dataclass(slots=True)
class Quota:
    """A rolling limit that refuses, and remembers for how long it has said so."""

    window: Rolling
    name: str
    on_violation: Callable[[str], None]
    _door: Door = field(default_factory=Door)
    _is_shut: bool = False  # whatever is left of the limit

    def take(self, wanted: int, now_ms: int, connection: int = 0) -> int:
        """How many of those wanted are granted, and counted."""
        self._is_shut = self._is_shut and self._door.is_shut(now_ms)
        granted = 0 if self._is_shut else min(wanted, self.window.left(now_ms))
        self.window.add(granted, now_ms)
        if granted < wanted:
            self._refuse(now_ms, connection)
        return granted

    def shut(self, until_ms: int, now_ms: int, connection: int = 0) -> None:
        """Nothing is granted before ``until_ms``."""
        self._door.shut(until_ms, now_ms, connection)
        self._is_shut = True

    def frees_ms(self, now_ms: int) -> int:
        """When one more is granted."""
        return self._door.until_ms if self._is_shut else self.window.frees_ms(now_ms)

    def _refuse(self, now_ms: int, connection: int) -> None:
        if not self._door.is_shut(now_ms):
            self.on_violation(f"over a limit: {self.window.limit} per {self.window.seconds} s of {self.name}")
            self._door.shut(self.window.frees_ms(now_ms), now_ms, connection)
        elif self._door.was_known(now_ms, connection):
            self.on_violation(f"a request before the limit of {self.name} was reset")


@dataclass(slots=True)
class Ban:
    """A rolling limit of one address; whoever exceeds it is shut out for ``ban_ms``."""

    window: Rolling
    ban_ms: int
    on_violation: Callable[[str], None]
    _door: Door = field(default_factory=Door)
    _broken: str = ""

    def admits(self, now_ms: int, connection: int = 0) -> bool:
        """Counts a request; False: it comes from somebody who is banned."""
        if self._door.is_shut(now_ms):
            if self._door.was_known(now_ms, connection):
                self.on_violation(self._broken)
            return False
        if not self.window.left(now_ms):
            self.on_violation(f"over a limit: {self.window.limit} per {self.window.seconds} s")
            self.shut(now_ms + self.ban_ms, now_ms, connection)
            return False
        self.window.add(1, now_ms)
        return True

    def shut(self, until_ms: int, now_ms: int, connection: int = 0, *, broken: str = "a request during a ban") -> None:
        """Nobody passes before ``until_ms``; ``broken`` is what it is to ask all the same."""
        self._door.shut(until_ms, now_ms, connection)
        self._broken = broken
