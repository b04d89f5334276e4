"""Orders: what somebody wants (the commands) and what became of it (`Order`, `Fill`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from exconnect.errors import InvalidArgument, InvalidOrder, InvalidType, OrderRejected, OutcomeUnknown
from exconnect.model.enums import OrderStatus, OrderType, SelfTradePrevention, Side, Source, TimeInForce, choose
from exconnect.model.values import EXACT, ZERO, Money, positive

_CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution of an order of the account: `price` in quote, `quantity` in base asset.

    `fee` is what was taken, in `fee_asset`; below zero: what was given. `replayed`: a dead process may have had it.
    """

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
        return EXACT.multiply(self.price, self.quantity)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Order:
    """A snapshot of an order as it is known here.

    Quantities in base asset; prices, `quote_quantity` and `filled_quote` in quote asset. `fills_complete`: `fills` add
    up to `filled_quantity`. `replaces`: the client order id of the order that it took the place of.
    """

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

    def __repr__(self) -> str:
        return _said(self)

    @property
    def remaining(self) -> Decimal | None:
        """Quantity minus what is filled; None when the order was given in quote asset."""
        return None if self.quantity is None else EXACT.subtract(self.quantity, self.filled_quantity) or ZERO

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
            OrderRejected: as `rejection` says, when the exchange refused the order.
            OutcomeUnknown: when it was sent and no answer came.
        """
        if self.rejection is not None:
            raise copy(self.rejection)  # a raised error gathers frames, and a snapshot must not hold those
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
    if not isinstance(order, str):
        text = f"order must be an Order or its client order id, as text, not {type(order).__name__}"
        raise InvalidType(text, {"argument": "order"})
    return checked_id(order, "order")


def checked_id(text: str, argument: str = "client_order_id") -> str:
    """`text` if it can be a client order id on every exchange: `[A-Za-z0-9_-]{1,36}`."""
    if not isinstance(text, str):
        raise InvalidType(f"{argument} must be text, not {type(text).__name__}", {"argument": argument})
    if _CLIENT_ORDER_ID.fullmatch(text) is None:
        message = f"{argument}={text[:60]!r}: 1 to 36 letters, digits, '-' or '_'"
        raise InvalidArgument(message, {"argument": argument})
    return text


@dataclass(frozen=True, slots=True, init=False, repr=False)
class PlaceOrder:
    """An order that somebody wants: arguments of `Client.place_order`, checked and normalised.

    Raises:
        InvalidType: a float for money, or a value of a wrong type.
        InvalidArgument: a value that cannot be right.
        InvalidOrder: arguments that do not go together.
    """

    symbol: str
    side: Side
    quantity: Decimal | None
    price: Decimal | None
    type: OrderType
    quote_quantity: Decimal | None
    time_in_force: TimeInForce | None
    post_only: bool
    stop_price: Decimal | None
    trailing_delta_bps: int | None
    iceberg_quantity: Decimal | None
    self_trade_prevention: SelfTradePrevention | None
    reduce_only: bool
    client_order_id: str | None
    idempotency_key: str | None
    extra: Mapping[str, str] | None = field(hash=False)
    amends: str | None

    def __init__(
        self,
        symbol: str,
        side: Side | str,
        quantity: Money | None = None,
        *,
        price: Money | None = None,
        type: OrderType | str = OrderType.LIMIT,
        quote_quantity: Money | None = None,
        time_in_force: TimeInForce | str | None = None,
        post_only: bool = False,
        stop_price: Money | None = None,
        trailing_delta_bps: int | None = None,
        iceberg_quantity: Money | None = None,
        self_trade_prevention: SelfTradePrevention | str | None = None,
        reduce_only: bool = False,
        client_order_id: str | None = None,
        idempotency_key: str | None = None,
        extra: Mapping[str, str] | None = None,
        amends: str | None = None,
    ) -> None:
        # Written out, so that a type checker lets users write what is normalised here, and each field is set once.
        put = object.__setattr__
        kind = choose(OrderType, type, "type")
        tif: TimeInForce | None = TimeInForce.GTC if kind.has_price else None
        stp: SelfTradePrevention | None = None
        if time_in_force is not None:
            tif = choose(TimeInForce, time_in_force, "time_in_force")
        if self_trade_prevention is not None:
            stp = choose(SelfTradePrevention, self_trade_prevention, "self_trade_prevention")
        put(self, "symbol", text_of(symbol, "symbol"))
        put(self, "side", choose(Side, side, "side"))
        put(self, "quantity", None if quantity is None else positive(quantity, "quantity"))
        put(self, "price", None if price is None else positive(price, "price"))
        put(self, "type", kind)
        put(self, "quote_quantity", None if quote_quantity is None else positive(quote_quantity, "quote_quantity"))
        put(self, "time_in_force", tif)
        put(self, "post_only", post_only)
        put(self, "stop_price", None if stop_price is None else positive(stop_price, "stop_price"))
        put(self, "trailing_delta_bps", trailing_delta_bps)
        put(
            self,
            "iceberg_quantity",
            None if iceberg_quantity is None else positive(iceberg_quantity, "iceberg_quantity"),
        )
        put(self, "self_trade_prevention", stp)
        put(self, "reduce_only", reduce_only)
        put(self, "client_order_id", client_order_id)
        put(self, "idempotency_key", idempotency_key)
        put(self, "extra", None if extra is None else _checked_extra(extra))
        put(self, "amends", amends)
        self._check_options()
        problem = next(self._conflicts(kind), None)
        if problem is not None:
            raise InvalidOrder(problem, {"symbol": self.symbol, "filter": None})

    def __repr__(self) -> str:
        return _said(self)

    def _check_options(self) -> None:
        for name in ("post_only", "reduce_only"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidType(f"{name} must be True or False", {"argument": name})
        if self.trailing_delta_bps is not None:
            _check_bps(self.trailing_delta_bps, "trailing_delta_bps")
        if self.client_order_id is not None:
            checked_id(self.client_order_id)
        if self.idempotency_key is not None:
            text_of(self.idempotency_key, "idempotency_key")

    def _conflicts(self, kind: OrderType) -> Iterator[str]:
        """What does not go together, in words; a generator, so that a good order makes no text."""
        if self.quantity is None and self.quote_quantity is None:
            yield "an order needs quantity (in base asset), or quote_quantity for a market order"
        if self.client_order_id is not None and self.idempotency_key is not None:
            yield "give client_order_id or idempotency_key, not both"
        if self.quote_quantity is not None:
            yield from self._quote_conflicts(kind)
        if kind.has_price:
            if self.price is None:
                yield f"a {kind.value} order needs price (a market order: type='market')"
        else:
            yield from self._market_conflicts(kind)
        has_trigger = self.stop_price is not None or self.trailing_delta_bps is not None
        if has_trigger != kind.is_conditional:
            verb = "takes no" if has_trigger else "needs"
            yield f"a {kind.value} order {verb} stop_price or trailing_delta_bps"
        if self.post_only and (kind is not OrderType.LIMIT or self.time_in_force is not TimeInForce.GTC):
            yield "post_only goes with type='limit' and time_in_force='gtc'"
        if self.iceberg_quantity is not None:
            yield from self._iceberg_conflicts(kind)

    def _quote_conflicts(self, kind: OrderType) -> Iterator[str]:
        if self.quantity is not None:
            yield "give quantity or quote_quantity, not both"
        if kind is not OrderType.MARKET:
            yield "quote_quantity goes with type='market'"

    def _market_conflicts(self, kind: OrderType) -> Iterator[str]:
        if self.price is not None:
            limited = "limit" if kind is OrderType.MARKET else f"{kind.value}_limit"
            yield f"a {kind.value} order takes no price: leave it out, or say type={limited!r}"
        if self.time_in_force is not None:
            yield f"a {kind.value} order takes no time_in_force"

    def _iceberg_conflicts(self, kind: OrderType) -> Iterator[str]:
        if not kind.has_price:
            yield "iceberg_quantity goes with limit types"
        if self.time_in_force is not TimeInForce.GTC:
            yield "an iceberg order needs time_in_force='gtc'"
        if (self.iceberg_quantity or ZERO) > (self.quantity or ZERO):
            yield "iceberg_quantity is above quantity"


def _said(order: Order | PlaceOrder | AmendOrder) -> str:
    """What it says, without what is not said: most of an order's fields are for other kinds of orders."""
    # A traceback with locals asks for it even before all fields are set.
    values = ((each.name, getattr(order, each.name, None)) for each in fields(order) if each.repr)
    said = ", ".join(
        f"{name}={value!r}" for name, value in values if value is not None and value is not False and value != ()
    )
    return f"{type(order).__name__}({said})"


def _check_bps(value: int, argument: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidType(f"{argument} must be an int: 100 is 1 %", {"argument": argument})
    if not 0 < value <= _MOST_BPS:
        raise InvalidArgument(f"{argument} must be between 1 and {_MOST_BPS}", {"argument": argument})


_MOST_BPS = 10_000  # the whole price


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
        if not name or not (name + value).isascii() or not (name + value).isprintable():
            message = f"extra: {name[:60]!r} must be printable ASCII, and its value too"
            raise InvalidArgument(message, {"argument": "extra"})
    return dict(extra)


@dataclass(frozen=True, slots=True, init=False, repr=False)
class AmendOrder:
    """A change of an open order: a new price, a new whole quantity (filled part included), or both."""

    order: OrderRef
    price: Decimal | None
    quantity: Decimal | None
    symbol: str | None

    def __init__(
        self,
        order: OrderRef,
        *,
        price: Money | None = None,
        quantity: Money | None = None,
        symbol: str | None = None,
    ) -> None:
        client_id_of(order)
        if price is None and quantity is None:
            raise InvalidArgument("an amend needs a new price, a new quantity or both", {"argument": "price"})
        put = object.__setattr__
        put(self, "order", order)
        put(self, "price", None if price is None else positive(price, "price"))
        put(self, "quantity", None if quantity is None else positive(quantity, "quantity"))
        put(self, "symbol", None if symbol is None else text_of(symbol, "symbol"))

    def __repr__(self) -> str:
        return _said(self)


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """A wish that an order be no more."""

    order: OrderRef
    symbol: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        client_id_of(self.order)
        if self.symbol is not None:
            text_of(self.symbol, "symbol")
