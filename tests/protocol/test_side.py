"""One side of a book: whatever its prices look like, it is what a dict of Decimals would be."""

from __future__ import annotations

from decimal import Decimal
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exconnect.model.market import Cell
from exconnect.protocol import side as module
from exconnect.protocol.side import Side, canonical, cells_of

D = Decimal

ALIKE = [f"{ticks // 100}.{ticks % 100:02}" for ticks in range(110, 1000, 23)]
LONGER_AND_SHORTER = ["9.98", "9.99", "10.00", "10.01", "99.98", "99.99", "100.00", "100.01", "0.50"]
WHOLE = ["7", "8", "9", "10", "11", "100"]
SMALL = ["0.00000001", "0.00000010", "0.00001234", "1.00000000"]
ANY = ["1", "1.0", "01.0", "1.5", "2.25", "02.25", "10.50", "1.10000000000000000001", "1.1", "1.09999999999999999999"]
FORMS = {"alike": ALIKE, "digits": LONGER_AND_SHORTER, "whole": WHOLE, "small": SMALL, "any": ANY}
SIZES = ["1", "0.5", "2.50", "0.00000001", "00.5", "0", "0.0", "0.00000000", "00.0"]


def levels_of(prices, sizes=SIZES):
    return st.lists(st.tuples(st.sampled_from(prices), st.sampled_from(sizes)), max_size=25)


def pairs(cells):
    return [(D(cell.price), D(cell.quantity)) for cell in cells]


class Naive:
    def __init__(self, *, is_bids):
        self.is_bids = is_bids
        self.levels = {}

    def follow(self, levels):
        for price, quantity in levels:
            self.levels.pop(D(price), None)
            if D(quantity):
                self.levels[D(price)] = D(quantity)

    def top(self, depth):
        return sorted(self.levels.items(), reverse=self.is_bids)[:depth]


@pytest.mark.parametrize("form", FORMS)
@given(is_limited=st.booleans(), is_bids=st.booleans(), data=st.data())
def test_it_is_what_a_dict_of_decimals_would_be(form, is_limited, is_bids, data):
    with mock.patch.object(module, "_LEAST", 1):  # so that the index is used up and cut all the time
        side, naive = Side(is_bids=is_bids, limit=1_000 if is_limited else None), Naive(is_bids=is_bids)
        first = data.draw(levels_of(FORMS[form], SIZES[:5]))
        side.load(cells_of(first))
        naive.follow(first)
        for levels in data.draw(st.lists(levels_of(FORMS[form]), max_size=12)):
            side.apply(cells_of(levels))
            naive.follow(levels)
            assert pairs(side.top(1)) == naive.top(1)
            depth = data.draw(st.sampled_from([None, None, 0, 1, 2, 5, 50]))
            if depth is not None:
                assert pairs(side.top(depth)) == naive.top(depth)
            assert len(side) == len(naive.levels)
        assert pairs(side.top(None)) == naive.top(None)


@pytest.mark.parametrize("is_bids", [True, False], ids=["bids", "asks"])
@given(levels=levels_of(LONGER_AND_SHORTER), limit=st.integers(1, 6))
def test_the_worst_are_dropped(is_bids, levels, limit):
    side, naive = Side(is_bids=is_bids, limit=limit), Naive(is_bids=is_bids)
    side.load(cells_of([("50.00", "1")]))
    naive.follow([("50.00", "1")])
    side.apply(cells_of(levels))
    naive.follow(levels)
    assert pairs(side.top(None)) == naive.top(limit)


@given(levels=levels_of(LONGER_AND_SHORTER, SIZES[:5]), limit=st.integers(1, 6))
def test_no_more_are_taken_than_are_to_be_kept(levels, limit):
    side, naive = Side(is_bids=False, limit=limit), Naive(is_bids=False)
    side.load(cells_of(levels))
    naive.follow(levels)
    assert pairs(side.top(None)) == naive.top(limit)


@given(form=st.sampled_from([*FORMS]), other=st.sampled_from([*FORMS]), data=st.data())
def test_sides_meet_by_value(form, other, data):
    sides, naives = [Side(is_bids=True), Side(is_bids=False)], [Naive(is_bids=True), Naive(is_bids=False)]
    for side, naive, name in zip(sides, naives, (form, other), strict=True):
        levels = data.draw(levels_of(FORMS[name], SIZES[:5]))
        side.load(cells_of(levels[:12]))
        side.apply(cells_of(levels[12:]))
        naive.follow(levels)
    (bid,), (ask,) = ([price for price, _ in naive.top(1)] or [None] for naive in naives)
    assert sides[0].meets(sides[1]) is (None not in (bid, ask) and bid >= ask)


@given(st.lists(st.from_regex(r"[0-9]{1,20}(\.[0-9]{1,20})?", fullmatch=True), min_size=2, max_size=6))
def test_canonical_texts_are_ordered_as_the_values_are(texts):
    assert [D(text) for text in sorted(texts, key=canonical)] == sorted(map(D, texts))
    one, two, *_ = texts
    assert (canonical(one) == canonical(two)) is (D(one) == D(two))


def test_a_price_is_kept_apart_until_the_others_are_used_up():
    side = Side(is_bids=True)
    side.load(cells_of([("10.00", "1"), ("10.01", "1")]))
    side.apply(cells_of([("9.99", "2"), ("8.00", "3"), ("9.98", "4"), ("9.98", "0")]))
    assert (len(side), pairs(side.top(2))) == (4, [(D("10.01"), D(1)), (D("10.00"), D(1))])
    side.apply(cells_of([("10.00", "0"), ("10.01", "0")]))
    assert pairs(side.top(1)) == [(D("9.99"), D(2))]
    assert pairs(side.top(None)) == [(D("9.99"), D(2)), (D("8.00"), D(3))]


@pytest.mark.parametrize("is_bids", [True, False], ids=["bids", "asks"])
@pytest.mark.parametrize("odd", ["5000.00", "1.00", "300.0"])
def test_it_is_thin_when_less_than_half_of_what_was_loaded_is_left(is_bids, odd):
    prices = [f"{500 + n if is_bids else 900 - n}.00" for n in range(100)]  # the worst first
    side = Side(is_bids=is_bids)
    side.load(cells_of([(price, "1") for price in prices]))
    beyond = [(f"{499 - n if is_bids else 901 + n}.00", "1") for n in range(60)]
    side.apply(cells_of([*beyond, (odd, "0")]))  # nothing is known of what lies beyond
    side.apply(cells_of([(price, "0") for price in prices[50:]]))
    assert not side.is_thin(100)
    side.apply(cells_of([(prices[0], "0")]))
    assert side.is_thin(100)
    assert not side.is_thin(101)  # less came than was asked for: it was all there is
    side.apply(cells_of([(prices[0], "1")]))
    assert not side.is_thin(100)


@pytest.mark.parametrize("zero", ["0", "000", "0.0", "0.00000000", "00.00", ".00", "00.", "0" * 41, f"0.{'0' * 39}"])
def test_zero_by_value_however_it_is_written(zero):
    side = Side(is_bids=True)
    side.load(cells_of([("1.00", "1"), ("2.00", "1")]))
    side.apply([Cell("2.00", zero), Cell("3.00", zero)])
    assert pairs(side.top(None)) == [(D(1), D(1))]
    side.load([Cell("2.00", zero)])
    assert side.top(None) == []


def test_plain_levels_pass():
    assert cells_of([("1", "2.50"), ["0.00000001", "0"]]) == [Cell("1", "2.50"), Cell("0.00000001", "0")]
