"""The words of the trade. Every member's value is its name in lower case."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import TypeVar

from exconnect.errors import InvalidArgument, InvalidType, Outcome

__all__ = [
    "Capability",
    "InstrumentStatus",
    "MarketType",
    "OrderStatus",
    "OrderType",
    "Outcome",
    "Policy",
    "SelfTradePrevention",
    "Side",
    "Source",
    "StreamStatus",
    "TimeInForce",
    "choose",
]

E = TypeVar("E", bound=StrEnum)


def choose(kind: type[E], value: str, argument: str) -> E:
    """The member that a user means by itself or by its text in any case.

    Raises:
        InvalidArgument: any other text, or `UNKNOWN`, which only an exchange may say; the message lists the choices.
        InvalidType: not text at all.
    """
    if not isinstance(value, str):
        message = f"{argument} must be text or a {kind.__name__}, not {type(value).__name__}"
        raise InvalidType(message, {"argument": argument})
    choices: dict[str, E] = _choices(kind)
    member = choices.get(value.lower())
    if member is None:
        offered = ", ".join(map(repr, choices))
        message = f"{argument}={str(value)[:_SHOWN]!r}: must be one of {offered}"
        raise InvalidArgument(message, {"argument": argument})
    return member


_SHOWN = 60  # characters of somebody's text that an error repeats


@cache
def _choices(kind: type[E]) -> dict[str, E]:
    return {member.value: member for member in kind if member.name != "UNKNOWN"}


class Side(StrEnum):
    """Direction of an order or of the taker of a trade."""

    BUY = "buy"
    SELL = "sell"
    UNKNOWN = "unknown"


class OrderType(StrEnum):
    """Kinds of order. `has_price`: it names a limit price; `is_conditional`: it waits for its trigger."""

    LIMIT = "limit"
    MARKET = "market"
    STOP_LOSS = "stop_loss"
    STOP_LOSS_LIMIT = "stop_loss_limit"
    TAKE_PROFIT = "take_profit"
    TAKE_PROFIT_LIMIT = "take_profit_limit"
    UNKNOWN = "unknown"

    def __init__(self, text: str) -> None:
        self.has_price = text.endswith("limit")
        self.is_conditional = text.startswith(("stop_", "take_"))


class TimeInForce(StrEnum):
    """Good till canceled, immediate or cancel, fill or kill."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    UNKNOWN = "unknown"


class OrderStatus(StrEnum):
    """Where an order is in its life."""

    PENDING_NEW = "pending_new"
    ACCEPTED = "accepted"
    UNTRIGGERED = "untriggered"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    UNKNOWN = "unknown"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    NEVER_SENT = "never_sent"
    NOT_ACCEPTED = "not_accepted"

    __hash__ = str.__hash__  # as equal as its text; the one that enums have is slow, and this is looked up all the time

    @property
    def is_done(self) -> bool:
        """Over: nothing more is expected."""
        return self in _DONE

    @property
    def is_definite(self) -> bool:
        """The exchange has judged the order, or it is proven that it never got it."""
        return self not in _INDEFINITE


_DONE = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.EXPIRED,
        OrderStatus.REJECTED,
        OrderStatus.NEVER_SENT,
        OrderStatus.NOT_ACCEPTED,
    }
)
_INDEFINITE = frozenset({OrderStatus.PENDING_NEW, OrderStatus.ACCEPTED, OrderStatus.UNKNOWN})


class MarketType(StrEnum):
    """Spot, or perpetuals settled in the quote asset."""

    SPOT = "spot"
    LINEAR = "linear"
    UNKNOWN = "unknown"


class InstrumentStatus(StrEnum):
    """What an instrument allows now; a word we do not know is not tradable."""

    TRADING = "trading"
    CANCEL_ONLY = "cancel_only"
    HALTED = "halted"
    UNKNOWN = "unknown"


class SelfTradePrevention(StrEnum):
    """What happens when an order would meet another one of the same account."""

    NONE = "none"
    EXPIRE_TAKER = "expire_taker"
    EXPIRE_MAKER = "expire_maker"
    EXPIRE_BOTH = "expire_both"
    DECREMENT = "decrement"
    UNKNOWN = "unknown"


class Source(StrEnum):
    """Where a piece of news came from: this process alone, a REST reply or a stream."""

    LOCAL = "local"
    REST = "rest"
    STREAM = "stream"


class Policy(StrEnum):
    """What a full inbox does: keep the newest per symbol, drop the oldest, or keep everything."""

    CONFLATE = "conflate"
    DROP_OLDEST = "drop_oldest"
    KEEP = "keep"


class StreamStatus(StrEnum):
    """State of a connection, and of a stream (its worst connection)."""

    IDLE = "idle"
    CONNECTING = "connecting"
    SYNCING = "syncing"
    LIVE = "live"
    SUSPECT = "suspect"
    DOWN = "down"
    FAILED = "failed"
    CLOSED = "closed"
    FORKED = "forked"


class Capability(StrEnum):
    """What an exchange may offer beyond the common ground."""

    PLACE_BATCH = "place_batch"
    AMEND_PRICE = "amend_price"
    AMEND_QUANTITY = "amend_quantity"
    QUOTE_QUANTITY = "quote_quantity"
    VALIDATE_ORDER = "validate_order"
    STOP_ORDERS = "stop_orders"
    TRAILING_STOP = "trailing_stop"
    ICEBERG = "iceberg"
    SELF_TRADE_PREVENTION = "self_trade_prevention"
    TRADE_HISTORY = "trade_history"
    FUTURES = "futures"
