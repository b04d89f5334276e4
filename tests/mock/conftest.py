"""A mock exchange without sockets, driven by hand, and one with sockets, driven by plain clients."""

import hashlib
import hmac
import json

import pytest
from byhand import NOW, OneSocket, Still, as_many_as_wanted, encode

from exconnect.mock import MockExchange
from exconnect.mock.binance import Binance
from exconnect.mock.engine import Engine
from exconnect.mock.fixed import scaled
from exconnect.mock.market import DEFAULT_BALANCES, Market
from exconnect.mock.orders import NewOrder


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


class Core(Still):
    """The Binance dialect."""

    dialect = Binance

    def signed(self, method, path, **params):
        query = sign({"timestamp": self.now, **params}, self.secret)
        return self.request(method, path, query, {"x-mbx-apikey": self.key})

    def order(self, side="BUY", type="LIMIT", quantity="0.01", price="59000", **more):
        params = {"symbol": "BTCUSDT", "side": side, "type": type, "quantity": quantity, "price": price}
        if type == "LIMIT":
            params["timeInForce"] = "GTC"
        given = {name: value for name, value in {**params, **more}.items() if value is not None}
        return self.signed("POST", "/api/v3/order", **given)


def sign(params, secret):
    query = encode(params)
    return f"{query}&signature={hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()}"


class Plain(OneSocket):
    content_type = "application/x-www-form-urlencoded"

    def signed(self, method, path, **params):
        query = sign({"timestamp": self.timestamp, **params}, self.secret)
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
def make_plain():
    """As many plain clients as a test likes."""
    yield from as_many_as_wanted(Plain)


@pytest.fixture
def plain(mock, make_plain):
    return make_plain(mock)
