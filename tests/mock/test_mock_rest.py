"""REST: shapes, texts and status codes, with neither socket nor clock."""

import json

import pytest

from exconnect.mock.binance.shapes import changes
from exconnect.mock.fixed import scaled
from exconnect.mock.history import Bar


def body(response):
    return json.loads(response.body)


def error(response):
    content = body(response)
    return response.status, content["code"], content["msg"]


ORDER_FIELDS = (
    "symbol orderId orderListId clientOrderId transactTime price origQty executedQty origQuoteOrderQty "
    "cummulativeQuoteQty status timeInForce type side workingTime fills selfTradePreventionMode"
).split()
QUERY_FIELDS = (
    "symbol orderId orderListId clientOrderId price origQty executedQty cummulativeQuoteQty status timeInForce type "
    "side stopPrice icebergQty time updateTime isWorking workingTime origQuoteOrderQty selfTradePreventionMode"
).split()
CANCEL_FIELDS = (
    "symbol origClientOrderId orderId orderListId clientOrderId transactTime price origQty executedQty "
    "origQuoteOrderQty cummulativeQuoteQty status timeInForce type side selfTradePreventionMode"
).split()


def test_response_types(core):
    assert list(body(core.order())) == ORDER_FIELDS
    result = body(core.order(newOrderRespType="RESULT"))
    assert list(result) == [name for name in ORDER_FIELDS if name != "fills"]
    assert list(body(core.order(newOrderRespType="ACK"))) == ORDER_FIELDS[:5]
    assert list(body(core.order(type="LIMIT_MAKER"))) == ORDER_FIELDS[:5]
    assert error(core.order(newOrderRespType="ALL"))[1] == -1130


def test_a_filled_market_order(core):
    answer = body(core.order(type="MARKET", price=None, quantity="1.5"))
    assert (answer["status"], answer["executedQty"], answer["timeInForce"]) == ("FILLED", "1.50000000", "GTC")
    assert [(fill["price"], fill["qty"]) for fill in answer["fills"]] == [
        ("60006.00000000", "1.00000000"),
        ("60012.00000000", "0.50000000"),
    ]
    assert answer["fills"][0]["commission"] == "0.00100000"
    assert answer["fills"][0]["commissionAsset"] == "BTC"
    trades = body(core.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT"))
    assert [trade["id"] for trade in trades] == [fill["tradeId"] for fill in answer["fills"]]
    assert (trades[0]["isBuyer"], trades[0]["isMaker"]) == (True, False)


def test_an_expired_order_says_why(core):
    answer = body(core.order(timeInForce="FOK", price="60006", quantity="2"))
    assert (answer["status"], answer["expiryReason"]) == ("EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED")


def test_queries(core):
    placed = body(core.order(newClientOrderId="mine"))
    by_number = body(core.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=placed["orderId"]))
    by_name = body(core.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="mine"))
    assert list(by_number) == QUERY_FIELDS
    assert by_number == by_name == body(core.signed("GET", "/api/v3/openOrders"))[0]
    assert body(core.signed("GET", "/api/v3/openOrders", symbol="ETHUSDT")) == []
    wrong = core.signed("GET", "/api/v3/order", symbol="ETHUSDT", origClientOrderId="mine")
    assert error(wrong) == (400, -2013, "Order does not exist.")
    neither = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
    assert error(core.signed("GET", "/api/v3/order", symbol="BTCUSDT")) == (400, -1102, neither)
    both = {"symbol": "BTCUSDT", "orderId": placed["orderId"], "origClientOrderId": "other"}
    assert error(core.signed("GET", "/api/v3/order", **both))[1] == -2039


def test_an_untriggered_stop_is_not_working(core):
    core.order(type="STOP_LOSS_LIMIT", price="61000", stopPrice="60500", timeInForce="GTC")
    row = body(core.signed("GET", "/api/v3/openOrders"))[0]
    assert (row["status"], row["isWorking"], row["stopPrice"], row["workingTime"]) == (
        "NEW",
        False,
        "60500.00000000",
        -1,
    )


def test_a_cancel_renames(core):
    core.order(newClientOrderId="mine")
    canceled = body(core.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="mine"))
    assert list(canceled) == CANCEL_FIELDS
    assert (canceled["origClientOrderId"], canceled["status"]) == ("mine", "CANCELED")
    assert canceled["clientOrderId"] != "mine"
    gone = core.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="mine")
    assert error(gone)[1] == -2013
    renamed = core.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId=canceled["clientOrderId"])
    assert body(renamed)["orderId"] == canceled["orderId"]


def test_a_cancel_may_keep_the_name(core):
    core.order(newClientOrderId="mine")
    core.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="mine", newClientOrderId="mine")
    assert body(core.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="mine"))["status"] == "CANCELED"


def test_cancels_that_fail(core):
    placed = body(core.order(newClientOrderId="mine"))
    target = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    assert error(core.signed("DELETE", "/api/v3/order", **target, cancelRestrictions="NEVER"))[1] == -1145
    restricted = core.signed("DELETE", "/api/v3/order", **target, cancelRestrictions="ONLY_PARTIALLY_FILLED")
    assert error(restricted) == (400, -2011, "Order was not canceled due to cancel restrictions.")
    mixed = core.signed("DELETE", "/api/v3/order", **target, origClientOrderId="other")
    assert error(mixed)[1] == -2011
    assert core.signed("DELETE", "/api/v3/order", **target, cancelRestrictions="ONLY_NEW").status == 200
    assert error(core.signed("DELETE", "/api/v3/order", **target)) == (400, -2011, "Unknown order sent.")


def test_cancel_all(core):
    assert error(core.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")) == (400, -2011, "Unknown order sent.")
    core.order(newClientOrderId="a")
    core.order(newClientOrderId="b", type="STOP_LOSS", price=None, stopPrice="61000")
    rows = body(core.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT"))
    assert [row["origClientOrderId"] for row in rows] == ["a", "b"]
    assert body(core.signed("GET", "/api/v3/openOrders")) == []


@pytest.mark.parametrize(
    "change, code, text",
    [
        ({"symbol": "NOPE"}, -1121, "Invalid symbol."),
        ({"symbol": "btcusdt"}, -1100, "Illegal characters found in parameter 'symbol'"),
        ({"side": "HOLD"}, -1117, "Invalid side."),
        ({"type": "MAGIC"}, -1116, "Invalid orderType."),
        ({"timeInForce": "GTD"}, -1115, "Invalid timeInForce."),
        ({"timeInForce": None}, -1102, "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed."),
        ({"price": None}, -1102, "Mandatory parameter 'price'"),
        ({"quantity": ""}, -1105, "Parameter 'quantity' was empty."),
        ({"quantity": "1E-2"}, -1100, "Illegal characters found in parameter 'quantity'; legal range is"),
        ({"quantity": "-1"}, -1100, "Illegal characters found in parameter 'quantity'; legal range is"),
        ({"quantity": "0.010000001"}, -1111, "Parameter 'quantity' has too much precision."),
        ({"quantity": "0"}, -1013, "Invalid quantity."),
        ({"price": "0"}, -1013, "Invalid price."),
        ({"stopPrice": "1"}, -1106, "Parameter 'stopPrice' sent when not required."),
        ({"quoteOrderQty": "10"}, -1106, "Parameter 'quoteOrderQty' sent when not required."),
        ({"type": "MARKET"}, -1106, "Parameter 'price' sent when not required."),
        ({"type": "MARKET", "price": None, "timeInForce": "GTC"}, -1106, "Parameter 'timeInForce' sent when not"),
        ({"type": "MARKET", "price": None, "quantity": None}, -1102, "Param 'quantity' or 'quoteOrderQty'"),
        ({"type": "STOP_LOSS", "price": None}, -1102, "Mandatory parameter 'stopPrice'"),
        ({"foo": "1"}, -1104, "Not all sent parameters were read; read '8' parameter(s) but was sent '9'."),
        ({"newClientOrderId": "no spaces"}, -1100, "Illegal characters found in parameter 'newClientOrderId'"),
        ({"newClientOrderId": "x" * 37}, -1100, "Illegal characters found in parameter 'newClientOrderId'"),
        ({"selfTradePreventionMode": "TRANSFER"}, -1013, "This symbol does not allow the specified self-trade"),
        ({"strategyType": "5"}, -1134, "strategyType was less than 1000000."),
        ({"icebergQty": "0.001"}, -1013, "Iceberg orders are not supported for this symbol."),
        ({"quantity": "20"}, -2010, "Account has insufficient balance for requested action."),
        ({"type": "LIMIT_MAKER", "price": "60006"}, -2010, "Order would immediately match and take."),
        ({"type": "STOP_LOSS", "price": None, "stopPrice": "59000"}, -2010, "Order would trigger immediately."),
    ],
)
def test_orders_that_are_refused(core, change, code, text):
    response = core.order(**change)
    assert (response.status, body(response)["code"]) == (400, code)
    assert body(response)["msg"].startswith(text)
    assert not core.world.engine.orders


def test_one_id_twice(core):
    core.order(newClientOrderId="mine")
    assert error(core.order(newClientOrderId="mine")) == (400, -2010, "Duplicate order sent.")
    assert core.world.record.violations == []
    core.world.engine.execute("BTC/USDT", "sell", 200 * 10**8, 0, core.now)
    assert core.order(newClientOrderId="mine", price="50000").status == 200
    assert core.world.record.violations == ["client order id mine accepted twice"]


def test_exponents_are_a_breach(core):
    core.order(price="5.9E4")
    assert core.world.record.violations == ["a number with an exponent: price=5.9E4"]


def test_a_validating_call_places_nothing(core):
    params = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "1",
        "price": "59000",
    }
    assert body(core.signed("POST", "/api/v3/order/test", **params)) == {}
    rates = body(core.signed("POST", "/api/v3/order/test", **params, computeCommissionRates="true"))
    assert rates["standardCommissionForOrder"] == {"maker": "0.00100000", "taker": "0.00100000"}
    bad = core.signed("POST", "/api/v3/order/test", **{**params, "price": "59000.001"})
    assert error(bad) == (400, -1013, "Filter failure: PRICE_FILTER")
    assert not core.world.engine.orders


def test_an_amend(core):
    placed = body(core.order(quantity="0.02", newClientOrderId="mine"))
    target = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    answer = body(
        core.signed("PUT", "/api/v3/order/amend/keepPriority", **target, newQty="0.01", newClientOrderId="mine")
    )
    assert list(answer) == ["transactTime", "executionId", "amendedOrder"]
    assert (answer["amendedOrder"]["qty"], answer["amendedOrder"]["clientOrderId"]) == ("0.01000000", "mine")
    more = core.signed("PUT", "/api/v3/order/amend/keepPriority", **target, newQty="0.03")
    assert error(more) == (400, -2038, "Order amend (quantity increase) is not supported.")
    same = core.signed("PUT", "/api/v3/order/amend/keepPriority", **target, newQty="0.01")
    assert error(same) == (400, -2038, "The requested action would change no state; rejecting")


def test_amendments(core):
    placed = body(core.order(quantity="0.02", newClientOrderId="first"))
    target = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    change = {**target, "newQty": "0.01", "newClientOrderId": "second"}
    answer = body(core.signed("PUT", "/api/v3/order/amend/keepPriority", **change))
    (row,) = body(core.signed("GET", "/api/v3/order/amendments", **target))
    assert (row["executionId"], row["time"]) == (answer["executionId"], answer["transactTime"])
    assert (row["origClientOrderId"], row["newClientOrderId"]) == ("first", "second")
    assert (row["origQty"], row["newQty"]) == ("0.02000000", "0.01000000")
    assert body(core.signed("GET", "/api/v3/order/amendments", **target, fromExecutionId=row["executionId"] + 1)) == []
    assert error(core.signed("GET", "/api/v3/order/amendments", symbol="BTCUSDT", orderId=1))[1] == -2013


def test_prevented_matches(core):
    maker = body(core.order(price="60000", quantity="0.02"))["orderId"]
    taker = body(core.order("SELL", price="60000", quantity="0.01", selfTradePreventionMode="EXPIRE_TAKER"))["orderId"]
    (row,) = body(core.signed("GET", "/api/v3/myPreventedMatches", symbol="BTCUSDT", orderId=taker))
    assert (row["takerOrderId"], row["makerOrderId"], row["price"]) == (taker, maker, "60000.00000000")
    assert (row["takerPreventedQuantity"], "makerPreventedQuantity" in row) == ("0.01000000", False)
    number = {"symbol": "BTCUSDT", "preventedMatchId": row["preventedMatchId"]}
    assert body(core.signed("GET", "/api/v3/myPreventedMatches", **number)) == [row]
    assert error(core.signed("GET", "/api/v3/myPreventedMatches", symbol="BTCUSDT"))[1] == -1128


@pytest.mark.parametrize(
    "path, params, answer",
    [
        ("myAllocations", {"symbol": "BTCUSDT"}, []),
        ("openOrderList", {}, []),
        ("allOrderList", {"limit": 10}, []),
        ("historicalBlockTrades", {"symbol": "BTCUSDT", "fromId": 1}, []),
        ("executionRules", {"symbol": "BTCUSDT"}, {"symbolRules": [{"symbol": "BTCUSDT", "rules": []}]}),
    ],
)
def test_what_is_not_traded_here_is_an_empty_list(core, path, params, answer):
    assert body(core.signed("GET", f"/api/v3/{path}", **params)) == answer


def test_the_rules_of_the_account_are_those_of_the_symbol(core):
    (symbol,) = body(core.get("/api/v3/exchangeInfo", symbol="BTCUSDT"))["symbols"]
    filters = body(core.signed("GET", "/api/v3/myFilters", symbol="BTCUSDT"))
    assert filters == {"exchangeFilters": [], "symbolFilters": symbol["filters"], "assetFilters": []}


def test_there_is_no_maintenance(core):
    assert body(core.get("/sapi/v1/system/status")) == {"status": 0, "msg": "normal"}


def test_no_symbol_has_a_reference_price(core):
    assert error(core.get("/api/v3/referencePrice", symbol="BTCUSDT"))[:2] == (400, -2043)


REPLACE = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "58000",
    "newClientOrderId": "new",
}


@pytest.mark.parametrize(
    "mode, cancels, places, answer, results",
    [
        ("STOP_ON_FAILURE", True, True, (200, None), ("SUCCESS", "SUCCESS")),
        ("STOP_ON_FAILURE", False, True, (400, -2022), ("FAILURE", "NOT_ATTEMPTED")),
        ("STOP_ON_FAILURE", True, False, (409, -2021), ("SUCCESS", "FAILURE")),
        ("ALLOW_FAILURE", False, True, (409, -2021), ("FAILURE", "SUCCESS")),
        ("ALLOW_FAILURE", False, False, (400, -2022), ("FAILURE", "FAILURE")),
    ],
)
def test_cancel_replace(core, mode, cancels, places, answer, results):
    core.order(newClientOrderId="old")
    name = "old" if cancels else "nobody"
    price = {} if places else {"type": "LIMIT_MAKER", "price": "60006", "timeInForce": None}
    params = {k: v for k, v in {**REPLACE, **price}.items() if v is not None}
    response = core.signed(
        "POST", "/api/v3/order/cancelReplace", **params, cancelReplaceMode=mode, cancelOrigClientOrderId=name
    )
    content = body(response)
    assert (response.status, content.get("code")) == answer
    data = content.get("data", content)
    assert (data["cancelResult"], data["newOrderResult"]) == results
    open_ids = {order.client_id for order in core.world.engine.open.values()}
    assert ("old" in open_ids, "new" in open_ids) == (not cancels, results[1] == "SUCCESS")


def test_filters_come_before_the_cancel(core):
    core.order(newClientOrderId="old")
    response = core.signed(
        "POST",
        "/api/v3/order/cancelReplace",
        **{**REPLACE, "price": "58000.001"},
        cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrigClientOrderId="old",
    )
    assert error(response) == (400, -1013, "Filter failure: PRICE_FILTER")
    assert len(core.world.engine.open) == 1


@pytest.mark.parametrize("wanted, status, open_ids", [("DO_NOTHING", 429, {"old"}), ("CANCEL_ONLY", 429, set())])
def test_cancel_replace_beyond_the_order_count(make_core, wanted, status, open_ids):
    core = make_core(limits={"orders": (1, 10)})
    core.order(newClientOrderId="old")
    response = core.signed(
        "POST",
        "/api/v3/order/cancelReplace",
        **REPLACE,
        cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrigClientOrderId="old",
        orderRateLimitExceededMode=wanted,
    )
    assert response.status == status
    assert {order.client_id for order in core.world.engine.open.values()} == open_ids


def test_all_orders_pages(core):
    numbers = [body(core.order())["orderId"] for _ in range(5)]
    path = "/api/v3/allOrders"
    rows = body(core.signed("GET", path, symbol="BTCUSDT", limit=2))
    assert [row["orderId"] for row in rows] == numbers[-2:]
    rows = body(core.signed("GET", path, symbol="BTCUSDT", limit=2, orderId=numbers[1]))
    assert [row["orderId"] for row in rows] == numbers[1:3]
    rows = body(core.signed("GET", path, symbol="BTCUSDT", startTime=core.now + 1))
    assert rows == []
    too_long = core.signed("GET", path, symbol="BTCUSDT", startTime=core.now - 86_400_001, endTime=core.now)
    assert error(too_long) == (400, -1127, "More than 24 hours between startTime and endTime.")


def test_balances(core):
    core.order(quantity="0.01")
    rows = {row["asset"]: row for row in body(core.signed("GET", "/api/v3/account"))["balances"]}
    assert rows["USDT"] == {"asset": "USDT", "free": "999410.00000000", "locked": "590.00000000"}
    assert (
        body(core.signed("GET", "/api/v3/account/commission", symbol="BTCUSDT"))["standardCommission"]["taker"]
        == "0.00100000"
    )
    assert body(core.signed("GET", "/sapi/v1/account/apiRestrictions"))["enableSpotAndMarginTrading"] is True


def test_market_data_shapes(core):
    assert body(core.get("/api/v3/ping")) == {}
    assert body(core.get("/api/v3/time")) == {"serverTime": core.now}
    book = body(core.get("/api/v3/depth", symbol="BTCUSDT", limit=2))
    assert book["bids"] == [["59994.00000000", "1.00000000"], ["59988.00000000", "1.00000000"]]
    assert body(core.get("/api/v3/ticker/price", symbol="BTCUSDT")) == {"symbol": "BTCUSDT", "price": "60000.00000000"}
    both = body(core.get("/api/v3/ticker/bookTicker"))
    assert [row["symbol"] for row in both] == ["BTCUSDT", "ETHUSDT"]
    day = body(core.get("/api/v3/ticker/24hr", symbol="BTCUSDT"))
    assert " ".join(day) == (
        "symbol priceChange priceChangePercent weightedAvgPrice prevClosePrice lastPrice lastQty bidPrice bidQty "
        "askPrice askQty openPrice highPrice lowPrice volume quoteVolume openTime closeTime firstId lastId count"
    )
    assert float(day["lowPrice"]) <= float(day["weightedAvgPrice"]) <= float(day["highPrice"])
    rolling = body(core.get("/api/v3/ticker", symbols='["BTCUSDT"]', windowSize="4h", type="MINI"))
    assert list(rolling[0])[:3] == ["symbol", "openPrice", "highPrice"]
    assert body(core.get("/api/v3/avgPrice", symbol="BTCUSDT"))["mins"] == 5
    rows = body(core.get("/api/v3/klines", symbol="BTCUSDT", interval="1d", limit=2))
    assert [len(row) for row in rows] == [12, 12]
    assert rows[0][6] + 1 == rows[1][0]
    assert error(core.get("/api/v3/klines", symbol="BTCUSDT", interval="7m")) == (400, -1120, "Invalid interval.")
    assert error(core.get("/api/v3/ticker/24hr", symbol="BTCUSDT", symbols='["ETHUSDT"]'))[1] == -1128
    assert error(core.get("/api/v3/exchangeInfo", symbols='["ETHUSDT","ETHUSDT"]'))[1] == -1151
    assert error(core.request("GET", "/api/v3/depth", "symbol=BTCUSDT&symbol=ETHUSDT"))[1] == -1101
    assert core.get("/api/v1/ping").status == 404


def test_trades_by_id(core):
    for _ in range(4):
        core.order(type="MARKET", price=None)
    trades = body(core.get("/api/v3/trades", symbol="BTCUSDT"))
    assert [trade["id"] for trade in trades] == list(range(trades[0]["id"], trades[0]["id"] + 4))
    page = body(core.get("/api/v3/historicalTrades", symbol="BTCUSDT", fromId=trades[1]["id"], limit=2))
    assert page == trades[1:3]
    aggregates = body(core.get("/api/v3/aggTrades", symbol="BTCUSDT"))
    assert [row["a"] for row in aggregates] == [1, 2, 3, 4]
    assert body(core.get("/api/v3/aggTrades", symbol="BTCUSDT", fromId=3)) == aggregates[2:]
    assert body(core.get("/api/v3/aggTrades", symbol="BTCUSDT", startTime=core.now + 1)) == []


def test_the_ledger_sees_every_request(core):
    core.get("/api/v3/ticker/24hr", symbol="BTCUSDT")
    core.get("/api/v3/ticker/24hr")
    core.order(price="1")
    arrivals = core.world.record.arrivals
    assert [one.operation for one in arrivals] == ["fetch_ticker", "fetch_tickers", "place_order"]
    assert [(one.status, one.code, one.weight, one.signed) for one in arrivals] == [
        (200, None, 2, False),
        (200, None, 80, False),
        (400, -1013, 1, True),
    ]
    assert arrivals[2].params["price"] == "1"


MICROSECONDS = {"x-mbx-time-unit": "MICROSECOND"}


def test_times_in_microseconds(core):
    def get(path, query):
        return body(core.request("GET", f"/api/v3/{path}", query, MICROSECONDS))

    assert get("time", "") == {"serverTime": core.now * 1000}
    begin = core.now // 60_000 * 60_000 - 60_000
    for start in (begin, begin * 1000):
        (row,) = get("klines", f"symbol=BTCUSDT&interval=1m&limit=1&startTime={start}")
        assert (row[0], row[6]) == (begin * 1000, (begin + 60_000) * 1000 - 1)
    assert error(core.request("GET", "/api/v3/time", "", {"x-mbx-time-unit": "Second"}))[:2] == (400, -1194)


def test_next_to_no_change_has_no_sign():
    bar = Bar(open=scaled("60000"), high=scaled("60000"), low=scaled("59999.99"), close=scaled("59999.99"))
    assert changes({"symbol": "BTCUSDT"}, bar)["priceChangePercent"] == "0.000"
