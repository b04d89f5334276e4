"""What may be traded and by which rules, and the check of an order against them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_UP, Context, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from exconnect.errors import InvalidArgument, InvalidOrder
from exconnect.model.enums import InstrumentStatus, MarketType, OrderType, SelfTradePrevention, Side
from exconnect.model.values import EXACT, ZERO, Money, decimal_of, plain

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
            InvalidOrder: names the filter, its limit, the value, and the nearest value that this and the
                instrument's other rules for it allow (None: there is none).
        """
        self._check_kind(order)
        for argument, price in (("price", order.price), ("stop_price", order.stop_price)):
            if price is not None:
                self._check_price(argument, price, self.min_price, self.max_price)
        sizes = self._sizes(order.type)
        for argument, quantity in (("quantity", order.quantity), ("iceberg_quantity", order.iceberg_quantity)):
            if quantity is not None:
                self._check_quantity(argument, quantity, sizes)
        self._check_extras(order)
        if order.price is not None and reference_price is not None:
            self._check_band(order.side, order.price, reference_price)
        self._check_notional(order, reference_price, sizes)

    def _check_kind(self, order: PlaceOrder) -> None:
        if self.status is not InstrumentStatus.TRADING:
            raise self._refuse(f"{self.symbol} is {self.status.value}: no orders are taken now")
        if self.order_types and order.type not in self.order_types:
            offered = ", ".join(sorted(self.order_types))
            raise self._refuse(f"{self.symbol} takes no {order.type.value} orders, only {offered}")
        if order.quote_quantity is not None and not self.rules.quote_quantity:
            raise self._refuse(f"{self.symbol} takes no quote_quantity: give quantity in {self.base}")

    def _check_price(
        self, argument: str, price: Decimal, low: Decimal | None, high: Decimal | None, bounds: str = "allowed"
    ) -> None:
        tick = self.tick_size
        if low and price < low:
            name, limit, words = "price_range", low, f"is below the least {bounds} price"
        elif high and price > high:
            name, limit, words = "price_range", high, f"is above the greatest {bounds} price"
        elif tick and EXACT.remainder(price, tick):
            name, limit, words = "tick_size", tick, "is not a multiple of the tick size"
        else:
            return
        raise self._over(name, argument, price, limit, _Grid(tick, low or ZERO, high or None), words)

    def _check_quantity(self, argument: str, quantity: Decimal, sizes: _Grid) -> None:
        lot, least, most = sizes
        if quantity < least:
            name, limit, words = "min_quantity", least, "is below the least quantity"
        elif most is not None and quantity > most:
            name, limit, words = "max_quantity", most, "is above the greatest quantity"
        elif lot and EXACT.remainder(quantity, lot):
            name, limit, words = "lot_size", lot, "is not a multiple of the lot size"
        else:
            return
        raise self._over(name, argument, quantity, limit, sizes, words)

    def _sizes(self, kind: OrderType) -> _Grid:
        if kind is not OrderType.MARKET:
            return _Grid(self.lot_size, self.min_quantity, self.max_quantity or None)
        rules = self.rules
        return _Grid(
            _common_step(self.lot_size, rules.market_lot_size or ZERO),
            max(self.min_quantity, rules.market_min_quantity or ZERO),
            min((most for most in (self.max_quantity, self.market_max_quantity) if most), default=None),
        )

    def _check_extras(self, order: PlaceOrder) -> None:
        rules = self.rules
        if order.iceberg_quantity is not None and order.quantity is not None:
            self._check_iceberg(order.quantity, order.iceberg_quantity)
        if order.trailing_delta_bps is not None:
            self._check_trailing(order)
        wanted, modes = order.self_trade_prevention, rules.self_trade_preventions
        if wanted is not None and modes is not None and wanted not in modes:
            offered = ", ".join(sorted(modes))
            raise self._refuse(f"{self.symbol} does not offer self_trade_prevention={wanted.value!r}, only {offered}")

    def _check_iceberg(self, quantity: Decimal, shown: Decimal) -> None:
        if not self.rules.iceberg:
            raise self._refuse(f"{self.symbol} takes no iceberg orders")
        most = self.rules.iceberg_parts
        if most is not None and quantity > EXACT.multiply(shown, Decimal(most)):
            least = max(self.min_quantity, _UP.divide(quantity, Decimal(most)))
            nearest = _Grid(self.lot_size or _FINE, least, quantity).nearest(shown)
            text = f"iceberg_quantity={plain(shown)} makes more than {most} parts of {plain(quantity)}"
            raise self._refuse(text, argument="iceberg_quantity", value=shown, nearest=nearest)

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

    def _check_band(self, side: Side, price: Decimal, reference: Decimal) -> None:
        low, high = self.rules.bid_band if side is Side.BUY else self.rules.ask_band
        floor = None if low is None else EXACT.multiply(reference, low)
        ceiling = None if high is None else EXACT.multiply(reference, high)
        least = max((x for x in (self.min_price, floor) if x), default=None)
        most = min((x for x in (self.max_price, ceiling) if x), default=None)
        self._check_price("price", price, least, most, bounds=f"(at {_short(reference)}) allowed")

    def _check_notional(self, order: PlaceOrder, reference: Decimal | None, sizes: _Grid) -> None:
        price = reference if order.price is None else order.price
        if order.quote_quantity is not None:
            value = order.quote_quantity
        elif order.quantity is not None and price is not None:
            value = EXACT.multiply(order.quantity, price)
        else:
            return
        is_market, rules = order.price is None, self.rules
        least = rules.market_min_notional if is_market else self.min_notional
        most = rules.market_max_notional if is_market else self.max_notional
        if least and value < least:
            name, limit, words = "min_notional", least, "below the least"
        elif most and value > most:
            name, limit, words = "max_notional", most, "above the greatest"
        else:
            return
        text = f"the order is worth {_short(value)} {self.quote}, {words} notional {_short(limit)} of {self.symbol}"
        if order.quantity is None or price is None:
            nearest = _Grid(ZERO, least or ZERO, most or None).nearest(value)
            raise self._with_nearest(text, name, "quote_quantity", nearest, limit=limit, value=value)
        nearest = sizes.worth(price, least or None, most or None).nearest(order.quantity)
        raise self._with_nearest(text, name, "quantity", nearest, limit=limit, value=value)

    def _over(self, name: str, argument: str, value: Decimal, limit: Decimal, grid: _Grid, words: str) -> InvalidOrder:
        text = f"{argument}={plain(value)} {words} ({_short(limit)}) of {self.symbol}"
        return self._with_nearest(text, name, argument, grid.nearest(value), limit=limit, value=value)

    def _with_nearest(
        self, text: str, name: str, argument: str, nearest: Decimal | None, **more: Decimal
    ) -> InvalidOrder:
        hint = "" if nearest is None else f': use {argument}="{_short(nearest)}"'
        return self._refuse(text + hint, name, argument=argument, nearest=nearest, **more)

    def _refuse(self, text: str, name: str | None = None, **more: Any) -> InvalidOrder:
        details = {key: plain(value) if isinstance(value, Decimal) else value for key, value in more.items()}
        return InvalidOrder(text, details | {"filter": name, "exchange": self.exchange, "symbol": self.symbol})


_UP = Context(prec=EXACT.prec, rounding=ROUND_UP)
_DOWN = Context(prec=EXACT.prec, rounding=ROUND_DOWN)
_FINE = Decimal("0.00000001")  # the step of what is suggested where an instrument has none


def _short(number: Decimal) -> str:
    """Without the zeros with which exchanges fill up."""
    return plain(EXACT.normalize(number))


class _Grid(NamedTuple):
    """Multiples of `step` above zero, from `least` to `most`; a step of zero: every number."""

    step: Decimal
    least: Decimal
    most: Decimal | None

    def worth(self, price: Decimal, least: Decimal | None, most: Decimal | None) -> _Grid:
        """The part of it whose product with `price` lies between `least` and `most`."""
        floor = self.least if least is None else max(self.least, _UP.divide(least, price))
        tops = [self.most, None if most is None else _DOWN.divide(most, price)]
        return _Grid(self.step or _FINE, floor, min((top for top in tops if top is not None), default=None))

    def nearest(self, value: Decimal) -> Decimal | None:
        """What of it is nearest to `value`, None if there is nothing in it."""
        found = max(_on_grid(value, self.step, "nearest"), _on_grid(self.least, self.step, "up"), self.step)
        if self.most is not None:
            found = min(found, _on_grid(self.most, self.step, "down"))
        return found if found > 0 and found >= self.least else None


def _common_step(one: Decimal, other: Decimal) -> Decimal:
    """The least step whose multiples are multiples of both."""
    if not one or not other:
        return one or other
    unit = Decimal(1).scaleb(min(_exponent(one), _exponent(other)))
    return EXACT.multiply(Decimal(math.lcm(int(EXACT.divide(one, unit)), int(EXACT.divide(other, unit)))), unit)


def _exponent(step: Decimal) -> int:
    exponent = step.normalize(EXACT).as_tuple().exponent
    return min(int(exponent), 0)


def _on_grid(value: Decimal, step: Decimal, mode: str) -> Decimal:
    if mode not in _ROUNDING:
        choices = ", ".join(map(repr, _ROUNDING))
        raise InvalidArgument(f"mode={mode!r}: must be one of {choices}", {"argument": "mode"})
    if not step:
        return value
    steps = EXACT.divide(value, step).to_integral_value(_ROUNDING[mode])
    return EXACT.quantize(EXACT.multiply(steps, step), Decimal(1).scaleb(_exponent(step)))
