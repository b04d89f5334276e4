"""The words of the trade. Every member's value is its name in lower case."""

from __future__ import annotations

from enum import StrEnum
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
        InvalidArgument: any other text; the message lists the choices.
        InvalidType: not text at all.
    """
    if isinstance(value, kind):
        return value
    if not isinstance(value, str):
        message = f"{argument} must be text or a {kind.__name__}, not {type(value).__name__}"
        raise InvalidType(message, {"argument": argument})
    member = kind.__members__.get(value.upper())
    if member is None or member.name == "UNKNOWN":
        choices = ", ".join(repr(m.value) for m in kind if m.name != "UNKNOWN")
        raise InvalidArgument(f"{argument}={value!r}: must be one of {choices}", {"argument": argument})
    return member


class Side(StrEnum):
    """Direction of an order or of the taker of a trade."""

    BUY = "buy"
    SELL = "sell"
    UNKNOWN = "unknown"


class OrderType(StrEnum):
    """Kinds of order; the `stop_` and `take_profit` ones wait for their trigger."""

    LIMIT = "limit"
    MARKET = "market"
    STOP_LOSS = "stop_loss"
    STOP_LOSS_LIMIT = "stop_loss_limit"
    TAKE_PROFIT = "take_profit"
    TAKE_PROFIT_LIMIT = "take_profit_limit"
    UNKNOWN = "unknown"

    @property
    def has_price(self) -> bool:
        """Whether an order of this type names a limit price."""
        return self in _PRICED

    @property
    def is_conditional(self) -> bool:
        """Whether an order of this type waits for a trigger."""
        return self in _CONDITIONAL


_PRICED = frozenset({OrderType.LIMIT, OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT})
_CONDITIONAL = frozenset(OrderType) - {OrderType.LIMIT, OrderType.MARKET, OrderType.UNKNOWN}


class TimeInForce(StrEnum):
    """Good till cancelled, immediate or cancel, fill or kill."""

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
