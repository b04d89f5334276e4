"""What an account holds and pays."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from exconnect.errors import InvalidType
from exconnect.model.values import EXACT, ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Amount of one asset: `free` to use, `locked` in open orders."""

    exchange: str
    asset: str
    free: Decimal
    locked: Decimal
    raw: Any = field(default=None, repr=False, compare=False)

    @property
    def total(self) -> Decimal:
        """Free plus locked."""
        return EXACT.add(self.free, self.locked)


def as_asset(asset: Any) -> str:
    """`asset` as exchanges write it: in capitals. One that mixes capitals and small letters stays as it is.

    Raises:
        InvalidType: not text.
    """
    if not isinstance(asset, str):
        raise InvalidType(f"an asset must be text like 'BTC', not {type(asset).__name__}", {"argument": "asset"})
    return asset.upper() if asset.islower() else asset


class Balances(dict[str, Balance]):
    """Asset → `Balance` of what is held; an asset that is not held reads as zero, and `"btc"` as `"BTC"`."""

    def __init__(self, exchange: str, balances: dict[str, Balance]) -> None:
        super().__init__(balances)
        self.exchange = exchange

    def __missing__(self, asset: str) -> Balance:
        asset = as_asset(asset)
        held = self.get(asset.upper())
        return held or Balance(exchange=self.exchange, asset=asset, free=ZERO, locked=ZERO)

    def __reduce__(self) -> tuple[type[Balances], tuple[str, dict[str, Balance]]]:
        return Balances, (self.exchange, dict(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """Fractions of what is received: `Decimal("0.001")` is 0.1 %."""

    exchange: str
    symbol: str
    maker: Decimal
    taker: Decimal
    raw: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A position in a perpetual: `quantity` in base asset, negative for a short one; prices in quote asset."""

    exchange: str
    symbol: str
    quantity: Decimal
    entry_price: Decimal | None = None
    mark_price: Decimal | None = None
    liquidation_price: Decimal | None = None
    leverage: Decimal | None = None
    margin: Decimal | None = None
    unrealized_pnl: Decimal | None = None
    time: datetime | None = None
    received_at: datetime | None = None
    raw: Any = field(default=None, repr=False, compare=False)
