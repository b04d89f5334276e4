"""Each admission rule, at its edge and one step beyond, and the words in which Binance names it."""

import json

import pytest


def refusal(response):
    body = json.loads(response.body)
    return response.status, body.get("code"), body.get("msg")


@pytest.mark.parametrize(
    "change, name",
    [
        ({"price": "59000.001"}, "PRICE_FILTER"),
        ({"price": "0.001"}, "PRICE_FILTER"),
        ({"price": "1000000.01"}, "PRICE_FILTER"),
        ({"quantity": "0.000001"}, "LOT_SIZE"),
        ({"quantity": "0.000015"}, "LOT_SIZE"),
        ({"quantity": "9000.00001"}, "LOT_SIZE"),
        ({"type": "MARKET", "price": None, "quantity": "1000.00001"}, "MARKET_LOT_SIZE"),
        ({"price": "11999.99"}, "PERCENT_PRICE_BY_SIDE"),
        ({"price": "300000.01", "side": "SELL"}, "PERCENT_PRICE_BY_SIDE"),
        ({"quantity": "0.00008"}, "NOTIONAL"),
        ({"quantity": "200", "price": "59000"}, "NOTIONAL"),
        ({"type": "MARKET", "price": None, "quantity": "0.00008"}, "NOTIONAL"),
        ({"type": "MARKET", "price": None, "quantity": None, "quoteOrderQty": "4.99"}, "NOTIONAL"),
        ({"type": "STOP_LOSS", "price": None, "stopPrice": "61000.001"}, "PRICE_FILTER"),
    ],
)
def test_filter_failures(core, change, name):
    assert refusal(core.order(**change)) == (400, -1013, f"Filter failure: {name}")


@pytest.mark.parametrize(
    "change",
    [
        {"price": "12000"},
        {"quantity": "0.00009"},
        {"type": "MARKET", "price": None, "quantity": "0.00009"},
        {"type": "MARKET", "price": None, "quantity": None, "quoteOrderQty": "6"},
    ],
)
def test_just_within(core, change):
    assert core.order(**change).status == 200


def test_too_many_orders_of_a_symbol(make_core):
    core = make_core(limits={"orders": (1000, 10)})
    for _ in range(200):
        assert core.order(quantity="0.0001").status == 200
    assert refusal(core.order(quantity="0.0001")) == (400, -1013, "Filter failure: MAX_NUM_ORDERS")


def test_too_many_conditional_orders(core):
    stop = {"type": "STOP_LOSS", "price": None, "stopPrice": "61000"}
    for _ in range(5):
        assert core.order(**stop).status == 200
    assert refusal(core.order(**stop)) == (400, -1013, "Filter failure: MAX_NUM_ALGO_ORDERS")


def test_the_announced_filters_are_the_enforced_ones(core):
    row = json.loads(core.get("/api/v3/exchangeInfo", symbol="ETHUSDT").body)["symbols"][0]
    filters = {item["filterType"]: item for item in row["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert (filters["LOT_SIZE"]["stepSize"], filters["LOT_SIZE"]["minQty"]) == ("0.00010000", "0.00010000")
    assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
    assert filters["PERCENT_PRICE_BY_SIDE"]["askMultiplierUp"] == "5"
    assert filters["PERCENT_PRICE_BY_SIDE"]["bidMultiplierDown"] == "0.2"
