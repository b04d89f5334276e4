"""Checks before an order leaves.

A check is any callable of the order and a `RiskView`. None or True lets the order pass; False, a text (the
reason) or anything else refuses it, and so does any exception: what cannot be checked is not sent.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from exconnect.errors import ExconnectError, InvalidArgument, InvalidType, RiskRejected
from exconnect.model.account import Balance
from exconnect.model.enums import MarketType, Side
from exconnect.model.instrument import Instrument
from exconnect.model.market import Book
from exconnect.model.order import Order, PlaceOrder
from exconnect.model.values import EXACT, Money, positive, quotient, tidy, unified_of


@dataclass(frozen=True, slots=True)
class RiskView:
    """What a check may look at. `reference_price` is the order's price, or the market's for a market order."""

    instrument: Instrument
    open_orders: list[Order]
    balances: Mapping[str, Balance]
    now: datetime
    _price: Callable[[], Decimal | None] = field(repr=False)

    @property
    def reference_price(self) -> Decimal | None:
        """The order's price; for market orders the last price seen within 10 s, else one ticker is fetched."""
        return self._price()


RiskCheck = Callable[[PlaceOrder, RiskView], bool | str | None]


class ReadableBook(Protocol):
    """A stream, as far as `PriceBand` needs one."""

    def book(self, symbol: str, *, stale_ok: bool = False) -> Book:
        """The valid book of a symbol, or `BookNotReady`."""


def name_of(check: RiskCheck) -> str:
    """Class or function name, as in `RiskRejected.check`."""
    return getattr(check, "__name__", None) or type(check).__name__


def run_checks(checks: tuple[RiskCheck, ...], order: PlaceOrder, view: RiskView) -> None:
    """Ask every check in order; if one refuses, those before it hear that the order did not leave.

    Raises:
        RiskRejected: the first refusal, or the first check that failed (`__cause__`).
    """
    for asked, check in enumerate(checks):
        try:
            _ask(check, order, view)
        except BaseException:
            take_back(checks[:asked], order)
            raise


def take_back(checks: tuple[RiskCheck, ...], order: PlaceOrder) -> None:
    """Tell the checks that count what left that this order, which they let pass, did not leave."""
    for check in checks:
        undo = getattr(check, "take_back", None)
        if undo is not None:
            undo(order)


def _ask(check: RiskCheck, order: PlaceOrder, view: RiskView) -> None:
    name = name_of(check)
    details = {"check": name, "symbol": order.symbol, "client_order_id": order.client_order_id}
    try:
        verdict = check(order, view)
    except Exception as error:
        # What is not ours may say anything, and is in `__cause__`.
        words = f": {error.message}" if isinstance(error, ExconnectError) else ""
        message = f"risk check {name} failed ({type(error).__name__}{words}), so the order was not sent"
        raise RiskRejected(message, details) from error
    if verdict is None or verdict is True:
        return
    reason = verdict if isinstance(verdict, str) and verdict else "no reason given"
    raise RiskRejected(f"risk check {name} refused the order: {reason}", details)


def _notional(order: PlaceOrder, view: RiskView) -> Decimal | None:
    if order.quote_quantity is not None:
        return order.quote_quantity
    price = view.reference_price
    return None if price is None or order.quantity is None else EXACT.multiply(price, order.quantity)


class _Shown:
    """Shows what it was made with: the settings of a client name their checks."""

    def __repr__(self) -> str:
        said = (f"{name}={value!r}" for name, value in vars(self).items() if not name.startswith("_"))
        return f"{type(self).__name__}({', '.join(said)})"


class MaxOrderValue(_Shown):
    """Refuses an order worth more than `quote`, in quote asset."""

    def __init__(self, quote: Money) -> None:
        self.quote = positive(quote, "quote")

    def __call__(self, order: PlaceOrder, view: RiskView) -> str | None:
        """None, or why not."""
        value = _notional(order, view)
        if value is None:
            return "the value cannot be told without a price"
        return f"worth {tidy(value)}, more than {tidy(self.quote)}" if value > self.quote else None


class PriceBand(_Shown):
    """Refuses a price more than `percent` away from the middle of the stream's valid book."""

    def __init__(self, percent: Money, stream: ReadableBook) -> None:
        self.percent = positive(percent, "percent")
        self.stream = stream

    def __call__(self, order: PlaceOrder, view: RiskView) -> str | None:
        """None, or why not."""
        mid, price = self.stream.book(order.symbol).mid, view.reference_price
        if mid is None or price is None:
            return "there is no price to compare with"
        away = EXACT.multiply(EXACT.abs(EXACT.subtract(price, mid)), _PERCENT)
        if away <= EXACT.multiply(self.percent, mid):
            return None
        return f"{tidy(price)} is {quotient(away, mid):.2f} % away from {tidy(mid)}"


class _Recent:
    """What was let through lately, in this process; thread-safe, pruned, and empty again after pickling."""

    def __init__(self, seconds: float) -> None:
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= _LONGEST_S:
            raise InvalidArgument("a time span must be seconds: above zero, at most a day", {"argument": "seconds"})
        self.seconds = seconds
        self._seen: deque[tuple[datetime, object, PlaceOrder]] = deque()
        self._locks: dict[int, threading.Lock] = {}

    def admit(self, now: datetime, order: PlaceOrder, what: object, most: int) -> bool:
        """Whether `what` was let through less than `most` times; then it is let through once more."""
        with self._lock():
            window = timedelta(seconds=self.seconds)
            while self._seen and now - self._seen[0][0] >= window:
                self._seen.popleft()
            if sum(known == what for _, known, _ in self._seen) >= most:
                return False
            self._seen.append((now, what, order))
            return True

    def take_back(self, order: PlaceOrder) -> None:
        """It was let through here and did not leave."""
        with self._lock():
            self._seen = deque(entry for entry in self._seen if entry[2] is not order)

    def _lock(self) -> threading.Lock:
        # Made on first use, and by process: one that a fork copies while it is held would never be released.
        return self._locks.setdefault(os.getpid(), threading.Lock())

    def __reduce__(self) -> tuple[type[_Recent], tuple[float]]:
        return _Recent, (self.seconds,)


_LONGEST_S = 86_400
_PERCENT = Decimal(100)


def _checked_count(count: int) -> int:
    if isinstance(count, bool) or not isinstance(count, int):
        raise InvalidType("count must be an int", {"argument": "count"})
    if count < 0:
        raise InvalidArgument("count must not be below zero", {"argument": "count"})
    return count


class MaxOrderRate(_Shown):
    """Refuses more than `count` orders in `per` seconds."""

    def __init__(self, count: int, per: float) -> None:
        self.count = _checked_count(count)
        self.per = per
        self._recent = _Recent(per)

    def __call__(self, order: PlaceOrder, view: RiskView) -> str | None:
        """None, or why not."""
        if self._recent.admit(view.now, order, None, self.count):
            return None
        return f"{self.count} orders in {self._recent.seconds:g} s"

    def take_back(self, order: PlaceOrder) -> None:
        """The order did not leave after all."""
        self._recent.take_back(order)


class NoDuplicates(_Shown):
    """Refuses an order with symbol, side, quantity and price of one that left in the last `within` seconds."""

    def __init__(self, within: float) -> None:
        self.within = within
        self._recent = _Recent(within)

    def __call__(self, order: PlaceOrder, view: RiskView) -> str | None:
        """None, or why not."""
        key = (order.symbol, order.side, order.quantity, order.quote_quantity, order.price)
        if self._recent.admit(view.now, order, key, 1):
            return None
        return f"the same order left less than {self._recent.seconds:g} s ago"

    def take_back(self, order: PlaceOrder) -> None:
        """The order did not leave after all."""
        self._recent.take_back(order)


class MaxOpenOrders(_Shown):
    """Refuses a new order while `count` are open; the result of an amend replaces one and passes."""

    def __init__(self, count: int) -> None:
        self.count = _checked_count(count)

    def __call__(self, order: PlaceOrder, view: RiskView) -> str | None:
        """None, or why not."""
        if order.amends is not None or len(view.open_orders) < self.count:
            return None
        return "1 order is open" if len(view.open_orders) == 1 else f"{len(view.open_orders)} orders are open"


class AllowedSymbols(_Shown):
    """Refuses every symbol but these."""

    def __init__(self, *symbols: str) -> None:
        # What is no symbol would allow nothing, and say so only when an order is due.
        self.symbols = frozenset(unified_of(symbol, "symbols") for symbol in symbols)

    def __call__(self, order: PlaceOrder, view: RiskView) -> str | None:
        """None, or why not."""
        return None if order.symbol in self.symbols else f"{order.symbol} is not among the allowed symbols"


class ReduceOnly(_Shown):
    """Lets only orders pass that make what is held smaller; on spot: sells."""

    def __call__(self, order: PlaceOrder, view: RiskView) -> str | None:
        """None, or why not."""
        if view.instrument.market is MarketType.SPOT:
            return None if order.side is Side.SELL else "only sells reduce what is held"
        return None if order.reduce_only else "reduce_only=True is required"
