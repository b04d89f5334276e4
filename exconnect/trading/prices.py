"""The last price that was seen of each instrument, for a few seconds: what a market order is measured by."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import TYPE_CHECKING

from cachetools import TTLCache

from exconnect.errors import InvalidOrder
from exconnect.model.values import EXACT

if TYPE_CHECKING:
    from exconnect.environment import Environment
    from exconnect.model.instrument import Instrument
    from exconnect.model.order import PlaceOrder

_FRESH_S = 10.0
_MOST = 10_000
_NEARBY = (Decimal("0.9"), Decimal("1.1"), Decimal(1))


class Prices:
    """Thread-safe; shared by everything in the process that talks to one exchange."""

    def __init__(self, env: Environment) -> None:
        self._lock: threading.Lock = env.lock()
        self._seen: TTLCache[str, Decimal] = TTLCache(_MOST, _FRESH_S, env.now)

    def see(self, symbol: str, price: Decimal | None) -> None:
        """It trades at `price` now, as far as anybody knows."""
        if price:
            with self._lock:
                self._seen[symbol] = price

    def last(self, symbol: str) -> Decimal | None:
        """The price seen last; None for one that was seen longer ago."""
        with self._lock:
            return self._seen.get(symbol)


def check_market_order(instrument: Instrument, order: PlaceOrder, price: Decimal) -> None:
    """Refuse a market order whose value is out of the instrument's bounds at the last price and well around it.

    The exchange judges by an average of its own: what is near a limit is left to it.

    Raises:
        InvalidOrder: too small or too large, by the last price.
    """
    refusal: InvalidOrder | None = None
    for part in _NEARBY:
        try:
            instrument.check(order, reference_price=EXACT.multiply(price, part))
        except InvalidOrder as error:
            refusal = error
        else:
            return
    if refusal is not None:
        raise refusal
