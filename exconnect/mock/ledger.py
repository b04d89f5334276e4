"""The truth about one mock exchange, for the judge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .fixed import decimal
from .orders import MARKET_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal
    from threading import RLock

    from .orders import Fill, Order, Trade
    from .record import Arrival
    from .world import World

_TYPES = {"limit_maker": "limit"}
_STATUSES = {"expired_in_match": "expired"}


@dataclass(frozen=True, slots=True)
class LedgerOrder:
    """An order that was accepted, as it stands now; texts as in exconnect's enums, ``client_order_id`` as placed."""

    client_order_id: str
    order_id: str
    symbol: str
    side: str
    type: str
    price: Decimal | None
    quantity: Decimal
    filled_quantity: Decimal
    status: str
    time: datetime


@dataclass(frozen=True, slots=True)
class LedgerFill:
    """The user's half of a trade."""

    id: str
    order_id: str
    client_order_id: str
    symbol: str
    side: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    time: datetime


@dataclass(frozen=True, slots=True)
class LedgerTrade:
    """A public trade; ``side`` is the taker's."""

    id: str
    price: Decimal
    quantity: Decimal
    side: str
    time: datetime


@dataclass(frozen=True, slots=True)
class LedgerBook:
    """The whole book, best first; ``sequence`` is the exchange's update id."""

    bids: list[tuple[Decimal, Decimal]]
    asks: list[tuple[Decimal, Decimal]]
    sequence: int


@dataclass(frozen=True, slots=True)
class LedgerRequest:
    """A REST request that arrived; ``status`` 0: a fault left it unanswered."""

    time: datetime
    method: str
    path: str
    operation: str
    params: dict[str, str]
    status: int
    code: int | str | None
    weight: int
    signed: bool


class Ledger:
    """Read-only: every method gives copies of what is true at the moment of the call."""

    def __init__(
        self, world: World, lock: RLock, connections: Callable[[str], int], sequence: Callable[[str], int]
    ) -> None:
        self._world = world
        self._lock = lock
        self._connections = connections
        self._sequence = sequence

    def __repr__(self) -> str:
        with self._lock:
            orders, fills = len(self._world.engine.orders), len(self._world.fills)
            requests = len(self._world.record.arrivals)
        return f"<Ledger: {orders} orders, {fills} fills, {requests} requests>"

    def orders(self, symbol: str | None = None) -> list[LedgerOrder]:
        """Every order ever accepted from the user, oldest first."""
        with self._lock:
            orders = list(self._world.engine.orders.values())
            return [_order(order) for order in orders if symbol in {None, order.market.symbol}]

    def order(self, client_order_id: str) -> LedgerOrder | None:
        """The newest order that was placed under this id."""
        with self._lock:
            orders = reversed(list(self._world.engine.orders.values()))
            return next((_order(order) for order in orders if order.placed_id == client_order_id), None)

    def fills(self, client_order_id: str | None = None) -> list[LedgerFill]:
        """The user's fills, in the order in which they happened."""
        with self._lock:
            fills = list(self._world.fills)
        return [_fill(fill) for fill in fills if client_order_id in {None, fill.order.placed_id}]

    def trades(self, symbol: str) -> list[LedgerTrade]:
        """All public trades, oldest first."""
        with self._lock:
            trades = list(self._world.tapes[symbol].trades)
        return [_trade(trade) for trade in trades]

    def book(self, symbol: str) -> LedgerBook:
        """The whole book now."""
        with self._lock:
            book = self._world.engine.books[symbol]
            bids = [(price, book.bids.total(price)) for price in book.bids.prices()]
            asks = [(price, book.asks.total(price)) for price in book.asks.prices()]
            sequence = self._sequence(symbol)
        return LedgerBook(_levels(bids), _levels(asks), sequence)

    def balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Asset → (free, locked) of the user."""
        with self._lock:
            assets = self._world.account.assets
            return {asset: (decimal(balance.free), decimal(balance.locked)) for asset, balance in assets.items()}

    @property
    def requests(self) -> list[LedgerRequest]:
        """Every REST request that arrived, in the order of arrival."""
        with self._lock:
            return [_request(arrival) for arrival in self._world.record.arrivals]

    @property
    def violations(self) -> list[str]:
        """Each breach of the exchange's rules."""
        with self._lock:
            return list(self._world.record.violations)

    def connections(self, kind: str = "public") -> int:
        """Open sockets: ``public`` or ``private``."""
        return self._connections(kind)


def when(time_ms: int) -> datetime:
    """Aware UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC)


def _levels(rows: list[tuple[int, int]]) -> list[tuple[Decimal, Decimal]]:
    return [(decimal(price), decimal(quantity)) for price, quantity in rows]


def _order(order: Order) -> LedgerOrder:
    status = _STATUSES.get(order.status, order.status)
    if status == "new" and order.is_waiting:
        status = "untriggered"
    return LedgerOrder(
        order.placed_id,
        str(order.id),
        order.market.symbol,
        order.side,
        _TYPES.get(order.wish.type, order.wish.type),
        decimal(order.price) if order.price and order.wish.type not in MARKET_TYPES else None,
        decimal(order.quantity),
        decimal(order.filled),
        status,
        when(order.time_ms),
    )


def _fill(fill: Fill) -> LedgerFill:
    order = fill.order
    return LedgerFill(
        str(fill.trade_id),
        str(order.id),
        order.placed_id,
        order.market.symbol,
        order.side,
        decimal(fill.price),
        decimal(fill.quantity),
        decimal(fill.fee),
        fill.fee_asset,
        when(fill.time_ms),
    )


def _trade(trade: Trade) -> LedgerTrade:
    return LedgerTrade(str(trade.id), decimal(trade.price), decimal(trade.quantity), trade.side, when(trade.time_ms))


def _request(arrival: Arrival) -> LedgerRequest:
    return LedgerRequest(
        when(arrival.time_ms),
        arrival.method,
        arrival.path,
        arrival.operation,
        dict(arrival.params),
        arrival.status,
        arrival.code,
        arrival.weight,
        arrival.signed,
    )
