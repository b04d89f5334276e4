"""Market data: tickers, trades, books, candles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from msgspec import Struct

from exconnect.errors import InvalidArgument, NotSupported
from exconnect.model.enums import Side, Source, choose
from exconnect.model.values import (
    EXACT,
    ZERO,
    Money,
    datetime_of,
    decoded,
    plain,
    positive,
    quotient,
    tidy,
    total,
    trimmed,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """Best prices and the last 24 hours of one symbol.

    Prices and `quote_volume` in quote asset, quantities and `volume` in base asset; `time` is the exchange's,
    `received_at` when it came here by a stream.
    """

    exchange: str
    symbol: str
    time: datetime | None = None
    received_at: datetime | None = None
    bid: Decimal | None = None
    bid_quantity: Decimal | None = None
    ask: Decimal | None = None
    ask_quantity: Decimal | None = None
    last: Decimal | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    volume: Decimal | None = None
    quote_volume: Decimal | None = None
    raw: Any = field(default=None, repr=False, compare=False)

    @property
    def mid(self) -> Decimal | None:
        """Middle of bid and ask, None without both."""
        return _mid(self.bid, self.ask)

    @property
    def spread(self) -> Decimal | None:
        """Ask minus bid, None without both."""
        return None if self.bid is None or self.ask is None else trimmed(EXACT.subtract(self.ask, self.bid))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One trade between two orders: `price` in quote, `quantity` in base asset; `side` is the taker's."""

    exchange: str
    symbol: str
    id: str
    price: Decimal
    quantity: Decimal
    side: Side
    time: datetime | None = None
    received_at: datetime | None = None
    raw: Any = field(default=None, repr=False, compare=False)

    @property
    def notional(self) -> Decimal:
        """Price times quantity, in quote asset."""
        return EXACT.multiply(self.price, self.quantity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    """Open, high, low and close in quote asset, `volume` in base, `quote_volume` in quote asset; `trades`: how many.

    `is_closed` is False while it may still change.
    """

    exchange: str
    symbol: str
    interval: str
    open_time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    is_closed: bool
    quote_volume: Decimal | None = None
    trades: int | None = None
    time: datetime | None = None
    received_at: datetime | None = None
    raw: Any = field(default=None, repr=False, compare=False)

    @property
    def close_time(self) -> datetime:
        """Begin of the next candle."""
        return after(self.open_time, self.interval)


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingRate:
    """What longs pay shorts at `next_time`, as a fraction."""

    exchange: str
    symbol: str
    rate: Decimal
    next_time: datetime | None = None
    interval_hours: int | None = None
    mark_price: Decimal | None = None
    time: datetime | None = None
    received_at: datetime | None = None
    raw: Any = field(default=None, repr=False, compare=False)


SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
INTERVALS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d", "1w", "1M")


def check_interval(interval: str, offered: Sequence[str], exchange: str) -> None:
    """See that there are candles of this interval.

    Raises:
        InvalidArgument: nowhere.
        NotSupported: not on this exchange.
    """
    if interval in offered:
        return
    choices = " ".join(offered)
    if interval in INTERVALS:
        raise NotSupported(f"{exchange} has no {interval} candles, only {choices}", {"exchange": exchange})
    raise InvalidArgument(f"interval={interval!r}: must be one of {choices}", {"argument": "interval"})


def after(open_time: datetime, interval: str) -> datetime:
    """Begin of the candle that follows the one opened at `open_time`."""
    if interval == "1M":
        years, month = divmod(open_time.month, 12)
        return datetime(open_time.year + years, month + 1, 1, tzinfo=UTC)
    return open_time + timedelta(seconds=int(interval[:-1]) * SECONDS[interval[-1]])


class Level(NamedTuple):
    """Price in quote asset, quantity in base asset."""

    price: Decimal
    quantity: Decimal

    def __str__(self) -> str:
        return f"{tidy(self.price)} x {tidy(self.quantity)}"


class Cell(Struct, array_like=True, gc=False):
    """A level as it travels, and as `Level` once somebody has read it. The views of a book share it."""

    price: str
    quantity: str
    level: None = None  # for msgspec: nothing of this kind is ever sent


class Levels(Sequence[Level]):
    """One side of a book, best first. A level becomes Decimals when it is first read."""

    __slots__ = ("_cells",)

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._cells = cells

    def __len__(self) -> int:
        return len(self._cells)

    @overload
    def __getitem__(self, index: int) -> Level: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Level]: ...
    def __getitem__(self, index: int | slice) -> Level | Sequence[Level]:
        if type(index) is slice:
            return [cell.level or _read(cell) for cell in self._cells[index]]
        cell = self._cells[index]
        return cell.level or _read(cell)

    def __iter__(self) -> Iterator[Level]:
        return (cell.level or _read(cell) for cell in self._cells)

    def priced(self, count: int, mark: str) -> list[tuple[Decimal, str, str]]:
        """Price, text of the quantity, and the mark, of the best `count`: to rank them before any is read."""
        return [(_prices[cell.price], cell.quantity, mark) for cell in self._cells[:count]]

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, (Levels, list, tuple)) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # compared by value, and building it to hash it helps nobody

    def __repr__(self) -> str:
        shown = ", ".join(f"{plain(price)} x {plain(quantity)}" for price, quantity in self[:3])
        more = f", … {len(self) - 3} more" if len(self) > 3 else ""
        return f"[{shown}{more}]"

    def __reduce__(self) -> tuple[type[Levels], tuple[list[Cell]]]:
        return Levels, ([Cell(cell.price, cell.quantity) for cell in self._cells],)


class _Prices(dict[str, Decimal]):
    """By their texts: prices come again, quantities rarely do. To ask this costs less than to ask an `lru_cache`."""

    def __missing__(self, text: str) -> Decimal:
        if len(self) >= _KNOWN:
            self.clear()
        price = self[text] = _number(text)
        return price


def _read(cell: Cell) -> Level:
    # Two threads may both build it: the value is the same and the assignment is atomic.
    level: Any = _level(Level, (_prices[cell.price], _number(cell.quantity)))
    cell.level = level
    return level  # type: ignore[no-any-return]


_KNOWN = 4_096
_prices = _Prices()
_number = EXACT.create_decimal  # exact for all that may be in a book, and cheaper than Decimal()
_level: Any = tuple.__new__  # what Level() does, without its two calls in between


class _Late:
    """Fields of a stream's book that few look at: `late` is what they are made of when they are read."""

    __slots__ = ("_late",)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Asked for a field that is not filled yet, or for what there is not."""
            if name == "time":
                time_ms = self._late[0]
                value = None if time_ms is None else datetime_of(time_ms)
            elif name == "raw":
                value = decoded(self._late[1])
            else:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            object.__setattr__(self, name, value)  # two threads may both do it: the value is the same
            return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Book(_Late):
    """Bids and asks at one moment, best first: prices in quote, quantities in base asset.

    `sequence` is the exchange's update id. `is_valid`: no update is missing; False only where it was asked for.
    """

    exchange: str
    symbol: str
    bids: Sequence[Level]
    asks: Sequence[Level]
    sequence: int
    is_valid: bool = True
    source: Source = Source.REST
    time: datetime | None = None
    received_at: datetime | None = None
    raw: Any = field(default=None, repr=False, compare=False)

    @property
    def best_bid(self) -> Level | None:
        """Highest bid, None if there is none."""
        return self.bids[0] if self.bids else None

    @property
    def best_ask(self) -> Level | None:
        """Lowest ask, None if there is none."""
        return self.asks[0] if self.asks else None

    @property
    def mid(self) -> Decimal | None:
        """Middle of the best prices, None without both."""
        return _mid(self.bids[0].price, self.asks[0].price) if self.bids and self.asks else None

    @property
    def spread(self) -> Decimal | None:
        """Best ask minus best bid, None without both."""
        bids, asks = self.bids, self.asks
        return trimmed(EXACT.subtract(asks[0].price, bids[0].price)) if bids and asks else None

    def vwap(self, side: Side | str, quantity: Money) -> Decimal | None:
        """Average price, in quote asset, of buying or selling `quantity` (base asset) now; None: too thin a book.

        Raises:
            InvalidArgument: the side, or a quantity that is not above zero.
        """
        return vwap(self._against(side), positive(quantity, "quantity"))

    def quantity_to(self, side: Side | str, price: Money) -> Decimal:
        """What can be bought (sold) now at `price` or better, in base asset."""
        limit = positive(price, "price")
        levels = self._against(side)
        if levels is self.asks:
            return trimmed(total(level.quantity for level in levels if level.price <= limit))
        return trimmed(total(level.quantity for level in levels if level.price >= limit))

    def draw(self, rows: int = 5) -> str:
        """The best `rows` of both sides as a picture for the terminal."""
        rows = max(rows, 0)
        return draw(self.bids[:rows], self.asks[:rows])

    def _against(self, side: Side | str) -> Sequence[Level]:
        return self.asks if choose(Side, side, "side") is Side.BUY else self.bids


class _Draft(_Late):
    """A `Book` in the making: the same slots, still to be filled."""

    __slots__ = tuple(entry.name for entry in fields(Book))


_STREAM = Source.STREAM


def streamed(
    names: tuple[str, str],
    sides: tuple[Levels, Levels],
    sequence: int,
    received_at: datetime | None,
    late: tuple[int | None, Any],
    *,
    is_valid: bool,
) -> Book:
    """A `Book` of a stream, without what the constructor of a frozen class costs: this is done for every update.

    `late`: its time in ms, and the message that it is as of.
    """
    book: Any = _Draft()
    book.exchange, book.symbol = names
    book.bids, book.asks = sides
    book.sequence = sequence
    book.is_valid = is_valid
    book.source = _STREAM
    book.received_at = received_at
    book._late = late  # noqa: SLF001 - its own
    book.__class__ = Book
    return book  # type: ignore[no-any-return]


def vwap(levels: Sequence[Level], quantity: Decimal) -> Decimal | None:
    """Average price of taking `quantity` from `levels`, best first; None if they hold less."""
    left, paid = quantity, ZERO
    for level in levels:
        taken = min(left, level.quantity)
        left = EXACT.subtract(left, taken)
        paid = EXACT.add(paid, EXACT.multiply(taken, level.price))
        if not left:
            return quotient(paid, quantity)
    return None


def middle(bid: Decimal, ask: Decimal) -> Decimal:
    """What lies between two prices, exactly."""
    return trimmed(EXACT.divide(EXACT.add(bid, ask), _TWO))


def _mid(bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    return None if bid is None or ask is None else middle(bid, ask)


_TWO = Decimal(2)
_BASIS_POINTS = Decimal(10_000)
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_EIGHTHS_WIDE = Decimal(24 * 8)


def draw(bids: Sequence[Level], asks: Sequence[Level]) -> str:
    """Depth as bars of block characters, asks above bids; without the zeros that exchanges write at every end."""
    if not bids and not asks:
        return "(empty book)"
    price, quantity = (_finest(level[part] for side in (bids, asks) for level in side) for part in (0, 1))
    bids, asks = (
        [Level(EXACT.quantize(at, price), EXACT.quantize(much, quantity)) for at, much in side] for side in (bids, asks)
    )
    levels = [*bids, *asks]
    most = max(level.quantity for level in levels)
    price_width = max(len(plain(level.price)) for level in levels)
    quantity_width = max(len(plain(level.quantity)) for level in levels)

    def row(level: Level) -> str:
        eighths = int(EXACT.divide(EXACT.multiply(level.quantity, _EIGHTHS_WIDE), most)) if most else 0
        bar = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
        return f"{plain(level.price):>{price_width}}  {plain(level.quantity):>{quantity_width}} {bar}".rstrip()

    return "\n".join([*(row(level) for level in reversed(asks)), _middle(bids, asks), *(row(level) for level in bids)])


def _finest(numbers: Iterable[Decimal]) -> Decimal:
    """A number of as many decimals as the longest of them needs."""
    exponents = [number.normalize(EXACT).as_tuple().exponent for number in numbers]
    return Decimal((0, (1,), min([0, *(exponent for exponent in exponents if isinstance(exponent, int))])))


def _middle(bids: Sequence[Level], asks: Sequence[Level]) -> str:
    if not bids or not asks:
        return "      — one-sided —"
    bid, ask = bids[0].price, asks[0].price
    spread = EXACT.subtract(ask, bid)
    points = quotient(EXACT.multiply(spread, _BASIS_POINTS), middle(bid, ask))
    return f"      — spread {plain(spread)} ({points:.1f} bp) —"
