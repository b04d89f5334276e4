"""How a client is doing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct


class LimitUse(NamedTuple):
    """One rate budget: `used` of `limit` units; the window ends in `resets_in` seconds."""

    used: int
    limit: int
    resets_in: float


class PartHealth(Struct, frozen=True):
    """State of a part since when, and the cause if it is not well.

    The parts are `"place"`, `"cancel"`, `"reads"`, `"market"`, `"auth"`, `"journal"` and `"limits"`. `state` is
    `"closed"` (well), `"open"` (not tried for a while: too many failures) or `"half_open"` (the next call tries). The
    journal is `"open"` while it cannot be written, the limits while calls are held back because the exchange said stop
    (a ban, or HTTP 429); the cause then says which ones, and for how long.
    """

    state: str
    since: datetime
    cause: str | None = None


class Health(Struct, frozen=True):
    """Whether one can read, place and cancel now, and what stands behind that.

    `ok`: everything that this client is there for can be done; one without a key, or `read_only`, places nothing. None
    of the `can_` is True while a ban, or HTTP 429, holds everything back.
    `clock_offset_ms` is the exchange's clock minus this machine's, None before the first sync.
    """

    ok: bool
    can_read: bool
    can_place: bool
    can_cancel: bool
    is_halted: bool
    clock_offset_ms: float | None
    clock_error_ms: float | None
    limits: Mapping[str, LimitUse]
    parts: Mapping[str, PartHealth]
