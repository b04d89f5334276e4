"""The state machine of one websocket: what to send when, and what the frames that come in mean.

A `Session` never touches a socket or a clock. A feed hands it every frame with the time, sends what it asks
for, and passes on the events it makes; a test does the same with plain lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from msgspec import Struct

from exconnect.errors import ExconnectError
from exconnect.model.account import Balance
from exconnect.model.market import Candle, Ticker, Trade
from exconnect.model.order import Fill, Order

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from exconnect.protocol.call import Call


_LIVELY = 10  # frames that tell how lively a connection is,
_LIVELY_SECONDS = 0.5  # if they have come over so long
_MISSED = 50  # so many in a row do not stay away by chance,
_BROKE_OFF_SECONDS = 12.0  # and never is less than so long called silence


def broke_off(frames: int, first: float, last: float, now: float) -> bool:
    """Whether so many frames, the first and the last of them at these times, end in a silence that is no chance.

    For the first seconds of a connection, before its canary has been heard.
    """
    if frames < _LIVELY or last - first < _LIVELY_SECONDS:
        return False
    return now - last > max(_BROKE_OFF_SECONDS, (last - first) / frames * _MISSED)


class Topic(NamedTuple):
    """One subscription: `kind` is `"book"`, `"ticker"`, `"trade"` or `"candle"` (with its interval).

    On a private connection `"order"`, `"fill"` and `"balance"`, of the whole account and without a symbol.
    `depth`: levels a side of a book topic, where the exchange has several.
    """

    kind: str
    symbol: str
    exchange_symbol: str
    interval: str = ""
    depth: int = 0


class BookUpdate(Struct, frozen=True, gc=False):
    """A change of a book, or all of it. Quantities are absolute, zero removes a level.

    `is_plain`: whoever made it has seen that all levels are plain numbers, and made cells of them; otherwise the book
    looks at each.
    """

    symbol: str
    first_id: int
    last_id: int
    bids: Sequence[Any]  # pairs of texts; cells where `is_plain`
    asks: Sequence[Any]
    time_ms: int | None
    received_at: datetime | None  # None: fetched, not streamed
    is_snapshot: bool = False
    previous_id: int | None = None
    is_plain: bool = False
    raw: Any = None  # what the exchange sent, as its text or decoded


class Acked(Struct, frozen=True):
    """The exchange confirmed these subscriptions; none of them: it has let us in, and they can be asked for."""

    topics: frozenset[Topic]


class Refused(Struct, frozen=True):
    """The exchange refused these subscriptions, and nothing else."""

    topics: frozenset[Topic]
    reason: str


class Closing(Struct, frozen=True):
    """The exchange is about to close the connection: open another one, not before `retry_after` seconds are over."""

    reason: str
    retry_after: float | None = None


class Denied(Struct, frozen=True):
    """The exchange does not let us in, and would not if it were asked again."""

    error: ExconnectError


class ClockOff(Struct, frozen=True):
    """The exchange refused a timestamp: the session goes on when the time is known and `want` is called again."""

    reason: str


class OrderChanged(Struct, frozen=True):
    """What became of an order, with the fill that did it; `symbol` is still the exchange's own in both."""

    order: Order
    fill: Fill | None = None


class BalancesChanged(Struct, frozen=True):
    """Balances as they are since `time_ms`."""

    balances: Sequence[Balance]
    time_ms: int


class Transferred(Struct, frozen=True):
    """So much of an asset came (or went, below zero) without a trade."""

    asset: str
    quantity: Decimal
    time_ms: int


class Unknown(Struct, frozen=True):
    """A message of a kind that we do not know; counted, never an error."""

    name: str


class Reply(Struct, frozen=True):
    """The answer to a submitted call: `result` as decoded JSON, or the error."""

    id: str
    result: Any = None
    error: Exception | None = None


Event = (
    BookUpdate
    | Trade
    | Ticker
    | Candle
    | OrderChanged
    | BalancesChanged
    | Transferred
    | Acked
    | Refused
    | Denied
    | ClockOff
    | Closing
    | Unknown
    | Reply
)


class Standing(Struct, frozen=True):
    """How an account stood at `time_ms` when it was asked; `is_complete`: no order lacks a fill that it tells of."""

    orders: Sequence[Order]
    fills: Sequence[Fill]
    balances: Sequence[Balance]
    time_ms: int
    is_complete: bool


class Inherited(Struct, frozen=True):
    """What streams of processes that are gone have left behind: fills since `since_ms` but those that were handled.

    Those by symbol, order id and id. `symbols` are those in which there may be more.
    """

    since_ms: int
    handled: frozenset[tuple[str, str, str]]
    symbols: tuple[str, ...]


# What a private connection carries: everything about the account, whoever listens.
PRIVATE = frozenset({"order", "fill", "balance"})


class Session(Protocol):
    """One connection's conversation with an exchange. `now` is seconds on a steady clock, `at` exchange time in ms."""

    def route(self) -> str | Call[str]:
        """Path to connect to (below the base URL), or the call that yields it."""

    def opened(self, now: float, at: int) -> list[str]:
        """The connection is up: forget the last one; frames to send first."""

    def want(self, topics: frozenset[Topic]) -> frozenset[Topic]:
        """The whole set of subscriptions from now on; `due` sends what is missing or too much.

        Gives those that the exchange has confirmed already and goes on sending: for them no `Acked` comes.
        """

    def receive(self, text: str, now: float, received_at: datetime) -> Sequence[Event]:
        """What a frame means.

        Raises:
            MalformedMessage: it makes no sense; the session itself is unharmed. Where the frame still tells, `symbol`
                is set, and `topic` in the details to the kind of topic.
        """

    def pinged(self, now: float) -> None:
        """A ping came; the transport has answered it."""

    def due(self, now: float, at: int) -> tuple[list[str], float]:
        """Frames to send now (subscriptions, pings, within the exchange's pace), and when to ask again."""

    def overdue(self, now: float) -> str | None:
        """Why this connection must be given up (an answer is missing, it is silent), or None."""
