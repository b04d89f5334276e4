"""The exchange's admission rules for one order, on integers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .fixed import times
from .orders import MARKET_TYPES, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .market import Market
    from .orders import NewOrder, Order


def check(wish: NewOrder, reference: int, open_orders: Iterable[Order]) -> None:
    """Raises: Refused("filter", NAME) for the first rule that the order breaks."""
    check_shape(wish, reference)
    _check_counts(wish, open_orders)


def check_shape(wish: NewOrder, reference: int) -> None:
    """The rules that do not count other orders. Raises: Refused."""
    is_market = wish.type in MARKET_TYPES
    if wish.price:
        check_price(wish.market, wish.price)
        _check_band(wish.market, wish.price, reference)
    if wish.stop_price:
        check_price(wish.market, wish.stop_price)
    if wish.quantity:
        check_quantity(wish.market, wish.quantity, is_market=is_market)
    price = reference if is_market else wish.price or reference
    notional = wish.quote_quantity or times(price, wish.quantity)
    check_notional(wish.market, notional, is_market=is_market)


def check_price(market: Market, price: int) -> None:
    """Raises: Refused."""
    _require(market.min_price <= price <= market.max_price and price % market.tick == 0, "PRICE_FILTER")


def check_quantity(market: Market, quantity: int, *, is_market: bool) -> None:
    """Raises: Refused."""
    on_lot = quantity % market.lot == 0
    _require(market.min_quantity <= quantity <= market.max_quantity and on_lot, "LOT_SIZE")
    _require(not is_market or quantity <= market.market_max_quantity, "MARKET_LOT_SIZE")


def check_notional(market: Market, notional: int, *, is_market: bool) -> None:
    """The maximum does not bind market orders. Raises: Refused."""
    _require(notional >= market.min_notional and (is_market or notional <= market.max_notional), "NOTIONAL")


def _check_band(market: Market, price: int, reference: int) -> None:
    within = reference * market.band_down <= price * 10 <= reference * market.band_up
    _require(within, "PERCENT_PRICE_BY_SIDE")


def _check_counts(wish: NewOrder, open_orders: Iterable[Order]) -> None:
    same = [order for order in open_orders if order.market is wish.market]
    _require(len(same) < wish.market.max_orders, "MAX_NUM_ORDERS")
    if wish.stop_price:
        waiting = sum(order.is_conditional for order in same)
        _require(waiting < wish.market.max_conditional, "MAX_NUM_ALGO_ORDERS")


def _require(passes: bool, name: str) -> None:  # noqa: FBT001
    if not passes:
        raise Refused("filter", name)
