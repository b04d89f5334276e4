"""What travels: Bybit's payloads, only the fields we use; unknown fields are ignored.

Amounts stay as they came (text, empty where there is none) until `parse` makes Decimals of them. `loads` gives the
decoded JSON that becomes `.raw`, `read` the same as one of the structs below.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec
from msgspec import Struct

from exconnect.model.market import Cell
from exconnect.model.values import TimeMs
from exconnect.protocol.payload import Payloads

Amount = Any  # text of a decimal; "" or None when there is none
Ms = Any  # text of milliseconds since 1970, or an integer
Pair = tuple[str, str]  # price, quantity

_PAYLOADS = Payloads("bybit")
loads, read, malformed = _PAYLOADS.loads, _PAYLOADS.read, _PAYLOADS.malformed


class Reply(Struct, rename="camel"):
    """What is around every REST answer: success has the code 0, whatever the HTTP status says."""

    ret_code: int
    ret_msg: str | None = None
    result: Any = None
    ret_ext_info: Any = None
    time: int | None = None


class Rows(Struct, rename={"rows": "list", "cursor": "nextPageCursor"}):
    """A `result` that is a list, perhaps with more behind the cursor."""

    rows: list[Any]
    cursor: str | None = None


class Outcome(Struct):
    """What became of one item of a batch: a row of `retExtInfo.list`."""

    code: int
    msg: str = ""


class Outcomes(Struct, rename={"rows": "list"}):
    """`retExtInfo` of a batch, in step with `result.list`."""

    rows: list[Outcome] = []


class ServerTime(Struct, rename="camel"):
    """`GET market/time`."""

    time_nano: str


class LotSizeFilter(Struct, rename="camel", frozen=True):
    """Sizes; the least quantity and the greatest value in the listing are obsolete and not checked."""

    base_precision: Amount = None
    min_order_amt: Amount = None
    max_order_qty: Amount = None
    max_limit_order_qty: Amount = None
    max_market_order_qty: Amount = None


class PriceFilter(Struct, rename="camel", frozen=True):
    """Prices."""

    tick_size: Amount = None


class RiskParameters(Struct, rename="camel", frozen=True):
    """How far from the index a limit price may be, as fractions."""

    price_limit_ratio_y: Amount = None


class Instrument(Struct, rename="camel"):
    """A row of `GET market/instruments-info`, spot."""

    symbol: str
    base_coin: str
    quote_coin: str
    status: str
    lot_size_filter: LotSizeFilter = LotSizeFilter()
    price_filter: PriceFilter = PriceFilter()
    risk_parameters: RiskParameters = RiskParameters()


class Ticker(Struct, rename={"bid1_price": "bid1Price", "bid1_size": "bid1Size", "ask1_price": "ask1Price",
                             "ask1_size": "ask1Size", "last_price": "lastPrice", "prev_price_24h": "prevPrice24h",
                             "high_price_24h": "highPrice24h", "low_price_24h": "lowPrice24h",
                             "volume_24h": "volume24h", "turnover_24h": "turnover24h"}):  # fmt: skip
    """A row of `GET market/tickers`, and the data of `tickers.<symbol>`, which has no bid and ask on spot."""

    symbol: str
    bid1_price: Amount = None
    bid1_size: Amount = None
    ask1_price: Amount = None
    ask1_size: Amount = None
    last_price: Amount = None
    prev_price_24h: Amount = None
    high_price_24h: Amount = None
    low_price_24h: Amount = None
    volume_24h: Amount = None
    turnover_24h: Amount = None


class Trade(Struct, rename="camel"):
    """A row of `GET market/recent-trade`; the side is the taker's."""

    exec_id: str
    price: Amount
    size: Amount
    side: str
    time: Ms


class Kline(Struct, array_like=True):
    """A row of `GET market/kline`."""

    start: Ms
    open: Amount
    high: Amount
    low: Amount
    close: Amount
    volume: Amount
    turnover: Amount = None


class Book(Struct):
    """`GET market/orderbook`."""

    b: list[Pair]
    a: list[Pair]
    u: int
    seq: int | None = None
    ts: TimeMs | None = None


class Coin(Struct, rename="camel"):
    """A row of `coin` in a wallet."""

    coin: str
    wallet_balance: Amount = None
    locked: Amount = None
    spot_borrow: Amount = None
    bonus: Amount = None


class Wallet(Struct):
    """A row of `GET account/wallet-balance`; the coins are read one by one."""

    coin: list[Any] = []


class FeeRate(Struct, rename="camel"):
    """A row of `GET account/fee-rate`."""

    symbol: str
    maker_fee_rate: Amount
    taker_fee_rate: Amount


class KeyInfo(Struct, rename="camel"):
    """`GET user/query-api`."""

    read_only: int = 0
    permissions: dict[str, Any] = {}  # lists of words
    ips: list[str] = []


class Ack(Struct, rename="camel"):
    """All that the exchange says at once to a place, an amend or a cancel."""

    order_id: str
    order_link_id: str = ""
    create_at: Ms = None


class Order(Struct, rename="camel"):
    """An order as the queries tell it."""

    order_id: str
    order_status: str
    order_link_id: str = ""
    symbol: str = ""
    side: str = ""
    order_type: str = ""
    qty: Amount = None
    price: Amount = None
    trigger_price: Amount = None
    trigger_direction: int | None = None
    base_price: Amount = None
    last_price_on_created: Amount = None
    stop_order_type: str | None = None
    market_unit: str | None = None
    time_in_force: str | None = None
    cum_exec_qty: Amount = None
    cum_exec_value: Amount = None
    reject_reason: str | None = None
    cancel_type: str | None = None
    created_time: Ms = None
    updated_time: Ms = None


class Execution(Struct, rename="camel"):
    """A row of `GET execution/list`."""

    exec_id: str
    order_id: str
    symbol: str
    side: str
    exec_price: Amount
    exec_qty: Amount
    exec_time: Ms
    order_link_id: str = ""
    exec_type: str = "Trade"
    exec_fee: Amount = None
    fee_currency: str | None = None
    is_maker: bool | None = None


class AccountFrame(Struct, rename="camel"):
    """A message of a private topic; its rows are read one by one."""

    creation_time: int
    data: list[dict[str, Any]]


class TradeEvent(Struct, gc=False):
    """One of the trades of `publicTrade.<symbol>`."""

    i: str
    T: int
    p: Amount
    v: Amount
    S: str


class Bar(Struct, gc=False):
    """One of the candles of `kline.<interval>.<symbol>`; `confirm` is whether it is closed."""

    start: int
    open: Amount
    high: Amount
    low: Amount
    close: Amount
    volume: Amount
    confirm: bool
    turnover: Amount = None


class BookChange(Struct, gc=False):
    """The data of `orderbook.<depth>.<symbol>`."""

    b: list[Cell]
    a: list[Cell]
    u: int
    seq: int | None = None
    s: str = ""


class BookFrame(Struct, gc=False):
    """A message of `orderbook.<depth>.<symbol>`; `cts` is the matching engine's clock."""

    topic: str
    type: Literal["snapshot", "delta"]
    data: BookChange
    ts: TimeMs | None = None
    cts: TimeMs | None = None


_book_frame = msgspec.json.Decoder(BookFrame)
_NUMBER = r'"[0-9]{1,20}+(?:\.[0-9]{1,20}+)?+"'
_ROWS = rf"\[(?:\[{_NUMBER},{_NUMBER}\],?+)*+\]"
_NO_LIST = r"[^\[]*+"
# Possessive: nothing is tried twice.
_LEVELS = re.compile(f'{_NO_LIST}(?<="b":){_ROWS},"a":{_ROWS}{_NO_LIST}')


def book_frame(text: str) -> BookFrame:
    """A message of a book, in one pass.

    Raises:
        MalformedMessage: it is none.
    """
    try:
        return _book_frame.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise malformed(str(error), text) from None


def is_plain(text: str) -> bool:
    """Whether all levels of a book message in its usual form are plain numbers: there are no other lists in it."""
    return _LEVELS.fullmatch(text) is not None


def pairs(cells: list[Cell]) -> list[Pair]:
    """Prices and quantities that have yet to be looked at."""
    return [(cell.price, cell.quantity) for cell in cells]
