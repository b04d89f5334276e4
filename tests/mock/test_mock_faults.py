"""Each fault does what its name says, as often as it was told, and the ledger knows the truth."""

import json
import threading
import time

import pytest

from exconnect.mock import MockExchange
from exconnect.mock.fixed import scaled


def body(response):
    return json.loads(response.body)


def test_skipping_counting_and_removing(core):
    fault = core.faults.add("status", on="fetch_time", after=1, times=2, status=500)
    assert [core.get("/api/v3/time").status for _ in range(4)] == [200, 500, 500, 200]
    assert fault.fired == 2
    endless = core.faults.add("status", times=None)
    assert [core.get("/api/v3/ping").status for _ in range(3)] == [503] * 3
    endless.remove()
    assert core.get("/api/v3/ping").status == 200
    core.faults.add("status")
    core.faults.clear()
    assert core.get("/api/v3/ping").status == 200


@pytest.mark.parametrize("at, orders", [("before_accept", 0), ("after_accept", 1)])
@pytest.mark.parametrize("name", ["reset", "hang", "status", "garbage", "redirect"])
def test_whether_the_exchange_has_acted(core, name, at, orders):
    core.faults.add(name, on="place_order", at=at, seconds=1.0)
    response = core.order()
    assert len(core.world.engine.orders) == orders
    arrival = core.world.record.arrivals[-1]
    if name in {"reset", "hang"}:
        assert (response, arrival.status) == (None, 0)
    else:
        assert response.status == arrival.status == {"status": 503, "garbage": 200, "redirect": 307}[name]
    assert (core.now - 1_795_000_000_000) == (1000 if name == "hang" else 0)


def test_a_delay_acts_late_or_answers_late(core):
    core.faults.add("delay", on="place_order", at="before_accept", seconds=2.0)
    late = body(core.order())
    assert late["transactTime"] == core.now == 1_795_000_002_000
    core.faults.add("delay", on="place_order", at="after_accept", seconds=2.0)
    assert body(core.order())["transactTime"] == 1_795_000_002_000


def test_a_delay_beyond_the_window_is_a_definite_no(core):
    core.faults.add("delay", on="place_order", at="before_accept", seconds=6.0)
    assert body(core.order())["code"] == -1021
    assert not core.world.engine.orders


def test_status_has_the_exchanges_words(core):
    core.faults.add("status", status=504)
    response = core.get("/api/v3/time")
    assert (response.status, body(response)["code"]) == (504, -1007)
    core.faults.add("status", status=429, retry_after=3)
    response = core.get("/api/v3/time")
    assert (response.headers["Retry-After"], body(response)["code"]) == ("3", -1003)
    core.now += 3_000
    core.faults.add("status", status=400, code=-1021)
    assert body(core.get("/api/v3/time"))["msg"].startswith("Timestamp for this request is outside")
    core.faults.add("status", status=403)
    assert core.get("/api/v3/time").content_type == "text/html"


def test_retry_after_of_a_fault_is_to_be_heeded(core):
    core.faults.add("status", on="fetch_time", status=429, retry_after=2)
    assert core.get("/api/v3/time").status == 429
    core.now += 1_999
    assert core.get("/api/v3/time").status == 429
    assert core.world.record.violations == ["a request before Retry-After had passed"]
    core.now += 1
    assert core.get("/api/v3/time").status == 200


def test_too_many_orders_shut_out_orders_alone(core):
    core.faults.add("status", on="place_order", at="before_accept", status=429, code=-1015, retry_after=60)
    assert core.order().status == 429
    core.now += 59_000
    refused = core.order()
    assert (refused.status, refused.headers["Retry-After"], body(refused)["code"]) == (429, "1", -1015)
    assert core.signed("GET", "/api/v3/account").status == 200
    assert core.world.record.violations == ["an order before Retry-After had passed"]
    core.now += 1_000
    assert core.order().status == 200


@pytest.mark.parametrize("seconds, header", [(31_536_000, "31536000"), (0.25, "0.25"), (10, "10")])
def test_retry_after_is_written_out(core, seconds, header):
    core.faults.add("status", status=429, retry_after=seconds)
    assert core.get("/api/v3/time").headers["Retry-After"] == header


def test_garbage_is_cut_off(core):
    core.faults.add("garbage", on="fetch_time")
    response = core.get("/api/v3/time")
    assert response.status == 200
    with pytest.raises(ValueError):  # noqa: PT011 (json's own)
        json.loads(response.body)


def test_lag_hides_what_is_newer(core):
    known = body(core.order(newClientOrderId="old"))
    core.faults.add("lag", on="*", seconds=5)
    core.order(newClientOrderId="new")
    core.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=known["orderId"])
    core.order(type="MARKET", price=None)

    def seen():
        rows = body(core.signed("GET", "/api/v3/openOrders"))
        missing = core.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="new").status
        fills = body(core.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT"))
        return [row["clientOrderId"] for row in rows], missing, len(fills)

    assert seen() == (["old"], 400, 0)
    core.now += 5_000
    assert seen() == (["new"], 200, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "explode"},
        {"name": "reset", "at": "sometimes"},
        {"name": "gap", "on": "place_order"},
        {"name": "lag", "on": "book"},
        {"name": "cross", "on": "trade"},
        {"name": "silence", "on": "book"},
        {"name": "gap", "on": "book", "symbol": "BTCUSDT"},
    ],
)
def test_wrong_faults(core, arguments):
    with pytest.raises(ValueError, match="one of"):
        core.faults.add(**arguments)


@pytest.mark.parametrize("exchange", ["binance", "bybit"])
def test_an_operation_that_does_not_exist_would_never_be_met(exchange):
    mock = MockExchange(exchange)
    with pytest.raises(ValueError, match=r"on='place_ordr': one of \*, amend_order, .*, place_order"):
        mock.faults.add("reset", on="place_ordr")
    for operation in ("place_order", "cancel_order", "fetch_tickers", "fetch_order", "fetch_time"):
        mock.faults.add("reset", on=operation)


@pytest.mark.parametrize("argument, value", [("after", -1), ("times", 0), ("count", 0), ("seconds", -0.5)])
def test_numbers_with_which_a_fault_would_do_nothing(core, argument, value):
    with pytest.raises(ValueError, match=f"{argument}={value}: not below"):
        core.faults.add("gap", **{argument: value})


def feed(core, *names):
    messages = []
    core.open("/stream?streams=" + "/".join(names), messages)
    return messages


def trade(core, times=1):
    for _ in range(times):
        core.world.engine.execute("BTC/USDT", "buy", scaled("0.001"), 0, core.now)
        core.world.settle()


def ids(messages):
    return [json.loads(message)["data"]["t"] - 1_000_000_000 for message in messages]


def test_gap_duplicate_reorder(core):
    messages = feed(core, "btcusdt@trade")
    core.faults.add("gap", on="trade", after=1, count=2)
    trade(core, 5)
    assert ids(messages) == [1, 4, 5]
    core.faults.add("duplicate", on="trade", symbol="BTC/USDT")
    trade(core, 2)
    assert ids(messages)[3:] == [6, 6, 7]
    swap = core.faults.add("reorder", on="trade")
    trade(core, 3)
    assert ids(messages)[6:] == [9, 8, 10]
    assert swap.fired == 1


def test_malformed_is_no_json(core):
    messages = feed(core, "btcusdt@trade")
    core.faults.add("malformed", on="*")
    trade(core, 2)
    with pytest.raises(ValueError):  # noqa: PT011 (json's own)
        json.loads(messages[0])
    assert ids(messages[1:]) == [2]


def test_only_the_symbol_that_was_meant(core):
    messages = feed(core, "btcusdt@trade")
    fault = core.faults.add("gap", on="trade", symbol="ETH/USDT")
    trade(core)
    assert (len(messages), fault.fired) == (1, 0)


@pytest.mark.parametrize("name", ["btcusdt@depth@100ms", "btcusdt@depth5@100ms", "btcusdt@bookTicker"])
def test_a_book_can_be_made_to_cross(core, name):
    messages = feed(core, name)
    core.faults.add("cross")
    trade(core)
    core.advance(200)
    data = json.loads(messages[0])["data"]
    if name.endswith("bookTicker"):
        assert float(data["b"]) > float(data["a"])
    else:
        bids, asks = data.get("bids", data.get("b")), data.get("asks", data.get("a"))
        assert max(float(price) for price, _ in bids) > min(float(price) for price, _ in asks)


def test_silence_loses_what_would_have_come(core):
    messages = feed(core, "btcusdt@trade")
    core.faults.add("silence", on="public", seconds=3)
    trade(core)
    core.advance(3_000)
    trade(core)
    assert ids(messages) == [2]


def test_waiting_for_a_fault(core):
    fault = core.faults.add("status", on="fetch_time")
    assert not fault.wait(0)
    thread = threading.Thread(target=lambda: core.get("/api/v3/time"))
    thread.start()
    assert fault.wait(30)
    thread.join()
    assert fault.wait(0)


@pytest.mark.network
def test_reset_and_hang_on_the_wire(mock, make_plain):
    mock.faults.add("reset", on="place_order")
    with pytest.raises(ConnectionResetError):
        make_plain(mock).place("a")
    mock.faults.add("hang", on="place_order", at="before_accept", seconds=0.2)
    begin = time.monotonic()
    with pytest.raises(ConnectionResetError):
        make_plain(mock).place("b")
    assert time.monotonic() - begin >= 0.2
    assert mock.ledger.order("a").status == "new"
    assert mock.ledger.order("b") is None
    assert [request.status for request in mock.ledger.requests] == [0, 0]


@pytest.mark.network
def test_a_redirect_leads_nowhere(mock, plain):
    mock.faults.add("redirect", on="fetch_time")
    status, _ = plain.request("GET", "/api/v3/time")
    assert (status, plain.headers["location"]) == (307, f"{mock.rest_url}/elsewhere")
    assert plain.request("GET", "/elsewhere")[0] == 404


@pytest.mark.network
def test_who_was_told_on_the_connection_that_he_asks_on_has_no_excuse(mock, make_plain):
    first, other = make_plain(mock), make_plain(mock)
    assert other.request("GET", "/api/v3/time")[0] == 200
    mock.faults.add("status", on="fetch_time", status=429, retry_after=60)
    assert first.request("GET", "/api/v3/time")[0] == 429
    assert other.request("GET", "/api/v3/time")[0] == 429  # may have been on its way
    assert mock.ledger.violations == []
    for plain in (first, other):
        assert plain.request("GET", "/api/v3/ping")[0] == 429
    assert mock.ledger.violations == ["a request before Retry-After had passed"] * 2


@pytest.mark.network
def test_who_was_told_that_his_orders_are_too_many_has_no_excuse(mock, plain):
    mock.faults.add("status", on="place_order", at="before_accept", status=429, code=-1015, retry_after=60)
    assert [plain.place(name)[0] for name in ("a", "b")] == [429, 429]
    assert plain.request("GET", "/api/v3/time")[0] == 200
    assert mock.ledger.violations == ["an order before Retry-After had passed"]
    assert mock.ledger.orders() == []
