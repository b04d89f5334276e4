"""The book itself, whatever the exchange: exact, contiguous, never crossed, never half changed."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exconnect.errors import MalformedMessage
from exconnect.model.enums import Source
from exconnect.protocol import book as module
from exconnect.protocol.book import BookBuilder, BookState, Change, Fault, Verdict
from exconnect.protocol.session import BookUpdate

AT = datetime(2026, 1, 1, tzinfo=UTC)
D = Decimal


class Chain:
    """Ids that follow each other by one; `first_id` 0 is a whole book where the exchange sends such."""

    def __init__(self, *, needs_snapshot: bool = True) -> None:
        self.needs_snapshot = needs_snapshot
        self.last_id = 0

    def anchor(self, snapshot_id):
        self.last_id = snapshot_id

    def judge(self, update):
        if update.is_snapshot:
            self.last_id = update.last_id
            return Verdict.RESET
        if update.last_id <= self.last_id:
            return Verdict.DROP
        if update.first_id > self.last_id + 1 or not self.last_id:
            return Verdict.RESYNC
        self.last_id = update.last_id
        return Verdict.APPLY


def update(last, bids=(), asks=(), *, first=None, **more):
    return BookUpdate("A/B", last if first is None else first, last, list(bids), list(asks), last, AT, **more)


def live(bids=(("10", "1"), ("9", "2")), asks=(("11", "1"), ("12", "2")), **options):
    builder = BookBuilder("toy", "A/B", Chain, **options)
    assert builder.load(update(1, bids, asks)) is Change.APPLIED
    return builder


def sides(builder, depth=None):
    book = builder.view(depth)
    return [[(str(price), str(quantity)) for price, quantity in side] for side in (book.bids, book.asks)]


# ---- what it shows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message, raw",
    [
        ('{"u":2,"p":1.50}', {"u": 2, "p": D("1.50")}),
        ('{"p":1e9999}', '{"p":1e9999}'),
        ("{", "{"),
        ({"u": 2}, {"u": 2}),
    ],
)
@pytest.mark.parametrize("travel", [copy.copy, lambda book: pickle.loads(pickle.dumps(book)), dataclasses.replace])
def test_a_view_keeps_the_message_that_it_is_as_of(message, raw, travel):
    builder = live()
    builder.receive(update(2, raw=message))
    book, again = builder.view(), builder.view()
    builder.receive(update(3))
    assert travel(book) == again
    assert book.raw == raw
    assert book.raw is book.raw
    assert travel(book).raw == raw
    assert again.time == book.time == datetime(1970, 1, 1, 0, 0, 0, 2_000, tzinfo=UTC)
    assert builder.view().raw is None
    with pytest.raises(AttributeError, match="'Book' object has no attribute 'surprise'"):
        _ = book.surprise


def test_a_view_of_a_live_book():
    builder = live(bids=[("9", "2"), ("10", "1")], asks=[("12.50", "2"), ("11", "0.10")])
    book = builder.view()
    assert (book.exchange, book.symbol, book.sequence, book.is_valid) == ("toy", "A/B", 1, True)
    assert (book.source, book.received_at) == (Source.STREAM, AT)
    assert book.time == datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)
    assert (book.best_bid, book.best_ask) == ((D(10), D(1)), (D(11), D("0.1")))
    assert sides(builder) == [[("10", "1"), ("9", "2")], [("11", "0.10"), ("12.50", "2")]]
    assert sides(builder, 1) == [[("10", "1")], [("11", "0.10")]]
    assert sides(builder, 0) == [[], []]
    assert sides(builder, 99) == sides(builder)


def test_a_book_that_was_never_loaded():
    builder = BookBuilder("toy", "A/B", Chain)
    book = builder.view()
    assert (book.is_valid, book.time, book.received_at, list(book.bids)) == (False, None, None, [])
    assert builder.needs_snapshot
    assert not builder.is_thin


def test_quantities_are_absolute_and_zero_removes():
    builder = live()
    assert builder.receive(update(2, [("10", "5"), ("9", "0.000")], [("11", "0"), ("13", "3")])) is Change.APPLIED
    assert sides(builder) == [[("10", "5")], [("12", "2"), ("13", "3")]]
    assert builder.sequence == 2
    assert builder.receive(update(3, [("10", "0"), ("7", "0.0")], [("99", "0")])) is Change.APPLIED
    assert sides(builder) == [[], [("12", "2"), ("13", "3")]]
    assert builder.receive(update(4, [("9", "1"), ("10", "2")])) is Change.APPLIED
    assert sides(builder)[0] == [("10", "2"), ("9", "1")]


@pytest.mark.parametrize("zero", ["0", "0.0", "0.00000000", "00", "00.0", "000.000", "0." + "0" * 20])
def test_zero_by_value_not_by_text(zero):
    builder = live()
    builder.receive(update(2, [("10", zero)]))
    assert sides(builder)[0] == [("9", "2")]
    assert sides(live(bids=[("10", zero), ("9", "2")]))[0] == [("9", "2")]


@pytest.mark.parametrize(
    "quantity", ["0.00000001", "0." + "0" * 19 + "1", "00.5", "01", "5", "0.5", "00000000000000000001"]
)
def test_what_is_not_zero(quantity):
    builder = live()
    builder.receive(update(2, [("10", quantity)]))
    assert builder.view().best_bid == (D(10), D(quantity))


def test_a_view_stays_as_it_was():
    builder = live()
    before, unread = builder.view(), builder.view()
    first = list(before.bids)
    builder.receive(update(2, [("10", "0"), ("9", "7"), ("8", "1")], [("11", "9")]))
    builder.invalidate(Fault("lost"))
    assert list(before.bids) == first == [(D(10), D(1)), (D(9), D(2))]
    assert list(unread.bids) == first
    assert unread.asks[0] == (D(11), D(1))
    assert before.is_valid
    assert sides(builder) == [[("9", "7"), ("8", "1")], [("11", "9"), ("12", "2")]]
    assert pickle.loads(pickle.dumps(unread)) == before


def test_a_level_is_built_once_for_all_views():
    builder = live()
    first = builder.view().bids[0]
    builder.receive(update(2, [("9", "5")]))
    assert builder.view().bids[0] is first
    assert builder.view(1).bids[0] is first


# ---- the price of a level is its value ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["10.0", "10.00000000", "010", "00010.0"])
def test_two_texts_of_one_price_are_one_level(text):
    builder = live()
    builder.receive(update(2, [(text, "3")]))
    assert [(D(price), quantity) for price, quantity in sides(builder)[0]] == [(D(10), "3"), (D(9), "2")]
    builder.receive(update(3, [("10.000", "0")]))
    assert sides(builder)[0] == [("9", "2")]
    builder.receive(update(4, [(text, "1"), ("10", "2"), (text, "4"), ("10.00", "0.0")]))
    assert sides(builder)[0] == [("9", "2")]


def test_a_snapshot_with_one_price_twice_keeps_the_last():
    assert sides(live(bids=[("10", "1"), ("10.0", "2"), ("9", "1")]))[0] == [("10.0", "2"), ("9", "1")]


NEAR = ["12345678901234567.001", "12345678901234567.002", "12345678901234567.003"]


def test_prices_that_floats_cannot_tell_apart():
    assert len({float(text) for text in NEAR}) == 1
    builder = live(bids=[(text, "1") for text in NEAR], asks=[])
    assert [price for price, _ in sides(builder)[0]] == NEAR[::-1]
    builder.receive(update(2, [(NEAR[1] + "00", "0")]))
    assert [price for price, _ in sides(builder)[0]] == [NEAR[2], NEAR[0]]


def test_a_book_of_short_prices_learns_long_ones():
    builder = live(bids=[("1", "1"), ("0.5", "1")], asks=[("2", "1"), ("3", "1")])
    builder.receive(
        update(2, [("0.50000000000000000001", "7"), ("0.49999999999999999999", "8")], [("2.0000000000000000001", "9")])
    )
    assert sides(builder) == [
        [("1", "1"), ("0.50000000000000000001", "7"), ("0.5", "1"), ("0.49999999999999999999", "8")],
        [("2", "1"), ("2.0000000000000000001", "9"), ("3", "1")],
    ]
    builder.receive(update(3, [("1.0", "0"), ("0.500", "4")], [("2.00", "0"), ("3.0", "5")]))
    assert sides(builder) == [
        [("0.50000000000000000001", "7"), ("0.500", "4"), ("0.49999999999999999999", "8")],
        [("2.0000000000000000001", "9"), ("3.0", "5")],
    ]


def test_a_cross_that_floats_cannot_see():
    builder = live(bids=[("0.1", "1")], asks=[("0.10000000000000000002", "1")])
    assert builder.receive(update(2, [("0.10000000000000000001", "1")])) is Change.APPLIED
    assert builder.receive(update(3, [("0.10000000000000000002", "1")])) is Change.BROKEN


@pytest.mark.parametrize("digits", ["1" * 20, "9" * 16, "1" + "0" * 19, "0." + "1" * 20, "1" * 20 + "." + "1" * 20])
def test_long_numbers_are_kept_exactly(digits):
    builder = live(bids=[("0.000001", "1")], asks=[])
    builder.receive(update(2, [(digits, digits)]))
    assert builder.view().best_bid == (D(digits), D(digits))


# ---- validity -------------------------------------------------------------------------------------------------------


def test_a_crossed_or_locked_book_is_not_valid():
    for price in ("11", "11.0", "12", "99"):
        builder = live()
        assert builder.receive(update(2, [(price, "1")])) is Change.BROKEN
        assert builder.state is BookState.SYNCING
        assert (builder.fault.reason, builder.fault.got) == ("the book is crossed", 2)
        assert not builder.view().is_valid
        assert builder.needs_snapshot


def test_a_crossed_snapshot_is_not_valid():
    builder = BookBuilder("toy", "A/B", Chain)
    builder.receive(update(3))
    assert builder.load(update(10**15, [("10", "1")], [("9", "1")])) is Change.BROKEN
    assert not builder.view().is_valid
    assert builder.load(update(1)) is Change.STALE
    assert builder.load(update(2)) is Change.APPLIED  # the id of one that makes no sense says nothing


def test_one_side_alone_does_not_cross():
    builder = live(asks=[])
    assert builder.receive(update(2, [("99", "1")])) is Change.APPLIED


def test_a_gap_breaks_it_and_a_snapshot_heals_it():
    builder = live()
    assert builder.receive(update(4, [("10", "9")], first=3)) is Change.BROKEN
    assert builder.fault == Fault("updates are missing", 2, 3)
    assert builder.receive(update(5, [("8", "1")])) is Change.BUFFERED
    assert builder.receive(update(6, [("8", "2")])) is Change.BUFFERED
    assert builder.load(update(1, [("10", "1")], [("11", "1")])) is Change.STALE
    assert builder.state is BookState.SYNCING
    assert builder.load(update(2, [("10", "1")], [("11", "1")])) is Change.APPLIED  # what broke it was kept, too
    assert (builder.sequence, sides(builder)) == (6, [[("10", "9"), ("8", "2")], [("11", "1")]])


def test_a_snapshot_older_than_what_was_seen_is_no_help():
    builder = live()
    builder.receive(update(2))
    builder.invalidate(Fault("a message made no sense"))
    assert builder.load(update(1)) is Change.STALE  # nothing is buffered that could show it
    assert builder.load(update(2)) is Change.APPLIED
    builder.refresh()
    assert builder.load(update(1)) is Change.STALE
    assert (builder.sequence, builder.state) == (2, BookState.LIVE)


def test_a_gap_with_nothing_behind_it():
    builder = live()
    assert builder.receive(update(5)) is Change.BROKEN
    assert builder.load(update(3)) is Change.STALE
    assert builder.load(update(4)) is Change.APPLIED
    assert builder.sequence == 5


def test_a_new_connection_may_count_anew():
    builder = live()
    builder.receive(update(2))
    builder.disconnect(Fault("the connection was lost"))
    assert builder.load(update(1)) is Change.STALE
    builder.believe()
    assert builder.load(update(1)) is Change.APPLIED  # the exchange insists
    builder.disconnect(Fault("the connection was lost"))
    builder.receive(update(1))
    assert builder.load(update(1)) is Change.APPLIED  # what came says so
    builder.invalidate(Fault("a message made no sense"))
    builder.believe()
    assert builder.load(update(0)) is Change.STALE  # on one connection nothing is believed


def test_a_gap_among_what_was_buffered():
    builder = BookBuilder("toy", "A/B", Chain)
    for last in (2, 3, 5):
        builder.receive(update(last))
    assert builder.load(update(1)) is Change.BROKEN
    assert builder.state is BookState.SYNCING
    assert builder.needs_snapshot
    builder.receive(update(6))
    assert builder.load(update(3)) is Change.STALE
    assert builder.load(update(4)) is Change.APPLIED
    assert builder.sequence == 6


@pytest.mark.parametrize(
    "prepare", [lambda builder: None, lambda builder: builder.load(update(1)) and builder.refresh()]
)
def test_what_makes_no_sense_is_not_buffered(prepare):
    builder = BookBuilder("toy", "A/B", Chain)
    prepare(builder)
    builder.receive(update(2))
    with pytest.raises(MalformedMessage):
        builder.receive(update(3, [("1e5", "1")]))
    assert builder.load(update(2)) is Change.APPLIED
    assert builder.sequence == 2


def test_more_behind_a_gap_among_what_was_buffered():
    builder = BookBuilder("toy", "A/B", Chain)
    for last in (3, 5, 6):
        builder.receive(update(last))
    assert builder.load(update(2)) is Change.BROKEN
    assert builder.load(update(4)) is Change.APPLIED
    assert builder.sequence == 6


def test_old_updates_are_ignored():
    builder = live()
    assert builder.receive(update(1, [("10", "77")])) is Change.IGNORED
    assert sides(builder)[0][0] == ("10", "1")


def test_what_is_buffered_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "_BUFFERED", 10)
    builder = BookBuilder("toy", "A/B", Chain)
    for last in range(2, 40):
        assert builder.receive(update(last)) is Change.BUFFERED
    assert builder.load(update(20)) is Change.STALE
    assert builder.load(update(36)) is Change.APPLIED
    assert builder.sequence == 39


def test_a_refresh_keeps_the_book_valid():
    builder = live()
    builder.refresh()
    builder.refresh()
    assert builder.needs_snapshot
    assert builder.receive(update(2, [("9", "3")])) is Change.APPLIED
    assert builder.view().is_valid
    assert builder.load(update(2, [("10", "1"), ("9", "3"), ("8", "1")], [("11", "1")])) is Change.APPLIED
    assert sides(builder)[0] == [("10", "1"), ("9", "3"), ("8", "1")]
    assert not builder.needs_snapshot


def test_a_refresh_with_a_snapshot_that_lags():
    builder = live()
    builder.refresh()
    builder.receive(update(2, [("9", "3")]))
    builder.receive(update(3, [("9", "4")]))
    assert builder.load(update(1, [("10", "1"), ("9", "2")], [("11", "1")])) is Change.APPLIED
    assert (builder.sequence, sides(builder)[0][1]) == (3, ("9", "4"))


def test_a_break_while_it_refreshes():
    builder = live()
    builder.refresh()
    assert builder.receive(update(5)) is Change.BROKEN
    assert builder.receive(update(6)) is Change.BUFFERED
    assert builder.load(update(5)) is Change.APPLIED


def test_invalidate():
    builder = live()
    builder.invalidate(Fault("the connection was lost"))
    assert not builder.view().is_valid
    assert builder.fault.reason == "the connection was lost"
    assert builder.receive(update(2)) is Change.BUFFERED


# ---- books that begin on the stream ---------------------------------------------------------------------------------


def streamed(limit=None):
    return BookBuilder("toy", "A/B", lambda: Chain(needs_snapshot=False), limit)


def test_a_broken_stream_does_not_begin_anew_with_a_message_from_before():
    builder = streamed()
    first = update(5, [("10", "1")], is_snapshot=True)
    assert builder.receive(first) is Change.APPLIED
    assert builder.receive(update(6)) is Change.APPLIED
    assert builder.receive(update(9)) is Change.BROKEN
    assert builder.receive(first) is Change.IGNORED  # it came twice
    assert not builder.view().is_valid
    builder.believe()
    assert builder.receive(first) is Change.APPLIED  # the answer to a new subscription
    builder.receive(update(6))
    builder.invalidate(Fault("a message made no sense"))
    assert builder.receive(first) is Change.IGNORED
    builder.disconnect(Fault("the connection was lost"))
    assert builder.receive(first) is Change.APPLIED


@pytest.mark.parametrize(
    "last, time_ms, is_new",
    [
        (10, 10, False),  # came twice
        (20, 20, False),  # late, though at the same time
        (1, 5, True),  # counted anew by another clock: none like it came before
        (15, 5, True),
        (10, 11, True),
        (22, 5, True),  # ahead
        (10, None, True),
    ],
)
def test_a_whole_book_that_is_behind(last, time_ms, is_new):
    builder = streamed()
    for number in (10, 20):
        builder.receive(update(number, [("10", "1")], is_snapshot=True))
    builder.receive(replace(update(21), time_ms=20))
    whole = replace(update(last, [("9", "1")], is_snapshot=True), time_ms=time_ms)
    assert builder.receive(whole) is (Change.APPLIED if is_new else Change.IGNORED)
    assert builder.view().is_valid
    assert builder.sequence == (last if is_new else 21)


def test_where_every_message_is_a_whole_book_the_time_tells_which_is_old():
    builder = streamed(limit=1)
    for number in range(100, 200):
        builder.receive(update(number, [("10", "1")], is_snapshot=True))
    assert builder.receive(update(100, [("9", "1")], is_snapshot=True)) is Change.IGNORED
    assert builder.receive(replace(update(1, is_snapshot=True), time_ms=200)) is Change.APPLIED


def test_a_broken_stream_begins_anew_with_a_whole_book_that_leads_on():
    builder = streamed()
    builder.receive(update(5, [("10", "1")], is_snapshot=True))
    assert builder.receive(update(9)) is Change.BROKEN
    assert builder.receive(update(8, is_snapshot=True)) is Change.IGNORED  # behind what was seen, in every respect
    assert builder.receive(replace(update(9, is_snapshot=True), time_ms=4)) is Change.APPLIED  # whatever its clock


def test_a_stream_that_begins_with_the_whole_book():
    builder = streamed()
    assert not builder.needs_snapshot
    assert builder.receive(update(5, [("10", "1")])) is Change.BROKEN
    assert builder.receive(update(5, [("10", "1")], [("11", "1")], is_snapshot=True)) is Change.APPLIED
    assert builder.receive(update(6, [("9", "1")])) is Change.APPLIED
    assert builder.receive(update(9, [("8", "1")], [("9", "1")], is_snapshot=True)) is Change.APPLIED
    assert (builder.sequence, sides(builder)) == (9, [[("8", "1")], [("9", "1")]])


def test_no_more_levels_than_the_exchange_keeps_for_us():
    builder = streamed(limit=2)
    builder.receive(update(1, [("10", "1"), ("9", "1")], [("11", "1"), ("12", "1")], is_snapshot=True))
    builder.receive(update(2, [("10.5", "1"), ("8", "1")], [("13", "1")]))
    assert sides(builder) == [[("10.5", "1"), ("10", "1")], [("11", "1"), ("12", "1")]]
    builder.receive(update(3, [("10.5", "0"), ("9", "2")]))
    assert sides(builder)[0] == [("10", "1"), ("9", "2")]


# ---- messages that make no sense ------------------------------------------------------------------------------------

BROKEN = [
    ("1e5", "1"), ("nan", "1"), ("1_0", "1"), (" 1", "1"), ("-1", "1"), ("+1", "1"), ("", "1"), (".", "1"),
    (".5", "1"), ("5.", "1"), ("1.2.3", "1"), ("\uff11", "1"), ("1", "inf"), ("1", ""), ("1", None),
    (1, "1"), ("1", 1.5), ("1",), (), ("1", "2", "3"), None, 7, "12", ("1" * 21, "1"), ("0." + "1" * 21, "1"),
]  # fmt: skip


@pytest.mark.parametrize("level", [level for level in BROKEN if level != "12"])
@pytest.mark.parametrize("side", [0, 1])
def test_a_broken_level_leaves_the_book_untouched(level, side):
    builder = live()
    before = sides(builder)
    levels = [("5", "1"), level] if side == 0 else [("50", "1"), level]
    with pytest.raises(MalformedMessage):
        builder.receive(update(2, *([levels] if side == 0 else [[("5", "1")], levels])))
    assert sides(builder) == before
    assert builder.sequence == 1
    with pytest.raises(MalformedMessage):
        builder.load(update(2, *([levels] if side == 0 else [[], levels])))
    assert (sides(builder), builder.state) == (before, BookState.LIVE)


# ---- how far it reaches ---------------------------------------------------------------------------------------------


def deep(count):
    return live([(str(1000 - n), "1") for n in range(count)], [(str(1001 + n), "1") for n in range(count)])


def test_a_book_whose_snapshot_was_whole_is_never_thin():
    builder = deep(10)
    builder.set_horizon(11)
    builder.receive(update(2, [(str(1000 - n), "0") for n in range(9)]))
    assert not builder.is_thin


@pytest.mark.parametrize("side", [0, 1])
def test_a_book_is_thin_when_half_of_its_snapshot_is_eaten(side):
    builder = deep(10)
    builder.set_horizon(10)
    assert not builder.is_thin
    for eaten in range(1, 9):
        level = [(str(1001 - eaten if side == 0 else 1000 + eaten), "0")]
        builder.receive(update(eaten + 1, *([level, []] if side == 0 else [[], level])))
        assert builder.is_thin is (eaten > 5)
    new = [(str(1000 if side == 0 else 1001), "1")]
    builder.receive(update(20, *([new, []] if side == 0 else [[], new]), first=10))
    assert builder.is_thin
    builder.load(update(30, [(str(1000 - n), "1") for n in range(10)], [(str(1001 + n), "1") for n in range(10)]))
    builder.set_horizon(10)
    assert not builder.is_thin


def test_levels_beyond_the_horizon_do_not_count():
    builder = deep(10)
    builder.set_horizon(10)
    builder.receive(update(2, [(str(1000 - n), "0") for n in range(6)] + [(str(900 - n), "1") for n in range(50)]))
    assert builder.is_thin


# ---- against a book that is too simple to be wrong ------------------------------------------------------------------

PRICES = st.sampled_from(
    ["1", "1.0", "1.00", "1.5", "2", "2.25", "02.25", "3", "1.10000000000000000001", "1.1", "1.09999999999999999999"]
)
SIZES = st.sampled_from(["0", "0.0", "0.00000000", "1", "0.5", "2.50", "00.0"])
LEVELS = st.lists(st.tuples(PRICES, SIZES), max_size=6)
UPDATES = st.lists(st.tuples(LEVELS, LEVELS, st.integers(0, 8)), max_size=25)


def followed(naive, levels):
    for price, quantity in levels:
        naive.pop(D(price), None)
        if D(quantity):
            naive[D(price)] = D(quantity)


@given(UPDATES)
@settings(max_examples=100)
def test_it_is_what_a_dict_of_decimals_would_be(updates):
    # Asks stand ten above their texts, so that the sides do not cross.
    builder, bids, asks = live([], []), {}, {}
    for last, (down, levels, depth) in enumerate(updates, 2):
        up = [(f"1{price.lstrip('0')}", quantity) for price, quantity in levels]
        assert builder.receive(update(last, down, up)) is Change.APPLIED
        followed(bids, down)
        followed(asks, up)
        book = builder.view(depth)
        assert list(book.bids) == sorted(bids.items(), reverse=True)[:depth]
        assert list(book.asks) == sorted(asks.items())[:depth]
    whole = builder.view()
    assert (dict(whole.bids), dict(whole.asks)) == (bids, asks)
