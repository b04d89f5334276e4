"""What a user asks of a stream: plain data, checked when it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from exconnect.errors import InvalidArgument, InvalidType
from exconnect.model.enums import Policy
from exconnect.model.events import Gap
from exconnect.model.values import symbol_of
from exconnect.protocol.session import PRIVATE
from exconnect.runtime.callbacks import check_handler

T_contra = TypeVar("T_contra", contravariant=True)

_KEPT = 100_000  # items of a kind that keeps all; who is so far behind will not catch up


class Handler(Protocol[T_contra]):
    """A plain callable of one positional argument; what it gives back does not matter."""

    def __call__(self, item: T_contra, /) -> object:
        """Take one item."""


PUBLIC = frozenset({"book", "ticker", "trade", "candle"})  # kinds that need no key


class Address(NamedTuple):
    """Where a message goes: to all that registered for this. Reports have neither symbol nor interval."""

    kind: str
    symbol: str = ""
    interval: str = ""


REPORTS = frozenset({"status", "notice"})
STATUS = Address("status")
NOTICE = Address("notice")


@dataclass(frozen=True, slots=True)
class Options:
    """How a registration wants its items. `interval` is the least time between two of a symbol, in seconds."""

    policy: Policy
    capacity: int = _KEPT
    interval: float = 0.0
    depth: int = 0
    candles: str = ""
    on_gap: Callable[[Gap], object] | None = None


@dataclass(slots=True)
class Counters:
    """What a connection has seen. Only its own thread counts."""

    messages: int = 0
    bytes: int = 0
    connects: int = 0
    reconnects: int = 0
    malformed: int = 0
    unknown: int = 0
    gaps: int = 0
    resyncs: int = 0
    audits: int = 0
    audit_mismatches: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What became of a registration.

    `delivered` counts calls, `errors` those that raised; `lag_s` is how long the item that waits longest has waited.
    """

    handler: str
    kind: str
    symbols: tuple[str, ...]
    policy: Policy
    delivered: int
    errors: int
    dropped: int
    conflated: int
    waiting: int
    lag_s: float


@dataclass(slots=True, eq=False)
class Registration:
    """What a user asked for. Plain data without a lock: it is made before anything runs, and survives a fork."""

    kind: str
    handler: Handler[Any]
    options: Options
    named: dict[str, None] = field(default_factory=dict)
    excluded: dict[str, None] = field(default_factory=dict)
    has_all: bool = False
    delivered: int = 0
    errors: int = 0
    dropped: int = 0
    conflated: int = 0

    def add(self, symbols: tuple[str, ...]) -> None:
        """More symbols; none: every one that the stream has."""
        for symbol in symbols:
            self.excluded.pop(symbol, None)
            self.named[symbol] = None
        if not symbols:
            self.excluded.clear()
            self.has_all = True

    def remove(self, symbols: tuple[str, ...]) -> None:
        """Without these."""
        for symbol in symbols:
            self.named.pop(symbol, None)
            if self.has_all:
                self.excluded[symbol] = None

    def clear(self) -> None:
        """Without any: what waits for it is not delivered any more, even while the stream is closing."""
        self.named.clear()
        self.has_all = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left of it."""
        return not self.named and not self.has_all

    def symbols(self, known: Iterable[str]) -> tuple[str, ...]:
        """What it hears on a stream that has `known`."""
        if not self.has_all:
            return tuple(self.named)
        return tuple(s for s in dict.fromkeys((*known, *self.named)) if s not in self.excluded)


class Same:
    """A handler as a key: by `==`, whether it can be hashed or not."""

    __slots__ = ("_hash", "handler")

    def __init__(self, handler: object) -> None:
        self.handler = handler
        try:
            self._hash = hash(handler)
        except TypeError:
            self._hash = 0

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and bool(self.handler == other.handler)


Audience = Mapping[Address, list[Registration]]


def audience(registrations: Iterable[Registration], symbols: Iterable[str]) -> dict[Address, list[Registration]]:
    """Who hears what on a stream made with `symbols`: the addresses are all that is wanted of it.

    Who wants all that is private hears the whole account, at the address without a symbol.
    """
    registrations = list(registrations)
    named: dict[str, dict[str, None]] = {}
    for registration in registrations:
        named.setdefault(registration.kind, {}).update(registration.named)
    heard: dict[Address, list[Registration]] = {}
    for registration in registrations:
        kind = registration.kind
        is_whole = kind in REPORTS or (kind in PRIVATE and registration.has_all)
        for symbol in ("",) if is_whole else registration.symbols((*symbols, *named[kind])):
            heard.setdefault(Address(kind, symbol, registration.options.candles), []).append(registration)
    return heard


def gap_handler(handler: Any) -> Any:
    """`on_gap`: a plain callable, or None."""
    if handler is not None:
        check_handler(handler, "on_gap")
    return handler


def symbols_of(symbols: tuple[Any, ...]) -> tuple[str, ...]:
    """Symbols as texts.

    Raises:
        InvalidType: one is no text.
        InvalidArgument: one is empty.
    """
    for symbol in symbols:
        if not symbol_of(symbol, "symbols"):
            raise InvalidArgument("a symbol must not be empty", {"argument": "symbols"})
    return symbols


def whole_of(value: Any, argument: str, most: int) -> int:
    """A whole number from 1 to `most`.

    Raises:
        InvalidType: no int.
        InvalidArgument: too small or too large.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidType(f"{argument} must be an int, not {type(value).__name__}", {"argument": argument})
    if not 1 <= value <= most:
        raise InvalidArgument(f"{argument}={value}: must be from 1 to {most}", {"argument": argument})
    return value
