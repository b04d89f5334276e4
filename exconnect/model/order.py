"""Orders: what somebody wants (the commands) and what became of it (`Order`, `Fill`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from exconnect.errors import InvalidArgument, InvalidOrder, InvalidType, OrderRejected, OutcomeUnknown
from exconnect.model.enums import OrderStatus, OrderType, SelfTradePrevention, Side, Source, TimeInForce, choose
from exconnect.model.values import ZERO, Money, positive

_CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution of an order of the account. `fee` is what was taken, in `fee_asset`."""

    exchange: str
    id: str
    order_id: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    client_order_id: str | None = None
    fee: Decimal | None = None
    fee_asset: str | None = None
    is_maker: bool | None = None
    source: Source = Source.REST
    replayed: bool = False
    time: datetime | None = None
    received_at: datetime | None = None
    raw: Any = field(default=None, repr=False, compare=False)

    @property
    def notional(self) -> Decimal:
        """Price times quantity, in quote asset."""
        return self.price * self.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A snapshot of an order as it is known here. Quantities in base, `filled_quote` in quote asset."""

    exchange: str
    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    status: OrderStatus
    order_id: str | None = None
    status_text: str | None = None
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    post_only: bool = False
    filled_quantity: Decimal = ZERO
    filled_quote: Decimal = ZERO
    average_price: Decimal | None = None
    fills: tuple[Fill, ...] = ()
    fills_complete: bool = False
    created_at: datetime | None = None
    updated_at: datetime | None = None
    replaces: str | None = None
    idempotency_key: str | None = None
    rejection: OrderRejected | None = field(default=None, compare=False)
    source: Source = Source.LOCAL
    raw: Any = field(default=None, repr=False, compare=False)

    @property
    def remaining(self) -> Decimal | None:
        """Quantity minus what is filled; None when the order was given in quote asset."""
        return None if self.quantity is None else self.quantity - self.filled_quantity

    @property
    def is_open(self) -> bool:
        """Not over, as far as is known here."""
        return not self.status.is_done

    @property
    def is_done(self) -> bool:
        """Over: filled, canceled, expired, rejected, never sent or never accepted."""
        return self.status.is_done

    @property
    def is_definite(self) -> bool:
        """The exchange has judged it, or it is proven that it never got it."""
        return self.status.is_definite

    def raise_for_status(self) -> Self:
        """Itself, unless it was refused or its fate is unknown.

        Raises:
            OrderRejected: `rejection`, when the exchange refused the order.
            OutcomeUnknown: when it was sent and no answer came.
        """
        if self.rejection is not None:
            raise self.rejection
        if self.status is OrderStatus.UNKNOWN:
            details = {"exchange": self.exchange, "symbol": self.symbol, "client_order_id": self.client_order_id}
            raise OutcomeUnknown(f"it is not known what became of order {self.client_order_id}", details)
        return self


OrderRef = Order | str  # the text is a client order id


def client_id_of(order: OrderRef) -> str:
    """The client order id that an `OrderRef` means.

    Raises:
        InvalidType: neither an `Order` nor text.
        InvalidArgument: text that cannot be a client order id.
    """
    if isinstance(order, Order):
        return order.client_order_id
    return checked_id(order, "order")


def checked_id(text: str, argument: str = "client_order_id") -> str:
    """`text` if it can be a client order id on every exchange: `[A-Za-z0-9_-]{1,36}`."""
    if not isinstance(text, str):
        raise InvalidType(f"{argument} must be text, not {type(text).__name__}", {"argument": argument})
    if _CLIENT_ORDER_ID.fullmatch(text) is None:
        message = f"{argument}={text[:60]!r}: 1 to 36 letters, digits, '-' or '_'"
        raise InvalidArgument(message, {"argument": argument})
    return text


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """An order that somebody wants: arguments of `Client.place_order`, checked and normalised.

    Raises:
        InvalidType: a float for money, or a value of a wrong type.
        InvalidArgument: a value that cannot be right.
        InvalidOrder: arguments that do not go together.
    """

    symbol: str
    side: Side
    quantity: Decimal | None = None
    price: Decimal | None = field(default=None, kw_only=True)
    type: OrderType = field(default=OrderType.LIMIT, kw_only=True)
    quote_quantity: Decimal | None = field(default=None, kw_only=True)
    time_in_force: TimeInForce | None = field(default=None, kw_only=True)
    post_only: bool = field(default=False, kw_only=True)
    stop_price: Decimal | None = field(default=None, kw_only=True)
    trailing_delta_bps: int | None = field(default=None, kw_only=True)
    iceberg_quantity: Decimal | None = field(default=None, kw_only=True)
    self_trade_prevention: SelfTradePrevention | None = field(default=None, kw_only=True)
    reduce_only: bool = field(default=False, kw_only=True)
    client_order_id: str | None = field(default=None, kw_only=True)
    idempotency_key: str | None = field(default=None, kw_only=True)
    extra: Mapping[str, str] | None = field(default=None, kw_only=True, hash=False)
    amends: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        put = object.__setattr__
        text_of(self.symbol, "symbol")
        put(self, "side", choose(Side, self.side, "side"))
        put(self, "type", choose(OrderType, self.type, "type"))
        for name in ("quantity", "quote_quantity", "price", "stop_price", "iceberg_quantity"):
            value: Money | None = getattr(self, name)
            if value is not None:
                put(self, name, positive(value, name))
        if self.time_in_force is not None:
            put(self, "time_in_force", choose(TimeInForce, self.time_in_force, "time_in_force"))
        elif self.type.has_price:
            put(self, "time_in_force", TimeInForce.GTC)
        if self.self_trade_prevention is not None:
            chosen = choose(SelfTradePrevention, self.self_trade_prevention, "self_trade_prevention")
            put(self, "self_trade_prevention", chosen)
        self._check_texts()
        self._check_combination()

    def _check_texts(self) -> None:
        for name in ("post_only", "reduce_only"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidType(f"{name} must be True or False", {"argument": name})
        delta = self.trailing_delta_bps
        if delta is not None and (not isinstance(delta, int) or isinstance(delta, bool)):
            raise InvalidType("trailing_delta_bps must be an int: 100 is 1 %", {"argument": "trailing_delta_bps"})
        if delta is not None and delta <= 0:
            raise InvalidArgument("trailing_delta_bps must be above zero", {"argument": "trailing_delta_bps"})
        if self.client_order_id is not None:
            checked_id(self.client_order_id)
        if self.idempotency_key is not None:
            text_of(self.idempotency_key, "idempotency_key")
        if self.extra is not None:
            object.__setattr__(self, "extra", _checked_extra(self.extra))

    def _check_combination(self) -> None:
        problem = next((text for wrong, text in self._combinations() if wrong), None)
        if problem is not None:
            raise InvalidOrder(problem, {"symbol": self.symbol, "filter": None})

    def _combinations(self) -> tuple[tuple[bool, str], ...]:
        kind, tif = self.type, self.time_in_force
        both = self.quantity is not None and self.quote_quantity is not None
        neither = self.quantity is None and self.quote_quantity is None
        has_trigger = self.stop_price is not None or self.trailing_delta_bps is not None
        return (
            (neither, "an order needs quantity (in base asset), or quote_quantity for a market order"),
            (both, "give quantity or quote_quantity, not both"),
            (self.quote_quantity is not None and kind is not OrderType.MARKET, "quote_quantity goes with type='market'"),
            (kind.has_price and self.price is None, f"a {kind.value} order needs price (a market order: type='market')"),
            (not kind.has_price and self.price is not None, f"a {kind.value} order takes no price"),
            (not kind.has_price and tif is not None, f"a {kind.value} order takes no time_in_force"),
            (kind.is_conditional and not has_trigger, f"a {kind.value} order needs stop_price or trailing_delta_bps"),
            (not kind.is_conditional and has_trigger, f"a {kind.value} order takes no stop_price or trailing_delta_bps"),
            (self.post_only and kind is not OrderType.LIMIT, "post_only goes with type='limit'"),
            (self.post_only and tif is not TimeInForce.GTC, "post_only goes with time_in_force='gtc'"),
            (self.iceberg_quantity is not None and not kind.has_price, "iceberg_quantity goes with limit types"),
            (self.iceberg_quantity is not None and tif is not TimeInForce.GTC, "an iceberg order needs time_in_force='gtc'"),
            ((self.iceberg_quantity or ZERO) > (self.quantity or ZERO), "iceberg_quantity is above quantity"),
            (self.client_order_id is not None and self.idempotency_key is not None,
             "give client_order_id or idempotency_key, not both"),
        )  # fmt: skip


def text_of(value: str, argument: str) -> str:
    """`value` if it is text of a sensible size.

    Raises:
        InvalidType: not text.
        InvalidArgument: empty, or longer than 256 characters.
    """
    if not isinstance(value, str):
        raise InvalidType(f"{argument} must be text, not {type(value).__name__}", {"argument": argument})
    if not 0 < len(value) <= 256:
        raise InvalidArgument(f"{argument} must have 1 to 256 characters", {"argument": argument})
    return value


def _checked_extra(extra: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(extra, Mapping):
        raise InvalidType("extra must be a mapping of text to text", {"argument": "extra"})
    for name, value in extra.items():
        if not isinstance(name, str) or not isinstance(value, str):
            message = f"extra must map text to text: {name!r} maps to {type(value).__name__}"
            raise InvalidType(message, {"argument": "extra"})
        if not name.isascii() or not value.isprintable():
            raise InvalidArgument(f"extra: {name!r} holds characters that cannot be sent", {"argument": "extra"})
    return dict(extra)


@dataclass(frozen=True, slots=True)
class AmendOrder:
    """A change of an open order: a new price, a new whole quantity (filled part included), or both."""

    order: OrderRef
    price: Decimal | None = field(default=None, kw_only=True)
    quantity: Decimal | None = field(default=None, kw_only=True)
    symbol: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        client_id_of(self.order)
        for name in ("price", "quantity"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, positive(value, name))
        if self.symbol is not None:
            text_of(self.symbol, "symbol")
        if self.price is None and self.quantity is None:
            raise InvalidArgument("an amend needs a new price, a new quantity or both", {"argument": "price"})


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """A wish that an order be no more."""

    order: OrderRef
    symbol: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        client_id_of(self.order)
        if self.symbol is not None:
            text_of(self.symbol, "symbol")
