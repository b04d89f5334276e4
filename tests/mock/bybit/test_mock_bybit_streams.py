"""Public topics: control messages, books, trades, tickers, candles."""

import json

import pytest

from exconnect.mock.fixed import plain, scaled


def subscribed(core, *topics):
    """A session and what it was told after the ack."""
    messages = []
    session = core.open("/v5/public/spot", messages)
    core.say(session, op="subscribe", args=list(topics), req_id="s")
    assert json.loads(messages.pop(0))["success"] is True
    return messages, session


def heard(messages):
    return [json.loads(text) for text in messages]


def trade(core, side="buy", quantity="0.5"):
    core.world.engine.execute("BTC/USDT", side, scaled(quantity), 0, core.now)
    core.world.settle()


def test_acks_and_pongs(core):
    messages = []
    session = core.open("/v5/public/spot", messages)
    core.say(session, op="ping")
    core.say(session, op="ping", req_id="p")
    core.say(session, op="subscribe", args=["publicTrade.BTCUSDT"], req_id="r1")
    core.say(session, op="unsubscribe", args=["publicTrade.BTCUSDT"])
    core.say(session, op="dance", req_id="d")
    session.receive("{", core.now)
    session.receive("[]", core.now)
    core.advance(20)
    answers = heard(messages)
    (conn_id,) = {answer.pop("conn_id") for answer in answers}
    assert conn_id.startswith("mock")
    assert answers[:5] == [
        {"success": True, "ret_msg": "pong", "op": "ping"},
        {"success": True, "ret_msg": "pong", "req_id": "p", "op": "ping"},
        {"success": True, "ret_msg": "subscribe", "req_id": "r1", "op": "subscribe"},
        {"success": True, "ret_msg": "unsubscribe", "op": "unsubscribe"},
        {"success": False, "ret_msg": "error:invalid op", "req_id": "d", "op": "dance"},
    ]
    assert [answer["ret_msg"][:14] for answer in answers[5:]] == ["Failed to deco"] * 2


@pytest.mark.parametrize(
    "topic, text",
    [
        ("orderbook.50.NOPEUSDT", "Invalid symbol :[orderbook.50.NOPEUSDT]"),
        ("orderbook.500.BTCUSDT", "error:handler not found,topic:orderbook.500.BTCUSDT"),
        ("orderbook.50.btcusdt", "error:handler not found,topic:orderbook.50.btcusdt"),
        ("kline.2.BTCUSDT", "error:handler not found,topic:kline.2.BTCUSDT"),
        ("order", "error:handler not found,topic:order"),
    ],
)
def test_one_bad_topic_refuses_the_whole_request(core, topic, text):
    messages = []
    session = core.open("/v5/public/spot", messages)
    core.say(session, op="subscribe", args=["publicTrade.BTCUSDT", topic], req_id="b")
    (answer,) = heard(messages)
    assert (answer["success"], answer["ret_msg"], answer["req_id"]) == (False, text, "b")
    trade(core)
    assert len(messages) == 1


def test_a_topic_twice_is_an_error_and_goes_on(core):
    messages, session = subscribed(core, "publicTrade.BTCUSDT")
    core.say(session, op="subscribe", args=["publicTrade.BTCUSDT"])
    assert heard(messages)[0]["ret_msg"] == "error:already subscribed,topic:publicTrade.BTCUSDT"
    trade(core)
    assert len(messages) == 2


def test_ten_topics_in_a_request_and_no_more(core):
    messages = []
    session = core.open("/v5/public/spot", messages)
    topics = [f"kline.{interval}.BTCUSDT" for interval in ("1", "3", "5", "15", "30", "60", "120", "240", "360", "720")]
    core.say(session, op="subscribe", args=[*topics, "kline.D.BTCUSDT"], req_id="x")
    core.say(session, op="subscribe", args=topics, req_id="y")
    answers = heard(messages)
    assert (answers[0]["success"], answers[0]["ret_msg"], "req_id" in answers[0]) == (False, "args size >10", False)
    assert (answers[1]["success"], answers[1]["req_id"]) == (True, "y")


def test_21000_characters_on_a_connection(make_core):
    names = [f"{'COIN' * 25}{number}USDT" for number in range(200)]
    core = make_core(symbols={name.replace("USDT", "/USDT"): "1" for name in names})
    messages = []
    session = core.open("/v5/public/spot", messages)
    for first in range(0, 200, 10):
        core.say(session, op="subscribe", args=[f"publicTrade.{name}" for name in names[first : first + 10]])
    verdicts = [answer["success"] for answer in heard(messages)]
    assert verdicts == sorted(verdicts, reverse=True)
    taken = [f"publicTrade.{name}" for name in names[: 10 * sum(verdicts)]]
    assert 19_600 < len(json.dumps(taken)) <= 21_000


@pytest.mark.parametrize("args", [None, [], [1], "publicTrade.BTCUSDT"])
def test_arguments_that_are_none(core, args):
    messages = []
    core.say(core.open("/v5/public/spot", messages), op="subscribe", args=args)
    assert heard(messages)[0]["success"] is False


def test_a_book_begins_with_a_snapshot(core):
    messages, _ = subscribed(core, "orderbook.50.BTCUSDT")
    (first,) = heard(messages)
    assert list(first) == ["topic", "ts", "type", "data", "cts"]
    assert (first["type"], len(first["data"]["b"]), first["data"]["a"][0]) == ("snapshot", 50, ["60006", "1"])


def test_deltas_come_in_their_cadence_and_number_themselves(core):
    messages, _ = subscribed(core, "orderbook.50.BTCUSDT")
    start = heard(messages)[0]["data"]
    trade(core)
    trade(core)
    core.advance(20)
    core.advance(100)
    (delta,) = heard(messages)[1:]
    assert (delta["type"], delta["ts"] % 20) == ("delta", 0)
    assert delta["data"] == {
        "s": "BTCUSDT",
        "b": [],
        "a": [["60006", "0"], ["60306", "1"]],
        "u": start["u"] + 1,
        "seq": start["seq"] + 2,
    }


def test_what_lies_deeper_is_numbered_and_not_told(core):
    messages, _ = subscribed(core, "orderbook.50.BTCUSDT")
    core.create(price="59000")
    core.advance(40)
    first, delta = (message["data"] for message in heard(messages))
    assert (delta["b"], delta["a"], delta["u"]) == ([], [], first["u"] + 1)


def test_level_one_is_whole_and_comes_again_after_three_seconds(core):
    messages, _ = subscribed(core, "orderbook.1.BTCUSDT")
    core.advance(3500)
    first, again = heard(messages)
    assert again == first
    trade(core)
    core.advance(40)
    changed = heard(messages)[2]
    assert (changed["type"], changed["data"]["a"]) == ("snapshot", [["60006", "0.5"]])
    assert changed["data"]["u"] > first["data"]["u"]
    core.create(price="59000")
    core.advance(1000)
    assert len(messages) == 3


@pytest.mark.parametrize("depth", [50, 200, 1000])
def test_a_book_from_deltas_is_the_exchanges_book(make_core, depth):
    core = make_core(activity=50.0, seed=11, limits={"orders": (1000, 1)})
    messages, _ = subscribed(core, f"orderbook.{depth}.BTCUSDT")
    for _ in range(200):
        core.create(qty="0.05", orderType="Market", price=None, marketUnit="baseCoin")
        core.advance(137)
    core.world.retune(0, core.now)
    core.advance(1000)
    assert len(messages) > 200
    sides, at = {"b": {}, "a": {}}, None
    for message in heard(messages):
        data = message["data"]
        assert at is None or data["u"] == at + 1
        at = data["u"]
        for side, levels in sides.items():
            for price, size in data[side]:
                if size == "0":
                    del levels[price]
                else:
                    levels[price] = size
            assert len(levels) <= depth
        assert max(map(float, sides["b"])) < min(map(float, sides["a"]))
    book = core.world.engine.books["BTC/USDT"]
    assert at == core.exchange.sequence("BTC/USDT")
    assert sides["b"] == {plain(price): plain(book.bids.total(price)) for price in book.bids.prices(depth)}
    assert sides["a"] == {plain(price): plain(book.asks.total(price)) for price in book.asks.prices(depth)}


def test_all_depths_and_rest_share_the_update_id(core, answer_of):
    messages, _ = subscribed(core, "orderbook.50.BTCUSDT", "orderbook.200.BTCUSDT")
    trade(core)
    rest = answer_of[1](core.get("/v5/market/orderbook", category="spot", symbol="BTCUSDT"))
    assert {message["data"]["u"] for message in heard(messages)[-2:]} == {rest["u"]}
    assert core.exchange.sequence("BTC/USDT") == rest["u"]


def test_who_comes_later_gets_a_snapshot_of_now(core):
    early, _ = subscribed(core, "orderbook.50.BTCUSDT")
    trade(core)
    late, _ = subscribed(core, "orderbook.50.BTCUSDT")
    assert heard(late)[0]["data"]["u"] == heard(early)[-1]["data"]["u"]
    assert heard(late)[0]["data"]["a"][0] == ["60006", "0.5"]
    trade(core)
    core.advance(40)
    assert heard(late)[1] == heard(early)[2]


def test_trades_of_one_taker_share_a_frame(core):
    messages, _ = subscribed(core, "publicTrade.BTCUSDT")
    trade(core, "sell", "1.5")
    (frame,) = heard(messages)
    assert (frame["topic"], frame["type"]) == ("publicTrade.BTCUSDT", "snapshot")
    assert [(row["p"], row["v"], row["S"]) for row in frame["data"]] == [
        ("59994", "1", "Sell"),
        ("59988", "0.5", "Sell"),
    ]
    tape = core.world.tapes["BTC/USDT"].trades
    assert [(row["i"], row["T"], row["seq"]) for row in frame["data"]] == [
        (str(one.id), one.time_ms, one.sequence) for one in tape
    ]


def test_tickers_come_whole_when_something_traded(core):
    messages, _ = subscribed(core, "tickers.BTCUSDT")
    core.advance(500)
    trade(core)
    core.advance(500)
    first, second = heard(messages)
    assert list(first) == ["topic", "ts", "type", "cs", "data"]
    assert (first["data"]["lastPrice"], second["data"]["lastPrice"]) == ("60000", "60006")
    assert second["cs"] > first["cs"]
    assert "bid1Price" not in first["data"]


def test_candles_close(core):
    messages, _ = subscribed(core, "kline.1.BTCUSDT")
    begin = core.now // 60_000 * 60_000
    core.advance(60_500)
    rows = [message["data"][0] for message in heard(messages)]
    closed = [row for row in rows if row["confirm"]]
    assert [(row["start"], row["end"], row["interval"]) for row in closed] == [(begin, begin + 59_999, "1")]
    assert (rows[0]["start"], rows[-1]["start"]) == (begin, begin + 60_000)


def test_price_limits(core):
    messages, _ = subscribed(core, "priceLimit.BTCUSDT")
    core.advance(300)
    (frame,) = heard(messages)
    assert list(frame) == ["topic", "ts", "data"]
    assert frame["data"] == {"symbol": "BTCUSDT", "buyLmt": "63000", "sellLmt": "57000"}


def test_subscriptions_come_and_go(core):
    messages, session = subscribed(core, "publicTrade.BTCUSDT", "orderbook.50.BTCUSDT")
    core.say(session, op="unsubscribe", args=["publicTrade.BTCUSDT", "nothing"])
    trade(core)
    core.advance(20)
    assert [message.get("topic") for message in heard(messages)[2:]] == ["orderbook.50.BTCUSDT"]
    session.close()
    trade(core)
    core.advance(20)
    assert len(messages) == 3
    assert core.exchange.hub.next_ms() == float("inf")


def test_a_message_to_a_closed_session_is_nobodys(core):
    messages = []
    session = core.open("/v5/public/spot", messages)
    session.receive('{"op":"subscribe","args":["publicTrade.BTCUSDT"]}', core.now)
    session.close()
    core.advance(20)
    trade(core)
    assert messages == []


def test_other_categories_are_not_here(core):
    assert core.open("/v5/public/linear", []).status == 404
