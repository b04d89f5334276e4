"""What of an account was handed out already, over any number of connections: nothing comes twice."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from exconnect.environment import Environment
    from exconnect.model.account import Balance
    from exconnect.model.order import Fill, Order

_REMEMBERED = 100_000

Key = tuple[str, str | None]


def key_of(order: Order) -> Key:
    """What names an order for good: a cancel may change its client order id."""
    return order.symbol, order.order_id


class Delivered:
    """The memory of one running stream. Thread-safe: one private connection may end while the next one begins."""

    def __init__(self, env: Environment, remembered: int = _REMEMBERED) -> None:
        self._lock = env.lock()
        self._remembered = remembered
        self._fills: OrderedDict[Hashable, object] = OrderedDict()
        self._orders: OrderedDict[Hashable, object] = OrderedDict()
        self._balances: OrderedDict[Hashable, object] = OrderedDict()

    def has_fill(self, fill: Fill) -> bool:
        """Whether it was handed out."""
        with self._lock:
            return _identity(fill) in self._fills

    def fill(self, fill: Fill) -> bool:
        """Remember it; whether it is new."""
        return self._is_news(self._fills, _identity(fill), None)

    def were_handled(self, fills: Iterable[tuple[str, str, str]]) -> None:
        """Remember these, by symbol, order id and id: somebody before us has handed them out."""
        for identity in fills:
            self._is_news(self._fills, identity, None)

    def order(self, order: Order) -> bool:
        """Remember it; whether a user sees anything new in it."""
        return self._is_news(self._orders, key_of(order), _visible(order))

    def balance(self, balance: Balance) -> bool:
        """Remember it; whether it is another amount."""
        return self._is_news(self._balances, balance.asset, (balance.free, balance.locked))

    def has_balance(self, balance: Balance) -> bool:
        """Whether this is the amount that was handed out last."""
        with self._lock:
            return self._balances.get(balance.asset) == (balance.free, balance.locked)

    def _is_news(self, memory: OrderedDict[Hashable, object], key: Hashable, content: object) -> bool:
        with self._lock:
            if key in memory and memory[key] == content:
                return False
            memory[key] = content
            memory.move_to_end(key)
            if len(memory) > self._remembered:
                memory.popitem(last=False)
            return True


def _identity(fill: Fill) -> Hashable:
    # Both sides of a trade with oneself carry the same id.
    return fill.symbol, fill.order_id, fill.id


def _visible(order: Order) -> Hashable:
    # Not where it was heard, nor when: a reply and an event that say the same are one change.
    terms = order.quantity, order.quote_quantity, order.price, order.stop_price
    return order.status, order.filled_quantity, order.filled_quote, terms
