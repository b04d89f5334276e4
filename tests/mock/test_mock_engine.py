"""Order types, time in force, triggers, self-trade prevention: what the matching engine does with each."""

import pytest

from exconnect.mock.fixed import scaled
from exconnect.mock.orders import Refused


def test_the_still_book_is_exact(desk):
    bids = list(desk.book.bids.prices())
    asks = list(desk.book.asks.prices())
    assert [desk.book.bids.total(price) for price in bids] == [scaled("1")] * 100
    assert bids == [scaled(60000 - 6 * i) for i in range(1, 101)]
    assert asks == [scaled(60000 + 6 * i) for i in range(1, 101)]
    assert desk.engine.last["BTC/USDT"] == scaled("60000")


def test_a_limit_order_rests_and_locks(desk):
    order = desk.place("buy", "limit", "0.5", "59000")
    assert (order.status, desk.locked("USDT")) == ("new", scaled("29500"))
    assert desk.book.bids.total(scaled("59000")) == scaled("0.5")


def test_a_fill_takes_the_makers_price_and_gives_back_the_rest(desk):
    order = desk.place("buy", "limit", "0.5", "60100")
    assert order.status == "filled"
    assert order.filled_quote == scaled("30003")
    assert desk.free("USDT") == scaled("1000000") - scaled("30003")
    assert desk.locked("USDT") == 0
    assert desk.free("BTC") == scaled("100.4995")


def test_price_then_time(desk):
    first = desk.place("sell", "limit", "1", "60003")
    second = desk.place("sell", "limit", "1", "60003")
    better = desk.place("sell", "limit", "1", "60002")
    assert desk.outsider("buy", "1.5") == scaled("1.5")
    assert [order.filled for order in (better, first, second)] == [scaled("1"), scaled("0.5"), 0]


def test_an_outsider_stops_at_the_price(desk):
    assert desk.outsider("buy", "10", "60012") == scaled("2")
    assert desk.book.asks.best() == scaled("60018")


def test_a_sell_pays_its_fee_in_quote(desk):
    order = desk.place("sell", "market", "1")
    assert order.fills[0].fee_asset == "USDT"
    assert desk.free("USDT") == scaled("1000000") + scaled("59994") - scaled("59.994")


def test_market_by_quote_spends_whole_lots_at_most(desk):
    order = desk.place("buy", "market", quote_quantity="100000")
    assert order.status == "filled"
    assert order.quantity == scaled("1.66643")
    assert scaled("99999") < order.filled_quote <= scaled("100000")


def test_a_market_order_for_more_than_the_book_expires_with_what_it_got(make_desk):
    desk = make_desk({"USDT": "10000000", "BTC": "0"})
    order = desk.place("buy", "market", "120")
    assert (order.status, order.filled) == ("expired", scaled("100"))
    assert order.expiry_reason == "insufficient_liquidity"


@pytest.mark.parametrize(
    "tif, quantity, status, filled, reason",
    [
        ("ioc", "2", "expired", "1", "unfilled_ioc_quantity_expired"),
        ("ioc", "1", "filled", "1", ""),
        ("fok", "2", "expired", "0", "unfilled_fok_order_expired"),
        ("fok", "1", "filled", "1", ""),
        ("gtc", "2", "partially_filled", "1", ""),
    ],
)
def test_time_in_force(desk, tif, quantity, status, filled, reason):
    order = desk.place("buy", "limit", quantity, "60006", time_in_force=tif)
    assert (order.status, order.filled, order.expiry_reason) == (status, scaled(filled), reason)
    assert desk.locked("USDT") == (scaled("60006") if tif == "gtc" else 0)


def test_a_maker_only_order_is_refused_where_it_would_take(desk):
    with pytest.raises(Refused, match="would_take"):
        desk.place("buy", "limit_maker", "1", "60006")
    assert desk.place("buy", "limit_maker", "1", "60005").status == "new"
    assert desk.locked("USDT") == scaled("60005")


@pytest.mark.parametrize(
    "side, kind, stop, push, wanted",
    [
        ("buy", "stop_loss", "60012", "buy", "filled"),
        ("sell", "stop_loss", "59988", "sell", "filled"),
        ("buy", "take_profit", "59988", "sell", "filled"),
        ("sell", "take_profit", "60012", "buy", "filled"),
    ],
)
def test_conditional_market_orders(desk, side, kind, stop, push, wanted):
    order = desk.place(side, kind, "0.1", stop_price=stop)
    assert (order.status, order.is_working) == ("new", False)
    desk.outsider(push, "1.5")
    assert order.status == wanted
    assert desk.locked("USDT") == desk.locked("BTC") == 0


def test_a_conditional_limit_order_rests_after_its_trigger(desk):
    order = desk.place("sell", "stop_loss_limit", "0.1", "59999", stop_price="59988")
    desk.kinds()
    desk.outsider("sell", "2")
    assert (order.status, order.is_working, order.has_triggered) == ("new", True, True)
    assert desk.book.asks.best() == scaled("59999")
    assert desk.kinds() == [("new", "new")]


def test_triggers_set_off_one_another(desk):
    second = desk.place("sell", "stop_loss", "5", stop_price="59970")
    first = desk.place("sell", "stop_loss", "5", stop_price="59988")
    desk.outsider("sell", "2")
    assert (first.status, second.status) == ("filled", "filled")
    assert first.fills[-1].price > second.fills[0].price


def test_a_trigger_that_has_passed_is_refused(desk):
    with pytest.raises(Refused, match="would_trigger"):
        desk.place("sell", "stop_loss", "1", stop_price="60001")
    with pytest.raises(Refused, match="would_trigger"):
        desk.place("buy", "take_profit", "1", stop_price="60001")


def test_a_triggered_order_without_funds_expires(make_desk):
    desk = make_desk({"USDT": "70000", "BTC": "0"})
    order = desk.place("buy", "stop_loss", "1", stop_price="60012")
    desk.place("buy", "limit", "0.16", "59000")
    desk.outsider("buy", "99")
    assert (order.status, order.expiry_reason) == ("expired", "rejected")
    assert desk.free("USDT") + desk.locked("USDT") == scaled("70000")


@pytest.mark.parametrize(
    "mode, maker, taker",
    [
        ("none", ("filled", "1", "0"), ("filled", "1", "0")),
        ("expire_taker", ("new", "0", "0"), ("expired_in_match", "0", "1")),
        ("expire_maker", ("expired_in_match", "0", "1"), ("filled", "1", "0")),
        ("expire_both", ("expired_in_match", "0", "1"), ("expired_in_match", "0", "1")),
        ("decrement", ("expired_in_match", "0", "1"), ("expired_in_match", "0", "1")),
    ],
)
def test_self_trade_prevention(desk, mode, maker, taker):
    resting = desk.place("sell", "limit", "1", "60001")
    taking = desk.place("buy", "limit", "1", "60006", stp=mode)
    outcome = [(order.status, order.filled, order.prevented) for order in (resting, taking)]
    assert outcome == [(status, scaled(filled), scaled(prevented)) for status, filled, prevented in (maker, taker)]


def test_decrement_leaves_the_larger_one(desk):
    resting = desk.place("sell", "limit", "3", "60001")
    taking = desk.place("buy", "limit", "1", "60001", stp="decrement")
    assert taking.status == "expired_in_match"
    assert (resting.status, resting.remaining) == ("new", scaled("2"))
    assert desk.book.asks.total(scaled("60001")) == scaled("2")
    assert (desk.locked("BTC"), desk.locked("USDT")) == (scaled("2"), 0)


def test_fill_or_kill_does_not_count_what_prevention_takes_away(desk):
    desk.place("sell", "limit", "1", "60001")
    order = desk.place("buy", "limit", "2", "60006", time_in_force="fok", stp="expire_maker")
    assert (order.status, order.filled) == ("expired", 0)


def test_a_market_buy_is_not_stranded_when_prevention_removes_the_cheap_offer(make_desk):
    desk = make_desk({"USDT": "59000", "BTC": "1"})
    desk.place("sell", "limit", "1", "59995")
    with pytest.raises(Refused, match="insufficient_balance"):
        desk.place("buy", "market", "1", stp="expire_maker")
    assert desk.free("USDT") == scaled("59000")


def test_an_amend_keeps_its_place(desk):
    first = desk.place("sell", "limit", "2", "60003", client_id="a")
    second = desk.place("sell", "limit", "2", "60003")
    report = desk.engine.amend(first, scaled("1"), desk.now, "b")
    assert (first.client_id, first.placed_id, report.original_id) == ("b", "a", "a")
    assert desk.locked("BTC") == scaled("3")
    desk.outsider("buy", "1.5")
    assert (first.status, second.filled) == ("filled", scaled("0.5"))


@pytest.mark.parametrize("quantity, reason", [("2", "no_change"), ("3", "amend_increase"), ("0.00001", "filter")])
def test_amends_that_are_refused(desk, quantity, reason):
    order = desk.place("sell", "limit", "2", "60003")
    with pytest.raises(Refused, match=reason):
        desk.engine.amend(order, scaled(quantity), desk.now)


def test_an_amend_below_what_has_traded_ends_the_order(desk):
    order = desk.place("sell", "limit", "2", "60003")
    desk.outsider("buy", "1")
    desk.engine.amend(order, scaled("0.5"), desk.now)
    assert (order.status, desk.locked("BTC")) == ("expired", 0)
    assert desk.book.asks.total(scaled("60003")) == 0


def test_ten_amends_and_no_more(desk):
    order = desk.place("sell", "limit", "20", "60003")
    for left in range(19, 9, -1):
        desk.engine.amend(order, scaled(left), desk.now)
    with pytest.raises(Refused, match="MAX_NUM_ORDER_AMENDS"):
        desk.engine.amend(order, scaled("1"), desk.now)


def test_a_cancel_renames_and_frees(desk):
    order = desk.place("buy", "limit", "1", "59000", client_id="mine")
    desk.engine.cancel(order, desk.now, "other")
    assert (order.status, order.client_id, order.placed_id) == ("canceled", "other", "mine")
    assert desk.locked("USDT") == 0
    with pytest.raises(Refused, match="unknown_order"):
        desk.engine.cancel(order, desk.now)


def test_an_id_is_taken_while_its_order_is_open(desk):
    order = desk.place("buy", "limit", "1", "59000", client_id="mine")
    with pytest.raises(Refused, match="duplicate"):
        desk.place("buy", "limit", "1", "59000", client_id="mine")
    desk.outsider("sell", "300")
    assert order.status == "filled"
    assert desk.place("buy", "limit", "1", "59000", client_id="mine").placed_id == "mine"


@pytest.mark.parametrize("side, quantity, price", [("buy", "20", "59000"), ("sell", "101", "60003")])
def test_more_than_there_is_is_refused(desk, side, quantity, price):
    with pytest.raises(Refused, match="insufficient_balance"):
        desk.place(side, "limit", quantity, price)
    assert not desk.engine.open


def test_update_ids_count_every_change_of_a_level(desk):
    before = desk.book.sequence
    desk.place("buy", "limit", "1", "59000")
    desk.outsider("buy", "1.5")
    assert desk.book.sequence == before + 3
