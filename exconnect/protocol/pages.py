"""Histories page by page: where a page begins is the exchange's own business, and travels as plain JSON.

A `Page` says what came, and where there is more. `Pages` is the iterator that a user holds: it can be stopped,
pickled as a cursor, and taken up again anywhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeGuard, TypeVar

import msgspec
from msgspec import Struct

from exconnect.errors import ExconnectError, InvalidArgument, MalformedMessage
from exconnect.model.values import ms_of

if TYPE_CHECKING:
    from datetime import datetime

    from exconnect.model.market import Candle, Trade
    from exconnect.model.order import Fill, Order

T = TypeVar("T")

# Plain JSON. The engine begins with `start` and `end` (ms, None: the newest and no end) or `from_id`; what follows
# is whatever the exchange put into its `Page`.
Where = Mapping[str, Any]
Mark = tuple[int, str]  # time in ms and id: tells items apart and sorts them
State = dict[str, Any]  # plain JSON: what is asked for, where its page begins, what of it was handed out


def mark_candle(candle: Candle) -> Mark:
    """By when it begins."""
    return _ms(candle.open_time), ""


def mark_item(item: Trade | Fill) -> Mark:
    """By its time, then by its id; both sides of a trade with oneself may carry the same one."""
    order_id = getattr(item, "order_id", None)
    return _ms(item.time), item.id if order_id is None else f"{item.id} {order_id}"


def mark_order(order: Order) -> Mark:
    """By when it was placed, then by the exchange's id."""
    return _ms(order.created_at), order.order_id or order.client_order_id


def _ms(time: datetime | None) -> int:
    return 0 if time is None else ms_of(time, "time")


class Page(Struct, Generic[T], frozen=True):
    """What one call gave, oldest first.

    `more`: where the rest of this very page is (an exchange that tells the newest first, or keeps open orders
    elsewhere, needs several calls for it); `next`: where the next page begins, which may well be empty; None: there
    is none.
    """

    items: list[T]
    next: Where | None = None
    more: Where | None = None


Ask = Callable[[Where], Page[T]]


def rank(mark: Mark) -> tuple[int, int, str, str]:
    """What to sort by."""
    name, _, rest = mark[1].partition(" ")
    return mark[0], len(name), name, rest  # ids that count, count beyond nine


def whole(ask: Ask[T], where: Where, mark: Callable[[T], Mark]) -> Page[T]:
    """A page with all its parts: ascending, each item once.

    Raises:
        MalformedMessage: the exchange leads in a circle.
    """
    page = _asked(ask, where)
    if page.more is None:
        return page
    found = {mark(item): item for item in page.items}
    while page.more is not None:
        page = _asked(ask, page.more)
        older = {mark(item): item for item in page.items}
        found = older | {key: item for key, item in found.items() if key not in older}
    return Page([found[key] for key in sorted(found, key=rank)], page.next)


def _asked(ask: Ask[T], where: Where) -> Page[T]:
    """The page there, unless it leads back to itself: that would go on without an end."""
    page = ask(where)
    if where in (page.more, page.next):
        raise MalformedMessage("the exchange leads from a page of a history back to the same page")
    return page


def gather(ask: Ask[T], where: Where, mark: Callable[[T], Mark], limit: int) -> list[T]:
    """The first `limit` items from `start` on, over as many pages as it takes; without `start` the newest."""
    items: list[T] = []
    following: Where | None = where
    while following is not None and len(items) < limit:
        page = whole(ask, following, mark)
        items += page.items
        following = page.next
    is_newest = where.get("start") is None and "from_id" not in where
    return items[-limit:] if is_newest else items[:limit]


class Pages(Iterator[T], Generic[T]):
    """Iterates over items and asks for the next page when it is needed, in the caller's thread.

    An error in the middle leaves it usable: `next()` asks for the same page again. `cursor` is a text that,
    given to the same method as `cursor=`, goes on right behind the last item that was handed out.
    """

    def __init__(
        self, name: str, state: State, ask: Callable[[State, Where], Page[T]], mark: Callable[[T], Mark]
    ) -> None:
        self._name = name
        self._state = state
        self._ask = ask
        self._mark = mark
        self._items: deque[T] = deque()
        self._next: Where | None = state["where"]

    def __iter__(self) -> Self:
        return self

    def __repr__(self) -> str:
        return f"<Pages {self._name} {self._state.get('symbol', '')}: iterate over it>"

    def __next__(self) -> T:
        while self._state["left"] != 0:
            if self._items:
                return self._hand_out(self._items.popleft())
            if self._next is None:
                break
            try:
                self._turn(self._next)
            except ExconnectError as error:
                error.details["operation"] = self._name
                raise
        raise StopIteration

    def _turn(self, where: Where) -> None:
        page = whole(partial(self._ask, self._state), where, self._mark)
        if where is not self._state["where"]:
            self._state = {**self._state, "where": where, "seen": None}
        self._items.extend(_behind(page.items, self._state["seen"], self._mark))
        self._next = page.next

    def _hand_out(self, item: T) -> T:
        left = self._state["left"]
        self._state = {**self._state, "seen": self._mark(item), "left": None if left is None else left - 1}
        return item

    @property
    def cursor(self) -> str:
        """Where it stands, as text."""
        return msgspec.json.encode([self._name, self._state]).decode()


def _behind(items: list[T], seen: Any, mark: Callable[[T], Mark]) -> list[T]:
    """What follows the item that was handed out last; that item itself may be gone from the exchange's memory."""
    if seen is None:
        return items
    marks, last = [mark(item) for item in items], (seen[0], seen[1])
    if last in marks:
        return items[marks.index(last) + 1 :]
    return [item for item, key in zip(items, marks, strict=True) if rank(key) > rank(last)]


def begin(where: Where, left: int | None, **what: Any) -> State:
    """The state of an iterator that has handed nothing out yet; `left`: how many it may, None: any number."""
    return {**what, "where": where, "seen": None, "left": left}


def _is_state(state: Any) -> TypeGuard[State]:
    """Whether it has the parts of one: the text of a cursor may have been anywhere."""
    if not isinstance(state, dict) or not {"where", "seen", "left"} <= state.keys():
        return False
    where, seen, left = state["where"], state["seen"], state["left"]
    is_mark = isinstance(seen, list) and list(map(type, seen)) == [int, str]
    return isinstance(where, dict) and (seen is None or is_mark) and (left is None or type(left) is int)


def resume(name: str, cursor: str, **what: Any) -> State:
    """The state in a cursor.

    Raises:
        InvalidArgument: no cursor, one of another method, or one that goes on with something else than `what`.
    """
    try:
        found, state = msgspec.json.decode(cursor)
    except (msgspec.DecodeError, ValueError, TypeError, RecursionError):
        found, state = None, None
    if found != name or not _is_state(state):
        raise InvalidArgument(f"cursor does not come from {name}", {"argument": "cursor"})
    for argument, value in what.items():
        if state.get(argument) != value:
            text = f"cursor goes on with {argument}={state.get(argument)!r}, not {value!r}"
            raise InvalidArgument(text, {"argument": "cursor"})
    return state
