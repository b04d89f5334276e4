"""From payloads to models: exact numbers, UTC times, the enums' UNKNOWN for words that we do not know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from exconnect.exchanges.bybit import errors, wire
from exconnect.exchanges.bybit.markets import NAME, unified_symbol
from exconnect.model.account import Balance, Balances, Fees
from exconnect.model.enums import (
    InstrumentStatus,
    MarketType,
    OrderStatus,
    OrderType,
    SelfTradePrevention,
    Side,
    Source,
    TimeInForce,
)
from exconnect.model.instrument import Instrument, Rules
from exconnect.model.market import Book, Candle, Levels, Ticker, Trade, after
from exconnect.model.order import Fill, Order
from exconnect.model.values import EXACT, ZERO, datetime_of, number, number_e, plain, quotient, total
from exconnect.protocol.call import Failure
from exconnect.protocol.exchange import KeyPermissions, Listing
from exconnect.protocol.payload import readable
from exconnect.protocol.session import BalancesChanged, BookUpdate, OrderChanged
from exconnect.protocol.side import cells_of

T = TypeVar("T")

_ONE = Decimal(1)


def amount(value: wire.Amount) -> Decimal:
    """A number of the wire as a Decimal.

    Raises:
        MalformedMessage: no number.
    """
    if type(value) is str:
        return number(value)
    return number(plain(value) if isinstance(value, Decimal) else str(value))


def optional(value: wire.Amount) -> Decimal | None:
    """The same, or None where there is none: the exchange writes that as an empty text, too."""
    return None if value is None or value == "" else amount(value)


def nonzero(value: wire.Amount) -> Decimal | None:
    """The same, where zero means that there is none."""
    return optional(value) or None


def _of_candle(value: wire.Amount) -> Decimal:
    return number_e(value) if type(value) is str else amount(value)  # volumes have come with exponents


def ms(value: wire.Ms) -> int | None:
    """Milliseconds as text or integer; None where there are none."""
    if value in (None, "", "0", 0):
        return None
    if type(value) is int:
        return value
    if type(value) is not str or not (value.isascii() and value.isdigit() and len(value) < 18):
        raise wire.malformed("no time", repr(value))
    return int(value)


def _time(value: wire.Ms) -> datetime | None:
    at = ms(value)
    return None if at is None else datetime_of(at)


_SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}


def _side(text: str) -> Side:
    return _SIDES.get(text, Side.UNKNOWN)


# ---- instruments ----------------------------------------------------------------------------------------------------

_STATUSES = {
    **dict.fromkeys(("Trading", "1"), InstrumentStatus.TRADING),  # a number in recordings of 2023
    **dict.fromkeys(("PreLaunch", "Delivering", "Closed"), InstrumentStatus.HALTED),
}
_MOST_OPEN, _MOST_CONDITIONAL = 500, 30
PREVENTIONS = {
    SelfTradePrevention.NONE: "None",
    SelfTradePrevention.EXPIRE_TAKER: "CancelTaker",
    SelfTradePrevention.EXPIRE_MAKER: "CancelMaker",
    SelfTradePrevention.EXPIRE_BOTH: "CancelBoth",
}


def listing(result: Any, wanted: frozenset[str]) -> Listing:
    """`instruments-info`: those wanted, or (none wanted) all that can be read."""
    found = readable(instrument, wire.read(wire.Rows, result).rows)
    return Listing(tuple(each for each in found if not wanted or each.exchange_symbol in wanted))


def instrument(raw: Any) -> Instrument:
    """One symbol. Its least quantity is one step: what the listing calls the least is not checked any more."""
    row = wire.read(wire.Instrument, raw)
    lot, ratio = row.lot_size_filter, optional(row.risk_parameters.price_limit_ratio_y)
    step, least = optional(lot.base_precision) or ZERO, nonzero(lot.min_order_amt)
    return Instrument(
        exchange=NAME,
        symbol=unified_symbol(row.base_coin, row.quote_coin),
        exchange_symbol=row.symbol,
        market=MarketType.SPOT,
        base=row.base_coin,
        quote=row.quote_coin,
        status=_STATUSES.get(row.status, InstrumentStatus.UNKNOWN),
        tick_size=optional(row.price_filter.tick_size) or ZERO,
        lot_size=step,
        min_quantity=step,
        max_quantity=nonzero(lot.max_limit_order_qty) or nonzero(lot.max_order_qty),
        market_max_quantity=nonzero(lot.max_market_order_qty),
        min_notional=least,
        max_open_orders=_MOST_OPEN,
        order_types=frozenset(OrderType) - {OrderType.UNKNOWN},
        rules=Rules(
            market_min_notional=least,
            bid_band=(None, None if ratio is None else EXACT.add(_ONE, ratio)),
            ask_band=(None if ratio is None else EXACT.subtract(_ONE, ratio), None),
            self_trade_preventions=frozenset(PREVENTIONS),
            max_conditional_orders=_MOST_CONDITIONAL,
            iceberg=False,
            trailing=False,
        ),
        raw=raw,
    )


# ---- market data ----------------------------------------------------------------------------------------------------


def ticker(raw: Any, symbol: str, time_ms: int | None, received_at: datetime | None = None) -> Ticker:
    """A row of `tickers`, or the data of a ticker message, which has no best prices."""
    row = wire.read(wire.Ticker, raw)
    return Ticker(
        exchange=NAME,
        symbol=symbol,
        time=_time(time_ms),
        received_at=received_at,
        bid=nonzero(row.bid1_price),
        bid_quantity=optional(row.bid1_size),
        ask=nonzero(row.ask1_price),
        ask_quantity=optional(row.ask1_size),
        last=nonzero(row.last_price),
        open=nonzero(row.prev_price_24h),
        high=nonzero(row.high_price_24h),
        low=nonzero(row.low_price_24h),
        volume=optional(row.volume_24h),
        quote_volume=optional(row.turnover_24h),
        raw=raw,
    )


def book(raw: Any, symbol: str) -> Book:
    """`orderbook` as a book to look at."""
    row = wire.read(wire.Book, raw)
    return Book(
        exchange=NAME,
        symbol=symbol,
        bids=Levels(cells_of(row.b)),
        asks=Levels(cells_of(row.a)),
        sequence=row.u,
        time=_time(row.ts),
        raw=raw,
    )


def snapshot(raw: Any, symbol: str) -> BookUpdate:
    """`orderbook` as an update: the ids are those of the topic with 1000 levels."""
    row = wire.read(wire.Book, raw)
    return BookUpdate(symbol, row.u, row.u, row.b, row.a, row.ts, None, is_snapshot=True, raw=raw)


def trade(raw: Any, symbol: str) -> Trade:
    """A row of `recent-trade`."""
    row = wire.read(wire.Trade, raw)
    return Trade(
        exchange=NAME,
        symbol=symbol,
        id=row.exec_id,
        price=amount(row.price),
        quantity=amount(row.size),
        side=_side(row.side),
        time=_time(row.time),
        raw=raw,
    )


def trade_event(raw: Any, symbol: str, received_at: datetime) -> Trade:
    """One of the trades in a message of `publicTrade`."""
    event = wire.read(wire.TradeEvent, raw)
    return Trade(
        exchange=NAME,
        symbol=symbol,
        id=event.i,
        price=amount(event.p),
        quantity=amount(event.v),
        side=_side(event.S),
        time=datetime_of(event.T),
        received_at=received_at,
        raw=raw,
    )


def candle(raw: Any, symbol: str, interval: str, at: datetime) -> Candle:
    """A row of `kline`; it is closed once the next one has begun by the exchange's clock."""
    row = wire.read(wire.Kline, raw)
    begin = datetime_of(ms(row.start) or 0)
    return _candle(row, raw, symbol, interval, begin, is_closed=after(begin, interval) <= at)


def kline_event(raw: Any, symbol: str, interval: str, time_ms: int | None, received_at: datetime) -> Candle:
    """One of the candles in a message of `kline`."""
    bar = wire.read(wire.Bar, raw)
    made = _candle(bar, raw, symbol, interval, datetime_of(bar.start), is_closed=bar.confirm)
    return replace(made, time=_time(time_ms), received_at=received_at)


def _candle(
    row: wire.Kline | wire.Bar, raw: Any, symbol: str, interval: str, begin: datetime, *, is_closed: bool
) -> Candle:
    return Candle(
        exchange=NAME,
        symbol=symbol,
        interval=interval,
        open_time=begin,
        open=_of_candle(row.open),
        high=_of_candle(row.high),
        low=_of_candle(row.low),
        close=_of_candle(row.close),
        volume=_of_candle(row.volume),
        is_closed=is_closed,
        quote_volume=None if row.turnover in (None, "") else _of_candle(row.turnover),
        raw=raw,
    )


# ---- account --------------------------------------------------------------------------------------------------------


def balances(result: Any) -> Balances:
    """`wallet-balance`: what is held; coins with nothing in them are left out."""
    found = _coins(wire.read(wire.Rows, result).rows)
    held = (each for each in found if each.locked or nonzero(each.raw.get("walletBalance")))
    return Balances(NAME, {balance.asset: balance for balance in held})


def wallet_event(rows: Sequence[Any], time_ms: int) -> BalancesChanged:
    """A message of `wallet`: the coins that have changed, those with nothing left in them too."""
    return BalancesChanged(_coins(rows), time_ms)


def _coins(wallets: Sequence[Any]) -> list[Balance]:
    """Free is what is neither borrowed, locked in orders nor a bonus; the exchange has no ready field for it."""
    found: list[Balance] = []
    for wallet in wallets:
        for raw in wire.read(wire.Wallet, wallet).coin:
            row = wire.read(wire.Coin, raw)
            held, locked = optional(row.wallet_balance) or ZERO, optional(row.locked) or ZERO
            used = total((locked, optional(row.spot_borrow) or ZERO, optional(row.bonus) or ZERO))
            free = EXACT.subtract(held, used)
            found.append(Balance(exchange=NAME, asset=row.coin, free=max(free, ZERO), locked=locked, raw=raw))
    return found


def fees(result: Any, instrument: Instrument) -> Fees:
    """`fee-rate`: the row of this symbol."""
    for raw in wire.read(wire.Rows, result).rows:
        row = wire.read(wire.FeeRate, raw)
        if row.symbol == instrument.exchange_symbol:
            return Fees(
                exchange=NAME,
                symbol=instrument.symbol,
                maker=amount(row.maker_fee_rate),
                taker=amount(row.taker_fee_rate),
                raw=raw,
            )
    raise wire.malformed("no fees for this symbol", repr(result))


def permissions(result: Any) -> KeyPermissions:
    """`query-api`: what the key may do."""
    key = wire.read(wire.KeyInfo, result)
    may = {name: words for name, words in key.permissions.items() if isinstance(words, list) and words}
    return KeyPermissions(
        can_trade=key.read_only == 0 and "SpotTrade" in may.get("Spot", ()),
        can_withdraw="Withdraw" in may.get("Wallet", ()),
        details=" ".join(sorted(may)),
    )


# ---- orders ---------------------------------------------------------------------------------------------------------

_ORDER_STATUSES = {
    "Created": OrderStatus.ACCEPTED,
    "Untriggered": OrderStatus.UNTRIGGERED,
    "Triggered": OrderStatus.UNTRIGGERED,  # for a moment, on its way into the book
    **dict.fromkeys(("New", "Active"), OrderStatus.NEW),
    "PartiallyFilled": OrderStatus.PARTIALLY_FILLED,
    "Filled": OrderStatus.FILLED,
    **dict.fromkeys(("Cancelled", "PartiallyFilledCanceled", "Deactivated", "Rejected"), OrderStatus.CANCELED),
}
_EXPIRED = frozenset(
    {
        "EC_NoImmediateQtyToFill",
        "EC_NoEnoughQtyToFill",
        "EC_CancelForNoFullFill",
        "EC_BySelfMatch",
        "EC_StopBySelfMatch",
    }
)  # the order itself had asked for this end
_TIMES = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
_MAKERS = frozenset({"PostOnly", "RPI"})


def acknowledged(raw: Any, symbol: str, time_ms: int | None) -> Order:
    """The two ids that a place is answered with: the exchange has the order and has not judged it yet."""
    ack = wire.read(wire.Ack, raw)
    at = _time(ack.create_at) or _time(time_ms)
    return Order(
        exchange=NAME,
        client_order_id=ack.order_link_id,
        order_id=ack.order_id,
        symbol=symbol,
        side=Side.UNKNOWN,
        type=OrderType.UNKNOWN,
        status=OrderStatus.ACCEPTED,
        updated_at=at,
        source=Source.REST,
        raw=raw,
    )


def order_event(raw: Any) -> OrderChanged:
    """A row of `order`; which fill did it is said elsewhere."""
    return OrderChanged(replace(order(raw), source=Source.STREAM))


def order(raw: Any, symbol: str = "") -> Order:
    """An order as the queries and the stream tell it; without `symbol` it keeps the exchange's."""
    row = wire.read(wire.Order, raw)
    kind, filled, paid = _kind(row), optional(row.cum_exec_qty) or ZERO, optional(row.cum_exec_value) or ZERO
    is_quote, quantity = _is_in_quote(row), nonzero(row.qty)
    status = _order_status(row, filled)
    return Order(
        exchange=NAME,
        client_order_id=row.order_link_id,
        order_id=row.order_id,
        symbol=symbol or row.symbol,
        side=_side(row.side),
        type=kind,
        status=status,
        status_text=row.order_status,
        quantity=None if is_quote else quantity,
        quote_quantity=quantity if is_quote else None,
        price=nonzero(row.price) if kind.has_price else None,  # that of a market order only protects it
        stop_price=nonzero(row.trigger_price),
        time_in_force=_time_in_force(row) if kind.has_price else None,
        post_only=row.time_in_force in _MAKERS,
        filled_quantity=filled,
        filled_quote=paid,
        average_price=quotient(paid, filled) if paid and filled else None,
        fills_complete=not filled,
        created_at=_time(row.created_time),
        updated_at=_time(row.updated_time) or _time(row.created_time),
        rejection=errors.rejection(row, symbol or row.symbol) if status is OrderStatus.REJECTED else None,
        source=Source.REST,
        raw=raw,
    )


def _is_in_quote(row: wire.Order) -> bool:
    """Whether the quantity counts quote asset: a market order may say so, and one to buy means it by default."""
    if row.order_type != "Market":
        return False
    return row.market_unit == "quoteCoin" if row.market_unit else row.side == "Buy"


def _time_in_force(row: wire.Order) -> TimeInForce | None:
    if row.time_in_force in _MAKERS:
        return TimeInForce.GTC
    return _TIMES.get(row.time_in_force, TimeInForce.UNKNOWN) if row.time_in_force else None


def _kind(row: wire.Order) -> OrderType:
    """The exchange knows limit, market and a trigger; what the trigger is for follows from where it lies."""
    if row.order_type not in {"Limit", "Market"}:
        return OrderType.UNKNOWN
    is_limit = row.order_type == "Limit"
    if nonzero(row.trigger_price) is None:
        return OrderType.LIMIT if is_limit else OrderType.MARKET
    if _takes_profit(row):
        return OrderType.TAKE_PROFIT_LIMIT if is_limit else OrderType.TAKE_PROFIT
    return OrderType.STOP_LOSS_LIMIT if is_limit else OrderType.STOP_LOSS


_RISES, _FALLS = 1, 2


def _takes_profit(row: wire.Order) -> bool:
    if row.stop_order_type in {"TakeProfit", "PartialTakeProfit"}:
        return True
    if row.trigger_direction in {_RISES, _FALLS}:
        return (row.trigger_direction == _RISES) == (row.side == "Sell")
    base = nonzero(row.base_price) or nonzero(row.last_price_on_created)
    if base is None:
        return False
    return (amount(row.trigger_price) > base) == (row.side == "Sell")


def _order_status(row: wire.Order, filled: Decimal) -> OrderStatus:
    """One word for one fate on every exchange; a word that we do not know leaves the order open."""
    known = _ORDER_STATUSES.get(row.order_status)
    if known is None:
        return OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.NEW
    if known is not OrderStatus.CANCELED:
        return known
    if row.reject_reason in _EXPIRED or row.cancel_type == "CancelBySmp":
        return OrderStatus.EXPIRED
    is_refused = row.order_status == "Rejected" or errors.is_refusal(row)
    return OrderStatus.REJECTED if is_refused and not filled else OrderStatus.CANCELED


# What is no trade, though it comes among the executions. A word that we do not know counts as one: a fill that is told
# of for nothing does less harm than one that is lost.
_NO_TRADES = frozenset({"Funding", "CorporateAction"})


def is_trade(raw: Any) -> bool:
    """Whether an execution is a fill of an order."""
    return wire.read(wire.Execution, raw).exec_type not in _NO_TRADES


def fill_event(raw: Any, received_at: datetime) -> OrderChanged:
    """A row of `execution`: a fill, and no more of its order than which one it is."""
    row = wire.read(wire.Execution, raw)
    made = replace(fill(raw, row.symbol), source=Source.STREAM, received_at=received_at)
    known = Order(
        exchange=NAME,
        client_order_id=row.order_link_id,
        order_id=row.order_id,
        symbol=row.symbol,
        side=made.side,
        type=OrderType.UNKNOWN,
        status=OrderStatus.ACCEPTED,
        updated_at=made.time,
        source=Source.STREAM,
        raw=raw,
    )
    return OrderChanged(known, made)


def fill(raw: Any, symbol: str) -> Fill:
    """A row of `execution/list`, or of `execution`."""
    row = wire.read(wire.Execution, raw)
    return Fill(
        exchange=NAME,
        id=row.exec_id,
        order_id=row.order_id,
        client_order_id=row.order_link_id or None,
        symbol=symbol,
        side=_side(row.side),
        price=amount(row.exec_price),
        quantity=amount(row.exec_qty),
        fee=optional(row.exec_fee),
        fee_asset=row.fee_currency or _fee_asset(row, symbol),
        is_maker=row.is_maker,
        time=_time(row.exec_time),
        raw=raw,
    )


def _fee_asset(row: wire.Execution, symbol: str) -> str | None:
    """What a fee is taken in where nothing is said of it: what was received; what a maker is given, is of the other."""
    fee, (base, _, quote) = optional(row.exec_fee), symbol.partition("/")
    if fee is None or not quote:
        return None
    is_rebate = fee < 0 and row.is_maker is True
    return base if (row.side == "Buy") is not is_rebate else quote


def canceled(result: Any, symbol: str) -> list[Order]:
    """Orders that a cancel-all names; what becomes of them is not said."""
    rows = result.get("list") if isinstance(result, dict) else None
    return [acknowledged(row, symbol, None) for row in rows or () if isinstance(row, dict) and row.get("orderId")]


Made = Callable[[Any, str, "int | None"], T]  # a row, whose it is, when the answer was made


def outcomes(reply: wire.Reply, names: Sequence[str], made: Made[T]) -> list[T | Failure]:
    """What became of each item of a batch, told by the name that the answer gives it.

    The answer may be in another order, or not speak of all items. One that it does not name is told by its place, and
    only if the rest proves that the places are right: what is said of one order must never be believed of another.
    """
    rows = wire.read(wire.Rows, reply.result).rows
    codes = wire.read(wire.Outcomes, reply.ret_ext_info or {}).rows
    given = [wire.read(wire.Ack, row).order_link_id for row in rows]
    is_whole = len(rows) == len(codes) == len(names)
    is_in_place = is_whole and all(name in ("", own) for name, own in zip(given, names, strict=True))
    found: dict[str, T | Failure] = {}
    for place, (row, outcome) in enumerate(zip(rows, codes, strict=False)):
        name = given[place] or (names[place] if is_in_place else "")
        if name in names:
            found[name] = made(row, name, reply.time) if outcome.code == 0 else errors.of_item(outcome)
    return [found[name] if name in found else errors.untold() for name in names]
