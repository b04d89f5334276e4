"""What few programs ask for: changes of one order, trades with oneself, rules; and lists of what is not traded here.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import shapes
from .account import nothing
from .endpoints import Endpoint, names
from .errors import Fail

if TYPE_CHECKING:
    from exconnect.mock.orders import Prevention

    from .endpoints import Call
    from .params import Params
    from .shapes import Json


def amendments(call: Call) -> list[Json]:
    """Every time an order was made smaller."""
    params, market = call.params, call.params.market()
    order = call.world.engine.orders.get(params.integer("orderId") or 0)
    if order is None or order.market is not market:
        raise Fail(-2013)
    first, limit = params.integer("fromExecutionId") or 0, params.limit(500, 1000)
    rows = [shapes.amendment(order, change) for change in order.amendments if change.id >= first]
    return rows[:limit]


def prevented_matches(call: Call) -> list[Json]:
    """Trades of the user with itself that did not happen."""
    params, market = call.params, call.params.market()
    number, order_id = params.integer("preventedMatchId"), params.integer("orderId")
    if (number is None) == (order_id is None):
        raise Fail(-1128)
    first, limit = params.integer("fromPreventedMatchId") or 0, params.limit(500, 1000)
    rows = [
        shapes.prevented_match(one)
        for one in call.world.engine.prevented
        if one.taker.market is market and one.id >= first and (number == one.id or _is_in(order_id, one))
    ]
    return rows[:limit]


def _is_in(order_id: int | None, one: Prevention) -> bool:
    return order_id in {one.taker.id, one.maker.id}


def own_filters(call: Call) -> Json:
    """The rules that bind the account, which are everybody's."""
    return {"exchangeFilters": [], "symbolFilters": shapes.filters(call.params.market()), "assetFilters": []}


def execution_rules(call: Call) -> Json:
    """No symbol has any."""
    markets = call.params.markets()
    chosen = call.world.markets.values() if markets is None else markets
    return {"symbolRules": [{"symbol": market.name, "rules": []} for market in chosen]}


def reference_price(call: Call) -> Json:
    """No symbol ever had one."""
    call.params.market()
    raise Fail(-2043)


def none_of_symbol(call: Call) -> list[Json]:
    """Block trades, allocations of smart order routing: there are none."""
    call.params.market()
    return []


def _rules_cost(params: Params) -> int:
    chosen = params.markets()
    return 40 if chosen is None else min(40, 2 * len(chosen))


_ONE = names("symbol")
_RANGE = "startTime endTime limit"
ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/v3/order/amendments",
        "fetch_amendments",
        4,
        amendments,
        names("symbol orderId"),
        names("fromExecutionId limit"),
        is_signed=True,
    ),
    Endpoint(
        "GET",
        "/api/v3/myPreventedMatches",
        "fetch_prevented_matches",
        lambda params: 2 if "preventedMatchId" in params else 20,
        prevented_matches,
        _ONE,
        names("preventedMatchId orderId fromPreventedMatchId limit"),
        is_signed=True,
    ),
    Endpoint("GET", "/api/v3/myFilters", "fetch_filters", 40, own_filters, _ONE, is_signed=True),
    Endpoint(
        "GET",
        "/api/v3/myAllocations",
        "fetch_allocations",
        20,
        none_of_symbol,
        _ONE,
        names(f"fromAllocationId orderId {_RANGE}"),
        is_signed=True,
    ),
    Endpoint("GET", "/api/v3/openOrderList", "fetch_order_lists", 6, nothing, is_signed=True),
    Endpoint(
        "GET",
        "/api/v3/allOrderList",
        "fetch_order_lists",
        20,
        nothing,
        optional=names(f"fromId {_RANGE}"),
        is_signed=True,
    ),
    Endpoint(
        "GET",
        "/api/v3/historicalBlockTrades",
        "fetch_block_trades",
        25,
        none_of_symbol,
        names("symbol fromId"),
        names("limit"),
    ),
    Endpoint(
        "GET",
        "/api/v3/executionRules",
        "fetch_execution_rules",
        _rules_cost,
        execution_rules,
        optional=names("symbol symbols symbolStatus"),
    ),
    Endpoint("GET", "/api/v3/referencePrice", "fetch_reference_price", 2, reference_price, _ONE),
    Endpoint(
        "GET",
        "/api/v3/referencePrice/calculation",
        "fetch_reference_price",
        2,
        reference_price,
        _ONE,
        names("symbolStatus"),
    ),
)
