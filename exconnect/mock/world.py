"""Everything behind the dialect: engine, tapes, crowds, limits, faults and the record. Driven by ``now_ms`` alone."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .activity import Crowd
from .chance import seeded
from .engine import Engine, Numbers
from .fixed import scaled
from .market import Market
from .orders import Fill, Report, Trade
from .record import Record
from .tape import Aggregate, Tape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from .account import Account
    from .faults import Fault, Faults
    from .orders import Order

USER = "user"


@dataclass(frozen=True, slots=True)
class Setup:
    """What the world is made of."""

    symbols: Mapping[str, Decimal | str | int]
    balances: Mapping[str, Decimal | str | int]
    seed: int
    activity: float
    started_ms: int


@dataclass(frozen=True, slots=True)
class House:
    """What an exchange does in its own way: where it counts from, and the rules of its markets."""

    numbers: Numbers = field(default_factory=Numbers)
    rules: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Happened:
    """One step of the engine, as listeners hear of it."""

    event: Report | Trade
    aggregate: Aggregate | None = None


@dataclass(slots=True)
class View:
    """What reads see: the orders and fills of now, or of the moment of a ``lag`` fault."""

    orders: dict[int, Order]
    by_client: dict[tuple[str, str], Order]
    fills: list[Fill]
    open: list[Order] = field(default_factory=list)


class World:
    """One exchange without its dialect."""

    def __init__(self, setup: Setup, faults: Faults, house: House | None = None) -> None:
        house = house or House()
        markets = [replace(Market.of(symbol, start), **house.rules) for symbol, start in setup.symbols.items()]
        balances = {asset: scaled(amount) for asset, amount in setup.balances.items()}
        for market in markets:
            balances.setdefault(market.base, 0)
            balances.setdefault(market.quote, 0)
        self.engine = Engine(markets, {USER: balances}, setup.seed, house.numbers)
        self.account: Account = self.engine.accounts[USER]
        self.markets = {market.name: market for market in markets}
        self.tapes = {market.symbol: Tape(market, setup.seed, setup.started_ms) for market in markets}
        self.started_ms = setup.started_ms
        self.random = seeded("world", setup.seed)
        self.record = Record()
        self.fills: list[Fill] = []
        self.faults = faults
        self.listeners: list[Callable[[list[Happened]], None]] = []
        self._lagged: dict[int, View] = {}
        self._crowds = [Crowd(self.engine, market, setup.seed, setup.activity, setup.started_ms) for market in markets]

    def retune(self, activity: float, now_ms: int) -> None:
        """Another number of events per second and symbol."""
        for crowd in self._crowds:
            crowd.retune(activity, now_ms)

    def next_ms(self) -> float:
        """When other people act next."""
        return min(crowd.next_ms for crowd in self._crowds)

    def advance(self, now_ms: int) -> None:
        """Lets other people do what they do until now."""
        while True:
            crowd = min(self._crowds, key=lambda crowd: crowd.next_ms)
            if crowd.next_ms > now_ms:
                return
            crowd.act()
            self.settle()

    def settle(self) -> None:
        """Writes down what the engine has done and tells it to the listeners. To be called after every command."""
        events, self.engine.events = self.engine.events, []
        happened = [self._note(event) for event in events]
        for listener in self.listeners:
            listener(happened)

    def _note(self, event: Report | Trade) -> Happened:
        if isinstance(event, Trade):
            return Happened(event, self.tapes[event.market.symbol].add(event))
        if event.fill:
            self.fills.append(event.fill)
        elif event.kind in {"new", "rejected"} and not event.order.has_triggered:
            self.record.accepted(event.order.placed_id)
        return Happened(event)

    def view(self, operation: str, now_ms: int) -> View:
        """What a read of this kind sees now."""
        fault = self.faults.lasting("lag", operation, now_ms)
        if fault is not None:
            self.faults.fire(fault)
            return self._lagged[id(fault)]
        return View(self.engine.orders, self.engine.by_client, self.fills, list(self.engine.open.values()))

    def lag(self, fault: Fault, now_ms: int) -> None:
        """From now on, for a while, reads see what is true now."""
        fault.until_ms = now_ms + int(fault.plan.seconds * 1000)
        orders = {number: _copy(order) for number, order in self.engine.orders.items()}
        by_client = {key: orders[order.id] for key, order in self.engine.by_client.items()}
        opened = [order for order in orders.values() if order.is_open]
        self._lagged[id(fault)] = View(orders, by_client, list(self.fills), opened)


def _copy(order: Order) -> Order:
    twin = copy.copy(order)
    twin.fills = list(order.fills)
    return twin
