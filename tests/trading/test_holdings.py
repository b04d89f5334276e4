"""Balances as they are known: the newest of each asset, and whether their changes add up."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from exconnect.environment import Environment
from exconnect.model.account import Balance, Balances
from exconnect.trading.holdings import Holdings


class Still(Environment):
    """A clock that the test holds."""

    at = 100.0

    def now(self):
        return self.at


@pytest.fixture
def env():
    return Still()


@pytest.fixture
def holdings(env):
    return Holdings("toy", env)


def balance(asset, free, locked="0"):
    return Balance(exchange="toy", asset=asset, free=Decimal(free), locked=Decimal(locked))


def snapshot(*balances):
    return Balances("toy", {b.asset: b for b in balances})


def test_nothing_is_known_at_first(holdings):
    assert holdings.balances() == {}
    assert holdings.balances()["BTC"].total == 0


def test_the_newer_report_counts_whichever_came_first(holdings):
    reports = [(ms, balance("BTC", str(ms))) for ms in range(1, 30)]
    random.Random(1).shuffle(reports)
    for ms, report in reports:
        holdings.change([report], ms)
    assert holdings.balances()["BTC"] == balance("BTC", "29")


def test_what_is_not_in_a_whole_report_is_gone(holdings):
    first = holdings.put(snapshot(balance("BTC", "1"), balance("ETH", "2")), 10)
    assert {b.asset for b in first} == {"BTC", "ETH"}
    assert holdings.put(snapshot(balance("BTC", "1")), 11) == [balance("ETH", "0")]
    assert holdings.put(snapshot(balance("BTC", "1")), 12) == []
    assert list(holdings.balances()) == ["BTC"]


def test_a_whole_report_does_not_undo_a_newer_change(holdings):
    holdings.change([balance("BTC", "5")], 20)
    assert holdings.put(snapshot(balance("BTC", "1")), 19) == []
    assert holdings.put(snapshot(), 19) == []
    assert holdings.balances()["BTC"].free == 5


def test_a_change_that_is_explained_before_or_after(holdings, env):
    holdings.put(snapshot(balance("BTC", "1"), balance("USDT", "100")), 1)
    holdings.explain("fill 1", [("BTC", Decimal("0.5")), ("USDT", Decimal(-50))])
    holdings.explain("fill 1", [("BTC", Decimal("0.5")), ("USDT", Decimal(-50))])  # told twice, counts once
    holdings.change([balance("BTC", "1.5"), balance("USDT", "50")], 2)
    holdings.change([balance("USDT", "20", locked="30")], 3)  # only where it lies has changed
    env.at += 10
    assert holdings.unexplained() == {}


def test_a_change_that_nothing_explains_in_time(holdings, env):
    holdings.put(snapshot(balance("BTC", "1")), 1)
    holdings.change([balance("BTC", "0.4")], 2)
    env.at += 1.9
    assert holdings.unexplained() == {}
    env.at += 0.2
    assert holdings.unexplained() == {"BTC": Decimal("-0.6")}
    holdings.settle()
    assert holdings.unexplained() == {}


def test_what_is_rounded_away_is_no_riddle(holdings, env):
    holdings.put(snapshot(balance("USDT", "100")), 1)
    holdings.explain("fill", [("USDT", Decimal("-33.333333333333"))])
    holdings.change([balance("USDT", "66.66666667")], 2)
    env.at += 10
    assert holdings.unexplained() == {}
