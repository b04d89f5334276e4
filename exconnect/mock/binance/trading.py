"""Placing, canceling, amending.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exconnect.mock.orders import Refused
from exconnect.mock.world import USER

from . import shapes
from .endpoints import Endpoint, names
from .errors import Fail, amending, placing
from .placing import ORDER_OPTIONAL, ORDER_REQUIRED, response_type, wish_of

if TYPE_CHECKING:
    from exconnect.mock.limits import Full
    from exconnect.mock.orders import NewOrder, Order

    from .endpoints import Call
    from .params import Params
    from .shapes import Json

_RESTRICTIONS = {"ONLY_NEW": "new", "ONLY_PARTIALLY_FILLED": "partially_filled"}
_MODES = frozenset({"STOP_ON_FAILURE", "ALLOW_FAILURE"})
_EXCEEDED = frozenset({"DO_NOTHING", "CANCEL_ONLY"})
_SPANS = {86_400: (1, "DAY"), 60: (1, "MINUTE"), 1: (1, "SECOND")}
COSTLY_TEST = 20


def place(call: Call) -> Json:
    """A new order."""
    wish = wish_of(call.params)
    answer = response_type(call.params, wish.type)
    full = call.order_count.admit(1, call.now_ms, call.connection)
    if full is not None:
        raise too_many_orders(full, call.now_ms)
    return _answer(_place(call, wish), answer)


def test(call: Call) -> Json:
    """The checks of a placement, and nothing placed."""
    wish = wish_of(call.params)
    response_type(call.params, wish.type)
    try:
        call.world.engine.check(wish, call.now_ms)
    except Refused as refused:
        raise placing(refused) from refused
    if not call.params.flag("computeCommissionRates", default=False):
        return {}
    rates = {"maker": shapes.commission()["maker"], "taker": shapes.commission()["taker"]}
    nothing = {"maker": shapes.ZERO, "taker": shapes.ZERO}
    return {
        "standardCommissionForOrder": rates,
        "specialCommissionForOrder": nothing,
        "taxCommissionForOrder": nothing,
        "discount": discount(),
    }


def discount() -> Json:
    """Fees are always taken from what is received."""
    return {
        "enabledForAccount": False,
        "enabledForSymbol": False,
        "discountAsset": "BNB",
        "discount": "0.75000000",
    }


def cancel(call: Call) -> Json:
    """One order."""
    return _cancel(call, call.params, "orderId", "origClientOrderId", "newClientOrderId")


def cancel_all(call: Call) -> list[Json]:
    """Every open order of a symbol."""
    market = call.params.market()
    orders = [order for order in call.world.engine.open_orders(USER) if order.market is market]
    if not orders:
        raise Fail(-2011)
    name, answers = call.world.engine.random_id(), []
    for order in orders:
        original = order.client_id
        call.world.engine.cancel(order, call.now_ms, name)
        answers.append(shapes.canceled(order, original))
    call.world.settle()
    return answers


def amend(call: Call) -> Json:
    """A smaller quantity, the same place in the queue."""
    quantity = call.params.amount("newQty")
    new_id = call.params.client_id("newClientOrderId")
    order = find(call, "orderId", "origClientOrderId")
    if order is None:
        raise Fail(-2038, "Unknown order sent.")
    try:
        report = call.world.engine.amend(order, quantity, call.now_ms, new_id)
    except Refused as refused:
        raise amending(refused) from refused
    call.world.settle()
    return shapes.amended(order, report)


def cancel_replace(call: Call) -> Json:
    """A cancel, then a placement: two results in one answer."""
    params = call.params
    mode = params.one_of("cancelReplaceMode", _MODES, Fail(-1130, _invalid("cancelReplaceMode")))
    wish = wish_of(params)
    answer = response_type(params, wish.type)
    _check_before_cancel(call, wish)
    full = _full(call)
    canceled = _attempt(call)
    if "code" in canceled and mode == "STOP_ON_FAILURE":
        call.order_count.add(1, call.now_ms)
        return _half(call, canceled, None, 400)
    if full is not None:
        replaced = too_many_orders(full, call.now_ms).body
        status = 429 if mode == "STOP_ON_FAILURE" else 409
        return _half(call, canceled, replaced, 400 if "code" in canceled else status)
    try:
        replaced = _answer(_place(call, wish), answer)
    except Fail as fail:
        replaced = fail.body
    return _half(call, canceled, replaced, 400 if "code" in canceled and "code" in replaced else 409)


def _half(call: Call, canceled: Json, replaced: Json | None, status: int) -> Json:
    """Both results; an error unless both succeeded."""
    bad_cancel, bad_place = "code" in canceled, replaced is None or "code" in replaced
    placed = "NOT_ATTEMPTED" if replaced is None else "FAILURE" if bad_place else "SUCCESS"
    data = {
        "cancelResult": "FAILURE" if bad_cancel else "SUCCESS",
        "newOrderResult": placed,
        "cancelResponse": canceled,
        "newOrderResponse": replaced,
    }
    if not bad_cancel and not bad_place:
        call.counted = True
        return data
    raise Fail(-2022 if bad_cancel and bad_place else -2021, status=status, data=data)


def _check_before_cancel(call: Call, wish: NewOrder) -> None:
    try:
        call.world.engine.check(wish, call.now_ms)
    except Refused as refused:
        raise placing(refused) from refused


def _full(call: Call) -> Full | None:
    """The order count that is used up; an error unless only the cancel is wanted then."""
    full = call.order_count.admit(1, call.now_ms, call.connection)
    wanted = call.params.optional("orderRateLimitExceededMode") or "DO_NOTHING"
    if wanted not in _EXCEEDED:
        raise Fail(-1130, _invalid("orderRateLimitExceededMode"))
    if full is not None and wanted == "DO_NOTHING":
        raise too_many_orders(full, call.now_ms)
    return full


def _attempt(call: Call) -> Json:
    try:
        return _cancel(call, call.params, "cancelOrderId", "cancelOrigClientOrderId", "cancelNewClientOrderId")
    except Fail as fail:
        if fail.code != -2011:
            raise
        return fail.body


def _cancel(call: Call, params: Params, by_id: str, by_client: str, new: str) -> Json:
    restriction = params.optional("cancelRestrictions")
    if restriction is not None and restriction not in _RESTRICTIONS:
        raise Fail(-1145)
    new_id = params.client_id(new)
    order = find(call, by_id, by_client)
    if order is None or not order.is_open:
        raise Fail(-2011)
    if restriction and order.status != _RESTRICTIONS[restriction]:
        raise Fail(-2011, "Order was not canceled due to cancel restrictions.")
    original = order.client_id
    call.world.engine.cancel(order, call.now_ms, new_id)
    call.world.settle()
    return shapes.canceled(order, original)


def find(call: Call, by_id: str, by_client: str) -> Order | None:
    """The order meant by a number, a client order id, or both. Raises: Fail if neither was sent."""
    market, params = call.params.market(), call.params
    if by_id not in params and by_client not in params:
        raise Fail(-1102, f"Param '{by_client}' or '{by_id}' must be sent, but both were empty/null!")
    number, client_id = params.integer(by_id), params.optional(by_client)
    view = call.world.engine
    order = view.orders.get(number) if number is not None else view.by_client.get((USER, client_id or ""))
    if order is None or order.market is not market:
        return None
    if number is not None and client_id is not None and order.client_id != client_id:
        raise Fail(-2011, "Cancel order is invalid. Check origClOrdId and orderId.")
    return order


def _place(call: Call, wish: NewOrder) -> Order:
    try:
        order = call.world.engine.place(wish, call.now_ms)
    except Refused as refused:
        raise placing(refused) from refused
    call.order_count.add(1, call.now_ms)
    call.counted = True
    call.world.settle()
    return order


def _answer(order: Order, kind: str) -> Json:
    return {"ACK": shapes.ack, "RESULT": shapes.result, "FULL": shapes.full}[kind](order)


def too_many_orders(full: Full, now_ms: int) -> Fail:
    """The refusal of an order beyond the count."""
    window = full.window
    number, span = _SPANS.get(window.seconds, (window.seconds, "SECOND"))
    message = f"Too many new orders; current limit is {window.limit} orders per {number} {span}."
    wait = max(1, -(-(full.until_ms - now_ms) // 1000))
    return Fail(-1015, message, status=429, headers={"Retry-After": str(wait)})


def _invalid(name: str) -> str:
    return f"Data sent for parameter '{name}' is not valid."


def _test_cost(params: Params) -> int:
    return COSTLY_TEST if params.flag("computeCommissionRates", default=False) else 1


_CANCEL = names("orderId origClientOrderId newClientOrderId cancelRestrictions")
_REPLACE = names(
    "cancelOrderId cancelOrigClientOrderId cancelNewClientOrderId cancelRestrictions orderRateLimitExceededMode"
)
ENDPOINTS = (
    Endpoint("POST", "/api/v3/order", "place_order", 1, place, ORDER_REQUIRED, ORDER_OPTIONAL, True, True),
    Endpoint(
        "POST",
        "/api/v3/order/test",
        "place_order",
        _test_cost,
        test,
        ORDER_REQUIRED,
        ORDER_OPTIONAL | {"computeCommissionRates"},
        is_signed=True,
    ),
    Endpoint(
        "DELETE", "/api/v3/order", "cancel_order", 1, cancel, names("symbol"), _CANCEL, is_signed=True, is_free=True
    ),
    Endpoint(
        "DELETE",
        "/api/v3/openOrders",
        "cancel_all_orders",
        1,
        cancel_all,
        names("symbol"),
        is_signed=True,
        is_free=True,
    ),
    Endpoint(
        "POST",
        "/api/v3/order/cancelReplace",
        "amend_order",
        1,
        cancel_replace,
        ORDER_REQUIRED | {"cancelReplaceMode"},
        ORDER_OPTIONAL | _REPLACE,
        is_signed=True,
        is_free=True,
    ),
    Endpoint(
        "PUT",
        "/api/v3/order/amend/keepPriority",
        "amend_order",
        4,
        amend,
        names("symbol newQty"),
        names("orderId origClientOrderId newClientOrderId"),
        is_signed=True,
    ),
)
