"""The whole tree of API.md, class by class, and that an error survives every way it may travel."""

import copy
import json
import multiprocessing
import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from exconnect import errors
from exconnect.errors import ExconnectError, InsufficientFunds, NotSupported, Outcome, OutcomeUnknown

# class, direct base of ours, outcome, retryable, attributes beyond those of every error
TREE = """
    ExconnectError        -                    not_sent  no
    ConfigurationError    ExconnectError       not_sent  no
    NotSupported          ExconnectError       not_sent  no   capability
    InvalidArgument       ExconnectError       not_sent  no   argument
    UnknownSymbol         InvalidArgument      not_sent  no   argument suggestions
    InvalidOrder          InvalidArgument      not_sent  no   argument filter limit value nearest
    InvalidType           ExconnectError       not_sent  no   argument
    RiskRejected          ExconnectError       not_sent  no   check
    TradingHalted         RiskRejected         not_sent  no   check reason since
    IntentConflict        ExconnectError       not_sent  no
    JournalUnavailable    ExconnectError       not_sent  yes
    CircuitOpen           ExconnectError       not_sent  yes
    WouldExceedLimit      ExconnectError       not_sent  yes
    ClientClosed          ExconnectError       not_sent  no
    TransportError        ExconnectError       not_sent  yes
    OutcomeUnknown        ExconnectError       unknown   no
    ExchangeError         ExconnectError       rejected  no
    AuthenticationError   ExchangeError        rejected  no
    PermissionDenied      AuthenticationError  rejected  no
    RateLimited           ExchangeError        rejected  yes
    Banned                RateLimited          rejected  yes
    ClockSkew             ExchangeError        rejected  yes
    Unavailable           ExchangeError        rejected  yes
    OrderRejected         ExchangeError        rejected  no
    InsufficientFunds     OrderRejected        rejected  no
    WouldCross            OrderRejected        rejected  no
    DuplicateOrder        OrderRejected        rejected  no
    OrderNotFound         OrderRejected        rejected  no
    AmendRefused          OrderRejected        rejected  no
    MalformedMessage      ExconnectError       not_sent  yes  text
    StreamError           ExconnectError       not_sent  no   state since
    BookNotReady          StreamError          not_sent  no   state since
    ForkedStream          StreamError          not_sent  no   state since
    StaleStream           StreamError          not_sent  no   state since
"""
ROWS = [line.split() for line in TREE.strip().splitlines()]
CLASSES = [getattr(errors, row[0]) for row in ROWS]
BUILTIN = {
    "InvalidArgument": ValueError,
    "UnknownSymbol": ValueError,
    "InvalidOrder": ValueError,
    "InvalidType": TypeError,
}

COMMON = {
    "retry_after": 1.5,
    "exchange": "binance",
    "operation": "place_order",
    "symbol": "BTC/USDT",
    "client_order_id": "abc-1",
    "code": -2010,
    "http_status": 400,
    "request_id": "7",
}
SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
# attribute: as it stands in `details`, as it is read
MORE = {
    "capability": ("futures", "futures"),
    "argument": ("price", "price"),
    "suggestions": (["BTC/USDT", "BTC/USDC"], ("BTC/USDT", "BTC/USDC")),
    "filter": ("tick_size", "tick_size"),
    "limit": ("0.01", Decimal("0.01")),
    "value": ("60000.005", Decimal("60000.005")),
    "nearest": ("60000", Decimal(60000)),
    "check": ("MaxOrderValue", "MaxOrderValue"),
    "reason": ("lunch", "lunch"),
    "since": (SINCE.isoformat(), SINCE),
    "text": ("<html>", "<html>"),
    "state": ("down", "down"),
}
DETAILS = COMMON | {name: stored for name, (stored, _) in MORE.items()}


def same(one: ExconnectError, other: ExconnectError) -> bool:
    return type(one) is type(other) and one.args == other.args and str(one) == str(other)


@pytest.mark.parametrize(
    "details, text",
    [
        ({}, "No."),
        ({"exchange": "toy"}, "No."),
        ({"exchange": "toy", "code": -1}, "toy: No. [-1]"),
        ({"exchange": "toy", "operation": "fetch_fees"}, "toy refused fetch_fees: No."),
        (
            {"exchange": "toy", "operation": "place_order", "symbol": "A/B", "client_order_id": "x", "code": 7},
            "toy refused place_order (A/B, order x): No. [7]",
        ),
    ],
)
def test_a_refusal_as_text_says_who_refused_what(details, text):
    error = errors.OrderRejected("No.", details)
    assert (str(error), error.message) == (text, "No.")


@pytest.mark.parametrize("kind", [errors.AmendRefused, errors.OrderNotFound])
def test_what_was_concluded_here_is_not_called_the_exchanges_refusal(kind):
    details = {"exchange": "toy", "operation": "amend_order", "symbol": "A/B"}
    assert str(kind("No.", details)) == "No."
    assert str(kind("No.", details | {"code": 7})) == "toy refused amend_order (A/B): No. [7]"
    assert str(kind("No.", details | {"http_status": 400})) == "toy refused amend_order (A/B): No."


def test_the_table_is_the_tree():
    found = {c.__name__ for c in vars(errors).values() if isinstance(c, type) and issubclass(c, ExconnectError)}
    assert found == {row[0] for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_class_says_what_the_table_says(row):
    name, base, outcome, retryable, *more = row
    kind = getattr(errors, name)
    error = kind("words", DETAILS)
    assert base in {"-", kind.__mro__[1].__name__}
    assert (error.outcome, error.retryable) == (Outcome(outcome), retryable == "yes")
    assert isinstance(error, ExconnectError)
    builtins = {c for c in (ValueError, TypeError) if isinstance(error, c)}
    assert builtins == ({BUILTIN[name]} if name in BUILTIN else set())
    assert {attribute: getattr(error, attribute) for attribute in COMMON} == COMMON
    assert {attribute for attribute in MORE if hasattr(error, attribute)} == set(more)
    for attribute in more:
        assert getattr(error, attribute) == MORE[attribute][1]
    assert kind.__doc__


@pytest.mark.parametrize("kind", CLASSES)
def test_no_argument_is_required_and_what_does_not_apply_is_none(kind):
    error = kind()
    assert (error.message, str(error), error.details, error.args) == ("", "", {}, ("", {}))
    assert all(getattr(error, name) is None for name in COMMON)
    assert all(getattr(error, name, None) is None for name in MORE)


@pytest.mark.parametrize("kind", CLASSES)
def test_kind_is_the_name_in_snake_case(kind):
    assert kind().kind == re.sub(r"([a-z])([A-Z])", r"\1_\2", kind.__name__).lower()


def test_some_kinds_spelled_out():
    assert [c().kind for c in (InsufficientFunds, ExconnectError, errors.TransportError, errors.Banned)] == [
        "insufficient_funds",
        "exconnect_error",
        "transport_error",
        "banned",
    ]


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(
    "travel",
    [
        *(lambda error, p=p: pickle.loads(pickle.dumps(error, p)) for p in range(2, pickle.HIGHEST_PROTOCOL + 1)),
        copy.copy,
        copy.deepcopy,
        lambda error: type(error)(*json.loads(json.dumps(error.args))),  # as a task queue's JSON back end does
    ],
)
def test_an_error_survives_its_travels(kind, travel):
    error = kind("words", DETAILS)
    there = travel(error)
    assert same(there, error)
    assert there.details is not error.details
    assert there.code == -2010


@pytest.mark.parametrize("code", [-2010, 10001, "170213"])
def test_the_code_keeps_its_type(code):
    assert ExconnectError("", {"code": code}).code == code


def raise_one(name: str) -> None:
    raise getattr(errors, name)("from another process", DETAILS)


def test_errors_come_home_from_a_process_pool():
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        for name in ("InsufficientFunds", "OutcomeUnknown", "InvalidOrder"):
            error = pool.submit(raise_one, name).exception()
            assert same(error, getattr(errors, name)("from another process", DETAILS))


def test_details_are_a_copy_and_add_fills_in_only_what_is_missing():
    given = {"symbol": "BTC/USDT", "code": None}
    error = ExconnectError("words", given)
    assert error.add(symbol="ETH/USDT", code=7, exchange="binance", request_id=None) is error
    assert error.details == {"symbol": "BTC/USDT", "code": 7, "exchange": "binance"}
    assert given == {"symbol": "BTC/USDT", "code": None}


def test_what_is_detail_on_the_class_is_the_descriptor():
    assert ExconnectError.symbol is vars(ExconnectError)["symbol"]


def test_details_are_read_only_attributes_of_one_dictionary():
    error = ExconnectError("words")
    error.details["symbol"] = "BTC/USDT"
    assert error.symbol == "BTC/USDT"


class TestOutcomeUnknown:
    def test_resolve_asks_the_client_that_sent_the_order(self):
        asked = []
        error = OutcomeUnknown("words").bind(lambda timeout: asked.append(timeout) or "the order")
        assert error.resolve() == "the order"
        assert error.resolve(timeout=2.0) == "the order"
        assert asked == [30.0, 2.0]

    def test_after_pickling_it_says_whom_to_ask(self):
        error = OutcomeUnknown("words", {"client_order_id": "abc-1"}).bind(lambda timeout: None)
        with pytest.raises(NotSupported, match=r"client\.orders\.resolve\(error\.client_order_id\)") as refused:
            pickle.loads(pickle.dumps(error)).resolve()
        assert refused.value.client_order_id == "abc-1"
