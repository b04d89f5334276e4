from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from exconnect.errors import InvalidArgument, InvalidOrder, MalformedMessage, NotSupported
from exconnect.exchanges.binance import rest
from exconnect.model.enums import OrderStatus, OrderType, Side, TimeInForce
from exconnect.model.order import AmendOrder, Order, PlaceOrder
from exconnect.protocol.call import Lane, Replay, Response, Security

D = Decimal


def sent(call):
    """Method, path, parameters."""
    return call.request.method, call.request.path, dict(call.request.params)


def weight(call):
    return next(cost.amount for cost in call.costs if cost.kind == "request_weight")


def decoded(call, body):
    return call.decode(Response(200, {}, json.dumps(body).encode()))


def place(btc, *args, **kwargs):
    return rest.place_order(PlaceOrder("BTC/USDT", *args, **kwargs), btc, "x1")


@pytest.fixture
def eth(btc):
    return replace(btc, symbol="ETH/USDT", exchange_symbol="ETHUSDT")


# ---- market data ----------------------------------------------------------------------------------------------------


def test_time():
    call = rest.time()
    assert sent(call) == ("GET", "/api/v3/time", {})
    assert (weight(call), call.security, call.replay, call.lane) == (1, Security.PUBLIC, Replay.SAFE, Lane.QUERY)
    assert decoded(call, {"serverTime": 1499827319559}) == 1499827319559


@pytest.mark.parametrize(
    "names, params",
    [
        ([], {"showPermissionSets": "false"}),
        (["BTCUSDT"], {"symbol": "BTCUSDT"}),
        (["BTCUSDT", "币USDT"], {"symbols": '["BTCUSDT","币USDT"]'}),
    ],
)
def test_instruments(names, params, listed):
    call = rest.instruments(names)
    assert sent(call) == ("GET", "/api/v3/exchangeInfo", params)
    assert weight(call) == 20
    assert call.max_body > 32 * 1024 * 1024
    assert decoded(call, {"symbols": [listed], "rateLimits": []}).instruments[0].symbol == "BTC/USDT"


def test_one_ticker(btc):
    call = rest.fetch_ticker(btc)
    assert sent(call) == ("GET", "/api/v3/ticker/24hr", {"symbol": "BTCUSDT"})
    assert weight(call) == 2
    assert decoded(call, {"symbol": "BTCUSDT", "lastPrice": "5"}).last == 5


@pytest.mark.parametrize("count, cost", [(1, 2), (20, 2), (21, 40), (100, 40), (101, 80), (0, 80)])
def test_many_tickers_cost_by_their_number(btc, count, cost):
    instruments = [replace(btc, symbol=f"A{n}/B", exchange_symbol=f"A{n}B") for n in range(count)]
    call = rest.fetch_tickers(instruments, lambda name: None)
    assert weight(call) == cost
    params = dict(call.request.params)
    if count in (0, 101):
        assert params == {}
    elif count == 1:
        assert params == {"symbol": "A0B"}
    else:
        assert json.loads(params["symbols"]) == [each.exchange_symbol for each in instruments]


def test_many_tickers_come_by_unified_symbol(btc, eth):
    known = {"BTCUSDT": btc, "ETHUSDT": eth}
    rows = [{"symbol": name, "lastPrice": "5"} for name in ("ETHUSDT", "NEWUSDT", "BTCUSDT")]
    assert list(decoded(rest.fetch_tickers([], known.get), rows)) == ["ETH/USDT", "BTC/USDT"]
    assert list(decoded(rest.fetch_tickers([btc], known.get), rows)) == ["BTC/USDT"]
    assert list(decoded(rest.fetch_tickers([btc], known.get), rows[2])) == ["BTC/USDT"]
    with pytest.raises(MalformedMessage):
        decoded(rest.fetch_tickers([], known.get), ["x"])


@pytest.mark.parametrize("depth, cost", [(1, 5), (100, 5), (101, 25), (500, 25), (1000, 50), (1001, 250), (5000, 250)])
def test_a_book_costs_by_its_depth(btc, depth, cost):
    book, snapshot = rest.fetch_book(btc, depth), rest.book_snapshot(btc, depth)
    assert sent(book) == sent(snapshot) == ("GET", "/api/v3/depth", {"symbol": "BTCUSDT", "limit": str(depth)})
    assert weight(book) == weight(snapshot) == cost
    assert (book.lane, snapshot.lane) == (Lane.MARKET, Lane.STREAM)
    raw = {"lastUpdateId": 3, "bids": [["1.0", "2.0"]], "asks": []}
    assert decoded(book, raw).best_bid == (1, 2)
    assert decoded(snapshot, raw).last_id == 3


def test_trades(btc):
    call = rest.fetch_trades(btc, {"start": None, "end": None}, 5)
    assert sent(call) == ("GET", "/api/v3/trades", {"symbol": "BTCUSDT", "limit": "5"})
    assert (weight(call), call.lane) == (25, Lane.MARKET)
    call = rest.fetch_trades(btc, {"from_id": "0"}, 5)
    assert sent(call) == ("GET", "/api/v3/historicalTrades", {"symbol": "BTCUSDT", "limit": "5", "fromId": "0"})
    assert (weight(call), call.lane) == (25, Lane.HISTORY)
    row = {"id": 7, "price": "1", "qty": "2", "time": 1, "isBuyerMaker": False}
    page = decoded(call, [row])
    assert ([trade.id for trade in page.items], page.next) == (["7"], None)
    full = decoded(rest.fetch_trades(btc, {"from_id": "0", "end": 9}, 1), [row])
    assert full.next == {"from_id": "8", "end": 9}
    assert decoded(rest.fetch_trades(btc, {"from_id": "0", "end": 1}, 1), [row]).items == []
    with pytest.raises(MalformedMessage):
        decoded(call, {"id": 7})


def test_the_first_trade_of_a_time(btc):
    call = rest.fetch_trades(btc, {"start": 1500000000000, "end": 7}, 5)
    assert sent(call) == (
        "GET",
        "/api/v3/aggTrades",
        {"symbol": "BTCUSDT", "startTime": "1500000000000", "limit": "1"},
    )
    assert weight(call) == 4
    page = decoded(call, [{"a": 1, "f": 0, "l": 3}])
    assert (page.items, page.next) == ([], {"from_id": "0", "end": 7})
    assert decoded(call, []).next is None


def test_candles(btc):
    call = rest.fetch_candles(btc, "1M", {"start": 60_000, "end": 180_000}, limit=10, at=120_000)
    assert sent(call) == (
        "GET",
        "/api/v3/klines",
        {"symbol": "BTCUSDT", "interval": "1M", "startTime": "60000", "endTime": "179999", "limit": "10"},
    )
    assert (weight(call), call.lane) == (2, Lane.HISTORY)
    rows = [[60_000, "1", "1", "1", "1", "0", 119_999], [120_000, "1", "1", "1", "1", "0", 179_999]]
    assert [candle.is_closed for candle in decoded(call, rows).items] == [True, False]
    assert decoded(call, rows).next is None
    full = rest.fetch_candles(btc, "1M", {"start": 60_000, "end": 180_000}, limit=2, at=120_000)
    assert decoded(full, rows).next == {"start": 120_001, "end": 180_000}
    newest = rest.fetch_candles(btc, "1m", {"start": None, "end": None}, limit=10, at=0)
    assert newest.lane is Lane.MARKET
    assert set(dict(newest.request.params)) == {"symbol", "interval", "limit"}


# ---- account --------------------------------------------------------------------------------------------------------


def test_account_queries_are_signed_and_safe(btc):
    calls = [
        rest.fetch_balances(),
        rest.permissions(),
        rest.fetch_fees(btc),
        rest.fetch_order(btc, client_order_id="x", order_id=None),
        rest.fetch_open_orders(btc, lambda name: None),
        rest.fetch_orders(btc, {"start": None}, limit=5, at=0),
        rest.fetch_fills(btc, {"start": None}, order_id=None, limit=5, at=0),
    ]
    for call in calls:
        assert (call.request.method, call.security, call.replay) == ("GET", Security.SIGNED, Replay.SAFE)
        assert call.lane is Lane.QUERY
        assert ("raw_requests", 1) in [(cost.kind, cost.amount) for cost in call.costs]
    assert [weight(call) for call in calls] == [20, 20, 20, 4, 6, 20, 20]
    assert decoded(calls[0], {"balances": []}) == {}
    assert decoded(calls[1], {"balances": [], "canTrade": True}).can_trade
    assert decoded(calls[2], {"standardCommission": {"maker": "0.1", "taker": "0.2"}}).maker == D("0.1")


def test_an_order_is_asked_for_by_the_exchanges_id_where_it_is_known(btc):
    by_id = rest.fetch_order(btc, client_order_id="x", order_id="0")
    assert sent(by_id) == ("GET", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": "0"})
    by_name = rest.fetch_order(btc, client_order_id="x", order_id=None)
    assert dict(by_name.request.params) == {"symbol": "BTCUSDT", "origClientOrderId": "x"}
    assert decoded(by_name, {"orderId": 1, "clientOrderId": "x", "status": "NEW"}).items[0].status is OrderStatus.NEW


def test_open_orders(btc, eth):
    everywhere = rest.fetch_open_orders(None, {"ETHUSDT": eth}.get)
    assert sent(everywhere) == ("GET", "/api/v3/openOrders", {})
    assert weight(everywhere) == 80
    rows = [{"symbol": "ETHUSDT", "orderId": 1}, {"symbol": "NEWUSDT", "orderId": 2}]
    assert [order.symbol for order in decoded(everywhere, rows).items] == ["ETH/USDT", "NEWUSDT"]
    here = rest.fetch_open_orders(btc, {}.get)
    assert dict(here.request.params) == {"symbol": "BTCUSDT"}
    assert [order.symbol for order in decoded(here, [{"symbol": "BTCUSDT", "orderId": 1}]).items] == ["BTC/USDT"]
    with pytest.raises(MalformedMessage):
        decoded(everywhere, ["x"])


DAY = 86_400_000


@pytest.mark.parametrize(
    "start, end, from_id, params",
    [
        (None, None, None, {}),
        (5, None, None, {"startTime": "5"}),
        (None, DAY, None, {"endTime": str(DAY - 1)}),
        (5, DAY + 5, None, {"startTime": "5", "endTime": str(DAY + 4)}),
        (5, DAY + 6, None, {"startTime": "5"}),
        (5, DAY, "7", {"orderId": "7"}),
        (0, DAY, None, {"orderId": "0"}),
    ],
)
def test_order_history(btc, start, end, from_id, params):
    call = rest.fetch_orders(btc, {"start": start, "end": end, "from_id": from_id}, limit=5, at=0)
    assert sent(call) == ("GET", "/api/v3/allOrders", {"symbol": "BTCUSDT", **params, "limit": "5"})
    rows = [{"orderId": n, "time": time} for n, time in enumerate([10, DAY - 1, DAY, 9 * DAY])]
    kept = [order.order_id for order in decoded(call, rows).items]
    assert kept == [str(n) for n, row in enumerate(rows) if end is None or row["time"] < end]


@pytest.mark.parametrize(
    "order_id, start, end, from_id, params",
    [
        (None, None, None, None, {}),
        (None, 5, DAY, None, {"startTime": "5", "endTime": str(DAY - 1)}),
        (None, 5, 9 * DAY, None, {"startTime": "5"}),
        ("3", 5, DAY, None, {"orderId": "3"}),
        ("3", None, None, "8", {"orderId": "3", "fromId": "8"}),
        (None, 5, DAY, "8", {"fromId": "8"}),
    ],
)
def test_fill_history(btc, order_id, start, end, from_id, params):
    call = rest.fetch_fills(btc, {"start": start, "end": end, "from_id": from_id}, order_id=order_id, limit=5, at=0)
    assert sent(call) == ("GET", "/api/v3/myTrades", {"symbol": "BTCUSDT", **params, "limit": "5"})
    assert weight(call) == (20 if order_id is None else 5)
    row = {"id": 1, "orderId": 3, "price": "1", "qty": "1", "isBuyer": True}
    rows = [row | {"time": time} for time in (10, DAY, 10 * DAY)]
    assert len(decoded(call, rows).items) == sum(1 for each in rows if end is None or each["time"] < end)


def test_histories_go_on_behind_the_last_id(btc):
    orders = rest.fetch_orders(btc, {"start": 5, "end": 9}, limit=2, at=0)
    page = decoded(orders, [{"orderId": 7, "time": 6}, {"orderId": 9, "time": 8}])
    assert page.next == {"from_id": "10", "end": 9}
    assert decoded(orders, [{"orderId": 7, "time": 6}, {"orderId": 9, "time": 9}]).next is None
    newest = rest.fetch_orders(btc, {"start": None, "end": None}, limit=1, at=0)
    assert decoded(newest, [{"orderId": 7, "time": 6}]).next is None


# ---- placing --------------------------------------------------------------------------------------------------------

LIMIT = {"symbol": "BTCUSDT", "newClientOrderId": "x1", "newOrderRespType": "FULL"}


@pytest.mark.parametrize(
    "args, kwargs, params",
    [
        (("buy", "0.0100"), {"price": "60000.10"},
         {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "60000.1"}),
        (("sell", "1E+2"), {"price": "1E-5", "time_in_force": "ioc"},
         {"side": "SELL", "type": "LIMIT", "timeInForce": "IOC", "quantity": "100", "price": "0.00001"}),
        (("buy", 100), {"price": 10, "time_in_force": "fok"},
         {"side": "BUY", "type": "LIMIT", "timeInForce": "FOK", "quantity": "100", "price": "10"}),
        (("buy", "1"), {"price": "2", "post_only": True},
         {"side": "BUY", "type": "LIMIT_MAKER", "quantity": "1", "price": "2"}),
        (("buy", "1"), {"type": "market"}, {"side": "BUY", "type": "MARKET", "quantity": "1"}),
        (("buy",), {"type": "market", "quote_quantity": "25.50"},
         {"side": "BUY", "type": "MARKET", "quoteOrderQty": "25.5"}),
        (("sell", "1"), {"type": "stop_loss", "stop_price": "5"},
         {"side": "SELL", "type": "STOP_LOSS", "quantity": "1", "stopPrice": "5"}),
        (("sell", "1"), {"type": "take_profit", "trailing_delta_bps": 150, "stop_price": "5"},
         {"side": "SELL", "type": "TAKE_PROFIT", "quantity": "1", "stopPrice": "5", "trailingDelta": "150"}),
        (("sell", "2"), {"type": "stop_loss_limit", "stop_price": "5", "price": "4", "iceberg_quantity": "0.5"},
         {"side": "SELL", "type": "STOP_LOSS_LIMIT", "timeInForce": "GTC", "quantity": "2", "price": "4",
          "stopPrice": "5", "icebergQty": "0.5"}),
        (("sell", "2"), {"type": "take_profit_limit", "trailing_delta_bps": 10, "price": "4"},
         {"side": "SELL", "type": "TAKE_PROFIT_LIMIT", "timeInForce": "GTC", "quantity": "2", "price": "4",
          "trailingDelta": "10"}),
        (("buy", "1"), {"price": "2", "self_trade_prevention": "decrement", "extra": {"strategyId": "37"}},
         {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "2",
          "selfTradePreventionMode": "DECREMENT", "strategyId": "37"}),
    ],
)  # fmt: skip
def test_orders_of_every_kind(btc, args, kwargs, params):
    call = place(btc, *args, **kwargs)
    assert sent(call) == ("POST", "/api/v3/order", LIMIT | params)
    names = [name for name, _ in call.request.params]
    assert len(names) == len(set(names))


def test_what_placing_costs_and_allows(btc):
    call = place(btc, "buy", "1", price="2")
    assert [(cost.kind, cost.amount, cost.refunded) for cost in call.costs] == [
        ("request_weight", 1, True),
        ("raw_requests", 1, False),
        ("orders", 1, False),
    ]
    assert (call.replay, call.lane, call.security) == (Replay.NEVER, Lane.PLACE, Security.SIGNED)
    assert (call.operation, call.symbol, call.client_order_id) == ("place_order", "BTC/USDT", "x1")
    assert decoded(call, {"orderId": 1, "clientOrderId": "x1", "status": "NEW"}).status is OrderStatus.NEW


def test_validating_places_nothing(btc):
    call = rest.validate_order(PlaceOrder("BTC/USDT", "buy", "1", price="2"), btc, "x1")
    assert sent(call)[:2] == ("POST", "/api/v3/order/test")
    assert dict(call.request.params) == dict(place(btc, "buy", "1", price="2").request.params)
    assert [(cost.kind, cost.refunded) for cost in call.costs] == [("request_weight", False), ("raw_requests", False)]
    assert call.replay is Replay.SAFE
    assert decoded(call, {}) is None


@pytest.mark.parametrize(
    "name", ["quantity", "newClientOrderId", "newOrderRespType", "timestamp", "signature", "icebergQty"]
)
def test_extra_cannot_say_what_the_order_says(btc, name):
    with pytest.raises(InvalidArgument, match=name) as caught:
        place(btc, "buy", "1", price="2", extra={name: "1"})
    assert caught.value.argument == "extra"


def test_reduce_only_is_not_for_spot(btc):
    with pytest.raises(NotSupported) as caught:
        place(btc, "sell", "1", price="2", reduce_only=True)
    assert caught.value.capability == "futures"


PLAIN = re.compile(r"[0-9]{1,20}(\.[0-9]{0,19}[1-9])?")
MONEY = st.decimals(min_value="0.00000001", max_value="10000000", allow_nan=False, places=8)


@given(
    side=st.sampled_from(["buy", "sell"]),
    kind=st.sampled_from([kind for kind in OrderType if kind is not OrderType.UNKNOWN]),
    quantity=MONEY,
    price=MONEY,
    stop=MONEY,
    scale=st.integers(-12, 12),
    is_rounded=st.booleans(),
)
def test_an_accepted_order_is_on_the_grid_and_in_plain_digits(
    exchange, btc, side, kind, quantity, price, stop, scale, is_rounded
):
    quantity = quantity.scaleb(scale)
    if is_rounded:
        quantity, price, stop = btc.round_quantity(quantity), btc.round_price(price), btc.round_price(stop)
    assume(quantity > 0 and price > 0 and stop > 0)
    command = PlaceOrder(
        "BTC/USDT",
        side,
        quantity,
        type=kind,
        price=price if kind.has_price else None,
        stop_price=stop if kind.is_conditional else None,
    )
    try:
        btc.check(command)
    except InvalidOrder:
        return
    params = dict(exchange.rest.place_order(command, btc, "x1").request.params)
    for name, step in (("quantity", btc.lot_size), ("price", btc.tick_size), ("stopPrice", btc.tick_size)):
        if name in params:
            assert PLAIN.fullmatch(params[name])
            assert D(params[name]) % step == 0
    assert D(params["quantity"]) == quantity
    assert btc.min_quantity <= quantity <= btc.max_quantity
    if kind.has_price:
        assert D(params["price"]) == price
        assert btc.min_notional <= price * quantity <= btc.max_notional


# ---- canceling ------------------------------------------------------------------------------------------------------


def test_a_cancel_keeps_the_orders_name(btc):
    call = rest.cancel_order(btc, client_order_id="x1", order_id=None)
    assert sent(call) == (
        "DELETE",
        "/api/v3/order",
        {"symbol": "BTCUSDT", "origClientOrderId": "x1", "newClientOrderId": "x1"},
    )
    call = rest.cancel_order(btc, client_order_id="x1", order_id="28")
    assert dict(call.request.params) == {"symbol": "BTCUSDT", "orderId": "28", "newClientOrderId": "x1"}
    assert (call.replay, call.lane) == (Replay.ABSOLUTE, Lane.CANCEL)
    assert [(cost.kind, cost.refunded) for cost in call.costs] == [("request_weight", True), ("raw_requests", False)]
    raw = {"orderId": 28, "origClientOrderId": "x1", "clientOrderId": "x1", "status": "CANCELED"}
    assert decoded(call, raw).status is OrderStatus.CANCELED


def test_cancel_all(btc):
    (call,) = rest.cancel_all_orders(btc)
    assert sent(call) == ("DELETE", "/api/v3/openOrders", {"symbol": "BTCUSDT"})
    assert (call.replay, call.lane) == (Replay.ABSOLUTE, Lane.CANCEL)
    assert [order.order_id for order in decoded(call, [{"orderId": 1}, {"orderId": 2}])] == ["1", "2"]


# ---- amending -------------------------------------------------------------------------------------------------------


def order(**changes):
    fields = {
        "exchange": "binance",
        "client_order_id": "old",
        "order_id": "28",
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "status": OrderStatus.NEW,
        "quantity": D(2),
        "price": D(100),
        "time_in_force": TimeInForce.GTC,
    }
    return Order(**fields | changes)


def amend(btc, target, **changes):
    return rest.amend_order(target, AmendOrder(target, **changes), btc, "new")


@pytest.mark.parametrize("changes", [{"quantity": "1.50"}, {"quantity": "1.50", "price": "100.0"}])
def test_a_smaller_quantity_keeps_the_order(btc, changes):
    call = amend(btc, order(), **changes)
    assert sent(call) == (
        "PUT",
        "/api/v3/order/amend/keepPriority",
        {"symbol": "BTCUSDT", "orderId": "28", "newClientOrderId": "old", "newQty": "1.5"},
    )
    assert [(cost.kind, cost.amount, cost.refunded) for cost in call.costs] == [
        ("request_weight", 4, False),
        ("raw_requests", 1, False),
    ]
    assert (call.client_order_id, call.replay, call.lane) == ("old", Replay.ABSOLUTE, Lane.PLACE)
    raw = {"transactTime": 1, "amendedOrder": {"orderId": 28, "clientOrderId": "old", "qty": "1.5", "status": "NEW"}}
    assert decoded(call, raw).quantity == D("1.5")


def test_an_order_without_the_exchanges_id_is_named_by_ours(btc):
    assert dict(amend(btc, order(order_id=None), quantity="1").request.params)["origClientOrderId"] == "old"
    replaced = dict(amend(btc, order(order_id=None), price="1").request.params)
    assert replaced["cancelOrigClientOrderId"] == "old"
    assert "cancelOrderId" not in replaced


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"price": "101"}, {"price": "101", "quantity": "2"}),
        ({"quantity": "3"}, {"price": "100", "quantity": "3"}),
        ({"quantity": "1", "price": "99"}, {"price": "99", "quantity": "1"}),
        ({"quantity": "2"}, {"price": "100", "quantity": "2"}),
    ],
)
def test_anything_else_replaces_the_order(btc, changes, expected):
    call = amend(btc, order(), **changes)
    assert sent(call) == (
        "POST",
        "/api/v3/order/cancelReplace",
        {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "newClientOrderId": "new",
            "newOrderRespType": "FULL",
            "cancelReplaceMode": "STOP_ON_FAILURE",
            "cancelOrderId": "28",
            "cancelNewClientOrderId": "old",
            "cancelRestrictions": "ONLY_NEW",
            **expected,
        },
    )
    assert (call.client_order_id, call.replay, call.lane) == ("new", Replay.ABSOLUTE, Lane.PLACE)
    assert [(cost.kind, cost.refunded) for cost in call.costs] == [
        ("request_weight", True),
        ("raw_requests", False),
        ("orders", False),
    ]


def test_both_halves_done(btc):
    call = amend(btc, order(), price="101")
    new = {"orderId": 29, "clientOrderId": "new", "status": "NEW", "transactTime": 1}
    body = {"cancelResult": "SUCCESS", "newOrderResult": "SUCCESS", "cancelResponse": {}, "newOrderResponse": new}
    placed = decoded(call, body)
    assert (placed.client_order_id, placed.order_id, placed.replaces) == ("new", "29", "old")
    with pytest.raises(MalformedMessage):
        decoded(call, {"cancelResult": "SUCCESS"})


def test_where_the_exchange_cannot_amend_it_replaces(btc):
    fixed = replace(btc, rules=replace(btc.rules, amend=False))
    assert sent(amend(fixed, order(), quantity="1"))[0] == "POST"


def test_the_successor_keeps_what_an_order_has_no_field_for(btc):
    raw = {"icebergQty": "0.50000000", "selfTradePreventionMode": "EXPIRE_BOTH", "trailingDelta": 100}
    stop = order(type=OrderType.STOP_LOSS_LIMIT, stop_price=D(90), raw=raw)
    params = dict(amend(btc, stop, price="95").request.params)
    assert (params["type"], params["stopPrice"], params["trailingDelta"]) == ("STOP_LOSS_LIMIT", "90", "100")
    assert (params["icebergQty"], params["selfTradePreventionMode"]) == ("0.5", "EXPIRE_BOTH")
    plain = dict(amend(btc, order(raw={"icebergQty": "0.0", "trailingDelta": -1}), price="95").request.params)
    assert not {"icebergQty", "selfTradePreventionMode", "trailingDelta"} & set(plain)


def test_a_post_only_order_stays_post_only(btc):
    params = dict(amend(btc, order(post_only=True), price="95").request.params)
    assert params["type"] == "LIMIT_MAKER"
    assert "timeInForce" not in params


def test_a_stop_order_without_price(btc):
    stop = order(type=OrderType.STOP_LOSS, price=None, time_in_force=None, stop_price=D(90))
    params = dict(amend(btc, stop, quantity="3").request.params)
    assert (params["type"], params["stopPrice"], params["quantity"]) == ("STOP_LOSS", "90", "3")
    assert not {"price", "timeInForce"} & set(params)


# ---- anything else --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method, signed, security, replay, lane",
    [
        ("GET", False, Security.PUBLIC, Replay.SAFE, Lane.MARKET),
        ("GET", True, Security.SIGNED, Replay.SAFE, Lane.QUERY),
        ("POST", True, Security.SIGNED, Replay.NEVER, Lane.QUERY),
        ("DELETE", True, Security.SIGNED, Replay.NEVER, Lane.QUERY),
    ],
)
def test_raw(method, signed, security, replay, lane):
    call = rest.raw(method, "/api/v3/x", {"a": "1"}, signed=signed, cost=7, decode=lambda response: response.body)
    assert sent(call) == (method, "/api/v3/x", {"a": "1"})
    assert (call.security, call.replay, call.lane, weight(call)) == (security, replay, lane, 7)
    assert call.decode(Response(200, {}, b"x")) == b"x"
    assert call.operation == f"raw.{method.lower()}"


def test_pages_are_as_large_as_the_exchange_gives_them():
    assert rest.PAGE == {"trades": 1000, "candles": 1000, "orders": 1000, "fills": 1000}
