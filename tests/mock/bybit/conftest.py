"""The Bybit dialect without sockets, driven by hand, and one with sockets, driven by plain clients."""

import hashlib
import hmac
import json
import socket
import time
from urllib.parse import quote

import pytest

from exconnect.mock import MockExchange
from exconnect.mock.bybit import Bybit
from exconnect.mock.faults import Faults
from exconnect.mock.http import Request
from exconnect.mock.market import DEFAULT_BALANCES, DEFAULT_SYMBOLS
from exconnect.mock.steps import Reset, Wait
from exconnect.mock.world import Setup

NOW = 1_795_000_000_000
A_MOMENT = 20
ORDER = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "59000"}


class Core:
    """The dialect without sockets: requests are values, time stands until it is moved."""

    def __init__(self, *, seed=7, activity=0.0, limits=None, symbols=DEFAULT_SYMBOLS, balances=DEFAULT_BALANCES):
        self.now = NOW
        self.faults = Faults(lambda fault: self.exchange.on_fault(fault, self.now))
        setup = Setup(symbols, balances, seed, activity, NOW)
        self.exchange = Bybit(setup, self.faults, limits)
        self.world = self.exchange.world
        self.key, self.secret = self.exchange.keys.hmac()

    def drive(self, request):
        steps = self.exchange.serve(request, self.now)
        step = next(steps)
        while isinstance(step, Wait):
            self.now += int(step.seconds * 1000)
            step = steps.send(self.now)
        return None if isinstance(step, Reset) else step.response

    def get(self, path, **params):
        return self.drive(Request("GET", path, encode(params), {}))

    def headers(self, payload, *, at=None, window="5000"):
        at = str(self.now if at is None else at)
        signature = sign(self.secret, f"{at}{self.key}{window}{payload}")
        sent = {"x-bapi-api-key": self.key, "x-bapi-timestamp": at, "x-bapi-sign": signature}
        return {**sent, "x-bapi-recv-window": window} if window else sent

    def read(self, path, **params):
        query = encode({"category": "spot", **params})
        return self.drive(Request("GET", path, query, self.headers(query)))

    def post(self, path, **params):
        payload = json.dumps({"category": "spot", **params})
        return self.drive(Request("POST", path, "", self.headers(payload), payload))

    def create(self, **change):
        given = {name: value for name, value in {**ORDER, **change}.items() if value is not None}
        return self.post("/v5/order/create", **given)

    def placed(self, **change):
        """The order as a query shows it a moment later."""
        ids = result(self.create(**change))
        self.advance(A_MOMENT)
        return self.order(ids["orderId"])

    def order(self, order_id):
        (row,) = result(self.read("/v5/order/realtime", orderId=order_id))["list"]
        return row

    def open(self, target, messages):
        path, _, query = target.partition("?")
        return self.exchange.open(Request("GET", path, query, {}), messages.append, self.now)

    def advance(self, ms):
        self.now += ms
        self.exchange.advance(self.now)

    def say(self, session, **request):
        session.receive(json.dumps(request), self.now)
        self.advance(A_MOMENT)


def encode(params):
    return "&".join(f"{name}={quote(str(value), safe='')}" for name, value in params.items())


def sign(secret, text):
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def body(response):
    return json.loads(response.body)


def result(response):
    answer = body(response)
    assert (answer["retCode"], answer["retMsg"]) == (0, "OK"), answer
    return answer["result"]


class Plain:
    """A client made of one socket."""

    def __init__(self, mock):
        self.mock = mock
        env = mock.env()
        self.key, self.secret = env["EXCONNECT_BYBIT_API_KEY"], env["EXCONNECT_BYBIT_API_SECRET"]
        self.sock = socket.create_connection(("127.0.0.1", int(mock.rest_url.rpartition(":")[2])), timeout=30)
        self.headers = {}

    def request(self, method, path, query="", payload="", headers=()):
        target = f"{path}?{query}" if query else path
        lines = [f"{method} {target} HTTP/1.1", "Host: mock", *headers]
        if payload:
            lines += ["Content-Type: application/json", f"Content-Length: {len(payload)}"]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n" + payload).encode())
        return self.read()

    def read(self):
        """(status, body as text); headers stay in ``headers``."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.sock.recv(65_536)
            if not more:
                raise ConnectionError("closed")
            data += more
        head, _, text = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(text) < int(self.headers["content-length"]):
            text += self.sock.recv(65_536)
        return int(first.split(" ")[1]), text.decode()

    def signed(self, method, path, **params):
        at = time.time_ns() // 1_000_000 + round(self.mock.clock_offset * 1000)
        params = {"category": "spot", **params}
        payload = encode(params) if method == "GET" else json.dumps(params)
        headers = [f"X-BAPI-API-KEY: {self.key}", f"X-BAPI-TIMESTAMP: {at}", "X-BAPI-RECV-WINDOW: 5000"]
        headers.append(f"X-BAPI-SIGN: {sign(self.secret, f'{at}{self.key}5000{payload}')}")
        query, text = (payload, "") if method == "GET" else ("", payload)
        status, answer = self.request(method, path, query, text, headers)
        return status, json.loads(answer)

    def place(self, link_id, **change):
        return self.signed("POST", "/v5/order/create", **{**ORDER, "orderLinkId": link_id, **change})

    def close(self):
        self.sock.close()


@pytest.fixture
def core():
    return Core()


@pytest.fixture(scope="session")
def make_core():
    return Core


@pytest.fixture
def mock():
    with MockExchange("bybit", seed=7, activity=0) as exchange:
        yield exchange


@pytest.fixture
def make_plain():
    """As many plain clients as a test likes."""
    made = []

    def make(mock):
        made.append(Plain(mock))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def plain(mock, make_plain):
    return make_plain(mock)


@pytest.fixture(scope="session")
def answer_of():
    """(the whole reply, its result or an error)."""
    return body, result
