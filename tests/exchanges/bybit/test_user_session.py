"""One account's own events: what is sent when, and what the frames mean."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import permutations

import pytest

from exconnect.credentials import Credentials
from exconnect.environment import Environment
from exconnect.errors import AuthenticationError, MalformedMessage, PermissionDenied, WouldCross
from exconnect.exchanges.bybit.stream import UserSession
from exconnect.feeds.delivered import Delivered
from exconnect.model.enums import OrderStatus, OrderType, Side, Source, TimeInForce
from exconnect.protocol.session import (
    PRIVATE,
    Acked,
    BalancesChanged,
    ClockOff,
    Closing,
    Denied,
    OrderChanged,
    Refused,
    Topic,
    Unknown,
)
from exconnect.protocol.signing import signer
from exconnect.trading.orders import OrderStore

AT = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS, FILLS, WALLET = (Topic(kind, "", "") for kind in ("order", "fill", "balance"))
TOPICS = frozenset({ORDERS, FILLS, WALLET})
# Known answer 7 of the reference: it was signed to be used before this time.
KEY, SECRET, EXPIRES = "test_api_key", "test_secret", 1_700_000_000_000
SIGNATURE = "bacffe7500499eb829bb58c45d36d1b3e5ac67c14eaeba91df5e99ccee013925"
NOW_MS = EXPIRES - 10_000


def due(session, now=0.0):
    return [json.loads(frame) for frame in session.due(now, NOW_MS)[0]]


def receive(session, message, now=1.0):
    text = message if isinstance(message, str) else json.dumps(message)
    return list(session.receive(text, now, AT))


def ack(request, *, success=True, text="", **changes):
    answer = {"success": success, "ret_msg": text, "op": request["op"], "conn_id": "c", "req_id": request["req_id"]}
    return {key: value for key, value in (answer | changes).items() if value is not None}


def told(session, topic, *rows, time_ms=1000):
    return receive(session, {"id": "1", "topic": topic, "creationTime": time_ms, "data": list(rows)})


@pytest.fixture
def session(market):
    session = UserSession(market, signer(Credentials(KEY, SECRET)))
    assert session.opened(0.0, NOW_MS) == []
    return session


@pytest.fixture
def login(session):
    """The request that logs it in."""
    session.want(TOPICS)
    (request,) = due(session)
    return request


@pytest.fixture
def subscribed(session, login):
    receive(session, ack(login))
    for request in due(session):
        receive(session, ack(request))
    return session


ORDER = {
    "category": "spot", "symbol": "BTCUSDT", "orderId": "77", "orderLinkId": "mine", "side": "Buy",
    "orderStatus": "New", "cancelType": "UNKNOWN", "rejectReason": "EC_NoError", "timeInForce": "GTC",
    "price": "100.50", "qty": "2.0", "avgPrice": "", "leavesQty": "2.0", "cumExecQty": "0", "cumExecValue": "0",
    "orderType": "Limit", "stopOrderType": "", "triggerPrice": "0.00000", "triggerDirection": 0, "marketUnit": "",
    "createdTime": "900", "updatedTime": "999",
}  # fmt: skip
FILL = {
    "category": "spot", "symbol": "BTCUSDT", "orderId": "77", "orderLinkId": "mine", "side": "Buy", "execId": "e12",
    "execPrice": "100.4", "execQty": "0.5", "execValue": "50.2", "execType": "Trade", "execTime": "998",
    "execFee": "0.001", "feeCurrency": "BTC", "isMaker": True, "leavesQty": "1.5", "orderQty": "2", "seq": 5,
}  # fmt: skip


# ---- the conversation -----------------------------------------------------------------------------------------------


def test_it_logs_in_with_the_known_signature_and_is_told_ten_seconds_of_time(session):
    assert session.route() == "/v5/private"
    assert due(session) == []  # nothing is wanted yet
    assert session.want(TOPICS) == frozenset()
    assert due(session) == [{"req_id": "1", "op": "auth", "args": [KEY, EXPIRES, SIGNATURE]}]
    assert due(session) == []  # asked once


def test_it_subscribes_when_it_is_let_in_and_one_by_one(session, login):
    assert receive(session, ack(login)) == [Acked(frozenset())]  # whereupon the engine asks what to send
    requests = due(session)
    assert [(request["op"], request["args"]) for request in requests] == [
        ("subscribe", ["execution.spot"]),
        ("subscribe", ["order.spot"]),
        ("subscribe", ["wallet"]),
    ]
    assert due(session) == []
    assert receive(session, ack(requests[1])) == [Acked(frozenset({ORDERS}))]
    assert receive(session, ack(requests[0], text="subscribe", req_id="")) == [Acked(frozenset({FILLS}))]
    assert receive(session, ack(requests[2], success=False, text="error:already subscribed,topic:wallet")) == [
        Acked(frozenset({WALLET}))
    ]
    assert session.want(TOPICS) == TOPICS
    assert due(session) == []
    session.opened(5.0, NOW_MS)
    assert session.want(TOPICS) == frozenset()
    assert [request["op"] for request in due(session)] == ["auth"]


def test_a_topic_that_is_refused_is_named(session, login):
    receive(session, ack(login))
    orders = due(session)[1]
    (refused,) = receive(session, ack(orders, success=False, text="Request not authorized"))
    assert refused == Refused(frozenset({ORDERS}), "Request not authorized")


@pytest.mark.parametrize(
    "answer",
    [
        {"success": True, "ret_msg": "", "op": "auth", "conn_id": "c"},
        {"retCode": 0, "retMsg": "OK", "op": "auth", "connId": "c"},
        {"op": "auth", "success": True, "retCode": 0, "retMsg": "", "connId": "c"},
        {"op": "auth", "success": True, "retCode": 20001, "retMsg": "", "connId": "c"},
    ],
)
def test_every_shape_of_being_let_in(session, login, answer):
    assert login["op"] == "auth"
    assert receive(session, answer) == [Acked(frozenset())]


def test_an_expired_login_waits_for_the_right_time(session, login):
    assert receive(session, ack(login, success=False, text="Params Error")) == [ClockOff("Params Error")]
    assert due(session) == []
    assert session.want(TOPICS) == frozenset()
    (request,) = due(session)
    assert (request["op"], request["req_id"]) == ("auth", "2")


@pytest.mark.parametrize(
    "words, more, kind",
    [
        ("API key is invalid.", {}, AuthenticationError),
        ("Invalid sign", {"retCode": 10004}, AuthenticationError),
        ("error sign", {}, AuthenticationError),
        ("Permission denied for current apikey.", {}, PermissionDenied),
        ("Unmatched IP, please check your API key's bound IP addresses.", {}, PermissionDenied),
        ("banned", {"retCode": 10008}, PermissionDenied),
    ],
)
def test_a_refused_key_is_final(session, login, words, more, kind):
    (denied,) = receive(session, ack(login, success=False, text=words, **more))
    assert isinstance(denied, Denied)
    assert type(denied.error) is kind
    assert denied.error.message == words


@pytest.mark.parametrize(
    "words, more", [("system busy", {}), ("too many visits", {"retCode": 10006}), ("", {"retCode": 10016})]
)
def test_trouble_of_the_exchange_is_not_final(session, login, words, more):
    (closing,) = receive(session, ack(login, success=False, text=words, **more))
    assert isinstance(closing, Closing)


def test_a_login_without_an_answer_is_overdue(session, login):
    session.pinged(9.0)
    assert session.overdue(10.0) is None
    assert session.overdue(10.1) == f"no answer to {login['op']} within 10 s"


@pytest.mark.parametrize(
    "pong",
    [
        {"req_id": "5", "op": "pong", "args": ["1690884539181"], "conn_id": "c"},
        {"op": "pong", "args": ["1690884539181"], "conn_id": "c"},
        {"success": True, "ret_msg": "pong", "conn_id": "c", "op": "ping"},
    ],
)
def test_it_pings_and_must_be_answered(subscribed, pong):
    assert subscribed.due(19.9, NOW_MS) == ([], 20.0)
    (ping,) = due(subscribed, 20.0)
    assert (ping["op"], ping["req_id"]) == ("ping", "5")
    assert subscribed.overdue(30.0) is None
    assert subscribed.overdue(30.1) == "no answer to a ping within 10 s"
    assert receive(subscribed, pong) == []
    assert subscribed.overdue(30.1) is None


def test_what_it_does_not_know_is_told_and_what_makes_no_sense_is_an_error(subscribed):
    assert receive(subscribed, {"what": 1}) == [Unknown("what")]
    assert receive(subscribed, {"success": True, "op": "subscribe", "req_id": "99"}) == [Unknown("answer")]
    assert told(subscribed, "greeks", {}) == [Unknown("greeks")]
    for text in ("[]", "{", '{"topic":"order.spot","data":[]}', '{"topic":"order","creationTime":1,"data":[1]}'):
        with pytest.raises(MalformedMessage):
            receive(subscribed, text)
    for topic, row in (("order", ORDER | {"qty": "x"}), ("execution", FILL | {"execPrice": None})):
        with pytest.raises(MalformedMessage):
            told(subscribed, topic, row)


def test_the_secret_is_in_no_repr(session):
    assert SECRET not in repr(vars(session))


# ---- events ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", ["order", "order.spot"])
def test_an_order(subscribed, topic):
    (changed,) = told(subscribed, topic, ORDER, ORDER | {"category": "linear"})
    order = changed.order
    assert changed.fill is None
    assert (order.client_order_id, order.order_id, order.symbol) == ("mine", "77", "BTCUSDT")
    assert (order.side, order.type, order.time_in_force) == (Side.BUY, OrderType.LIMIT, TimeInForce.GTC)
    assert (order.status, order.status_text, order.source) == (OrderStatus.NEW, "New", Source.STREAM)
    assert (order.quantity, order.price, order.stop_price) == (Decimal(2), Decimal("100.5"), None)
    assert (order.filled_quantity, order.fills_complete) == (Decimal(0), True)
    assert (order.created_at.microsecond, order.updated_at.microsecond) == (900_000, 999_000)


@pytest.mark.parametrize("topic", ["execution", "execution.spot"])
def test_a_fill_knows_no_more_of_its_order_than_which_one_it_is(subscribed, topic):
    rows = (FILL, FILL | {"category": "linear"}, FILL | {"execType": "Funding"}, FILL | {"execId": "e13"})
    one, other = told(subscribed, topic, *rows)
    order, fill = one.order, one.fill
    assert (fill.id, other.fill.id, fill.order_id, fill.client_order_id) == ("e12", "e13", "77", "mine")
    assert (fill.price, fill.quantity, fill.fee, fill.fee_asset) == (
        Decimal("100.4"), Decimal("0.5"), Decimal("0.001"), "BTC",
    )  # fmt: skip
    assert (fill.side, fill.is_maker, fill.source, fill.received_at) == (Side.BUY, True, Source.STREAM, AT)
    assert (order.order_id, order.quantity, order.price, order.filled_quantity) == ("77", None, None, Decimal(0))
    assert (order.status, order.updated_at) == (OrderStatus.ACCEPTED, fill.time)


def test_a_kind_of_execution_that_nobody_knows_counts(subscribed):
    (changed,) = told(subscribed, "execution", FILL | {"execType": "SomethingNew"})
    assert changed.fill.id == "e12"


@pytest.mark.parametrize("topic", ["execution.fast", "execution.fast.spot"])
def test_the_fast_form_is_no_record(subscribed, topic):
    assert told(subscribed, topic, FILL) == [Unknown(topic)]


@pytest.mark.parametrize(
    "fields, status",
    [
        ({"orderStatus": "Untriggered", "triggerPrice": "99"}, OrderStatus.UNTRIGGERED),
        ({"orderStatus": "Triggered", "triggerPrice": "99"}, OrderStatus.UNTRIGGERED),
        ({"orderStatus": "PartiallyFilled", "cumExecQty": "1"}, OrderStatus.PARTIALLY_FILLED),
        ({"orderStatus": "Filled", "cumExecQty": "2"}, OrderStatus.FILLED),
        (
            {"orderStatus": "Filled", "cumExecQty": "2", "cancelType": "CancelByUser",
             "rejectReason": "EC_OrigClOrdIDDoesNotExist"},
            OrderStatus.FILLED,
        ),
        ({"orderStatus": "Cancelled", "cancelType": "CancelByUser"}, OrderStatus.CANCELED),
        ({"orderStatus": "Cancelled", "cumExecQty": "1", "leavesQty": "0"}, OrderStatus.CANCELED),
        ({"orderStatus": "PartiallyFilledCanceled", "cumExecQty": "1"}, OrderStatus.CANCELED),
        ({"orderStatus": "Deactivated"}, OrderStatus.CANCELED),
        ({"orderStatus": "Cancelled", "rejectReason": "EC_NoImmediateQtyToFill"}, OrderStatus.EXPIRED),
        ({"orderStatus": "Rejected", "rejectReason": "EC_PostOnlyWillTakeLiquidity"}, OrderStatus.REJECTED),
        ({"orderStatus": "SomethingNew"}, OrderStatus.NEW),
        ({"orderStatus": "SomethingNew", "cumExecQty": "1"}, OrderStatus.PARTIALLY_FILLED),
    ],
)  # fmt: skip
def test_words_for_states(subscribed, fields, status):
    (changed,) = told(subscribed, "order", ORDER | fields)
    assert changed.order.status is status
    assert changed.order.filled_quantity == Decimal(fields.get("cumExecQty", 0))


def test_a_post_only_order_that_would_have_crossed(subscribed):
    row = ORDER | {"orderStatus": "Rejected", "rejectReason": "EC_PostOnlyWillTakeLiquidity"}
    (changed,) = told(subscribed, "order", row)
    assert isinstance(changed.order.rejection, WouldCross)


def test_balances_those_too_with_nothing_left_in_them(subscribed):
    coins = [
        {"coin": "BTC", "walletBalance": "2", "locked": "0.5", "spotBorrow": "", "bonus": "0"},
        {"coin": "USDT", "walletBalance": "0", "locked": "0"},
    ]
    (changed,) = told(subscribed, "wallet", {"accountType": "UNIFIED", "coin": coins}, time_ms=7)
    assert (changed.time_ms, [(b.asset, b.free, b.locked) for b in changed.balances]) == (
        7,
        [("BTC", Decimal("1.5"), Decimal("0.5")), ("USDT", Decimal(0), Decimal(0))],
    )


def told_to_a_handler(session, messages):
    """What a handler of orders would hear: the store and the memory of what was told stand in between."""
    store, delivered = OrderStore(Environment()), Delivered(Environment())
    heard = []
    for topic, row in messages:
        for changed in told(session, topic, row):
            order = store.apply(replace(changed.order, fills=(changed.fill,) if changed.fill else ()))
            if delivered.order(order):
                heard.append((order.status, order.filled_quantity))
    return heard, order


FILLED = ORDER | {"orderStatus": "Filled", "cumExecQty": "2", "cumExecValue": "200.8", "updatedTime": "1001"}
ALL = FILL | {"execQty": "2", "execTime": "1001"}


def test_a_cancel_that_came_too_late_is_told_by_two_messages_and_heard_once(subscribed):
    late = FILLED | {"cancelType": "CancelByUser", "rejectReason": "EC_OrigClOrdIDDoesNotExist", "updatedTime": "1002"}
    heard, order = told_to_a_handler(
        subscribed, [("order", ORDER), ("execution", ALL), ("order", FILLED), ("order", late), ("execution", ALL)]
    )
    assert heard == [(OrderStatus.NEW, 0), (OrderStatus.FILLED, 2)]
    assert (order.fills_complete, len(order.fills), order.rejection) == (True, 1, None)


@pytest.mark.parametrize("status", ["Cancelled", "PartiallyFilledCanceled"])
def test_what_was_filled_before_it_was_canceled_counts(subscribed, status):
    ended = ORDER | {"orderStatus": status, "cumExecQty": "0.5", "cumExecValue": "50.2", "updatedTime": "1002"}
    messages = [("order", ORDER), ("order", ended), ("execution", FILL)]
    for some in permutations(messages):
        heard, order = told_to_a_handler(subscribed, some)
        assert (order.status, order.filled_quantity, order.fills_complete) == (
            OrderStatus.CANCELED,
            Decimal("0.5"),
            True,
        )
        assert heard[-1] == (OrderStatus.CANCELED, Decimal("0.5"))


def test_in_one_millisecond_the_end_is_the_end(subscribed):
    same = "1001"
    partly = ORDER | {"orderStatus": "PartiallyFilled", "cumExecQty": "0.5", "updatedTime": same}
    for some in permutations([("order", partly), ("order", FILLED), ("order", ORDER | {"updatedTime": same})]):
        _, order = told_to_a_handler(subscribed, some)
        assert (order.status, order.filled_quantity) == (OrderStatus.FILLED, Decimal(2))


# ---- recordings -----------------------------------------------------------------------------------------------------


def has_float(value):
    if dataclasses.is_dataclass(value):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, float) or (isinstance(value, list | tuple) and any(map(has_float, value)))


def test_every_recorded_message_of_the_account_is_read_without_a_float(samples, market):
    seen = Counter()
    files = [*(samples / "bybit" / "ws" / "common").glob("*.jsonl"), samples / "bybit" / "ws" / "spot" / "order.jsonl"]
    for line in (json.loads(text) for file in sorted(files) for text in file.read_text("utf-8").splitlines()):
        session = UserSession(market, signer(Credentials(KEY, SECRET)))
        session.opened(0.0, NOW_MS)
        session.want(TOPICS)
        due(session)
        kind, events = line["kind"], receive(session, line["raw"])
        if kind == "op.auth":
            assert {type(event) for event in events} <= {Acked, Denied, Unknown}, line["id"]
        elif kind in EVENTS:
            assert {type(event) for event in events} == {EVENTS[kind]}, line["id"]
        for event in events:
            for part in (getattr(event, "order", None), getattr(event, "fill", None), *getattr(event, "balances", ())):
                assert not has_float(part), line["id"]
        seen.update([kind])
    assert EVENTS.keys() <= seen.keys()
    assert "op.auth" in seen


EVENTS = {"order": OrderChanged, "wallet": BalancesChanged, "execution.fast": Unknown}


def test_the_recorded_order_is_what_became_of_it(samples, subscribed):
    (line,) = (samples / "bybit" / "ws" / "spot" / "order.jsonl").read_text("utf-8").splitlines()
    (changed,) = receive(subscribed, json.loads(line)["raw"])
    order = changed.order
    assert (order.symbol, order.side, order.status) == ("FLOWUSDT", Side.SELL, OrderStatus.FILLED)
    assert (order.quantity, order.filled_quantity) == (Decimal("194.1"), Decimal("194.1"))
    assert (order.filled_quote, order.average_price) == (Decimal("6.121914"), Decimal("0.03154"))
    assert order.time_in_force is TimeInForce.FOK
    assert not order.fills_complete  # the fills themselves come by another topic


def test_what_the_engine_wants_is_what_there_is():
    assert {topic.kind for topic in TOPICS} == PRIVATE


def test_a_float_would_be_seen(subscribed):
    (changed,) = told(subscribed, "order", ORDER)
    assert has_float(dataclasses.replace(changed.order, raw={"a": [1.5]}))
