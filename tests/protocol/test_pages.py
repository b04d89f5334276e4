"""Pages: every item once, whatever breaks in between and wherever it is taken up again."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exconnect.errors import InvalidArgument, MalformedMessage, TransportError
from exconnect.model.enums import OrderStatus, OrderType, Side
from exconnect.model.market import Candle, Trade
from exconnect.model.order import Fill, Order
from exconnect.protocol.pages import (
    Page,
    Pages,
    begin,
    gather,
    mark_candle,
    mark_item,
    mark_order,
    resume,
    whole,
)


def mark(number):
    """A hundred of them share a millisecond."""
    return number // 100, str(number)


class Numbers:
    """An exchange that lists the numbers below `end`, `size` a page; `gone` have left its memory."""

    def __init__(self, end, size=3):
        self.end = end
        self.size = size
        self.gone = set()
        self.asked = []
        self.failures = []

    def ask(self, state, where):
        self.asked.append(where["from"])
        if self.failures:
            raise self.failures.pop(0)
        items = list(range(where["from"], min(where["from"] + self.size, self.end)))
        following = {"from": items[-1] + 1} if len(items) == self.size else None
        return Page([item for item in items if item not in self.gone], following)

    def pages(self, limit=None, cursor=None):
        state = begin({"from": 0}, limit, symbol="N") if cursor is None else resume("iter_numbers", cursor)
        return Pages("iter_numbers", state, self.ask, mark)


@pytest.mark.parametrize("back", ["next", "more"])
def test_an_exchange_that_leads_back_to_the_same_page_is_not_followed(back):
    def ask(where):
        return Page([1], **{back: {"cursor": "a"}})

    with pytest.raises(MalformedMessage, match="back to the same page"):
        gather(ask, {"start": 1}, mark, 10)
    pages = Pages("iter_numbers", begin({"start": 1}, None), lambda _, where: ask(where), mark)
    with pytest.raises(MalformedMessage):
        list(islice(pages, 10))


def test_every_item_once_and_pages_when_they_are_needed():
    numbers = Numbers(7)
    pages = numbers.pages()
    assert iter(pages) is pages
    assert numbers.asked == []
    assert next(pages) == 0
    assert numbers.asked == [0]
    assert list(pages) == [1, 2, 3, 4, 5, 6]
    assert numbers.asked == [0, 3, 6]
    assert list(pages) == []
    assert numbers.asked == [0, 3, 6]


def test_a_last_page_that_is_full_is_followed_by_a_look_at_nothing():
    numbers = Numbers(6)
    assert list(numbers.pages()) == list(range(6))
    assert numbers.asked == [0, 3, 6]


@pytest.mark.parametrize("limit", range(9))
def test_the_limit_is_kept_exactly_and_no_page_is_asked_for_beyond_it(limit):
    numbers = Numbers(7)
    pages = numbers.pages(limit)
    assert list(pages) == list(range(min(limit, 7)))
    assert len(numbers.asked) == min(-(-limit // 3), 3)
    assert list(pages) == []


@given(st.integers(0, 12), st.integers(1, 5), st.none() | st.integers(0, 14), st.lists(st.integers(0, 5), max_size=5))
def test_taken_up_again_anywhere_it_goes_on_right_behind(end, size, limit, stops):
    numbers, found = Numbers(end, size), []
    pages = numbers.pages(limit)
    for stop in stops:
        found += islice(pages, stop)
        pages = Numbers(end, size).pages(cursor=pages.cursor)
    assert [*found, *pages] == list(range(end if limit is None else min(end, limit)))


def test_it_says_what_it_is_for():
    assert repr(Numbers(9).pages()) == "<Pages iter_numbers N: iterate over it>"


def test_the_cursor_is_text_that_says_where_it_stands():
    pages = Numbers(7).pages(5)
    assert pages.cursor == '["iter_numbers",{"symbol":"N","where":{"from":0},"seen":null,"left":5}]'
    next(pages)
    assert pages.cursor == '["iter_numbers",{"symbol":"N","where":{"from":0},"seen":[0,"0"],"left":4}]'


@pytest.mark.parametrize("stop", range(1, 12))
def test_the_item_handed_out_last_may_be_gone_when_it_goes_on(stop):
    numbers = Numbers(13, size=13)
    pages = numbers.pages()
    found = list(islice(pages, stop))
    numbers.gone = {found[-1]}
    assert list(numbers.pages(cursor=pages.cursor)) == list(range(stop, 13))


def test_the_cursor_of_a_finished_one_finds_what_came_since():
    numbers = Numbers(4)
    pages = numbers.pages()
    assert list(pages) == [0, 1, 2, 3]
    numbers.end = 6
    assert list(pages) == []
    assert list(numbers.pages(cursor=pages.cursor)) == [4, 5]


@pytest.mark.parametrize("broken", range(8))
def test_after_an_error_next_asks_for_the_same_page_again(broken):
    numbers, found = Numbers(7), []
    pages = numbers.pages()
    found += islice(pages, broken)
    numbers.failures = [TransportError("lost"), KeyboardInterrupt()]
    cursor = pages.cursor
    while len(found) < 7:
        try:
            found.append(next(pages))
        except (TransportError, KeyboardInterrupt):
            assert pages.cursor == cursor
        cursor = pages.cursor
    assert found == list(range(7))


def test_an_empty_page_in_the_middle_is_no_end():
    answers = {0: Page([0], {"from": 3}), 3: Page([], {"from": 5}), 5: Page([5])}
    pages = Pages("iter_numbers", begin({"from": 0}, None), lambda state, where: answers[where["from"]], mark)
    assert list(pages) == [0, 5]
    again = resume("iter_numbers", pages.cursor)
    assert list(Pages("iter_numbers", again, lambda state, where: answers[where["from"]], mark)) == []


class TestWholePages:
    """A page may come in parts, the newest first, and in two of them at once."""

    PARTS = MappingProxyType(
        {
            "a": Page([5, 6], more={"at": "b"}, next={"at": "next"}),
            "b": Page([3, 4, 5], more={"at": "c"}, next={"at": "next"}),
            "c": Page([1, 2], next={"at": "next"}),
            "next": Page([7]),
        }
    )

    def ask(self, where):
        return self.PARTS[where["at"]]

    def test_it_is_put_together_ascending_and_each_item_once(self):
        page = whole(self.ask, {"at": "a"}, lambda number: (number, str(number)))
        assert (page.items, page.next, page.more) == ([1, 2, 3, 4, 5, 6], {"at": "next"}, None)
        assert whole(self.ask, {"at": "next"}, mark) is self.PARTS["next"]

    def test_pages_hand_it_out_whole_and_go_on_within_it(self):
        def pages(state):
            return Pages("iter_numbers", state, lambda state, where: self.ask(where), lambda number: (number, ""))

        first = pages(begin({"at": "a"}, None))
        assert list(islice(first, 4)) == [1, 2, 3, 4]
        assert list(pages(resume("iter_numbers", first.cursor))) == [5, 6, 7]

    @pytest.mark.parametrize("limit", range(1, 9))
    def test_gathering_takes_the_first_from_a_start_and_else_the_newest(self, limit):
        numbers = [1, 2, 3, 4, 5, 6, 7]
        for where in ({"at": "a", "start": 0}, {"at": "a", "from_id": "1"}):
            assert gather(self.ask, where, lambda number: (number, ""), limit) == numbers[:limit]
        newest = numbers if limit > 6 else numbers[:6]  # no page is asked for beyond what is enough
        assert gather(self.ask, {"at": "a"}, lambda number: (number, ""), limit) == newest[-limit:]


class TestMarks:
    AT = datetime(2026, 1, 1, tzinfo=UTC)
    MS = 1767225600000

    def test_a_candle_by_when_it_begins(self):
        one = Decimal(1)
        prices = dict.fromkeys(("open", "high", "low", "close", "volume"), one)
        candle = Candle(exchange="b", symbol="s", interval="1m", open_time=self.AT, is_closed=True, **prices)
        assert mark_candle(candle) == (self.MS, "")

    @pytest.mark.parametrize("time, ms", [(AT, MS), (None, 0)])
    def test_a_trade_by_its_time_and_id(self, time, ms):
        trade = Trade(exchange="b", symbol="s", id="7", price=Decimal(1), quantity=Decimal(1), side=Side.BUY, time=time)
        assert mark_item(trade) == (ms, "7")

    @pytest.mark.parametrize("order_id, name", [("5", "5"), (None, "abc-1")])
    def test_an_order_by_when_it_was_placed_and_its_id(self, order_id, name):
        order = Order(
            exchange="b",
            client_order_id="abc-1",
            symbol="s",
            side=Side.BUY,
            type=OrderType.LIMIT,
            status=OrderStatus.NEW,
            order_id=order_id,
            created_at=self.AT,
        )
        assert mark_order(order) == (self.MS, name)


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "{", "5", "null", '"ab"', "[]", '["iter_numbers"]', '["iter_numbers",5]', '["iter_numbers",{},1]'),
        *(
            '["iter_trades",{"from":0}]',
            '{"iter_numbers":1,"b":2}',
            "[" * 100_000,
            None,
            5,
            b"\xff",
            ["iter_numbers", {}],
        ),
        *(
            '["iter_numbers",{"where":[1],"seen":null,"left":null}]',
            '["iter_numbers",{"where":{},"seen":5,"left":null}]',
            '["iter_numbers",{"where":{},"seen":["a","b"],"left":null}]',
            '["iter_numbers",{"where":{},"seen":null,"left":"x"}]',
        ),
    ],
)
def test_what_is_no_cursor_of_this_method(cursor):
    with pytest.raises(InvalidArgument, match="cursor does not come from iter_numbers") as refused:
        resume("iter_numbers", cursor)
    assert refused.value.argument == "cursor"


def test_both_sides_of_a_trade_with_oneself_are_items_of_their_own():
    def fill(number, order_id):
        return Fill(
            exchange="toy",
            id=str(number),
            order_id=order_id,
            symbol="N",
            side=Side.BUY,
            price=Decimal(1),
            quantity=Decimal(1),
            time=datetime(2026, 1, 1, tzinfo=UTC),
        )

    sides = [fill(number, order_id) for number in (9, 10) for order_id in ("21", "3")]

    def ask(where):
        part = where.get("part", 0)
        return Page(sides[part : part + 2], None, {"part": part + 2} if part == 0 else None)

    found = [(item.id, item.order_id) for item in whole(ask, {}, mark_item).items]
    assert found == [("9", "21"), ("9", "3"), ("10", "21"), ("10", "3")]
    pages = Pages("iter_fills", begin({}, None), lambda state, where: ask(where), mark_item)
    taken = next(pages)
    again = Pages("iter_fills", resume("iter_fills", pages.cursor), lambda state, where: ask(where), mark_item)
    assert [taken, *again] == list(whole(ask, {}, mark_item).items)
