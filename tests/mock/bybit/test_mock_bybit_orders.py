"""Orders over REST: taken at once, judged a moment later, and what becomes of them."""

import json
from decimal import Decimal

import pytest

CROSSING = {"price": "60100"}
STOP = {"orderFilter": "StopOrder", "orderType": "Market", "price": None, "marketUnit": "baseCoin"}


def push(core, side, quantity, price=0):
    from exconnect.mock.fixed import scaled

    core.world.engine.execute("BTC/USDT", side, scaled(quantity), scaled(price), core.now)
    core.world.settle()


def test_an_ack_says_two_ids_and_the_order_comes_later(core, answer_of):
    ack = answer_of[1](core.create(orderLinkId="mine"))
    assert ack == {"orderId": str(core.exchange.intake.number_of("mine")), "orderLinkId": "mine"}
    assert len(ack["orderId"]) == 19
    assert answer_of[1](core.read("/v5/order/realtime", orderLinkId="mine"))["list"] == []
    core.advance(4)
    (row,) = answer_of[1](core.read("/v5/order/realtime", orderLinkId="mine"))["list"]
    assert (row["price"], row["qty"], row["leavesQty"]) == ("59000.00", "0.01000", "0.01")
    assert (row["orderStatus"], row["triggerPrice"], row["takeProfit"]) == ("New", "0.00", "")
    assert (row["leavesValue"], row["cumExecValue"]) == ("590.0000000", "0.0000000")
    assert (row["avgPrice"], row["cumExecQty"], row["rejectReason"]) == ("", "0", "EC_NoError")
    assert row["createdTime"] == str(core.now)


@pytest.mark.parametrize(
    "change, status, reason, filled",
    [
        ({"timeInForce": "PostOnly", **CROSSING}, "Rejected", "EC_PostOnlyWillTakeLiquidity", "0"),
        ({"timeInForce": "PostOnly"}, "New", "EC_NoError", "0"),
        ({"timeInForce": "IOC"}, "Cancelled", "EC_NoImmediateQtyToFill", "0"),
        (
            {"timeInForce": "IOC", "price": "60006", "qty": "2"},
            "PartiallyFilledCanceled",
            "EC_NoImmediateQtyToFill",
            "1",
        ),
        ({"timeInForce": "FOK", "price": "60006", "qty": "2"}, "Cancelled", "EC_NoEnoughQtyToFill", "0"),
        ({"timeInForce": "FOK", "price": "60006", "qty": "1"}, "Filled", "EC_NoError", "1"),
        ({"price": "60006", "qty": "2"}, "PartiallyFilled", "EC_NoError", "1"),
        ({"price": "60006", "qty": "0.5"}, "Filled", "EC_NoError", "0.5"),
    ],
)
def test_what_becomes_of_an_order(core, change, status, reason, filled):
    row = core.placed(**change)
    assert (row["orderStatus"], row["rejectReason"], row["cumExecQty"]) == (status, reason, filled)


@pytest.mark.parametrize(
    "change, base, quote, unit",
    [
        ({"side": "Buy", "qty": "600.06"}, "0.01", "600.06", "quoteCoin"),
        ({"side": "Buy", "qty": "0.01", "marketUnit": "baseCoin"}, "0.01", "600.06", "baseCoin"),
        ({"side": "Sell", "qty": "0.01"}, "0.01", "599.94", "baseCoin"),
        ({"side": "Sell", "qty": "599.94", "marketUnit": "quoteCoin"}, "0.01", "599.94", "quoteCoin"),
    ],
)
def test_what_a_market_orders_quantity_counts(core, change, base, quote, unit):
    row = core.placed(orderType="Market", price=None, **change)
    assert (row["orderStatus"], row["cumExecQty"], row["cumExecValue"]) == ("Filled", base, f"{quote}00000")
    qty = change["qty"] if unit == "quoteCoin" else f"{change['qty']}000"
    assert (row["marketUnit"], row["qty"], row["timeInForce"], row["orderType"]) == (unit, qty, "IOC", "Market")


def test_a_market_order_shows_the_price_that_protects_it(core):
    row = core.placed(orderType="Market", price=None, qty="0.01", marketUnit="baseCoin")
    assert (row["price"], row["avgPrice"], row["cumFeeDetail"]) == ("63006.30", "60006", {"BTC": "0.00001"})
    assert core.world.engine.orders[int(row["orderId"])].price


@pytest.mark.parametrize(
    "kind, tolerance, filled", [("TickSize", "600", "2"), ("TickSize", "599", "1"), ("Percent", "0.02", "3")]
)
def test_slippage_tolerance(core, kind, tolerance, filled):
    change = {"slippageToleranceType": kind, "slippageTolerance": tolerance, "qty": "5", "marketUnit": "baseCoin"}
    row = core.placed(orderType="Market", price=None, **change)
    assert (row["orderStatus"], row["cumExecQty"]) == ("PartiallyFilledCanceled", filled)
    assert (row["slippageToleranceType"], row["slippageTolerance"]) == (kind, tolerance)


@pytest.mark.parametrize(
    "change, code",
    [
        ({"symbol": "NOPEUSDT"}, 170121),
        ({"side": "Up"}, 170117),
        ({"orderType": "Iceberg"}, 170116),
        ({"timeInForce": "GTX"}, 170115),
        ({"category": "linear"}, 10001),
        ({"category": "nothing"}, 10001),
        ({"qty": None}, 10001),
        ({"qty": "0"}, 170130),
        ({"qty": "-1"}, 170130),
        ({"qty": "1e-3"}, 170130),
        ({"price": None}, 170130),
        ({"qty": "0.000001"}, 170137),
        ({"qty": "0.0000000001"}, 170137),
        ({"price": "59000.001"}, 170134),
        ({"price": "0.0000000001"}, 170134),
        ({"qty": "0.00008"}, 170140),
        ({"qty": "9001", "price": "60"}, 170381),
        ({"price": "63001"}, 170193),
        ({"side": "Sell", "price": "56999"}, 170194),
        ({"qty": "20"}, 170131),
        ({"side": "Sell", "price": "61000", "qty": "101"}, 170131),
        ({"orderFilter": "Whatever"}, 170201),
        ({"orderFilter": "StopOrder"}, 170202),
        ({"triggerPrice": "61000"}, 170130),
        ({"smpType": "Yes"}, 170130),
        ({"marketUnit": "coin"}, 170130),
        ({"isLeverage": 1}, 170130),
        ({"takeProfit": "61000", "tpOrderType": "Limit"}, 170202),
        ({"slippageToleranceType": "Percent", "slippageTolerance": "1"}, 170130),
        ({"orderType": "Market", "slippageToleranceType": "Percent", "slippageTolerance": "11"}, 110109),
        ({"orderType": "Market", "slippageToleranceType": "TickSize", "slippageTolerance": "0.5"}, 110108),
        ({"orderType": "Market", "qty": "100.00000001"}, 170148),
        ({"orderType": "Market", "qty": "1001", "side": "Sell"}, 170341),
        ({"orderType": "Market", "qty": "4.99"}, 170140),
        ({"orderLinkId": "x" * 37}, 10001),
        ({"orderLinkId": "a b"}, 10001),
    ],
)
def test_orders_that_are_refused_at_once(core, answer_of, change, code):
    response = core.create(**change)
    assert (response.status, answer_of[0](response)["retCode"]) == (200, code)
    core.advance(100)
    assert not core.world.engine.orders


def test_an_id_of_36_is_fine(core, answer_of):
    assert answer_of[1](core.create(orderLinkId="x" * 36))["orderLinkId"] == "x" * 36


def test_an_id_is_used_once_and_never_again(core, answer_of):
    answer_of[1](core.create(orderLinkId="one"))
    assert answer_of[0](core.create(orderLinkId="one"))["retCode"] == 170141
    core.advance(100)
    answer_of[1](core.post("/v5/order/cancel", symbol="BTCUSDT", orderLinkId="one"))
    core.advance(100)
    answer = answer_of[0](core.create(orderLinkId="one", price="58000"))
    assert (answer["retCode"], answer["retMsg"]) == (170141, "Duplicate clientOrderId")
    assert len(core.world.engine.orders) == 1
    assert core.world.record.violations == []


def test_a_refused_order_does_not_use_its_id_up(core, answer_of):
    assert answer_of[0](core.create(orderLinkId="one", qty="0"))["retCode"] == 170130
    assert answer_of[1](core.create(orderLinkId="one"))["orderLinkId"] == "one"


def test_without_an_id_the_exchange_makes_one(core):
    row = core.placed()
    assert row["orderLinkId"].isdigit()
    assert row["orderLinkId"] != row["orderId"]


def test_what_is_gone_when_the_order_is_judged(core):
    """Two orders pass the gateway within a moment; there are funds for one."""
    acks = [core.create(side="Sell", price="61000", qty="60") for _ in range(2)]
    core.advance(20)
    rows = [core.order(json.loads(ack.body)["result"]["orderId"]) for ack in acks]
    assert [row["orderStatus"] for row in rows] == ["New", "Rejected"]
    assert rows[1]["rejectReason"] == "EC_Others"
    assert (rows[1]["leavesQty"], rows[1]["cancelType"]) == ("0", "UNKNOWN")


def test_orders_are_judged_in_the_order_of_arrival(core, answer_of):
    first = answer_of[1](core.create(price="59000"))["orderId"]
    answer_of[1](core.post("/v5/order/cancel", symbol="BTCUSDT", orderId=first))
    core.advance(20)
    assert core.order(first)["orderStatus"] == "Cancelled"


def test_cancels(core, answer_of):
    row = core.placed(orderLinkId="c")
    ack = answer_of[1](core.post("/v5/order/cancel", symbol="BTCUSDT", orderLinkId="c"))
    assert ack == {"orderId": row["orderId"], "orderLinkId": "c"}
    assert core.order(row["orderId"])["orderStatus"] == "New"
    core.advance(20)
    gone = core.order(row["orderId"])
    assert (gone["orderStatus"], gone["cancelType"], gone["rejectReason"]) == (
        "Cancelled",
        "CancelByUser",
        "EC_PerCancelRequest",
    )
    assert gone["orderLinkId"] == "c"
    assert core.world.account.of("USDT").locked == 0


def test_cancels_that_come_too_late(core, answer_of):
    filled = core.placed(price="60006", orderLinkId="filled")
    core.placed(orderLinkId="gone")
    answer_of[1](core.post("/v5/order/cancel", symbol="BTCUSDT", orderLinkId="gone"))
    core.advance(20)
    for given, code in (
        ({"orderLinkId": "filled"}, 170139),
        ({"orderId": filled["orderId"]}, 170139),
        ({"orderLinkId": "gone"}, 170142),
        ({"orderLinkId": "never"}, 170213),
        ({"orderId": "12"}, 170213),
        ({"orderId": "12", "orderLinkId": "gone"}, 170213),
        ({}, 10001),
    ):
        assert answer_of[0](core.post("/v5/order/cancel", symbol="BTCUSDT", **given))["retCode"] == code
    assert answer_of[0](core.post("/v5/order/cancel", symbol="ETHUSDT", orderLinkId="filled"))["retCode"] == 170213


def test_a_partly_filled_order_is_canceled(core, answer_of):
    row = core.placed(price="60006", qty="2")
    answer_of[1](core.post("/v5/order/cancel", symbol="BTCUSDT", orderId=row["orderId"]))
    core.advance(20)
    gone = core.order(row["orderId"])
    assert (gone["orderStatus"], gone["cumExecQty"], gone["leavesQty"]) == ("PartiallyFilledCanceled", "1", "0")


def test_cancel_all_leaves_conditional_orders_unless_told(core, answer_of):
    core.placed()
    core.placed(symbol="ETHUSDT", price="2900", qty="1")
    stop = core.placed(**{**STOP, "triggerPrice": "61000"})
    on_its_way = answer_of[1](core.create(price="58000"))
    gone = answer_of[1](core.post("/v5/order/cancel-all", symbol="BTCUSDT"))
    assert (gone["success"], len(gone["list"]), gone["list"][1]) == ("1", 2, on_its_way)
    core.advance(20)
    rows = answer_of[1](core.read("/v5/order/realtime"))["list"]
    assert {row["symbol"] for row in rows} == {"BTCUSDT", "ETHUSDT"}
    assert answer_of[1](core.post("/v5/order/cancel-all", orderFilter="StopOrder"))["list"] == [
        {"orderId": stop["orderId"], "orderLinkId": stop["orderLinkId"]}
    ]
    answer_of[1](core.post("/v5/order/cancel-all", baseCoin="ETH"))
    core.advance(20)
    assert answer_of[1](core.read("/v5/order/realtime"))["list"] == []
    assert core.order(stop["orderId"])["orderStatus"] == "Deactivated"
    assert answer_of[0](core.post("/v5/order/cancel-all", orderFilter="All"))["retCode"] == 170201


def test_an_amend_moves_price_and_quantity(core, answer_of):
    row = core.placed(orderLinkId="a")
    assert answer_of[1](core.post("/v5/order/amend", symbol="BTCUSDT", orderLinkId="a", price="59500", qty="0.02"))
    core.advance(20)
    after = core.order(row["orderId"])
    assert (after["price"], after["qty"], after["leavesQty"]) == ("59500.00", "0.02000", "0.02")
    assert after["orderStatus"] == "New"
    assert core.world.account.of("USDT").locked == 1190 * 10**8
    book = core.world.engine.books["BTC/USDT"]
    assert [book.bids.total(price * 10**8) for price in (59_000, 59_500)] == [0, 2_000_000]


def test_an_amended_order_may_trade(core, answer_of):
    row = core.placed()
    answer_of[1](core.post("/v5/order/amend", symbol="BTCUSDT", orderId=row["orderId"], price="60006"))
    core.advance(20)
    assert core.order(row["orderId"])["orderStatus"] == "Filled"
    assert core.world.account.of("USDT").locked == 0


def test_a_post_only_order_is_not_amended_into_a_taker(core, answer_of):
    row = core.placed(timeInForce="PostOnly")
    answer_of[1](core.post("/v5/order/amend", symbol="BTCUSDT", orderId=row["orderId"], price="60006"))
    core.advance(20)
    after = core.order(row["orderId"])
    assert (after["orderStatus"], after["rejectReason"]) == ("Cancelled", "EC_PostOnlyWillTakeLiquidity")


def test_an_amend_beyond_the_funds_changes_nothing(core, answer_of):
    row = core.placed()
    answer_of[1](core.post("/v5/order/amend", symbol="BTCUSDT", orderId=row["orderId"], qty="20"))
    core.advance(20)
    assert core.order(row["orderId"]) == row


@pytest.mark.parametrize(
    "given, code",
    [
        ({"qty": "0.5"}, 170313),
        ({"qty": "2.000001"}, 170137),
        ({"price": "60000.001"}, 170134),
        ({"price": "abc"}, 170130),
        ({"triggerPrice": "61000"}, 170312),
        ({}, 10001),
        ({"orderId": "1"}, 170213),
    ],
)
def test_amends_that_are_refused(core, answer_of, given, code):
    row = core.placed(price="60006", qty="2")
    request = {"symbol": "BTCUSDT", "orderId": row["orderId"], **given}
    assert answer_of[0](core.post("/v5/order/amend", **request))["retCode"] == code


@pytest.mark.parametrize("side, trigger", [("Buy", "60012"), ("Sell", "60012"), ("Buy", "59988"), ("Sell", "59988")])
@pytest.mark.parametrize("kind", ["StopOrder", "tpslOrder"])
def test_conditional_orders_wait_on_either_side(core, side, trigger, kind):
    change = {**STOP, "side": side, "triggerPrice": trigger, "orderFilter": kind}
    row = core.placed(**change)
    assert (row["orderStatus"], row["triggerPrice"]) == ("Untriggered", f"{trigger}.00")
    assert row["stopOrderType"] == {"StopOrder": "Stop"}.get(kind, kind)
    held = core.world.account.of("USDT" if side == "Buy" else "BTC").locked
    assert bool(held) == (kind == "tpslOrder")
    push(core, "buy" if trigger == "60012" else "sell", "1.5")
    after = core.order(row["orderId"])
    assert (after["orderStatus"], after["orderId"]) == ("Filled", row["orderId"])
    assert core.world.account.of("USDT").locked == core.world.account.of("BTC").locked == 0


def test_a_conditional_limit_order_rests_after_its_trigger(core):
    change = {"orderFilter": "StopOrder", "triggerPrice": "60012", "price": "59900"}
    row = core.placed(**change)
    push(core, "buy", "1.5")
    after = core.order(row["orderId"])
    assert (after["orderStatus"], core.world.account.of("USDT").locked) == ("New", 599 * 10**8)


def test_funds_that_are_gone_at_the_trigger(core):
    row = core.placed(**{**STOP, "side": "Sell", "qty": "60", "triggerPrice": "60012"})
    core.placed(side="Sell", price="61000", qty="60")
    push(core, "buy", "1.5")
    assert core.order(row["orderId"])["orderStatus"] == "Rejected"


def test_a_conditional_market_buy_by_value(core):
    row = core.placed(**{**STOP, "qty": "600.12", "marketUnit": "quoteCoin", "triggerPrice": "60012"})
    push(core, "buy", "1.5")
    after = core.order(row["orderId"])
    assert (after["orderStatus"], after["qty"], after["cumExecQty"]) == ("Filled", "600.12", "0.01")


def test_a_cancel_of_a_conditional_order_names_its_kind(core, answer_of):
    row = core.placed(**{**STOP, "triggerPrice": "61000"})
    target = {"symbol": "BTCUSDT", "orderId": row["orderId"]}
    assert answer_of[0](core.post("/v5/order/cancel", **target))["retCode"] == 170213
    answer_of[1](core.post("/v5/order/cancel", **target, orderFilter="StopOrder"))
    core.advance(20)
    assert core.order(row["orderId"])["orderStatus"] == "Deactivated"


def test_a_trigger_can_be_amended_to_the_other_side(core, answer_of):
    row = core.placed(**{**STOP, "triggerPrice": "61000"})
    answer_of[1](core.post("/v5/order/amend", symbol="BTCUSDT", orderId=row["orderId"], triggerPrice="59988"))
    core.advance(20)
    assert core.order(row["orderId"])["orderStatus"] == "Untriggered"
    push(core, "sell", "1.5")
    assert core.order(row["orderId"])["orderStatus"] == "Filled"


def test_take_profit_and_stop_loss_end_each_other(core, answer_of):
    core.placed(price="60006", qty="0.5", takeProfit="60600", stopLoss="59940", orderLinkId="parent")
    core.advance(20)
    rows = answer_of[1](core.read("/v5/order/realtime", orderFilter="BidirectionalTpslOrder"))["list"]
    assert [(row["triggerPrice"], row["side"], row["orderStatus"]) for row in rows] == [
        ("59940.00", "Sell", "Untriggered"),
        ("60600.00", "Sell", "Untriggered"),
    ]
    assert {row["qty"] for row in rows} == {"0.49950"}
    assert {row["parentOrderLinkId"] for row in rows} == {"parent"}
    push(core, "sell", "15")
    core.advance(20)
    assert core.order(rows[0]["orderId"])["orderStatus"] == "Filled"
    other = core.order(rows[1]["orderId"])
    assert (other["orderStatus"], other["cancelType"]) == ("Deactivated", "CancelByOCOTpCanceledBySlTriggered")
    assert other["rejectReason"] == "EC_NoError"


def test_a_take_profit_alone_is_an_order_of_its_own(core, answer_of):
    core.placed(side="Sell", price="59994", qty="0.5", takeProfit="59400", tpOrderType="Limit", tpLimitPrice="59500")
    core.advance(20)
    (row,) = answer_of[1](core.read("/v5/order/realtime", orderFilter="tpslOrder"))["list"]
    assert (row["side"], row["orderType"], row["price"], row["qty"]) == ("Buy", "Limit", "59500.00", "0.50000")


@pytest.mark.parametrize(
    "mode, taker, maker",
    [
        ("None", "Filled", "Filled"),
        ("CancelMaker", "New", "Cancelled"),
        ("CancelTaker", "Cancelled", "New"),
        ("CancelBoth", "Cancelled", "Cancelled"),
    ],
)
def test_self_match_prevention(core, mode, taker, maker):
    resting = core.placed(price="60000")
    row = core.placed(side="Sell", price="60000", smpType=mode)
    assert (row["orderStatus"], core.order(resting["orderId"])["orderStatus"]) == (taker, maker)
    if taker == "Cancelled":
        assert (row["cancelType"], row["rejectReason"]) == ("CancelBySmp", "EC_BySelfMatch")


def test_too_many_orders(make_core, answer_of):
    core = make_core(limits={"orders": (10_000, 1), "ip": (10_000, 1)}, balances={"USDT": "100000000"})
    for number in range(500):
        assert answer_of[1](core.create(price=f"{58_000 + number}", qty="0.001"))
    core.advance(20)
    assert answer_of[0](core.create(price="57000"))["retCode"] == 170810


def test_batches_answer_row_by_row(core, answer_of):
    row = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "59000"}
    rows = [{**row, "orderLinkId": "b1"}, {**row, "price": "x", "orderLinkId": "b2"}, {**row, "orderLinkId": "b1"}]
    answer = answer_of[0](core.post("/v5/order/create-batch", request=rows))
    assert (answer["retCode"], [item["code"] for item in answer["retExtInfo"]["list"]]) == (0, [0, 170130, 170141])
    listed = answer["result"]["list"]
    assert [(item["orderLinkId"], bool(item["orderId"]), item["createAt"]) for item in listed] == [
        ("b1", True, str(core.now)),
        ("b2", False, ""),
        ("b1", False, ""),
    ]
    core.advance(20)
    amended = core.post("/v5/order/amend-batch", request=[{"symbol": "BTCUSDT", "orderLinkId": "b1", "price": "59001"}])
    assert answer_of[0](amended)["retExtInfo"]["list"] == [{"code": 0, "msg": "OK"}]
    core.advance(20)
    assert core.order(listed[0]["orderId"])["price"] == "59001.00"
    cancel = [{"symbol": "BTCUSDT", "orderLinkId": name} for name in ("b1", "b9")]
    answer = answer_of[0](core.post("/v5/order/cancel-batch", request=cancel))
    assert answer["retExtInfo"]["list"] == [{"code": 0, "msg": "OK"}, {"code": 170213, "msg": "Order does not exist."}]
    core.advance(20)
    assert core.order(listed[0]["orderId"])["orderStatus"] == "Cancelled"


def test_a_conditional_order_is_neither_amended_nor_canceled_with_others(core, answer_of):
    core.create(orderFilter="StopOrder", triggerPrice="61000", orderLinkId="stop")
    core.advance(20)
    rows = [{"symbol": "BTCUSDT", "orderLinkId": "stop", "price": "59001"}]
    for path, code in (("amend-batch", 10001), ("cancel-batch", 170213)):
        answer = answer_of[0](core.post(f"/v5/order/{path}", request=rows))
        assert [item["code"] for item in answer["retExtInfo"]["list"]] == [code]


@pytest.mark.parametrize("rows", [None, [], [{}] * 11, [1]])
def test_batches_that_are_none(core, answer_of, rows):
    assert answer_of[0](core.post("/v5/order/create-batch", request=rows))["retCode"] == 10001


def test_numbers_with_exponents_are_a_breach(core):
    core.create(qty="1E-2")
    core.post("/v5/order/create-batch", request=[{"symbol": "BTCUSDT", "price": "6e4"}])
    assert core.world.record.violations == [
        "a number with an exponent: qty=1E-2",
        "a number with an exponent: price=6e4",
    ]


def test_a_body_that_is_no_object(core, answer_of):

    for payload in ("[]", "{", "7"):
        answer = core.request("POST", "/v5/order/create", "", core.headers(payload), payload)
        assert answer_of[0](answer)["retCode"] == 10001


def test_the_books_balance(make_core):
    """Whatever happens, what is free, locked and paid adds up."""
    import random

    core, source = make_core(activity=60.0, limits={"orders": (10_000, 1)}), random.Random(4)
    before = totals(core)
    for _ in range(250):
        side = source.choice(("Buy", "Sell"))
        price = source.choice((None, str(source.randint(59_800, 60_200))))
        change = {"orderType": "Limit" if price else "Market", "price": price, "smpType": "CancelMaker"}
        tif = source.choice(("GTC", "IOC", "FOK", "PostOnly"))
        core.create(side=side, qty="0.05", marketUnit="baseCoin", timeInForce=tif, **change)
        core.advance(source.randint(1, 60))
        open_orders = core.world.engine.open_orders("user")
        if open_orders:
            chosen = {"symbol": "BTCUSDT", "orderId": str(source.choice(open_orders).id)}
            if source.random() < 0.3:
                core.post("/v5/order/cancel", **chosen)
            else:
                core.post("/v5/order/amend", **chosen, price=str(source.randint(59_800, 60_200)))
    core.post("/v5/order/cancel-all")
    core.advance(100)
    engine = core.world.engine
    assert all(balance.locked == 0 for balance in core.world.account.assets.values())
    assert totals(core) == before
    assert sum(fill.quantity for fill in core.world.fills) == sum(order.filled for order in engine.orders.values())
    assert core.world.record.violations == []


def totals(core):
    engine = core.world.engine
    held = {asset: balance.free + balance.locked for asset, balance in core.world.account.assets.items()}
    return {
        asset: Decimal(amount + engine.fees.get(asset, 0) + engine.outside.get(asset, 0))
        for asset, amount in held.items()
    }
