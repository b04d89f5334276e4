"""What belongs to the user: orders, fills, balances, fees.

https://bybit-exchange.github.io/docs/v5/order/open-order
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from exconnect.mock.fixed import plain
from exconnect.mock.intervals import DAY
from exconnect.mock.market import FEE

from . import shapes
from .endpoints import Call, Endpoint
from .errors import Fail
from .shapes import Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exconnect.mock.orders import Order

    from .params import Params
    from .shapes import Json

UID = 74_199_870
WEEK = 7 * DAY
CLOSED_IN_REALTIME = 500
_KINDS = ("orderId", "orderLinkId")


def realtime(call: Call) -> Json:
    """Open orders; with ``openOnly=1`` the latest closed ones; by an id either."""
    if call.params.category() != "spot":
        return _empty(call.params)
    orders = _matching(call)
    if not _has_id(call.params):
        wants_open = call.params.optional("openOnly") != "1"
        orders = [order for order in orders if order.is_open == wants_open]
        orders = orders if wants_open else orders[-CLOSED_IN_REALTIME:]
    return _orders(call.params, orders)


def history(call: Call) -> Json:
    """Closed orders of at most a week; those without a fill only of the last day."""
    if call.params.category() != "spot":
        return _empty(call.params)
    begin, end = _range(call)
    status = call.params.optional("orderStatus")
    chosen = [
        order
        for order in _matching(call)
        if not order.is_open
        and (order.filled or order.updated_ms > call.now_ms - DAY)
        and (_has_id(call.params) or begin <= order.time_ms <= end)
        and status in {"", Moment.now(order).name}
    ]
    return _orders(call.params, chosen)


def executions(call: Call) -> Json:
    """The user's fills of at most a week."""
    params = call.params
    if params.category() != "spot":
        return _empty(params)
    begin, end = _range(call)
    markets = params.chosen()
    left: dict[int, int] = {}
    rows: list[tuple[tuple[int, int], Json]] = []
    for fill in call.world.view(call.operation, call.now_ms).fills:
        number = fill.order.id
        left[number] = left.get(number, fill.order.quantity) - fill.quantity
        if fill.order.market in markets and _is_meant(params, fill.order) and begin <= fill.time_ms <= end:
            rows.append(((fill.time_ms, fill.trade_id), shapes.execution(fill, left[number])))
    if params.optional("execType") not in {"", "Trade"}:
        rows = []
    return _page(params, rows, params.limit(50, 100))


def _matching(call: Call) -> list[Order]:
    """The orders that the filters leave, oldest first."""
    params, view = call.params, call.world.view(call.operation, call.now_ms)
    markets, kind = params.chosen(), params.optional("orderFilter")
    return [
        order
        for order in view.orders.values()
        if order.market in markets
        and _is_meant(params, order)
        and kind in {"", dict(order.wish.extra).get("filter", "Order")}
    ]


def _has_id(params: Params) -> bool:
    return any(name in params for name in _KINDS)


def _is_meant(params: Params, order: Order) -> bool:
    """``orderId`` is stronger than ``orderLinkId``."""
    if "orderId" in params:
        return params.optional("orderId") == str(order.id)
    return params.optional("orderLinkId") in {"", order.placed_id}


def _range(call: Call) -> tuple[int, int]:
    """The last week, or a week from or to what is given. Raises: Fail for more than a week."""
    begin, end = call.params.integer("startTime"), call.params.integer("endTime")
    if begin is None:
        end = call.now_ms if end is None else end
        return end - WEEK, end
    end = begin + WEEK if end is None else end
    if end - begin > WEEK:
        raise Fail(181010)
    return begin, end


def _orders(params: Params, orders: Sequence[Order]) -> Json:
    rows = [((order.time_ms, order.id), shapes.order(Moment.now(order))) for order in orders]
    return _page(params, rows, params.limit(20, 50))


def _page(params: Params, rows: list[tuple[tuple[int, int], Json]], limit: int) -> Json:
    """Newest first. There is a cursor behind every row, behind the last one too."""
    rows.sort(key=lambda row: row[0], reverse=True)
    after = _place(params.optional("cursor"))
    if after is not None:
        rows = [row for row in rows if row[0] < after]
    page = rows[:limit]
    return {
        "category": params.optional("category"),
        "nextPageCursor": _cursor(*page[-1][0]) if page else "",
        "list": [row for _, row in page],
    }


def _cursor(time_ms: int, number: int) -> str:
    """As it travels in a query: percent-encoded already."""
    place = f"{number}:{time_ms}"
    return quote(f"{place},{place}", safe="")


def _place(cursor: str) -> tuple[int, int] | None:
    """Whether or not the client encoded it once more. Raises: Fail."""
    if not cursor:
        return None
    number, _, time_ms = unquote(cursor).partition(",")[0].partition(":")
    if not number.isdigit() or not time_ms.isdigit():
        raise Fail(10001, "Request parameter error: cursor is invalid.")
    return int(time_ms), int(number)


def _empty(params: Params) -> Json:
    return {"category": params.optional("category"), "nextPageCursor": "", "list": []}


def wallet_balance(call: Call) -> Json:
    """What is held; coins that are asked for by name even where nothing is."""
    if call.params.text("accountType") != "UNIFIED":
        raise Fail(10001, "accountType only support UNIFIED.")
    account, wanted = call.world.account, call.params.optional("coin")
    names = wanted.split(",") if wanted else [name for name, held in account.assets.items() if held.free or held.locked]
    return {"list": [shapes.wallet(call.world, account, names)]}


def fee_rate(call: Call) -> Json:
    """Fees as fractions."""
    call.params.spot()
    rate = plain(FEE)
    rows = [
        {"symbol": market.name, "takerFeeRate": rate, "makerFeeRate": rate, "baseCoin": ""}
        for market in call.params.chosen()
    ]
    return {"category": "spot", "list": rows}


def account_info(call: Call) -> Json:
    """A unified account of version 2."""
    return {
        "marginMode": "REGULAR_MARGIN",
        "updatedTime": str(call.world.account.updated_ms or call.world.started_ms),
        "unifiedMarginStatus": 5,
        "dcpStatus": "OFF",
        "timeWindow": 10,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def settings(call: Call) -> Json:  # noqa: ARG001
    """Orders beyond the price band are refused, fees are taken from what is received."""
    return {"lpaSpot": False, "lpaPerp": False, "deltaEnable": False, "smsef": False, "fmsef": False}


def query_api(call: Call) -> Json:
    """The key that asks."""
    return {
        "id": "2208369",
        "note": "exconnect-mock",
        "apiKey": call.api_key,
        "readOnly": 0,
        "secret": "",
        "permissions": {"Spot": ["SpotTrade"], "Wallet": ["AccountTransfer"], "ContractTrade": [], "Options": []},
        "ips": ["127.0.0.1"],
        "type": 1,
        "deadlineDay": 90,
        "expiredAt": "2099-01-01T00:00:00Z",
        "createdAt": "2024-01-01T00:00:00Z",
        "unified": 0,
        "uta": 1,
        "userID": UID,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
        "parentUid": "0",
        "kycLevel": "LEVEL_1",
        "kycRegion": "",
    }


def coins(call: Call) -> Json:
    """The assets of the account's markets, none of which can leave."""
    wanted = call.params.optional("coin")
    rows = [
        {"name": asset, "coin": asset, "remainAmount": "0", "chains": []}
        for asset in call.world.account.assets
        if wanted in {"", asset}
    ]
    return {"rows": rows}


def borrow_check(call: Call) -> Json:
    """What an order may spend: own funds only."""
    call.params.spot()
    market = call.params.market()
    is_buy = call.params.text("side") == "Buy"
    free = call.world.account.of(market.quote if is_buy else market.base).free
    amount = free if is_buy else free * call.world.engine.last[market.symbol] // 10**8
    quantity = free * 10**8 // call.world.engine.last[market.symbol] if is_buy else free
    row = {"maxTradeQty": plain(quantity), "maxTradeAmount": plain(amount)}
    row |= {"spotMaxTradeQty": plain(quantity), "spotMaxTradeAmount": plain(amount)}
    return {"symbol": market.name, "side": call.params.text("side"), **row, "borrowCoin": ""}


def _read(path: str, operation: str, handler: Callable[[Call], Any], per_second: int = 50) -> Endpoint:
    return Endpoint("GET", path, operation, handler, per_second)


ENDPOINTS = (
    _read("/v5/order/realtime", "fetch_open_orders", realtime),
    _read("/v5/order/history", "fetch_orders", history),
    _read("/v5/execution/list", "fetch_fills", executions),
    _read("/v5/order/spot-borrow-check", "fetch_limits", borrow_check),
    _read("/v5/account/wallet-balance", "fetch_balances", wallet_balance),
    _read("/v5/account/fee-rate", "fetch_fees", fee_rate, 5),
    _read("/v5/account/info", "fetch_account", account_info),
    _read("/v5/account/user-setting-config", "fetch_account", settings),
    _read("/v5/user/query-api", "fetch_account", query_api, 10),
    _read("/v5/asset/coin/query-info", "fetch_assets", coins, 5),
)
