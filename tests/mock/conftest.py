"""A mock exchange without sockets, driven by hand, and one with sockets, driven by plain clients."""

import hashlib
import hmac
import json
import socket
import time
from urllib.parse import quote

import pytest

from exconnect.mock import MockExchange
from exconnect.mock.binance import Binance
from exconnect.mock.engine import Engine
from exconnect.mock.faults import Faults
from exconnect.mock.fixed import scaled
from exconnect.mock.http import Request
from exconnect.mock.market import DEFAULT_BALANCES, DEFAULT_SYMBOLS, Market
from exconnect.mock.orders import NewOrder
from exconnect.mock.steps import Reset, Wait
from exconnect.mock.world import Setup

NOW = 1_795_000_000_000


class Desk:
    """An engine with one user, and few words to trade with it."""

    def __init__(self, balances=None):
        market = Market.of("BTC/USDT", "60000")
        amounts = {asset: scaled(amount) for asset, amount in (balances or DEFAULT_BALANCES).items()}
        self.engine = Engine([market], {"user": amounts}, seed=1)
        self.market = market
        self.book = self.engine.books[market.symbol]
        self.now = NOW

    def place(self, side, type, quantity="0", price="0", *, owner="user", **more):
        numbers = {name: scaled(more.pop(name)) for name in ("stop_price", "quote_quantity") if name in more}
        wish = NewOrder(
            self.market, side, type, scaled(quantity), scaled(price), owner=owner, **numbers, **{"stp": "none", **more}
        )
        return self.engine.place(wish, self.now)

    def outsider(self, side, quantity, price="0"):
        return self.engine.execute(self.market.symbol, side, scaled(quantity), scaled(price), self.now)

    def free(self, asset):
        return self.engine.accounts["user"].of(asset).free

    def locked(self, asset):
        return self.engine.accounts["user"].of(asset).locked

    def kinds(self):
        reports = [event for event in self.engine.events if hasattr(event, "kind")]
        self.engine.events.clear()
        return [(report.kind, report.status) for report in reports]


class Core:
    """The Binance dialect without sockets: requests are values, time stands until it is moved."""

    def __init__(self, *, seed=7, activity=0.0, limits=None):
        self.now = NOW
        self.faults = Faults(lambda fault: self.exchange.on_fault(fault, self.now))
        setup = Setup(DEFAULT_SYMBOLS, DEFAULT_BALANCES, seed, activity, NOW)
        self.exchange = Binance(setup, self.faults, limits)
        self.world = self.exchange.world
        self.key, self.secret = self.exchange.keys.hmac()

    def request(self, method, path, query="", headers=None, body=""):
        return self.drive(Request(method, path, query, headers or {}, body))

    def drive(self, request):
        steps = self.exchange.serve(request, self.now)
        step = next(steps)
        while isinstance(step, Wait):
            self.now += int(step.seconds * 1000)
            step = steps.send(self.now)
        return None if isinstance(step, Reset) else step.response

    def get(self, path, **params):
        return self.request("GET", path, encode(params))

    def signed(self, method, path, **params):
        query = sign({"timestamp": self.now, **params}, self.secret)
        return self.request(method, path, query, {"x-mbx-apikey": self.key})

    def order(self, side="BUY", type="LIMIT", quantity="0.01", price="59000", **more):
        params = {"symbol": "BTCUSDT", "side": side, "type": type, "quantity": quantity, "price": price}
        if type == "LIMIT":
            params["timeInForce"] = "GTC"
        given = {name: value for name, value in {**params, **more}.items() if value is not None}
        return self.signed("POST", "/api/v3/order", **given)

    def open(self, target, messages):
        path, _, query = target.partition("?")
        return self.exchange.open(Request("GET", path, query, {}), messages.append, self.now)

    def advance(self, ms):
        self.now += ms
        self.exchange.advance(self.now)


def encode(params):
    return "&".join(f"{name}={quote(str(value), safe='')}" for name, value in params.items())


def sign(params, secret):
    query = encode(params)
    return f"{query}&signature={hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()}"


class Plain:
    """A client made of one socket."""

    def __init__(self, mock):
        self.mock = mock
        env = mock.env()
        self.key, self.secret = env["EXCONNECT_BINANCE_API_KEY"], env["EXCONNECT_BINANCE_API_SECRET"]
        self.sock = socket.create_connection(("127.0.0.1", int(mock.rest_url.rpartition(":")[2])), timeout=30)
        self.headers = {}

    def request(self, method, path, query="", body="", headers=()):
        target = f"{path}?{query}" if query else path
        lines = [f"{method} {target} HTTP/1.1", "Host: mock", *headers]
        if body:
            lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        return self.read()

    def read(self):
        """(status, body as text); headers stay in ``headers``."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.sock.recv(65_536)
            if not more:
                raise ConnectionError("closed")
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(body) < int(self.headers["content-length"]):
            body += self.sock.recv(65_536)
        return int(first.split(" ")[1]), body.decode()

    def signed(self, method, path, **params):
        timestamp = time.time_ns() // 1_000_000 + round(self.mock.clock_offset * 1000)
        query = sign({"timestamp": timestamp, **params}, self.secret)
        return self.request(method, path, query, headers=[f"X-MBX-APIKEY: {self.key}"])

    def place(self, client_id, price="59000", quantity="0.01"):
        status, body = self.signed(
            "POST",
            "/api/v3/order",
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity=quantity,
            price=price,
            newClientOrderId=client_id,
        )
        return status, json.loads(body)

    def close(self):
        self.sock.close()


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture(scope="session")
def make_desk():
    return Desk


@pytest.fixture
def core():
    return Core()


@pytest.fixture(scope="session")
def make_core():
    return Core


@pytest.fixture
def mock():
    with MockExchange("binance", seed=7, activity=0) as exchange:
        yield exchange


@pytest.fixture
def plain(mock):
    client = Plain(mock)
    yield client
    client.close()


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
