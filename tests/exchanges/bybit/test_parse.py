from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exconnect.errors import InsufficientFunds, MalformedMessage, WouldCross
from exconnect.exchanges.bybit import parse, wire
from exconnect.model.enums import (
    InstrumentStatus,
    MarketType,
    OrderStatus,
    OrderType,
    SelfTradePrevention,
    Side,
    Source,
    TimeInForce,
)
from exconnect.model.values import plain

D = Decimal
NOW = datetime(2026, 1, 1, tzinfo=UTC)

ROW = {
    "orderId": "1368933863545500672",
    "orderLinkId": "x1",
    "symbol": "BTCUSDT",
    "side": "Buy",
    "orderType": "Limit",
    "timeInForce": "GTC",
    "price": "10000.00",
    "qty": "0.010000",
    "orderStatus": "New",
    "cancelType": "UNKNOWN",
    "rejectReason": "EC_NoError",
    "avgPrice": "",
    "cumExecQty": "0.000000",
    "cumExecValue": "0.00000000",
    "triggerPrice": "0.00",
    "stopOrderType": "",
    "marketUnit": "",
    "createdTime": "1677925633316",
    "updatedTime": "1677925633323",
}


def order(**changes):
    return parse.order(ROW | changes, "BTC/USDT")


# ---- numbers and times ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "{", "NaN", '{"a":Infinity}', "[" * 100_000, b"\xff", "1e999999"])
def test_what_is_no_json_for_us(text):
    with pytest.raises(MalformedMessage):
        wire.loads(text)


def test_fractions_are_decimals():
    assert wire.loads('{"a":0.1,"b":98765432109876543210}') == {"a": D("0.1"), "b": 98765432109876543210}


@pytest.mark.parametrize("value, expected", [("1.50", D("1.50")), (7, D(7)), (D("0.5"), D("0.5")), ("-0.1", D("-0.1"))])
def test_amounts(value, expected):
    assert parse.amount(value) == parse.optional(value) == expected


@pytest.mark.parametrize("value", ["", "1e5", "nan", "1_0", " 1", "\uff11", True, None, [], "1" * 21])
def test_what_is_no_amount(value):
    with pytest.raises(MalformedMessage):
        parse.amount(value)


@pytest.mark.parametrize("value", ["", None])
def test_no_number_is_none(value):
    assert parse.optional(value) is None
    assert parse.nonzero(value) is None
    assert parse.nonzero("0.00") is None


@given(st.decimals(min_value=0, max_value=10**15, allow_nan=False, allow_infinity=False, places=12))
def test_any_plain_number_survives(number):
    assert parse.amount(plain(number)) == number


@given(st.text() | st.integers() | st.floats() | st.none() | st.booleans())
def test_anything_else_is_a_number_or_malformed(value):
    with suppress(MalformedMessage):
        assert isinstance(parse.amount(value), D)


@pytest.mark.parametrize(
    "value, expected", [("1677925633316", 1677925633316), (5, 5), ("", None), (None, None), ("0", None)]
)
def test_times(value, expected):
    assert parse.ms(value) == expected


@pytest.mark.parametrize("value", ["yesterday", "-1", "1.5", D(1), "9" * 18, [], "\uff11"])
def test_what_is_no_time(value):
    with pytest.raises(MalformedMessage):
        parse.ms(value)


# ---- instruments ----------------------------------------------------------------------------------------------------


def test_an_instrument(btc, listed):
    assert (btc.symbol, btc.exchange_symbol, btc.market) == ("BTC/USDT", "BTCUSDT", MarketType.SPOT)
    assert btc.status is InstrumentStatus.TRADING
    assert (btc.tick_size, btc.lot_size, btc.min_quantity) == (D("0.1"), D("0.000001"), D("0.000001"))
    assert (btc.max_quantity, btc.market_max_quantity) == (D(83), D("41.5"))
    assert (btc.min_notional, btc.max_notional, btc.max_open_orders) == (D(5), None, 500)
    assert btc.order_types == frozenset(OrderType) - {OrderType.UNKNOWN}
    rules = btc.rules
    assert (rules.bid_band, rules.ask_band) == ((None, D("1.01")), (D("0.99"), None))
    assert (rules.market_min_notional, rules.max_conditional_orders) == (D(5), 30)
    assert SelfTradePrevention.DECREMENT not in rules.self_trade_preventions
    assert (rules.quote_quantity, rules.iceberg, rules.trailing, rules.amend) == (True, False, False, True)
    assert btc.raw == listed


def test_an_instrument_of_old_days(listed):
    del listed["riskParameters"], listed["priceFilter"]
    listed["lotSizeFilter"] = {"maxOrderQty": "7"}
    bare = parse.instrument(listed | {"status": "1"})
    assert (bare.tick_size, bare.lot_size, bare.max_quantity, bare.min_notional) == (0, 0, D(7), None)
    assert bare.rules.bid_band == (None, None)
    assert bare.status is InstrumentStatus.TRADING


@pytest.mark.parametrize(
    "word, status",
    [("PreLaunch", "halted"), ("Delivering", "halted"), ("Closed", "halted"), ("Sleeping", "unknown")],
)
def test_instrument_status(listed, word, status):
    assert parse.instrument(listed | {"status": word}).status.value == status


# ---- market data ----------------------------------------------------------------------------------------------------


def test_a_candle_with_exponents_is_closed_when_the_next_begins():
    row = ["1700000040000", "1.0", "3.0", "0.5", "2.0", "1E-7", "1.5e3"]
    candle = parse.candle(row, "BTC/USDT", "1m", datetime.fromtimestamp(1700000099.999, UTC))
    assert not candle.is_closed
    assert (candle.volume, candle.quote_volume) == (D("1E-7"), D(1500))
    assert parse.candle(row, "BTC/USDT", "1m", datetime.fromtimestamp(1700000100, UTC)).is_closed
    assert parse.candle(row[:6], "BTC/USDT", "1m", NOW).quote_volume is None
    numbers = parse.candle([1700000040000, D("1.5"), 3, 1, 2, 0, ""], "BTC/USDT", "1m", NOW)
    assert (numbers.open, numbers.quote_volume) == (D("1.5"), None)


def test_a_ticker_without_prices():
    ticker = parse.ticker({"symbol": "XEUR", "bid1Price": "", "ask1Price": "", "lastPrice": "4"}, "X/EUR", 5)
    assert (ticker.bid, ticker.ask, ticker.last, ticker.volume, ticker.mid) == (None, None, D(4), None, None)
    assert ticker.time == datetime(1970, 1, 1, 0, 0, 0, 5000, UTC)


def test_a_book_and_its_update():
    raw = {"s": "BTCUSDT", "b": [["1.5", "2"]], "a": [["1.6", "0.1"]], "u": 7, "seq": 9, "ts": 1700000000000}
    book = parse.book(raw, "BTC/USDT")
    assert (book.best_bid, book.best_ask, book.sequence) == ((D("1.5"), D(2)), (D("1.6"), D("0.1")), 7)
    update = parse.snapshot(raw, "BTC/USDT")
    assert (update.is_snapshot, update.last_id, update.bids) == (True, 7, [("1.5", "2")])
    for broken in ([["x", "1"]], [["1"]], [[1, 2]]):
        with pytest.raises(MalformedMessage):
            parse.book(raw | {"b": broken}, "BTC/USDT")


def test_a_side_that_we_do_not_know():
    row = {"execId": "1", "price": "1", "size": "2", "side": "Both", "time": "1"}
    assert parse.trade(row, "BTC/USDT").side is Side.UNKNOWN


# ---- account --------------------------------------------------------------------------------------------------------


def test_balances():
    coins = [
        {"coin": "BTC", "walletBalance": "2", "locked": "0.5", "spotBorrow": "0.25", "bonus": "0.25"},
        {"coin": "ETH", "walletBalance": "0", "locked": "0"},
        {"coin": "USDT", "walletBalance": "1", "locked": "", "spotBorrow": "5"},
        {"coin": "XYZ", "walletBalance": "", "locked": None},
    ]
    balances = parse.balances({"list": [{"accountType": "UNIFIED", "coin": coins}]})
    assert {name: (each.free, each.locked) for name, each in balances.items()} == {
        "BTC": (D(1), D("0.5")),
        "USDT": (D(0), D(0)),
    }
    assert balances["ETH"].total == 0


def test_fees(btc):
    rows = [{"symbol": name, "takerFeeRate": "0.0018", "makerFeeRate": "-0.0001"} for name in ("ETHUSDT", "BTCUSDT")]
    fees = parse.fees({"list": rows}, btc)
    assert (fees.maker, fees.taker, fees.symbol) == (D("-0.0001"), D("0.0018"), "BTC/USDT")
    with pytest.raises(MalformedMessage):
        parse.fees({"list": rows[:1]}, btc)


@pytest.mark.parametrize(
    "read_only, spot, wallet, can_trade, can_withdraw",
    [(0, ["SpotTrade"], [], True, False), (1, ["SpotTrade"], ["Withdraw"], False, True), (0, [], [], False, False)],
)
def test_permissions(read_only, spot, wallet, can_trade, can_withdraw):
    words = {"Spot": spot, "Wallet": wallet, "Earn": [], "New": {"may": 1}, "Newer": None}
    found = parse.permissions({"readOnly": read_only, "permissions": words})
    assert (found.can_trade, found.can_withdraw) == (can_trade, can_withdraw)
    assert "Earn" not in found.details


# ---- orders ---------------------------------------------------------------------------------------------------------


def test_an_ack_says_two_ids():
    ack = parse.acknowledged({"orderId": "7", "orderLinkId": "x1"}, "BTC/USDT", 1700000000000)
    assert (ack.order_id, ack.client_order_id, ack.status) == ("7", "x1", OrderStatus.ACCEPTED)
    assert (ack.quantity, ack.price, ack.side, ack.type) == (None, None, Side.UNKNOWN, OrderType.UNKNOWN)
    assert ack.updated_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    batched = parse.acknowledged({"orderId": "7", "createAt": "1700000001000"}, "BTC/USDT", None)
    assert batched.updated_at == datetime(2023, 11, 14, 22, 13, 21, tzinfo=UTC)


def test_an_order():
    found = order()
    assert (found.order_id, found.client_order_id, found.symbol) == ("1368933863545500672", "x1", "BTC/USDT")
    assert (found.side, found.type, found.status, found.status_text) == (
        Side.BUY,
        OrderType.LIMIT,
        OrderStatus.NEW,
        "New",
    )
    assert (found.quantity, found.price, found.stop_price) == (D("0.010000"), D(10000), None)
    assert (found.time_in_force, found.post_only, found.average_price) == (TimeInForce.GTC, False, None)
    assert (found.fills_complete, found.rejection, found.source) == (True, None, Source.REST)
    assert found.created_at < found.updated_at


def test_an_order_with_hardly_anything():
    found = parse.order({"orderId": "1", "orderStatus": "Dreaming"}, "BTC/USDT")
    assert (found.status, found.type, found.side) == (OrderStatus.NEW, OrderType.UNKNOWN, Side.UNKNOWN)
    assert (found.quantity, found.created_at, found.time_in_force) == (None, None, None)
    with pytest.raises(MalformedMessage):
        parse.order({"orderId": "1"}, "BTC/USDT")


@pytest.mark.parametrize(
    "word, changes, status",
    [
        ("Created", {}, "accepted"),
        ("New", {}, "new"),
        ("Active", {}, "new"),
        ("Untriggered", {}, "untriggered"),
        ("Triggered", {}, "untriggered"),
        ("PartiallyFilled", {"cumExecQty": "1"}, "partially_filled"),
        ("Filled", {"cumExecQty": "1"}, "filled"),
        ("Cancelled", {}, "canceled"),
        ("Cancelled", {"rejectReason": "EC_PerCancelRequest"}, "canceled"),
        ("PartiallyFilledCanceled", {"cumExecQty": "1"}, "canceled"),
        ("Deactivated", {}, "canceled"),
        ("Rejected", {}, "rejected"),
        ("Rejected", {"cumExecQty": "1"}, "canceled"),
        ("Rejected", {"rejectReason": "EC_PostOnlyWillTakeLiquidity"}, "rejected"),
        ("Cancelled", {"rejectReason": "EC_PostOnlyWillTakeLiquidity"}, "rejected"),
        ("Cancelled", {"rejectReason": "EC_PostOnlyWillTakeLiquidity", "cumExecQty": "1"}, "canceled"),
        ("Cancelled", {"cancelType": "CancelByCannotAffordOrderCost"}, "rejected"),
        ("Cancelled", {"rejectReason": "EC_NoImmediateQtyToFill"}, "expired"),
        ("Rejected", {"rejectReason": "EC_NoImmediateQtyToFill"}, "expired"),
        ("PartiallyFilledCanceled", {"rejectReason": "EC_NoImmediateQtyToFill", "cumExecQty": "1"}, "expired"),
        ("Cancelled", {"rejectReason": "EC_NoEnoughQtyToFill"}, "expired"),
        ("Cancelled", {"cancelType": "CancelBySmp"}, "expired"),
        ("Levitating", {}, "new"),
        ("Levitating", {"cumExecQty": "1"}, "partially_filled"),
    ],
)
def test_one_word_for_one_fate(word, changes, status):
    found = order(orderStatus=word, **changes)
    assert (found.status.value, found.status_text) == (status, word)
    assert (found.rejection is not None) == (status == "rejected")


def test_a_rejection_is_what_another_exchange_raises():
    crossed = order(orderStatus="Rejected", rejectReason="EC_PostOnlyWillTakeLiquidity", timeInForce="PostOnly")
    assert isinstance(crossed.rejection, WouldCross)
    assert (crossed.post_only, crossed.time_in_force) == (True, TimeInForce.GTC)
    poor = order(orderStatus="Cancelled", cancelType="CancelByCannotAffordOrderCost")
    with pytest.raises(InsufficientFunds):
        poor.raise_for_status()


@pytest.mark.parametrize(
    "kind, unit, side, is_quote",
    [
        ("Market", "quoteCoin", "Buy", True),
        ("Market", "baseCoin", "Buy", False),
        ("Market", "", "Buy", True),
        ("Market", None, "Sell", False),
        ("Limit", "", "Buy", False),
    ],
)
def test_what_a_quantity_counts(kind, unit, side, is_quote):
    found = order(orderType=kind, marketUnit=unit, side=side)
    assert (found.quote_quantity is not None, found.quantity is None) == (is_quote, is_quote)
    assert (found.price is None) == (kind == "Market")  # that of a market order only protects it
    assert (found.time_in_force is None) == (kind == "Market")


@pytest.mark.parametrize(
    "changes, kind",
    [
        ({"side": "Sell", "triggerPrice": "9", "basePrice": "10"}, "stop_loss_limit"),
        ({"side": "Sell", "triggerPrice": "11", "basePrice": "10"}, "take_profit_limit"),
        ({"side": "Buy", "triggerPrice": "9", "lastPriceOnCreated": "10"}, "take_profit_limit"),
        ({"side": "Buy", "triggerPrice": "11", "basePrice": "10", "orderType": "Market"}, "stop_loss"),
        ({"side": "Sell", "triggerPrice": "11", "triggerDirection": 1, "orderType": "Market"}, "take_profit"),
        ({"side": "Sell", "triggerPrice": "11", "triggerDirection": 2}, "stop_loss_limit"),
        ({"side": "Buy", "triggerPrice": "11", "triggerDirection": 2}, "take_profit_limit"),
        ({"triggerPrice": "11", "stopOrderType": "TakeProfit"}, "take_profit_limit"),
        ({"triggerPrice": "11", "triggerDirection": 0}, "stop_loss_limit"),  # nothing tells
        ({"orderType": "UNKNOWN"}, "unknown"),
    ],
)
def test_what_a_trigger_is_for(changes, kind):
    assert order(**changes).type.value == kind


@pytest.mark.parametrize(
    "text, expected, post_only",
    [
        ("IOC", "ioc", False),
        ("FOK", "fok", False),
        ("RPI", "gtc", True),
        ("Later", "unknown", False),
        ("", None, False),
    ],
)
def test_time_in_force(text, expected, post_only):
    found = order(timeInForce=text)
    assert (found.time_in_force, found.post_only) == (expected, post_only)


def test_a_fill():
    row = {
        "symbol": "ETHUSDT",
        "orderId": "164",
        "orderLinkId": "x1",
        "side": "Buy",
        "execId": "211",
        "execPrice": "2453.65",
        "execQty": "0.001",
        "execFee": "0.000001",
        "feeCurrency": "ETH",
        "isMaker": False,
        "execTime": "1710762303659",
    }
    fill = parse.fill(row, "ETH/USDT")
    assert (fill.id, fill.order_id, fill.client_order_id) == ("211", "164", "x1")
    assert (fill.price, fill.quantity, fill.fee, fill.fee_asset, fill.is_maker) == (
        D("2453.65"),
        D("0.001"),
        D("0.000001"),
        "ETH",
        False,
    )
    bare = parse.fill({**row, "feeCurrency": "", "execFee": "", "orderLinkId": ""}, "ETH/USDT")
    assert (bare.fee, bare.fee_asset, bare.client_order_id) == (None, None, None)


@pytest.mark.parametrize(
    "side, fee, is_maker, asset",
    [
        ("Buy", "0.1", False, "ETH"),
        ("Sell", "0.1", True, "USDT"),
        ("Buy", "-0.1", True, "USDT"),  # what a maker is given
        ("Sell", "-0.1", True, "ETH"),
        ("Buy", "-0.1", False, "ETH"),
    ],
)
def test_what_a_fee_is_taken_in_where_nothing_is_said(side, fee, is_maker, asset):
    row = {"symbol": "ETHUSDT", "orderId": "1", "side": side, "execId": "2", "execPrice": "3", "execQty": "4"}
    row |= {"execFee": fee, "isMaker": is_maker, "execTime": "5"}
    assert parse.fill(row, "ETH/USDT").fee_asset == asset
    assert parse.fill(row, "ETHUSDT").fee_asset is None  # whose parts are not known
    assert parse.fill({**row, "feeCurrency": "MNT"}, "ETH/USDT").fee_asset == "MNT"


def test_what_a_cancel_all_names():
    rows = [{"orderId": "1", "orderLinkId": "a"}, {"orderId": ""}, "x"]
    assert [each.client_order_id for each in parse.canceled({"list": rows}, "BTC/USDT")] == ["a"]
    assert parse.canceled({"success": "1"}, "BTC/USDT") == []
    assert parse.canceled(None, "BTC/USDT") == []


def test_a_broken_message_shows_only_its_beginning():
    with pytest.raises(MalformedMessage) as caught:
        wire.loads(b"<html>" + b"x" * 10_000)
    assert caught.value.text.startswith("<html>")
    assert len(caught.value.message) < 200


def test_one_symbol_that_makes_no_sense_does_not_cost_the_others(listed, caplog):
    def read(*rows):
        return [
            each.symbol for each in parse.listing({"category": "spot", "list": list(rows)}, frozenset()).instruments
        ]

    odd = listed | {"priceFilter": "odd"}
    assert read(odd, listed) == ["BTC/USDT"]
    assert "1 of 2 rows make no sense" in caplog.text
    with pytest.raises(MalformedMessage):
        read(odd)
    assert read() == []
