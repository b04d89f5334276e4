"""Faults: what shall go wrong, how often, and a way to wait until it has."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

REST = frozenset({"reset", "hang", "delay", "status", "garbage", "redirect"})
LAG = frozenset({"lag"})
SOCKET = frozenset({"disconnect", "refuse", "silence"})
MESSAGE = frozenset({"gap", "duplicate", "reorder", "malformed", "cross"})
LASTING = LAG | SOCKET
_POINTS = frozenset({"before_accept", "after_accept"})
_SOCKETS = frozenset({"public", "private", "*"})
_KINDS = frozenset({"book", "trade", "ticker", "order", "*"})
_READS = frozenset({"fetch_order", "fetch_open_orders", "fetch_fills", "*"})
_CROSSED = frozenset({"book", "*"})


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """What was asked for."""

    name: str
    on: str = "*"
    at: str = "after_accept"
    after: int = 0
    times: int | None = 1
    seconds: float = 0.0
    count: int = 1
    status: int = 503
    code: int | None = None
    retry_after: float | None = None
    symbol: str | None = None

    def check(self, operations: frozenset[str], symbols: frozenset[str]) -> None:
        """Raises: ValueError with the choices."""
        _one_of("name", self.name, REST | LAG | SOCKET | MESSAGE)
        _one_of("at", self.at, _POINTS)
        _one_of("on", self.on, self._places(operations))
        if self.symbol is not None:
            _one_of("symbol", self.symbol, symbols)
        for argument, value, least in (
            ("after", self.after, 0), ("times", self.times, 1), ("count", self.count, 1), ("seconds", self.seconds, 0)
        ):  # fmt: skip
            if value is not None and value < least:
                raise ValueError(f"{argument}={value}: not below {least}")

    def _places(self, operations: frozenset[str]) -> frozenset[str]:
        if self.name in REST:
            return operations | {"*"}
        if self.name in LAG:
            return _READS
        if self.name in SOCKET:
            return _SOCKETS
        return _CROSSED if self.name == "cross" else _KINDS


@dataclass(eq=False, slots=True)
class Fault:
    """One fault; ``fired`` says how often it has acted."""

    plan: FaultPlan
    _owner: Faults
    _seen: int = 0
    _fired: int = 0
    _burst: int = 0  # messages that the act under way still has to disturb
    until_ms: int = 0

    @property
    def fired(self) -> int:
        """How often it has acted."""
        return self._fired

    def wait(self, timeout: float) -> bool:
        """Until it has fired (True), at most ``timeout`` seconds."""
        changed = self._owner.changed
        with changed:
            return changed.wait_for(lambda: self._fired > 0, timeout)

    def remove(self) -> None:
        """From now on it does nothing."""
        self._owner.remove(self)

    def __repr__(self) -> str:
        return f"<Fault {self.plan.name} on={self.plan.on} fired={self._fired}>"

    @property
    def is_spent(self) -> bool:
        """Whether it has done all that was asked of it."""
        plan = self.plan
        return plan.times is not None and self._fired >= plan.times and not self._burst

    def act(self) -> None:
        """Counts one act. Caller holds the lock."""
        self._fired += 1
        self._owner.changed.notify_all()

    def meets(self, *, burst: bool) -> bool:
        """Whether this match is one to act on. Caller holds the lock."""
        if self._burst:
            self._burst -= 1
            return True
        self._seen += 1
        if self._seen <= self.plan.after:
            return False
        self._burst = self.plan.count - 1 if burst else 0
        self.act()
        return True


@dataclass(eq=False, slots=True)
class Faults:
    """The faults of one exchange. ``act`` is told of those that concern sockets and read models at once.

    The exchange says what can be named: ``operations`` that its REST side has, ``symbols`` that it lists.
    """

    act: Callable[[Fault], None]
    operations: frozenset[str] = frozenset()
    symbols: frozenset[str] = frozenset()
    changed: threading.Condition = field(default_factory=threading.Condition)
    _active: list[Fault] = field(default_factory=list)

    def add(
        self,
        name: str,
        *,
        on: str = "*",
        at: str = "after_accept",
        after: int = 0,
        times: int | None = 1,
        seconds: float = 0.0,
        count: int = 1,
        status: int = 503,
        code: int | None = None,
        retry_after: float | None = None,
        symbol: str | None = None,
    ) -> Fault:
        """Skips ``after`` matches, then acts on ``times`` of them (None: until removed).

        Raises: ValueError for a name, ``on``, ``at`` or ``symbol`` that does not exist, with the choices.
        """
        plan = FaultPlan(name, on, at, after, times, seconds, count, status, code, retry_after, symbol)
        plan.check(self.operations, self.symbols)
        fault = Fault(plan, self)
        with self.changed:
            self._active.append(fault)
        if name in LASTING:
            self.act(fault)
        if name == "disconnect":
            self.remove(fault)
        return fault

    def clear(self) -> None:
        """Removes all."""
        with self.changed:
            self._active.clear()

    def remove(self, fault: Fault) -> None:
        """Removes one."""
        with self.changed:
            if fault in self._active:
                self._active.remove(fault)

    def request(self, operation: str) -> Fault | None:
        """The fault that this request meets, if any; it then counts as fired."""
        if not self._active:
            return None
        return self._take(lambda plan: plan.name in REST and plan.on in {"*", operation}, burst=False)

    def message(self, kind: str, symbol: str | None) -> Fault | None:
        """The fault that the next message of this kind meets, if any."""
        if not self._active:
            return None
        return self._take(
            lambda plan: plan.name in MESSAGE and plan.on in {"*", kind} and plan.symbol in {None, symbol}, burst=True
        )

    def lasting(self, name: str, on: str, now_ms: int) -> Fault | None:
        """A fault of this name that holds now for ``on``."""
        for fault in self._active:
            plan = fault.plan
            if plan.name == name and plan.on in {"*", on} and now_ms < fault.until_ms:
                return fault
        return None

    def fire(self, fault: Fault) -> None:
        """Counts one act."""
        with self.changed:
            fault.act()

    def _take(self, matches: Callable[[FaultPlan], bool], *, burst: bool) -> Fault | None:
        with self.changed:
            for fault in list(self._active):
                if matches(fault.plan) and fault.meets(burst=burst):
                    if fault.is_spent:
                        self._active.remove(fault)
                    return fault
        return None


def _one_of(argument: str, value: str, choices: frozenset[str]) -> None:
    if value not in choices:
        raise ValueError(f"{argument}={value!r}: one of {', '.join(sorted(choices))}")
