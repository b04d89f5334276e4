"""Balances: what is free and what orders hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .fixed import times
from .orders import BUY, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .orders import NewOrder, Order


class Balance:
    """One asset, in units of 10⁻⁸."""

    __slots__ = ("free", "locked")

    def __init__(self, free: int = 0) -> None:
        self.free = free
        self.locked = 0


class Account:
    """One owner's assets. Every movement is one of the four methods below."""

    def __init__(self, balances: dict[str, int]) -> None:
        self.assets = {asset: Balance(free) for asset, free in balances.items()}
        self.updated_ms = 0

    def of(self, asset: str) -> Balance:
        """The balance of an asset, made when first asked for."""
        return self.assets.setdefault(asset, Balance())

    def lock(self, order: Order, amount: int) -> None:
        """Raises: Refused, when less than ``amount`` is free."""
        balance = self.of(spends(order.wish))
        if balance.free < amount:
            raise Refused("insufficient_balance")
        balance.free -= amount
        balance.locked += amount
        order.locked += amount

    def unlock(self, order: Order, amount: int) -> None:
        """Frees what an order held."""
        balance = self.of(spends(order.wish))
        balance.free += amount
        balance.locked -= amount
        order.locked -= amount

    def pay(self, asset: str, amount: int) -> None:
        """Raises: Refused, when less than ``amount`` is free."""
        balance = self.of(asset)
        if balance.free < amount:
            raise Refused("insufficient_balance")
        balance.free -= amount

    def receive(self, asset: str, amount: int) -> None:
        """Adds to what is free."""
        self.of(asset).free += amount


def spends(wish: NewOrder) -> str:
    """The asset that an order gives away."""
    return wish.market.quote if wish.side == BUY else wish.market.base


def to_lock(wish: NewOrder, quantity: int) -> int:
    """What a resting or waiting order of this quantity holds; conditional market buys by their trigger."""
    return times(wish.price or wish.stop_price, quantity) if wish.side == BUY else quantity


def total(accounts: Iterable[Account], asset: str) -> int:
    """Free and locked of one asset over several accounts."""
    return sum(account.of(asset).free + account.of(asset).locked for account in accounts)
