"""Placing, amending, canceling: acks that say no more than that the exchange will look at it.

https://bybit-exchange.github.io/docs/v5/order/create-order
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from exconnect.mock import filters
from exconnect.mock.orders import Order, Refused
from exconnect.mock.world import USER

from .endpoints import Call, Endpoint
from .errors import MISSING, Fail, refusing
from .placing import FILTERS, check, ready, wish_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from exconnect.mock.orders import NewOrder

    from .params import Params
    from .shapes import Json

CANCEL_FILTERS = FILTERS | {"OcoOrder", "BidirectionalTpslOrder"}
_SPENT = {"filled": 170139, "canceled": 170142}


@dataclass(frozen=True, slots=True)
class Target:
    """An order that is meant by an amend or a cancel: ``order`` is None while it is on its way to the engine."""

    number: int
    wish: NewOrder
    order: Order | None

    @property
    def ids(self) -> Json:
        """What an ack says."""
        return {"orderId": str(self.number), "orderLinkId": self.wish.client_id}

    @property
    def kind(self) -> str:
        """Its order filter."""
        return str(dict(self.wish.extra).get("filter", "Order"))


def create(call: Call) -> Json:
    """A new order."""
    call.params.spot()
    return _create(call, call.params)


def amend(call: Call) -> Json:
    """Another price, quantity or trigger."""
    call.params.spot()
    return _amend(call, call.params)


def cancel(call: Call) -> Json:
    """One order."""
    call.params.spot()
    return _cancel(call, call.params)


def cancel_all(call: Call) -> Json:
    """Every order of a kind, plain ones unless it is said otherwise."""
    call.params.spot()
    kind = call.params.optional("orderFilter") or "Order"
    if kind not in CANCEL_FILTERS:
        raise Fail(170201)
    markets = call.params.chosen()
    numbers = [order.id for order in call.world.engine.open_orders(USER)] + call.intake.on_their_way()
    targets = [target for number in numbers if (target := _target(call, number))]
    chosen = [target for target in targets if target.kind == kind and target.wish.market in markets]
    for target in chosen:
        call.intake.cancel(target.number, call.now_ms)
    return {"list": [target.ids for target in chosen], "success": "1"}


def create_batch(call: Call) -> Json:
    """Up to ten new orders."""
    return _batch(call, _create, {"createAt": str(call.now_ms)})


def amend_batch(call: Call) -> Json:
    """Up to ten amends, of plain orders."""
    return _batch(call, _amend_plain, {})


def cancel_batch(call: Call) -> Json:
    """Up to ten cancels."""
    return _batch(call, _cancel, {})


def _batch(call: Call, act: Callable[[Call, Params], Json], more: Json) -> Json:
    """Row by row: what fails does not stop the rest; what is beyond the limit fails alone."""
    call.params.spot()
    rows: list[Json] = []
    verdicts: list[Json] = []
    for index, params in enumerate(call.params.rows()):
        row = {"category": "spot", "symbol": params.optional("symbol"), "orderId": ""}
        row |= {"orderLinkId": params.optional("orderLinkId"), **dict.fromkeys(more, "")}
        try:
            _check_share(call, index)
            row |= {**act(call, params), **more}
            verdicts.append({"code": 0, "msg": "OK"})
        except Fail as fail:
            verdicts.append(fail.row)
        rows.append(row)
    call.extra = {"list": verdicts}
    return {"list": rows}


def _check_share(call: Call, index: int) -> None:
    if index >= call.granted:
        raise Fail(10006)


def _create(call: Call, params: Params) -> Json:
    link_id = params.link_id()
    wish = wish_of(params, link_id)
    call.intake.check_id(link_id)
    check(ready(wish, call.world.engine), call.world.engine, call.now_ms)
    taken = call.intake.place(wish, call.now_ms)
    return {"orderId": str(call.intake.number_of(taken.client_id)), "orderLinkId": taken.client_id}


def _cancel(call: Call, params: Params) -> Json:
    target = _find(call, params)
    kind = params.optional("orderFilter") or "Order"
    if kind not in CANCEL_FILTERS:
        raise Fail(170201)
    if kind != target.kind:
        raise Fail(170213)
    call.intake.cancel(target.number, call.now_ms)
    return target.ids


def _amend(call: Call, params: Params) -> Json:
    target = _find(call, params)
    wanted = _wanted(params, target.wish)
    if not wanted:
        raise Fail(10001, MISSING)
    wish = replace(target.wish, **wanted)
    filled = target.order.filled if target.order else 0
    if wish.quantity < filled:
        raise Fail(170313)
    try:
        filters.check_shape(wish, call.world.engine.average(wish.market.symbol, call.now_ms))
    except Refused as refused:
        raise refusing(refused, wish) from refused
    call.intake.amend(target.number, wanted, call.now_ms)
    return target.ids


def _amend_plain(call: Call, params: Params) -> Json:
    if _find(call, params).kind != "Order":
        raise Fail(10001, "Request parameter error: conditional orders cannot be amended in a batch.")
    return _amend(call, params)


def _wanted(params: Params, wish: NewOrder) -> dict[str, Any]:
    names = {"quantity": ("qty", 170137), "price": ("price", 170134), "stop_price": ("triggerPrice", 170134)}
    found = {name: params.amount(*spelled) for name, spelled in names.items() if spelled[0] in params}
    if ("price" in found and not wish.price) or ("stop_price" in found and not wish.stop_price):
        raise Fail(170312)
    return found


def _find(call: Call, params: Params) -> Target:
    """The order meant by a number or, without one, a client order id. Raises: Fail."""
    params.market()
    written, link_id = params.optional("orderId"), params.optional("orderLinkId")
    if not written and not link_id:
        raise Fail(10001, MISSING)
    number = (int(written) if written.isdigit() else 0) if written else call.intake.number_of(link_id)
    target = _target(call, number or 0)
    if target is None or target.wish.market is not params.market():
        raise Fail(170213)
    if target.order is not None and not target.order.is_open:
        raise Fail(_SPENT.get(target.order.status, 170142))
    return target


def _target(call: Call, number: int) -> Target | None:
    order, wish = call.world.engine.orders.get(number), call.intake.wish(number)
    if order is not None:
        return Target(number, replace(order.wish, client_id=order.placed_id, quantity=order.quantity), order)
    return Target(number, wish, None) if wish is not None else None


def _rows(params: Params) -> int:
    return params.count()


def _order(action: str, operation: str, handler: Callable[[Call], Any], per_second: int = 20) -> Endpoint:
    return Endpoint("POST", f"/v5/order/{action}", operation, handler, per_second, is_order=True)


def _many(action: str, operation: str, handler: Callable[[Call], Any]) -> Endpoint:
    return Endpoint("POST", f"/v5/order/{action}", operation, handler, 20, is_order=True, units=_rows)


ENDPOINTS = (
    _order("create", "place_order", create),
    _order("amend", "amend_order", amend, 10),
    _order("cancel", "cancel_order", cancel),
    _order("cancel-all", "cancel_all_orders", cancel_all),
    _many("create-batch", "place_orders", create_batch),
    _many("amend-batch", "amend_orders", amend_batch),
    _many("cancel-batch", "cancel_orders", cancel_batch),
)
