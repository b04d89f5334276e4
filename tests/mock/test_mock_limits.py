"""Weights, order counts, 429, and the ban of those who go on."""

import json

import pytest


def test_weights_are_counted_and_reset_with_the_minute(core):
    first = core.get("/api/v3/depth", symbol="BTCUSDT", limit=5000)
    assert first.headers["X-MBX-USED-WEIGHT-1M"] == "250"
    assert core.get("/api/v3/time").headers["X-MBX-USED-WEIGHT-1M"] == "251"
    core.now = (core.now // 60_000 + 1) * 60_000
    assert core.get("/api/v3/time").headers["X-MBX-USED-WEIGHT-1M"] == "1"


@pytest.mark.parametrize(
    "path, params, weight",
    [
        ("/api/v3/depth", {"symbol": "BTCUSDT"}, 5),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": 101}, 25),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": 1000}, 50),
        ("/api/v3/exchangeInfo", {}, 20),
        ("/api/v3/trades", {"symbol": "BTCUSDT"}, 25),
        ("/api/v3/aggTrades", {"symbol": "BTCUSDT"}, 4),
        ("/api/v3/klines", {"symbol": "BTCUSDT", "interval": "1m"}, 2),
        ("/api/v3/ticker/24hr", {"symbol": "BTCUSDT"}, 2),
        ("/api/v3/ticker/24hr", {}, 80),
        ("/api/v3/ticker/price", {}, 4),
        ("/api/v3/ticker/bookTicker", {"symbol": "BTCUSDT"}, 2),
        ("/api/v3/ticker", {"symbols": '["BTCUSDT","ETHUSDT"]'}, 8),
    ],
)
def test_documented_weights(core, path, params, weight):
    response = core.get(path, **params)
    assert (response.status, response.headers["X-MBX-USED-WEIGHT"]) == (200, str(weight))


@pytest.mark.parametrize(
    "path, params, weight",
    [
        ("/api/v3/account", {}, 20),
        ("/api/v3/openOrders", {}, 80),
        ("/api/v3/openOrders", {"symbol": "BTCUSDT"}, 6),
        ("/api/v3/allOrders", {"symbol": "BTCUSDT"}, 20),
        ("/api/v3/myTrades", {"symbol": "BTCUSDT"}, 20),
        ("/api/v3/myTrades", {"symbol": "BTCUSDT", "orderId": 1}, 5),
        ("/api/v3/rateLimit/order", {}, 40),
    ],
)
def test_documented_weights_of_signed_calls(core, path, params, weight):
    assert core.signed("GET", path, **params).headers["X-MBX-USED-WEIGHT"] == str(weight)


def test_success_of_an_order_is_free_and_failure_is_not(core):
    placed = core.order()
    assert placed.headers["X-MBX-USED-WEIGHT"] == "0"
    assert core.order(price="59000.001").headers["X-MBX-USED-WEIGHT"] == "1"
    order_id = json.loads(placed.body)["orderId"]
    assert (
        core.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=order_id).headers["X-MBX-USED-WEIGHT"] == "1"
    )
    assert (
        core.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=order_id).headers["X-MBX-USED-WEIGHT"] == "2"
    )


def test_429_then_418(make_core):
    core = make_core(limits={"request_weight": (10, 60)})
    core.now = core.now // 60_000 * 60_000 + 20_000
    for _ in range(10):
        assert core.get("/api/v3/time").status == 200
    refused = core.get("/api/v3/time")
    assert (refused.status, refused.headers["Retry-After"]) == (429, "40")
    assert json.loads(refused.body)["msg"].startswith(
        "Too much request weight used; current limit is 10 request weight"
    )
    core.now += 249  # such requests were on their way
    assert core.get("/api/v3/time").status == 429
    assert len(core.world.record.violations) == 1
    core.now += 1
    assert [core.get("/api/v3/time").status for _ in range(3)] == [429, 429, 418]
    banned = core.get("/api/v3/ping")
    assert (banned.status, banned.headers["Retry-After"]) == (418, "120")
    assert f"IP banned until {core.now + 120_000}" in json.loads(banned.body)["msg"]
    assert len(core.world.record.violations) == 5
    core.now += 120_000
    assert core.get("/api/v3/time").status == 200


def test_a_refusal_that_is_heeded_is_over_with_the_minute(make_core):
    core = make_core(limits={"request_weight": (10, 60)})
    assert core.get("/api/v3/exchangeInfo").status == 429
    core.now += 60_000
    assert core.get("/api/v3/time").status == 200
    assert core.world.record.violations == ["over a limit: 10 per 60 s"]


def test_unfilled_orders_are_counted(make_core):
    core = make_core(limits={"orders": (3, 10)})
    core.now = core.now // 10_000 * 10_000 + 4_000
    counts = [core.order().headers["X-MBX-ORDER-COUNT-10S"] for _ in range(3)]
    assert counts == ["1", "2", "3"]
    refused = core.order()
    assert (refused.status, refused.headers["Retry-After"]) == (429, "6")
    assert json.loads(refused.body) == {
        "code": -1015,
        "msg": "Too many new orders; current limit is 3 orders per 10 SECOND.",
    }
    core.now += 6_000
    assert core.order().headers["X-MBX-ORDER-COUNT-10S"] == "1"
    assert core.world.record.violations == ["over a limit: 3 orders per 10 s"]
    rows = json.loads(core.signed("GET", "/api/v3/rateLimit/order").body)
    assert [(row["interval"], row["limit"], row["count"]) for row in rows] == [("SECOND", 3, 1), ("DAY", 200_000, 4)]


def test_orders_that_do_not_wait_are_a_breach(make_core):
    core = make_core(limits={"orders": (1, 10)})
    core.now = core.now // 10_000 * 10_000
    statuses = [core.order().status for _ in range(3)]
    core.now += 250
    assert [*statuses, core.order().status] == [200, 429, 429, 429]
    assert core.world.record.violations == ["over a limit: 1 orders per 10 s", "an order before Retry-After had passed"]


def test_a_first_fill_gives_back(core):
    for _ in range(6):
        core.order()
    taken = core.order(type="MARKET", price=None)
    assert taken.headers["X-MBX-ORDER-COUNT-10S"] == "6"
    core.world.engine.execute("BTC/USDT", "sell", 200 * 10**8, 0, core.now)
    core.world.settle()
    assert core.exchange.rest.order_count.windows[0].used(core.now) == 0


def test_limits_are_announced(make_core):
    core = make_core(limits={"orders": (7, 60), "request_weight": (99, 10)})
    rows = json.loads(core.get("/api/v3/exchangeInfo").body)["rateLimits"]
    assert {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 7} in rows
    assert {"rateLimitType": "REQUEST_WEIGHT", "interval": "SECOND", "intervalNum": 10, "limit": 99} in rows


def test_an_unknown_limit_is_refused(make_core):
    with pytest.raises(ValueError, match="one of orders, request_weight"):
        make_core(limits={"ip": (1, 1)})
