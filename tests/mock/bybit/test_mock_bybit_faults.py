"""Each fault does in this dialect what its name says."""

import hashlib
import hmac
import json

import pytest

from exconnect.mock.fixed import scaled


@pytest.mark.parametrize("at, orders", [("before_accept", 0), ("after_accept", 1)])
@pytest.mark.parametrize("name", ["reset", "hang", "status", "garbage", "redirect"])
def test_whether_the_exchange_has_acted(core, name, at, orders):
    core.faults.add(name, on="place_order", at=at, seconds=1.0)
    response = core.create(orderLinkId="mine")
    core.advance(20)
    assert len(core.world.engine.orders) == orders
    arrival = core.world.record.arrivals[-1]
    if name in {"reset", "hang"}:
        assert (response, arrival.status) == (None, 0)
    else:
        assert response.status == arrival.status == {"status": 503, "garbage": 200, "redirect": 307}[name]


def test_a_delay_acts_late_or_answers_late(core, answer_of):
    core.faults.add("delay", on="place_order", at="before_accept", seconds=2.0)
    assert answer_of[0](core.create())["time"] == core.now
    core.faults.add("delay", on="place_order", at="before_accept", seconds=6.0)
    assert answer_of[0](core.create())["retCode"] == 10002
    core.advance(20)
    assert len(core.world.engine.orders) == 1


@pytest.mark.parametrize(
    "given, status, code, text",
    [
        ({}, 503, 10016, "Server error."),
        ({"status": 200, "code": 10000}, 200, 10000, "Server Timeout"),
        ({"status": 200, "code": 170146}, 200, 170146, "Order creation timeout."),
        ({"status": 200, "code": 999}, 200, 999, "Unknown error."),
        ({"status": 429}, 429, 429, "high server load"),
        ({"status": 504}, 504, 10000, "Server Timeout"),
    ],
)
def test_status_has_the_exchanges_words(core, answer_of, given, status, code, text):
    core.faults.add("status", **given)
    response = core.create()
    answer = answer_of[0](response)
    assert (response.status, answer["retCode"]) == (status, code)
    assert text in answer["retMsg"]


def test_a_403_says_no_more(core):
    core.faults.add("status", status=403)
    response = core.get("/v5/market/time")
    assert (response.status, response.content_type, "too frequent" in response.body) == (403, "text/html", True)
    core.faults.add("status", status=403, retry_after=30)
    assert core.get("/v5/market/time").headers["Retry-After"] == "30"
    core.now += 29_999
    assert core.get("/v5/market/time").status == 403
    core.now += 1
    assert core.get("/v5/market/time").status == 200
    assert core.world.record.violations == ["a request during a ban"]


@pytest.mark.parametrize("status", [200, 429])
def test_too_many_of_an_endpoint_shut_out_that_endpoint_alone(core, answer_of, status):
    fault = {"status": status, "code": 10006, "retry_after": 60}
    core.faults.add("status", on="place_order", at="before_accept", **fault)
    assert answer_of[0](core.create())["retCode"] == 10006
    core.now += 59_000
    refused = core.create()
    assert answer_of[0](refused)["retCode"] == 10006
    assert refused.headers["X-Bapi-Limit-Reset-Timestamp"] == str(core.now + 1_000)
    assert answer_of[0](core.read("/v5/order/realtime"))["retCode"] == 0
    assert core.world.record.violations == ["a request before the limit of /v5/order/create was reset"]
    core.now += 1_000
    assert answer_of[0](core.create())["retCode"] == 0


@pytest.mark.network
@pytest.mark.parametrize(
    "status, breach", [(429, "a request before Retry-After had passed"), (403, "a request during a ban")]
)
def test_who_was_told_on_the_connection_that_he_asks_on_has_no_excuse(mock, make_plain, status, breach):
    first, other = make_plain(mock), make_plain(mock)
    assert other.request("GET", "/v5/market/time")[0] == 200
    mock.faults.add("status", on="fetch_time", status=status, retry_after=60)
    assert first.request("GET", "/v5/market/time")[0] == status
    assert other.request("GET", "/v5/market/time")[0] == 403  # may have been on its way
    assert mock.ledger.violations == []
    for plain in (first, other):
        assert plain.request("GET", "/v5/market/time")[0] == 403
    assert mock.ledger.violations == [breach] * 2


@pytest.mark.network
def test_who_was_told_that_an_endpoint_is_used_up_has_no_excuse(mock, make_plain):
    mock.faults.add("status", on="place_order", at="before_accept", status=200, code=10006, retry_after=60)
    plain = make_plain(mock)
    assert [plain.place(name)[1]["retCode"] for name in ("a", "b")] == [10006, 10006]
    assert mock.ledger.violations == ["a request before the limit of /v5/order/create was reset"]
    assert mock.ledger.orders() == []


def test_lag_hides_what_is_newer(core, answer_of):
    core.placed(orderLinkId="old")
    core.faults.add("lag", seconds=5)
    core.create(orderLinkId="new")
    core.create(price="60006")
    core.advance(20)

    def shown(path):
        return answer_of[1](core.read(path))["list"]

    assert [row["orderLinkId"] for row in shown("/v5/order/realtime")] == ["old"]
    assert shown("/v5/execution/list") == []
    assert answer_of[1](core.read("/v5/order/realtime", orderLinkId="new"))["list"] == []
    core.advance(5000)
    assert [row["orderLinkId"] for row in shown("/v5/order/realtime")] == ["new", "old"]
    assert len(shown("/v5/execution/list")) == 1


def books(core, name, **given):
    """The ids of the frames that come when the book changes five times."""
    messages = []
    session = core.open("/v5/public/spot", messages)
    core.say(session, op="subscribe", args=["orderbook.50.BTCUSDT"])
    core.faults.add(name, on="book", **given)
    for _ in range(5):
        core.world.engine.execute("BTC/USDT", "buy", scaled("0.1"), 0, core.now)
        core.world.settle()
        core.advance(20)
    return messages[2:]


@pytest.mark.parametrize(
    "name, given, steps",
    [
        ("gap", {}, [2, 3, 4, 5]),
        ("gap", {"count": 2, "after": 1}, [1, 4, 5]),
        ("duplicate", {}, [1, 1, 2, 3, 4, 5]),
        ("reorder", {}, [2, 1, 3, 4, 5]),
        ("gap", {"symbol": "ETH/USDT"}, [1, 2, 3, 4, 5]),
    ],
)
def test_gap_duplicate_reorder(core, name, given, steps):
    begin = core.exchange.sequence("BTC/USDT")
    assert [json.loads(text)["data"]["u"] - begin for text in books(core, name, **given)] == steps


def test_malformed_is_no_json(core):
    messages = books(core, "malformed")
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(messages[0])
    assert json.loads(messages[1])


@pytest.mark.parametrize("depth", [1, 50])
def test_a_book_can_be_made_to_cross(core, depth):
    messages = []
    session = core.open("/v5/public/spot", messages)
    core.say(session, op="subscribe", args=[f"orderbook.{depth}.BTCUSDT"])
    core.faults.add("cross", on="book")
    core.world.engine.execute("BTC/USDT", "buy", scaled("0.1"), 0, core.now)
    core.world.settle()
    core.advance(20)
    data = json.loads(messages[-1])["data"]
    assert float(data["b"][0][0]) > float(data["a"][0][0])


def test_silence_loses_what_would_have_come(core):
    messages = []
    session = core.open("/v5/public/spot", messages)
    core.say(session, op="subscribe", args=["orderbook.50.BTCUSDT", "orderbook.1.BTCUSDT"])
    before = json.loads(messages[1])["data"]["u"]
    core.faults.add("silence", on="public", seconds=4)
    core.create(price="59990")
    core.advance(3990)
    core.say(session, op="ping")
    assert len(messages) == 4
    core.create(price="59990")
    core.advance(40)
    assert json.loads(messages[4])["data"]["u"] == before + 2


def test_order_messages_can_be_disturbed(core):
    messages = logged_on(core, "order")
    core.faults.add("gap", on="order")
    core.placed(price="60006")
    assert [json.loads(text)["data"][0]["orderStatus"] for text in messages] == ["Filled"]
    core.faults.add("silence", on="private", seconds=1)
    core.placed(price="60006")
    assert len(messages) == 1


@pytest.mark.parametrize(
    "fault, seen",
    [
        ("gap", [["0.2"]]),
        ("duplicate", [["1"], ["1"], ["0.2"]]),
        ("reorder", [["0.2"], ["1"]]),
        ("malformed", [None, ["0.2"]]),
    ],
)
def test_messages_of_fills_can_be_disturbed_as_those_of_orders(core, fault, seen):
    messages = logged_on(core, "execution.spot")
    core.faults.add(fault, on="order", symbol="BTC/USDT")
    core.placed(price="60006", qty="1.2")
    core.world.engine.execute("BTC/USDT", "sell", scaled("0.2"), 0, core.now)
    core.world.settle()
    assert [quantities(text) for text in messages] == seen


def quantities(text):
    """What a message of executions says was filled; None if it is broken."""
    try:
        return [row["execQty"] for row in json.loads(text)["data"]]
    except ValueError:
        return None


def logged_on(core, *topics):
    """What is told on a private socket of these topics from now on."""
    messages = []
    session = core.open("/v5/private", messages)
    expires = core.now + 5000
    signature = hmac.new(core.secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
    core.say(session, op="auth", args=[core.key, expires, signature])
    core.say(session, op="subscribe", args=list(topics))
    messages.clear()
    return messages
