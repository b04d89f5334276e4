from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from exconnect.errors import MalformedMessage, OrderRejected
from exconnect.exchanges.binance import parse, wire
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

D = Decimal

PLACED = {
    "symbol": "BTCUSDT",
    "orderId": 28,
    "orderListId": -1,
    "clientOrderId": "x1",
    "transactTime": 1700000000000,
    "price": "25000.00",
    "origQty": "0.03000000",
    "executedQty": "0.03000000",
    "origQuoteOrderQty": "0.000000",
    "cummulativeQuoteQty": "750.03000000",
    "status": "FILLED",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
    "workingTime": 1700000000000,
    "selfTradePreventionMode": "NONE",
    "fills": [
        {"price": "25000.00", "qty": "0.01000000", "commission": "0.00001", "commissionAsset": "BTC", "tradeId": 0},
        {"price": "25001.50", "qty": "0.02000000", "commission": "0.00002", "commissionAsset": "BTC", "tradeId": 57},
    ],
}


def placed(**changes):
    return parse.order(PLACED | {"fills": [], "executedQty": "0", "cummulativeQuoteQty": "0"} | changes, "BTC/USDT")


# ---- json -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["", "{", "nul", "NaN", "[1,]", "\ud800", "1e999999", "0." + "1" * 30, "[" * 100_000, b"\xff", '{"a":Infinity}'],
)
def test_what_is_no_json_for_us(text):
    with pytest.raises(MalformedMessage):
        wire.loads(text)


def test_fractions_are_decimals_and_integers_stay_exact():
    raw = wire.loads('{"a":0.1,"b":98765432109876543210,"c":1e5}')
    assert raw == {"a": D("0.1"), "b": 98765432109876543210, "c": D("1E+5")}
    assert type(raw["a"]) is D


def test_a_broken_message_shows_only_its_beginning():
    with pytest.raises(MalformedMessage) as caught:
        wire.loads(b"<html>" + b"x" * 10_000)
    assert caught.value.text.startswith("<html>")
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("value, expected", [("1.50", D("1.50")), (7, D(7)), (D("0.5"), D("0.5")), (D("1E+2"), D(100))])
def test_amounts(value, expected):
    assert parse.amount(value) == expected


@pytest.mark.parametrize("value", ["", "1e5", "nan", "1_0", " 1", "\uff11", True, None, [], {}, 0.1j, "1" * 21])
def test_what_is_no_amount(value):
    with pytest.raises(MalformedMessage):
        parse.amount(value)


# ---- instruments ----------------------------------------------------------------------------------------------------


def test_every_filter_is_in_the_instrument(btc, listed):
    assert (btc.symbol, btc.exchange_symbol, btc.market) == ("BTC/USDT", "BTCUSDT", MarketType.SPOT)
    assert (btc.base, btc.quote, btc.settle) == ("BTC", "USDT", None)
    assert btc.status is InstrumentStatus.TRADING
    assert (btc.tick_size, btc.min_price, btc.max_price) == (D("0.01"), D("0.01"), D(1000000))
    assert (btc.lot_size, btc.min_quantity, btc.max_quantity) == (D("0.00001"), D("0.00001"), D(9000))
    assert btc.market_max_quantity == D("84.34730012")
    assert (btc.min_notional, btc.max_notional, btc.max_open_orders) == (D(5), D(9000000), 200)
    assert btc.order_types == frozenset(OrderType) - {OrderType.UNKNOWN}
    rules = btc.rules
    assert (rules.market_lot_size, rules.market_min_quantity) == (None, None)
    assert (rules.market_min_notional, rules.market_max_notional) == (D(5), None)
    assert (rules.bid_band, rules.ask_band) == ((D("0.2"), D(5)), (D("0.3"), D(6)))
    assert (rules.iceberg_parts, rules.max_conditional_orders, rules.max_iceberg_orders) == (100, 5, 4)
    assert (rules.trailing_above_bps, rules.trailing_below_bps) == ((10, 2000), (20, 1000))
    assert (rules.max_amends, rules.max_position) == (10, D(10))
    assert rules.self_trade_preventions == frozenset(SelfTradePrevention) - {SelfTradePrevention.UNKNOWN}
    assert (rules.quote_quantity, rules.iceberg, rules.trailing, rules.amend) == (True, True, True, True)
    assert btc.raw == listed


def test_an_instrument_without_filters(listed):
    del listed["filters"], listed["allowedSelfTradePreventionModes"], listed["amendAllowed"]
    bare = parse.instrument(listed)
    assert (bare.tick_size, bare.lot_size, bare.min_quantity) == (0, 0, 0)
    assert (bare.max_quantity, bare.min_notional, bare.max_open_orders) == (None, None, None)
    assert bare.rules.self_trade_preventions is None
    assert not bare.rules.amend
    assert (bare.rules.bid_band, bare.rules.trailing_above_bps) == ((None, None), None)


def only(listed, *filters):
    return parse.instrument(listed | {"filters": list(filters)})


def test_the_old_notional_filter(listed):
    old = {"filterType": "MIN_NOTIONAL", "minNotional": "10.0", "applyToMarket": False, "avgPriceMins": 5}
    assert only(listed, old).min_notional == D(10)
    assert only(listed, old).rules.market_min_notional is None
    assert only(listed, old | {"applyToMarket": True}).rules.market_min_notional == D(10)
    new = {"filterType": "NOTIONAL", "minNotional": "5.0", "maxNotional": "9", "applyMaxToMarket": True}
    both = only(listed, old, new)
    assert (both.min_notional, both.max_notional) == (D(10), D(9))
    assert (both.rules.market_min_notional, both.rules.market_max_notional) == (D(5), D(9))


def test_the_band_of_both_sides(listed):
    one = {"filterType": "PERCENT_PRICE", "multiplierUp": "1.3", "multiplierDown": "0.7", "avgPriceMins": 5}
    assert only(listed, one).rules.bid_band == only(listed, one).rules.ask_band == (D("0.7"), D("1.3"))


def test_zeros_are_no_rule(listed):
    zeros = {"filterType": "PRICE_FILTER", "minPrice": "0.00", "maxPrice": "0.00", "tickSize": "0.00"}
    free = only(listed, zeros)
    assert (free.min_price, free.max_price, free.tick_size) == (None, None, 0)


@pytest.mark.parametrize(
    "status, spot, expected",
    [
        ("TRADING", True, InstrumentStatus.TRADING),
        ("TRADING", False, InstrumentStatus.HALTED),
        ("HALT", True, InstrumentStatus.HALTED),
        ("BREAK", True, InstrumentStatus.HALTED),
        ("END_OF_DAY", True, InstrumentStatus.HALTED),
        ("CANCEL_ONLY", True, InstrumentStatus.CANCEL_ONLY),
        ("CANCEL_ONLY", False, InstrumentStatus.CANCEL_ONLY),
        ("AUCTION_MATCH", True, InstrumentStatus.UNKNOWN),
    ],
)
def test_instrument_status(listed, status, spot, expected):
    assert parse.instrument(listed | {"status": status, "isSpotTradingAllowed": spot}).status is expected


def test_order_types_without_a_word_of_ours_are_left_out(listed):
    assert parse.instrument(listed | {"orderTypes": ["LIMIT_MAKER", "PEGGED"]}).order_types == {OrderType.LIMIT}


def test_the_limits_that_come_with_the_listing(listed):
    rows = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200000},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000},
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "FORTNIGHT", "intervalNum": 1, "limit": 1},
        {"rateLimitType": "CONNECTIONS", "interval": "MINUTE", "intervalNum": 5, "limit": 300},
    ]
    listing = parse.listing({"rateLimits": rows, "symbols": [listed]})
    assert [(pool.name, pool.scope, pool.limit) for pool in listing.pools] == [
        ("request_weight_60s", "ip", 6000),
        ("orders_10s", "account", 100),
        ("orders_86400s", "account", 200000),
        ("raw_requests_300s", "ip", 61000),
    ]
    assert [each.symbol for each in listing.instruments] == ["BTC/USDT"]


# ---- market data ----------------------------------------------------------------------------------------------------


def test_the_taker_of_a_trade():
    row = {"id": 0, "price": "1.5", "qty": "2", "quoteQty": "3", "time": 1499865549590, "isBuyerMaker": True}
    trade = parse.trade(row, "BNB/BTC")
    assert (trade.id, trade.side, trade.notional) == ("0", Side.SELL, D("3.0"))
    assert trade.time == datetime(2017, 7, 12, 13, 19, 9, 590000, tzinfo=UTC)
    assert parse.trade(row | {"isBuyerMaker": False}, "BNB/BTC").side is Side.BUY
    assert trade.raw == row


KLINE = [
    1700000000000, "1.0", "3.0", "0.5", "2.0", "100.0", 1700000059999, "150.0", 42, "60.0", "90.0", "0",
]  # fmt: skip


@pytest.mark.parametrize("at, is_closed", [(1700000059999, False), (1700000060000, True)])
def test_a_candle_is_closed_once_its_last_millisecond_is_over(at, is_closed):
    candle = parse.candle(KLINE, "BTC/USDT", "1m", at)
    assert candle.is_closed is is_closed
    assert (candle.open, candle.high, candle.low, candle.close) == (D(1), D(3), D("0.5"), D(2))
    assert (candle.volume, candle.quote_volume, candle.trades) == (D(100), D(150), 42)
    assert candle.open_time == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert candle.raw == KLINE


def test_a_book_and_a_snapshot():
    raw = {"lastUpdateId": 5, "bids": [["4.00", "431.0", []]], "asks": [["4.01", "9"], ["4.02", "1.5"]]}
    book = parse.book(raw, "BNB/BTC")
    assert book.best_bid == (D("4.00"), D(431))
    assert [tuple(level) for level in book.asks] == [(D("4.01"), D(9)), (D("4.02"), D("1.5"))]
    assert (book.sequence, book.source, book.is_valid, book.raw) == (5, Source.REST, True, raw)
    snapshot = parse.snapshot(raw, "BNB/BTC")
    assert (snapshot.first_id, snapshot.last_id, snapshot.is_snapshot) == (5, 5, True)
    assert snapshot.bids == [("4.00", "431.0")]


@pytest.mark.parametrize("level", [["4.00"], [], ["4.00", 1], [4, "1"], ["x", "1"], ["1", "1e5"], "4.0"])
def test_a_book_with_a_broken_level(level):
    with pytest.raises(MalformedMessage):
        parse.book({"lastUpdateId": 5, "bids": [level], "asks": []}, "BNB/BTC")


def test_a_ticker_without_a_market():
    row = {"symbol": "X", "bidPrice": "0.00", "bidQty": "0.0", "askPrice": "0.0", "askQty": "0", "lastPrice": "0.0"}
    ticker = parse.ticker(row, "X/Y")
    assert (ticker.bid, ticker.ask, ticker.last, ticker.mid) == (None, None, None, None)
    assert ticker.volume is None


# ---- account --------------------------------------------------------------------------------------------------------


def test_balances_hold_what_is_held():
    rows = [
        {"asset": "BTC", "free": "1.5", "locked": "0.5"},
        {"asset": "ETH", "free": "0.00", "locked": "0.00"},
        {"asset": "币", "free": "0", "locked": "0.1"},
    ]
    balances = parse.balances({"canTrade": True, "balances": rows})
    assert list(balances) == ["BTC", "币"]
    assert balances["BTC"].total == 2
    assert balances["ETH"].total == 0
    assert balances["BTC"].raw == rows[0]


def test_fees_add_standard_special_and_tax():
    raw = {
        "symbol": "BTCUSDT",
        "standardCommission": {"maker": "0.001", "taker": "0.002", "buyer": "0.5", "seller": "0.5"},
        "specialCommission": {"maker": "0.01", "taker": "0.02"},
        "taxCommission": {"maker": "0.1", "taker": "0.2"},
        "discount": {"discount": "0.75"},
    }
    fees = parse.fees(raw, "BTC/USDT")
    assert (fees.maker, fees.taker) == (D("0.111"), D("0.222"))
    assert parse.fees({"standardCommission": {"maker": "0.001", "taker": "0.002"}}, "BTC/USDT").taker == D("0.002")


def test_permissions():
    raw = {"balances": [], "canTrade": True, "canWithdraw": False, "accountType": "SPOT", "permissions": ["SPOT", "X"]}
    permissions = parse.permissions(raw)
    assert (permissions.can_trade, permissions.can_withdraw, permissions.details) == (True, False, "SPOT X")


# ---- orders ---------------------------------------------------------------------------------------------------------


def test_a_filled_order_with_its_fills():
    order = parse.order(PLACED, "BTC/USDT")
    assert (order.order_id, order.client_order_id, order.side, order.type) == ("28", "x1", Side.BUY, OrderType.LIMIT)
    assert (order.status, order.status_text, order.source) == (OrderStatus.FILLED, "FILLED", Source.REST)
    assert (order.quantity, order.filled_quantity, order.remaining) == (D("0.03"), D("0.03"), 0)
    assert (order.filled_quote, order.average_price) == (D("750.03"), D(25001))
    assert (order.price, order.stop_price, order.time_in_force) == (D(25000), None, TimeInForce.GTC)
    assert order.created_at == order.updated_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert order.fills_complete
    assert [fill.id for fill in order.fills] == ["0", "57"]
    fill = order.fills[1]
    assert (fill.price, fill.quantity, fill.fee, fill.fee_asset) == (D("25001.5"), D("0.02"), D("0.00002"), "BTC")
    assert (fill.order_id, fill.client_order_id, fill.is_maker, fill.side) == ("28", "x1", False, Side.BUY)
    assert order.raw == PLACED


def test_fills_that_do_not_add_up_are_not_complete():
    assert not parse.order(PLACED | {"fills": PLACED["fills"][:1]}, "BTC/USDT").fills_complete
    assert not parse.order(PLACED | {"fills": []}, "BTC/USDT").fills_complete
    assert placed().fills_complete


def test_a_fill_without_numbers_is_left_out():
    order = parse.order(PLACED | {"fills": [{"tradeId": 5, "commissionAsset": "BNB"}]}, "BTC/USDT")
    assert order.fills == ()
    assert not order.fills_complete


def test_an_acknowledgement_is_accepted_and_no_more():
    raw = {"symbol": "BTCUSDT", "orderId": 28, "clientOrderId": "x1", "transactTime": 1}
    order = parse.order(raw, "BTC/USDT")
    assert (order.status, order.status_text) == (OrderStatus.ACCEPTED, None)
    assert (order.side, order.type) == (Side.UNKNOWN, OrderType.UNKNOWN)
    assert (order.quantity, order.price, order.time_in_force) == (None, None, None)


@pytest.mark.parametrize(
    "changes, status",
    [
        ({"status": "NEW"}, OrderStatus.NEW),
        ({"status": "PARTIALLY_FILLED", "executedQty": "0.01"}, OrderStatus.PARTIALLY_FILLED),
        ({"status": "CANCELED", "executedQty": "0.01"}, OrderStatus.CANCELED),
        ({"status": "EXPIRED"}, OrderStatus.EXPIRED),
        ({"status": "EXPIRED_IN_MATCH"}, OrderStatus.EXPIRED),
        ({"status": "PENDING_NEW"}, OrderStatus.UNTRIGGERED),
        ({"status": "PENDING_CANCEL"}, OrderStatus.NEW),
        ({"status": "SOMETHING"}, OrderStatus.NEW),
        ({"status": "SOMETHING", "executedQty": "0.01"}, OrderStatus.PARTIALLY_FILLED),
        ({"status": "SOMETHING", "type": "STOP_LOSS", "workingTime": -1}, OrderStatus.UNTRIGGERED),
        ({"status": "NEW", "type": "STOP_LOSS", "workingTime": -1}, OrderStatus.UNTRIGGERED),
        ({"status": "NEW", "type": "TAKE_PROFIT_LIMIT", "workingTime": None}, OrderStatus.UNTRIGGERED),
        ({"status": "NEW", "type": "TAKE_PROFIT_LIMIT", "workingTime": 1700000000001}, OrderStatus.NEW),
        ({"status": "NEW", "type": "STOP_LOSS_LIMIT", "isWorking": False}, OrderStatus.UNTRIGGERED),
        ({"status": "NEW", "type": "STOP_LOSS_LIMIT", "isWorking": True}, OrderStatus.NEW),
        ({"status": "NEW", "type": "STOP_LOSS_LIMIT", "isWorking": True, "workingTime": -1}, OrderStatus.UNTRIGGERED),
        ({"status": "NEW", "type": "LIMIT", "workingTime": -1}, OrderStatus.NEW),
    ],
)
def test_order_status(changes, status):
    order = placed(**changes)
    assert order.status is status
    assert order.status_text == changes["status"]
    assert order.is_definite


def test_a_rejected_order_says_why():
    order = placed(status="REJECTED", expiryReason="REJECTED")
    assert order.status is OrderStatus.REJECTED
    with pytest.raises(OrderRejected, match="REJECTED") as caught:
        order.raise_for_status()
    assert caught.value.client_order_id == "x1"
    assert placed(status="REJECTED").rejection is not None
    assert placed().rejection is None


def test_a_post_only_order_is_a_limit_order():
    order = placed(type="LIMIT_MAKER")
    assert (order.type, order.post_only) == (OrderType.LIMIT, True)
    assert not placed().post_only


def test_a_market_order_has_neither_price_nor_time_in_force():
    order = placed(type="MARKET", price="0.00000000")
    assert (order.price, order.time_in_force) == (None, None)


def test_an_order_by_quote_quantity_has_no_quantity():
    order = placed(type="MARKET", origQuoteOrderQty="100.00", origQty="0.004", executedQty="0.004")
    assert (order.quantity, order.quote_quantity, order.remaining) == (None, D(100), None)
    assert order.filled_quantity == D("0.004")


def test_a_negative_quote_sum_is_not_known():
    order = placed(executedQty="0.01", cummulativeQuoteQty="-1.00000000")
    assert (order.filled_quote, order.average_price) == (0, None)


def test_words_that_we_do_not_know():
    order = placed(type="PEGGED", side="SHORT", timeInForce="GTX")
    assert (order.type, order.side, order.time_in_force) == (OrderType.UNKNOWN, Side.UNKNOWN, None)
    assert placed(timeInForce="GTX").time_in_force is TimeInForce.UNKNOWN


def test_a_canceled_order_keeps_its_own_name():
    order = placed(status="CANCELED", origClientOrderId="mine", clientOrderId="random")
    assert order.client_order_id == "mine"
    assert order.created_at is None
    assert order.updated_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_a_queried_order_has_both_its_times():
    order = placed(time=1700000000000, updateTime=1700000001000, transactTime=None)
    assert (order.updated_at - order.created_at).total_seconds() == 1


def test_cancel_all_with_an_order_list():
    legs = [PLACED | {"orderId": n, "origClientOrderId": f"leg{n}", "status": "CANCELED"} for n in (1, 2)]
    raw = [PLACED | {"origClientOrderId": "alone", "status": "CANCELED"}, {"orderListId": 0, "orderReports": legs}]
    assert [order.client_order_id for order in parse.canceled(raw, "BTC/USDT")] == ["alone", "leg1", "leg2"]


def test_an_amended_order():
    amended = {
        "symbol": "BTCUSDT",
        "orderId": 33,
        "origClientOrderId": "before",
        "clientOrderId": "after",
        "price": "6.0",
        "qty": "5.0",
        "executedQty": "1.0",
        "quoteOrderQty": "0.0",
        "cumulativeQuoteQty": "6.0",
        "status": "PARTIALLY_FILLED",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "SELL",
    }
    raw = {"transactTime": 1700000000000, "executionId": 75, "amendedOrder": amended}
    order = parse.amended(raw, "BTC/USDT")
    assert (order.client_order_id, order.quantity, order.average_price) == ("after", D(5), D(6))
    assert (order.created_at, order.updated_at) == (None, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC))
    assert order.raw == raw


def test_a_fill_of_the_account():
    row = {
        "symbol": "BNBBTC",
        "id": 28457,
        "orderId": 100234,
        "price": "4.00000100",
        "qty": "12.0",
        "commission": "10.1",
        "commissionAsset": "BNB",
        "time": 1499865549590,
        "isBuyer": False,
        "isMaker": True,
    }
    fill = parse.fill(row, "BNB/BTC")
    assert (fill.id, fill.order_id, fill.side, fill.is_maker) == ("28457", "100234", Side.SELL, True)
    assert (fill.fee, fill.fee_asset, fill.notional) == (D("10.1"), "BNB", D("48.00001200"))
    assert json.loads(json.dumps(fill.raw)) == row


@pytest.mark.parametrize("raw", [None, [], {}, {"orderId": "28"}, {"orderId": 1, "status": 5}, PLACED | {"price": "x"}])
def test_what_is_no_order(raw):
    with pytest.raises(MalformedMessage):
        parse.order(raw, "BTC/USDT")


def test_a_time_beyond_all_calendars():
    with pytest.raises(MalformedMessage):
        placed(transactTime=10**18)


def test_one_symbol_that_makes_no_sense_does_not_cost_the_others(listed, caplog):
    def read(*rows):
        return [each.symbol for each in parse.listing({"rateLimits": [], "symbols": list(rows)}).instruments]

    odd = listed | {"filters": "odd"}
    assert read(odd, listed) == ["BTC/USDT"]
    assert "1 of 2 rows make no sense" in caplog.text
    with pytest.raises(MalformedMessage):
        read(odd)
    assert read() == []
