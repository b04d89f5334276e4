"""What belongs to the user: orders, fills, balances, fees, limits.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exconnect.mock.fixed import text
from exconnect.mock.intervals import DAY
from exconnect.mock.world import USER

from . import shapes
from .endpoints import Endpoint, names
from .errors import Fail
from .trading import discount

if TYPE_CHECKING:
    from exconnect.mock.orders import Order

    from .endpoints import Call
    from .params import Params
    from .shapes import Json

UID = 354_937_868


def order(call: Call) -> Json:
    """One order."""
    found = _find(call)
    if found is None:
        raise Fail(-2013)
    return shapes.queried(found)


def _find(call: Call) -> Order | None:
    params, market = call.params, call.params.market()
    number, client_id = params.integer("orderId"), params.optional("origClientOrderId")
    if number is None and client_id is None:
        raise Fail(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
    view = call.world.view(call.operation, call.now_ms)
    found = view.orders.get(number) if number is not None else view.by_client.get((USER, client_id or ""))
    if found is None or found.market is not market:
        return None
    if number is not None and client_id is not None and found.client_id != client_id:
        raise Fail(-2039)
    return found


def open_orders(call: Call) -> list[Json]:
    """Open orders, of one symbol or all."""
    market = call.params.market() if "symbol" in call.params else None
    view = call.world.view(call.operation, call.now_ms)
    return [shapes.queried(found) for found in view.open if market in {None, found.market}]


def all_orders(call: Call) -> list[Json]:
    """The orders of a symbol from a number or a time on, else the newest."""
    params, market = call.params, call.params.market()
    limit, first = params.limit(500, 1000), params.integer("orderId")
    start, end = _range(params)
    rows = [found for found in call.world.engine.orders.values() if found.market is market]
    if first is not None:
        rows = [found for found in rows if found.id >= first]
    rows = [found for found in rows if (start or 0) <= found.time_ms <= (found.time_ms if end is None else end)]
    rows = rows[:limit] if first is not None or start is not None else rows[-limit:]
    return [shapes.queried(found) for found in rows]


def own_trades(call: Call) -> list[Json]:
    """The user's fills of a symbol."""
    params, market = call.params, call.params.market()
    limit, first, number = params.limit(500, 1000), params.integer("fromId"), params.integer("orderId")
    start, end = _range(params)
    if first is not None and (start is not None or end is not None):
        raise Fail(-1128)
    fills = [fill for fill in call.world.view(call.operation, call.now_ms).fills if fill.order.market is market]
    if number is not None:
        fills = [fill for fill in fills if fill.order.id == number]
    if first is not None:
        fills = [fill for fill in fills if fill.trade_id >= first]
    fills = [fill for fill in fills if (start or 0) <= fill.time_ms <= (fill.time_ms if end is None else end)]
    fills.sort(key=lambda fill: fill.trade_id)
    fills = fills[:limit] if first is not None or start is not None else fills[-limit:]
    return [shapes.own_trade(fill) for fill in fills]


def _range(params: Params) -> tuple[int | None, int | None]:
    start, end = params.time_ms("startTime"), params.time_ms("endTime")
    if start is not None and end is not None:
        if end < start:
            raise Fail(-1128)
        if end - start > DAY:
            raise Fail(-1127, "More than 24 hours between startTime and endTime.")
    return start, end


def account(call: Call) -> Json:
    """Balances and rates."""
    skip = call.params.flag("omitZeroBalances", default=False)
    assets = call.world.account.assets.items()
    rows = [(asset, balance) for asset, balance in assets if not skip or balance.free or balance.locked]
    return {
        "makerCommission": 10,
        "takerCommission": 10,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": shapes.commission(),
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": call.world.account.updated_ms or call.world.started_ms,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": text(balance.free), "locked": text(balance.locked)} for asset, balance in rows
        ],
        "permissions": ["SPOT"],
        "uid": UID,
    }


def commission(call: Call) -> Json:
    """Fees of a symbol."""
    nothing = dict.fromkeys(("maker", "taker", "buyer", "seller"), shapes.ZERO)
    return {
        "symbol": call.params.market().name,
        "standardCommission": shapes.commission(),
        "specialCommission": nothing,
        "taxCommission": nothing,
        "discount": discount(),
    }


def order_count(call: Call) -> list[Json]:
    """Unfilled orders in each window."""
    limits = [row for row in call.rate_limits() if row["rateLimitType"] == "ORDERS"]
    windows = call.order_count.windows
    return [{**row, "count": window.used(call.now_ms)} for row, window in zip(limits, windows, strict=True)]


def permissions(call: Call) -> Json:
    """What the key may do."""
    return {
        "ipRestrict": False,
        "createTime": call.world.started_ms,
        "enableReading": True,
        "enableSpotAndMarginTrading": True,
        "enableWithdrawals": False,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enablePortfolioMarginTrading": False,
    }


def currencies(call: Call) -> list[Json]:
    """Assets without networks: nothing can be deposited or withdrawn here."""
    return [
        {
            "coin": asset,
            "depositAllEnable": False,
            "withdrawAllEnable": False,
            "name": asset,
            "free": text(balance.free),
            "locked": text(balance.locked),
            "freeze": "0",
            "withdrawing": "0",
            "ipoing": "0",
            "ipoable": "0",
            "storage": "0",
            "isLegalMoney": False,
            "trading": True,
            "networkList": [],
        }
        for asset, balance in call.world.account.assets.items()
    ]


def trade_fees(call: Call) -> list[Json]:
    """Fees of one symbol or of all."""
    rate = "0.001"
    markets = [call.params.market()] if "symbol" in call.params else call.world.markets.values()
    return [{"symbol": market.name, "makerCommission": rate, "takerCommission": rate} for market in markets]


def system_status(call: Call) -> Json:  # noqa: ARG001
    """No maintenance."""
    return {"status": 0, "msg": "normal"}


def nothing(call: Call) -> list[Json]:  # noqa: ARG001
    """There is no margin trading here, and there are no order lists."""
    return []


_SYMBOL = names("symbol")
ENDPOINTS = (
    Endpoint(
        "GET", "/api/v3/order", "fetch_order", 4, order, _SYMBOL, names("orderId origClientOrderId"), is_signed=True
    ),
    Endpoint(
        "GET",
        "/api/v3/openOrders",
        "fetch_open_orders",
        lambda params: 6 if "symbol" in params else 80,
        open_orders,
        optional=_SYMBOL,
        is_signed=True,
    ),
    Endpoint(
        "GET",
        "/api/v3/allOrders",
        "fetch_orders",
        20,
        all_orders,
        _SYMBOL,
        names("orderId startTime endTime limit"),
        is_signed=True,
    ),
    Endpoint(
        "GET",
        "/api/v3/myTrades",
        "fetch_fills",
        lambda params: 5 if "orderId" in params else 20,
        own_trades,
        _SYMBOL,
        names("orderId fromId startTime endTime limit"),
        is_signed=True,
    ),
    Endpoint(
        "GET", "/api/v3/account", "fetch_balances", 20, account, optional=names("omitZeroBalances"), is_signed=True
    ),
    Endpoint("GET", "/api/v3/account/commission", "fetch_fees", 20, commission, _SYMBOL, is_signed=True),
    Endpoint("GET", "/api/v3/rateLimit/order", "fetch_order_count", 40, order_count, is_signed=True),
    Endpoint("GET", "/sapi/v1/account/apiRestrictions", "fetch_permissions", 1, permissions, is_signed=True),
    Endpoint("GET", "/sapi/v1/capital/config/getall", "fetch_currencies", 10, currencies, is_signed=True),
    Endpoint("GET", "/sapi/v1/asset/tradeFee", "fetch_fees", 1, trade_fees, optional=_SYMBOL, is_signed=True),
    Endpoint("GET", "/sapi/v1/system/status", "fetch_status", 1, system_status),
    Endpoint("GET", "/sapi/v1/margin/allPairs", "fetch_margin_pairs", 1, nothing, optional=_SYMBOL),
    Endpoint(
        "GET", "/sapi/v1/margin/isolated/allPairs", "fetch_margin_pairs", 1, nothing, optional=_SYMBOL, is_signed=True
    ),
)
