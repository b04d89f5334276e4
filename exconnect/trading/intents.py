"""What is promised about every order that somebody wants: one id, one meaning, at most one order.

`trading.journal.Journal` keeps the promise on disk, for all processes of an account and beyond their end.
`Intents` keeps it in memory, for this process alone: it is what `journal=None` asks for.
"""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from cachetools import LRUCache

from exconnect.errors import IntentConflict, TradingHalted
from exconnect.model.enums import OrderStatus
from exconnect.model.order import PlaceOrder
from exconnect.model.values import EXACT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from exconnect.environment import Environment
    from exconnect.gateway import Attempt
    from exconnect.model.order import Order
    from exconnect.resilience.breaker import PartState

_KEPT = 100_000
_MEANT = tuple(each.name for each in fields(PlaceOrder) if each.name not in ("client_order_id", "idempotency_key"))
_AMOUNTS = ("quantity", "quote_quantity", "price", "stop_price", "iceberg_quantity")
_meant = attrgetter(*_MEANT)


class Halt(NamedTuple):
    """Since when trading is halted, and why."""

    reason: str
    since: datetime


class Sent(NamedTuple):
    """Of all attempts of one order, by the exchange's clock in ms: from when and until when it could be accepted."""

    first_ms: int
    expires_ms: int


class Fence(Enum):
    """Whether a cancel of an order that is missing would show that it is not there."""

    FREE = "free"  # and it is whoever asked who sends it
    HELD = "held"  # another process sends one
    MET = "met"  # one has met the order: that the next one does not says nothing
    MOVED = "moved"  # the order could be accepted, or be canceled, for longer than was thought


class IntentLog(Protocol):
    """Where intents are kept."""

    def intend(self, order: Order, command: PlaceOrder, *, is_new: bool = False) -> Order | None:
        """Keep a wish, and give None; or its newest snapshot, if its id stands for the same wish already.

        `is_new`: the id was made just now, for this wish. It is kept by the time of its attempt.
        """

    def attempt(self, client_order_id: str, attempt: Attempt, *others: str) -> None:
        """Keep what is about to leave; what this raises means that nothing is sent.

        `others`: ids of orders that leave in the same request.
        """

    def sent(self, client_order_id: str) -> Sent | None:
        """When it was sent, None if no attempt is known."""

    def record(self, order: Order) -> None:
        """The newest snapshot."""

    def get(self, client_order_id: str) -> Order | None:
        """The newest snapshot, None if it is no intent."""

    def orders(self, *, only_open: bool = False) -> list[Order]:
        """All intents that are kept, or those that are not over."""

    def look(self, client_order_id: str) -> Order | None:
        """The newest snapshot as it is to be read now: what a process that is gone was sending is `UNKNOWN`."""

    def is_left(self, client_order_id: str) -> bool:
        """Whether its process is gone, its outcome is not written down, and nobody has taken it over."""

    def news(self, open_here: Iterable[str]) -> list[Order]:
        """What other processes have of orders, as far as it has changed, and what has ended of these."""

    def take_over(self) -> list[Order]:
        """Open orders of processes that are gone."""

    def prune(self) -> int:
        """Drop the details of orders that were over long ago."""

    def halt(self, reason: str) -> None:
        """From now on no attempt is kept."""

    def resume(self) -> None:
        """End it."""

    def halt_state(self) -> Halt | None:
        """Since when and why, None if trading goes on."""

    def halt_heard(self) -> Halt | None:
        """The same, as far as this process has heard of it: for whoever is refused by `attempt` otherwise."""

    def parts(self) -> dict[str, PartState]:
        """What of it may fail, and how that is doing."""

    def next_epoch(self) -> int:
        """A number that sets this process's ids apart."""

    def bury(self, order: Order) -> None:
        """It counts as never accepted: remember to watch for it."""

    def unbury(self, client_order_id: str) -> None:
        """It need not be watched for any more."""

    def buried(self) -> list[Order]:
        """Those that are to be watched for and that somebody else may have buried."""

    def begin_fence(self, client_order_id: str, expires_ms: int, now_ms: int) -> Fence:
        """Whether this process may cancel it as the last proof; if so, no other may until `end_fence`.

        `expires_ms`: until when it could be accepted, as far as is known here; both by the exchange's clock.
        """

    def end_fence(self, client_order_id: str, now_ms: int, *, was_there: bool | None) -> None:
        """What the cancel has met; None: nobody knows, so that it may be over only now."""

    def lagged(self, seconds: float) -> None:
        """So long it took until a read showed an order that the exchange had."""

    def worst_lag(self) -> float:
        """The longest of that in the last 30 days, seconds."""


def meaning_of(command: PlaceOrder) -> dict[str, Any]:
    """What an order is to be, as plain JSON; the id or key it was given under is not part of that."""
    values = {
        name: value
        for name, value in zip(_MEANT, _meant(command), strict=True)
        if value is not None and value is not False
    }
    for name in _AMOUNTS:
        if name in values:
            values[name] = f"{values[name].normalize(EXACT):f}"  # 0.10 and 0.1 are the same wish
    return values


def conflict(order: Order, before: dict[str, Any], now: dict[str, Any]) -> IntentConflict:
    """The error for one id with two meanings, naming what differs."""
    differing = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    words = ", ".join(f"{name} was {before.get(name)}, is {now.get(name)}" for name in differing)
    message = f"client order id {order.client_order_id} stands for an order with other parameters ({words})"
    details = {"client_order_id": order.client_order_id, "symbol": order.symbol, "parameters": differing}
    return IntentConflict(f"{message}: use a new id or key", details)


def halted_again(halt: Halt | None, reason: str) -> Halt | None:
    """What is halted already stays so since then, and for the reason that was given last."""
    return None if halt is None else Halt(reason or halt.reason, halt.since)


def halted(halt: Halt) -> TradingHalted:
    """The error while trading is halted."""
    words = f" ({halt.reason})" if halt.reason else ""
    details = {"check": "halt", "reason": halt.reason, "since": halt.since.isoformat()}
    return TradingHalted(
        f"trading is halted{words} since {halt.since:%Y-%m-%d %H:%M:%S} UTC: resume() ends it", details
    )


class Intents:
    """Intents of this process, in memory."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._lock = env.lock()
        self._kept: LRUCache[str, tuple[PlaceOrder, Order]] = LRUCache(_KEPT)
        self._sent: LRUCache[str, Sent] = LRUCache(_KEPT)
        self._halt: Halt | None = None
        self._worst_lag = 0.0

    def intend(self, order: Order, command: PlaceOrder, *, is_new: bool = False) -> Order | None:
        """Keep a wish, and give None; or its newest snapshot. What was never sent may be sent now.

        Raises:
            IntentConflict: the id stands for an order with other parameters.
        """
        with self._lock:
            kept = self._kept.get(order.client_order_id)
            if kept is not None and meaning_of(kept[0]) != meaning_of(command):
                raise conflict(order, meaning_of(kept[0]), meaning_of(command))
            if kept is not None and kept[1].status is not OrderStatus.NEVER_SENT:
                return kept[1]
            self._kept[order.client_order_id] = command, order
            return None

    def attempt(self, client_order_id: str, attempt: Attempt, *others: str) -> None:
        """Refuse while trading is halted: somebody may have halted while the order waited for its turn.

        Raises:
            TradingHalted: it is.
        """
        if self._halt is not None:
            raise halted(self._halt)
        first_ms, expires_ms = attempt.timestamp_ms, attempt.expires_ms
        if first_ms is None or expires_ms is None:
            return
        with self._lock:
            for name in (client_order_id, *others):
                known = self._sent.get(name, Sent(first_ms, expires_ms))
                self._sent[name] = Sent(min(known.first_ms, first_ms), max(known.expires_ms, expires_ms))

    def sent(self, client_order_id: str) -> Sent | None:
        """When it was sent, None if no attempt is known."""
        with self._lock:
            return self._sent.get(client_order_id)

    def record(self, order: Order) -> None:
        """The newest snapshot of an intent."""
        with self._lock:
            kept = self._kept.get(order.client_order_id)
            if kept is not None:
                self._kept[order.client_order_id] = kept[0], order

    def get(self, client_order_id: str) -> Order | None:
        """The newest snapshot, None if it is no intent."""
        with self._lock:
            kept = self._kept.get(client_order_id)
        return None if kept is None else kept[1]

    def orders(self, *, only_open: bool = False) -> list[Order]:
        """None that the order store does not have."""
        return []

    def look(self, client_order_id: str) -> Order | None:
        """The newest snapshot, None if it is no intent."""
        return self.get(client_order_id)

    def is_left(self, client_order_id: str) -> bool:
        """No: what a dead process held in memory is gone with it."""
        return False

    def news(self, open_here: Iterable[str]) -> list[Order]:
        """None: no other process knows of this."""
        return []

    def take_over(self) -> list[Order]:
        """None: what a dead process held in memory is gone with it."""
        return []

    def prune(self) -> int:
        """None: memory is bounded anyway."""
        return 0

    def halt(self, reason: str) -> None:
        """From now on no order of this process leaves."""
        self._halt = halted_again(self._halt, reason) or Halt(reason, self._env.wall())

    def resume(self) -> None:
        """End it."""
        self._halt = None

    def halt_state(self) -> Halt | None:
        """Since when and why, None if trading goes on."""
        return self._halt

    def halt_heard(self) -> Halt | None:
        """The same: nobody else can halt."""
        return self._halt

    def parts(self) -> dict[str, PartState]:
        """None: memory does not fail."""
        return {}

    def next_epoch(self) -> int:
        """Zero: nothing counts the processes."""
        return 0

    def bury(self, order: Order) -> None:
        """Nothing more to remember."""

    def unbury(self, client_order_id: str) -> None:
        """Nothing to forget."""

    def buried(self) -> list[Order]:
        """None that the order store does not have."""
        return []

    def begin_fence(self, client_order_id: str, expires_ms: int, now_ms: int) -> Fence:
        """Free: no other process knows of it, and the threads of this one agree by themselves."""
        return Fence.FREE

    def end_fence(self, client_order_id: str, now_ms: int, *, was_there: bool | None) -> None:
        """Nobody else to tell."""

    def lagged(self, seconds: float) -> None:
        """So long it took until a read showed an order that the exchange had."""
        self._worst_lag = max(self._worst_lag, seconds)

    def worst_lag(self) -> float:
        """The longest of that, seconds."""
        return self._worst_lag
