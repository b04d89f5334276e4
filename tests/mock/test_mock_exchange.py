"""Sockets and life: start, stop, forks, pings, limits of connections, and what the user of a mock can set."""

import dataclasses
import json
import os
import re
import socket
import sys
import threading
import time
import warnings
from decimal import Decimal

import pytest
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import connect

from exconnect import Client, Side
from exconnect.errors import ConfigurationError
from exconnect.mock import Ledger, LedgerBook, MockExchange
from exconnect.mock.steps import SocketRules

pytestmark = pytest.mark.network


def stream(mock, target="/ws/btcusdt@trade", **options):
    return connect(mock.stream_url + target, **{"open_timeout": 5, "ping_interval": None, **options})


def rules(mock, **changes):
    mock._core.rules = dataclasses.replace(mock._core.rules, **changes)


def test_making_one_starts_nothing():
    before = threading.enumerate()
    mock = MockExchange()
    assert threading.enumerate() == before
    assert "not started" in repr(mock)
    assert "not started" in repr(MockExchange("binance", port=8099))
    with pytest.raises(ConfigurationError, match=r"not been started: `with MockExchange\(…\) as mock:`"):
        Client("binance", environment=mock)
    with pytest.raises(RuntimeError, match="not been started"):
        _ = mock.state_dir
    mock.stop()


def test_help_shows_all_that_it_has():
    assert not [
        name for name in vars(MockExchange()) if not name.startswith("_")
    ]  # help() shows a class, not an object
    assert all(vars(MockExchange)[name].__doc__ for name in ("exchange", "seed", "faults", "ledger"))


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "exconnect.mock.server", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'exconnect\[mock\]'"):
        MockExchange().start()


def test_a_connection_that_comes_while_it_stops_is_closed(mock):
    server = mock._server
    mock.stop()
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname(), timeout=5) as client,
    ):
        server._adopt(listener.accept()[0])
        assert client.recv(1) == b""


def test_threads_have_names(mock):
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("exconnect-mock.")]
    assert len(names) == 2
    mock.start()
    assert len([thread for thread in threading.enumerate() if thread.name.startswith("exconnect-mock.")]) == 2


def test_addresses(mock):
    port = mock.rest_url.rpartition(":")[2]
    assert mock.url == f"http://127.0.0.1:{port} ws://127.0.0.1:{port} ws://127.0.0.1:{port}"
    assert mock.endpoints.rest == mock.rest_url
    env = mock.env()
    assert env["EXCONNECT_BINANCE_ENVIRONMENT"] == mock.url
    assert env["EXCONNECT_STATE_DIR"] == str(mock.state_dir)
    assert mock.state_dir.is_dir()
    assert mock.credentials().key == env["EXCONNECT_BINANCE_API_KEY"]
    assert [mock.credentials(kind).kind for kind in ("hmac", "rsa", "ed25519")] == ["hmac", "rsa", "ed25519"]
    with pytest.raises(ValueError, match="one of ed25519, hmac, rsa"):
        mock.credentials("paper")


def test_wrong_arguments():
    with pytest.raises(ValueError, match="one of binance, bybit"):
        MockExchange("nowhere")
    with pytest.raises(ValueError, match="BASE/QUOTE"):
        MockExchange(symbols={"BTCUSDT": "1"})
    with pytest.raises(ValueError, match="one of orders, request_weight"):
        MockExchange(limits={"ip": (1, 1)})
    with pytest.raises(ValueError, match=r'symbols must map names to amounts, as in symbols=\{"BTC/USDT": "60000"\}'):
        MockExchange(symbols=["BTC/USDT"])
    with pytest.raises(ValueError, match=r'0.1 is a float, which has already lost digits: write "0.1"'):
        MockExchange(balances={"BTC": 0.1})
    with pytest.raises(ValueError, match="'much' is no amount"):
        MockExchange(balances={"BTC": "much"})
    with pytest.raises(ValueError, match="'1e99999999' is no amount"):
        MockExchange(balances={"BTC": "1e99999999"})
    with pytest.raises(ValueError, match="port=-1: from 0"):
        MockExchange(port=-1)


def test_a_port_of_ones_own():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with MockExchange(port=port) as mock:
        assert mock.rest_url == f"http://127.0.0.1:{port}"
        with pytest.raises(OSError, match="in use"):
            MockExchange(port=port).start()


def test_stop_removes_and_closes(make_plain):
    mock = MockExchange(activity=0).start()
    folder, client = mock.state_dir, make_plain(mock)
    assert client.request("GET", "/api/v3/ping")[0] == 200
    mock.stop()
    mock.stop()
    assert not folder.exists()
    assert client.sock.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        make_plain_again(mock)


def make_plain_again(mock):
    socket.create_connection(("127.0.0.1", int(mock.rest_url.rpartition(":")[2])), timeout=30)


def test_stop_whatever_hangs(make_plain):
    mock = MockExchange(activity=0).start()
    mock.faults.add("hang", on="fetch_time", at="before_accept", seconds=600)
    hanging, idle = make_plain(mock), make_plain(mock)
    hanging.sock.sendall(b"GET /api/v3/time HTTP/1.1\r\nHost: x\r\n\r\n")
    idle.sock.sendall(b"GET /api/v3/ti")
    with stream(mock) as deaf:
        while mock.ledger.connections() == 0 or not mock.ledger.requests:
            deaf.ping().wait(0.01)
        begin = time.monotonic()
        mock.stop()
        assert time.monotonic() - begin < 10  # not the 600 of the answer that hangs
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("exconnect-mock.")]


def test_a_forked_child_stops_nothing(mock, plain):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, which is the point
        child = os.fork()
    if child == 0:  # pragma: no cover (another process)
        try:
            mock.stop()
            os._exit(0 if mock.state_dir.is_dir() else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert plain.request("GET", "/api/v3/ping")[0] == 200
    assert mock.state_dir.is_dir()


def test_one_connection_many_requests(mock, plain):
    for _ in range(20):
        assert plain.request("GET", "/api/v3/time")[0] == 200
    assert plain.headers["content-type"] == "application/json;charset=UTF-8"
    assert plain.headers["x-mbx-used-weight-1m"] == "20"
    assert len(mock.ledger.requests) == 20


def test_parameters_in_the_body(mock, plain):
    import hashlib
    import hmac

    timestamp = time.time_ns() // 1_000_000
    query = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC"
    body = f"quantity=0.01&price=59000&timestamp={timestamp}"
    signature = hmac.new(plain.secret.encode(), (query + body).encode(), hashlib.sha256).hexdigest()
    status, text = plain.request(
        "POST", "/api/v3/order", query, f"{body}&signature={signature}", [f"X-MBX-APIKEY: {plain.key}"]
    )
    assert (status, json.loads(text)["status"]) == (200, "NEW")


def test_nonsense_is_refused(mock, make_plain):
    client = make_plain(mock)
    client.sock.sendall(b"HELLO\r\n\r\n")
    assert client.read()[0] == 400


def test_orders_and_the_ledger(mock, plain):
    status, placed = plain.place("mine")
    assert (status, placed["status"]) == (200, "NEW")
    assert mock.execute("BTC/USDT", "sell", "200", price="59000") == Decimal("100.01")
    order = mock.ledger.order("mine")
    assert (order.symbol, order.side, order.type, order.status) == ("BTC/USDT", "buy", "limit", "filled")
    assert (order.price, order.quantity, order.filled_quantity) == (Decimal(59000), Decimal("0.01"), Decimal("0.01"))
    (fill,) = mock.ledger.fills("mine")
    assert (fill.price, fill.fee, fill.fee_asset) == (Decimal(59000), Decimal("0.00001"), "BTC")
    assert mock.ledger.balances()["USDT"] == (Decimal(999410), Decimal(0))
    assert len(mock.ledger.trades("BTC/USDT")) == 101
    assert mock.ledger.trades("BTC/USDT")[0].side == "sell"
    book = mock.ledger.book("BTC/USDT")
    assert isinstance(book, LedgerBook)
    assert (book.bids, len(book.asks)) == ([], 100)
    assert mock.ledger.orders("ETH/USDT") == []
    assert mock.ledger.orders() == [order]
    assert isinstance(mock.ledger, Ledger)
    assert mock.ledger.order("nobody") is None


def test_many_at_once(make_plain):
    """Eight people at once, others trading: every order is answered once, and the books balance."""
    with MockExchange(seed=2, activity=100, limits={"orders": (10_000, 10)}) as mock:
        clients, answers = [make_plain(mock) for _ in range(8)], []

        def work(number, client):
            answers.extend(client.place(f"{number}-{i}", "60100", "0.0001")[1]["status"] for i in range(40))

        threads = [threading.Thread(target=work, args=pair) for pair in enumerate(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        orders, fills, balances = mock.ledger.orders(), mock.ledger.fills(), mock.ledger.balances()
    assert answers == ["FILLED"] * 320
    assert len({order.client_order_id for order in orders}) == 320
    assert sum(fill.quantity for fill in fills) == sum(order.filled_quantity for order in orders)
    paid = sum(fill.price * fill.quantity for fill in fills)
    got = sum(fill.quantity - fill.fee for fill in fills)
    assert balances["USDT"] == (1_000_000 - paid, 0)
    assert balances["BTC"] == (100 + got, 0)
    assert mock.ledger.violations == []


def test_conditional_orders_are_untriggered_in_the_ledger(mock, plain):
    plain.signed(
        "POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="STOP_LOSS", quantity="1", stopPrice="60012",
        newClientOrderId="stop",
    )  # fmt: skip
    assert mock.ledger.order("stop").status == "untriggered"
    mock.execute("BTC/USDT", "buy", "1.5")
    assert mock.ledger.order("stop").status == "filled"


def test_the_ledger_shows_what_is_in_it(mock):
    with Client("binance", environment=mock) as client:
        client.place_order("BTC/USDT", "buy", "0.1", type="market")
    assert re.fullmatch(r"<Ledger: 1 orders, 1 fills, \d+ requests>", repr(mock.ledger))


def test_outsiders_need_a_side(mock):
    with pytest.raises(ValueError, match="one of buy, sell"):
        mock.execute("BTC/USDT", "hold", "1")
    with pytest.raises(KeyError, match="symbol='BTCUSDT': one of BTC/USDT, ETH/USDT"):
        mock.execute("BTCUSDT", "buy", "1")
    with pytest.raises(ValueError, match="quantity='0': above zero"):
        mock.execute("BTC/USDT", "buy", "0")
    assert mock.execute("BTC/USDT", "BUY", "0.1") == mock.execute("BTC/USDT", Side.SELL, "0.1") == Decimal("0.1")


def test_the_clock_can_be_ahead(mock, plain):
    mock.clock_offset = 3600.0
    served = json.loads(plain.request("GET", "/api/v3/time")[1])["serverTime"]
    assert abs(served - time.time_ns() // 1_000_000 - 3_600_000) < 2_000
    mock.clock_offset = -10.0
    assert plain.place("a")[0] == 200
    mock.clock_offset = 0
    assert mock.clock_offset == 0


def test_activity_can_be_switched_on(mock):
    with stream(mock) as socket_:
        assert mock.activity == 0
        mock.activity = 200
        trades = [json.loads(socket_.recv(timeout=30))["t"] for _ in range(20)]
    assert trades == list(range(trades[0], trades[0] + 20))


def test_control_messages_on_the_wire(mock):
    with stream(mock, "/ws") as socket_:
        socket_.send('{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}')
        assert json.loads(socket_.recv(timeout=30)) == {"result": None, "id": 1}
        mock.execute("BTC/USDT", "buy", "0.01")
        assert json.loads(socket_.recv(timeout=30))["q"] == "0.01000000"
        assert mock.ledger.connections() == 1
        assert mock.ledger.connections("private") == 0
    assert mock.ledger.violations == []


def test_a_private_socket(mock):
    with connect(f"{mock.private_url}/ws-api/v3", open_timeout=30) as socket_:
        socket_.send('{"id":1,"method":"ping"}')
        assert json.loads(socket_.recv(timeout=30))["status"] == 200
        assert mock.ledger.connections("private") == 1


def talk_too_much(socket_):
    for number in range(12):
        socket_.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
    while True:
        socket_.recv(timeout=30)


def test_more_than_five_messages_a_second(mock):
    with stream(mock, "/ws") as socket_:
        with pytest.raises(ConnectionClosed) as caught:
            talk_too_much(socket_)
        assert caught.value.rcvd.code == 1008
    assert mock.ledger.violations == ["control messages too fast"]


def test_pings_are_sent_and_their_pongs_awaited(mock):
    rules(mock, ping_every=0.05, pong_within=2.0, frames_per_second=None)
    with stream(mock) as polite:
        with pytest.raises(TimeoutError):
            polite.recv(timeout=0.6)
        assert mock.ledger.violations == []
    rude = socket.create_connection(("127.0.0.1", int(mock.rest_url.rpartition(":")[2])), timeout=30)
    rude.sendall(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    received = b""
    while more := rude.recv(4096):
        received += more
    rude.close()
    assert received.startswith(b"HTTP/1.1 101")
    assert b"\x89\x0d" in received
    assert mock.ledger.violations == ["no pong"]


def test_life_ends_with_a_notice(mock):
    rules(mock, lifetime=1.2)
    with stream(mock, "/stream?streams=btcusdt@trade") as socket_:
        notice = json.loads(socket_.recv(timeout=30))
        assert (notice["stream"], notice["data"]["e"]) == ("!serverShutdown", "serverShutdown")
        with pytest.raises(ConnectionClosed) as caught:
            socket_.recv(timeout=30)
    assert caught.value.rcvd.code == 1001


def test_disconnect_and_refuse(mock):
    with stream(mock) as socket_:
        fault = mock.faults.add("disconnect", on="public")
        with pytest.raises(ConnectionClosed):
            socket_.recv(timeout=30)
        assert (fault.fired, fault.wait(0)) == (1, True)
    with stream(mock) as socket_:
        fault = mock.faults.add("refuse", seconds=30)
        with pytest.raises(ConnectionClosed):
            socket_.recv(timeout=30)
    with pytest.raises((OSError, EOFError, InvalidMessage)), stream(mock):
        pass
    assert fault.fired == 2
    fault.remove()
    with stream(mock):
        pass


def test_too_many_connections(mock):
    mock._core._attempts.add(300, mock._now_ms())
    with pytest.raises(InvalidStatus, match="429"), stream(mock):
        pass
    assert mock.ledger.violations == ["over a limit: connections"]


def test_an_unknown_socket(mock):
    with pytest.raises(InvalidStatus, match="404"), stream(mock, "/nowhere"):
        pass


def test_a_listener_that_never_reads_does_not_stop_the_others(mock, plain):
    mock.activity = 300
    deaf = stream(mock, "/stream?streams=btcusdt@depth20@100ms/btcusdt@depth@100ms", max_queue=1, close_timeout=0.1)
    with deaf, stream(mock) as other:
        for _ in range(50):
            other.recv(timeout=30)
        assert plain.request("GET", "/api/v3/ping")[0] == 200


def test_a_stream_book_is_the_ledgers_book():
    with MockExchange(seed=3, activity=100) as mock, stream(mock, "/ws/btcusdt@depth@100ms") as socket_:
        import urllib.request

        first = json.loads(socket_.recv(timeout=30))
        with urllib.request.urlopen(f"{mock.rest_url}/api/v3/depth?symbol=BTCUSDT&limit=5000", timeout=5) as answer:
            snapshot = json.load(answer)
        sides = {"b": dict(map(tuple, snapshot["bids"])), "a": dict(map(tuple, snapshot["asks"]))}
        at, end, diff = snapshot["lastUpdateId"], None, first
        while end is None or at < end:
            if diff["u"] > at:
                assert diff["U"] <= at + 1
                at = diff["u"]
                for side, levels in sides.items():
                    levels.update(map(tuple, diff[side]))
            if end is None and at > snapshot["lastUpdateId"] + 100:
                mock.activity = 0
                truth = mock.ledger.book("BTC/USDT")
                end = truth.sequence
            if end is None or at < end:
                diff = json.loads(socket_.recv(timeout=30))
    for rows, levels in ((truth.bids, sides["b"]), (truth.asks, sides["a"])):
        assert dict(rows) == {Decimal(p): Decimal(q) for p, q in levels.items() if Decimal(q)}


@pytest.mark.mock_exchange("binance", seed=3, activity=0, symbols={"SOL/USDT": "150"}, balances={"USDT": "10"})
def test_the_fixture_takes_the_markers_arguments(mock_exchange):
    assert mock_exchange.seed == 3
    assert set(mock_exchange.ledger.balances()) == {"USDT", "SOL"}
    assert mock_exchange.ledger.book("SOL/USDT").bids[0] == (Decimal("149.99"), Decimal(1))


def test_the_fixture_without_a_marker(mock_exchange):
    assert mock_exchange.exchange == "binance"
    assert mock_exchange.activity == 20.0


def test_rules_are_the_documented_ones():
    assert SocketRules() == SocketRules(ping_every=20.0, pong_within=60.0, lifetime=86_400.0, frames_per_second=5)
