"""Whether what comes is what follows: trades once and ascending, and what is missing between them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from exconnect.model.market import Candle, Trade

_REMEMBERED = 1_000  # ids per symbol, where an id does not say what came before it


class Missing(NamedTuple):
    """What was lost right before an item; None where it is not known."""

    first_id: str | None
    last_id: str | None
    items: int | None
    reason: str


_OFFLINE = Missing(None, None, None, "the connection was lost")


class TradeSequence:
    """The trades of one symbol over any number of connections."""

    def __init__(self, *, is_consecutive: bool) -> None:
        self._is_consecutive = is_consecutive
        self._last: int | None = None
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._was_offline = False

    def reconnected(self) -> None:
        """From here on something may be missing."""
        self._was_offline = self._last is not None or bool(self._seen)

    def follow(self, trade: Trade) -> tuple[bool, Missing | None]:
        """Whether the trade is new, and what is missing before it."""
        if self._is_consecutive and trade.id.isdecimal():
            return self._count(int(trade.id))
        return self._remember(trade.id)

    def _count(self, number: int) -> tuple[bool, Missing | None]:
        last = self._last
        if last is not None and number <= last:
            return False, None
        self._last = number
        reason, self._was_offline = "the connection was lost" if self._was_offline else "trades are missing", False
        if last is None or number == last + 1:
            return True, None
        return True, Missing(str(last + 1), str(number - 1), number - last - 1, reason)

    def _remember(self, name: str) -> tuple[bool, Missing | None]:
        if name in self._seen:
            return False, None
        self._seen[name] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        was_offline, self._was_offline = self._was_offline, False
        return True, _OFFLINE if was_offline else None


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
        self._was_offline = False

    def reconnected(self) -> None:
        """From here on something may be missing."""
        self._was_offline = self._last is not None

    def follow(self, candle: Candle) -> tuple[bool, Missing | None]:
        """Whether the candle is not older than the last one, and whether a closed one was missed."""
        last = self._last
        if last is not None and (candle.open_time < last.open_time or _is_overtaken(candle, last)):
            return False, None
        self._last = candle
        was_offline, self._was_offline = self._was_offline, False
        if last is None or not was_offline or candle.open_time == last.open_time:
            return True, None
        missed = candle.open_time > last.close_time or not last.is_closed
        return True, _OFFLINE if missed else None
