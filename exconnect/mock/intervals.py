"""Candle intervals and where their candles begin."""

from __future__ import annotations

from datetime import UTC, datetime

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
EPOCH_MONDAY = 4 * DAY

INTERVALS = {
    "1s": SECOND,
    "1m": MINUTE,
    "3m": 3 * MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": HOUR,
    "2h": 2 * HOUR,
    "4h": 4 * HOUR,
    "6h": 6 * HOUR,
    "8h": 8 * HOUR,
    "12h": 12 * HOUR,
    "1d": DAY,
    "3d": 3 * DAY,
    "1w": 7 * DAY,
    "1M": 0,
}


def floor(time_ms: int, interval: str, zone_ms: int = 0) -> int:
    """The begin of the candle that holds this moment, for days that begin at midnight of a time zone."""
    local = time_ms + zone_ms
    if interval == "1M":
        day = datetime.fromtimestamp(local // 1000, UTC)
        return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()) * 1000 - zone_ms
    origin = EPOCH_MONDAY if interval == "1w" else 0
    length = INTERVALS[interval]
    return (local - origin) // length * length + origin - zone_ms


def following(begin_ms: int, interval: str, zone_ms: int = 0) -> int:
    """The begin of the next candle."""
    if interval == "1M":
        return floor(begin_ms + 32 * DAY, interval, zone_ms)
    return begin_ms + INTERVALS[interval]


def preceding(begin_ms: int, interval: str, zone_ms: int = 0) -> int:
    """The begin of the candle before."""
    return floor(begin_ms - 1, interval, zone_ms)
