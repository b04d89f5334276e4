"""One connection's conversation, told with plain lists."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from exconnect.errors import MalformedMessage
from exconnect.exchanges.bybit.stream import MarketSession, topic_name
from exconnect.model.enums import Side
from exconnect.model.market import Cell
from exconnect.protocol.session import Acked, BookUpdate, Refused, Topic, Unknown

AT = datetime(2026, 1, 1, tzinfo=UTC)
BOOK = Topic("book", "BTC/USDT", "BTCUSDT", depth=50)
TRADE = Topic("trade", "BTC/USDT", "BTCUSDT")
TICKER = Topic("ticker", "ETH/USDT", "ETHUSDT")
HOUR = Topic("candle", "ETH/USDT", "ETHUSDT", "1h")
CANARY = "orderbook.1.BTCUSDT"


def ack(request, *, success=True, text="subscribe", **changes):
    answer = {"success": success, "ret_msg": text, "conn_id": "c", "req_id": request["req_id"], "op": request["op"]}
    return {key: value for key, value in (answer | changes).items() if value is not None}


def frame(topic="orderbook.50.BTCUSDT", kind="delta", number=11, seq=100, **changes):
    data = {
        "s": "BTCUSDT",
        "b": [["24999.9", "0"]],
        "a": [["25000.1", "0.50"], ["25001", "3"]],
        "u": number,
        "seq": seq,
    }
    return {"topic": topic, "ts": 5, "type": kind, "data": data, "cts": 4} | changes


class Conversation:
    """A session on an open connection; what it sends is kept as decoded requests."""

    def __init__(self, market, *topics, now=100.0):
        self.session = MarketSession(market)
        self.session.want(frozenset(topics))
        self.now = now
        self.sent = [json.loads(text) for text in self.session.opened(now, 0)]

    def pass_time(self, seconds):
        self.now += seconds
        frames, wake = self.session.due(self.now, 0)
        assert wake > self.now
        new = [json.loads(text) for text in frames]
        self.sent += new
        return new

    def hear(self, message):
        text = message if isinstance(message, str) else json.dumps(message, separators=(",", ":"))
        return list(self.session.receive(text, self.now, AT))

    def subscribed(self):
        """Answer everything with yes."""
        for request in self.sent:
            self.hear(ack(request))
        self.sent.clear()
        return self


@pytest.fixture
def talk(market):
    return lambda *topics: Conversation(market, *topics)


@pytest.mark.parametrize(
    "topic, name",
    [
        (BOOK, "orderbook.50.BTCUSDT"),
        (Topic("book", "B/U", "BU"), "orderbook.50.BU"),
        (Topic("book", "B/U", "BU", depth=1000), "orderbook.1000.BU"),
        (TRADE, "publicTrade.BTCUSDT"),
        (TICKER, "tickers.ETHUSDT"),
        (HOUR, "kline.60.ETHUSDT"),
    ],
)
def test_names(topic, name):
    assert topic_name(topic) == name


# ---- subscriptions --------------------------------------------------------------------------------------------------


def test_nothing_wanted_nothing_asked(talk):
    c = talk()
    assert c.session.route() == "/v5/public/spot"
    assert c.sent == []
    assert c.pass_time(1) == []


def test_a_subscription_and_its_ack(talk):
    c = talk(BOOK, TRADE)
    (request,) = c.sent
    assert request["op"] == "subscribe"
    assert request["args"] == [CANARY, "orderbook.50.BTCUSDT", "publicTrade.BTCUSDT"]
    assert c.hear(ack(request)) == [Acked(frozenset({BOOK, TRADE}))]
    assert c.session.want(frozenset({BOOK})) == {BOOK}
    (request,) = c.pass_time(1)
    assert (request["op"], request["args"]) == ("unsubscribe", ["publicTrade.BTCUSDT"])
    assert c.session.want(frozenset({BOOK, TRADE})) == {BOOK}  # the other one is on its way out
    assert c.pass_time(1) == []
    assert c.hear(ack(request, text="unsubscribe")) == []
    assert [each["args"] for each in c.pass_time(1)] == [["publicTrade.BTCUSDT"]]


def test_an_ack_without_an_id_is_for_the_oldest(talk):
    c = talk(BOOK)
    (request,) = c.sent
    assert c.hear(ack(request, req_id=None)) == [Acked(frozenset({BOOK}))]
    assert c.hear(ack(request)) == [Unknown("answer")]


def test_chunks_of_ten(talk):
    topics = [Topic("trade", f"A{n}/U", f"A{n}U") for n in range(25)]
    c = talk(*topics)
    assert [len(request["args"]) for request in c.sent] == [10, 10, 6]  # the canary among them
    assert len({name for request in c.sent for name in request["args"]}) == 26
    assert len({request["req_id"] for request in c.sent}) == 3
    acked = [c.hear(ack(request))[0].topics for request in c.sent]
    assert frozenset().union(*acked) == set(topics)


def test_a_request_is_not_too_long(talk):
    topics = [Topic("trade", "x", "X" * 6000 + str(n)) for n in range(5)]
    c = talk(*topics)
    assert all(len(json.dumps(request["args"])) < 21_000 for request in c.sent)
    assert sum(len(request["args"]) for request in c.sent) == 6


def test_a_connection_holds_what_its_topics_may_be_long(market):
    longest = Topic("book", "x", "X" * 20, depth=1000)
    assert market.max_topics * (len(topic_name(longest)) + 3) < 21_000


@pytest.mark.parametrize(
    "text", ["Invalid symbol :[publicTrade.BADU]", "error:handler not found,topic:publicTrade.BADU"]
)
def test_one_bad_topic_does_not_cost_the_others(talk, text):
    bad = Topic("trade", "BAD/U", "BADU")
    c = talk(bad, TRADE, BOOK)
    (request,) = c.sent
    assert c.hear(ack(request, success=False, text=text)) == [Refused(frozenset({bad}), text)]
    (again,) = c.pass_time(0.1)
    assert sorted(again["args"]) == [CANARY, "orderbook.50.BTCUSDT", "publicTrade.BTCUSDT"]
    assert c.hear(ack(again)) == [Acked(frozenset({BOOK, TRADE}))]
    assert c.pass_time(1) == []


def test_a_refusal_that_names_nobody_is_halved(talk):
    bad = Topic("trade", "BAD/U", "BADU")
    c = talk(bad, TRADE, BOOK)
    refused, acked = set(), set()
    for _ in range(10):
        for request in c.sent:
            is_good = "publicTrade.BADU" not in request["args"]
            for event in c.hear(ack(request, success=is_good, text="args size >10", req_id=None)):
                (acked if isinstance(event, Acked) else refused).update(event.topics)
        c.sent = []
        c.pass_time(1)
    assert (refused, acked) == ({bad}, {TRADE, BOOK})


def test_what_was_subscribed_already_is_a_success(talk):
    c = talk(TRADE, BOOK)
    (request,) = c.sent
    text = "error:already subscribed,topic:publicTrade.BTCUSDT"
    assert c.hear(ack(request, success=False, text=text)) == [Acked(frozenset({TRADE}))]
    (again,) = c.pass_time(1)
    assert again["args"] == [CANARY, "orderbook.50.BTCUSDT"]


def test_a_refused_canary_is_nobodys_business(talk):
    c = talk(TRADE)
    (request,) = c.sent
    assert c.hear(ack(request, success=False, text=f"Invalid symbol :[{CANARY}]")) == []
    (again,) = c.pass_time(1)
    assert again["args"] == ["publicTrade.BTCUSDT"]


def test_a_refused_unsubscription_is_done(talk):
    c = talk(TRADE, BOOK).subscribed()
    c.session.want(frozenset({BOOK}))
    (request,) = c.pass_time(1)
    assert c.hear(ack(request, success=False, text="not subscribed")) == []
    assert c.pass_time(1) == []


def test_a_new_connection_knows_nothing(talk):
    c = talk(TRADE).subscribed()
    assert len(c.session.opened(c.now, 0)) == 1


def test_renewing_a_book(talk):
    """Wanted without it and with it again, as a feed says when a book broke: the stream begins anew."""
    c = talk(BOOK, TRADE).subscribed()
    c.session.want(frozenset({TRADE}))
    (leave,) = c.pass_time(0)
    assert (leave["op"], leave["args"]) == ("unsubscribe", ["orderbook.50.BTCUSDT"])
    c.session.want(frozenset({BOOK, TRADE}))
    assert c.pass_time(0) == []
    c.hear(ack(leave, text="unsubscribe"))
    (join,) = c.pass_time(0)
    assert (join["op"], join["args"]) == ("subscribe", ["orderbook.50.BTCUSDT"])


def test_another_depth_is_another_topic(talk):
    c = talk(BOOK).subscribed()
    c.session.want(frozenset({BOOK._replace(depth=200)}))
    assert [(each["op"], each["args"]) for each in c.pass_time(0)] == [
        ("unsubscribe", ["orderbook.50.BTCUSDT"]),
        ("subscribe", ["orderbook.200.BTCUSDT"]),
    ]
    assert c.hear(frame()) == []  # what is still under way of the old one


# ---- health ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic, kind", [(BOOK, "snapshot"), (TRADE, "publicTrade.BTCUSDT")])
def test_data_is_answer_enough_after_a_while(talk, topic, kind):
    row = {"i": "1", "T": 1, "p": "1", "v": "1", "S": "Buy", "s": "BTCUSDT"}
    data = frame(kind=kind) if topic is BOOK else {"topic": kind, "type": "snapshot", "ts": 1, "data": [row]}
    c = talk(BOOK, TRADE)
    c.now += 5
    assert len(c.hear(data)) == 1
    c.now += 0.1
    assert c.hear(data)[1:] == [Acked(frozenset({BOOK, TRADE}))]
    c.now += 10
    assert c.session.overdue(c.now) is None
    c.session.want(frozenset({TRADE}))
    c.session.due(c.now, 0)
    c.now += 11
    c.hear(data)
    assert "unsubscribe" in c.session.overdue(c.now)  # nothing that comes tells that something else will not


def test_an_ack_must_come(talk):
    c = talk(TRADE)
    assert c.session.overdue(c.now + 10) is None
    assert "subscribe" in c.session.overdue(c.now + 11)


@pytest.mark.parametrize(
    "pong",
    [
        {"success": True, "ret_msg": "pong", "conn_id": "c", "op": "ping"},
        {"success": True, "ret_msg": "pong", "conn_id": "c", "req_id": "3", "op": "ping"},
        {"op": "pong", "args": ["1690884539181"], "conn_id": "c"},
    ],
)
def test_a_ping_every_twenty_seconds_and_each_shape_of_pong(talk, pong):
    c = talk(TRADE).subscribed()
    assert c.pass_time(19.5) == []
    (ping,) = c.pass_time(0.5)
    assert ping == {"req_id": ping["req_id"], "op": "ping"}
    assert c.session.overdue(c.now + 10) is None
    assert "ping" in c.session.overdue(c.now + 10.1)
    assert c.hear(pong) == []
    assert c.session.overdue(c.now + 10.1) is None
    assert [each["op"] for each in c.pass_time(20)] == ["ping"]


def test_a_pong_that_is_missing_is_not_forgiven_by_the_next_ping(talk):
    c = talk(TRADE).subscribed()
    c.pass_time(20)
    c.pass_time(20)
    assert "ping" in c.session.overdue(c.now)


def test_data_behind_a_ping_answers_it(talk):
    c = talk(TRADE).subscribed()
    c.pass_time(20)
    c.now += 9
    c.hear(frame(CANARY, "snapshot", 7))
    assert c.session.overdue(c.now + 10) is None
    assert "ping" in c.session.overdue(c.now + 10.1)


def test_silence_counts_once_the_canary_has_repeated_itself(talk):
    c = talk(TRADE).subscribed()
    c.session.pinged(c.now)
    assert c.hear(frame(CANARY, "snapshot", 7)) == []
    assert c.session.overdue(c.now + 7) is None
    c.now += 3
    c.hear(frame(CANARY, "snapshot", 7))
    assert c.session.overdue(c.now + 6) is None
    assert "no data" in c.session.overdue(c.now + 6.1)
    c.now += 6.1
    c.hear({"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1, "data": []})
    assert c.session.overdue(c.now + 6) is None


def test_silence_counts_where_the_canary_never_paused(talk):
    c = talk(TRADE).subscribed()
    for number in range(7, 12):
        c.now += 2.0
        c.hear(frame(CANARY, "snapshot", number))  # the market moves: it has no reason to repeat itself
    assert c.session.overdue(c.now + 7) is None
    c.now += 2.0
    c.hear(frame(CANARY, "snapshot", 12))
    assert "no data" in c.session.overdue(c.now + 6.1)


def test_songs_with_pauses_between_them_say_nothing_of_silence(talk):
    c = talk(TRADE).subscribed()
    for number in range(7, 20):
        c.now += 4.0
        c.hear(frame(CANARY, "snapshot", number))
    assert c.session.overdue(c.now + 7) is None


def test_a_connection_without_a_canary_may_be_quiet_for_a_minute(talk):
    c = talk(TRADE).subscribed()
    assert c.session.overdue(c.now + 60) is None
    assert "60" in c.session.overdue(c.now + 61)


# ---- books ----------------------------------------------------------------------------------------------------------


def test_a_book_update(talk):
    (update,) = talk(BOOK).hear(frame())  # data may come before the ack
    assert isinstance(update, BookUpdate)
    assert (update.symbol, update.first_id, update.last_id) == ("BTC/USDT", 11, 11)
    assert update.bids == [Cell("24999.9", "0")]
    assert update.asks == [Cell("25000.1", "0.50"), Cell("25001", "3")]
    assert (update.time_ms, update.received_at, update.is_snapshot, update.is_plain) == (4, AT, False, True)
    assert json.loads(update.raw) == frame()


@pytest.mark.parametrize("order", [1, -1])
def test_keys_in_any_order(talk, order):
    message = frame(kind="snapshot")
    del message["cts"]
    (update,) = talk(BOOK).hear(dict(list(message.items())[::order]))
    assert (update.is_snapshot, update.last_id, update.time_ms) == (True, 11, 5)


@pytest.mark.parametrize(
    "levels, is_plain", [([["1e5", "1"]], False), ([["1", "-1"]], False), ([["1", "1_0"]], False), ([], True)]
)
def test_levels_that_are_no_plain_numbers_are_looked_at_again(talk, levels, is_plain):
    message = frame()
    message["data"]["b"] = levels
    (update,) = talk(BOOK).hear(message)
    assert update.is_plain is is_plain


@pytest.mark.parametrize("name, is_ours", [("BTCUSDT", True), ("btcusdt", True), (None, True), ("ETHUSDT", False)])
def test_a_book_message_of_another_symbol(talk, name, is_ours):
    message = frame(kind="snapshot")
    del message["data"]["s"]
    message["data"] |= {} if name is None else {"s": name}
    if is_ours:
        assert talk(BOOK).hear(message)[0].symbol == "BTC/USDT"
        return
    with pytest.raises(MalformedMessage, match="another book") as caught:
        talk(BOOK).hear(message)
    assert caught.value.symbol == "BTC/USDT"


@pytest.mark.parametrize("kind", ["snapshot", "delta"])
def test_a_restarted_service_sends_the_whole_book(talk, kind):
    message = frame(kind=kind)
    message["data"]["u"] = 1
    (update,) = talk(BOOK).hear(message)
    assert update.is_snapshot


def test_levels_of_something_else_say_nothing_of_the_books(talk):
    message = frame()
    message["data"]["b"] = [["1e5", "1"]]
    (update,) = talk(BOOK).hear(message | {"x": {"b": [], "a": []}})
    assert not update.is_plain


def test_a_book_message_that_makes_no_sense(talk):
    c = talk(BOOK)
    for broken in (
        '{"topic":"orderbook.50.BTCUSDT","ts":1,',
        '{"topic":"orderbook.50.BTCUSDT","type":"delta","data":{}}',
        '{ "topic":"orderbook.50.BTCUSDT","type":"delta","data":{}}',
        frame() | {"cts": 10**18},  # no time
        frame(kind="something new"),  # whether it is the whole book cannot be told
    ):
        with pytest.raises(MalformedMessage) as caught:
            c.hear(broken)
        assert caught.value.symbol == "BTC/USDT"
        assert caught.value.details["topic"] == "book"
    with pytest.raises(MalformedMessage) as caught:
        c.hear('{"topic":"orderbook.1.BTCUSDT","type":"snapshot","data":{}}')
    assert caught.value.symbol is None  # the canary


def test_the_cross_sequence_never_goes_back(talk):
    c = talk(BOOK)
    c.hear(frame(kind="snapshot", number=10, seq=100))
    assert len(c.hear(frame(number=11, seq=100))) == 1
    assert len(c.hear(frame(number=11, seq=99))) == 1  # old: the book drops it
    c.hear(frame(number=12, seq=101))
    with pytest.raises(MalformedMessage, match="cross sequence") as caught:
        c.hear(frame(number=13, seq=90))
    assert caught.value.symbol == "BTC/USDT"
    assert len(c.hear(frame(kind="snapshot", number=14, seq=5))) == 1
    without = frame(number=15)
    del without["data"]["seq"]
    assert len(c.hear(without)) == 1


def test_a_wanted_level_one_is_the_canary_too(talk):
    best = Topic("book", "BTC/USDT", "BTCUSDT", depth=1)
    c = talk(best)
    assert [request["args"] for request in c.sent] == [[CANARY]]
    assert len(c.hear(frame(CANARY, "snapshot", 7))) == 1
    assert len(c.hear(frame(CANARY, "snapshot", 7))) == 1
    c.subscribed()
    assert "no data" in c.session.overdue(c.now + 7)


# ---- other topics ---------------------------------------------------------------------------------------------------


def test_trades(talk):
    rows = [
        {"i": str(n), "T": 1700000000000, "p": "1.50", "v": "2", "S": side, "s": "BTCUSDT", "BT": False}
        for n, side in enumerate(["Buy", "Sell"])
    ]
    trades = talk(TRADE).hear({"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1, "data": rows})
    assert [(trade.id, trade.side, trade.price, trade.quantity) for trade in trades] == [
        ("0", Side.BUY, Decimal("1.50"), Decimal(2)),
        ("1", Side.SELL, Decimal("1.50"), Decimal(2)),
    ]
    assert trades[0].received_at == AT


def test_a_ticker(talk):
    data = {"symbol": "ETHUSDT", "lastPrice": "3", "usdIndexPrice": ""}
    (ticker,) = talk(TICKER).hear({"topic": "tickers.ETHUSDT", "type": "snapshot", "ts": 1000, "cs": 2, "data": data})
    assert (ticker.symbol, ticker.last, ticker.bid) == ("ETH/USDT", 3, None)
    assert ticker.time == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


def test_candles(talk):
    bar = {
        "start": 0,
        "end": 3599999,
        "interval": "60",
        "open": "1",
        "close": "2",
        "high": "3",
        "low": "1",
        "volume": "5",
    }
    message = {
        "topic": "kline.60.ETHUSDT",
        "type": "snapshot",
        "ts": 7,
        "data": [bar | {"confirm": True, "turnover": "9"}],
    }
    (candle,) = talk(HOUR).hear(message)
    assert (candle.interval, candle.is_closed, candle.quote_volume, candle.symbol) == ("1h", True, 9, "ETH/USDT")
    assert (candle.received_at, candle.open_time) == (AT, datetime(1970, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "message, symbol",
    [
        ({"topic": "publicTrade.BTCUSDT", "data": {}}, "BTC/USDT"),
        ({"topic": "publicTrade.BTCUSDT", "data": [{"i": "1"}]}, "BTC/USDT"),
        ("nonsense", None),
        ("[1]", None),
        ("{", None),
        ('{"topic":"orderbook.50.BTC', None),
        ('{"topic":"orderbook.' + "5" * 80, None),
    ],
)
def test_what_makes_no_sense(talk, message, symbol):
    with pytest.raises(MalformedMessage) as caught:
        talk(TRADE).hear(message)
    assert caught.value.symbol == symbol


@pytest.mark.parametrize(
    "message, name",
    [
        ({"topic": "priceLimit.BTCUSDT", "ts": 1, "data": {}}, "priceLimit"),
        ({"hello": 1}, "hello"),
        ({"op": "auth", "retCode": 0}, "auth"),
        ({"success": True, "ret_msg": "subscribe", "op": "subscribe", "req_id": "99"}, "answer"),
        ({"success": False, "ret_msg": "error:invalid op", "op": "dance", "req_id": ""}, "answer"),
    ],
)
def test_what_we_do_not_know(talk, message, name):
    c = talk(TRADE).subscribed()
    assert c.hear(message) == [Unknown(name)]


@pytest.mark.parametrize("topic", ["publicTrade.XUSDT", "tickers.BTCUSDT", "kline.1.ETHUSDT"])
def test_what_is_not_wanted_any_more(talk, topic):
    assert talk(TRADE).hear({"topic": topic, "type": "snapshot", "ts": 1, "data": []}) == []
    assert talk(TRADE).hear(frame("orderbook.50.XUSDT")) == []


def test_a_lively_connection_that_breaks_off_before_the_canary_is_known(talk):
    c = talk(TRADE).subscribed()
    for _ in range(20):
        c.now += 0.1
        c.hear({"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1, "data": []})
    assert c.session.overdue(c.now + 12) is None
    assert c.session.overdue(c.now + 13) == "no data for 13 s"


def test_a_quiet_connection_that_breaks_off_may_be_quiet(talk):
    c = talk(TRADE).subscribed()
    for _ in range(20):
        c.now += 1.0
        c.hear({"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1, "data": []})
    assert c.session.overdue(c.now + 45) is None
