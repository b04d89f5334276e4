"""From payloads to models: exact numbers, UTC times, the enums' UNKNOWN for words that we do not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from exconnect.errors import OrderRejected
from exconnect.exchanges.binance import wire
from exconnect.exchanges.binance.markets import NAME, unified_symbol
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
from exconnect.model.instrument import Instrument, Range, Rules
from exconnect.model.market import Book, Candle, Levels, Ticker, Trade
from exconnect.model.order import Fill, Order
from exconnect.model.values import ZERO, datetime_of, number, plain, quotient, total
from exconnect.protocol.call import Pool
from exconnect.protocol.exchange import KeyPermissions, Listing
from exconnect.protocol.payload import readable
from exconnect.protocol.session import BalancesChanged, BookUpdate, OrderChanged, Transferred
from exconnect.protocol.side import cells_of

E = TypeVar("E", bound=StrEnum)


def amount(value: wire.Amount) -> Decimal:
    """A number of the wire as a Decimal.

    Raises:
        MalformedMessage: no number.
    """
    if type(value) is str:
        return number(value)
    if isinstance(value, Decimal):  # a JSON number, as some recordings have them
        return number(plain(value))
    return number(str(value))


def optional(value: wire.Amount) -> Decimal | None:
    """The same, or None where there is none."""
    return None if value is None else amount(value)


def nonzero(value: wire.Amount) -> Decimal | None:
    """The same, where zero means that there is none."""
    return None if value is None else amount(value) or None


def _time(ms: int | None) -> datetime | None:
    return None if ms is None else datetime_of(ms)


def _member(kind: type[E], text: str) -> E:
    return kind.__members__.get(text) or kind["UNKNOWN"]


# ---- instruments and limits -----------------------------------------------------------------------------------------

_STATUSES = {
    "TRADING": InstrumentStatus.TRADING,
    "CANCEL_ONLY": InstrumentStatus.CANCEL_ONLY,
    **dict.fromkeys(("HALT", "BREAK", "END_OF_DAY"), InstrumentStatus.HALTED),
}
_TYPES = {
    "LIMIT_MAKER": OrderType.LIMIT,  # our post_only
    **{kind.name: kind for kind in OrderType if kind is not OrderType.UNKNOWN},
}


def listing(raw: Any) -> Listing:
    """`exchangeInfo`: the instruments that can be read, and the limits that it announces."""
    info = wire.read(wire.Listing, raw)
    return Listing(readable(instrument, info.symbols), pools(info.rate_limits))


def instrument(raw: Any) -> Instrument:
    """One symbol with all its filters."""
    symbol = wire.read(wire.Symbol, raw)
    filters = {each.filter_type: each for each in symbol.filters}
    none = wire.Filter("")
    price, lot = filters.get("PRICE_FILTER", none), filters.get("LOT_SIZE", none)
    least, most = _notional(filters)
    return Instrument(
        exchange=NAME,
        symbol=unified_symbol(symbol.base_asset, symbol.quote_asset),
        exchange_symbol=symbol.symbol,
        market=MarketType.SPOT,
        base=symbol.base_asset,
        quote=symbol.quote_asset,
        status=_status(symbol),
        tick_size=optional(price.tick_size) or ZERO,
        lot_size=optional(lot.step_size) or ZERO,
        min_quantity=optional(lot.min_qty) or ZERO,
        max_quantity=nonzero(lot.max_qty),
        market_max_quantity=nonzero(filters.get("MARKET_LOT_SIZE", none).max_qty),
        min_price=nonzero(price.min_price),
        max_price=nonzero(price.max_price),
        min_notional=least,
        max_notional=most,
        max_open_orders=filters.get("MAX_NUM_ORDERS", none).max_num_orders,
        order_types=frozenset(_TYPES[text] for text in symbol.order_types if text in _TYPES),
        rules=_rules(symbol, filters),
        raw=raw,
    )


def _status(symbol: wire.Symbol) -> InstrumentStatus:
    status = _STATUSES.get(symbol.status, InstrumentStatus.UNKNOWN)
    is_closed = status is InstrumentStatus.TRADING and not symbol.is_spot_trading_allowed
    return InstrumentStatus.HALTED if is_closed else status


def _notional(filters: dict[str, wire.Filter]) -> tuple[Decimal | None, Decimal | None]:
    """Least and greatest value of an order; a symbol may have the old filter, the new one or both."""
    floors = [nonzero(filters[name].min_notional) for name in ("MIN_NOTIONAL", "NOTIONAL") if name in filters]
    ceiling = nonzero(filters["NOTIONAL"].max_notional) if "NOTIONAL" in filters else None
    return max((x for x in floors if x is not None), default=None), ceiling


def _rules(symbol: wire.Symbol, filters: dict[str, wire.Filter]) -> Rules:
    none = wire.Filter("")
    market_lot, trailing = filters.get("MARKET_LOT_SIZE", none), filters.get("TRAILING_DELTA", none)
    bid_band, ask_band = _bands(filters)
    least, most = _market_notional(filters)
    modes = symbol.allowed_self_trade_prevention_modes
    return Rules(
        market_lot_size=nonzero(market_lot.step_size),
        market_min_quantity=nonzero(market_lot.min_qty),
        market_min_notional=least,
        market_max_notional=most,
        bid_band=bid_band,
        ask_band=ask_band,
        iceberg_parts=filters.get("ICEBERG_PARTS", none).limit,
        trailing_above_bps=_bounds(trailing.min_trailing_above_delta, trailing.max_trailing_above_delta),
        trailing_below_bps=_bounds(trailing.min_trailing_below_delta, trailing.max_trailing_below_delta),
        self_trade_preventions=None if modes is None else _preventions(modes),
        max_conditional_orders=filters.get("MAX_NUM_ALGO_ORDERS", none).max_num_algo_orders,
        max_iceberg_orders=filters.get("MAX_NUM_ICEBERG_ORDERS", none).max_num_iceberg_orders,
        max_amends=filters.get("MAX_NUM_ORDER_AMENDS", none).max_num_order_amends,
        max_position=nonzero(filters.get("MAX_POSITION", none).max_position),
        quote_quantity=symbol.quote_order_qty_market_allowed,
        iceberg=symbol.iceberg_allowed,
        trailing=symbol.allow_trailing_stop,
        amend=symbol.amend_allowed,
    )


def _preventions(modes: list[str]) -> frozenset[SelfTradePrevention]:
    """NONE is always possible; what we have no word for cannot be asked for."""
    known = {_member(SelfTradePrevention, mode) for mode in modes} - {SelfTradePrevention.UNKNOWN}
    return frozenset(known | {SelfTradePrevention.NONE})


def _bands(filters: dict[str, wire.Filter]) -> tuple[Range, Range]:
    sided, both = filters.get("PERCENT_PRICE_BY_SIDE"), filters.get("PERCENT_PRICE")
    if sided is not None:
        bids = nonzero(sided.bid_multiplier_down), nonzero(sided.bid_multiplier_up)
        return bids, (nonzero(sided.ask_multiplier_down), nonzero(sided.ask_multiplier_up))
    if both is None:
        return (None, None), (None, None)
    band = nonzero(both.multiplier_down), nonzero(both.multiplier_up)
    return band, band


def _market_notional(filters: dict[str, wire.Filter]) -> tuple[Decimal | None, Decimal | None]:
    old, new = filters.get("MIN_NOTIONAL"), filters.get("NOTIONAL")
    floors = [
        nonzero(old.min_notional) if old is not None and old.apply_to_market else None,
        nonzero(new.min_notional) if new is not None and new.apply_min_to_market else None,
    ]
    ceiling = nonzero(new.max_notional) if new is not None and new.apply_max_to_market else None
    return max((x for x in floors if x is not None), default=None), ceiling


def _bounds(low: int | None, high: int | None) -> tuple[int, int] | None:
    return None if low is None or high is None else (low, high)


_POOL_KINDS = {
    "REQUEST_WEIGHT": ("request_weight", "ip"),
    "RAW_REQUESTS": ("raw_requests", "ip"),
    "ORDERS": ("orders", "account"),
}
_SECONDS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}


def pools(limits: Sequence[wire.Limit]) -> tuple[Pool, ...]:
    """`rateLimits` as budgets; kinds and intervals that we do not know are left out."""
    return tuple(
        Pool(*_POOL_KINDS[each.rate_limit_type], each.limit, each.interval_num * _SECONDS[each.interval])
        for each in limits
        if each.rate_limit_type in _POOL_KINDS and each.interval in _SECONDS
    )


# ---- market data ----------------------------------------------------------------------------------------------------


def ticker(raw: Any, symbol: str) -> Ticker:
    """`ticker/24hr`."""
    row = wire.read(wire.Ticker, raw)
    return Ticker(
        exchange=NAME,
        symbol=symbol,
        time=_time(row.close_time),
        bid=nonzero(row.bid_price),
        bid_quantity=optional(row.bid_qty),
        ask=nonzero(row.ask_price),
        ask_quantity=optional(row.ask_qty),
        last=nonzero(row.last_price),
        open=nonzero(row.open_price),
        high=nonzero(row.high_price),
        low=nonzero(row.low_price),
        volume=optional(row.volume),
        quote_volume=optional(row.quote_volume),
        raw=raw,
    )


def ticker_event(raw: Any, symbol: str, received_at: datetime) -> Ticker:
    """A frame of `<symbol>@ticker`."""
    event = wire.read(wire.TickerEvent, raw)
    return Ticker(
        exchange=NAME,
        symbol=symbol,
        time=_time(event.E),
        received_at=received_at,
        bid=nonzero(event.b),
        bid_quantity=optional(event.B),
        ask=nonzero(event.a),
        ask_quantity=optional(event.A),
        last=nonzero(event.c),
        open=nonzero(event.o),
        high=nonzero(event.h),
        low=nonzero(event.l),
        volume=optional(event.v),
        quote_volume=optional(event.q),
        raw=raw,
    )


def book(raw: Any, symbol: str) -> Book:
    """`depth` as a book to look at."""
    row = wire.read(wire.Book, raw)
    return Book(
        exchange=NAME,
        symbol=symbol,
        bids=Levels(cells_of(_pairs(row.bids))),
        asks=Levels(cells_of(_pairs(row.asks))),
        sequence=row.last_update_id,
        raw=raw,
    )


def _pairs(rows: list[list[Any]]) -> list[wire.Pair]:
    """Price and quantity of each level; what recordings of 2017 have behind them is dropped."""
    if any(len(row) < 2 or type(row[0]) is not str or type(row[1]) is not str for row in rows):
        raise wire.malformed("a level is no price and quantity", repr(rows))
    return [(row[0], row[1]) for row in rows]


def snapshot(raw: Any, symbol: str) -> BookUpdate:
    """`depth` as the ground that updates build upon."""
    row = wire.read(wire.Book, raw)
    return BookUpdate(
        symbol=symbol,
        first_id=row.last_update_id,
        last_id=row.last_update_id,
        bids=_pairs(row.bids),
        asks=_pairs(row.asks),
        time_ms=None,
        received_at=None,
        is_snapshot=True,
        raw=raw,
    )


def depth_event(raw: Any, symbol: str, received_at: datetime) -> BookUpdate:
    """A frame of `<symbol>@depth@100ms`, whatever the form of its levels."""
    event = wire.read(wire.LooseDepthEvent, raw)
    return BookUpdate(symbol, event.U, event.u, _pairs(event.b), _pairs(event.a), event.E, received_at, raw=raw)


def trade(raw: Any, symbol: str) -> Trade:
    """A row of `trades` or `historicalTrades`."""
    row = wire.read(wire.Trade, raw)
    return Trade(
        exchange=NAME,
        symbol=symbol,
        id=str(row.id),
        price=amount(row.price),
        quantity=amount(row.qty),
        side=Side.SELL if row.is_buyer_maker else Side.BUY,
        time=datetime_of(row.time),
        raw=raw,
    )


def trade_event(raw: Any, symbol: str, received_at: datetime) -> Trade:
    """A frame of `<symbol>@trade`; if the buyer was the maker, the taker sold."""
    event = wire.read(wire.TradeEvent, raw)
    return Trade(
        exchange=NAME,
        symbol=symbol,
        id=str(event.t),
        price=number(event.p),
        quantity=number(event.q),
        side=Side.SELL if event.m else Side.BUY,
        time=datetime_of(event.T),
        received_at=received_at,
        raw=raw,
    )


def first_trade_id(raw: Any) -> str | None:
    """Id of the first single trade in the first row of `aggTrades`."""
    rows = wire.read(list[wire.AggregateTrade], raw)
    return str(rows[0].f) if rows else None


def candle(raw: Any, symbol: str, interval: str, at: int) -> Candle:
    """A row of `klines`; it is closed if its (inclusive) close time lies before `at`, the exchange's clock in ms."""
    row = wire.read(wire.Kline, raw)
    return Candle(
        exchange=NAME,
        symbol=symbol,
        interval=interval,
        open_time=datetime_of(row.open_time),
        open=amount(row.open),
        high=amount(row.high),
        low=amount(row.low),
        close=amount(row.close),
        volume=amount(row.volume),
        is_closed=row.close_time < at,
        quote_volume=optional(row.quote_volume),
        trades=row.trades,
        raw=raw,
    )


def kline_event(raw: Any, symbol: str, received_at: datetime) -> Candle:
    """A frame of `<symbol>@kline_<interval>`."""
    event = wire.read(wire.KlineEvent, raw)
    bar = event.k
    return Candle(
        exchange=NAME,
        symbol=symbol,
        interval=bar.i,
        open_time=datetime_of(bar.t),
        open=amount(bar.o),
        high=amount(bar.h),
        low=amount(bar.l),
        close=amount(bar.c),
        volume=amount(bar.v),
        is_closed=bar.x,
        quote_volume=optional(bar.q),
        trades=bar.n,
        time=_time(event.E),
        received_at=received_at,
        raw=raw,
    )


# ---- account --------------------------------------------------------------------------------------------------------


def balances(raw: Any) -> Balances:
    """`account`: what is held; assets with nothing in them are left out."""
    found: dict[str, Balance] = {}
    for row in wire.read(wire.Account, raw).balances:
        asset = wire.read(wire.Asset, row)
        balance = Balance(
            exchange=NAME, asset=asset.asset, free=amount(asset.free), locked=amount(asset.locked), raw=row
        )
        if balance.total:
            found[balance.asset] = balance
    return Balances(NAME, found)


def permissions(raw: Any) -> KeyPermissions:
    """`account`: what the account behind the key may do."""
    account = wire.read(wire.Account, raw)
    words = [account.account_type, *account.permissions]
    return KeyPermissions(account.can_trade, account.can_withdraw, " ".join(dict.fromkeys(filter(None, words))))


def fees(raw: Any, symbol: str) -> Fees:
    """`account/commission`: standard, special and tax rate added up, for maker and taker.

    Not in it: the rates for buyer or seller alone (zero as a rule) and the discount for paying in another asset;
    both are in `.raw`.
    """
    rates = wire.read(wire.Commission, raw)
    parts = (rates.standard_commission, rates.special_commission, rates.tax_commission)
    maker = total(amount(part.maker) for part in parts)
    return Fees(exchange=NAME, symbol=symbol, maker=maker, taker=total(amount(part.taker) for part in parts), raw=raw)


# ---- orders ---------------------------------------------------------------------------------------------------------

_ORDER_STATUSES = {
    "PENDING_NEW": OrderStatus.UNTRIGGERED,  # a leg of an order list that waits for another one
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,  # self-trade prevention
    "REJECTED": OrderStatus.REJECTED,
}


def order(raw: Any, symbol: str, *, replaces: str | None = None) -> Order:
    """An order as place, cancel and the queries tell it. A cancel's answer names the order by its own id."""
    row = wire.read(wire.Order, raw)
    return _order(row, raw, symbol, client_order_id=row.orig_client_order_id or row.client_order_id, replaces=replaces)


def amended(raw: Any, symbol: str) -> Order:
    """The order in the answer to an amend that kept its priority."""
    amendment = wire.read(wire.Amendment, raw)
    row = wire.read(wire.Order, amendment.amended_order)
    row.transact_time, row.orig_client_order_id = amendment.transact_time, row.client_order_id
    return _order(row, raw, symbol, client_order_id=row.client_order_id, replaces=None)


def replaced(raw: Any, symbol: str, replaces: str) -> Order:
    """The new order in the answer to a cancel-replace that did both."""
    halves = wire.read(wire.Replacement, raw)
    return order(halves.new_order_response, symbol, replaces=replaces)


def canceled(raw: Any, symbol: str) -> list[Order]:
    """The answer to a cancel-all: orders, and order lists with their orders in `orderReports`."""
    found: list[Order] = []
    for row in wire.read(list[dict[str, Any]], raw):
        found += [order(each, symbol) for each in row.get("orderReports", (row,))]
    return found


def _order(row: wire.Order, raw: Any, symbol: str, *, client_order_id: str, replaces: str | None) -> Order:
    kind = _TYPES.get(row.type, OrderType.UNKNOWN)
    filled = optional(row.executed_qty) or ZERO
    paid = _paid(row)
    fills = _fills(row, symbol, client_order_id)
    quote_quantity = nonzero(row.orig_quote_order_qty) or nonzero(row.quote_order_qty)
    quantity = nonzero(row.orig_qty) or nonzero(row.qty)
    is_cancel = bool(row.orig_client_order_id)
    created = row.time if row.time is not None or is_cancel else row.transact_time
    status = _order_status(row, kind, filled)
    return Order(
        exchange=NAME,
        client_order_id=client_order_id,
        order_id=str(row.order_id),
        symbol=symbol,
        side=_member(Side, row.side),
        type=kind,
        status=status,
        status_text=row.status,
        quantity=None if quote_quantity is not None else quantity,
        quote_quantity=quote_quantity,
        price=nonzero(row.price) if kind.has_price else None,
        stop_price=nonzero(row.stop_price),
        time_in_force=_member(TimeInForce, row.time_in_force) if kind.has_price and row.time_in_force else None,
        post_only=row.type == "LIMIT_MAKER",
        filled_quantity=filled,
        filled_quote=paid or ZERO,
        average_price=quotient(paid, filled) if paid and filled else None,
        fills=fills,
        fills_complete=total(fill.quantity for fill in fills) == filled,
        created_at=_time(created),
        updated_at=_time(row.update_time if row.update_time is not None else row.transact_time),
        replaces=replaces,
        rejection=_rejection(row, symbol, client_order_id) if status is OrderStatus.REJECTED else None,
        source=Source.REST,
        raw=raw,
    )


def _paid(row: wire.Order) -> Decimal | None:
    """What was paid or received in quote asset; orders of old days have a negative number for "not known"."""
    paid = row.cummulative_quote_qty if row.cummulative_quote_qty is not None else row.cumulative_quote_qty
    found = optional(paid)
    return None if found is None or found < 0 else found


def _order_status(row: wire.Order, kind: OrderType, filled: Decimal) -> OrderStatus:
    """A word that we do not know leaves the order open, as far along as its fills say."""
    if row.status is None:
        return OrderStatus.ACCEPTED
    known = _ORDER_STATUSES.get(row.status)
    if known is not None:
        return known
    if filled:
        return OrderStatus.PARTIALLY_FILLED
    is_waiting = kind.is_conditional and not _is_working(row)
    return OrderStatus.UNTRIGGERED if is_waiting else OrderStatus.NEW


def _is_working(row: wire.Order) -> bool:
    if row.is_working is not None:
        return row.is_working and row.working_time != -1
    return row.working_time is not None and row.working_time != -1


def _rejection(row: wire.Order, symbol: str, client_order_id: str) -> OrderRejected:
    details = {"exchange": NAME, "symbol": symbol, "client_order_id": client_order_id, "code": row.expiry_reason}
    reason = f" ({row.expiry_reason})" if row.expiry_reason else ""
    return OrderRejected(f"the exchange refused the order when it was to enter the book{reason}", details)


def _fills(row: wire.Order, symbol: str, client_order_id: str) -> tuple[Fill, ...]:
    """Fills of an order that was answered with FULL: it took, so it was never the maker."""
    found = []
    for raw in row.fills:
        fill = wire.read(wire.OrderFill, raw)
        if fill.price is None or fill.qty is None:
            continue
        found.append(
            Fill(
                exchange=NAME,
                id=str(fill.trade_id),
                order_id=str(row.order_id),
                client_order_id=client_order_id,
                symbol=symbol,
                side=_member(Side, row.side),
                price=amount(fill.price),
                quantity=amount(fill.qty),
                fee=optional(fill.commission),
                fee_asset=fill.commission_asset,
                is_maker=False,
                time=_time(row.transact_time),
                raw=raw,
            )
        )
    return tuple(found)


def fill(raw: Any, symbol: str) -> Fill:
    """A row of `myTrades`."""
    row = wire.read(wire.Fill, raw)
    return Fill(
        exchange=NAME,
        id=str(row.id),
        order_id=str(row.order_id),
        symbol=symbol,
        side=Side.BUY if row.is_buyer else Side.SELL,
        price=amount(row.price),
        quantity=amount(row.qty),
        fee=optional(row.commission),
        fee_asset=row.commission_asset,
        is_maker=row.is_maker,
        time=datetime_of(row.time),
        raw=raw,
    )


# ---- user data ------------------------------------------------------------------------------------------------------


def execution_report(raw: Any, received_at: datetime) -> OrderChanged:
    """A step in the life of an order. A cancel's names the order by its own id, as the answer to one does."""
    event = wire.read(wire.ExecutionReport, raw)
    client_order_id = event.C or event.c
    row = wire.Order(
        order_id=event.i,
        client_order_id=client_order_id,
        price=event.p,
        orig_qty=event.q,
        executed_qty=event.z,
        quote_order_qty=event.Q,
        cummulative_quote_qty=event.Z,
        status=event.X,
        time_in_force=event.f,
        type=event.o,
        side=event.S,
        stop_price=event.P,
        is_working=event.w,
        working_time=event.W,
        time=event.O,
        update_time=event.T,
        expiry_reason=event.eR or event.r,
    )
    told = _order(row, raw, event.s, client_order_id=client_order_id, replaces=None)
    executed = _executed(event, raw, client_order_id, received_at)
    return OrderChanged(replace(told, source=Source.STREAM, fills_complete=not told.filled_quantity), executed)


def _executed(event: wire.ExecutionReport, raw: Any, client_order_id: str, received_at: datetime) -> Fill | None:
    quantity = nonzero(event.l)
    if event.x != "TRADE" or quantity is None:
        return None
    return Fill(
        exchange=NAME,
        id=str(event.t) if event.t >= 0 else f"a{event.a}",
        order_id=str(event.i),
        client_order_id=client_order_id,
        symbol=event.s,
        side=_member(Side, event.S),
        price=amount(event.L),
        quantity=quantity,
        fee=optional(event.n),
        fee_asset=event.N,
        is_maker=event.m,
        source=Source.STREAM,
        time=datetime_of(event.T),
        received_at=received_at,
        raw=raw,
    )


def account_position(raw: Any) -> BalancesChanged:
    """Assets that may have changed, as they are now."""
    event = wire.read(wire.AccountPosition, raw)
    found = []
    for row in event.B:
        asset = wire.read(wire.Position, row)
        found.append(Balance(exchange=NAME, asset=asset.a, free=amount(asset.f), locked=amount(asset.l), raw=row))
    return BalancesChanged(found, event.u)


def balance_update(raw: Any) -> Transferred:
    """What came or went without a trade; `outboundAccountPosition` follows with what there is now."""
    event = wire.read(wire.BalanceUpdate, raw)
    return Transferred(event.a, amount(event.d), event.T)
