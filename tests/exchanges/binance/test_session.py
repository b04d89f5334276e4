"""One connection's conversation, told with plain lists."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from exconnect.errors import MalformedMessage
from exconnect.exchanges.binance.stream import MarketSession, stream_name
from exconnect.model.enums import Side
from exconnect.protocol.session import Acked, BookUpdate, Closing, Refused, Topic, Unknown

AT = datetime(2026, 1, 1, tzinfo=UTC)
BOOK = Topic("book", "BTC/USDT", "BTCUSDT")
TRADE = Topic("trade", "BTC/USDT", "BTCUSDT")
TICKER = Topic("ticker", "ETH/USDT", "ETHUSDT")
MINUTE = Topic("candle", "ETH/USDT", "ETHUSDT", "1m")
MONTH = Topic("candle", "ETH/USDT", "ETHUSDT", "1M")
CANARY = "btcusdt@avgPrice"

DEPTH = {
    "e": "depthUpdate",
    "E": 1700000000100,
    "s": "BTCUSDT",
    "U": 157,
    "u": 160,
    "b": [["24999.99", "0.5"]],
    "a": [["25000.01", "0.00"]],
}
TRADED = {"e": "trade", "E": 2, "s": "BTCUSDT", "t": 0, "p": "1.50", "q": "2", "T": 1700000000000, "m": True, "M": True}
TICKED = {
    "e": "24hrTicker",
    "E": 1,
    "s": "ETHUSDT",
    "c": "3",
    "b": "2",
    "B": "1",
    "a": "4",
    "A": "1",
    "v": "9",
    "q": "27",
}
BAR = {
    "t": 0,
    "T": 59999,
    "s": "ETHUSDT",
    "i": "1m",
    "o": "1",
    "c": "2",
    "h": "3",
    "l": "1",
    "v": "5",
    "n": 7,
    "x": False,
}
KLINE = {"e": "kline", "E": 1, "s": "ETHUSDT", "k": BAR | {"q": "10"}}
CANARY_SINGS = {"e": "avgPrice", "E": 1, "s": "BTCUSDT", "i": "5m", "w": "1", "T": 1}


class Conversation:
    """A session on an open connection; what it sends is kept as decoded requests."""

    def __init__(self, market, *topics: Topic, now: float = 100.0) -> None:
        self.session = MarketSession(market)
        self.session.want(frozenset(topics))
        self.now = now
        self.sent: list[dict] = []
        self.keep(self.session.opened(now, 0))

    def keep(self, frames):
        self.sent += [json.loads(frame) for frame in frames]

    def wait(self, seconds: float = 1.0):
        self.now += seconds
        frames, wake = self.session.due(self.now, 0)
        assert self.now <= wake <= self.now + 1.0
        self.keep(frames)

    def hear(self, message, *, compact: bool = True):
        text = message if isinstance(message, str) else json.dumps(message, separators=(",", ":") if compact else None)
        return list(self.session.receive(text, self.now, AT))

    def ack(self, index: int = -1):
        return self.hear({"result": None, "id": self.sent[index]["id"]})

    @property
    def names(self):
        return [name for request in self.sent for name in request["params"]]

    @property
    def overdue(self):
        return self.session.overdue(self.now)


@pytest.fixture
def talk(market):
    return lambda *topics, **options: Conversation(market, *topics, **options)


# ---- subscribing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "topic, name",
    [
        (BOOK, "btcusdt@depth@100ms"),
        (TRADE, "btcusdt@trade"),
        (TICKER, "ethusdt@ticker"),
        (MINUTE, "ethusdt@kline_1m"),
        (MONTH, "ethusdt@kline_1M"),
        (Topic("trade", "币A/USDT", "币AUSDT"), "币ausdt@trade"),
    ],
)
def test_stream_names_are_lower_case(topic, name):
    assert stream_name(topic) == name


def test_all_that_is_wanted_goes_in_one_request_with_a_canary(talk):
    c = talk(BOOK, TRADE, TICKER)
    assert [request["method"] for request in c.sent] == ["SUBSCRIBE"]
    assert sorted(c.names) == [CANARY, "btcusdt@depth@100ms", "btcusdt@trade", "ethusdt@ticker"]
    assert c.ack() == [Acked(frozenset({BOOK, TRADE, TICKER}))]
    c.wait()
    assert len(c.sent) == 1


def test_the_canary_is_of_a_wanted_symbol(talk):
    assert "ethusdt@avgPrice" in talk(TICKER).names


def test_nothing_wanted_is_nothing_sent(talk):
    c = talk()
    c.wait()
    assert c.sent == []


def test_names_travel_as_they_are(market):
    session = MarketSession(market)
    session.want(frozenset({Topic("trade", "币A/USDT", "币AUSDT")}))
    assert "币ausdt@trade" in session.opened(0.0, 0)[0]


def test_what_changes_is_what_is_sent(talk):
    c = talk(BOOK, TRADE)
    c.ack()
    c.session.want(frozenset({TRADE, TICKER}))
    c.wait()
    assert [(request["method"], request["params"]) for request in c.sent[1:]] == [
        ("UNSUBSCRIBE", ["btcusdt@depth@100ms"]),
        ("SUBSCRIBE", ["ethusdt@ticker"]),
    ]
    assert c.ack(1) == []
    assert c.ack(2) == [Acked(frozenset({TICKER}))]


def test_a_name_that_is_under_way_is_left_alone(talk):
    c = talk(BOOK)
    c.session.want(frozenset())
    c.session.want(frozenset({BOOK}))
    c.wait()
    assert len(c.sent) == 1
    c.ack()
    c.session.want(frozenset({TRADE}))
    c.wait()
    c.session.want(frozenset({BOOK, TRADE}))
    c.wait()
    assert [request["method"] for request in c.sent] == ["SUBSCRIBE", "UNSUBSCRIBE", "SUBSCRIBE"]
    c.ack(1)
    c.wait()
    assert c.sent[-1]["params"] == ["btcusdt@depth@100ms"]


def test_no_longer_wanted_when_the_answer_comes(talk):
    c = talk(BOOK, TRADE)
    c.session.want(frozenset({TRADE}))
    assert c.ack() == [Acked(frozenset({TRADE}))]
    c.wait()
    assert (c.sent[-1]["method"], c.sent[-1]["params"]) == ("UNSUBSCRIBE", ["btcusdt@depth@100ms"])


def test_nothing_wanted_any_more_takes_the_canary_too(talk):
    c = talk(BOOK)
    c.ack()
    c.session.want(frozenset())
    c.wait()
    assert sorted(c.sent[-1]["params"]) == [CANARY, "btcusdt@depth@100ms"]


def test_chunks_and_pace(talk):
    topics = [Topic("trade", f"A{n}/B", f"A{n}B") for n in range(900)]
    c = talk(*topics)
    assert [len(request["params"]) for request in c.sent] == [200, 200, 200]
    c.wait(0.5)
    assert len(c.sent) == 3
    c.wait(0.49)
    assert len(c.sent) == 3
    c.wait(0.02)
    assert [len(request["params"]) for request in c.sent] == [200, 200, 200, 200, 101]
    assert len(set(c.names)) == 901
    assert len({request["id"] for request in c.sent}) == 5


def test_the_pace_holds_over_any_second(talk):
    c = talk(BOOK)
    c.ack()
    times = [c.now]
    for n in range(40):
        c.session.want(frozenset({Topic("trade", f"A{n}/B", f"A{n}B")}))
        before = len(c.sent)
        c.wait(0.1)
        times += [c.now] * (len(c.sent) - before)
        for index in range(before, len(c.sent)):
            c.ack(index)
    assert all(sum(1 for other in times if start <= other < start + 0.999) <= 3 for start in times)


def test_a_reconnect_begins_from_nothing(talk):
    c = talk(BOOK)
    c.ack()
    first = c.sent[-1]["id"]
    c.keep(c.session.opened(c.now + 50, 0))
    assert len(c.sent) == 2
    assert c.sent[1]["params"] == c.sent[0]["params"]
    assert c.sent[1]["id"] != first
    assert c.hear({"result": None, "id": first}) == [Unknown("answer")]


# ---- refusals -------------------------------------------------------------------------------------------------------


def forms(request_id):
    return [
        {"error": {"code": 2, "msg": "Invalid request: no such stream"}, "id": request_id},
        {"code": 2, "msg": "Invalid request: no such stream", "id": request_id},
        {"error": {"code": 2, "msg": "Invalid request: no such stream"}, "id": None},
        {"code": 2, "msg": "Invalid request: no such stream"},
    ]


@pytest.mark.parametrize("form", range(4))
def test_one_bad_topic_does_not_cost_the_others(talk, form):
    topics = [Topic("trade", f"A{n}/B", f"A{n}B") for n in range(20)]
    c, bad = talk(*topics), "a7b@trade"
    events, answered = [], 0
    while answered < len(c.sent):
        request = c.sent[answered]
        good = bad not in request["params"]
        events += c.hear({"result": None, "id": request["id"]} if good else forms(request["id"])[form])
        answered += 1
        c.wait()
    refused = [event for event in events if isinstance(event, Refused)]
    acked = frozenset().union(*(event.topics for event in events if isinstance(event, Acked)))
    assert [event.topics for event in refused] == [frozenset({topics[7]})]
    assert "no such stream" in refused[0].reason
    assert acked == frozenset(topics) - {topics[7]}
    assert all(isinstance(event, (Acked, Refused)) for event in events)
    assert len(c.sent) <= 12
    c.wait()
    assert len(c.sent) == answered


def test_a_refused_topic_may_be_asked_for_again_once_it_was_given_up(talk):
    c = talk(BOOK)
    c.hear(forms(c.sent[0]["id"])[0])
    c.wait()
    for index in (1, 2):
        c.hear(forms(c.sent[index]["id"])[0])
    c.wait()
    assert len(c.sent) == 3
    c.session.want(frozenset())
    c.session.want(frozenset({BOOK}))
    c.wait()
    assert c.sent[-1]["params"] == ["btcusdt@depth@100ms"]


def test_a_refused_canary_is_nobodys_business(talk):
    c = talk(BOOK)
    c.hear(forms(c.sent[0]["id"])[0])
    c.wait()
    by_name = {request["params"][0]: request for request in c.sent[1:]}
    assert c.hear(forms(by_name[CANARY]["id"])[0]) == []
    assert c.hear({"result": None, "id": by_name["btcusdt@depth@100ms"]["id"]}) == [Acked(frozenset({BOOK}))]
    c.wait(60)
    assert c.overdue == "neither data nor ping for 60 s" or c.overdue is None


def test_a_refused_unsubscription_is_let_go(talk):
    c = talk(BOOK, TRADE)
    c.ack()
    c.session.want(frozenset({TRADE}))
    c.wait()
    assert c.hear(forms(c.sent[-1]["id"])[0]) == []
    c.wait()
    assert len(c.sent) == 2


@pytest.mark.parametrize(
    "message",
    [
        {"error": "what", "id": None},
        {"error": {"code": 3, "msg": "x"}, "id": 77},
        {"result": None, "id": 77},
        {"result": ["a"], "id": "x"},
        {"code": 0, "msg": "Unknown property"},
        {"id": "1", "status": 200, "result": {"subscriptionId": 0}, "rateLimits": []},
    ],
)
def test_an_answer_to_nothing_is_unknown(talk, message):
    c = talk(BOOK)
    c.ack()
    assert c.hear(message) == [Unknown("answer")]


def test_an_error_text_and_a_result_that_is_none(talk):
    c = talk(BOOK)
    c.hear({"result": {"error": "carrots"}, "id": c.sent[0]["id"]})
    c.wait()
    names = [request["params"] for request in c.sent[1:]]
    assert sorted(names) == [[CANARY], ["btcusdt@depth@100ms"]]
    index = 1 + names.index(["btcusdt@depth@100ms"])
    (refused,) = c.hear({"error": "no such stream", "id": c.sent[index]["id"]})
    assert refused == Refused(frozenset({BOOK}), "no such stream")


@pytest.mark.parametrize("form", [str, float])
def test_ids_may_come_back_in_another_form(talk, form):
    c = talk(BOOK)
    assert c.hear({"result": None, "id": form(c.sent[0]["id"])}) == [Acked(frozenset({BOOK}))]


@pytest.mark.parametrize("answer", [{"result": None, "id": None}, {"result": None}])
def test_an_answer_without_an_id_is_for_the_oldest(talk, answer):
    c = talk(BOOK)
    assert c.hear(answer) == [Acked(frozenset({BOOK}))]


@pytest.mark.parametrize("data, stream", [(DEPTH, "btcusdt@depth@100ms"), (TRADED, "btcusdt@trade")])
def test_data_is_answer_enough_after_a_while(talk, data, stream):
    c = talk(BOOK, TRADE)
    c.now += 5
    assert len(c.hear(combined(data, stream))) == 1
    c.now += 0.1
    assert c.hear(combined(data, stream))[1:] == [Acked(frozenset({BOOK, TRADE}))]
    c.now += 10
    assert c.overdue is None
    c.session.want(frozenset({TRADE}))
    c.wait()
    c.now += 6
    c.hear(combined(data, stream))
    c.now += 5
    assert "no answer" in c.overdue  # nothing that comes tells that something else will not


# ---- health ---------------------------------------------------------------------------------------------------------


def test_an_answer_is_due_within_ten_seconds(talk):
    c = talk(BOOK)
    c.now += 10
    assert c.overdue is None
    c.now += 0.1
    assert "no answer" in c.overdue
    c.ack()
    assert c.overdue is None


def test_silence_counts_once_the_canary_was_heard(talk):
    c = talk(BOOK)
    c.ack()
    c.now += 30
    assert c.overdue is None
    c.hear(CANARY_SINGS)
    c.now += 5
    assert c.overdue is None
    c.now += 0.1
    assert c.overdue == "no data for 5 s"
    c.session.pinged(c.now)
    assert c.overdue == "no data for 5 s"
    c.hear(DEPTH)
    assert c.overdue is None


def test_without_a_canary_pings_show_life(talk):
    c = talk(BOOK)
    c.ack()
    c.now += 60
    assert c.overdue is None
    c.now += 0.1
    assert c.overdue == "neither data nor ping for 60 s"
    c.session.pinged(c.now)
    assert c.overdue is None
    c.now += 59
    assert c.overdue is None


def test_a_new_connection_has_not_heard_the_canary(talk):
    c = talk(BOOK)
    c.hear({"stream": CANARY, "data": CANARY_SINGS})
    c.now += 7
    assert c.overdue is not None
    c.session.opened(c.now, 0)
    c.now += 7
    assert c.overdue is None


# ---- data -----------------------------------------------------------------------------------------------------------


def combined(data, stream):
    return {"stream": stream, "data": data}


def turned(message):
    return dict(reversed(message.items()))


SHAPES = {
    "raw": lambda data, stream: data,
    "combined": combined,
    "raw, keys turned": lambda data, stream: turned(data),
    "combined, keys turned": lambda data, stream: turned(combined(turned(data), stream)),
}


def pairs(cells):
    return [(cell.price, cell.quantity) for cell in cells]


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_book_update(talk, shape, compact):
    c = talk(BOOK, TRADE, TICKER)
    (update,) = c.hear(shape(DEPTH, "btcusdt@depth@100ms"), compact=compact)
    assert isinstance(update, BookUpdate)
    bids, asks = (update.bids, update.asks) if not update.is_plain else map(pairs, (update.bids, update.asks))
    assert (bids, asks) == ([("24999.99", "0.5")], [("25000.01", "0.00")])
    assert (update.symbol, update.first_id, update.last_id) == ("BTC/USDT", 157, 160)
    assert (update.time_ms, update.received_at) == (1700000000100, AT)
    assert not update.is_snapshot
    raw = json.loads(update.raw) if update.is_plain else update.raw
    assert raw.get("data", raw) == DEPTH


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_book_update_at_no_time(talk, shape):
    with pytest.raises(MalformedMessage):
        talk(BOOK).hear(shape(DEPTH | {"E": 10**18}, "btcusdt@depth@100ms"))


def test_an_update_belongs_to_the_symbol_in_it(talk):
    other = Topic("book", "ETH/USDT", "ETHUSDT")
    c = talk(BOOK, other)
    (update,) = c.hear(combined(DEPTH, "ethusdt@depth@100ms"))
    assert update.symbol == "BTC/USDT"
    inner = {"e": "depthUpdate", "x": {"s": "ETHUSDT"}, **DEPTH}
    (update,) = c.hear(inner)
    assert update.symbol == "BTC/USDT"


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_trade(talk, shape):
    (trade,) = talk(TRADE).hear(shape(TRADED, "btcusdt@trade"))
    assert (trade.symbol, trade.id, trade.price, trade.quantity) == ("BTC/USDT", "0", Decimal("1.50"), 2)
    assert (trade.side, trade.received_at) == (Side.SELL, AT)
    assert trade.raw == TRADED


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_ticker(talk, shape):
    (ticker,) = talk(TICKER).hear(shape(TICKED, "ethusdt@ticker"))
    assert (ticker.symbol, ticker.last, ticker.bid, ticker.ask, ticker.open) == ("ETH/USDT", 3, 2, 4, None)
    assert (ticker.volume, ticker.quote_volume, ticker.received_at) == (9, 27, AT)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_candle(talk, shape):
    (candle,) = talk(MINUTE, MONTH).hear(shape(KLINE, "ethusdt@kline_1m"))
    assert (candle.symbol, candle.interval, candle.close, candle.trades) == ("ETH/USDT", "1m", 2, 7)
    assert (candle.is_closed, candle.quote_volume, candle.received_at) == (False, 10, AT)


def test_data_may_come_before_the_answer(talk):
    c = talk(BOOK)
    assert len(c.hear(DEPTH)) == 1
    assert c.ack() == [Acked(frozenset({BOOK}))]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(
    "data, stream",
    [
        (DEPTH, "btcusdt@depth@100ms"),
        (TRADED, "btcusdt@trade"),
        (TICKED, "ethusdt@ticker"),
        (KLINE, "ethusdt@kline_1m"),
    ],
)
def test_what_is_not_wanted_any_more_is_ignored(talk, shape, data, stream):
    assert talk(Topic("trade", "X/Y", "XY")).hear(shape(data, stream)) == []


def test_the_intervals_of_one_symbol_are_kept_apart(talk):
    assert talk(MONTH).hear(KLINE) == []
    assert len(talk(MONTH).hear(KLINE | {"k": BAR | {"i": "1M"}})) == 1


def test_escaped_names_are_names(talk):
    topic = Topic("book", "币/USDT", "币USDT")
    c = talk(topic)
    frame = json.dumps(combined(DEPTH | {"s": "币USDT"}, "币usdt@depth@100ms"), separators=(",", ":"))
    assert "\\u" in frame
    (update,) = c.hear(frame)
    assert update.symbol == "币/USDT"


def test_levels_in_their_usual_form_are_known_to_be_plain(talk):
    c = talk(BOOK)
    usual = DEPTH | {"b": [["24999.99000000", "0.50000000"]] * 3, "a": []}
    assert c.hear(usual)[0].is_plain
    assert c.hear(combined(usual, "btcusdt@depth@100ms"))[0].is_plain
    for level in (
        ["1", "2.0"],
        ["1.0", "2"],
        ["1e5.0", "1.0"],
        ["1..0", "1.0"],
        ["-1.0", "1.0"],
        [" 1.0", "1.0"],
        ["\uff11.0", "1.0"],
    ):
        try:
            update = c.hear(usual | {"a": [level]})[0]
        except MalformedMessage:
            continue
        assert not update.is_plain, level
    assert not c.hear(usual, compact=False)[0].is_plain


@pytest.mark.parametrize("shape", [SHAPES["raw"], SHAPES["combined"]])
def test_levels_of_something_else_say_nothing_of_the_books(talk, shape):
    other = {"b": [["1.0", "1.0"]], "a": [["2.0", "1.0"]]}
    odd = shape(DEPTH | {"b": [["1e5.0", "1.0"]], "a": [["2.0", "1.0"]]}, "btcusdt@depth@100ms")
    for message in (odd | {"x": other}, odd | {"data": {**odd.get("data", {}), "x": other}}):
        assert not any(event.is_plain for event in talk(BOOK).hear(message) if isinstance(event, BookUpdate))


def test_a_very_large_frame(talk):
    levels = [[f"{price}.5", "1.0"] for price in range(1, 40_001)]
    (update,) = talk(BOOK).hear(combined(DEPTH | {"b": levels}, "btcusdt@depth@100ms"))
    assert update.is_plain
    assert len(update.bids) == 40_000


@pytest.mark.parametrize(
    "message",
    [
        {"e": "serverShutdown", "E": 1770123456789},
        {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1770123456789}},
        {"event": {"e": "serverShutdown", "E": 1770123456789}},
    ],
)
def test_a_shutdown_is_told_in_three_shapes(talk, message):
    assert [type(event) for event in talk(BOOK).hear(message)] == [Closing]


@pytest.mark.parametrize(
    "message, name",
    [
        ({"e": "newThing", "s": "BTCUSDT"}, "newThing"),
        (combined({"u": 1, "s": "BTCUSDT", "b": "1"}, "btcusdt@bookTicker"), "bookTicker"),
        (combined({"lastUpdateId": 1}, "btcusdt@depth5@100ms"), "depth5@100ms"),
        (combined({}, "!something"), "!something"),
        ({"u": 1, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2", "A": "1"}, "A,B,a,b,s,u"),
        ([{"e": "24hrTicker"}], "array"),
        ({"subscriptionId": 0, "event": {"e": "executionReport"}}, "executionReport"),
        ({}, ""),
    ],
)
def test_what_we_do_not_know_is_counted(talk, message, name):
    assert talk(BOOK).hear(message) == [Unknown(name)]


@pytest.mark.parametrize(
    "text",
    [
        "", "pong", "7", "null", '"text"', "{", '{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate"}}',
        '{"stream":"btcusdt@depth@100ms","data":',
        '{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":2,"b":[["1"]],"a":[]}',
        '{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1.5,"u":2,"b":[],"a":[]}', '{"e":"trade","s":"BTCUSDT","t":"x"}',
        '{"e":"trade","s":"BTCUSDT","t":1,"p":"1e5","q":"1","T":1,"m":true}', '{"e":"trade","s":"BTCUSDT"}',
        '{"s":"BTCUSDT","e":"depthUpdate","U":1,"u":2,"b":[[1,2]],"a":[]}', '{"e":"depthUpdate","s":"BTCUSDT\ud800',
    ],
)  # fmt: skip
def test_what_makes_no_sense(talk, text):
    c = talk(BOOK, TRADE)
    with pytest.raises(MalformedMessage):
        c.hear(text)
    assert len(c.hear(DEPTH)) == 1


@pytest.mark.parametrize(
    "text",
    [
        '{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","u":1}}',
        '{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1}',
        '{"e":"trade","s":"BTCUSDT","t":"x"}',
        '{"s":"BTCUSDT","e":"depthUpdate","U":1}',
    ],
)
def test_a_broken_frame_names_its_symbol_where_it_still_can(talk, text):
    with pytest.raises(MalformedMessage) as caught:
        talk(BOOK, TRADE).hear(text)
    assert (caught.value.symbol, caught.value.exchange) == ("BTC/USDT", "binance")


@pytest.mark.parametrize(
    "message", [{"e": "kline", "s": "ETHUSDT"}, {"e": "kline", "k": 5}, {"e": "trade"}, {"e": ["x"]}]
)
def test_events_without_their_fields(talk, message):
    assert [event for event in talk(MINUTE).hear(message) if not isinstance(event, Unknown)] == []


def test_a_lively_connection_that_breaks_off_before_the_canary_is_heard(talk):
    c = talk(TRADE)
    c.ack()
    for _ in range(20):
        c.now += 0.1
        c.hear(TRADED)
    c.session.pinged(c.now + 13)  # which tells nothing of the data
    assert c.session.overdue(c.now + 12) is None
    assert c.session.overdue(c.now + 13) == "no data for 13 s"
