"""What an exchange is to the engine: one frozen record, filled in by `exchanges/<name>/__init__.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from exconnect.model.enums import Capability, MarketType

if TYPE_CHECKING:
    from exconnect.endpoints import Endpoints
    from exconnect.model.account import Balances, Fees
    from exconnect.model.instrument import Instrument
    from exconnect.model.market import Book, Candle, Ticker, Trade
    from exconnect.model.order import AmendOrder, Fill, Order, PlaceOrder
    from exconnect.protocol.book import Sequencer
    from exconnect.protocol.call import Call, Failure, Pool, Request, Response, Usage
    from exconnect.protocol.pages import Page, Where
    from exconnect.protocol.session import BookUpdate, Session
    from exconnect.protocol.signing import Signer

Lookup = Callable[[str], "Instrument | None"]  # by the exchange's own symbol


class Market(Struct, frozen=True):
    """One market of an exchange: spot, or perpetuals."""

    type: MarketType
    prefix: str  # path below which its calls live
    stream_path: str
    book_depths: tuple[int, ...]  # levels a side that a snapshot, or a book topic, can have; ascending
    intervals: frozenset[str]  # candle intervals it offers
    has_consecutive_trades: bool = False  # each trade's id is the one before it plus one, so that a missing one shows
    book_topics: tuple[int, ...] = ()  # levels a side of the book topics, ascending; none: one topic with all levels
    max_topics: int = 1_000  # of one connection
    private_path: str = ""  # of the account's own events
    private_counts: bool = False  # whether what is asked on that connection counts against the limits of calls
    lifetime_s: float | None = None  # after which the exchange closes a connection, whatever is on it


class Listing(Struct, frozen=True):
    """What the exchange lists, and the limits it announces with it."""

    instruments: tuple[Instrument, ...]
    pools: tuple[Pool, ...] = ()


class Absence(Struct, frozen=True):
    """What this exchange's answers say of an order that is nowhere to be seen.

    Codes are as its errors carry them. Any other refusal says nothing, and neither does a failure.
    """

    unknown_to_query: frozenset[int | str] = frozenset()  # asked for by its client order id: there is none
    unknown_to_cancel: frozenset[int | str] = frozenset()  # to be canceled: there is none that is open
    renames: bool = False  # a canceled order may be listed under another client order id
    forgets_s: float | None = None  # what ended without a fill is shown for so long


class KeyPermissions(Struct, frozen=True):
    """What an API key may do, as far as the exchange tells."""

    can_trade: bool
    can_withdraw: bool | None = None
    details: str = ""


class Rest(Protocol):
    """The calls of an exchange's `rest.py`; the module is the object. Names are the client's, times are ms.

    Histories come by `Page`: the engine begins at a position of `start` (in) and `end` (out), and goes on wherever
    the exchange says.
    """

    PAGE: Mapping[str, int]  # most items of one page: trades candles orders fills

    def time(self) -> Call[int]:
        """The exchange's clock, ms."""

    def instruments(self, exchange_symbols: Sequence[str]) -> Call[Listing]:
        """Those named, or all."""

    def fetch_ticker(self, instrument: Instrument) -> Call[Ticker]: ...
    def fetch_tickers(self, instruments: Sequence[Instrument], lookup: Lookup) -> Call[dict[str, Ticker]]:
        """Those named, or all; by unified symbol."""

    def fetch_book(self, instrument: Instrument, depth: int) -> Call[Book]: ...
    def book_snapshot(self, instrument: Instrument, depth: int) -> Call[BookUpdate]:
        """For a `BookBuilder`."""

    def fetch_trades(self, instrument: Instrument, where: Where, limit: int) -> Call[Page[Trade]]:
        """From `where` on; its `from_id` goes with `TRADE_HISTORY` only."""

    def fetch_candles(
        self, instrument: Instrument, interval: str, where: Where, *, limit: int, at: int
    ) -> Call[Page[Candle]]:
        """`at` is the exchange's time, which tells whether a candle is closed."""

    def fetch_balances(self) -> Call[Balances]: ...
    def fetch_fees(self, instrument: Instrument) -> Call[Fees]: ...
    def permissions(self) -> Call[KeyPermissions]: ...
    def fetch_order(
        self,
        instrument: Instrument,
        *,
        client_order_id: str | None,
        order_id: str | None,
        where: Where | None = None,
    ) -> Call[Page[Order]]:
        """The order, or nothing and where else it may be."""

    def fetch_open_orders(
        self, instrument: Instrument | None, lookup: Lookup, where: Where | None = None
    ) -> Call[Page[Order]]: ...
    def fetch_orders(self, instrument: Instrument, where: Where, *, limit: int, at: int) -> Call[Page[Order]]:
        """`at` is the exchange's time."""

    def fetch_fills(
        self, instrument: Instrument, where: Where, *, order_id: str | None, limit: int, at: int
    ) -> Call[Page[Fill]]:
        """Of one order, or of all."""

    def place_order(self, command: PlaceOrder, instrument: Instrument, client_order_id: str) -> Call[Order]: ...
    def validate_order(self, command: PlaceOrder, instrument: Instrument, client_order_id: str) -> Call[None]: ...
    def amend_order(self, order: Order, amend: AmendOrder, instrument: Instrument, new_id: str) -> Call[Order | None]:
        """The call whose `client_order_id` is the order's own (amended in place) or `new_id` (replaced).

        None: the exchange will amend it and has not yet.
        """

    def cancel_order(
        self, instrument: Instrument, *, client_order_id: str, order_id: str | None, known: Order | None = None
    ) -> Call[Order | None]:
        """`known` is what is known of the order. None: the exchange will cancel it and has not yet."""

    def cancel_all_orders(self, instrument: Instrument) -> Sequence[Call[list[Order]]]:
        """The calls that together leave no order of the instrument open, and what they have canceled already."""

    def raw(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        *,
        signed: bool,
        cost: int,
        decode: Callable[[Response], object],
    ) -> Call[object]:
        """Any endpoint."""


class Batch(Protocol):
    """Several orders in one call, where an exchange takes them: one result per order, in the order given.

    A `Failure` is what became of one order; None: amended or canceled as soon as the exchange comes to it.
    """

    BATCH: int  # most orders of one call

    def place_orders(self, orders: Sequence[tuple[PlaceOrder, Instrument, str]]) -> Call[list[Order | Failure]]:
        """Commands with their client order ids."""

    def takes(self, order: Order) -> bool:
        """Whether an order may be amended or canceled together with others."""

    def amend_orders(self, amends: Sequence[tuple[Order, AmendOrder, Instrument]]) -> Call[list[Failure | None]]: ...
    def cancel_orders(self, orders: Sequence[tuple[Order, Instrument]]) -> Call[list[Failure | None]]: ...


Sign = Callable[["Request", "Signer", int, int], "Request"]  # request, signer, time in ms, recv window in ms


class Exchange(Struct, frozen=True):
    """An exchange: addresses, markets, limits, and the pure functions that speak its language."""

    name: str
    endpoints: Mapping[str, Endpoints]  # by environment name: live, testnet, demo
    markets: Mapping[MarketType, Market]
    pools: tuple[Pool, ...]
    capabilities: frozenset[Capability]
    rest: Rest
    sign: Sign
    encode: Callable[[Request], Request]  # a public request: params into the query
    error: Callable[[Response], Failure | None]
    usage: Callable[[Response], Usage]
    session: Callable[[Market], Session]
    sequencer: Callable[[Market], Sequencer]
    parse_symbol: Callable[[str], str | None]  # unified → exchange symbol, None if it cannot be one
    private: Callable[[Market, Signer], Session] | None = None  # the account's own events; None: it has none
    batch: Batch | None = None  # with `PLACE_BATCH`
    absence: Absence | None = None  # None: no order is ever called not accepted
    key_kinds: tuple[str, ...] = ("hmac", "rsa", "ed25519")  # of keys that it takes
