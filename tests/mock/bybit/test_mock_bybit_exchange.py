"""Sockets and life of the Bybit dialect; the same seed gives the same exchange."""

import json
import random
import threading
import urllib.request
from decimal import Decimal

import pytest
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import connect

from exconnect.mock import MockExchange


def stream(mock, path="/v5/public/spot"):
    return connect(mock.stream_url + path, open_timeout=30, ping_interval=None)


def said(socket_):
    return json.loads(socket_.recv(timeout=30))


def subscribe(socket_, *topics):
    socket_.send(json.dumps({"op": "subscribe", "args": list(topics)}))
    assert said(socket_)["success"] is True


pytestmark = pytest.mark.network


def test_addresses_and_keys(mock):
    port = mock.rest_url.rpartition(":")[2]
    assert mock.url == f"http://127.0.0.1:{port} ws://127.0.0.1:{port} ws://127.0.0.1:{port}"
    env = mock.env()
    assert env["EXCONNECT_BYBIT_ENVIRONMENT"] == mock.url
    assert (mock.exchange, mock.credentials().key) == ("bybit", env["EXCONNECT_BYBIT_API_KEY"])
    assert [mock.credentials(kind).kind for kind in ("hmac", "rsa")] == ["hmac", "rsa"]
    with pytest.raises(ValueError, match="one of hmac, rsa"):
        mock.credentials("ed25519")


def test_wrong_limits():
    with pytest.raises(ValueError, match="one of ip, orders"):
        MockExchange("bybit", limits={"request_weight": (1, 1)})


def judged(mock, plain, order_id):
    """The order once it has been looked at: that takes it less time than the exchange takes to answer."""
    mock.faults.add("delay", on="fetch_order", at="before_accept", seconds=0.02)
    (row,) = plain.signed("GET", "/v5/order/realtime", orderId=order_id)[1]["result"]["list"]
    return row


def test_orders_and_the_ledger(mock, plain):
    status, ack = plain.place("mine")
    assert (status, ack["retCode"]) == (200, 0)
    row = judged(mock, plain, ack["result"]["orderId"])
    assert row["orderStatus"] == "New"
    assert mock.execute("BTC/USDT", "sell", "200", price="59000") == Decimal("100.01")
    order = mock.ledger.order("mine")
    assert (order.order_id, order.status, order.type) == (row["orderId"], "filled", "limit")
    (fill,) = mock.ledger.fills("mine")
    (told,) = plain.signed("GET", "/v5/execution/list")[1]["result"]["list"]
    assert (told["execId"], Decimal(told["execFee"]), told["feeCurrency"]) == (fill.id, fill.fee, fill.fee_asset)
    assert mock.ledger.balances()["USDT"] == (Decimal(999410), Decimal(0))
    assert mock.ledger.violations == []


def test_statuses_in_the_ledger(mock, plain):
    acks = [
        plain.place("rejected", timeInForce="PostOnly", price="60100"),
        plain.place("untriggered", orderFilter="StopOrder", triggerPrice="61000"),
        plain.place("expired", timeInForce="IOC"),
        plain.place("market", orderType="Market", qty="600"),
    ]
    for _, ack in acks:
        judged(mock, plain, ack["result"]["orderId"])
    names = [order.client_order_id for order in mock.ledger.orders()]
    assert names == ["rejected", "untriggered", "expired", "market"]
    assert [order.status for order in mock.ledger.orders()] == ["rejected", "untriggered", "expired", "filled"]
    assert mock.ledger.order("market").price is None


def test_an_order_is_judged_without_another_request(mock, plain):
    """The market thread wakes for it, although nothing else happens in a still world."""
    with stream(mock) as socket_:
        subscribe(socket_, "publicTrade.BTCUSDT")
        plain.place("mine", price="60006")
        assert said(socket_)["data"][0]["v"] == "0.01"
        assert mock.ledger.connections() == 1
    assert mock.ledger.order("mine").status == "filled"


def test_the_private_socket(mock, plain):
    import hashlib
    import hmac
    import time

    with stream(mock, "/v5/private") as socket_:
        expires = time.time_ns() // 1_000_000 + 5000
        signature = hmac.new(plain.secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
        socket_.send(json.dumps({"op": "auth", "args": [plain.key, expires, signature]}))
        assert said(socket_)["success"] is True
        subscribe(socket_, "order")
        plain.place("mine")
        assert said(socket_)["data"][0]["orderLinkId"] == "mine"
        assert mock.ledger.connections("private") == 1


def test_the_clock_can_be_ahead_and_set_back(mock, plain):
    mock.clock_offset = 30.0
    assert plain.place("ahead")[1]["retCode"] == 0
    mock.clock_offset = -30.0
    _, ack = plain.place("behind")
    assert judged(mock, plain, ack["result"]["orderId"])["orderStatus"] == "New"
    assert [order.client_order_id for order in mock.ledger.orders()] == ["ahead", "behind"]


def test_a_silent_connection_ends(mock):
    session_class = type(mock._core.open(request_to("/v5/public/spot"), print, 0))
    before, session_class.idle_within = session_class.idle_within, 0.3
    try:
        with stream(mock) as silent, pytest.raises(ConnectionClosed):
            silent.recv(timeout=30)
        with stream(mock) as busy:
            for _ in range(5):
                busy.send('{"op":"ping"}')
                assert said(busy)["ret_msg"] == "pong"
    finally:
        session_class.idle_within = before


def request_to(path):
    from exconnect.mock.http import Request

    return Request("GET", path, "", {})


def test_no_pings_and_any_number_of_messages(mock):
    rules = mock._core.rules
    assert {rules.ping_every, rules.pong_within, rules.lifetime} == {float("inf")}
    assert rules.frames_per_second is None
    with stream(mock) as socket_:
        for _ in range(50):
            socket_.send('{"op":"ping"}')
        assert [said(socket_)["ret_msg"] for _ in range(50)] == ["pong"] * 50
    assert mock.ledger.violations == []


def test_disconnect_and_refuse(mock):
    with stream(mock) as public, stream(mock, "/v5/private") as private:
        mock.faults.add("disconnect", on="private")
        with pytest.raises(ConnectionClosed):
            private.recv(timeout=30)
        public.send('{"op":"ping"}')
        assert said(public)["op"] == "ping"
    fault = mock.faults.add("refuse", on="private", seconds=30)
    with pytest.raises((OSError, EOFError, InvalidMessage)), stream(mock, "/v5/trade"):
        pass
    with stream(mock):
        pass
    assert fault.fired == 2


def test_unknown_sockets_and_too_many(mock):
    with pytest.raises(InvalidStatus, match="404"), stream(mock, "/v5/public/linear"):
        pass
    mock._core._attempts.add(499, mock._now_ms())
    with pytest.raises(InvalidStatus, match="403"), stream(mock):
        pass
    assert mock.ledger.violations == ["over a limit: connections"]


def test_a_stream_book_is_the_ledgers_book():
    with MockExchange("bybit", seed=3, activity=100) as mock, stream(mock) as socket_:
        subscribe(socket_, "orderbook.200.BTCUSDT")
        sides, at, end, count = {"b": {}, "a": {}}, None, None, 0
        while end is None or at < end:
            data = said(socket_)["data"]
            assert at is None or data["u"] == at + 1
            at, count = data["u"], count + 1
            for side, levels in sides.items():
                levels.update(map(tuple, data[side]))
            if count == 60:
                mock.activity = 0
                truth = mock.ledger.book("BTC/USDT")
                end = truth.sequence
        address = f"{mock.rest_url}/v5/market/orderbook?category=spot&symbol=BTCUSDT&limit=1000"
        with urllib.request.urlopen(address, timeout=5) as answer:
            assert json.load(answer)["result"]["u"] == end
    for rows, levels in ((truth.bids, sides["b"]), (truth.asks, sides["a"])):
        assert dict(rows) == {Decimal(p): Decimal(q) for p, q in levels.items() if Decimal(q)}


def test_many_at_once(make_plain):
    """Eight people at once, others trading: every order is answered once, and the books balance."""
    with MockExchange("bybit", seed=2, activity=100, limits={"orders": (10_000, 1), "ip": (10_000, 1)}) as mock:
        clients, acks = [make_plain(mock) for _ in range(8)], []

        def work(number, client):
            acks.extend(client.place(f"{number}-{i}", price="60300", qty="0.0001")[1] for i in range(40))

        threads = [threading.Thread(target=work, args=pair) for pair in enumerate(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        judged(mock, clients[0], max(ack["result"]["orderId"] for ack in acks))
        orders, fills = mock.ledger.orders(), mock.ledger.fills()
        free, locked = mock.ledger.balances()["USDT"]
        violations = mock.ledger.violations
    assert {order.status for order in orders} == {"filled"}
    assert len({order.client_order_id for order in orders}) == 320
    assert sum(fill.quantity for fill in fills) == sum(order.filled_quantity for order in orders)
    assert (free, locked) == (1_000_000 - sum(fill.price * fill.quantity for fill in fills), 0)
    assert violations == []


@pytest.mark.mock_exchange("bybit", seed=3, activity=0)
def test_the_fixture_takes_the_exchange(mock_exchange):
    assert (mock_exchange.exchange, mock_exchange.seed) == ("bybit", 3)


# Determinism


def story(core, seed):
    """A fixed stream of user actions and the whole outcome."""
    messages = []
    session = core.open("/v5/public/spot", messages)
    topics = [
        "publicTrade.BTCUSDT",
        "orderbook.50.BTCUSDT",
        "orderbook.1.ETHUSDT",
        "tickers.BTCUSDT",
        "kline.1.ETHUSDT",
    ]
    core.say(session, op="subscribe", args=topics)
    source, replies = random.Random(seed), []
    for number in range(60):
        core.advance(source.randint(1, 400))
        side = source.choice(("Buy", "Sell"))
        change = {"side": side, "orderLinkId": f"m{number}"}
        if source.random() < 0.5:
            replies.append(core.create(price=str(source.randint(59_900, 60_100)), **change))
        else:
            replies.append(core.create(orderType="Market", price=None, marketUnit="baseCoin", **change))
    core.advance(100)
    orders = [(order.id, order.status, order.filled) for order in core.world.engine.orders.values()]
    return messages, [reply.body for reply in replies], orders


def test_the_same_again(make_core):
    first = story(make_core(seed=5, activity=30.0), 1)
    assert story(make_core(seed=5, activity=30.0), 1) == first
    assert len(first[2]) == 60
    assert story(make_core(seed=6, activity=30.0), 1)[0] != first[0]


def test_steps_of_time_do_not_matter(make_core):
    """Orders are judged and frames are sent at their own times, however often somebody looks."""
    outcomes = []
    for step in (1000, 7):
        core, messages = make_core(seed=5, activity=30.0), []
        core.say(core.open("/v5/public/spot", messages), op="subscribe", args=["orderbook.50.BTCUSDT"])
        core.create(price="60300", qty="1")
        for _ in range(7000 // step):
            core.advance(step)
        outcomes.append(messages)
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0]) > 50
