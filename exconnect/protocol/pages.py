"""An iterator over pages that can be stopped, pickled as a cursor, and taken up again anywhere."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, Self, TypeVar

from exconnect.errors import InvalidArgument

T = TypeVar("T")

State = dict[str, Any]  # plain JSON: where the next page begins, what is left of the limit
Page = tuple[list[T], State | None]  # items, each with the state behind it made by `behind`; None: the last page


class Pages(Iterator[T], Generic[T]):
    """Iterates over items and asks for the next page when it is needed, in the caller's thread.

    An error in the middle leaves it usable: `next()` asks for the same page again. `cursor` is a text that,
    given to the same method as `cursor=`, goes on right behind the last item that was handed out.
    """

    def __init__(
        self, name: str, state: State, fetch: Callable[[State], Page[T]], behind: Callable[[State, T], State]
    ) -> None:
        self._name = name
        self._state = state
        self._fetch = fetch
        self._behind = behind
        self._items: deque[T] = deque()
        self._next: State | None = state

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        while self._state.get("left") != 0:
            if self._items:
                return self._hand_out(self._items.popleft())
            if self._next is None:
                break
            items, following = self._fetch(self._next)
            self._items.extend(items)
            self._next = following
        raise StopIteration

    def _hand_out(self, item: T) -> T:
        left = self._state.get("left")
        state = self._behind(self._state, item)
        self._state = state if left is None else {**state, "left": left - 1}
        return item

    @property
    def cursor(self) -> str:
        """Where it stands, as text."""
        return json.dumps([self._name, self._state], separators=(",", ":"))


def resume(name: str, cursor: str) -> State:
    """The state in a cursor.

    Raises:
        InvalidArgument: no cursor, or one of another method.
    """
    try:
        found, state = json.loads(cursor)
    except (ValueError, TypeError, RecursionError):
        found, state = None, None
    if found != name or not isinstance(state, dict):
        raise InvalidArgument(f"cursor does not come from {name}", {"argument": "cursor"})
    return state
