"""What a stream reports beside its data: changes of state, and notices of what went missing or wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from exconnect.model.enums import StreamStatus
from exconnect.model.order import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChanged:
    """A connection went from `old` to `status`; `cause` is the error behind it, if there was one."""

    exchange: str
    time: datetime
    connection: str
    old: StreamStatus
    status: StreamStatus
    reason: str = ""
    cause: BaseException | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something a user of a stream may want to know; the classes below say what."""

    exchange: str
    time: datetime
    symbol: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap(Notice):
    """Items were lost between `first_id` and `last_id`, `count` of them if that is known."""

    kind: str
    first_id: str | None = None
    last_id: str | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GapClosed(Notice):
    """What happened between `start` and `end` was fetched: `count` items that would have been missed."""

    kind: str
    start: datetime
    end: datetime
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookOutOfSync(Notice):
    """A book stopped being valid: update `expected` did not come, `got` came."""

    expected: int | None = None
    got: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerFailed(Notice):
    """A handler raised `error` on `item`; it gets the next item all the same."""

    handler: str
    error: BaseException = field(compare=False)
    item: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowHandler(Notice):
    """A handler is `lag_s` seconds behind and takes `share` of the time there is."""

    handler: str
    lag_s: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRefused(Notice):
    """The exchange refused a subscription of this kind; the others go on."""

    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ZombieOrder(Notice):
    """An order that was proven never to have arrived showed up after all."""

    order: Order
