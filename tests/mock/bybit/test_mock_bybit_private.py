"""The private socket and the order entry socket."""

import json

import pytest

from exconnect.mock.fixed import scaled

ORDER = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "59000"}


def logged_on(core, path="/v5/private"):
    import hashlib
    import hmac

    messages = []
    session = core.open(path, messages)
    expires = core.now + 10_000
    signature = hmac.new(core.secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
    core.say(session, op="auth", args=[core.key, expires, signature])
    messages.clear()
    return session, messages


def following(core, *topics):
    session, messages = logged_on(core)
    core.say(session, op="subscribe", args=list(topics))
    assert json.loads(messages.pop(0))["success"] is True
    return session, messages


def frames(messages, topic):
    return [frame for frame in map(json.loads, messages) if frame.get("topic") == topic]


def rows(messages, topic):
    return [row for frame in frames(messages, topic) for row in frame["data"]]


def push(core, side, quantity):
    core.world.engine.execute("BTC/USDT", side, scaled(quantity), 0, core.now)
    core.world.settle()


def test_acks_and_pongs(core):
    session, messages = logged_on(core)
    core.say(session, op="ping", req_id="p")
    core.say(session, op="subscribe", args=["order", "wallet"], req_id="s")
    core.say(session, op="dance")
    session.receive("{", core.now)
    core.advance(20)
    pong, ack, dance, nonsense = map(json.loads, messages)
    assert (pong["op"], pong["req_id"], "success" in pong) == ("pong", "p", False)
    assert pong["args"][0].isdigit()
    assert (ack["success"], ack["ret_msg"], ack["op"], ack["req_id"]) == (True, "", "subscribe", "s")
    assert (dance["success"], nonsense["success"]) == (False, False)


@pytest.mark.parametrize(
    "topics, bad",
    [
        (["order", "nothing"], "[nothing]"),
        (["order", "order.spot"], "[order.spot]"),
        (["execution", "execution.fast.spot", "position.spot"], "[position.spot]"),
        (["publicTrade.BTCUSDT", "order"], "[publicTrade.BTCUSDT]"),
    ],
)
def test_what_exists_is_taken_beside_what_does_not(core, topics, bad):
    session, messages = logged_on(core)
    core.say(session, op="subscribe", args=topics)
    ack = json.loads(messages.pop())
    assert (ack["success"], ack["ret_msg"].endswith(f"fail topics: {bad}")) == (False, True)
    core.create(price="60006")
    core.advance(20)
    assert messages


def test_the_life_of_an_order(core):
    _, messages = following(core, "order", "execution", "wallet")
    core.create(price="60006", qty="1.5", orderLinkId="mine")
    core.advance(20)
    push(core, "sell", "0.2")
    (number,) = core.world.engine.orders
    core.post("/v5/order/cancel", symbol="BTCUSDT", orderLinkId="mine")
    core.advance(20)
    states = [(row["orderStatus"], row["cumExecQty"], row["leavesQty"]) for row in rows(messages, "order")]
    assert states == [
        ("New", "0", "1.5"),
        ("PartiallyFilled", "1", "0.5"),
        ("PartiallyFilled", "1.2", "0.3"),
        ("PartiallyFilledCanceled", "1.2", "0"),
    ]
    nothing = ("triggerPrice", "takeProfit", "stopLoss", "tpLimitPrice", "slLimitPrice")
    assert {row[name] for row in rows(messages, "order") for name in nothing} == {"0.00"}  # a zero, where REST says ""
    assert {(row["orderId"], row["orderLinkId"], row["category"]) for row in rows(messages, "order")} == {
        (str(number), "mine", "spot")
    }
    fills = rows(messages, "execution")
    assert [(row["execQty"], row["isMaker"], row["leavesQty"]) for row in fills] == [
        ("1", False, "0.5"),
        ("0.2", True, "0.3"),
    ]
    assert fills[0]["execFee"] == "0.001"
    (last,) = rows(messages, "wallet")[-1:]
    coins = {row["coin"]: (row["walletBalance"], row["locked"]) for row in last["coin"]}
    assert coins == {"BTC": ("101.1988", "0"), "USDT": ("927992.8", "0")}
    frame = frames(messages, "order")[0]
    assert list(frame) == ["id", "topic", "creationTime", "data"]


@pytest.mark.parametrize(
    "change, states",
    [
        ({"timeInForce": "PostOnly", "price": "60100"}, [("Rejected", "EC_PostOnlyWillTakeLiquidity")]),
        ({"timeInForce": "FOK", "price": "60006", "qty": "2"}, [("New", ""), ("Cancelled", "EC_NoEnoughQtyToFill")]),
    ],
)
def test_rejections_are_told(core, change, states):
    _, messages = following(core, "order.spot")
    core.create(**change)
    core.advance(20)
    seen = [(row["orderStatus"], row["rejectReason"].replace("EC_NoError", "")) for row in rows(messages, "order.spot")]
    assert seen == states


def test_a_trigger_is_a_step_of_its_own(core):
    _, messages = following(core, "order")
    change = {"orderFilter": "StopOrder", "triggerPrice": "60012", "price": "59900"}
    core.create(**change)
    core.advance(20)
    push(core, "buy", "1.5")
    assert [row["orderStatus"] for row in rows(messages, "order")] == ["Untriggered", "Triggered", "New"]


def test_a_cancel_that_races_a_fill(core):
    _, messages = following(core, "order")
    core.placed(orderLinkId="mine")
    core.post("/v5/order/cancel", symbol="BTCUSDT", orderLinkId="mine")
    push(core, "sell", "101")
    core.advance(20)
    ends = [(row["orderStatus"], row["cancelType"], row["rejectReason"]) for row in rows(messages, "order")][1:]
    assert ends == [
        ("Filled", "UNKNOWN", "EC_NoError"),
        ("Filled", "CancelByUser", "EC_OrigClOrdIDDoesNotExist"),
    ]
    assert len(core.world.fills) == 1


def test_fast_executions_have_no_fee(core):
    _, messages = following(core, "execution.fast")
    core.create(price="60006", qty="1.5", orderLinkId="mine")
    core.advance(20)
    push(core, "sell", "0.2")
    taken, made = rows(messages, "execution.fast")
    assert (taken["orderLinkId"], made["orderLinkId"], "execFee" in taken) == ("mine", "", False)
    assert "id" not in frames(messages, "execution.fast")[0]


def test_unsubscribing_and_leaving(core):
    session, messages = following(core, "order", "wallet")
    core.say(session, op="unsubscribe", args=["order"])
    messages.clear()
    core.placed()
    assert (frames(messages, "order"), len(frames(messages, "wallet"))) == ([], 1)
    session.close()
    session.close()
    core.placed()
    assert len(messages) == 1


@pytest.mark.parametrize(
    "query, seconds",
    [("", 600), ("?max_active_time=30s", 30), ("?max_active_time=2m", 120), ("?max_active_time=1s", 30)],
)
def test_how_long_one_may_be_silent(core, query, seconds):
    assert core.open(f"/v5/private{query}", []).idle_within == seconds


# Order entry


def asked(core, session, messages, **request):
    header = {"X-BAPI-TIMESTAMP": str(core.now + 10), "X-BAPI-RECV-WINDOW": "3000"}
    core.say(session, **{"header": header, **request})
    return json.loads(messages.pop())


def test_order_entry(core):
    session, messages = logged_on(core, "/v5/trade")
    placed = asked(core, session, messages, reqId="1", op="order.create", args=[{**ORDER, "orderLinkId": "w"}])
    assert (placed["reqId"], placed["retCode"], placed["op"]) == ("1", 0, "order.create")
    assert placed["data"]["orderLinkId"] == "w"
    assert (placed["header"]["X-Bapi-Limit"], placed["header"]["X-Bapi-Limit-Status"]) == ("20", "19")
    target = {"category": "spot", "symbol": "BTCUSDT", "orderLinkId": "w"}
    assert (
        asked(core, session, messages, reqId="2", op="order.amend", args=[{**target, "price": 58000.5}])["retCode"] == 0
    )
    assert core.order(placed["data"]["orderId"])["price"] == "58000.50"
    assert asked(core, session, messages, op="order.cancel", args=[target])["retCode"] == 0
    batch = asked(core, session, messages, op="order.create-batch", args=[{"category": "spot", "request": [ORDER, {}]}])
    assert [row["code"] for row in batch["retExtInfo"]["list"]] == [0, 10001]
    pong = asked(core, session, messages, reqId="9", op="ping")
    assert (pong["op"], pong["retCode"], pong["reqId"]) == ("pong", 0, "9")


def test_order_entry_shares_the_limit(core):
    session, messages = logged_on(core, "/v5/trade")
    for _ in range(20):
        core.create(qty="0")
    answer = asked(core, session, messages, op="order.create", args=[ORDER])
    assert (answer["retCode"], answer["data"]) == (10006, {})


@pytest.mark.parametrize(
    "request_, code",
    [
        ({"op": "order.create", "args": [{**ORDER, "price": "1.001"}]}, 170134),
        ({"op": "order.create", "args": [ORDER], "header": {"X-BAPI-TIMESTAMP": "1"}}, 10002),
        ({"op": "order.create", "args": [ORDER], "header": None}, 10001),
        ({"op": "order.create", "args": []}, 10404),
        ({"op": "subscribe", "args": ["order"]}, 10404),
        ({"op": "auth", "args": []}, 20001),
    ],
)
def test_order_entry_refuses(core, request_, code):
    session, messages = logged_on(core, "/v5/trade")
    assert asked(core, session, messages, **request_)["retCode"] == code


def test_order_entry_ids_and_log_on(core):
    session, messages = logged_on(core, "/v5/trade")
    answers = [asked(core, session, messages, reqId="1", op="order.create", args=[ORDER]) for _ in range(2)]
    assert [answer["retCode"] for answer in answers] == [0, 20006]
    messages = []
    stranger = core.open("/v5/trade", messages)
    assert asked(core, stranger, messages, op="order.create", args=[ORDER])["retCode"] == 10007
    assert asked(core, stranger, messages, op="auth", args=["nobody", core.now + 9000, ""])["retCode"] == 10003
    stranger.receive("{", core.now)
    core.advance(20)
    assert json.loads(messages.pop())["retCode"] == 10007
    stranger.close()


# What nobody should send


def test_who_is_not_let_in_hears_nothing(core):
    messages = []
    session = core.open("/v5/private", messages)
    core.say(session, op="subscribe", args=["order"])
    core.say(session, op="auth", args=[core.key])
    core.say(session, op="auth", args=["nobody", core.now + 9000, ""])
    core.say(session, op="auth", args=[core.key, core.now, ""])
    core.say(session, op="auth", args=[core.key, core.now + 9000, "00"])
    answers = [json.loads(text) for text in messages]
    assert [(answer["op"], answer["success"]) for answer in answers] == [("subscribe", False)] + [("auth", False)] * 4
    assert [answer["ret_msg"] for answer in answers] == [
        "Request not authorized",
        "Params Error",
        "API key is invalid.",
        "Params Error",
        "Invalid sign",
    ]
    core.placed()
    assert len(messages) == 5


def test_subscribing_to_nothing_and_topics_that_spot_has_no_news_for(core):
    session, messages = logged_on(core)
    core.say(session, op="subscribe", args=[])
    assert json.loads(messages.pop())["ret_msg"] == "error:invalid args"
    core.say(session, op="subscribe", args=["position", "greeks", "dcp.spot"])
    assert json.loads(messages.pop())["success"] is True
    core.placed()
    assert messages == []
