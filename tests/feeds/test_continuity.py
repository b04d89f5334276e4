"""Trades once, whatever comes again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from exconnect.feeds import continuity
from exconnect.feeds.continuity import TradeSequence
from exconnect.model.enums import Side
from exconnect.model.market import Trade

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def trade(name, second=None):
    time = None if second is None else BEGIN + timedelta(seconds=second)
    one = Decimal(1)
    return Trade(exchange="toy", symbol="A/B", id=name, price=one, quantity=one, side=Side.BUY, time=time)


@pytest.fixture
def sequence(monkeypatch):
    monkeypatch.setattr(continuity, "_REMEMBERED", 3)
    return TradeSequence(is_consecutive=False)


def test_what_comes_again_after_it_was_forgotten_is_old(sequence):
    trades = [trade(name, second) for second, name in enumerate("abcdef")]
    assert all(sequence.follow(each) == (True, None) for each in trades)
    assert not any(sequence.follow(each)[0] for each in trades)
    assert sequence.follow(trade("late", 4)) == (True, None)  # not older than what is remembered


def test_without_times_only_what_is_remembered_is_old(sequence):
    for name in "abcd":
        sequence.follow(trade(name))
    assert not sequence.follow(trade("d"))[0]
    assert sequence.follow(trade("a"))[0]


def test_the_first_reason_why_something_may_be_missing_is_told(sequence):
    sequence.interrupted("nothing came yet")
    assert sequence.follow(trade("a", 0)) == (True, None)
    sequence.interrupted("one")
    sequence.interrupted("two")
    _, missing = sequence.follow(trade("b", 1))
    assert missing.reason == "one"
    assert sequence.follow(trade("c", 2)) == (True, None)


def test_a_trade_that_comes_after_a_newer_one_is_lost_and_told_of(sequence):
    for name, second in (("10", 0), ("13", 2)):
        assert sequence.follow(trade(name, second)) == (True, None)
    assert sequence.follow(trade("11", 1)) == (False, None)
    assert sequence.follow(trade("12", 1)) == (False, None)
    assert sequence.follow(trade("11", 1)) == (False, None)  # once is enough
    is_new, missing = sequence.follow(trade("14", 3))
    assert is_new
    assert (missing.first_id, missing.last_id, missing.items) == ("11", "12", 2)
    assert sequence.follow(trade("15", 4)) == (True, None)


def test_an_exchange_may_count_anew(sequence):
    assert sequence.follow(trade("10", 0)) == (True, None)
    assert sequence.follow(trade("1", 1)) == (True, None)
    assert sequence.follow(trade("2", 2)) == (True, None)
