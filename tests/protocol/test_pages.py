"""Pages: every item once, whatever breaks in between and wherever it is taken up again."""

import pickle
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exconnect.errors import InvalidArgument, TransportError
from exconnect.protocol.pages import Pages, resume


class Numbers:
    """An exchange that lists the numbers below `end`, `size` a page."""

    def __init__(self, end, size=3):
        self.end = end
        self.size = size
        self.asked = []
        self.failures = []

    def fetch(self, state):
        self.asked.append(state["from"])
        if self.failures:
            raise self.failures.pop(0)
        items = list(range(state["from"], min(state["from"] + self.size, self.end)))
        return items, self.behind(state, items[-1]) if len(items) == self.size else None

    @staticmethod
    def behind(state, item):
        return {**state, "from": item + 1}

    def pages(self, limit=None, cursor=None):
        state = {"from": 0, "left": limit} if cursor is None else resume("iter_numbers", cursor)
        return Pages("iter_numbers", state, self.fetch, self.behind)


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


def test_the_cursor_is_text_that_says_where_it_stands():
    pages = Numbers(7).pages(5)
    assert pages.cursor == '["iter_numbers",{"from":0,"left":5}]'
    next(pages)
    assert pages.cursor == '["iter_numbers",{"from":1,"left":4}]'


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
    answers = iter([([], {"from": 5}), ([5], None)])
    pages = Pages("iter_numbers", {"from": 0}, lambda state: next(answers), Numbers.behind)
    assert list(pages) == [5]


def test_a_state_without_a_limit_has_none():
    numbers = Numbers(7)
    assert list(Pages("iter_numbers", {"from": 0}, numbers.fetch, numbers.behind)) == list(range(7))


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
    ],
)
def test_what_is_no_cursor_of_this_method(cursor):
    with pytest.raises(InvalidArgument, match="cursor does not come from iter_numbers") as refused:
        resume("iter_numbers", cursor)
    assert refused.value.argument == "cursor"


def test_pages_themselves_stay_where_they_are():
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        pickle.dumps(Pages("iter_numbers", {}, lambda state: ([], None), Numbers.behind))
