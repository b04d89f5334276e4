"""What may be traded and by which rules, and the check of an order against them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_UP, Decimal
from typing import TYPE_CHECKING, Any

from exconnect.errors import InvalidArgument, InvalidOrder
from exconnect.model.enums import InstrumentStatus, MarketType, OrderType, SelfTradePrevention, Side
from exconnect.model.values import ZERO, Money, decimal_of, plain

if TYPE_CHECKING:
    from exconnect.model.order import PlaceOrder

_ROUNDING = {"down": ROUND_DOWN, "up": ROUND_UP, "nearest": ROUND_HALF_EVEN}

Range = tuple[Decimal | None, Decimal | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The finer print: rules of an instrument that only some orders meet. None or empty: no such rule."""

    market_lot_size: Decimal | None = None
    market_min_quantity: Decimal | None = None
    market_min_notional: Decimal | None = None
    market_max_notional: Decimal | None = None
    bid_band: Range = (None, None)  # fractions of the reference price: lowest, highest
    ask_band: Range = (None, None)
    iceberg_parts: int | None = None
    trailing_above_bps: tuple[int, int] | None = None
    trailing_below_bps: tuple[int, int] | None = None
    self_trade_preventions: frozenset[SelfTradePrevention] | None = None
    max_conditional_orders: int | None = None
    max_iceberg_orders: int | None = None
    max_amends: int | None = None
    max_position: Decimal | None = None
    quote_quantity: bool = True
    iceberg: bool = True
    trailing: bool = True
    amend: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One tradable pair. Quantities in `base`, prices and notionals in `quote`; a size of zero is no rule."""

    exchange: str
    symbol: str
    exchange_symbol: str
    market: MarketType
    base: str
    quote: str
    settle: str | None = None
    status: InstrumentStatus
    tick_size: Decimal
    lot_size: Decimal
    min_quantity: Decimal
    max_quantity: Decimal | None = None
    market_max_quantity: Decimal | None = None
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    min_notional: Decimal | None = None
    max_notional: Decimal | None = None
    max_open_orders: int | None = None
    order_types: frozenset[OrderType] = frozenset()
    rules: Rules = field(default=Rules(), repr=False)
    raw: Any = field(default=None, repr=False, compare=False)

    def round_price(self, price: Money, mode: str = "nearest") -> Decimal:
        """`price` on the tick grid; `mode` is `"down"`, `"up"` or `"nearest"`."""
        return _on_grid(decimal_of(price, "price"), self.tick_size, mode)

    def round_quantity(self, quantity: Money, mode: str = "down") -> Decimal:
        """`quantity` on the lot grid; `mode` is `"down"`, `"up"` or `"nearest"`."""
        return _on_grid(decimal_of(quantity, "quantity"), self.lot_size, mode)

    def check(self, order: PlaceOrder, *, reference_price: Decimal | None = None) -> None:
        """Refuse an order that the exchange would refuse; `reference_price` adds the checks that need one.

        Raises:
            InvalidOrder: names the filter, its limit, the value and the nearest legal value.
        """
        self._check_kind(order)
        for argument, price in (("price", order.price), ("stop_price", order.stop_price)):
            if price is not None:
                self._check_price(argument, price)
        for argument, quantity in (("quantity", order.quantity), ("iceberg_quantity", order.iceberg_quantity)):
            if quantity is not None:
                self._check_quantity(argument, quantity, is_market=not order.type.has_price)
        self._check_extras(order)
        self._check_band(order, reference_price)
        self._check_notional(order, reference_price)

    def _check_kind(self, order: PlaceOrder) -> None:
        if self.status is not InstrumentStatus.TRADING:
            raise self._refuse(f"{self.symbol} is {self.status.value}: no orders are taken now")
        if self.order_types and order.type not in self.order_types:
            offered = ", ".join(sorted(self.order_types))
            raise self._refuse(f"{self.symbol} takes no {order.type.value} orders, only {offered}")
        if order.quote_quantity is not None and not self.rules.quote_quantity:
            raise self._refuse(f"{self.symbol} takes no quote_quantity: give quantity in {self.base}")

    def _check_price(self, argument: str, price: Decimal) -> None:
        low, high = self.min_price, self.max_price
        if low and price < low:
            nearest = self.round_price(low, "up")
            raise self._over("price_range", argument, price, low, nearest, "is below the least price")
        if high and price > high:
            nearest = self.round_price(high, "down")
            raise self._over("price_range", argument, price, high, nearest, "is above the greatest price")
        if self.tick_size and price % self.tick_size:
            nearest = max(self.round_price(price), self.tick_size)
            raise self._over(
                "tick_size", argument, price, self.tick_size, nearest, "is not a multiple of the tick size"
            )

    def _check_quantity(self, argument: str, quantity: Decimal, *, is_market: bool) -> None:
        lots = [self.lot_size, self.rules.market_lot_size if is_market else None]
        least = max(self.min_quantity, self.rules.market_min_quantity or ZERO) if is_market else self.min_quantity
        most = min((x for x in (self.max_quantity, self.market_max_quantity if is_market else None) if x), default=None)
        if quantity < least:
            nearest = self.round_quantity(least, "up")
            raise self._over("min_quantity", argument, quantity, least, nearest, "is below the least quantity")
        if most is not None and quantity > most:
            nearest = self.round_quantity(most, "down")
            raise self._over("max_quantity", argument, quantity, most, nearest, "is above the greatest quantity")
        for lot in lots:
            if lot and quantity % lot:
                nearest = max(_on_grid(quantity, lot, "down"), _on_grid(least, lot, "up"), lot)
                raise self._over("lot_size", argument, quantity, lot, nearest, "is not a multiple of the lot size")

    def _check_extras(self, order: PlaceOrder) -> None:
        rules = self.rules
        if order.iceberg_quantity is not None and order.quantity is not None:
            self._check_iceberg(order.quantity, order.iceberg_quantity)
        if order.trailing_delta_bps is not None:
            self._check_trailing(order)
        wanted = order.self_trade_prevention
        if (
            wanted is not None
            and rules.self_trade_preventions is not None
            and wanted not in rules.self_trade_preventions
        ):
            offered = ", ".join(sorted(rules.self_trade_preventions))
            raise self._refuse(f"{self.symbol} does not offer self_trade_prevention={wanted.value!r}, only {offered}")

    def _check_iceberg(self, quantity: Decimal, shown: Decimal) -> None:
        if not self.rules.iceberg:
            raise self._refuse(f"{self.symbol} takes no iceberg orders")
        parts, most = -(-quantity // shown), self.rules.iceberg_parts
        if most is not None and parts > most:
            nearest = self.round_quantity(quantity / most, "up")
            text = f"iceberg_quantity={plain(shown)} makes {parts} parts, {most} are allowed: use {plain(nearest)}"
            raise self._refuse(text, nearest=nearest, value=shown)

    def _check_trailing(self, order: PlaceOrder) -> None:
        if not self.rules.trailing:
            raise self._refuse(f"{self.symbol} takes no trailing orders")
        is_stop = order.type in {OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT}
        above = is_stop == (order.side is Side.BUY)
        bounds = self.rules.trailing_above_bps if above else self.rules.trailing_below_bps
        delta = order.trailing_delta_bps or 0
        if bounds is not None and not bounds[0] <= delta <= bounds[1]:
            text = f"trailing_delta_bps={delta} must be between {bounds[0]} and {bounds[1]} on {self.symbol}"
            raise self._refuse(text, nearest=Decimal(min(max(delta, bounds[0]), bounds[1])), value=Decimal(delta))

    def _check_band(self, order: PlaceOrder, reference: Decimal | None) -> None:
        if order.price is None or reference is None:
            return
        low, high = self.rules.bid_band if order.side is Side.BUY else self.rules.ask_band
        if low is not None and order.price < reference * low:
            limit = reference * low
            raise self._over(
                "price_range", "price", order.price, limit, self.round_price(limit, "up"), "is too far below"
            )
        if high is not None and order.price > reference * high:
            limit = reference * high
            raise self._over(
                "price_range", "price", order.price, limit, self.round_price(limit, "down"), "is too far above"
            )

    def _check_notional(self, order: PlaceOrder, reference: Decimal | None) -> None:
        is_market = order.price is None
        price = reference if order.price is None else order.price
        if order.quote_quantity is not None:
            notional, per_lot = order.quote_quantity, None
        elif price is not None and order.quantity is not None:
            notional, per_lot = price * order.quantity, price
        else:
            return
        least = self.rules.market_min_notional if is_market else self.min_notional
        most = self.rules.market_max_notional if is_market else self.max_notional
        if least and notional < least:
            raise self._notional("min_notional", notional, least, per_lot, "up", "below the least")
        if most and notional > most:
            raise self._notional("max_notional", notional, most, per_lot, "down", "above the greatest")

    def _notional(
        self, name: str, value: Decimal, limit: Decimal, price: Decimal | None, mode: str, words: str
    ) -> InvalidOrder:
        nearest = limit if price is None else self.round_quantity(limit / price, mode)
        argument = "quote_quantity" if price is None else "quantity"
        text = f"the order is worth {plain(value)} {self.quote}, {words} notional {plain(limit)} of {self.symbol}"
        return self._refuse(
            f"{text}: use {argument}={plain(nearest)!r}", name, limit=limit, value=value, nearest=nearest
        )

    def _over(
        self, name: str, argument: str, value: Decimal, limit: Decimal, nearest: Decimal, words: str
    ) -> InvalidOrder:
        text = f"{argument}={plain(value)} {words} ({plain(limit)}) of {self.symbol}: use {plain(nearest)}"
        return self._refuse(text, name, argument=argument, limit=limit, value=value, nearest=nearest)

    def _refuse(self, text: str, name: str | None = None, **more: Any) -> InvalidOrder:
        details = {key: plain(value) if isinstance(value, Decimal) else value for key, value in more.items()}
        details |= {"filter": name, "exchange": self.exchange, "symbol": self.symbol}
        return InvalidOrder(text, details)


def _on_grid(value: Decimal, step: Decimal, mode: str) -> Decimal:
    if mode not in _ROUNDING:
        choices = ", ".join(map(repr, _ROUNDING))
        raise InvalidArgument(f"mode={mode!r}: must be one of {choices}", {"argument": "mode"})
    if not step:
        return value
    steps = (value / step).to_integral_value(_ROUNDING[mode])
    return (steps * step).quantize(step.normalize() if step.normalize() < 1 else Decimal(1))
