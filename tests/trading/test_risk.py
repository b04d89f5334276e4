"""Risk checks: who refuses what, fail closed, in order, and that only what left is counted."""

import os
import pickle
import sys
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest

from exconnect.environment import Environment
from exconnect.errors import BookNotReady, InvalidArgument, InvalidType, RiskRejected
from exconnect.model.enums import InstrumentStatus, MarketType
from exconnect.model.instrument import Instrument
from exconnect.model.market import Book, Cell, Levels
from exconnect.model.order import PlaceOrder
from exconnect.trading.risk import (
    AllowedSymbols,
    MaxOpenOrders,
    MaxOrderRate,
    MaxOrderValue,
    NoDuplicates,
    PriceBand,
    ReduceOnly,
    RiskView,
    name_of,
    run_checks,
    take_back,
)

D = Decimal
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def view(seconds=0.0, price=None, open_orders=0, kind=MarketType.SPOT):
    instrument = Instrument(
        exchange="binance",
        symbol="BTC/USDT",
        exchange_symbol="BTCUSDT",
        market=kind,
        base="BTC",
        quote="USDT",
        status=InstrumentStatus.TRADING,
        **dict.fromkeys(("tick_size", "lot_size", "min_quantity"), D("0.01")),
    )
    reference = None if price is None else D(price)
    return RiskView(instrument, [None] * open_orders, {}, NOW + timedelta(seconds=seconds), lambda: reference)


def order(quantity="1", price="100", side="buy", symbol="BTC/USDT", **more):
    return PlaceOrder(symbol, side, quantity, price=price, **more)


def market(quantity="1", **more):
    return order(quantity, None, type="market", **more)


class Stream:
    def __init__(self, bid="99", ask="101"):
        self.sides = [Levels([] if each is None else [Cell(each, "1")]) for each in (bid, ask)]

    def book(self, symbol, *, stale_ok=False):
        if symbol != "BTC/USDT":
            raise BookNotReady("no book")
        return Book(exchange="binance", symbol=symbol, bids=self.sides[0], asks=self.sides[1], sequence=1)


READY_MADE = [
    # check, order, view, refusal
    (MaxOrderValue(100), order(), view(price="100"), None),
    (MaxOrderValue("99.99"), order(), view(price="100"), "worth 100, more than 99.99"),
    (MaxOrderValue(100), market("2"), view(price="50.01"), "worth 100.02, more than 100"),
    (MaxOrderValue("100.00"), market("2.000"), view(price="50.01000000"), "worth 100.02, more than 100"),
    (MaxOrderValue(100), market(), view(), "the value cannot be told without a price"),
    (MaxOrderValue(100), market(None, quote_quantity="100"), view(), None),
    (MaxOrderValue(100), market(None, quote_quantity="101"), view(), "worth 101, more than 100"),
    (PriceBand(2, Stream()), order(price="102"), view(price="102"), None),
    (PriceBand(2, Stream()), order(price="98"), view(price="98"), None),
    (PriceBand(2, Stream()), order(price="102.01"), view(price="102.01"), "102.01 is 2.01 % away from 100"),
    (PriceBand(2, Stream()), order(price="97.9"), view(price="97.9"), "97.9 is 2.10 % away from 100"),
    (PriceBand(2, Stream(bid=None)), order(), view(price="100"), "there is no price to compare with"),
    (PriceBand(2, Stream()), market(), view(), "there is no price to compare with"),
    (MaxOpenOrders(2), order(), view(open_orders=1), None),
    (MaxOpenOrders(2), order(), view(open_orders=2), "2 orders are open"),
    (MaxOpenOrders(1), order(), view(open_orders=1), "1 order is open"),
    (MaxOpenOrders(2), order(amends="abc"), view(open_orders=2), None),
    (MaxOpenOrders(0), order(), view(), "0 orders are open"),
    (AllowedSymbols("BTC/USDT", "ETH/USDT"), order(), view(), None),
    (AllowedSymbols("ETH/USDT"), order(), view(), "BTC/USDT is not among the allowed symbols"),
    (AllowedSymbols(), order(), view(), "BTC/USDT is not among the allowed symbols"),
    (ReduceOnly(), order(side="sell"), view(), None),
    (ReduceOnly(), order(), view(), "only sells reduce what is held"),
    (ReduceOnly(), order(reduce_only=True), view(kind=MarketType.LINEAR), None),
    (ReduceOnly(), order(side="sell"), view(kind=MarketType.LINEAR), "reduce_only=True is required"),
    (MaxOrderRate(0, 1), order(), view(), "0 orders in 1 s"),
]


@pytest.mark.parametrize("check, command, what, refusal", READY_MADE)
def test_ready_made_checks(check, command, what, refusal):
    assert check(command, what) == refusal
    if refusal is None:
        run_checks((check,), command, what)
        return
    with pytest.raises(RiskRejected) as refused:
        run_checks((check,), command, what)
    name = type(check).__name__
    assert refused.value.message == f"risk check {name} refused the order: {refusal}"
    assert (refused.value.check, refused.value.symbol) == (name, "BTC/USDT")


def test_at_most_so_many_orders_in_so_many_seconds():
    check = MaxOrderRate(2, 10)
    seen = [check(order(), view(seconds)) for seconds in (0, 1, 2, 9.999, 10, 10.5, 11)]
    refusal = "2 orders in 10 s"
    assert seen == [None, None, refusal, refusal, None, refusal, None]


def test_the_same_order_within_so_many_seconds():
    check = NoDuplicates(5)
    refusal = "the same order left less than 5 s ago"
    assert check(order(), view(0)) is None
    assert check(order("1.0", "100.00"), view(4.9)) == refusal
    others = [order("2"), order(price="101"), order(side="sell"), order(symbol="ETH/USDT"), market()]
    assert [check(each, view(4.9)) for each in [*others, market(None, quote_quantity="5")]] == [None] * 6
    assert check(order(), view(5)) is None


@pytest.mark.parametrize("check", [NoDuplicates(60), MaxOrderRate(1, 60)])
def test_an_order_that_another_check_refused_did_not_leave(check):
    command = order()
    with pytest.raises(RiskRejected, match="AllowedSymbols"):
        run_checks((check, AllowedSymbols()), command, view())
    run_checks((check,), command, view())
    with pytest.raises(RiskRejected):
        run_checks((check,), order(), view())
    take_back((check, AllowedSymbols()), command)
    run_checks((check,), order(), view())


class TestFailClosed:
    @pytest.mark.parametrize(
        "verdict, reason",
        [
            (False, "no reason given"),
            ("too late today", "too late today"),
            ("", "no reason given"),
            (0, "no reason given"),
            (1, "no reason given"),
            ([], "no reason given"),
            (object(), "no reason given"),
        ],
    )
    def test_what_is_not_none_or_true_refuses(self, verdict, reason):
        def my_check(command, what):
            return verdict

        with pytest.raises(RiskRejected, match=f"risk check my_check refused the order: {reason}$") as refused:
            run_checks((my_check,), order(client_order_id="abc-1"), view())
        assert refused.value.details == {"check": "my_check", "symbol": "BTC/USDT", "client_order_id": "abc-1"}

    @pytest.mark.parametrize("verdict", [None, True])
    def test_none_and_true_let_pass(self, verdict):
        run_checks((lambda command, what: verdict,), order(), view())

    @pytest.mark.parametrize("error", [ZeroDivisionError("secret"), BookNotReady("stale"), AssertionError()])
    def test_a_check_that_fails_refuses(self, error):
        def broken(command, what):
            raise error

        words = f"{type(error).__name__}: stale" if isinstance(error, BookNotReady) else type(error).__name__
        message = f"risk check broken failed ({words}), so the order was not sent"
        with pytest.raises(RiskRejected) as refused:
            run_checks((broken,), order(), view())
        assert (refused.value.message, refused.value.__cause__) == (message, error)

    def test_a_check_that_cannot_be_called_refuses(self):
        with pytest.raises(RiskRejected, match=r"failed \(TypeError\)"):
            run_checks((lambda: None,), order(), view())

    def test_a_book_that_is_not_valid_refuses(self):
        with pytest.raises(RiskRejected, match=r"risk check PriceBand failed \(BookNotReady: no book\)"):
            run_checks((PriceBand(1, Stream()),), order(symbol="ETH/USDT"), view(price="1"))

    def test_ctrl_c_passes_through_and_what_was_let_through_is_taken_back(self):
        def interrupted(command, what):
            raise KeyboardInterrupt

        check = MaxOrderRate(1, 60)
        with pytest.raises(KeyboardInterrupt):
            run_checks((check, interrupted), order(), view())
        run_checks((check,), order(), view())


def test_checks_are_asked_in_order_until_one_refuses():
    asked = []

    def asks(name, verdict):
        def check(command, what):
            asked.append(name)
            return verdict

        return check

    run_checks((), order(), view())
    with pytest.raises(RiskRejected, match="refused the order: two"):
        run_checks((asks("one", None), asks("two", "two"), asks("three", None)), order(), view())
    assert asked == ["one", "two"]


def test_names():
    assert [name_of(check) for check in (MaxOpenOrders(1), view, partial(view), lambda c, v: None)] == [
        *("MaxOpenOrders", "view", "partial", "<lambda>")
    ]


def test_a_view_asks_for_the_price_only_when_it_is_wanted():
    asked = []
    what = RiskView(view().instrument, [], {}, NOW, lambda: asked.append(1) or D(5))
    assert asked == []
    assert (what.reference_price, asked) == (D(5), [1])


@pytest.mark.parametrize(
    "make, kind, message",
    [
        (lambda: MaxOrderRate("5", 1), InvalidType, "count must be an int"),
        (lambda: MaxOrderRate(True, 1), InvalidType, "count must be an int"),
        (lambda: MaxOpenOrders(-1), InvalidArgument, "count must not be below zero"),
        *(
            (lambda per=per: NoDuplicates(per), InvalidArgument, "a time span must be seconds")
            for per in (0, -1, "5", None, True, float("nan"), float("inf"), 86_401)
        ),
        (lambda: AllowedSymbols(["BTC/USDT"]), InvalidType, "write several one by one"),
        (lambda: AllowedSymbols("BTCUSDT"), InvalidArgument, "symbols: 'BTCUSDT' is none, they look like 'BTC/USDT'"),
        (lambda: MaxOrderValue(0), InvalidArgument, "quote must be above zero"),
        (lambda: PriceBand(1.5, Stream()), InvalidType, "percent must not be a float"),
    ],
)
def test_checks_refuse_what_cannot_be_right(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


@pytest.mark.parametrize("check", [MaxOrderRate(1, 60), NoDuplicates(60)])
def test_a_check_travels_as_what_it_was_made_with(check):
    run_checks((check,), order(), view())
    there = pickle.loads(pickle.dumps(check))
    run_checks((there,), order(), view())
    with pytest.raises(RiskRejected, match=r"1 orders in 60 s|less than 60 s ago"):
        run_checks((there,), order(), view())


def test_a_check_shows_what_it_was_made_with():
    checks = (MaxOrderValue("5"), MaxOrderRate(1, per=60), NoDuplicates(within=2), AllowedSymbols("A/B"), ReduceOnly())
    assert repr(checks) == (
        "(MaxOrderValue(quote=Decimal('5')), MaxOrderRate(count=1, per=60), NoDuplicates(within=2), "
        "AllowedSymbols(symbols=frozenset({'A/B'})), ReduceOnly())"
    )


def test_making_a_check_makes_no_lock(monkeypatch):
    monkeypatch.setattr(threading, "Lock", lambda: pytest.fail("made too early"))
    assert MaxOrderRate(1, 1)
    assert NoDuplicates(1)


def test_a_forked_process_does_not_wait_for_a_lock_of_its_parents(monkeypatch):
    check = MaxOrderRate(5, 60)
    run_checks((check,), order(), view())
    with check._recent._lock():  # as a thread of the parent may hold it in the moment of the fork
        monkeypatch.setattr(os, "getpid", lambda: -1)
        run_checks((check,), order(), view())


def test_many_threads_at_once_pass_exactly_as_many_as_may():
    check, passed, begin = MaxOrderRate(50, 60), [], threading.Barrier(4)

    def work():
        begin.wait(10)
        passed.append(sum(check(order(), view()) is None for _ in range(100)))

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [Environment().spawn(f"exconnect.test-{i}", work) for i in range(4)]
        for thread in threads:
            thread.join(30)
    finally:
        sys.setswitchinterval(switch)
    assert sum(passed) == 50
