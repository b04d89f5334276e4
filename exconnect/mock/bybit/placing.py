"""From the parameters of an order to a wish for the engine.

https://bybit-exchange.github.io/docs/v5/order/create-order
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from exconnect.mock.fixed import SCALE, times
from exconnect.mock.orders import BUY, MARKET_TYPES, NewOrder, Refused
from exconnect.mock.world import USER

from .errors import Fail, invalid, refusing

if TYPE_CHECKING:
    from exconnect.mock.engine import Engine

    from .params import Params

SIDES = {"Buy": "buy", "Sell": "sell"}
TYPES = {"Limit": "limit", "Market": "market"}
TIMES = {"GTC": "gtc", "IOC": "ioc", "FOK": "fok", "PostOnly": "gtc"}
SMP = {"None": "none", "CancelMaker": "expire_maker", "CancelTaker": "expire_taker", "CancelBoth": "expire_both"}
UNITS = frozenset({"baseCoin", "quoteCoin"})
FILTERS = frozenset({"Order", "StopOrder", "tpslOrder"})
PROTECTION = Decimal("0.05")
BAND = 20  # a twentieth of the last price
_TICKS = range(1, 10_001)
_PERCENT = (Decimal("0.01"), Decimal(10))


def wish_of(params: Params, link_id: str) -> NewOrder:
    """What the parameters ask for. Raises: Fail."""
    market = params.market()
    side = params.one_of("side", SIDES, 170117)
    kind = params.one_of("orderType", TYPES, 170116)
    order_filter, stop = _trigger(params)
    time, tif = _time_in_force(params, kind)
    unit = _unit(params, kind, side)
    amount = params.amount("qty") if params.text("qty") else 0
    if not amount:
        raise invalid("qty")
    smp = params.optional("smpType") or "None"
    if smp not in SMP:
        raise invalid("smpType")
    extra = {"filter": order_filter, "tif": time, "unit": unit, "smp": smp, "leverage": _leverage(params)}
    return NewOrder(
        market,
        side,
        "limit_maker" if time == "PostOnly" else kind,
        0 if unit == "quoteCoin" else amount,
        _price(params, kind),
        amount if unit == "quoteCoin" else 0,
        stop,
        tif,
        SMP[smp],
        link_id,
        USER,
        tuple({**extra, **_slippage(params, kind), **attached(params, kind, order_filter)}.items()),
        holds=order_filter != "StopOrder",
    )


def ready(wish: NewOrder, engine: Engine) -> NewOrder:
    """The wish as the engine takes it now: a trigger gets its direction, a market order the price that protects it."""
    if wish.stop_price:
        rises = wish.stop_price > engine.last[wish.market.symbol]
        kind = "stop_loss" if rises == (wish.side == BUY) else "take_profit"
        return replace(wish, type=f"{kind}_limit" if wish.price else kind)
    if wish.type == "market":
        return replace(wish, price=_protective(wish, engine))
    return wish


def check(wish: NewOrder, engine: Engine, now_ms: int) -> None:
    """What is refused at once, before the order is taken. Raises: Fail."""
    if wish.quote_quantity % times(wish.market.tick, wish.market.lot):
        raise Fail(170148)
    try:
        engine.check(wish, now_ms)
        _check_band(wish, engine.last[wish.market.symbol])
        engine.check_funds(wish)
    except Refused as refused:
        if refused.reason != "no_liquidity":
            raise refusing(refused, wish) from refused


def _check_band(wish: NewOrder, last: int) -> None:
    if not wish.price or wish.type in MARKET_TYPES or wish.stop_price:
        return
    if wish.side == BUY and wish.price > last + last // BAND:
        raise Fail(170193)
    if wish.side != BUY and wish.price < last - last // BAND:
        raise Fail(170194)


def attached(params: Params, kind: str, order_filter: str) -> dict[str, Any]:
    """Take profit and stop loss that come to life when the order has filled."""
    found: dict[str, Any] = {}
    for short, name in (("tp", "takeProfit"), ("sl", "stopLoss")):
        trigger = params.amount(name, 170134)
        if not trigger:
            continue
        if kind == "market" or order_filter != "Order":
            raise invalid(name)
        is_limit = params.optional(f"{short}OrderType") == "Limit"
        limit = params.amount(f"{short}LimitPrice", 170134)
        if is_limit != bool(limit):
            raise Fail(170202)
        found |= {name: trigger, f"{short}LimitPrice": limit}
    return found


def _trigger(params: Params) -> tuple[str, int]:
    order_filter = params.optional("orderFilter") or "Order"
    if order_filter not in FILTERS:
        raise Fail(170201)
    stop = params.amount("triggerPrice", 170134)
    if order_filter == "Order" and stop:
        raise invalid("triggerPrice")
    if order_filter != "Order" and not stop:
        raise Fail(170202)
    return order_filter, stop


def _time_in_force(params: Params, kind: str) -> tuple[str, str]:
    """As it is shown, and as the engine knows it."""
    written = params.optional("timeInForce") or "GTC"
    if written not in TIMES:
        raise Fail(170115)
    return ("IOC", "gtc") if kind == "market" else (written, TIMES[written])


def _unit(params: Params, kind: str, side: str) -> str:
    """What ``qty`` counts: a market buy counts quote units unless it says otherwise."""
    unit = params.optional("marketUnit")
    if unit and unit not in UNITS:
        raise invalid("marketUnit")
    if kind != "market":
        return ""
    return unit or ("quoteCoin" if side == BUY else "baseCoin")


def _price(params: Params, kind: str) -> int:
    if kind == "market":
        return 0
    price = params.amount("price", 170134)
    if not price:
        raise invalid("price")
    return price


def _leverage(params: Params) -> str:
    written = params.optional("isLeverage") or "0"
    if written != "0":
        raise invalid("isLeverage")
    return written


def _slippage(params: Params, kind: str) -> dict[str, str]:
    kind_of, written = params.optional("slippageToleranceType"), params.optional("slippageTolerance")
    if not kind_of and not written:
        return {}
    if kind != "market" or kind_of not in {"TickSize", "Percent"}:
        raise invalid("slippageToleranceType")
    if kind_of == "TickSize" and (not written.isdigit() or int(written) not in _TICKS):
        raise Fail(110108)
    if kind_of == "Percent" and not _PERCENT[0] <= Decimal(params.amount("slippageTolerance")) / SCALE <= _PERCENT[1]:
        raise Fail(110109)
    return {"slippageToleranceType": kind_of, "slippageTolerance": written}


def _protective(wish: NewOrder, engine: Engine) -> int:
    """The worst price that a market order takes."""
    best = engine.books[wish.market.symbol].against(wish.side).best() or engine.last[wish.market.symbol]
    extra = dict(wish.extra)
    kind, sign = extra.get("slippageToleranceType"), 1 if wish.side == BUY else -1
    if kind == "TickSize":
        return max(wish.market.tick, best + sign * int(extra["slippageTolerance"]) * wish.market.tick)
    share = Decimal(extra["slippageTolerance"]) / 100 if kind == "Percent" else PROTECTION
    return wish.market.on_tick(best + sign * int(best * share))
