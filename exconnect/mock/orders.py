"""The values that the engine takes and gives. Texts are lower case and belong to no dialect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .market import Market

BUY, SELL = "buy", "sell"
MARKET_TYPES = frozenset({"market", "stop_loss", "take_profit"})
STOP_TYPES = frozenset({"stop_loss", "stop_loss_limit", "take_profit", "take_profit_limit"})
OPEN = frozenset({"new", "partially_filled"})


class Refused(Exception):
    """The engine said no; ``reason`` is a word that the dialect translates, ``detail`` its parameter."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order as somebody wishes it. Numbers in units of 10⁻⁸, 0 where they do not apply.

    ``holds``: whether it holds funds while it waits for its trigger; ``extra`` belongs to the dialect.
    """

    market: Market
    side: str
    type: str
    quantity: int = 0
    price: int = 0
    quote_quantity: int = 0
    stop_price: int = 0
    time_in_force: str = "gtc"
    stp: str = "none"
    client_id: str = ""
    owner: str = ""
    extra: tuple[tuple[str, Any], ...] = ()
    holds: bool = True


@dataclass(frozen=True, slots=True)
class Fill:
    """The owner's half of a trade; ``sequence`` is the book's update id to which the trade led."""

    trade_id: int
    order: Order
    price: int
    quantity: int
    fee: int
    fee_asset: str
    is_maker: bool
    time_ms: int
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Amendment:
    """One time an order was made smaller; ``id`` is that of its report."""

    id: int
    original_id: str
    client_id: str
    original_quantity: int
    quantity: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class Prevention:
    """A trade of an account with itself that did not happen, and what each side lost by it."""

    id: int
    taker: Order
    maker: Order
    price: int
    taker_quantity: int
    maker_quantity: int
    time_ms: int


@dataclass(eq=False, slots=True)
class Order:
    """An accepted order, and what became of it. ``placed_id`` stays when a cancel renames ``client_id``."""

    id: int
    wish: NewOrder
    client_id: str
    placed_id: str
    quantity: int
    time_ms: int
    updated_ms: int
    working_ms: int = -1
    status: str = "new"
    filled: int = 0
    filled_quote: int = 0
    prevented: int = 0
    prevented_match_id: int = -1
    locked: int = 0
    is_working: bool = False
    has_triggered: bool = False
    expiry_reason: str = ""
    fills: list[Fill] = field(default_factory=list)
    amendments: list[Amendment] = field(default_factory=list)

    @property
    def market(self) -> Market:
        """The symbol's rules."""
        return self.wish.market

    @property
    def side(self) -> str:
        """``buy`` or ``sell``."""
        return self.wish.side

    @property
    def owner(self) -> str:
        """The account, or ``""`` for other people."""
        return self.wish.owner

    @property
    def price(self) -> int:
        """The limit price, 0 for market orders."""
        return self.wish.price

    @property
    def remaining(self) -> int:
        """What can still trade."""
        return self.quantity - self.filled - self.prevented

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.status in OPEN

    @property
    def is_waiting(self) -> bool:
        """Whether it still waits for its trigger."""
        return self.is_conditional and not self.has_triggered and self.is_open

    @property
    def is_conditional(self) -> bool:
        """Whether it has a trigger."""
        return self.wish.type in STOP_TYPES


@dataclass(frozen=True, slots=True)
class Trade:
    """A public trade; ``side`` is the taker's, ``sequence`` the book's update id to which it led."""

    id: int
    market: Market
    price: int
    quantity: int
    side: str
    time_ms: int
    taker_order_id: int
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """One step in the life of an owned order, with its numbers as they were at that moment."""

    kind: str
    order: Order
    id: int
    time_ms: int
    status: str
    client_id: str
    filled: int
    filled_quote: int
    is_working: bool
    original_id: str = ""
    fill: Fill | None = None
    prevented: int = 0
    counter_order_id: int = -1
