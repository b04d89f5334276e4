"""What one symbol of the mock exchange allows."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from .fixed import SCALE, scaled

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_SYMBOLS: Mapping[str, str] = {"BTC/USDT": "60000", "ETH/USDT": "3000"}
DEFAULT_BALANCES: Mapping[str, str] = {"USDT": "1000000", "BTC": "100", "ETH": "1000"}
LARGEST = 9000
FEE = SCALE // 1000


@dataclass(frozen=True, slots=True)
class Market:
    """One symbol. Prices, quantities and notionals are integers in units of 10⁻⁸."""

    symbol: str
    base: str
    quote: str
    start: int
    tick: int
    lot: int
    min_quantity: int
    max_quantity: int
    market_max_quantity: int
    min_price: int = 0
    max_price: int = 1_000_000 * SCALE
    min_notional: int = 5 * SCALE
    max_notional: int = 9_000_000 * SCALE
    max_orders: int = 200
    max_conditional: int = 5
    max_amends: int = 10
    band_down: int = 2
    band_up: int = 50

    @property
    def name(self) -> str:
        """The exchange's own spelling: ``BTCUSDT``."""
        return self.base + self.quote

    @staticmethod
    def of(symbol: str, start: Decimal | str | int) -> Market:
        """Tick and lot follow the price: 0.01 and 0.00001 at 60,000; 0.01 and 0.0001 at 3,000."""
        base, _, quote = symbol.partition("/")
        if not base or not quote:
            raise ValueError(f"symbol {symbol!r} is not of the form BASE/QUOTE")
        scaled_start = scaled(start)
        magnitude = Decimal(start).adjusted()
        tick = SCALE // 10 ** min(8, max(2, 4 - magnitude))
        lot = SCALE // 10 ** min(5, max(0, magnitude + 1))
        largest = LARGEST * 10 ** max(0, 3 - magnitude) * SCALE
        return Market(symbol, base, quote, scaled_start, tick, lot, lot, largest, largest // 9, min_price=tick)

    def on_tick(self, price: int) -> int:
        """The nearest price on the tick, at least one tick."""
        return max(self.tick, (price + self.tick // 2) // self.tick * self.tick)
