"""The WebSocket API: calls, keys, limits, and the events of the account."""

import base64
import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from exconnect.mock.binance.wsapi import payload


class Caller:
    def __init__(self, core):
        self.core = core
        self.messages = []
        self.session = core.open("/ws-api/v3", self.messages)

    def call(self, method, **params):
        self.session.receive(json.dumps({"id": 7, "method": method, "params": params}), self.core.now)
        return json.loads(self.messages.pop())

    def signed(self, method, **params):
        given = {"apiKey": self.core.key, "timestamp": self.core.now, **params}
        signature = hmac.new(self.core.secret.encode(), payload(given), hashlib.sha256).hexdigest()
        return self.call(method, **given, signature=signature)

    def events(self):
        rows = [json.loads(message)["event"] for message in self.messages]
        self.messages.clear()
        return rows


@pytest.fixture
def caller(core):
    return Caller(core)


ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "59000",
}


def test_public_calls(caller):
    reply = caller.call("time")
    assert (reply["id"], reply["status"], reply["result"]) == (7, 200, {"serverTime": caller.core.now})
    assert reply["rateLimits"] == [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000, "count": 3}
    ]
    kinds = [row["rateLimitType"] for row in caller.call("exchangeInfo")["result"]["rateLimits"]]
    assert kinds == ["REQUEST_WEIGHT", "ORDERS", "ORDERS", "CONNECTIONS"]
    assert "rateLimits" not in caller.call("ping", returnRateLimits=False)
    assert caller.call("v3/ping")["result"] == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"method":1}', '{"method":"ping","params":[]x}'])
def test_requests_that_are_none(caller, text):
    caller.session.receive(text, caller.core.now)
    assert json.loads(caller.messages[0])["error"]["code"] == -1135


def test_an_unknown_method(caller):
    assert caller.call("order.bake")["error"]["code"] == -1020


def test_an_order_and_its_events(caller):
    assert caller.signed("userDataStream.subscribe.signature")["result"] == {"subscriptionId": 0}
    assert caller.signed("userDataStream.subscribe.signature")["error"]["code"] == -2035
    reply = caller.signed("order.place", **{**ORDER, "price": "60006"}, newClientOrderId="mine")
    assert (reply["status"], reply["result"]["status"]) == (200, "FILLED")
    assert [row["rateLimitType"] for row in reply["rateLimits"]] == ["REQUEST_WEIGHT", "ORDERS", "ORDERS"]
    events = caller.events()
    assert [(event["e"], event.get("x"), event.get("X")) for event in events] == [
        ("executionReport", "NEW", "NEW"),
        ("executionReport", "TRADE", "FILLED"),
        ("outboundAccountPosition", None, None),
    ]
    report = events[1]
    wanted = "e E s c S o f q p P F g C x X r i l L n N z T t I w m M O Z Y Q W V"
    assert sorted(report) == sorted(wanted.split())
    assert (report["c"], report["l"], report["L"], report["n"], report["N"]) == (
        "mine",
        "0.01000000",
        "60006.00000000",
        "0.00001000",
        "BTC",
    )
    assert events[2]["B"][0] == {"a": "BTC", "f": "100.00999000", "l": "0.00000000"}
    assert report["I"] == events[0]["I"] + 1


def test_a_cancel_names_both_ids(caller):
    caller.signed("userDataStream.subscribe.signature")
    caller.signed("order.place", **ORDER, newClientOrderId="mine")
    caller.messages.clear()
    caller.signed("order.cancel", symbol="BTCUSDT", origClientOrderId="mine", newClientOrderId="bye")
    report = caller.events()[0]
    assert (report["x"], report["X"], report["c"], report["C"], report["w"]) == (
        "CANCELED",
        "CANCELED",
        "bye",
        "mine",
        False,
    )


def test_expiry_and_prevention_events(caller):
    caller.signed("userDataStream.subscribe.signature")
    caller.signed("order.place", **{**ORDER, "timeInForce": "IOC"})
    expired = caller.events()[1]
    assert (expired["x"], expired["eR"]) == ("EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED")
    caller.signed("order.place", **{**ORDER, "side": "SELL", "price": "60001"})
    caller.messages.clear()
    caller.signed("order.place", **{**ORDER, "price": "60001"}, selfTradePreventionMode="EXPIRE_TAKER")
    prevented = next(event for event in caller.events() if event.get("x") == "TRADE_PREVENTION")
    assert (prevented["X"], prevented["A"], prevented["l"]) == ("EXPIRED_IN_MATCH", "0.01000000", "0.00000000")


def test_unsubscribing(caller):
    caller.signed("userDataStream.subscribe.signature")
    assert caller.call("session.subscriptions")["result"] == [{"subscriptionId": 0}]
    assert caller.call("userDataStream.unsubscribe", subscriptionId=3)["error"]["code"] == -2036
    caller.call("userDataStream.unsubscribe")
    assert caller.events()[0]["e"] == "eventStreamTerminated"
    caller.core.order()
    assert caller.messages == []


def test_a_session(caller):
    name, key = caller.core.exchange.keys.key("ed25519")
    given = {"apiKey": name, "timestamp": caller.core.now}
    private = load_pem_private_key(key.pem.encode(), None)
    signature = base64.b64encode(private.sign(payload(given))).decode()
    assert caller.call("userDataStream.subscribe")["error"]["code"] == -2015
    reply = caller.call("session.logon", **given, signature=signature)
    assert (reply["result"]["apiKey"], reply["result"]["authorizedSince"]) == (name, caller.core.now)
    assert caller.call("account.status", timestamp=caller.core.now)["status"] == 200
    assert caller.call("account.status")["error"]["code"] == -1102
    assert caller.call("userDataStream.subscribe")["result"] == {"subscriptionId": 0}
    caller.call("session.logout")
    assert caller.events()[0]["e"] == "eventStreamTerminated"
    assert caller.call("account.status", timestamp=caller.core.now)["error"]["code"] == -2014


def test_a_logon_needs_ed25519(caller):
    assert "error" in caller.signed("session.logon")


def test_wrong_signatures(caller):
    reply = caller.call("account.status", apiKey=caller.core.key, timestamp=caller.core.now, signature="00")
    assert (reply["status"], reply["error"]["code"]) == (400, -1022)
    assert caller.call("account.status", apiKey="x" * 64, timestamp=caller.core.now, signature="0")["status"] == 401


def test_what_is_no_parameter_of_the_endpoint_is_signed_too(caller):
    reply = caller.signed("order.place", **ORDER, returnRateLimits=False)
    assert (reply["status"], "rateLimits" in reply) == (200, False)
    assert caller.signed("userDataStream.subscribe.signature", returnRateLimits=False)["status"] == 200


def test_both_sides_share_one_budget(make_core):
    core = make_core(limits={"request_weight": (25, 60)})
    core.now = core.now // 60_000 * 60_000 + 1_000
    caller = Caller(core)
    caller.call("exchangeInfo")
    assert core.get("/api/v3/depth", symbol="BTCUSDT").status == 429
    reply = caller.call("time")
    assert (reply["status"], reply["error"]["data"]["retryAfter"]) == (429, core.now + 59_000)
    core.now += 250
    core.get("/api/v3/ping")
    core.get("/api/v3/ping")
    assert not caller.session.receive('{"id":1,"method":"ping"}', core.now)


def test_order_messages_can_be_disturbed(caller):
    caller.signed("userDataStream.subscribe.signature")
    caller.core.faults.add("gap", on="order")
    caller.signed("order.place", **ORDER)
    assert [event["e"] for event in caller.events()] == ["outboundAccountPosition"]
    caller.core.faults.add("silence", on="private", seconds=1)
    caller.core.order()
    assert caller.events() == []


def test_times_in_microseconds_and_ids_as_they_were_sent(core):
    messages = []
    session = core.open("/ws-api/v3?timeUnit=MICROSECOND", messages)
    session.receive(json.dumps({"id": core.now, "method": "time"}), core.now)
    reply = json.loads(messages[0])
    assert (reply["id"], reply["result"]) == (core.now, {"serverTime": core.now * 1000})
