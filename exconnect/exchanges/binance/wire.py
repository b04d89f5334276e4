"""What travels: Binance's payloads, only the fields we use; unknown fields are ignored.

Amounts stay as they came (text; JSON numbers in some re-dumped recordings) until `parse` makes Decimals of them.
`loads` gives the decoded JSON that becomes `.raw`, `read` the same as one of the structs below.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from exconnect.model.market import Cell
from exconnect.model.values import TimeMs
from exconnect.protocol.payload import Payloads

Amount = Any  # text of a decimal, None when it is not there
Pair = tuple[str, str]  # price, quantity

_Number = Annotated[str, Meta(min_length=3, max_length=41)]  # of the usual form: digits, a point, digits

_PAYLOADS = Payloads("binance")
loads, read, malformed = _PAYLOADS.loads, _PAYLOADS.read, _PAYLOADS.malformed


class Error(Struct):
    """The body of a refusal. `data` comes with cancel-replace."""

    code: int
    msg: str = ""
    data: Any = None


class Replacement(Struct, rename="camel"):
    """Both halves of a cancel-replace."""

    cancel_result: str
    new_order_result: str
    cancel_response: Any = None
    new_order_response: Any = None


class ServerTime(Struct, rename="camel"):
    """`GET time`."""

    server_time: int


class Limit(Struct, rename="camel"):
    """One row of `rateLimits`."""

    rate_limit_type: str = ""
    interval: str = ""
    interval_num: int = 0
    limit: int = 0


class Filter(Struct, rename="camel"):
    """Any filter of a symbol: the union of their fields."""

    filter_type: str
    min_price: Amount = None
    max_price: Amount = None
    tick_size: Amount = None
    multiplier_up: Amount = None
    multiplier_down: Amount = None
    bid_multiplier_up: Amount = None
    bid_multiplier_down: Amount = None
    ask_multiplier_up: Amount = None
    ask_multiplier_down: Amount = None
    min_qty: Amount = None
    max_qty: Amount = None
    step_size: Amount = None
    min_notional: Amount = None
    max_notional: Amount = None
    apply_to_market: bool = True
    apply_min_to_market: bool = True
    apply_max_to_market: bool = True
    limit: Any = None
    max_num_orders: int | None = None
    max_num_algo_orders: int | None = None
    max_num_iceberg_orders: int | None = None
    max_num_order_amends: int | None = None
    max_position: Amount = None
    min_trailing_above_delta: int | None = None
    max_trailing_above_delta: int | None = None
    min_trailing_below_delta: int | None = None
    max_trailing_below_delta: int | None = None


class Symbol(Struct, rename="camel"):
    """One row of `symbols`."""

    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    order_types: list[str] = []
    iceberg_allowed: bool = True
    quote_order_qty_market_allowed: bool = True
    allow_trailing_stop: bool = True
    amend_allowed: bool = False
    is_spot_trading_allowed: bool = True
    allowed_self_trade_prevention_modes: list[str] | None = None
    filters: list[Filter] = []


class Listing(Struct, rename="camel"):
    """`GET exchangeInfo`; the symbols are read one by one, so that each keeps its own raw object."""

    rate_limits: list[Limit] = []
    symbols: list[Any] = []


class Ticker(Struct, rename="camel"):
    """`GET ticker/24hr`."""

    symbol: str
    bid_price: Amount = None
    bid_qty: Amount = None
    ask_price: Amount = None
    ask_qty: Amount = None
    last_price: Amount = None
    open_price: Amount = None
    high_price: Amount = None
    low_price: Amount = None
    volume: Amount = None
    quote_volume: Amount = None
    close_time: int | None = None


class Book(Struct, rename="camel"):
    """`GET depth`. Old recordings have a third, empty element in each level."""

    last_update_id: int
    bids: list[list[Any]]
    asks: list[list[Any]]


class Trade(Struct, rename="camel"):
    """A row of `GET trades` and `GET historicalTrades`."""

    id: int
    price: Amount
    qty: Amount
    time: int
    is_buyer_maker: bool


class AggregateTrade(Struct):
    """A row of `GET aggTrades`: `f` is the id of the first trade in it."""

    f: int


class Kline(Struct, array_like=True):
    """A row of `GET klines`; the close time is inclusive."""

    open_time: int
    open: Amount
    high: Amount
    low: Amount
    close: Amount
    volume: Amount
    close_time: int
    quote_volume: Amount = None
    trades: int | None = None


class Asset(Struct):
    """A row of `balances`."""

    asset: str
    free: Amount
    locked: Amount


class Account(Struct, rename="camel"):
    """`GET account`; the balances are read one by one."""

    balances: list[Any]
    can_trade: bool = False
    can_withdraw: bool | None = None
    account_type: str = ""
    permissions: list[str] = []


class Rates(Struct, frozen=True):
    """One kind of commission."""

    maker: Amount = "0"
    taker: Amount = "0"


class Commission(Struct, rename="camel"):
    """`GET account/commission`."""

    standard_commission: Rates
    special_commission: Rates = Rates()
    tax_commission: Rates = Rates()


class OrderFill(Struct, rename="camel"):
    """One of the `fills` of an order that was answered with FULL."""

    trade_id: int
    price: Amount = None
    qty: Amount = None
    commission: Amount = None
    commission_asset: str | None = None


class Order(Struct, rename="camel"):
    """An order as place, cancel, amend and the queries tell it; none of them sends every field."""

    order_id: int
    symbol: str = ""
    client_order_id: str = ""
    orig_client_order_id: str = ""
    price: Amount = None
    orig_qty: Amount = None
    qty: Amount = None
    executed_qty: Amount = None
    orig_quote_order_qty: Amount = None
    quote_order_qty: Amount = None
    cummulative_quote_qty: Amount = None
    cumulative_quote_qty: Amount = None
    status: str | None = None
    time_in_force: str | None = None
    type: str = ""
    side: str = ""
    stop_price: Amount = None
    is_working: bool | None = None
    working_time: int | None = None
    transact_time: int | None = None
    time: int | None = None
    update_time: int | None = None
    expiry_reason: str | None = None
    fills: list[Any] = []


class Amendment(Struct, rename="camel"):
    """`PUT order/amend/keepPriority`."""

    amended_order: Any
    transact_time: int | None = None


class Fill(Struct, rename="camel"):
    """A row of `GET myTrades`."""

    id: int
    order_id: int
    price: Amount
    qty: Amount
    time: int
    is_buyer: bool
    is_maker: bool | None = None
    commission: Amount = None
    commission_asset: str | None = None


class DepthLevel(Cell, array_like=True, gc=False):
    """One level of a depth event."""

    price: _Number
    quantity: _Number


class DepthEvent(Struct, gc=False):
    """`<symbol>@depth@100ms`: `U` and `u` are the first and last update in it."""

    s: str
    U: int
    u: int
    b: list[DepthLevel]
    a: list[DepthLevel]
    E: TimeMs | None = None


class LooseDepthEvent(Struct):
    """The same with levels of any form: without a point, or with the empty third element that they had in 2017."""

    s: str
    U: int
    u: int
    b: list[list[Any]]
    a: list[list[Any]]
    E: TimeMs | None = None


class DepthFrame(Struct, gc=False):
    """The same on a combined stream: `{"stream": …, "data": …}`."""

    data: DepthEvent


class TradeEvent(Struct, gc=False):
    """`<symbol>@trade`."""

    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class TickerEvent(Struct, gc=False):
    """`<symbol>@ticker`: 24 hours, rolling."""

    s: str
    E: int | None = None
    b: Amount = None
    B: Amount = None
    a: Amount = None
    A: Amount = None
    c: Amount = None
    o: Amount = None
    h: Amount = None
    l: Amount = None  # noqa: E741  # the exchange's letter for the low
    v: Amount = None
    q: Amount = None


class Bar(Struct, gc=False):
    """The candle in a kline event; `x` is whether it is closed."""

    t: int
    i: str
    o: Amount
    h: Amount
    l: Amount  # noqa: E741  # the exchange's letter for the low
    c: Amount
    v: Amount
    x: bool
    n: int | None = None
    q: Amount = None


class KlineEvent(Struct, gc=False):
    """`<symbol>@kline_<interval>`."""

    s: str
    k: Bar
    E: int | None = None


class ExecutionReport(Struct):
    """`executionReport`: a step in the life of an order, with the fill that was it."""

    s: str
    i: int
    c: str
    S: str
    o: str
    X: str
    T: int
    C: str | None = None  # of a cancel: the order's own id, and `c` is the cancel's
    f: str | None = None
    q: Amount = None
    Q: Amount = None
    p: Amount = None
    P: Amount = None
    x: str = ""
    r: str | None = None
    eR: str | None = None  # noqa: N815  # the exchange's letters
    z: Amount = None
    Z: Amount = None
    O: int | None = None  # noqa: E741  # the exchange's letter for the time of creation
    W: int | None = None
    w: bool | None = None
    t: int = -1
    a: int | None = None  # allocation, where smart order routing made no trade
    l: Amount = None  # noqa: E741  # the exchange's letter for the last quantity
    L: Amount = None
    n: Amount = None
    N: str | None = None
    m: bool | None = None


class Position(Struct):
    """An asset in `outboundAccountPosition`."""

    a: str
    f: Amount
    l: Amount  # noqa: E741  # the exchange's letter for what is locked


class AccountPosition(Struct):
    """`outboundAccountPosition`: assets that may have changed, with absolute amounts; `u` is since when."""

    B: list[Any]
    u: int


class BalanceUpdate(Struct):
    """`balanceUpdate`: a deposit, a withdrawal, a transfer between wallets."""

    a: str
    d: Amount
    T: int


_depth_event = msgspec.json.Decoder(DepthEvent)
_depth_frame = msgspec.json.Decoder(DepthFrame)
_DIGITS = b"0123456789"
_ROW = b'[".","."],'
_KNOWN = 500  # levels of frames whose ends are remembered: those of larger ones would fill the memory


def depth_event(text: str) -> DepthEvent | None:
    """A depth frame of the usual form, raw or of a combined stream, in one pass; None if it is none."""
    try:
        return _depth_frame.decode(text).data if text[2] == "s" else _depth_event.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def is_plain(text: str, event: DepthEvent) -> bool:
    """Whether a depth frame ends in levels that are all plain numbers in their usual form.

    Without its digits such an end is the same for every frame of so many levels: one comparison sees to all of them.
    That there are digits beside the points is seen to by the lengths of `_Number`; that the levels at the end are
    those of the event, by there being no other lists.
    """
    bids, asks = len(event.b), len(event.a)
    ends = _known_ends(bids, asks) if bids + asks < _KNOWN else _ends(bids, asks)
    rest = text.encode().translate(None, _DIGITS)
    return rest[rest.find(b"[") :] in ends


def _ends(bids: int, asks: int) -> tuple[bytes, bytes]:
    """A raw frame and one of a combined stream with so many levels end like this, from the first bracket on."""
    end = b'[%b],"a":[%b]}' % ((_ROW * bids)[:-1], (_ROW * asks)[:-1])
    return end, end + b"}"


_known_ends = lru_cache(maxsize=4_096)(_ends)
