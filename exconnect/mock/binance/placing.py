"""From the parameters of an order to a wish for the engine.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exconnect.mock.orders import NewOrder
from exconnect.mock.world import USER

from .endpoints import names
from .errors import Fail
from .shapes import DEFAULT_STP, ORDER_TYPES, STP_MODES

if TYPE_CHECKING:
    from .params import Params

ORDER_REQUIRED = names("symbol side type")
ORDER_OPTIONAL = names(
    "timeInForce quantity quoteOrderQty price stopPrice trailingDelta icebergQty newClientOrderId strategyId "
    "strategyType newOrderRespType selfTradePreventionMode pegPriceType pegOffsetType pegOffsetValue"
)
LEAST_STRATEGY = 1_000_000
_SIDES = frozenset({"BUY", "SELL"})
_TIMES = frozenset({"GTC", "IOC", "FOK"})
_RESPONSES = frozenset({"ACK", "RESULT", "FULL"})
_LIMITED = names("LIMIT STOP_LOSS_LIMIT TAKE_PROFIT_LIMIT")
_STOPS = names("STOP_LOSS STOP_LOSS_LIMIT TAKE_PROFIT TAKE_PROFIT_LIMIT")
_UNSUPPORTED = (
    ("trailingDelta", "Trailing stop orders are not supported for this symbol."),
    ("icebergQty", "Iceberg orders are not supported for this symbol."),
    ("pegPriceType", "Pegged orders are not supported for this symbol"),
    ("pegOffsetType", "Pegged orders are not supported for this symbol"),
)


def wish_of(params: Params) -> NewOrder:
    """What the parameters ask for. Raises: Fail."""
    market = params.market()
    side = params.one_of("side", _SIDES, Fail(-1117))
    kind = params.one_of("type", frozenset(ORDER_TYPES), Fail(-1116))
    _check_combination(params, kind)
    for name, message in _UNSUPPORTED:
        if name in params:
            raise Fail(-1013, message)
    return NewOrder(
        market,
        side.lower(),
        kind.lower(),
        _positive(params, "quantity"),
        _positive(params, "price"),
        _positive(params, "quoteOrderQty"),
        _positive(params, "stopPrice"),
        _time_in_force(params, kind),
        _stp(params),
        params.client_id("newClientOrderId"),
        USER,
        _strategy(params),
    )


def response_type(params: Params, kind: str) -> str:
    """ACK, RESULT or FULL."""
    default = "FULL" if kind in {"limit", "market"} else "ACK"
    value = params.optional("newOrderRespType") or default
    if value not in _RESPONSES:
        raise Fail(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
    return value


def _check_combination(params: Params, kind: str) -> None:
    """What each type needs and does not want."""
    needed: set[str] = set()
    unwanted: set[str] = set()
    for name, kinds in (("price", _LIMITED | {"LIMIT_MAKER"}), ("stopPrice", _STOPS), ("timeInForce", _LIMITED)):
        (needed if kind in kinds else unwanted).add(name)
    if kind == "MARKET":
        if "quantity" not in params and "quoteOrderQty" not in params:
            raise Fail(-1102, "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!")
        unwanted.add("quoteOrderQty" if "quantity" in params else "quantity")
    else:
        needed.add("quantity")
        unwanted.add("quoteOrderQty")
    if "trailingDelta" in params:
        needed.discard("stopPrice")
    for name in sorted(needed):
        params.text(name)
    for name in sorted(unwanted):
        if name in params:
            raise Fail(-1106, f"Parameter '{name}' sent when not required.")


def _positive(params: Params, name: str) -> int:
    value = params.amount(name)
    if name in params and value == 0:
        raise Fail(-1013, "Invalid price." if name in {"price", "stopPrice"} else "Invalid quantity.")
    return value


def _time_in_force(params: Params, kind: str) -> str:
    if kind not in _LIMITED:
        return "gtc"
    return params.one_of("timeInForce", _TIMES, Fail(-1115)).lower()


def _stp(params: Params) -> str:
    mode = params.optional("selfTradePreventionMode") or DEFAULT_STP
    if mode not in STP_MODES:
        raise Fail(-1013, "This symbol does not allow the specified self-trade prevention mode.")
    return mode.lower()


def _strategy(params: Params) -> tuple[tuple[str, int], ...]:
    kind = params.integer("strategyType")
    if kind is not None and kind < LEAST_STRATEGY:
        raise Fail(-1134, "strategyType was less than 1000000.")
    given = (("strategyId", params.integer("strategyId")), ("strategyType", kind))
    return tuple((name, value) for name, value in given if value is not None)
