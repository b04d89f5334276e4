"""The Bybit dialect without sockets, driven by hand, and one with sockets, driven by plain clients."""

import hashlib
import hmac
import json

import pytest
from byhand import OneSocket, Still, as_many_as_wanted, encode

from exconnect.mock import MockExchange
from exconnect.mock.bybit import Bybit

A_MOMENT = 20
ORDER = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "59000"}


class Core(Still):
    dialect = Bybit

    def headers(self, payload, *, at=None, window="5000"):
        at = str(self.now if at is None else at)
        signature = sign(self.secret, f"{at}{self.key}{window}{payload}")
        sent = {"x-bapi-api-key": self.key, "x-bapi-timestamp": at, "x-bapi-sign": signature}
        return {**sent, "x-bapi-recv-window": window} if window else sent

    def read(self, path, **params):
        query = encode({"category": "spot", **params})
        return self.request("GET", path, query, self.headers(query))

    def post(self, path, **params):
        payload = json.dumps({"category": "spot", **params})
        return self.request("POST", path, "", self.headers(payload), payload)

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

    def say(self, session, **request):
        session.receive(json.dumps(request), self.now)
        self.advance(A_MOMENT)


def sign(secret, text):
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def body(response):
    return json.loads(response.body)


def result(response):
    answer = body(response)
    assert (answer["retCode"], answer["retMsg"]) == (0, "OK"), answer
    return answer["result"]


class Plain(OneSocket):
    def signed(self, method, path, **params):
        at = self.timestamp
        params = {"category": "spot", **params}
        payload = encode(params) if method == "GET" else json.dumps(params)
        headers = [f"X-BAPI-API-KEY: {self.key}", f"X-BAPI-TIMESTAMP: {at}", "X-BAPI-RECV-WINDOW: 5000"]
        headers.append(f"X-BAPI-SIGN: {sign(self.secret, f'{at}{self.key}5000{payload}')}")
        query, text = (payload, "") if method == "GET" else ("", payload)
        status, answer = self.request(method, path, query, text, headers)
        return status, json.loads(answer)

    def place(self, link_id, **change):
        return self.signed("POST", "/v5/order/create", **{**ORDER, "orderLinkId": link_id, **change})


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
    yield from as_many_as_wanted(Plain)


@pytest.fixture(scope="session")
def answer_of():
    """(the whole reply, its result or an error)."""
    return body, result
