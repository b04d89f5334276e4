"""Every REST call, as values: path, parameters, price, and how to read the answer.

https://bybit-exchange.github.io/docs/v5/intro

The module is the object that the engine holds (`protocol.exchange.Rest` and `Batch`). Times are ms, `start` in, `end`
out. Histories come newest first and a week at a time; a page of ours is such a week, with all its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote

from exconnect.errors import InvalidArgument, NotSupported
from exconnect.exchanges.bybit import parse, wire
from exconnect.exchanges.bybit.auth import body_of
from exconnect.exchanges.bybit.markets import CATEGORY, INTERVALS, NAME
from exconnect.model.account import Balances, Fees
from exconnect.model.enums import Capability, OrderStatus, Side
from exconnect.model.instrument import Instrument
from exconnect.model.market import Book, Candle, Ticker, Trade, after
from exconnect.model.order import AmendOrder, Fill, Order, PlaceOrder
from exconnect.model.values import datetime_of
from exconnect.protocol.call import Call, Cost, Failure, Lane, Replay, Request, Response, Security, Value, params_of
from exconnect.protocol.exchange import KeyPermissions, Listing, Lookup
from exconnect.protocol.pages import Page, Where, mark_candle, mark_item, mark_order, rank
from exconnect.protocol.session import BookUpdate

T = TypeVar("T")

PAGE: Mapping[str, int] = {"trades": 60, "candles": 1000, "orders": 50, "fills": 100}
BATCH = 10  # orders in one call

_DAY_MS = 86_400_000
_WEEK_MS = 7 * _DAY_MS
_KEPT_MS = 730 * _DAY_MS  # how far back histories go
_UNASKED_MS = 90 * _DAY_MS  # how far back we go where nobody says from when on: each week is a call, empty or not
_MONTH, _DAY = "M", "D"  # candles that tell where others are
_WHOLE_LISTING = 64 * 1024 * 1024  # bytes

# Conditional orders are apart from the others, and a cancel means one of these kinds only.
_PLAIN = "Order"
_FILTERS = (_PLAIN, "StopOrder", "tpslOrder", "OcoOrder", "BidirectionalTpslOrder")
_FILTER_OF = {"Stop": "StopOrder", **{name: name for name in _FILTERS[2:]}}


def _call(
    operation: str,
    method: str,
    path: str,
    params: Iterable[tuple[str, Value]],
    decode: Callable[[wire.Reply], T],
    *,
    lane: Lane = Lane.MARKET,
    replay: Replay = Replay.SAFE,
    security: Security = Security.PUBLIC,
    orders: int = 1,
    symbol: str | None = None,
    client_order_id: str | None = None,
    max_body: int = 8 * 1024 * 1024,
) -> Call[T]:
    costs = [Cost("ip")]
    if security is Security.SIGNED:
        costs.append(Cost(path, orders))
    return Call(
        operation=operation,
        request=Request(method, f"/v5/{path}", params_of(params)),
        decode=lambda response: decode(wire.read(wire.Reply, wire.loads(response.body))),
        costs=tuple(costs),
        lane=lane,
        replay=replay,
        security=security,
        symbol=symbol,
        client_order_id=client_order_id,
        max_body=max_body,
    )


def _of(instrument: Instrument) -> tuple[tuple[str, Value], ...]:
    return ("category", CATEGORY), ("symbol", instrument.exchange_symbol)


# ---- market data ----------------------------------------------------------------------------------------------------


def time() -> Call[int]:
    """The exchange's clock, ms.

    https://bybit-exchange.github.io/docs/v5/market/time
    """

    def decode(reply: wire.Reply) -> int:
        return int(parse.amount(wire.read(wire.ServerTime, reply.result).time_nano)) // 1_000_000

    return _call("fetch_time", "GET", "market/time", (), decode, lane=Lane.QUERY)


def instruments(exchange_symbols: Sequence[str]) -> Call[Listing]:
    """Those named, or all: spot has no pages. In the query lane, because orders wait for it.

    https://bybit-exchange.github.io/docs/v5/market/instrument
    """
    wanted = frozenset(exchange_symbols)
    only = exchange_symbols[0] if len(wanted) == 1 else None
    return _call(
        "fetch_instruments",
        "GET",
        "market/instruments-info",
        (("category", CATEGORY), ("symbol", only)),
        lambda reply: parse.listing(reply.result, wanted),
        lane=Lane.QUERY,
        max_body=_WHOLE_LISTING,
    )


def fetch_ticker(instrument: Instrument) -> Call[Ticker]:
    """Best prices and the last 24 hours of one symbol.

    https://bybit-exchange.github.io/docs/v5/market/tickers
    """

    def decode(reply: wire.Reply) -> Ticker:
        rows = wire.read(wire.Rows, reply.result).rows
        if not rows:
            raise wire.malformed("no ticker", repr(reply.result))
        return parse.ticker(rows[0], instrument.symbol, reply.time)

    return _call("fetch_ticker", "GET", "market/tickers", _of(instrument), decode, symbol=instrument.symbol)


def fetch_tickers(instruments: Sequence[Instrument], lookup: Lookup) -> Call[dict[str, Ticker]]:
    """Those named, or all; by unified symbol. What `lookup` does not know is left out.

    https://bybit-exchange.github.io/docs/v5/market/tickers
    """
    wanted = {each.exchange_symbol for each in instruments}

    def decode(reply: wire.Reply) -> dict[str, Ticker]:
        found: dict[str, Ticker] = {}
        for row in wire.read(list[dict[str, Any]], wire.read(wire.Rows, reply.result).rows):
            instrument = lookup(str(row.get("symbol")))
            if instrument is not None and (not wanted or instrument.exchange_symbol in wanted):
                found[instrument.symbol] = parse.ticker(row, instrument.symbol, reply.time)
        return found

    params = _of(instruments[0]) if len(wanted) == 1 else (("category", CATEGORY),)
    return _call("fetch_tickers", "GET", "market/tickers", params, decode)


def fetch_book(instrument: Instrument, depth: int) -> Call[Book]:
    """The book with at most `depth` levels a side (1000 at most).

    https://bybit-exchange.github.io/docs/v5/market/orderbook
    """
    return _depth("fetch_book", instrument, depth, parse.book, Lane.MARKET)


def book_snapshot(instrument: Instrument, depth: int) -> Call[BookUpdate]:
    """The same as an update; no stream of ours needs it, because they all begin with a whole book.

    https://bybit-exchange.github.io/docs/v5/market/orderbook
    """
    return _depth("book_snapshot", instrument, depth, parse.snapshot, Lane.STREAM)


def _depth(operation: str, instrument: Instrument, depth: int, decode: Callable[[Any, str], T], lane: Lane) -> Call[T]:
    symbol = instrument.symbol
    return _call(
        operation,
        "GET",
        "market/orderbook",
        (*_of(instrument), ("limit", depth)),
        lambda reply: decode(reply.result, symbol),
        lane=lane,
        symbol=symbol,
    )


def fetch_trades(instrument: Instrument, where: Where, limit: int) -> Call[Page[Trade]]:  # noqa: ARG001 - no history
    """The newest trades, oldest first; there is no way to older ones.

    https://bybit-exchange.github.io/docs/v5/market/recent-trade
    """
    symbol = instrument.symbol

    def decode(reply: wire.Reply) -> Page[Trade]:
        rows = wire.read(wire.Rows, reply.result).rows
        return Page(
            sorted((parse.trade(row, symbol) for row in reversed(rows)), key=lambda trade: rank(mark_item(trade)))
        )

    params = (*_of(instrument), ("limit", limit))
    return _call("fetch_trades", "GET", "market/recent-trade", params, decode, symbol=symbol)


def fetch_candles(instrument: Instrument, interval: str, where: Where, *, limit: int, at: int) -> Call[Page[Candle]]:
    """A page of candles, oldest first: the newest, or from `start` on; `at` tells which are closed.

    The exchange gives the newest of a range: so a range is asked for that has no more than a page. Where it has none,
    the months tell where there are any.

    https://bybit-exchange.github.io/docs/v5/market/kline
    """
    start, end = where.get("start"), where.get("end")
    seek = where.get("seek") or (_MONTH if start == 0 else None)
    if seek is not None:
        return _first_candle(instrument, seek, start or 0, end, at)
    until = end if start is None else _least(start + limit * _shortest_ms(interval), end)
    now = datetime_of(at)

    def decode(reply: wire.Reply) -> Page[Candle]:
        rows = wire.read(wire.Rows, reply.result).rows
        candles = [parse.candle(row, instrument.symbol, interval, now) for row in reversed(rows)]
        kept = [each for each in candles if (start or 0) <= mark_candle(each)[0] < (until or at + 1)]
        if start is None or until is None or until > at or until == end:
            return Page(kept)
        return Page(kept, {"start": until, "end": end} if kept else {"start": until, "end": end, "seek": _MONTH})

    return _call(
        "fetch_candles",
        "GET",
        "market/kline",
        (
            *_of(instrument),
            ("interval", INTERVALS[interval]),
            ("start", start),
            ("end", None if until is None else until - 1),
            ("limit", limit),
        ),
        decode,
        lane=Lane.MARKET if start is None else Lane.HISTORY,
        symbol=instrument.symbol,
    )


_MILLISECOND = datetime_of(1) - datetime_of(0)
_A_FEBRUARY = datetime_of(31 * _DAY_MS)


def _shortest_ms(interval: str) -> int:
    """Milliseconds of a candle; of a month, the shortest: a range of so many has no more candles than that."""
    return (after(_A_FEBRUARY, interval) - _A_FEBRUARY) // _MILLISECOND


def _least(*times: int | None) -> int:
    return min(time for time in times if time is not None)


def _first_candle(instrument: Instrument, seek: str, start: int, end: int | None, at: int) -> Call[Page[Candle]]:
    """No candle yet, but where they begin: on the first day, of the first month since `start`, that has any."""
    limit = PAGE["candles"]
    until = _least(end, at + 1)
    if seek == _DAY:
        until = min(until, start + limit * _DAY_MS)

    def decode(reply: wire.Reply) -> Page[Candle]:
        opened = [parse.ms(row[0]) or 0 for row in wire.read(list[list[Any]], wire.read(wire.Rows, reply.result).rows)]
        within = [begin for begin in opened if begin < until]
        if not within:
            return Page([])
        following = {"start": max(start, min(within)), "end": end}
        return Page([], following if seek == _DAY else {**following, "seek": _DAY})

    back = _DAY_MS if seek == _DAY else 31 * _DAY_MS  # what has begun before `start` may go on after it
    params = (("interval", seek), ("start", max(start - back, 0)), ("end", until - 1), ("limit", limit))
    return _call(
        "fetch_candles",
        "GET",
        "market/kline",
        (*_of(instrument), *params),
        decode,
        lane=Lane.HISTORY,
        symbol=instrument.symbol,
    )


# ---- account --------------------------------------------------------------------------------------------------------


def _query(
    operation: str,
    path: str,
    params: Iterable[tuple[str, Value]],
    decode: Callable[[wire.Reply], T],
    *,
    symbol: str | None = None,
    client_order_id: str | None = None,
) -> Call[T]:
    return _call(
        operation,
        "GET",
        path,
        params,
        decode,
        lane=Lane.QUERY,
        security=Security.SIGNED,
        symbol=symbol,
        client_order_id=client_order_id,
    )


def fetch_balances() -> Call[Balances]:
    """What is held in the unified account.

    https://bybit-exchange.github.io/docs/v5/account/wallet-balance
    """
    params = (("accountType", "UNIFIED"),)
    return _query("fetch_balances", "account/wallet-balance", params, lambda reply: parse.balances(reply.result))


def permissions() -> Call[KeyPermissions]:
    """What the key may do.

    https://bybit-exchange.github.io/docs/v5/user/apikey-info
    """
    return _query("permissions", "user/query-api", (), lambda reply: parse.permissions(reply.result))


def fetch_fees(instrument: Instrument) -> Call[Fees]:
    """Maker and taker rate of one symbol.

    https://bybit-exchange.github.io/docs/v5/account/fee-rate
    """
    return _query(
        "fetch_fees",
        "account/fee-rate",
        _of(instrument),
        lambda reply: parse.fees(reply.result, instrument),
        symbol=instrument.symbol,
    )


_OPEN, _CLOSED, _FILLS = "order/realtime", "order/history", "execution/list"


def _which(client_order_id: str | None, order_id: str | None) -> tuple[str, Value]:
    return ("orderId", order_id) if order_id is not None else ("orderLinkId", client_order_id)


def fetch_order(
    instrument: Instrument, *, client_order_id: str | None, order_id: str | None, where: Where | None = None
) -> Call[Page[Order]]:
    """One order: what is open or has just ended is in one place, what ended before in another.

    https://bybit-exchange.github.io/docs/v5/order/open-order
    https://bybit-exchange.github.io/docs/v5/order/order-list
    """
    is_first = where is None

    def decode(reply: wire.Reply) -> Page[Order]:
        rows = wire.read(list[dict[str, Any]], wire.read(wire.Rows, reply.result).rows)
        own = [row for row in rows if row.get("symbol") == instrument.exchange_symbol]
        found = [parse.order(row, instrument.symbol) for row in own[:1]]
        return Page(found, {"history": True} if is_first and not found else None)

    return _query(
        "fetch_order",
        _OPEN if is_first else _CLOSED,
        (("category", CATEGORY), _which(client_order_id, order_id)),
        decode,
        symbol=instrument.symbol,
        client_order_id=client_order_id,
    )


def _rows(reply: wire.Reply, limit: int) -> tuple[list[Any], str | None]:
    """Rows, oldest first, and the cursor to older ones: there is one even behind the last row."""
    page = wire.read(wire.Rows, reply.result)
    has_more = len(page.rows) >= limit and page.cursor
    # It comes encoded, and is encoded again on its way out.
    return page.rows[::-1], unquote(page.cursor or "") if has_more else None


def fetch_open_orders(instrument: Instrument | None, lookup: Lookup, where: Where | None = None) -> Call[Page[Order]]:
    """Open orders of one symbol or of all, conditional ones too.

    An order whose symbol `lookup` does not know keeps the exchange's name.

    https://bybit-exchange.github.io/docs/v5/order/open-order
    """
    limit = PAGE["orders"]

    def read(row: Any) -> Order:
        name = str(row.get("symbol")) if isinstance(row, dict) else ""
        found = lookup(name) if instrument is None else instrument
        return parse.order(row, name if found is None else found.symbol)

    def decode(reply: wire.Reply) -> Page[Order]:
        rows, cursor = _rows(reply, limit)
        orders = sorted(map(read, rows), key=lambda order: rank(mark_order(order)))
        return Page(orders, more=None if cursor is None else {"cursor": cursor})

    return _query(
        "fetch_open_orders",
        _OPEN,
        (
            ("category", CATEGORY),
            ("symbol", None if instrument is None else instrument.exchange_symbol),
            ("limit", limit),
            ("cursor", (where or {}).get("cursor")),
        ),
        decode,
        symbol=None if instrument is None else instrument.symbol,
    )


def _week(where: Where, at: int) -> tuple[int | None, int | None, Where | None]:
    """Where the week at a position begins and ends, and where the next one is.

    A `start` of 0 goes through all that is worth a call for each week of it.
    """
    start, end = where.get("start"), where.get("end")
    if start is None:
        return None, end, None
    start = start or _least(at, end) - _UNASKED_MS
    begin = start if start >= at - _KEPT_MS - _DAY_MS else at - _KEPT_MS  # a day, so that it is decided once
    until = _least(begin + _WEEK_MS, end)
    return begin, until, {"start": until, "end": end} if until <= at and until != end else None


def _within(start: int | None, until: int | None) -> tuple[tuple[str, Value], ...]:
    return ("startTime", start), ("endTime", None if until is None else until - 1)


def fetch_orders(instrument: Instrument, where: Where, *, limit: int, at: int) -> Call[Page[Order]]:
    """A week of orders, or the newest: first those that are open, which are kept apart, then the history.

    `since` is when the oldest of the open ones was placed: weeks that end before it have none. Where nobody said from
    when on, those that are open are told of however old they are.

    https://bybit-exchange.github.io/docs/v5/order/open-order
    https://bybit-exchange.github.io/docs/v5/order/order-list
    """
    start, until, following = _week(where, at)
    since, is_any_age = where.get("since"), where.get("start") == 0 or bool(where.get("any_age"))
    is_open = not where.get("closed") and (since is None or until is None or until > since)

    def decode(reply: wire.Reply) -> Page[Order]:
        rows, cursor = _rows(reply, limit)
        orders = sorted(
            (parse.order(row, instrument.symbol) for row in rows), key=lambda order: rank(mark_order(order))
        )
        earliest = 0 if is_open and is_any_age else start or 0
        kept = [each for each in orders if earliest <= mark_order(each)[0] and _is_before(until, each)]
        oldest = since
        if oldest is None:
            oldest = 0 if cursor is not None else mark_order(orders[0])[0] if orders else at
        more: dict[str, Any] = {"start": start, "end": where.get("end"), "since": oldest}
        next_week = None if following is None else {**following, "since": oldest}
        if is_open:
            rest = {"cursor": cursor, "any_age": is_any_age} if cursor else {"closed": True}
            return Page(kept, next_week, {**more, **rest})
        has_more = cursor is not None and start is not None
        return Page(kept, next_week, {**more, "closed": True, "cursor": cursor} if has_more else None)

    return _query(
        "fetch_orders",
        _OPEN if is_open else _CLOSED,
        (
            *_of(instrument),
            *(() if is_open else _within(start, until)),
            ("limit", limit),
            ("cursor", where.get("cursor")),
        ),
        decode,
        symbol=instrument.symbol,
    )


def _is_before(until: int | None, order: Order) -> bool:
    return until is None or mark_order(order)[0] < until


def fetch_fills(instrument: Instrument, where: Where, *, order_id: str | None, limit: int, at: int) -> Call[Page[Fill]]:
    """A week of fills, or the newest, or those of one order.

    https://bybit-exchange.github.io/docs/v5/order/execution
    """
    start, until, following = (None, None, None) if order_id is not None else _week(where, at)

    def decode(reply: wire.Reply) -> Page[Fill]:
        rows, cursor = _rows(reply, limit)
        fills = [parse.fill(row, instrument.symbol) for row in rows if parse.is_trade(row)]
        fills.sort(key=lambda fill: rank(mark_item(fill)))
        is_whole = cursor is None or (start is None and order_id is None)
        base = {"start": start, "end": where.get("end")}
        return Page(fills, following, None if is_whole else {**base, "cursor": cursor})

    return _query(
        "fetch_fills",
        _FILLS,
        (
            *_of(instrument),
            ("orderId", order_id),
            *_within(start, until),
            ("limit", limit),
            ("cursor", where.get("cursor")),
        ),
        decode,
        symbol=instrument.symbol,
    )


# ---- orders ---------------------------------------------------------------------------------------------------------


def _order_call(
    operation: str,
    path: str,
    params: Iterable[tuple[str, Value]],
    decode: Callable[[wire.Reply], T],
    *,
    lane: Lane = Lane.PLACE,
    replay: Replay = Replay.ABSOLUTE,
    orders: int = 1,
    symbol: str | None = None,
    client_order_id: str | None = None,
) -> Call[T]:
    return _call(
        operation,
        "POST",
        path,
        params,
        decode,
        lane=lane,
        replay=replay,
        security=Security.SIGNED,
        orders=orders,
        symbol=symbol,
        client_order_id=client_order_id,
    )


def place_order(command: PlaceOrder, instrument: Instrument, client_order_id: str) -> Call[Order]:
    """Place an order; the answer holds no more than its two ids.

    https://bybit-exchange.github.io/docs/v5/order/create-order

    Raises:
        NotSupported: what this exchange has not got.
        InvalidArgument: `extra` names what the command itself says.
    """
    symbol = instrument.symbol
    return _order_call(
        "place_order",
        "order/create",
        (("category", CATEGORY), *_placing(command, instrument, client_order_id)),
        lambda reply: parse.acknowledged(reply.result, symbol, reply.time),
        replay=Replay.NEVER,
        symbol=symbol,
        client_order_id=client_order_id,
    )


def validate_order(_command: PlaceOrder, instrument: Instrument, _client_order_id: str) -> Call[None]:
    """There is no test call for spot; the one that there is takes perpetuals and options.

    https://bybit-exchange.github.io/docs/v5/order/pre-check-order
    """
    raise _without(Capability.VALIDATE_ORDER, instrument)


def _without(capability: Capability, instrument: Instrument) -> NotSupported:
    details = {"exchange": NAME, "symbol": instrument.symbol, "capability": capability.value}
    return NotSupported(f"{NAME} has no {capability.value} on spot", details)


_SIDES = {Side.BUY: "Buy", Side.SELL: "Sell"}
_OURS = frozenset(
    {"category", "symbol", "side", "orderType", "qty", "marketUnit", "price", "timeInForce", "orderLinkId"}
)
_ALSO_OURS = frozenset({"triggerPrice", "smpType"})


def _placing(command: PlaceOrder, instrument: Instrument, client_order_id: str) -> list[tuple[str, Value]]:
    for value, capability in (
        (command.reduce_only or None, Capability.FUTURES),
        (command.trailing_delta_bps, Capability.TRAILING_STOP),
        (command.iceberg_quantity, Capability.ICEBERG),
    ):
        if value is not None:
            raise _without(capability, instrument)
    is_quote, has_price = command.quote_quantity is not None, command.type.has_price
    extra = dict(command.extra or {})
    taken = sorted(extra.keys() & (_OURS | _ALSO_OURS))
    if taken:
        raise InvalidArgument(f"extra: {taken[0]!r} is not yours to set here", {"argument": "extra", "exchange": NAME})
    if command.type.is_conditional:
        extra.setdefault("orderFilter", "StopOrder")  # which holds no funds until it is triggered; a tpslOrder does
    prevention = command.self_trade_prevention
    return [
        ("symbol", instrument.exchange_symbol),
        ("side", _SIDES[command.side]),
        ("orderType", "Limit" if has_price else "Market"),
        ("qty", command.quote_quantity if is_quote else command.quantity),
        # Said always: without it, the quantity of a market order to buy counts quote asset.
        ("marketUnit", None if has_price else "quoteCoin" if is_quote else "baseCoin"),
        ("price", command.price),
        ("timeInForce", _time_in_force(command)),
        ("triggerPrice", command.stop_price),
        ("smpType", None if prevention is None else parse.PREVENTIONS.get(prevention)),
        ("orderLinkId", client_order_id),
        *extra.items(),
    ]


def _time_in_force(command: PlaceOrder) -> str | None:
    if command.post_only:
        return "PostOnly"
    return None if command.time_in_force is None else command.time_in_force.value.upper()


def amend_order(
    order: Order,
    amend: AmendOrder,
    instrument: Instrument,
    new_id: str,  # noqa: ARG001 - for exchanges that replace orders
) -> Call[Order | None]:
    """Another price, another whole quantity, or both; the order stays the same. The answer only acknowledges it.

    https://bybit-exchange.github.io/docs/v5/order/amend-order
    """
    return _order_call(
        "amend_order",
        "order/amend",
        (("category", CATEGORY), *_amending(order, amend, instrument)),
        lambda _reply: None,
        symbol=instrument.symbol,
        client_order_id=order.client_order_id,
    )


def _amending(order: Order, amend: AmendOrder, instrument: Instrument) -> list[tuple[str, Value]]:
    return [
        ("symbol", instrument.exchange_symbol),
        _which(order.client_order_id, order.order_id),
        ("qty", amend.quantity),
        ("price", amend.price),
    ]


def cancel_order(
    instrument: Instrument, *, client_order_id: str, order_id: str | None, known: Order | None = None
) -> Call[Order | None]:
    """Cancel an order; the answer only acknowledges it. A conditional order must be called by its kind.

    https://bybit-exchange.github.io/docs/v5/order/cancel-order
    """
    return _order_call(
        "cancel_order",
        "order/cancel",
        (*_of(instrument), _which(client_order_id, order_id), ("orderFilter", _filter(known))),
        lambda _reply: None,
        lane=Lane.CANCEL,
        symbol=instrument.symbol,
        client_order_id=client_order_id,
    )


def _filter(known: Order | None) -> str:
    """What kind of order the exchange takes it for; once triggered it is one like all others."""
    if known is None or not known.type.is_conditional or known.status is OrderStatus.NEW or known.filled_quantity:
        return _PLAIN
    raw = known.raw if isinstance(known.raw, dict) else {}
    return _FILTER_OF.get(str(raw.get("stopOrderType")), _FILTERS[1])


def cancel_all_orders(instrument: Instrument) -> Sequence[Call[list[Order]]]:
    """One call for each kind of order: without being told, the exchange leaves conditional ones alone.

    https://bybit-exchange.github.io/docs/v5/order/cancel-all
    """
    return [
        _order_call(
            "cancel_all_orders",
            "order/cancel-all",
            (*_of(instrument), ("orderFilter", kind)),
            lambda reply: parse.canceled(reply.result, instrument.symbol),
            lane=Lane.CANCEL,
            symbol=instrument.symbol,
        )
        for kind in _FILTERS
    ]


# ---- several at once ------------------------------------------------------------------------------------------------


def place_orders(orders: Sequence[tuple[PlaceOrder, Instrument, str]]) -> Call[list[Order | Failure]]:
    """Place up to `BATCH` orders; one result per order.

    https://bybit-exchange.github.io/docs/v5/order/batch-place
    """
    symbols = {client_order_id: instrument.symbol for _, instrument, client_order_id in orders}

    def made(row: Any, name: str, time_ms: int | None) -> Order:
        return parse.acknowledged(row, symbols[name], time_ms)

    return _batch("place_orders", "order/create-batch", [_placing(*each) for each in orders], made, Replay.NEVER)


def takes(order: Order) -> bool:
    """Conditional orders cannot be amended with others, and a cancel of several has no word for their kinds."""
    return _filter(order) == _PLAIN


def amend_orders(amends: Sequence[tuple[Order, AmendOrder, Instrument]]) -> Call[list[Failure | None]]:
    """Amend up to `BATCH` orders; one result per order.

    https://bybit-exchange.github.io/docs/v5/order/batch-amend
    """
    rows = [[*_amending(*each), ("orderLinkId", each[0].client_order_id)] for each in amends]
    # Not repeated: what the second answer refuses, the first attempt may have done.
    return _batch("amend_orders", "order/amend-batch", rows, _nothing_said, Replay.NEVER)


def cancel_orders(orders: Sequence[tuple[Order, Instrument]]) -> Call[list[Failure | None]]:
    """Cancel up to `BATCH` orders; one result per order.

    https://bybit-exchange.github.io/docs/v5/order/batch-cancel
    """
    rows: list[list[tuple[str, Value]]] = [
        [
            ("symbol", instrument.exchange_symbol),
            _which(order.client_order_id, order.order_id),
            ("orderLinkId", order.client_order_id),
        ]
        for order, instrument in orders
    ]
    return _batch("cancel_orders", "order/cancel-batch", rows, _nothing_said, Replay.ABSOLUTE, Lane.CANCEL)


def _nothing_said(_row: Any, _name: str, _time_ms: int | None) -> None:
    """It will be done as soon as the exchange comes to it."""


def _batch(
    operation: str,
    path: str,
    rows: Sequence[Sequence[tuple[str, Value]]],
    made: parse.Made[T],
    replay: Replay,
    lane: Lane = Lane.PLACE,
) -> Call[list[T | Failure]]:
    unique = [dict(params_of(row)) for row in rows]
    names = [row["orderLinkId"] for row in unique]
    request = ",".join(body_of(tuple(row.items())) for row in unique)
    return _order_call(
        operation,
        path,
        (("category", CATEGORY), ("request", f"[{request}]")),
        lambda reply: parse.outcomes(reply, names, made),
        lane=lane,
        replay=replay,
        orders=len(rows),
    )


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
    """Any endpoint; only a GET is ever repeated. `cost` counts against the endpoint's own budget."""
    is_read = method == "GET"
    return Call(
        operation=f"raw.{method.lower()}",
        request=Request(method, path, tuple(params.items())),
        decode=decode,
        costs=(Cost("ip"), Cost(path.removeprefix("/v5/"), cost)),
        lane=Lane.QUERY if signed or not is_read else Lane.MARKET,
        replay=Replay.SAFE if is_read else Replay.NEVER,
        security=Security.SIGNED if signed else Security.PUBLIC,
    )
