"""The account's own events on the WebSocket API: what is sent when, and what the frames mean."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from exconnect.credentials import Credentials
from exconnect.errors import AuthenticationError, MalformedMessage, OrderRejected, PermissionDenied
from exconnect.exchanges.binance import rest
from exconnect.exchanges.binance.stream import UserSession
from exconnect.model.enums import OrderStatus, OrderType, Side, Source, TimeInForce
from exconnect.model.order import AmendOrder
from exconnect.protocol.session import (
    PRIVATE,
    Acked,
    BalancesChanged,
    ClockOff,
    Closing,
    Denied,
    OrderChanged,
    Topic,
    Transferred,
    Unknown,
)
from exconnect.protocol.signing import signer

AT = datetime(2026, 1, 1, tzinfo=UTC)
TOPICS = frozenset(Topic(kind, "", "") for kind in PRIVATE)
# The exchange's own published sample: known answer F of the reference.
KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
SIGNED_AT = 1649729878532
SIGNATURE = "1cf54395b336b0a9727ef27d5d98987962bc47aca6e13fe978612d0adee066ed"
# RFC 8032, test 1, and what the reference derives from it for the same payload.
ED25519 = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
"""
LOGON_SIGNATURE = "763GJeFgG09B/06V/dq24cLu6f0R57whgDMyOCubDex4CTTElmDgPSIQqLdOsvW5TBxyaaFotVCI8tUmQMChAA=="


@pytest.fixture
def session(market):
    session = UserSession(market, signer(Credentials(KEY, SECRET)))
    session.opened(0.0, SIGNED_AT)
    return session


@pytest.fixture
def asked(session):
    """One that has sent its subscription."""
    session.want(TOPICS)
    session.due(0.0, SIGNED_AT)
    return session


@pytest.fixture
def subscribed(asked):
    assert receive(asked, {"id": 1, "status": 200, "result": {"subscriptionId": 0}}) == [Acked(TOPICS)]
    return asked


def receive(session, message, now=1.0):
    text = message if isinstance(message, str) else json.dumps(message)
    return list(session.receive(text, now, AT))


def event(session, **fields):
    return receive(session, {"subscriptionId": 0, "event": fields})


REPORT = {
    "e": "executionReport", "E": 1000, "s": "BTCUSDT", "c": "mine", "S": "BUY", "o": "LIMIT", "f": "GTC",
    "q": "2.00000000", "p": "100.50000000", "P": "0.00000000", "F": "0.00000000", "g": -1, "C": "", "x": "NEW",
    "X": "NEW", "r": "NONE", "i": 77, "l": "0.00000000", "z": "0.00000000", "L": "0.00000000", "n": "0", "N": None,
    "T": 999, "t": -1, "I": 5, "w": True, "m": False, "M": False, "O": 900, "Z": "0.00000000", "Y": "0.00000000",
    "Q": "0.00000000", "W": 900, "V": "NONE",
}  # fmt: skip
TRADE = {
    "x": "TRADE", "X": "PARTIALLY_FILLED", "l": "0.50000000", "z": "0.75000000", "L": "100.40000000",
    "n": "0.00100000", "N": "BNB", "t": 12, "Z": "75.20000000", "m": True,
}  # fmt: skip


# ---- the conversation -----------------------------------------------------------------------------------------------


def test_it_subscribes_with_the_published_signature(session):
    assert session.route() == "/ws-api/v3?returnRateLimits=false"
    assert session.due(0.0, SIGNED_AT)[0] == []  # nothing is wanted yet
    assert session.want(TOPICS) == frozenset()
    frames, _ = session.due(0.0, SIGNED_AT)
    assert [json.loads(frame) for frame in frames] == [
        {
            "id": 1,
            "method": "userDataStream.subscribe.signature",
            "params": {"apiKey": KEY, "timestamp": SIGNED_AT, "signature": SIGNATURE},
        }
    ]
    assert session.due(1.0, SIGNED_AT)[0] == []  # asked once


def test_an_ed25519_key_logs_on_first(market):
    session = UserSession(market, signer(Credentials(KEY, private_key=ED25519)))
    session.opened(0.0, SIGNED_AT)
    session.want(TOPICS)
    (frame,) = session.due(0.0, SIGNED_AT)[0]
    assert json.loads(frame) == {
        "id": 1,
        "method": "session.logon",
        "params": {"apiKey": KEY, "timestamp": SIGNED_AT, "signature": LOGON_SIGNATURE},
    }
    assert session.due(1.0, SIGNED_AT)[0] == []
    assert receive(session, {"id": 1, "status": 200, "result": {"apiKey": KEY}}) == [Acked(frozenset())]
    (frame,) = session.due(1.0, SIGNED_AT)[0]
    assert json.loads(frame) == {"id": 2, "method": "userDataStream.subscribe", "params": {}}
    assert receive(session, {"id": 2, "status": 200, "result": {"subscriptionId": 0}}) == [Acked(TOPICS)]
    session.opened(9.0, SIGNED_AT)
    assert "session.logon" in session.due(9.0, SIGNED_AT)[0][0]


def test_what_is_confirmed_stays_confirmed_until_the_connection_is_new(subscribed):
    assert subscribed.want(TOPICS) == TOPICS
    assert subscribed.due(1.0, SIGNED_AT)[0] == []
    subscribed.opened(5.0, SIGNED_AT)
    assert subscribed.want(TOPICS) == frozenset()
    assert len(subscribed.due(5.0, SIGNED_AT)[0]) == 1


def test_answers_are_matched_by_their_id(asked):
    assert receive(asked, {"id": 9, "status": 200, "result": {}}) == [Unknown("answer")]
    assert receive(asked, {"id": 1, "status": 200, "result": {"subscriptionId": 3}}) == [Acked(TOPICS)]
    assert receive(asked, {"id": 1, "status": 200, "result": {"subscriptionId": 3}}) == [Unknown("answer")]


def test_one_that_is_active_already_is_active(asked):
    error = {"code": -2035, "msg": "Subscription is already active."}
    assert receive(asked, {"id": 1, "status": 400, "error": error}) == [Acked(TOPICS)]


def test_it_asks_for_the_time_to_know_that_it_is_heard(subscribed):
    frames, wake = subscribed.due(14.9, SIGNED_AT)
    assert (frames, wake) == ([], 15.0)
    frames, wake = subscribed.due(15.0, SIGNED_AT)
    assert [json.loads(frame) for frame in frames] == [{"id": 2, "method": "time", "params": {}}]
    assert wake == 30.0
    assert subscribed.overdue(20.0) is None
    assert "time" in subscribed.overdue(20.1)
    assert receive(subscribed, {"id": 2, "status": 200, "result": {"serverTime": 1}}) == []
    assert subscribed.overdue(20.1) is None


def test_a_subscription_without_an_answer_is_overdue(asked):
    asked.pinged(9.0)
    assert asked.overdue(10.0) is None
    assert "subscribe" in asked.overdue(10.1)


def test_a_refused_timestamp_waits_for_the_right_time(asked):
    error = {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}
    (off,) = receive(asked, {"id": 1, "status": 400, "error": error})
    assert isinstance(off, ClockOff)
    assert asked.due(1.0, SIGNED_AT)[0] == []
    assert asked.want(TOPICS) == frozenset()
    (frame,) = asked.due(1.0, SIGNED_AT)[0]
    assert json.loads(frame)["id"] == 2


@pytest.mark.parametrize(
    "status, code, kind",
    [(401, -2015, PermissionDenied), (400, -2014, AuthenticationError), (400, -1022, AuthenticationError)],
)
def test_a_refused_key_is_final(asked, status, code, kind):
    (denied,) = receive(asked, {"id": 1, "status": status, "error": {"code": code, "msg": "no"}})
    assert isinstance(denied, Denied)
    assert type(denied.error) is kind


def test_a_key_that_is_revoked_later_is_told_without_an_id(subscribed):
    error = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
    (denied,) = receive(subscribed, {"id": None, "status": 401, "error": error})
    assert isinstance(denied, Denied)


def test_too_many_requests_say_how_long_to_stay_away(asked):
    data = {"serverTime": 1_000_000, "retryAfter": 1_007_500}
    error = {"code": -1003, "msg": "Too much request weight used", "data": data}
    (closing,) = receive(asked, {"id": 1, "status": 429, "error": error})
    assert isinstance(closing, Closing)
    assert closing.retry_after == 8.0


@pytest.mark.parametrize("message", [1.5, None, ["no"], {"x": 0.1}])
def test_a_refusal_whatever_its_words(asked, message):
    error = {"code": -1003, "msg": message, "data": 2.5}
    (event,) = receive(asked, {"id": 1, "status": 429, "error": error})
    assert isinstance(event, Closing)


def test_a_refusal_of_something_else_keeps_nobody_out(asked):
    error = {"code": -1121, "msg": "Invalid symbol."}
    assert receive(asked, {"id": None, "status": 400, "error": error}) == [Unknown("error")]
    (denied,) = receive(asked, {"id": 1, "status": 400, "error": error})
    assert isinstance(denied, Denied)


def test_trouble_of_the_exchange_is_not_final(asked):
    (closing,) = receive(asked, {"id": 1, "status": 500, "error": {"code": -1000, "msg": "unknown"}})
    assert isinstance(closing, Closing)


@pytest.mark.parametrize("kind", ["serverShutdown", "eventStreamTerminated"])
def test_an_end_that_is_announced(subscribed, kind):
    (closing,) = receive(subscribed, {"event": {"e": kind, "E": 1}})
    assert isinstance(closing, Closing)


def test_what_it_does_not_know_is_told_and_what_makes_no_sense_is_an_error(subscribed):
    assert event(subscribed, e="somethingNew", E=1) == [Unknown("somethingNew")]
    assert event(subscribed, e="listStatus", E=1) == []
    assert receive(subscribed, {"what": 1}) == [Unknown("what")]
    for text in ("[]", "{", '{"event":{"e":"executionReport"}}', json.dumps({"event": {**REPORT, "q": "x"}})):
        with pytest.raises(MalformedMessage):
            receive(subscribed, text)


def test_the_secret_is_in_no_repr(session):
    assert SECRET not in repr(vars(session))


# ---- events ---------------------------------------------------------------------------------------------------------


def test_a_new_order(subscribed):
    (changed,) = event(subscribed, **REPORT)
    order = changed.order
    assert changed.fill is None
    assert (order.client_order_id, order.order_id, order.symbol) == ("mine", "77", "BTCUSDT")
    assert (order.side, order.type, order.time_in_force) == (Side.BUY, OrderType.LIMIT, TimeInForce.GTC)
    assert (order.status, order.status_text, order.source) == (OrderStatus.NEW, "NEW", Source.STREAM)
    assert (order.quantity, order.price, order.stop_price) == (Decimal(2), Decimal("100.5"), None)
    assert (order.filled_quantity, order.fills_complete) == (Decimal(0), True)
    assert order.created_at.microsecond == 900_000
    assert order.updated_at.microsecond == 999_000


def test_a_fill(subscribed):
    (changed,) = event(subscribed, **REPORT | TRADE)
    order, fill = changed.order, changed.fill
    assert (order.status, order.filled_quantity) == (OrderStatus.PARTIALLY_FILLED, Decimal("0.75"))
    assert (order.filled_quote, order.fills_complete) == (Decimal("75.2"), False)
    assert (fill.id, fill.order_id, fill.client_order_id) == ("12", "77", "mine")
    assert (fill.price, fill.quantity, fill.fee, fill.fee_asset) == (
        Decimal("100.4"), Decimal("0.5"), Decimal("0.001"), "BNB",
    )  # fmt: skip
    assert (fill.is_maker, fill.source, fill.received_at) == (True, Source.STREAM, AT)
    assert fill.time == order.updated_at


def test_a_cancel_is_told_under_the_name_of_the_order(subscribed):
    (changed,) = event(subscribed, **REPORT | {"x": "CANCELED", "X": "CANCELED", "c": "of-the-cancel", "C": "mine"})
    assert changed.order.client_order_id == "mine"
    assert changed.order.status is OrderStatus.CANCELED


def test_an_order_that_the_engine_refuses(subscribed):
    (changed,) = event(subscribed, **REPORT | {"x": "REJECTED", "X": "REJECTED", "r": "INSUFFICIENT_BALANCES"})
    assert changed.order.status is OrderStatus.REJECTED
    assert isinstance(changed.order.rejection, OrderRejected)
    assert changed.order.rejection.code == "INSUFFICIENT_BALANCES"


@pytest.mark.parametrize(
    "fields, status",
    [
        ({"o": "STOP_LOSS_LIMIT", "P": "99", "w": False, "W": None}, OrderStatus.UNTRIGGERED),
        ({"o": "STOP_LOSS_LIMIT", "P": "99", "w": True}, OrderStatus.NEW),
        ({"x": "TRADE_PREVENTION", "X": "EXPIRED_IN_MATCH", "l": "0"}, OrderStatus.EXPIRED),
        ({"x": "REPLACED", "X": "NEW"}, OrderStatus.NEW),
        ({"x": "SOMETHING", "X": "SOMETHING"}, OrderStatus.NEW),
        ({"x": "SOMETHING", "X": "SOMETHING", "z": "1"}, OrderStatus.PARTIALLY_FILLED),
    ],
)
def test_words_for_states(subscribed, fields, status):
    (changed,) = event(subscribed, **REPORT | fields)
    assert changed.order.status is status
    assert changed.fill is None


def test_a_fill_by_allocation_has_a_name_too(subscribed):
    (changed,) = event(subscribed, **REPORT | TRADE | {"t": -1, "a": 4})
    assert changed.fill.id == "a4"


def test_balances(subscribed):
    position = {"e": "outboundAccountPosition", "E": 5, "u": 4, "B": [{"a": "BTC", "f": "1.5", "l": "0.5"}]}
    (changed,) = event(subscribed, **position)
    assert isinstance(changed, BalancesChanged)
    assert [(b.asset, b.free, b.locked) for b in changed.balances] == [("BTC", Decimal("1.5"), Decimal("0.5"))]
    assert changed.time_ms == 4
    for text in ("0.25", "-0.25"):
        (moved,) = event(subscribed, e="balanceUpdate", E=5, a="BTC", d=text, T=4)
        assert moved == Transferred("BTC", Decimal(text), 4)


# ---- recordings -----------------------------------------------------------------------------------------------------

KINDS = {
    "executionReport": OrderChanged,
    "outboundAccountPosition": BalancesChanged,
    "balanceUpdate": Transferred,
    "eventStreamTerminated": Closing,
}


def has_float(value):
    if dataclasses.is_dataclass(value):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, float) or (isinstance(value, list | tuple) and any(map(has_float, value)))


def lines(folder):
    found = [json.loads(line) for file in sorted(folder.rglob("*.jsonl")) for line in file.read_text().splitlines()]
    assert found
    return found


def test_every_recorded_event_is_read_without_a_float(samples, subscribed):
    seen = dict.fromkeys(KINDS, 0)
    for line in lines(samples / "binance" / "ws" / "spot"):
        if line["kind"] in KINDS:
            (told,) = receive(subscribed, line["raw"])
            assert type(told) is KINDS[line["kind"]], line["id"]
            seen[line["kind"]] += 1
            for part in (getattr(told, "order", None), getattr(told, "fill", None), *getattr(told, "balances", ())):
                assert not has_float(part), line["id"]
    assert all(seen.values())


def test_recorded_lives_end_as_they_ended(samples, subscribed):
    ends = {}
    for line in lines(samples / "binance" / "lifecycle" / "spot"):
        for told in receive(subscribed, line["raw"]):
            if isinstance(told, OrderChanged):
                life = ends.setdefault(told.order.order_id, [])
                life.append(told)
    assert ends
    for life in ends.values():
        first, last = life[0].order, life[-1].order
        assert first.status in (OrderStatus.NEW, OrderStatus.UNTRIGGERED)
        assert last.status in (OrderStatus.FILLED, OrderStatus.EXPIRED)
        assert sum(told.fill.quantity for told in life if told.fill) == last.filled_quantity
        assert len({told.order.client_order_id for told in life}) == 1


def test_a_float_would_be_seen(subscribed):
    (changed,) = event(subscribed, **REPORT)
    assert has_float(dataclasses.replace(changed.order, raw={"a": [1.5]}))


def test_an_order_known_from_an_event_keeps_its_terms_when_it_is_replaced(subscribed, btc):
    (changed,) = event(subscribed, **REPORT | {"F": "0.50000000", "V": "EXPIRE_MAKER"})
    order = dataclasses.replace(changed.order, symbol=btc.symbol)
    call = rest.amend_order(order, AmendOrder(order, price="101"), btc, "new-id")
    params = dict(call.request.params)
    assert Decimal(params["icebergQty"]) == Decimal("0.5")
    assert params["selfTradePreventionMode"] == "EXPIRE_MAKER"
