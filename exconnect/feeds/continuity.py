"""Whether what comes is what follows: trades once and ascending, and what is missing between them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from exconnect.model.market import Candle, Trade

_REMEMBERED = 1_000  # ids per symbol, where an id does not say what came before it


class Missing(NamedTuple):
    """What was lost right before an item; None where it is not known."""

    first_id: str | None
    last_id: str | None
    items: int | None
    reason: str


class TradeSequence:
    """The trades of one symbol over any number of connections."""

    def __init__(self, *, is_consecutive: bool) -> None:
        self._is_consecutive = is_consecutive
        self._last: int | None = None
        self._seen: OrderedDict[str, datetime | None] = OrderedDict()  # when each was made
        self._newest: Trade | None = None
        self._late: list[str] = []  # ids of those that came after newer ones and were not handed out
        self._interruption: str | None = None

    def interrupted(self, reason: str) -> None:
        """From here on something may be missing."""
        if self._last is not None or self._seen:
            self._interruption = self._interruption or reason

    def follow(self, trade: Trade) -> tuple[bool, Missing | None]:
        """Whether the trade is new, and what is missing before it."""
        if self._is_consecutive and trade.id.isdecimal():
            return self._count(int(trade.id))
        return self._remember(trade)

    def _count(self, number: int) -> tuple[bool, Missing | None]:
        last = self._last
        if last is not None and number <= last:
            return False, None
        self._last = number
        reason, self._interruption = self._interruption or "trades are missing", None
        if last is None or number == last + 1:
            return True, None
        return True, Missing(str(last + 1), str(number - 1), number - last - 1, reason)

    def _remember(self, trade: Trade) -> tuple[bool, Missing | None]:
        if trade.id in self._seen or self._is_forgotten(trade):
            return False, None
        self._seen[trade.id] = trade.time
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        if self._is_late(trade):
            self._late.append(trade.id)
            return False, None
        self._newest = trade
        reason, self._interruption = self._interruption, None
        late, self._late = self._late, []
        if reason is not None:
            return True, Missing(None, None, None, reason)
        if not late:
            return True, None
        return True, Missing(min(late, key=int), max(late, key=int), len(late), "trades came after newer ones")

    def _is_late(self, trade: Trade) -> bool:
        """Whether a newer one was handed out: ids ascend, until an exchange counts anew, which only time tells."""
        newest = self._newest
        if newest is None or not (trade.id.isdecimal() and newest.id.isdecimal()) or int(trade.id) > int(newest.id):
            return False
        return trade.time is None or newest.time is None or trade.time <= newest.time

    def _is_forgotten(self, trade: Trade) -> bool:
        """Whether it is older than all that are remembered: then it was handed out long ago."""
        if len(self._seen) < _REMEMBERED or trade.time is None:
            return False
        oldest = next(iter(self._seen.values()))
        return oldest is not None and trade.time < oldest


def _is_overtaken(candle: Candle, last: Candle) -> bool:
    """Whether the same candle was seen as new or newer: two connections tell of it while one relieves the other."""
    if candle.open_time != last.open_time:
        return False
    if candle.time is not None and last.time is not None and candle.time != last.time:
        return candle.time < last.time
    return last.is_closed or (candle.volume, candle.close, candle.is_closed) == (last.volume, last.close, False)


class CandleSequence:
    """The candles of one symbol and interval. While connected the exchange decides which there are."""

    def __init__(self) -> None:
        self._last: Candle | None = None
        self._interruption: str | None = None

    def interrupted(self, reason: str) -> None:
        """From here on something may be missing."""
        if self._last is not None:
            self._interruption = self._interruption or reason

    def follow(self, candle: Candle) -> tuple[bool, Missing | None]:
        """Whether the candle is not older than the last one, and whether a closed one was missed."""
        last = self._last
        if last is not None and (candle.open_time < last.open_time or _is_overtaken(candle, last)):
            return False, None
        self._last = candle
        reason, self._interruption = self._interruption, None
        if last is None or reason is None or candle.open_time == last.open_time:
            return True, None
        missed = candle.open_time > last.close_time or not last.is_closed
        return True, Missing(None, None, None, reason) if missed else None
