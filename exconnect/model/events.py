"""What a stream reports beside its data: changes of state, and notices of what went missing or wrong."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from exconnect.model.enums import StreamStatus
from exconnect.model.order import Order


class _Event(Struct, frozen=True, kw_only=True, eq=False):
    """Compared without the exceptions in it, which are equal to nothing but themselves."""

    def _said(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__struct_fields__ if name not in ("cause", "error"))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Event) or type(other) is not type(self):
            return NotImplemented
        return self._said() == other._said()

    def __hash__(self) -> int:
        return hash((type(self), self._said()))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), {name: getattr(self, name) for name in self.__struct_fields__})


def _restored(kind: type[_Event], values: dict[str, Any]) -> _Event:
    return kind(**values)


class StatusChanged(_Event, frozen=True, kw_only=True, eq=False):
    """A connection went from `old` to `status`; `cause` is the error behind it, if there was one."""

    exchange: str
    time: datetime
    connection: str
    old: StreamStatus
    status: StreamStatus
    reason: str = ""
    cause: BaseException | None = None


class Notice(_Event, frozen=True, kw_only=True, eq=False):
    """Something a user of a stream may want to know; the classes below say what."""

    exchange: str
    time: datetime
    symbol: str | None = None
    reason: str = ""


class Gap(Notice, frozen=True, kw_only=True, eq=False):
    """Items were lost between `first_id` and `last_id`, `count` of them if that is known."""

    kind: str
    first_id: str | None = None
    last_id: str | None = None
    count: int | None = None


class GapClosed(Notice, frozen=True, kw_only=True, eq=False):
    """What happened between `start` and `end` was fetched: `count` items that would have been missed."""

    kind: str
    start: datetime
    end: datetime
    count: int


class BookOutOfSync(Notice, frozen=True, kw_only=True, eq=False):
    """A book stopped being valid: update `expected` did not come, `got` came."""

    expected: int | None = None
    got: int | None = None


class HandlerFailed(Notice, frozen=True, kw_only=True, eq=False):
    """A handler raised `error` on `item`; it gets the next item all the same."""

    handler: str
    error: BaseException
    item: Any = None


class SlowHandler(Notice, frozen=True, kw_only=True, eq=False):
    """A handler is `lag_s` seconds behind and takes `share` of the time there is. Not delivered yet."""

    handler: str
    lag_s: float
    share: float


class TopicRefused(Notice, frozen=True, kw_only=True, eq=False):
    """The exchange refused a subscription of this kind, or lists no such symbol; the others go on."""

    kind: str


class ZombieOrder(Notice, frozen=True, kw_only=True, eq=False):
    """An order that was proven never to have arrived showed up after all."""

    order: Order
