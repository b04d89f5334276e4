"""Market streams: what comes, in which shape, and that books can be built from it without a gap."""

import json

import pytest

from exconnect.mock.fixed import scaled, text


def feed(core, names, target="/stream?streams="):
    messages = []
    session = core.open(target + "/".join(names), messages)
    return messages, session


def data(messages, stream=None):
    rows = [json.loads(message) for message in messages]
    return [row["data"] for row in rows if stream in {None, row["stream"]}]


def trade(core, side="buy", quantity="0.5"):
    core.world.engine.execute("BTC/USDT", side, scaled(quantity), 0, core.now)
    core.world.settle()


def test_raw_and_combined(core):
    raw, _ = feed(core, ["btcusdt@trade"], "/ws/")
    both, _ = feed(core, ["btcusdt@trade", "btcusdt@bookTicker"])
    trade(core)
    assert json.loads(raw[0])["e"] == "trade"
    assert [json.loads(message)["stream"] for message in both] == ["btcusdt@trade", "btcusdt@bookTicker"]
    assert json.loads(both[0])["data"] == json.loads(raw[0])


def test_trade(core):
    messages, _ = feed(core, ["btcusdt@trade", "btcusdt@aggTrade"])
    trade(core, "sell", "1.5")
    first, second = data(messages, "btcusdt@trade")
    assert " ".join(first) == "e E s t p q T m M"
    assert (first["p"], first["q"], first["m"], second["t"]) == ("59994.00000000", "1.00000000", True, first["t"] + 1)
    aggregates = data(messages, "btcusdt@aggTrade")
    assert " ".join(aggregates[0]) == "e E s a p q f l T m M"
    assert [row["f"] for row in aggregates] == [first["t"], second["t"]]


def test_book_ticker_shares_the_numbering_of_the_depth(core):
    messages, _ = feed(core, ["btcusdt@bookTicker", "btcusdt@depth@100ms"])
    trade(core)
    core.advance(100)
    ticker, diff = data(messages)
    assert list(ticker) == ["u", "s", "b", "B", "a", "A"]
    assert ticker["u"] == diff["u"] == json.loads(core.get("/api/v3/depth", symbol="BTCUSDT").body)["lastUpdateId"]
    assert ticker["A"] == "0.50000000"


def test_book_ticker_is_silent_about_what_lies_deeper(core):
    messages, _ = feed(core, ["btcusdt@bookTicker"])
    core.order(price="59000")
    trade(core)
    core.order(price="59000")
    assert len(messages) == 2  # the first is the state when something first happened


@pytest.mark.parametrize("suffix, period", [("@100ms", 100), ("", 1000)])
def test_diffs_come_in_their_cadence(core, suffix, period):
    messages, _ = feed(core, [f"btcusdt@depth{suffix}"])
    core.order(price="59000")
    core.order(price="59001")
    core.advance(period)
    core.advance(period)
    (diff,) = data(messages)
    assert diff["E"] % period == 0
    assert diff["b"] == [["59001.00000000", "0.01000000"], ["59000.00000000", "0.01000000"]]
    assert diff["u"] - diff["U"] == 1


@pytest.mark.parametrize("suffix", ["@100ms", ""])
def test_a_book_from_diffs_is_the_exchanges_book(make_core, suffix):
    core = make_core(activity=50.0, seed=11)
    messages, _ = feed(core, [f"btcusdt@depth{suffix}"])
    core.advance(700)
    snapshot = json.loads(core.get("/api/v3/depth", symbol="BTCUSDT", limit=5000).body)
    sides = {"b": dict(map(tuple, snapshot["bids"])), "a": dict(map(tuple, snapshot["asks"]))}
    for _ in range(300):
        core.order(quantity="0.001", type="MARKET", price=None)
        core.advance(137)
    core.world.retune(0, core.now)
    core.advance(1000)
    at, previous = snapshot["lastUpdateId"], None
    for diff in data(messages):
        assert previous is None or diff["U"] == previous + 1
        previous = diff["u"]
        if diff["u"] <= at:
            continue
        assert diff["U"] <= at + 1
        at = diff["u"]
        for side, levels in sides.items():
            for price, quantity in diff[side]:
                if float(quantity):
                    levels[price] = quantity
                else:
                    levels.pop(price, None)
    book = core.world.engine.books["BTC/USDT"]
    assert book.sequence == at
    assert sides["b"] == {text(price): text(book.bids.total(price)) for price in book.bids.prices()}
    assert sides["a"] == {text(price): text(book.asks.total(price)) for price in book.asks.prices()}
    assert max(map(float, sides["b"])) < min(map(float, sides["a"]))


def test_partial_books_come_at_once_and_when_something_changed(core):
    messages, _ = feed(core, ["btcusdt@depth5@100ms"])
    core.advance(300)
    assert len(messages) == 1
    trade(core)
    core.advance(300)
    first, second = data(messages)
    assert list(first) == ["lastUpdateId", "bids", "asks"]
    assert (len(first["bids"]), second["asks"][0][1]) == (5, "0.50000000")


def test_candles_close(core):
    core.now = core.now // 60_000 * 60_000 + 59_000
    core.exchange.hub.restart(core.now)
    messages, _ = feed(core, ["btcusdt@kline_1m"])
    trade(core)
    core.advance(3_500)
    rows = [row["k"] for row in data(messages)]
    minute = core.now // 60_000 * 60_000
    assert [(row["t"], row["x"]) for row in rows] == [(minute - 60_000, True), (minute, False), (minute, False)]
    assert (rows[0]["n"], rows[0]["v"], rows[1]["n"], rows[1]["f"]) == (1, "0.50000000", 0, -1)
    assert " ".join(rows[0]) == "t T s i f L o c h l v n x q V Q B"


@pytest.mark.parametrize(
    "name, fields",
    [
        ("btcusdt@ticker", "e E s p P w x c Q b B a A o h l v q O C F L n"),
        ("btcusdt@miniTicker", "e E s c o h l v q"),
        ("btcusdt@avgPrice", "e E s i w T"),
        ("btcusdt@ticker_1h", "e E s p P o h l c w v q O C F L n"),
        ("btcusdt@kline_1s", "e E s k"),
        ("btcusdt@kline_1d@+08:00", "e E s k"),
    ],
)
def test_messages_of_every_second(core, name, fields):
    messages, _ = feed(core, [name])
    core.advance(2_000)
    rows = data(messages, name)
    assert len(rows) >= 1
    assert set(rows[0]) == set(fields.split())


def test_tickers_of_all_tell_of_those_that_changed(core):
    kinds = {"!miniTicker@arr": "24hrMiniTicker", "!ticker_1h@arr": "1hTicker"}
    messages, _ = feed(core, kinds)
    core.advance(2_000)
    trade(core)
    core.advance(2_000)
    for name, kind in kinds.items():
        rows = data(messages, name)
        assert [[row["s"] for row in changed] for changed in rows] == [["BTCUSDT", "ETHUSDT"], ["BTCUSDT"]]
        assert {row["e"] for changed in rows for row in changed} == {kind}


def test_unknown_and_uppercase_streams_are_silent(core):
    messages, session = feed(core, ["BTCUSDT@trade", "nope@trade", "btcusdt@magic", "btcusdt@kline_7m"])
    trade(core)
    core.advance(2_000)
    assert messages == []
    session.receive('{"method":"LIST_SUBSCRIPTIONS","id":1}', core.now)
    assert len(json.loads(messages[0])["result"]) == 4


CONTROL = [
    ({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1}, {"result": None, "id": 1}),
    ({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": None}, {"result": None, "id": None}),
    ({"method": "LIST_SUBSCRIPTIONS", "id": "abc"}, {"result": [], "id": "abc"}),
    ({"method": "GET_PROPERTY", "params": ["combined"], "id": 2}, {"result": False, "id": 2}),
    ({"method": "SET_PROPERTY", "params": ["combined", True], "id": 3}, {"result": None, "id": 3}),
    ({"method": "GET_PROPERTY", "params": ["colour"], "id": 4}, {"code": 0, "msg": "Unknown property", "id": 4}),
    (
        {"method": "SET_PROPERTY", "params": ["combined", 1], "id": 5},
        {"code": 1, "msg": "Invalid value type: expected Boolean", "id": 5},
    ),
]


@pytest.mark.parametrize("request_, reply", CONTROL)
def test_control_messages(core, request_, reply):
    messages, session = feed(core, [], "/ws")
    assert session.receive(json.dumps(request_), core.now)
    assert json.loads(messages[0]) == reply


@pytest.mark.parametrize(
    "text_, code, begin",
    [
        ("{", 3, "Invalid JSON: "),
        ('{"id":1}', 2, "Invalid request: missing field `method`"),
        ('{"method":"LIST_SUBSCRIPTIONS"}', 2, "Invalid request: request ID"),
        ('{"method":"LIST_SUBSCRIPTIONS","id":[]}', 2, "Invalid request: request ID"),
        ('{"method":"SUBSCRBE","params":[],"id":1}', 2, "Invalid request: unknown variant `SUBSCRBE`"),
        ('{"method":"SUBSCRIBE","params":"btcusdt@trade","id":1}', 2, "Invalid request: "),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2, "Invalid request: "),
        ('{"method":"GET_PROPERTY","params":[1],"id":1}', 2, "Invalid request: property name"),
        ('{"method":"GET_PROPERTY","params":["combined",1],"id":1}', 2, "Invalid request: "),
    ],
)
def test_control_messages_that_are_wrong(core, text_, code, begin):
    messages, session = feed(core, [], "/ws")
    assert session.receive(text_, core.now)
    reply = json.loads(messages[0])
    assert reply["code"] == code
    assert reply["msg"].startswith(begin)


def test_subscriptions_come_and_go(core):
    messages, session = feed(core, [], "/ws")
    session.receive('{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}', core.now)
    trade(core)
    session.receive('{"method":"UNSUBSCRIBE","params":["btcusdt@trade"],"id":2}', core.now)
    trade(core)
    assert [json.loads(message).get("e", "reply") for message in messages] == ["reply", "trade", "reply"]
    session.receive('{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":3}', core.now)
    session.close()
    trade(core)
    assert len(messages) == 4


def test_too_many_streams(core):
    _, session = feed(core, [], "/ws")
    names = [f"s{number}@trade" for number in range(1025)]
    assert not session.receive(json.dumps({"method": "SUBSCRIBE", "params": names, "id": 1}), core.now)


def test_farewell(core):
    raw, session = feed(core, [], "/ws")
    session.farewell(5)
    wrapped, combined = feed(core, [])
    combined.farewell(5)
    event = {"e": "serverShutdown", "E": 5}
    assert (json.loads(raw[0]), json.loads(wrapped[0])) == (event, {"stream": "!serverShutdown", "data": event})


@pytest.mark.parametrize("target", ["/ws/btcusdt@trade?timeUnit=microsecond", "/ws/btcusdt@trade?timeUnit=MICROSECOND"])
def test_times_in_microseconds(core, target):
    messages = []
    core.open(target, messages)
    trade(core)
    event = json.loads(messages[0])
    assert (event["T"], event["E"]) == (core.now * 1000, core.now * 1000)


def test_a_unit_of_time_that_does_not_exist(core):
    response = core.open("/stream?streams=btcusdt@trade&timeUnit=hour", [])
    assert (response.status, json.loads(response.body)["code"]) == (400, -1194)
