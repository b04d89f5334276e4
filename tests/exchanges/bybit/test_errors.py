"""Every code of the exchange's page, and the answers that have none."""

from __future__ import annotations

import re

import pytest

from exconnect.errors import (
    AmendRefused,
    AuthenticationError,
    Banned,
    ClockSkew,
    DuplicateOrder,
    ExchangeError,
    InsufficientFunds,
    OrderNotFound,
    OrderRejected,
    PermissionDenied,
    RateLimited,
    Unavailable,
    UnknownSymbol,
    WouldCross,
)
from exconnect.exchanges.bybit import errors, wire
from exconnect.protocol.call import FailureKind

BUSINESS, SERVER = FailureKind.BUSINESS, FailureKind.SERVER


def refusal(code, text="words", **more):
    return {"retCode": code, "retMsg": text, "result": {}, "retExtInfo": {}, "time": 1_700_000_000_000} | more


CODES = [
    (-1, ClockSkew, FailureKind.CLOCK),
    (10002, ClockSkew, FailureKind.CLOCK),
    (-2015, AuthenticationError, FailureKind.AUTH),
    (10003, AuthenticationError, FailureKind.AUTH),
    (10004, AuthenticationError, FailureKind.AUTH),
    (10007, AuthenticationError, FailureKind.AUTH),
    (33004, AuthenticationError, FailureKind.AUTH),
    (10005, PermissionDenied, FailureKind.AUTH),
    (10010, PermissionDenied, FailureKind.AUTH),
    (10008, PermissionDenied, BUSINESS),
    (10009, PermissionDenied, BUSINESS),
    (10024, PermissionDenied, BUSINESS),
    (10027, PermissionDenied, BUSINESS),
    (10028, PermissionDenied, BUSINESS),
    (10029, PermissionDenied, BUSINESS),
    (100028, PermissionDenied, BUSINESS),
    (170209, PermissionDenied, BUSINESS),
    (170348, PermissionDenied, BUSINESS),
    (429, RateLimited, FailureKind.LIMIT),
    (10006, RateLimited, FailureKind.LIMIT),
    (10018, RateLimited, FailureKind.LIMIT),
    (10429, RateLimited, FailureKind.LIMIT),
    (170005, RateLimited, FailureKind.LIMIT),
    (170222, RateLimited, FailureKind.LIMIT),
    *((code, Unavailable, SERVER) for code in (10000, 10014, 10016, 40004, 110079, 170001, 170007, 170032, 170035)),
    *((code, Unavailable, SERVER) for code in (170144, 170146, 170147, 170149, 170150, 170191, 170212, 170234, 170310)),
    (10019, Unavailable, BUSINESS),
    (10001, ExchangeError, BUSINESS),
    (10017, ExchangeError, BUSINESS),
    (181010, ExchangeError, BUSINESS),
    (170121, UnknownSymbol, BUSINESS),
    (170221, UnknownSymbol, BUSINESS),
    (110004, InsufficientFunds, BUSINESS),
    (110007, InsufficientFunds, BUSINESS),
    (170033, InsufficientFunds, BUSINESS),
    (170131, InsufficientFunds, BUSINESS),
    (170207, InsufficientFunds, BUSINESS),
    (110001, OrderNotFound, BUSINESS),
    (110008, OrderNotFound, BUSINESS),
    (170139, OrderNotFound, BUSINESS),
    (170142, OrderNotFound, BUSINESS),
    (170143, OrderNotFound, BUSINESS),
    (170190, OrderNotFound, BUSINESS),
    (170213, OrderNotFound, BUSINESS),
    (110072, DuplicateOrder, FailureKind.DUPLICATE),
    (170141, DuplicateOrder, FailureKind.DUPLICATE),
    (170218, WouldCross, BUSINESS),
    (170311, AmendRefused, BUSINESS),
    (170312, AmendRefused, BUSINESS),
    (170313, AmendRefused, BUSINESS),
    *((code, OrderRejected, BUSINESS) for code in (170124, 170132, 170133, 170134, 170136, 170137, 170140, 170148)),
    *((code, OrderRejected, BUSINESS) for code in (170192, 170193, 170194, 170195, 170200, 170341, 170381, 170810)),
    *((code, OrderRejected, BUSINESS) for code in (170115, 170116, 170117, 170130, 170201, 170202, 170210, 170227)),
    *((code, OrderRejected, BUSINESS) for code in (170031, 170151, 170157, 170159, 170206, 170217, 110003, 110094)),
    *((code, OrderRejected, BUSINESS) for code in (170215, 170226, 170346, 182100, 182112, 110013, 140003)),
    (987654, ExchangeError, SERVER),  # not listed: nothing is known of what became of the call
    (200000, ExchangeError, SERVER),
]


@pytest.mark.parametrize("code, kind, why", CODES, ids=[str(code) for code, _, _ in CODES])
def test_codes(reply, code, kind, why):
    failure = errors.error(reply(200, refusal(code)))
    assert type(failure.error) is kind
    assert failure.kind is why
    assert (failure.error.code, failure.error.http_status, failure.error.exchange) == (code, 200, "bybit")
    assert "words" in failure.error.message


@pytest.mark.parametrize("code", [110025, 110026, 110027, 110043, 110075])
def test_what_is_so_already_is_a_definite_answer(reply, code):
    assert errors.error(reply(200, refusal(code))).kind is BUSINESS


def test_every_listed_code_is_in_the_table(samples):
    page = samples.parent / "bybit.md"
    if not page.is_file():
        pytest.skip("the exchange's page is not beside the recorded messages")
    text = page.read_text(encoding="utf-8")
    section = text[text.index("### 9.3 Common codes") : text.index("### 9.7")]
    missing = []
    for row in re.findall(r"^\| ([-0-9, –]+) \|", section, re.MULTILINE):
        for part in row.split(","):
            first, _, last = part.strip().partition("–")
            codes = range(int(first), int(last or first) + 1)
            missing += [code for code in codes if code != 0 and code not in errors._CODES]
    assert missing == []


@pytest.mark.parametrize(
    "text, kind",
    [("params error: symbol invalid", UnknownSymbol), ("Not supported symbols", UnknownSymbol), ("qty", ExchangeError)],
)
def test_a_parameter_error_is_told_apart_by_its_text(reply, text, kind):
    assert type(errors.error(reply(200, refusal(10001, text))).error) is kind


def test_success(reply):
    assert errors.error(reply(200, refusal(0))) is None
    assert errors.error(reply(200, b'{"retMsg":"OK","retCode": 0,"result":{}}')) is None
    assert errors.error(reply(200, b"<html>")) is None  # decoding will say what it thinks of that


@pytest.mark.parametrize(
    "status, body, kind, why, wait",
    [
        (403, b"<html>access too frequent</html>", Banned, FailureKind.LIMIT, 600.0),
        (403, b"", Banned, FailureKind.LIMIT, 600.0),
        (403, b"<html>block access from your country</html>", PermissionDenied, BUSINESS, None),
        (403, refusal(10010), PermissionDenied, FailureKind.AUTH, None),
        (403, refusal(987654), Banned, FailureKind.LIMIT, 600.0),
        (429, b"", RateLimited, FailureKind.LIMIT, 2.0),
        (429, refusal(429), RateLimited, FailureKind.LIMIT, 2.0),
        (401, b"", AuthenticationError, SERVER, None),
        (401, refusal(10003), AuthenticationError, FailureKind.AUTH, None),
        (404, b"", ExchangeError, SERVER, None),
        (404, refusal(10017), ExchangeError, BUSINESS, None),
        (400, b"x", ExchangeError, SERVER, None),
        (400, refusal(0), ExchangeError, SERVER, None),
        (302, b"", ExchangeError, SERVER, None),
        (500, b"", Unavailable, SERVER, None),
        (503, refusal(170131), Unavailable, SERVER, None),
        (504, refusal(0), Unavailable, SERVER, None),
    ],
)
def test_statuses(reply, status, body, kind, why, wait):
    failure = errors.error(reply(status, body))
    assert type(failure.error) is kind
    assert (failure.kind, failure.error.retry_after, failure.error.http_status) == (why, wait, status)


def test_a_reply_to_no_text_and_the_trace(reply):
    failure = errors.error(reply(200, refusal(170131, None), traceid="abc"))
    assert failure.error.message == "error 170131"
    assert failure.error.request_id == "abc"


# ---- limits ---------------------------------------------------------------------------------------------------------

CREATE = "/v5/order/create"
HEADERS = {"x_bapi_limit": "25", "x_bapi_limit_status": "7", "x_bapi_limit_reset_timestamp": "1700000001250"}


def test_the_budget_of_an_endpoint_is_learnt(reply):
    usage = errors.usage(reply(200, refusal(0), CREATE, **HEADERS))
    assert usage.used == {"order/create_1s": 18}
    (pool,) = usage.pools
    assert (pool.name, pool.limit, pool.scope, pool.is_rolling) == ("order/create_1s", 25, "account", True)
    assert (usage.retry_after, usage.banned, usage.exhausted) == (None, False, None)


@pytest.mark.parametrize(
    "path, headers",
    [
        ("", HEADERS),
        (CREATE, {}),
        (CREATE, HEADERS | {"x_bapi_limit": "0"}),
        (CREATE, HEADERS | {"x_bapi_limit_status": "many"}),
    ],
)
def test_an_answer_without_a_budget(reply, path, headers):
    usage = errors.usage(reply(200, refusal(0), path, **headers))
    assert (usage.used, usage.pools) == ({}, ())


@pytest.mark.parametrize(
    "headers, body, wait",
    [
        (HEADERS | {"timenow": "1700000001000"}, refusal(10006), 0.25),
        (HEADERS, refusal(10006, time=1_700_000_000_250), 1.0),
        (HEADERS | {"timenow": "1600000000000"}, refusal(10006), 5.0),
        (HEADERS | {"timenow": "1800000000000"}, refusal(10006), 0.05),
        (HEADERS | {"retry_after": "3"}, refusal(10006), 3.0),
        ({}, refusal(10006), 2.0),
        (HEADERS, refusal(10006, time=None), 2.0),
    ],
)
def test_too_many_of_one_endpoint(reply, headers, body, wait):
    response = reply(200, body, CREATE, **headers)
    usage = errors.usage(response)
    assert (usage.retry_after, usage.exhausted, usage.banned) == (wait, "order/create", False)
    assert errors.error(response).error.retry_after == wait


@pytest.mark.parametrize("code", [10018, 10403])
def test_a_limit_of_the_address_stops_everything(reply, code):
    usage = errors.usage(reply(200, refusal(code), CREATE))
    assert (usage.retry_after, usage.exhausted, usage.banned) == (2.0, None, False)


def test_bans(reply):
    banned = errors.usage(reply(403, b"access too frequent", CREATE))
    assert (banned.retry_after, banned.banned, banned.exhausted) == (600.0, True, None)
    assert errors.usage(reply(403, b"", CREATE, retry_after="7")).retry_after == 7.0
    elsewhere = errors.usage(reply(403, b"your country", CREATE))
    assert (elsewhere.retry_after, elsewhere.banned) == (None, False)
    assert not errors.usage(reply(403, refusal(10010), CREATE)).banned


@pytest.mark.parametrize(
    "status, body, headers, wait, exhausted",
    [
        (429, b"", {}, 2.0, None),
        (429, b"", {"retry_after": "60"}, 60.0, None),
        (429, refusal(429), {"retry_after": "60"}, 60.0, None),
        (429, refusal(0), {"retry_after": "60"}, 60.0, None),
        (429, refusal(170131), {"retry_after": "60"}, 60.0, None),
        (429, refusal(10006), {"retry_after": "60"}, 60.0, "order/create"),
        (429, refusal(10018), {"retry_after": "60"}, 60.0, None),
        (200, refusal(429), {"retry_after": "60"}, 60.0, None),
        (200, refusal(429), {}, 2.0, "order/create"),  # the trading service has much to do: a cancel may try
        (200, refusal(10006), {"retry_after": "60"}, 60.0, "order/create"),
        (200, refusal(10006), {"retry_after": "31536000"}, 2.0, "order/create"),
        (429, b"", {"retry_after": "-1"}, 2.0, None),
    ],
)
def test_what_a_limit_is_about(reply, status, body, headers, wait, exhausted):
    usage = errors.usage(reply(status, body, CREATE, **headers))
    assert (usage.retry_after, usage.exhausted, usage.banned) == (wait, exhausted, False)


def test_a_refusal_that_is_no_limit(reply):
    assert errors.usage(reply(200, refusal(170131), CREATE)).retry_after is None


# ---- after the order was accepted -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason, cancel, kind",
    [
        ("EC_PostOnlyWillTakeLiquidity", "UNKNOWN", WouldCross),
        ("EC_DuplicatedClOrdID", "UNKNOWN", DuplicateOrder),
        ("EC_InsufficientBalance", "UNKNOWN", InsufficientFunds),
        ("EC_NoError", "CancelByCannotAffordOrderCost", InsufficientFunds),
        ("EC_ReachRiskPriceLimit", "UNKNOWN", OrderRejected),
        ("", "", OrderRejected),
    ],
)
def test_why_an_order_was_refused(reason, cancel, kind):
    row = wire.Order("1", "Rejected", order_link_id="x1", reject_reason=reason, cancel_type=cancel)
    error = errors.rejection(row, "BTC/USDT")
    assert type(error) is kind
    assert (error.symbol, error.client_order_id, error.code) == ("BTC/USDT", "x1", reason or None)


def test_the_key_and_the_query_that_the_exchange_repeats_are_left_out(reply):
    text = 'error sign! origin_string[1767225600000theKeyId5000{"orders":["x"]}]'
    failure = errors.error(reply(200, refusal(10004, text)))
    hint = "is the secret or private key the one that belongs to this API key?"
    assert failure.error.message == f"error sign! origin_string[…] ({hint})"
    assert "theKeyId" not in repr(failure.error.details)
    assert errors.of_login(10004, text).error.message == "error sign! origin_string[…]"
    assert errors.of_item(wire.Outcome(10004, text)).error.message == "error sign! origin_string[…]"


def test_items_of_a_batch():
    failure = errors.of_item(wire.Outcome(170213, "Order does not exist."))
    assert (type(failure.error), failure.kind, failure.error.code) == (OrderNotFound, BUSINESS, 170213)
    assert errors.of_item(wire.Outcome(987654)).error.message == "error 987654"
    assert errors.untold().kind is SERVER
