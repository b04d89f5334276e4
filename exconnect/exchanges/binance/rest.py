"""Every REST call, as values: path, parameters, price, and how to read the answer.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api

The module is the object that the engine holds (`protocol.exchange.Rest`). Times are ms, `start` in, `end` out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from exconnect.errors import InvalidArgument, NotSupported
from exconnect.exchanges.binance import parse
from exconnect.exchanges.binance.markets import MARKETS, NAME, SPOT
from exconnect.exchanges.binance.wire import ServerTime, loads, read
from exconnect.model.account import Balances, Fees
from exconnect.model.enums import Capability, OrderType
from exconnect.model.instrument import Instrument
from exconnect.model.market import Book, Candle, Ticker, Trade
from exconnect.model.order import AmendOrder, Fill, Order, PlaceOrder
from exconnect.protocol.call import Call, Cost, Lane, Replay, Request, Response, Security, Value, params_of
from exconnect.protocol.exchange import KeyPermissions, Listing, Lookup
from exconnect.protocol.pages import Mark, Page, Where, mark_candle, mark_item, mark_order
from exconnect.protocol.session import BookUpdate

T = TypeVar("T")

PAGE: Mapping[str, int] = {"trades": 1000, "candles": 1000, "orders": 1000, "fills": 1000}

_RAW = Cost("raw_requests")
_DAY_MS = 86_400_000
_WHOLE_LISTING = 64 * 1024 * 1024  # bytes; thousands of symbols with their filters
_MOST_NAMED = 100  # tickers beyond this cost as much as all of them


def _call(
    operation: str,
    method: str,
    path: str,
    params: Iterable[tuple[str, Value]],
    decode: Callable[[Any], T],
    *,
    weight: int,
    lane: Lane = Lane.MARKET,
    replay: Replay = Replay.SAFE,
    security: Security = Security.PUBLIC,
    refunded: bool = False,
    orders: int = 0,
    symbol: str | None = None,
    client_order_id: str | None = None,
    max_body: int = 8 * 1024 * 1024,
) -> Call[T]:
    costs = [Cost("request_weight", weight, refunded), _RAW]
    if orders:
        costs.append(Cost("orders", orders))
    return Call(
        operation=operation,
        request=Request(method, path, params_of(params)),
        decode=lambda response: decode(loads(response.body)),
        costs=tuple(costs),
        lane=lane,
        replay=replay,
        security=security,
        symbol=symbol,
        client_order_id=client_order_id,
        max_body=max_body,
    )


def _path(instrument: Instrument, rest: str) -> str:
    return f"{MARKETS[instrument.market].prefix}/{rest}"


def _named(exchange_symbols: Sequence[str]) -> tuple[str, str] | None:
    """The parameter for one or several symbols; None for all."""
    if not exchange_symbols:
        return None
    if len(exchange_symbols) == 1:
        return "symbol", exchange_symbols[0]
    return "symbols", msgspec.json.encode(list(exchange_symbols)).decode()


# ---- market data ----------------------------------------------------------------------------------------------------


def time() -> Call[int]:
    """The exchange's clock, ms.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/general-endpoints#check-server-time
    """
    return _call(
        "fetch_time",
        "GET",
        f"{SPOT.prefix}/time",
        (),
        lambda raw: read(ServerTime, raw).server_time,
        weight=1,
        lane=Lane.QUERY,
    )


def instruments(exchange_symbols: Sequence[str]) -> Call[Listing]:
    """Those named, or all; with the rate limits. In the query lane, because orders wait for it.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/general-endpoints#exchange-information
    """
    # The whole listing is half as long without the permission sets, which nothing here reads.
    named = _named(exchange_symbols) or ("showPermissionSets", "false")
    path = f"{SPOT.prefix}/exchangeInfo"
    return _call(
        "fetch_instruments",
        "GET",
        path,
        (named,),
        parse.listing,
        weight=20,
        lane=Lane.QUERY,
        max_body=_WHOLE_LISTING,
    )


def fetch_ticker(instrument: Instrument) -> Call[Ticker]:
    """Best prices and the last 24 hours of one symbol.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints#24hr-ticker-price-change-statistics
    """
    symbol = instrument.symbol
    return _call(
        "fetch_ticker",
        "GET",
        _path(instrument, "ticker/24hr"),
        (("symbol", instrument.exchange_symbol),),
        lambda raw: parse.ticker(raw, symbol),
        weight=2,
        symbol=symbol,
    )


def fetch_tickers(instruments: Sequence[Instrument], lookup: Lookup) -> Call[dict[str, Ticker]]:
    """Those named, or all; by unified symbol. What `lookup` does not know is left out.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints#24hr-ticker-price-change-statistics
    """
    wanted = {each.exchange_symbol for each in instruments}
    named = _named([each.exchange_symbol for each in instruments]) if len(wanted) <= _MOST_NAMED else None
    weight = 80 if named is None else 2 if len(wanted) <= 20 else 40

    def decode(raw: Any) -> dict[str, Ticker]:
        found: dict[str, Ticker] = {}
        for row in read(list[dict[str, Any]], raw if isinstance(raw, list) else [raw]):
            instrument = lookup(str(row.get("symbol")))
            if instrument is not None and (not wanted or instrument.exchange_symbol in wanted):
                found[instrument.symbol] = parse.ticker(row, instrument.symbol)
        return found

    path = f"{SPOT.prefix}/ticker/24hr"
    return _call("fetch_tickers", "GET", path, () if named is None else (named,), decode, weight=weight)


def _depth_weight(depth: int) -> int:
    return next((weight for most, weight in ((100, 5), (500, 25), (1000, 50)) if depth <= most), 250)


def fetch_book(instrument: Instrument, depth: int) -> Call[Book]:
    """The book with at most `depth` levels a side (5000 at most).

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints#order-book
    """
    return _depth("fetch_book", instrument, depth, parse.book, Lane.MARKET)


def book_snapshot(instrument: Instrument, depth: int) -> Call[BookUpdate]:
    """The same as the ground for a `BookBuilder`.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints#order-book
    """
    return _depth("book_snapshot", instrument, depth, parse.snapshot, Lane.STREAM)


def _depth(operation: str, instrument: Instrument, depth: int, decode: Callable[[Any, str], T], lane: Lane) -> Call[T]:
    symbol = instrument.symbol
    return _call(
        operation,
        "GET",
        _path(instrument, "depth"),
        (("symbol", instrument.exchange_symbol), ("limit", depth)),
        lambda raw: decode(raw, symbol),
        weight=_depth_weight(depth),
        lane=lane,
        symbol=symbol,
    )


def _rows(decode: Callable[[Any], T]) -> Callable[[Any], list[T]]:
    return lambda raw: [decode(row) for row in read(list[Any], raw)]


def fetch_trades(instrument: Instrument, where: Where, limit: int) -> Call[Page[Trade]]:
    """Single trades, oldest first: the newest, or those from `from_id` or from `start` on.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints#recent-trades-list
    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints#old-trade-lookup

    Raises:
        InvalidArgument: `from_id` is no id of a trade.
    """
    start, end, from_id = where.get("start"), where.get("end"), where.get("from_id")
    if from_id is not None and not (from_id.isascii() and from_id.isdigit()):
        text = f"from_id={from_id[:60]!r}: must be the digits of a trade id, as text"
        raise InvalidArgument(text, {"argument": "from_id", "exchange": NAME})
    if from_id is None and start is not None:
        return _first_trade(instrument, start, end)
    symbol = instrument.symbol
    path, lane = ("trades", Lane.MARKET) if from_id is None else ("historicalTrades", Lane.HISTORY)
    rows = _rows(lambda row: parse.trade(row, symbol))
    return _call(
        "fetch_trades",
        "GET",
        _path(instrument, path),
        (("symbol", instrument.exchange_symbol), ("limit", limit), ("fromId", from_id)),
        lambda raw: _page(rows(raw), limit, end, mark_item, is_newest=from_id is None),
        weight=25,
        lane=lane,
        symbol=symbol,
    )


def _first_trade(instrument: Instrument, start: int, end: int | None) -> Call[Page[Trade]]:
    """Where the trades at or after `start` begin: no trade yet, but the id from which they go on."""

    def decode(raw: Any) -> Page[Trade]:
        first = parse.first_trade_id(raw)
        return Page([], None if first is None else {"from_id": first, "end": end})

    return _call(
        "fetch_trades",
        "GET",
        _path(instrument, "aggTrades"),
        (("symbol", instrument.exchange_symbol), ("startTime", start), ("limit", 1)),
        decode,
        weight=4,
        lane=Lane.HISTORY,
        symbol=instrument.symbol,
    )


def _page(
    items: list[T], limit: int, end: int | None, mark: Callable[[T], Mark], *, is_newest: bool = False
) -> Page[T]:
    """A page of what has numbers for ids: the next one begins behind the last of them. One not full is the last."""
    kept = [item for item in items if end is None or mark(item)[0] < end]
    is_last = is_newest or len(kept) < limit
    if is_last:
        return Page(kept)
    name, _, _ = mark(kept[-1])[1].partition(" ")
    return Page(kept, {"from_id": str(int(name) + 1), "end": end})


def fetch_candles(instrument: Instrument, interval: str, where: Where, *, limit: int, at: int) -> Call[Page[Candle]]:
    """A page of candles, oldest first: the newest, or from `start` on; `at` tells which are closed.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints#klinecandlestick-data
    """
    symbol, start, end = instrument.symbol, where.get("start"), where.get("end")
    rows = _rows(lambda row: parse.candle(row, symbol, interval, at))

    def decode(raw: Any) -> Page[Candle]:
        candles = rows(raw)
        is_last = start is None or len(candles) < limit
        return Page(candles, None if is_last else {"start": mark_candle(candles[-1])[0] + 1, "end": end})

    return _call(
        "fetch_candles",
        "GET",
        _path(instrument, "klines"),
        (
            ("symbol", instrument.exchange_symbol),
            ("interval", interval),
            ("startTime", start),
            ("endTime", None if end is None else end - 1),
            ("limit", limit),
        ),
        decode,
        weight=2,
        lane=Lane.MARKET if start is None else Lane.HISTORY,
        symbol=symbol,
    )


# ---- account --------------------------------------------------------------------------------------------------------


def _query(
    operation: str,
    path: str,
    params: Iterable[tuple[str, Value]],
    decode: Callable[[Any], T],
    *,
    weight: int,
    symbol: str | None = None,
    client_order_id: str | None = None,
) -> Call[T]:
    return _call(
        operation,
        "GET",
        path,
        params,
        decode,
        weight=weight,
        lane=Lane.QUERY,
        security=Security.SIGNED,
        symbol=symbol,
        client_order_id=client_order_id,
    )


def fetch_balances() -> Call[Balances]:
    """What is held.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints#account-information-user_data
    """
    params = (("omitZeroBalances", "true"),)
    return _query("fetch_balances", f"{SPOT.prefix}/account", params, parse.balances, weight=20)


def permissions() -> Call[KeyPermissions]:
    """What the account behind the key may do.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints#account-information-user_data
    """
    params = (("omitZeroBalances", "true"),)
    return _query("permissions", f"{SPOT.prefix}/account", params, parse.permissions, weight=20)


def fetch_fees(instrument: Instrument) -> Call[Fees]:
    """Maker and taker rate of one symbol.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints#query-commission-rates-user_data
    """
    symbol = instrument.symbol
    return _query(
        "fetch_fees",
        _path(instrument, "account/commission"),
        (("symbol", instrument.exchange_symbol),),
        lambda raw: parse.fees(raw, symbol),
        weight=20,
        symbol=symbol,
    )


def fetch_order(
    instrument: Instrument,
    *,
    client_order_id: str | None,
    order_id: str | None,
    where: Where | None = None,  # noqa: ARG001 - there is one place to look
) -> Call[Page[Order]]:
    """One order, by the exchange's id where it is known: a client order id may have been used before.

    One that the exchange does not have is `OrderNotFound`, so that there is nowhere else to look.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints#query-order-user_data
    """
    symbol = instrument.symbol
    return _query(
        "fetch_order",
        _path(instrument, "order"),
        (("symbol", instrument.exchange_symbol), *_which(client_order_id, order_id)),
        lambda raw: Page([parse.order(raw, symbol)]),
        weight=4,
        symbol=symbol,
        client_order_id=client_order_id,
    )


def _which(client_order_id: str | None, order_id: str | None) -> tuple[tuple[str, Value], ...]:
    return (("orderId", order_id),) if order_id is not None else (("origClientOrderId", client_order_id),)


def fetch_open_orders(
    instrument: Instrument | None,
    lookup: Lookup,
    where: Where | None = None,  # noqa: ARG001 - there is one page
) -> Call[Page[Order]]:
    """Open orders of one symbol or of all; an order whose symbol `lookup` does not know keeps the exchange's name.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints#current-open-orders-user_data
    """

    def decode(row: Any) -> Order:
        name = str(row.get("symbol")) if isinstance(row, dict) else ""
        found = lookup(name) if instrument is None else instrument
        return parse.order(row, name if found is None else found.symbol)

    rows = _rows(decode)
    return _query(
        "fetch_open_orders",
        f"{SPOT.prefix}/openOrders",
        (("symbol", None if instrument is None else instrument.exchange_symbol),),
        lambda raw: Page(rows(raw)),
        weight=80 if instrument is None else 6,
        symbol=None if instrument is None else instrument.symbol,
    )


def _range(start: int | None, end: int | None) -> tuple[tuple[str, Value], ...]:
    """Times as parameters. The exchange refuses more than 24 hours: then only `start` goes, and the rest is cut off."""
    is_wide = start is not None and end is not None and end - start > _DAY_MS
    return ("startTime", start), ("endTime", None if end is None or is_wide else end - 1)


def _begin(where: Where) -> tuple[int | None, int | None, str | None]:
    """Start, end and first id; the beginning of time is the first id there can be."""
    start, end, from_id = where.get("start"), where.get("end"), where.get("from_id")
    return (None, end, "0") if start == 0 else (start, end, from_id)


def fetch_orders(
    instrument: Instrument,
    where: Where,
    *,
    limit: int,
    at: int,  # noqa: ARG001 - for exchanges that want to know where a history ends
) -> Call[Page[Order]]:
    """A page of orders, oldest first: the newest, from `start` on, or from the order `from_id` on.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints#all-orders-user_data
    """
    symbol = instrument.symbol
    start, end, from_id = _begin(where)
    place = _range(start, end) if from_id is None else (("orderId", from_id),)
    rows = _rows(lambda row: parse.order(row, symbol))
    is_newest = start is None and from_id is None
    return _query(
        "fetch_orders",
        _path(instrument, "allOrders"),
        (("symbol", instrument.exchange_symbol), *place, ("limit", limit)),
        lambda raw: _page(rows(raw), limit, end, mark_order, is_newest=is_newest),
        weight=20,
        symbol=symbol,
    )


def _behind(page: Page[Fill], where: Where) -> Page[Fill]:
    """Without what the page before has had. The next begins at the last id once more: another side may carry it."""
    kept = [
        fill for fill in page.items if fill.id != where.get("from_id") or fill.order_id not in where.get("seen", ())
    ]
    if page.next is None or not kept:
        return Page(kept, page.next)
    last = kept[-1].id
    seen = [fill.order_id for fill in page.items if fill.id == last]
    return Page(kept, {**page.next, "from_id": last, "seen": seen})


def fetch_fills(
    instrument: Instrument,
    where: Where,
    *,
    order_id: str | None,
    limit: int,
    at: int,  # noqa: ARG001 - for exchanges that want to know where a history ends
) -> Call[Page[Fill]]:
    """A page of fills, oldest first: the newest, from `start` on, from the fill `from_id` on, or of one order.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints#account-trade-list-user_data
    """
    symbol = instrument.symbol
    start, end, from_id = _begin(where)
    place = _range(start, end) if from_id is None and order_id is None else ()
    rows = _rows(lambda row: parse.fill(row, symbol))
    is_newest = start is None and from_id is None
    return _query(
        "fetch_fills",
        _path(instrument, "myTrades"),
        (
            ("symbol", instrument.exchange_symbol),
            ("orderId", order_id),
            ("fromId", from_id),
            *place,
            ("limit", limit),
        ),
        lambda raw: _behind(_page(rows(raw), limit, end, mark_item, is_newest=is_newest), where),
        weight=20 if order_id is None else 5,
        symbol=symbol,
    )


# ---- orders ---------------------------------------------------------------------------------------------------------


def place_order(command: PlaceOrder, instrument: Instrument, client_order_id: str) -> Call[Order]:
    """Place an order; the answer holds its fills.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints#new-order-trade

    Raises:
        NotSupported: `reduce_only` on spot.
        InvalidArgument: `extra` names what the command itself says.
    """
    symbol = instrument.symbol
    return _call(
        "place_order",
        "POST",
        _path(instrument, "order"),
        _placing(command, instrument, client_order_id),
        lambda raw: parse.order(raw, symbol),
        weight=1,
        refunded=True,
        orders=1,
        lane=Lane.PLACE,
        replay=Replay.NEVER,
        security=Security.SIGNED,
        symbol=symbol,
        client_order_id=client_order_id,
    )


def validate_order(command: PlaceOrder, instrument: Instrument, client_order_id: str) -> Call[None]:
    """The same checks by the exchange, and nothing placed.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints#test-new-order-trade
    """
    return _call(
        "place_order",
        "POST",
        _path(instrument, "order/test"),
        _placing(command, instrument, client_order_id),
        lambda _raw: None,
        weight=1,
        lane=Lane.PLACE,
        security=Security.SIGNED,
        symbol=instrument.symbol,
        client_order_id=client_order_id,
    )


def _placing(command: PlaceOrder, instrument: Instrument, client_order_id: str) -> list[tuple[str, Value]]:
    if command.reduce_only:
        details = {"exchange": NAME, "symbol": instrument.symbol, "capability": Capability.FUTURES.value}
        raise NotSupported("reduce_only goes with perpetuals: a spot order can only sell what is held", details)
    tif = None if command.time_in_force is None or command.post_only else command.time_in_force.value.upper()
    stp = None if command.self_trade_prevention is None else command.self_trade_prevention.value.upper()
    params: list[tuple[str, Value]] = [
        ("symbol", instrument.exchange_symbol),
        ("side", command.side.value.upper()),
        ("type", "LIMIT_MAKER" if command.post_only else command.type.value.upper()),
        ("timeInForce", tif),
        ("quantity", command.quantity),
        ("quoteOrderQty", command.quote_quantity),
        ("price", command.price),
        ("stopPrice", command.stop_price),
        ("trailingDelta", command.trailing_delta_bps),
        ("icebergQty", command.iceberg_quantity),
        ("selfTradePreventionMode", stp),
        ("newClientOrderId", client_order_id),
        ("newOrderRespType", "FULL"),
    ]
    return params + _extra(command.extra or {}, {name for name, _ in params})


def _extra(extra: Mapping[str, str], ours: set[str]) -> list[tuple[str, Value]]:
    taken = sorted(set(extra) & (ours | {"timestamp", "recvWindow", "signature", "computeCommissionRates"}))
    if taken:
        raise InvalidArgument(f"extra: {taken[0]!r} is not yours to set here", {"argument": "extra", "exchange": NAME})
    return list(extra.items())


def cancel_order(
    instrument: Instrument,
    *,
    client_order_id: str,
    order_id: str | None,
    known: Order | None = None,  # noqa: ARG001 - for exchanges whose cancels differ by the kind of order
) -> Call[Order | None]:
    """Cancel an order. It keeps its name: without `newClientOrderId` the exchange would give it a random one.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints#cancel-order-trade
    """
    symbol = instrument.symbol
    return _call(
        "cancel_order",
        "DELETE",
        _path(instrument, "order"),
        (
            ("symbol", instrument.exchange_symbol),
            *_which(client_order_id, order_id),
            ("newClientOrderId", client_order_id),
        ),
        lambda raw: parse.order(raw, symbol),
        weight=1,
        refunded=True,
        lane=Lane.CANCEL,
        replay=Replay.ABSOLUTE,
        security=Security.SIGNED,
        symbol=symbol,
        client_order_id=client_order_id,
    )


def cancel_all_orders(instrument: Instrument) -> Sequence[Call[list[Order]]]:
    """Cancel every open order of one symbol, legs of order lists too; with none open it is `OrderNotFound`.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints#cancel-all-open-orders-on-a-symbol-trade
    """
    symbol = instrument.symbol
    call = _call(
        "cancel_all_orders",
        "DELETE",
        _path(instrument, "openOrders"),
        (("symbol", instrument.exchange_symbol),),
        lambda raw: parse.canceled(raw, symbol),
        weight=1,
        refunded=True,
        lane=Lane.CANCEL,
        replay=Replay.ABSOLUTE,
        security=Security.SIGNED,
        symbol=symbol,
    )
    return (call,)


def amend_order(order: Order, amend: AmendOrder, instrument: Instrument, new_id: str) -> Call[Order | None]:
    """A smaller quantity at the same price keeps order and place in the queue; all else replaces the order.

    The call's `client_order_id` is the order's own (amended in place) or `new_id` (replaced).

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints#order-amend-keep-priority-trade
    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints#cancel-an-existing-order-and-send-a-new-order-trade
    """
    is_same_price = amend.price is None or amend.price == order.price
    is_smaller = amend.quantity is not None and order.quantity is not None and amend.quantity < order.quantity
    if is_same_price and is_smaller and instrument.rules.amend:
        return _shrink(order, amend, instrument)
    return _replace(order, amend, instrument, new_id)


def _shrink(order: Order, amend: AmendOrder, instrument: Instrument) -> Call[Order | None]:
    symbol = instrument.symbol
    return _call(
        "amend_order",
        "PUT",
        _path(instrument, "order/amend/keepPriority"),
        (
            ("symbol", instrument.exchange_symbol),
            *_which(order.client_order_id, order.order_id),
            ("newClientOrderId", order.client_order_id),
            ("newQty", amend.quantity),
        ),
        lambda raw: parse.amended(raw, symbol),
        weight=4,
        lane=Lane.PLACE,
        replay=Replay.ABSOLUTE,
        security=Security.SIGNED,
        symbol=symbol,
        client_order_id=order.client_order_id,
    )


def _replace(order: Order, amend: AmendOrder, instrument: Instrument, new_id: str) -> Call[Order | None]:
    """Safe to repeat: the second time there is nothing to cancel, and STOP_ON_FAILURE then places nothing."""
    symbol, old_id = instrument.symbol, order.client_order_id
    target: tuple[str, Value] = ("cancelOrderId", order.order_id)
    if order.order_id is None:
        target = ("cancelOrigClientOrderId", old_id)
    params = [
        *_placing(_successor(order, amend), instrument, new_id),
        *_terms(order),
        ("cancelReplaceMode", "STOP_ON_FAILURE"),
        target,
        ("cancelNewClientOrderId", old_id),
        ("cancelRestrictions", "ONLY_NEW"),
    ]
    return _call(
        "amend_order",
        "POST",
        _path(instrument, "order/cancelReplace"),
        params,
        lambda raw: parse.replaced(raw, symbol, old_id),
        weight=1,
        refunded=True,
        orders=1,
        lane=Lane.PLACE,
        replay=Replay.ABSOLUTE,
        security=Security.SIGNED,
        symbol=symbol,
        client_order_id=new_id,
    )


def _successor(order: Order, amend: AmendOrder) -> PlaceOrder:
    trailing = _said(order, "trailingDelta", "d")
    return PlaceOrder(
        order.symbol,
        order.side,
        amend.quantity if amend.quantity is not None else order.quantity,
        price=amend.price if amend.price is not None else order.price,
        type=order.type,
        time_in_force=order.time_in_force if order.type in _LIMITS else None,
        post_only=order.post_only,
        stop_price=order.stop_price,
        trailing_delta_bps=trailing if isinstance(trailing, int) and trailing > 0 else None,
    )


_LIMITS = frozenset({OrderType.LIMIT, OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT})


def _terms(order: Order) -> list[tuple[str, Value]]:
    """What an `Order` has no field for and its successor must keep, from the exchange's own words."""
    iceberg, mode = parse.nonzero(_said(order, "icebergQty", "F")), _said(order, "selfTradePreventionMode", "V")
    return [("icebergQty", iceberg), ("selfTradePreventionMode", mode if isinstance(mode, str) else None)]


def _said(order: Order, name: str, letter: str) -> Any:
    """What the order's message says, whether it was an answer or an event."""
    raw = order.raw if isinstance(order.raw, dict) else {}
    return raw.get(letter if raw.get("e") == "executionReport" else name)


# ---- anything else --------------------------------------------------------------------------------------------------


def raw(
    method: str,
    path: str,
    params: Mapping[str, str],
    *,
    signed: bool,
    cost: int,
    decode: Callable[[Response], object],
) -> Call[object]:
    """Any endpoint; only a GET is ever repeated."""
    is_read = method == "GET"
    return Call(
        operation=f"raw.{method.lower()}",
        request=Request(method, path, tuple(params.items())),
        decode=decode,
        costs=(Cost("request_weight", cost), _RAW),
        lane=Lane.QUERY if signed or not is_read else Lane.MARKET,
        replay=Replay.SAFE if is_read else Replay.NEVER,
        security=Security.SIGNED if signed else Security.PUBLIC,
    )
