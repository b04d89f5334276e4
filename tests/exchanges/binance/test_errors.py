"""Every code and every text of the exchange's error page, and the answers that are not its own."""

from __future__ import annotations

import pytest

from exconnect import errors as e
from exconnect.exchanges.binance import errors
from exconnect.protocol.call import FailureKind as K

# Code, a text that comes with it, our class, what it means for the next step.
CODES = [
    (-1000, "An unknown error occurred while processing the request.", e.Unavailable, K.SERVER),
    (-1001, "Internal error; unable to process your request. Please try again.", e.Unavailable, K.SERVER),
    (-1002, "You are not authorized to execute this request.", e.PermissionDenied, K.AUTH),
    (-1003, "Too many requests queued.", e.RateLimited, K.LIMIT),
    (-1003, "Too much request weight used; current limit is 6000 request weight per 1 MINUTE.", e.RateLimited, K.LIMIT),
    (-1003, "Way too much request weight used; IP banned until 1659146400000.", e.Banned, K.LIMIT),
    (-1006, "An unexpected response was received. Execution status unknown.", e.Unavailable, K.SERVER),
    (-1007, "Timeout waiting for response from backend server. Send status unknown.", e.Unavailable, K.SERVER),
    (-1008, "Server is currently overloaded with other requests.", e.Unavailable, K.SERVER),
    (-1010, "ERROR_MSG_RECEIVED", e.OrderRejected, K.BUSINESS),
    (-1013, "Invalid quantity.", e.OrderRejected, K.BUSINESS),
    (-1013, "Invalid price.", e.OrderRejected, K.BUSINESS),
    (-1013, "This symbol does not allow the specified self-trade prevention mode.", e.OrderRejected, K.BUSINESS),
    (-1014, "Unsupported order combination.", e.OrderRejected, K.BUSINESS),
    (-1015, "Too many new orders; current limit is 50 orders per 10 SECOND.", e.RateLimited, K.LIMIT),
    (-1016, "This service is no longer available.", e.Unavailable, K.SERVER),
    (-1020, "This operation is not supported.", e.ExchangeError, K.BUSINESS),
    (-1021, "Timestamp for this request is outside of the recvWindow.", e.ClockSkew, K.CLOCK),
    (-1021, "Timestamp for this request was 1000ms ahead of the server's time.", e.ClockSkew, K.CLOCK),
    (-1022, "Signature for this request is not valid.", e.AuthenticationError, K.AUTH),
    (-1033, "Comp id in use.", e.ExchangeError, K.BUSINESS),
    (-1034, "Too many connections are attempted.", e.RateLimited, K.LIMIT),
    (-1035, "Logged out.", e.ExchangeError, K.BUSINESS),
    (-1111, "Parameter 'quantity' has too much precision.", e.OrderRejected, K.BUSINESS),
    (-1112, "No orders on book for symbol.", e.OrderRejected, K.BUSINESS),
    (-1121, "Invalid symbol.", e.UnknownSymbol, K.BUSINESS),
    (-1209, "Invalid listenToken.", e.AuthenticationError, K.AUTH),
    (-2011, "Something about a cancel.", e.OrderNotFound, K.BUSINESS),
    (-2013, "Order does not exist.", e.OrderNotFound, K.BUSINESS),
    (-2014, "API-key format invalid.", e.AuthenticationError, K.AUTH),
    (-2015, "Invalid API-key, IP, or permissions for action.", e.PermissionDenied, K.AUTH),
    (-2021, "Order cancel-replace partially failed.", e.Unavailable, K.SERVER),
    (-2026, "Order was archived.", e.OrderNotFound, K.BUSINESS),
    (-2038, "Order amend is rejected.", e.AmendRefused, K.BUSINESS),
    (-2039, "Client order id is not correct for this order id.", e.OrderNotFound, K.BUSINESS),
    *[(code, "Some rule of orders.", e.OrderRejected, K.BUSINESS) for code in (
        -1114, -1115, -1116, -1117, -1118, -1119, -1134, -1145, -1158, -1160, -1165, -1166, -1168, -1196, -1197,
        -1198, -1199, -1210, -1211, -1222, -1223, -1224, -1225, -2010, -2022)],
    *[(code, "Some rule of requests.", e.ExchangeError, K.BUSINESS) for code in (
        -1100, -1101, -1102, -1103, -1104, -1105, -1106, -1108, -1120, -1122, -1125, -1127, -1128, -1130, -1131, -1135,
        -1139, -1151, -1152, -1153, -1155, -1161, *range(-1191, -1168), -1194, -1220, -1221,
        -2016, -2035, -2036, -2042, -2043)],
]  # fmt: skip

# Texts that say more than their code; each comes under one of the codes that leave it to the text.
TEXTS = [
    (-2011, "Unknown order sent.", e.OrderNotFound, K.BUSINESS),
    (-2011, "Cancel order is invalid. Check origClOrdId and orderId.", e.OrderRejected, K.BUSINESS),
    (-2010, "Duplicate order sent.", e.DuplicateOrder, K.DUPLICATE),
    (-2010, "Account has insufficient balance for requested action.", e.InsufficientFunds, K.BUSINESS),
    (-1013, "Market is closed.", e.OrderRejected, K.BUSINESS),
    (-2011, "Market is closed.", e.OrderRejected, K.BUSINESS),
    (-2010, "This order type is not possible in this trading phase.", e.OrderRejected, K.BUSINESS),
    (-2010, "Limit orders require GTC for this phase.", e.OrderRejected, K.BUSINESS),
    (-2010, "Order would immediately match and take.", e.WouldCross, K.BUSINESS),
    (-2010, "Order would trigger immediately.", e.OrderRejected, K.BUSINESS),
    (-2010, "The relationship of the prices for the orders is not correct.", e.OrderRejected, K.BUSINESS),
    (-2011, "Order was not canceled due to cancel restrictions.", e.OrderRejected, K.BUSINESS),
    *[(-2010, text, e.PermissionDenied, K.BUSINESS) for text in (
        "This action is disabled on this account.", "This account may not place or cancel orders.",
        "This symbol is not permitted for this account.", "This symbol is restricted for this account.")],
    *[(-2010, f"{api} API trading is not enabled.", e.Unavailable, K.BUSINESS) for api in ("Rest", "WebSocket", "FIX")],
    *[(-2010, f"{kind} orders are not supported for this symbol", e.OrderRejected, K.BUSINESS) for kind in (
        "Market", "Iceberg", "Stop loss", "Stop loss limit", "Take profit", "Take profit limit", "Trailing stop", "OCO",
        "OPO", "Pegged")],
    *[(-2010, text, e.OrderRejected, K.BUSINESS) for text in (
        "Quote order qty market orders are not support for this symbol.",
        "Order cancel-replace is not supported for this symbol.", "Price * QTY is zero or less.",
        "IcebergQty exceeds QTY.", "Unsupported order combination", "This order type may not use pegged price.",
        "This price peg cannot be used with this order type.", "Order book liquidity is less than LOT_SIZE",
        "Order book liquidity is too low for this pegged order.")],
    (-2010, "Order amend is not supported for this symbol.", e.AmendRefused, K.BUSINESS),
    (-2038, "Order amend (quantity increase) is not supported.", e.AmendRefused, K.BUSINESS),
    (-2038, "Order amend (pending OPO order) is not supported.", e.AmendRefused, K.BUSINESS),
    (-2038, "The requested action would change no state; rejecting", e.AmendRefused, K.BUSINESS),
    (-2038, "Unknown order sent.", e.OrderNotFound, K.BUSINESS),
    (-1010, "ACCOUNT HAS INSUFFICIENT BALANCE FOR REQUESTED ACTION.", e.InsufficientFunds, K.BUSINESS),
]  # fmt: skip


@pytest.mark.parametrize("code, text, kind_of_error, kind", CODES + TEXTS)
def test_a_refusal(reply, code, text, kind_of_error, kind):
    failure = errors.error(reply(400, {"code": code, "msg": text}))
    assert type(failure.error) is kind_of_error
    assert failure.kind is kind
    assert failure.error.code == code
    assert failure.error.message.startswith(text)
    assert failure.error.exchange == "binance"
    assert failure.error.http_status == 400


def test_every_listed_code_is_in_the_table():
    assert {code for code, *_ in CODES} == set(errors._CODES)


FILTERS = [
    "PRICE_FILTER", "PERCENT_PRICE", "PERCENT_PRICE_BY_SIDE", "LOT_SIZE", "MARKET_LOT_SIZE", "MIN_NOTIONAL", "NOTIONAL",
    "ICEBERG_PARTS", "TRAILING_DELTA", "MAX_POSITION", "MAX_ASSET", "MAX_NUM_ORDERS", "EXCHANGE_MAX_NUM_ALGO_ORDERS",
]  # fmt: skip


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("code", [-1013, -2010, -2011])
def test_a_filter_whatever_the_code(reply, name, code):
    failure = errors.error(reply(400, {"code": code, "msg": f"Filter failure: {name}"}))
    assert type(failure.error) is e.OrderRejected
    assert failure.kind is K.BUSINESS
    assert failure.error.details["filter"] == name


@pytest.mark.parametrize("code", [-1, -1009, -1999, -2012, -4164, -9999])
def test_an_unlisted_code_is_not_definite(reply, code):
    failure = errors.error(reply(400, {"code": code, "msg": "Something new."}))
    assert failure.kind is K.SERVER
    assert type(failure.error) is e.ExchangeError


def test_an_unlisted_code_is_not_definite_even_with_a_known_text(reply):
    assert errors.error(reply(400, {"code": -9999, "msg": "Filter failure: LOT_SIZE"})).kind is K.SERVER


@pytest.mark.parametrize("code", [-1121, -2010, -1015, -1021, -2015])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_is_never_definite(reply, code, status):
    failure = errors.error(reply(status, {"code": code, "msg": "Duplicate order sent."}))
    assert failure.kind is K.SERVER
    assert type(failure.error) is e.Unavailable


HTML = b"<html><head><title>Forbidden</title></head></html>"


@pytest.mark.parametrize("body", [HTML, b"", b"null", b"[]", b'{"code":"x"}', b"\xff\xfe", b"[" * 5000])
@pytest.mark.parametrize(
    "status, kind_of_error, kind",
    [
        (302, e.ExchangeError, K.SERVER),
        (400, e.ExchangeError, K.SERVER),
        (401, e.AuthenticationError, K.SERVER),
        (403, e.Banned, K.LIMIT),
        (404, e.ExchangeError, K.SERVER),
        (408, e.ExchangeError, K.SERVER),
        (409, e.ExchangeError, K.SERVER),
        (418, e.Banned, K.LIMIT),
        (429, e.RateLimited, K.LIMIT),
        (500, e.Unavailable, K.SERVER),
        (503, e.Unavailable, K.SERVER),
    ],
)
def test_a_body_that_is_not_the_exchanges_is_mapped_by_status(reply, body, status, kind_of_error, kind):
    failure = errors.error(reply(status, body))
    assert type(failure.error) is kind_of_error
    assert failure.kind is kind
    assert str(status) in failure.error.message


@pytest.mark.parametrize(
    "body", [{}, [], {"code": 200, "msg": "ok"}, {"code": "200"}, {"msg": "-2010"}, [{"code": -1}], {"a": {"code": -1}}]
)
def test_a_success_is_no_error(reply, body):
    assert errors.error(reply(200, body)) is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"code":-2010,"msg":"Duplicate order sent."}',
        b'{ "code" : -2010, "msg": "Duplicate order sent." }',
        b'{"msg":"Duplicate order sent.","new":[1.5],"code":-2010}',
    ],
)
def test_a_refusal_under_a_success_status_is_one(reply, body):
    failure = errors.error(reply(200, body))
    assert failure.kind is K.DUPLICATE


DATE = "Sat, 30 Jul 2022 01:58:20 GMT"  # 1659146300
BAN = {"code": -1003, "msg": "Way too much request weight used; IP banned until 1659146400000. Please use streams."}


@pytest.mark.parametrize(
    "status, body, headers, seconds",
    [
        (429, {"code": -1003, "msg": "Too many requests queued."}, {"retry_after": "7"}, 7),
        (429, {"code": -1003, "msg": "Too many requests queued."}, {}, 60),
        (429, {"code": -1015, "msg": "Too many new orders."}, {}, 10),
        (429, HTML, {}, 60),
        (418, BAN, {"retry_after": "30"}, 30),
        (418, BAN, {"date": DATE}, 100),
        (418, BAN, {"date": DATE, "retry_after": "30"}, 100),
        (418, BAN, {"date": "Sat, 30 Jul 2022 02:58:20 GMT", "retry_after": "30"}, 30),
        (418, BAN, {"date": "yesterday"}, 120),
        (418, BAN, {}, 120),
        (400, BAN, {"date": DATE}, 100),
        (418, HTML, {"retry_after": "1e9"}, 120),
        (418, HTML, {"retry_after": "31536000"}, 120),
        (418, HTML, {"retry_after": "Sat, 30 Jul 2022 01:59:20 GMT", "date": DATE}, 60),
        (418, {"code": -1003, "msg": "IP banned until 9999999999999."}, {"date": DATE, "retry_after": "30"}, 30),
        (429, HTML, {"retry_after": "-1"}, 60),
        (403, HTML, {}, 300),
        (403, HTML, {"retry_after": "5"}, 5),
        (403, {"code": -9999, "msg": "Something new."}, {}, 300),
    ],
)
def test_how_long_to_stay_away(reply, status, body, headers, seconds):
    response = reply(status, body, **headers)
    assert errors.error(response).error.retry_after == seconds
    assert errors.error(response).kind is K.LIMIT


def test_usage_reads_every_window(reply):
    headers = {
        "x-mbx-used-weight": "12",
        "x-mbx-used-weight-1m": "12",
        "x-mbx-order-count-10s": "3",
        "x-mbx-order-count-1d": "40",
        "x-mbx-used-weight-1x": "5",
        "x-mbx-used-weight-5m": "many",
        "x-mbx-used-weight-7m": "9" * 5_000,
        "x-mbx-uuid": "1",
        "content-type": "application/json",
    }
    usage = errors.usage(reply(200, {}, **headers))
    assert usage.used == {"request_weight_60s": 12, "orders_10s": 3, "orders_86400s": 40}
    assert (usage.retry_after, usage.banned, usage.exhausted) == (None, False, None)


@pytest.mark.parametrize(
    "status, body, expected",
    [
        (429, {"code": -1003, "msg": "Too much request weight used."}, (9, False, None)),
        (429, {"code": -1015, "msg": "Too many new orders."}, (9, False, "orders")),
        (418, BAN, (9, True, None)),
        (403, HTML, (9, True, None)),
    ],
)
def test_usage_of_a_refusal(reply, status, body, expected):
    usage = errors.usage(reply(status, body, retry_after="9"))
    assert (usage.retry_after, usage.banned, usage.exhausted) == expected


def halves(cancel, new, cancel_response, new_response):
    return {
        "cancelResult": cancel,
        "newOrderResult": new,
        "cancelResponse": cancel_response,
        "newOrderResponse": new_response,
    }


def test_half_of_a_replacement_may_be_one_order_too_many(reply):
    body = {"code": -2021, "msg": "Partly done.", "data": halves("SUCCESS", "FAILURE", ORDER, COUNT)}
    assert errors.usage(reply(429, body, retry_after="9")).exhausted == "orders"
    body["data"]["newOrderResponse"] = FUNDS
    assert errors.usage(reply(429, body, retry_after="9")).exhausted is None
    body["data"] = {"retryAfter": 5}
    assert errors.usage(reply(429, body, retry_after="9")).exhausted is None


def test_a_limit_is_one_whatever_its_status(reply):
    usage = errors.usage(reply(400, COUNT, retry_after="9"))
    assert (usage.retry_after, usage.banned, usage.exhausted) == (9, False, "orders")


ORDER = {"symbol": "BTCUSDT", "orderId": 3, "clientOrderId": "x"}
UNKNOWN = {"code": -2011, "msg": "Unknown order sent."}
RESTRICTED = {"code": -2011, "msg": "Order was not canceled due to cancel restrictions."}
FUNDS = {"code": -2010, "msg": "Account has insufficient balance for requested action."}
TIMEOUT = {"code": -1007, "msg": "Timeout waiting for response from backend server."}
NEW_TO_US = {"code": -9999, "msg": "Something new."}
COUNT = {"code": -1015, "msg": "Too many new orders; current limit is 1 orders per 10 SECOND."}


@pytest.mark.parametrize(
    "status, code, data, kind_of_error, kind, words",
    [
        (400, -2022, halves("FAILURE", "NOT_ATTEMPTED", UNKNOWN, None), e.OrderNotFound, K.BUSINESS, "Unknown order"),
        (400, -2022, halves("FAILURE", "NOT_ATTEMPTED", RESTRICTED, None), e.AmendRefused, K.BUSINESS, "restrictions"),
        (400, -2022, halves("FAILURE", "FAILURE", UNKNOWN, FUNDS), e.OrderNotFound, K.BUSINESS, "Unknown order"),
        (
            409,
            -2021,
            halves("SUCCESS", "FAILURE", ORDER, FUNDS),
            e.InsufficientFunds,
            K.BUSINESS,
            "old order is canceled",
        ),
        (409, -2021, halves("SUCCESS", "FAILURE", ORDER, COUNT), e.OrderRejected, K.BUSINESS, "old order is canceled"),
        (
            409,
            -2021,
            halves("SUCCESS", "NOT_ATTEMPTED", ORDER, None),
            e.OrderRejected,
            K.BUSINESS,
            "is canceled and gone",
        ),
        (429, -2021, halves("SUCCESS", "FAILURE", ORDER, COUNT), e.OrderRejected, K.BUSINESS, "old order is canceled"),
        (429, -2022, halves("FAILURE", "FAILURE", UNKNOWN, COUNT), e.OrderNotFound, K.BUSINESS, "Unknown order"),
        (409, -2021, halves("FAILURE", "SUCCESS", UNKNOWN, ORDER), e.ExchangeError, K.SERVER, "both may be open"),
        (400, -2022, halves("FAILURE", "NOT_ATTEMPTED", TIMEOUT, None), e.Unavailable, K.SERVER, "Timeout"),
        (409, -2021, halves("SUCCESS", "FAILURE", ORDER, TIMEOUT), e.Unavailable, K.SERVER, "Timeout"),
        (409, -2021, halves("SUCCESS", "FAILURE", ORDER, NEW_TO_US), e.Unavailable, K.SERVER, "Something new"),
        (409, -2021, halves("SUCCESS", "FAILURE", ORDER, None), e.Unavailable, K.SERVER, "cancel-replace failed"),
    ],
)
def test_the_outcomes_of_a_cancel_replace(reply, status, code, data, kind_of_error, kind, words):
    failure = errors.error(reply(status, {"code": code, "msg": "Order cancel-replace failed.", "data": data}))
    assert type(failure.error) is kind_of_error
    assert failure.kind is kind
    assert words in failure.error.message
    assert failure.error.details["cancel_result"] == data["cancelResult"]


@pytest.mark.parametrize(
    "data",
    [
        7,
        {},
        halves("FAILURE", "NOT_ATTEMPTED", None, None),
        halves("SUCCESS", "SUCCESS", ORDER, ORDER),
        halves("?", "?", 1, 2),
    ],
)
def test_halves_that_cannot_be_read_leave_the_code(reply, data):
    failure = errors.error(reply(400, {"code": -2022, "msg": "Order cancel-replace failed.", "data": data}))
    assert type(failure.error) is e.OrderRejected
    assert failure.error.code == -2022


def test_the_order_count_exceeded_with_nothing_done_is_a_limit(reply):
    failure = errors.error(reply(429, COUNT))
    assert (type(failure.error), failure.kind) == (e.RateLimited, K.LIMIT)


@pytest.mark.parametrize("code", [-2014, -2015])
def test_a_wrong_key_says_where_to_look(reply, code):
    message = errors.error(reply(401, {"code": code, "msg": "Invalid API-key."})).error.message
    assert all(word in message for word in ("live", "testnet", "demo", "permission", "address"))


def test_a_redirect_says_where_to_look(reply):
    assert "environment=" in errors.error(reply(307, b"")).error.message


def test_a_long_text_is_cut(reply):
    failure = errors.error(reply(400, {"code": -1100, "msg": "x" * 100_000}))
    assert len(failure.error.message) < 1000


def test_an_empty_text_still_says_something(reply):
    assert "-1102" in errors.error(reply(400, {"code": -1102, "msg": ""})).error.message


def test_a_403_with_the_exchanges_own_words_is_no_firewall(reply):
    response = reply(403, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."})
    failure = errors.error(response)
    assert (type(failure.error), failure.kind) == (e.PermissionDenied, K.AUTH)
    assert not errors.usage(response).banned
