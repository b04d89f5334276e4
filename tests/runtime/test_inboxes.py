from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exconnect.runtime.actor import NEVER, Newest, Parcel, Recent


def put(inbox, key, item, at=0.0, weight=1):
    inbox.put(Parcel(key, item, at, weight))


def test_newest_keeps_one_per_key_and_its_place():
    inbox = Newest()
    put(inbox, "a", 1, at=1.0)
    put(inbox, "b", 2, at=2.0)
    put(inbox, "a", 3, at=3.0)
    assert (len(inbox), inbox.conflated, inbox.oldest()) == (2, 1, 1.0)
    assert [inbox.take(9.0).item, inbox.take(9.0).item] == [3, 2]
    assert inbox.ready_at() == NEVER
    assert inbox.oldest() is None


def test_newest_waits_between_two_of_a_key():
    inbox = Newest(interval=5.0)
    put(inbox, "a", 1)
    assert inbox.ready_at() == 0.0
    assert inbox.take(100.0).item == 1
    put(inbox, "a", 2)
    assert inbox.ready_at() == 105.0
    put(inbox, "b", 3)
    assert inbox.ready_at() == 0.0
    assert inbox.take(101.0).item == 3
    put(inbox, "a", 4)
    assert inbox.ready_at() == 105.0
    assert inbox.take(105.0).item == 4


def test_recent_drops_the_oldest_and_tells_which():
    inbox = Recent(2)
    for number, key in enumerate("aabba"):
        put(inbox, key, number)
    assert (len(inbox), inbox.dropped) == (2, 3)
    losses = inbox.losses()
    assert [(loss.first.item, loss.last.item, loss.items) for loss in losses] == [(0, 1, 2), (2, 2, 1)]
    assert inbox.losses() == []
    assert [inbox.take(0.0).item, inbox.take(0.0).item] == [3, 4]
    assert inbox.ready_at() == NEVER


def test_what_is_lost_with_an_item_counts_and_may_be_unknown():
    inbox = Recent(1)
    put(inbox, "a", 1, weight=5)
    put(inbox, "a", 2)
    put(inbox, "a", 3)
    assert inbox.losses()[0].items == 6
    put(inbox, "a", 4, weight=None)
    put(inbox, "a", 5)
    assert inbox.losses()[0].items is None


@pytest.mark.parametrize("inbox", [Newest(), Recent(2)], ids=["newest", "recent"])
def test_other_keys_are_forgotten(inbox):
    for key in "aabbcc":
        put(inbox, key, key)
    inbox.keep_only({"c"})
    assert {inbox.take(0.0).key for _ in range(len(inbox))} == {"c"}
    assert inbox.losses() == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60), st.integers(1, 5))
def test_recent_loses_nothing_silently(steps, capacity):
    inbox, sent, seen, lost = Recent(capacity), 0, 0, 0
    for key, also_take in steps:
        put(inbox, key, sent)
        sent += 1
        if also_take and len(inbox):
            lost += sum(loss.items for loss in inbox.losses())
            inbox.take(0.0)
            seen += 1
    lost += sum(loss.items for loss in inbox.losses())
    assert seen + lost + len(inbox) == sent
    assert len(inbox) <= capacity
    assert inbox.dropped == lost


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_newest_always_ends_with_the_newest(steps):
    inbox, newest, shown = Newest(), {}, {}
    for number, (key, also_take) in enumerate(steps):
        put(inbox, key, number)
        newest[key] = number
        if also_take:
            parcel = inbox.take(0.0)
            shown[parcel.key] = parcel.item
    while len(inbox):
        parcel = inbox.take(0.0)
        shown[parcel.key] = parcel.item
    assert shown == newest
