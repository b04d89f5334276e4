from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exconnect.errors import InvalidArgument, MalformedMessage, NotSupported
from exconnect.exchanges.bybit import auth, rest
from exconnect.model.enums import OrderStatus, OrderType, Side
from exconnect.model.order import AmendOrder, Order, PlaceOrder
from exconnect.protocol.call import Failure, FailureKind, Lane, Replay, Response, Security
from exconnect.protocol.pages import gather, mark_candle, mark_item, mark_order, whole

D = Decimal
WEEK = 7 * 86_400_000
AT = 1_700_000_000_000
IDS = {"category": "spot", "symbol": "BTCUSDT"}


def sent(call):
    """Method, path, parameters."""
    return call.request.method, call.request.path, dict(call.request.params)


def params(call):
    return dict(call.request.params)


def costs(call):
    return [(cost.kind, cost.amount) for cost in call.costs]


def decoded(call, result, **more):
    body = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": AT} | more
    return call.decode(Response(200, {}, json.dumps(body).encode()))


def rows(*found, cursor=""):
    return {"category": "spot", "list": list(found), "nextPageCursor": cursor}


def place(btc, *args, **kwargs):
    return rest.place_order(PlaceOrder("BTC/USDT", *args, **kwargs), btc, "x1")


@pytest.fixture
def eth(btc):
    return replace(btc, symbol="ETH/USDT", exchange_symbol="ETHUSDT")


# ---- market data ----------------------------------------------------------------------------------------------------


def test_time():
    call = rest.time()
    assert sent(call) == ("GET", "/v5/market/time", {})
    assert (costs(call), call.security, call.replay, call.lane) == (
        [("ip", 1)],
        Security.PUBLIC,
        Replay.SAFE,
        Lane.QUERY,
    )
    assert decoded(call, {"timeSecond": "1688639403", "timeNano": "1688639403423213947"}) == 1688639403423
    for broken in ({}, {"timeNano": "x"}):
        with pytest.raises(MalformedMessage):
            decoded(call, broken)


@pytest.mark.parametrize(
    "names, asked, kept",
    [
        ([], {"category": "spot"}, ["BTC/USDT", "ETH/USDT"]),
        (["ETHUSDT"], {"category": "spot", "symbol": "ETHUSDT"}, ["ETH/USDT"]),
        (["ETHUSDT", "XUSDT"], {"category": "spot"}, ["ETH/USDT"]),
    ],
)
def test_instruments(names, asked, kept, listed):
    call = rest.instruments(names)
    assert sent(call) == ("GET", "/v5/market/instruments-info", asked)
    found = decoded(call, rows(listed, {**listed, "symbol": "ETHUSDT", "baseCoin": "ETH"}))
    assert [each.symbol for each in found.instruments] == kept
    assert found.pools == ()


def test_tickers(btc, eth):
    one = rest.fetch_ticker(btc)
    assert sent(one) == ("GET", "/v5/market/tickers", IDS)
    ticker = decoded(one, rows({"symbol": "BTCUSDT", "lastPrice": "5", "bid1Price": "4"}))
    assert (ticker.last, ticker.bid, ticker.time) == (5, 4, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC))
    with pytest.raises(MalformedMessage):
        decoded(one, rows())
    known = {"BTCUSDT": btc, "ETHUSDT": eth}
    found = rows(*({"symbol": name, "lastPrice": "5"} for name in ("ETHUSDT", "NEWUSDT", "BTCUSDT")))
    assert params(rest.fetch_tickers([btc, eth], known.get)) == {"category": "spot"}
    assert params(rest.fetch_tickers([btc], known.get)) == IDS
    assert list(decoded(rest.fetch_tickers([], known.get), found)) == ["ETH/USDT", "BTC/USDT"]
    assert list(decoded(rest.fetch_tickers([btc], known.get), found)) == ["BTC/USDT"]
    with pytest.raises(MalformedMessage):
        decoded(rest.fetch_tickers([], known.get), rows("x"))


def test_a_book(btc):
    book, snapshot = rest.fetch_book(btc, 7), rest.book_snapshot(btc, 7)
    assert sent(book) == sent(snapshot) == ("GET", "/v5/market/orderbook", IDS | {"limit": "7"})
    raw = {"s": "BTCUSDT", "b": [["1", "2"]], "a": [], "u": 3, "seq": 4, "ts": AT}
    assert decoded(book, raw).best_bid == (1, 2)
    assert decoded(snapshot, raw).last_id == 3


def trade(number, time):
    return {"execId": str(number), "symbol": "BTCUSDT", "price": "1", "size": "2", "side": "Buy", "time": str(time)}


def test_trades_come_oldest_first(btc):
    call = rest.fetch_trades(btc, {"start": None, "end": None}, 60)
    assert sent(call) == ("GET", "/v5/market/recent-trade", IDS | {"limit": "60"})
    page = decoded(call, rows(trade(4, 20), trade(3, 10), trade(2, 10), trade(1, 5)))
    assert [each.id for each in page.items] == ["1", "2", "3", "4"]
    assert page.next is page.more is None


MINUTE = 60_000


def minute(number):
    return [str(number * MINUTE), "1", "2", "0.5", "1.5", "10", "15"]


def test_the_newest_candles(btc):
    call = rest.fetch_candles(btc, "1m", {"start": None, "end": None}, limit=5, at=12 * MINUTE)
    assert sent(call) == ("GET", "/v5/market/kline", IDS | {"interval": "1", "limit": "5"})
    assert call.lane is Lane.MARKET
    page = decoded(call, rows(minute(12), minute(11)))
    assert [each.is_closed for each in page.items] == [True, False]
    assert page.next is None
    until = rest.fetch_candles(btc, "1m", {"start": None, "end": 11 * MINUTE}, limit=5, at=12 * MINUTE)
    assert params(until)["end"] == str(11 * MINUTE - 1)
    assert len(decoded(until, rows(minute(11), minute(10))).items) == 1


def test_a_page_of_candles_is_no_longer_than_a_page(btc):
    call = rest.fetch_candles(btc, "1m", {"start": 5 * MINUTE, "end": 90 * MINUTE}, limit=10, at=60 * MINUTE)
    assert params(call) == IDS | {
        "interval": "1",
        "start": str(5 * MINUTE),
        "end": str(15 * MINUTE - 1),
        "limit": "10",
    }
    assert call.lane is Lane.HISTORY
    page = decoded(call, rows(minute(7), minute(6)))
    assert ([mark_candle(each)[0] for each in page.items], page.next) == (
        [6 * MINUTE, 7 * MINUTE],
        {"start": 15 * MINUTE, "end": 90 * MINUTE},
    )
    assert decoded(call, rows()).next == {"start": 15 * MINUTE, "end": 90 * MINUTE, "seek": "M"}


@pytest.mark.parametrize("end, at", [(None, 12 * MINUTE), (15 * MINUTE, 60 * MINUTE), (10 * MINUTE, 60 * MINUTE)])
def test_the_last_page_of_candles(btc, end, at):
    call = rest.fetch_candles(btc, "1m", {"start": 5 * MINUTE, "end": end}, limit=10, at=at)
    assert decoded(call, rows(minute(7))).next is None


def test_where_there_are_no_candles_the_months_are_asked(btc):
    month = 31 * 86_400_000
    for where in ({"start": 0, "end": None}, {"start": 40 * month, "end": 90 * month, "seek": "M"}):
        call = rest.fetch_candles(btc, "1m", where, limit=10, at=100 * month)
        assert params(call)["interval"] == "M"
        assert params(call)["start"] == str(max(where["start"] - month, 0))
        page = decoded(call, rows([str(89 * month)], [str(50 * month)]))
        assert (page.items, page.next) == ([], {"start": 50 * month, "end": where["end"], "seek": "D"})
        assert decoded(call, rows()).next is None
        assert decoded(call, rows([str(100 * month + 1)])).next is None


@pytest.mark.parametrize(
    "interval, word", [("1h", "60"), ("12h", "720"), ("1d", "D"), ("1w", "W"), ("1M", "M")]
)  # fmt: skip
def test_intervals_in_the_exchanges_words(btc, interval, word):
    call = rest.fetch_candles(btc, interval, {"start": None}, limit=1, at=AT)
    assert params(call)["interval"] == word


def test_then_the_days(btc):
    day = 86_400_000
    call = rest.fetch_candles(btc, "1m", {"start": 40 * day, "end": None, "seek": "D"}, limit=10, at=9000 * day)
    assert params(call) == IDS | {"interval": "D", "start": str(39 * day), "end": str(1040 * day - 1), "limit": "1000"}
    assert decoded(call, rows([str(50 * day)], [str(45 * day)])).next == {"start": 45 * day, "end": None}
    assert decoded(call, rows([str(50 * day)], [str(39 * day)])).next == {"start": 40 * day, "end": None}
    assert decoded(call, rows()).next is None


def test_candles_across_a_gap_and_from_the_beginning(btc):
    """An exchange that lists since minute 50,000 and was closed for a while."""
    opened = [*range(50_000, 52_500), *range(440_000, 441_300)]
    at = (opened[-1] + 1) * MINUTE
    asked = []

    def ask(where):
        call = rest.fetch_candles(btc, "1m", where, limit=1000, at=at)
        given = params(call)
        asked.append(given)
        start, end = int(given["start"]), int(given["end"])
        length = {"M": 31 * 1440, "D": 1440, "1": 1}[given["interval"]]
        found = sorted({number // length * length for number in opened}, reverse=True)
        return decoded(call, rows(*(minute(n) for n in found if start <= n * MINUTE <= end)))

    found = gather(ask, {"start": 0, "end": None}, mark_candle, 10_000)
    assert [mark_candle(each)[0] // MINUTE for each in found] == opened
    assert len(asked) < 20


# ---- account --------------------------------------------------------------------------------------------------------


def test_account_queries_are_signed_safe_and_counted_by_endpoint(btc):
    calls = [
        rest.fetch_balances(),
        rest.permissions(),
        rest.fetch_fees(btc),
        rest.fetch_order(btc, client_order_id="x", order_id=None),
        rest.fetch_open_orders(btc, lambda name: None),
        rest.fetch_orders(btc, {"closed": True}, limit=5, at=AT),
        rest.fetch_fills(btc, {}, order_id=None, limit=5, at=AT),
    ]
    for call in calls:
        assert (call.request.method, call.security, call.replay) == ("GET", Security.SIGNED, Replay.SAFE)
        assert call.lane is Lane.QUERY
    assert [costs(call)[1] for call in calls] == [
        ("account/wallet-balance", 1),
        ("user/query-api", 1),
        ("account/fee-rate", 1),
        ("order/realtime", 1),
        ("order/realtime", 1),
        ("order/history", 1),
        ("execution/list", 1),
    ]
    assert params(calls[0]) == {"accountType": "UNIFIED"}
    assert decoded(calls[0], rows({"coin": [{"coin": "BTC", "walletBalance": "1"}]}))["BTC"].free == 1
    assert decoded(calls[1], {"readOnly": 0, "permissions": {"Spot": ["SpotTrade"]}}).can_trade
    assert decoded(calls[2], rows({"symbol": "BTCUSDT", "makerFeeRate": "0.1", "takerFeeRate": "0.2"})).taker == D(
        "0.2"
    )


def row(number=1, created=AT, **changes):
    return {
        "orderId": str(number),
        "orderLinkId": f"x{number}",
        "symbol": "BTCUSDT",
        "side": "Buy",
        "orderType": "Limit",
        "orderStatus": "New",
        "qty": "1",
        "price": "2",
        "createdTime": str(created),
    } | changes


def test_an_order_is_in_one_of_two_places(btc):
    first = rest.fetch_order(btc, client_order_id="x1", order_id=None)
    assert sent(first) == ("GET", "/v5/order/realtime", {"category": "spot", "orderLinkId": "x1"})
    page = decoded(first, rows())
    second = rest.fetch_order(btc, client_order_id="x1", order_id="7", where=page.next)
    assert sent(second) == ("GET", "/v5/order/history", {"category": "spot", "orderId": "7"})
    assert decoded(second, rows()).next is None
    assert decoded(first, rows(row())).items[0].client_order_id == "x1"
    assert decoded(first, rows(row(symbol="ETHUSDT"))).items == []  # an id of another symbol


def test_open_orders_of_all_symbols(eth):
    call = rest.fetch_open_orders(None, {"ETHUSDT": eth}.get)
    assert sent(call) == ("GET", "/v5/order/realtime", {"category": "spot", "limit": "50"})
    page = decoded(call, rows(row(2, AT + 5, symbol="ETHUSDT"), row(1, symbol="NEWUSDT")))
    assert [(order.order_id, order.symbol) for order in page.items] == [("1", "NEWUSDT"), ("2", "ETH/USDT")]
    assert page.more is None
    with pytest.raises(MalformedMessage):
        decoded(call, rows("x"))


def test_open_orders_page_by_page(btc):
    call = rest.fetch_open_orders(btc, {}.get)
    full = [row(number) for number in range(50)]
    assert decoded(call, rows(*full)).more is None
    more = decoded(call, rows(*full, cursor="7%3A0%2C7%3A0")).more
    assert more == {"cursor": "7:0,7:0"}
    following = rest.fetch_open_orders(btc, {}.get, more)
    assert params(following) == IDS | {"limit": "50", "cursor": "7:0,7:0"}
    assert auth.encode(following.request).query.endswith("&cursor=7%3A0%2C7%3A0")  # as the exchange had written it


class History:
    """Orders and fills as the exchange would give them: newest first, a week at a time, a few on a page."""

    def __init__(self, closed=(), live=(), page=3):
        self.rows = {"order/history": closed, "order/realtime": live, "execution/list": closed}
        self.page = page
        self.asked = []

    def ask(self, call):
        given = params(call)
        path = call.request.path.removeprefix("/v5/")
        self.asked.append((path, given))
        start, end = int(given.get("startTime", 0)), int(given.get("endTime", 2**60))
        assert path == "order/realtime" or "startTime" not in given or end - start < WEEK
        time = "execTime" if path == "execution/list" else "createdTime"
        found = [each for each in self.rows[path] if start <= int(each[time]) <= end]
        found = sorted(found, key=lambda each: int(each[time]), reverse=True)[int(given.get("cursor", 0)) :]
        cursor = str(int(given.get("cursor", 0)) + self.page) if found else ""
        return decoded(call, rows(*found[: self.page], cursor=cursor))

    def orders(self, btc, where, limit=1000):
        def ask(where):
            return self.ask(rest.fetch_orders(btc, where, limit=self.page, at=AT))

        return [order.order_id for order in gather(ask, where, mark_order, limit)]

    def fills(self, btc, where, order_id=None):
        def ask(where):
            return self.ask(rest.fetch_fills(btc, where, order_id=order_id, limit=self.page, at=AT))

        return [fill.id for fill in gather(ask, where, mark_item, 1000)]


def test_the_history_and_the_open_orders_are_one(btc):
    closed = [row(n, AT - n * 86_400_000, orderStatus="Filled") for n in range(1, 30)]
    live = [row(100 + n, AT - n * 2 * 86_400_000 - 5) for n in range(10)]
    expected = [each["orderId"] for each in sorted([*closed, *live], key=lambda each: int(each["createdTime"]))]
    history = History(closed, live)
    assert history.orders(btc, {"start": AT - 40 * 86_400_000, "end": None}) == expected
    assert history.orders(btc, {"start": AT - 40 * 86_400_000, "end": None}, 7) == expected[:7]
    middle = {"start": AT - 20 * 86_400_000, "end": AT - 3 * 86_400_000}
    assert history.orders(btc, middle) == [
        each["orderId"]
        for each in sorted([*closed, *live], key=lambda each: int(each["createdTime"]))
        if middle["start"] <= int(each["createdTime"]) < middle["end"]
    ]


def test_weeks_before_the_oldest_open_order_are_not_asked_for_open_ones(btc):
    history = History([row(1, AT - 5 * WEEK, orderStatus="Filled")], [row(2, AT - 10)])
    assert history.orders(btc, {"start": 0, "end": None}) == ["1", "2"]
    assert sum(path == "order/realtime" for path, _ in history.asked) == 2


def test_without_a_beginning_the_last_ninety_days_and_what_is_open(btc):
    day = 86_400_000
    closed = [row(n, AT - age * day, orderStatus="Filled") for n, age in ((1, 91), (2, 89), (3, 1))]
    live = [row(10 + n, AT - (400 - n) * day) for n in range(5)]  # two pages of them
    history = History(closed, live)
    assert history.orders(btc, {"start": 0, "end": None}) == ["10", "11", "12", "13", "14", "2", "3"]
    assert sum(path == "order/history" for path, _ in history.asked) == 13
    history = History([execution(1, AT - 91 * day), execution(2, AT - 89 * day), execution(3, AT - day)])
    assert history.fills(btc, {"start": 0, "end": None}) == ["2", "3"]
    assert len(history.asked) == 13
    assert history.fills(btc, {"start": 0, "end": AT - 5 * day}) == ["1", "2"]
    assert history.fills(btc, {"start": AT - 100 * day, "end": None}) == ["1", "2", "3"]


def test_the_newest_orders(btc):
    closed = [row(n, AT - n, orderStatus="Filled") for n in range(1, 9)]
    history = History(closed, [row(20, AT - 2)])
    assert history.orders(btc, {"start": None, "end": None}, 3) == ["2", "20", "1"]
    assert [path for path, _ in history.asked] == ["order/realtime", "order/history"]


def execution(number, time, **changes):
    return {
        "symbol": "BTCUSDT",
        "orderId": "7",
        "side": "Buy",
        "execId": str(number),
        "execPrice": "1",
        "execQty": "1",
        "execTime": str(time),
        "execType": "Trade",
        "seq": number,
    } | changes


def test_fills_of_many_weeks_ascending(btc):
    fills = [execution(n, AT - 30 * 86_400_000 + n // 4 * 6 * 3_600_000) for n in range(1, 100)]
    history = History(fills)
    everything = [str(n) for n in range(1, 100)]
    assert history.fills(btc, {"start": AT - 31 * 86_400_000, "end": None}) == everything
    one = whole(
        lambda where: history.ask(rest.fetch_fills(btc, where, order_id="7", limit=3, at=AT)),
        {"start": None},
        mark_item,
    )
    assert [fill.id for fill in one.items] == everything
    newest = rest.fetch_fills(btc, {"start": None, "end": AT}, order_id=None, limit=3, at=AT)
    assert params(newest) == IDS | {"endTime": str(AT - 1), "limit": "3"}
    assert decoded(newest, rows(*fills[:3], cursor="x")).more is None


def test_funding_is_no_fill(btc):
    call = rest.fetch_fills(btc, {"start": None}, order_id="7", limit=3, at=AT)
    assert params(call) == IDS | {"orderId": "7", "limit": "3"}
    page = decoded(call, rows(execution(2, AT, seq=None), execution(1, AT, execType="Funding")))
    assert [fill.id for fill in page.items] == ["2"]


# ---- orders ---------------------------------------------------------------------------------------------------------

LIMIT = {"orderType": "Limit", "timeInForce": "GTC"}


@pytest.mark.parametrize(
    "args, kwargs, expected",
    [
        (("buy", "0.0100"), {"price": "60000.10"}, LIMIT | {"side": "Buy", "qty": "0.01", "price": "60000.1"}),
        (("sell", "1E+2"), {"price": "1E-5", "time_in_force": "ioc"},
         {"side": "Sell", "orderType": "Limit", "timeInForce": "IOC", "qty": "100", "price": "0.00001"}),
        (("buy", 1), {"price": 10, "time_in_force": "fok"},
         {"side": "Buy", "orderType": "Limit", "timeInForce": "FOK", "qty": "1", "price": "10"}),
        (("buy", "1"), {"price": "2", "post_only": True},
         {"side": "Buy", "orderType": "Limit", "timeInForce": "PostOnly", "qty": "1", "price": "2"}),
        (("buy", "1"), {"type": "market"},
         {"side": "Buy", "orderType": "Market", "qty": "1", "marketUnit": "baseCoin"}),
        (("buy",), {"type": "market", "quote_quantity": "25.50"},
         {"side": "Buy", "orderType": "Market", "qty": "25.5", "marketUnit": "quoteCoin"}),
        (("sell", "1"), {"type": "stop_loss", "stop_price": "5"},
         {"side": "Sell", "orderType": "Market", "qty": "1", "marketUnit": "baseCoin", "triggerPrice": "5",
          "orderFilter": "StopOrder"}),
        (("sell", "2"),
         {"type": "take_profit_limit", "stop_price": "5", "price": "4", "extra": {"orderFilter": "tpslOrder"}},
         LIMIT | {"side": "Sell", "qty": "2", "price": "4", "triggerPrice": "5", "orderFilter": "tpslOrder"}),
        (("buy", "1"), {"price": "2", "self_trade_prevention": "expire_maker", "extra": {"takeProfit": "9"}},
         LIMIT | {"side": "Buy", "qty": "1", "price": "2", "smpType": "CancelMaker", "takeProfit": "9"}),
        (("buy", "1"), {"type": "market", "extra": {"slippageToleranceType": "Percent", "slippageTolerance": "0.5"}},
         {"side": "Buy", "orderType": "Market", "qty": "1", "marketUnit": "baseCoin",
          "slippageToleranceType": "Percent", "slippageTolerance": "0.5"}),
    ],
)  # fmt: skip
def test_orders_of_every_kind(btc, args, kwargs, expected):
    call = place(btc, *args, **kwargs)
    assert sent(call) == ("POST", "/v5/order/create", IDS | {"orderLinkId": "x1"} | expected)
    names = [name for name, _ in call.request.params]
    assert len(names) == len(set(names))


def test_what_placing_costs_and_allows(btc):
    call = place(btc, "buy", "1", price="2")
    assert costs(call) == [("ip", 1), ("order/create", 1)]
    assert (call.replay, call.lane, call.security) == (Replay.NEVER, Lane.PLACE, Security.SIGNED)
    assert (call.operation, call.symbol, call.client_order_id) == ("place_order", "BTC/USDT", "x1")
    ack = decoded(call, {"orderId": "7", "orderLinkId": "x1"})
    assert (ack.status, ack.order_id, ack.client_order_id) == (OrderStatus.ACCEPTED, "7", "x1")
    with pytest.raises(MalformedMessage):
        decoded(call, {})


@pytest.mark.parametrize("name", ["qty", "orderLinkId", "category", "triggerPrice", "marketUnit", "smpType"])
def test_extra_cannot_say_what_the_order_says(btc, name):
    with pytest.raises(InvalidArgument, match=name) as caught:
        place(btc, "buy", "1", price="2", extra={name: "1"})
    assert caught.value.argument == "extra"


@pytest.mark.parametrize(
    "kwargs, capability",
    [
        ({"price": "2", "reduce_only": True}, "futures"),
        ({"price": "2", "iceberg_quantity": "0.5"}, "iceberg"),
        ({"type": "stop_loss", "trailing_delta_bps": 10}, "trailing_stop"),
    ],
)
def test_what_spot_has_not_got(btc, kwargs, capability):
    with pytest.raises(NotSupported) as caught:
        place(btc, "sell", "1", **kwargs)
    assert caught.value.capability == capability


def test_there_is_no_test_call(btc):
    with pytest.raises(NotSupported):
        rest.validate_order(PlaceOrder("BTC/USDT", "buy", "1", price="2"), btc, "x1")


@given(
    st.decimals(min_value="0.000001", max_value=10**6, places=6),
    st.decimals(min_value="0.1", max_value=10**6, places=1),
)
def test_numbers_travel_in_plain_digits(btc, quantity, price):
    given_ = params(place(btc, "buy", quantity, price=price))
    for text, number in ((given_["qty"], quantity), (given_["price"], price)):
        assert "e" not in text.lower()
        assert D(text) == number


def order(**changes):
    fields = {
        "exchange": "bybit",
        "client_order_id": "x1",
        "order_id": "28",
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "status": OrderStatus.NEW,
        "quantity": D(2),
        "price": D(100),
    }
    return Order(**fields | changes)


def test_amending_keeps_the_order(btc):
    call = rest.amend_order(order(), AmendOrder("x1", price="99.50"), btc, "new")
    assert sent(call) == ("POST", "/v5/order/amend", IDS | {"orderId": "28", "price": "99.5"})
    assert (call.client_order_id, call.replay, call.lane) == ("x1", Replay.ABSOLUTE, Lane.PLACE)
    assert decoded(call, {"orderId": "28", "orderLinkId": "x1"}) is None
    both = rest.amend_order(order(order_id=None), AmendOrder("x1", price=9, quantity=3), btc, "new")
    assert params(both) == IDS | {"orderLinkId": "x1", "price": "9", "qty": "3"}


@pytest.mark.parametrize(
    "known, kind",
    [
        (None, "Order"),
        (order(), "Order"),
        (order(type=OrderType.STOP_LOSS, status=OrderStatus.UNTRIGGERED), "StopOrder"),
        (order(type=OrderType.STOP_LOSS, status=OrderStatus.ACCEPTED, raw={"stopOrderType": "Stop"}), "StopOrder"),
        (
            order(type=OrderType.STOP_LOSS, status=OrderStatus.UNTRIGGERED, raw={"stopOrderType": "tpslOrder"}),
            "tpslOrder",
        ),
        (order(type=OrderType.STOP_LOSS, status=OrderStatus.NEW, raw={"stopOrderType": "Stop"}), "Order"),
        (order(type=OrderType.STOP_LOSS_LIMIT, status=OrderStatus.PARTIALLY_FILLED, filled_quantity=D(1)), "Order"),
    ],
)
def test_a_cancel_says_the_kind_of_order(btc, known, kind):
    call = rest.cancel_order(btc, client_order_id="x1", order_id=None, known=known)
    assert sent(call) == ("POST", "/v5/order/cancel", IDS | {"orderLinkId": "x1", "orderFilter": kind})
    assert (call.replay, call.lane, costs(call)[1]) == (Replay.ABSOLUTE, Lane.CANCEL, ("order/cancel", 1))
    assert decoded(call, {"orderId": "28", "orderLinkId": "x1"}) is None


def test_cancel_all_leaves_no_kind_behind(btc):
    calls = rest.cancel_all_orders(btc)
    assert [params(call)["orderFilter"] for call in calls] == [
        "Order",
        "StopOrder",
        "tpslOrder",
        "OcoOrder",
        "BidirectionalTpslOrder",
    ]
    for call in calls:
        assert call.request.path == "/v5/order/cancel-all"
        assert call.lane is Lane.CANCEL
    named = decoded(calls[0], {"list": [{"orderId": "1", "orderLinkId": "a"}], "success": "1"})
    assert [(each.client_order_id, each.status) for each in named] == [("a", OrderStatus.ACCEPTED)]
    assert decoded(calls[0], {"success": "1"}) == []


# ---- batches --------------------------------------------------------------------------------------------------------


def body(call):
    return json.loads(auth.encode(call.request).body)


def test_placing_several(btc, eth):
    commands = [
        (PlaceOrder("BTC/USDT", "buy", "1", price="2"), btc, "a"),
        (PlaceOrder("ETH/USDT", "sell", "3", price="4"), eth, "b"),
    ]
    call = rest.place_orders(commands)
    assert body(call)["category"] == "spot"
    assert [each["orderLinkId"] for each in body(call)["request"]] == ["a", "b"]
    assert (call.replay, costs(call)) == (Replay.NEVER, [("ip", 1), ("order/create-batch", 2)])
    acks = [
        {"symbol": "ETHUSDT", "orderId": "2", "orderLinkId": "b", "createAt": str(AT)},
        {"orderId": "", "orderLinkId": ""},
    ]
    verdicts = {"list": [{"code": 0, "msg": "OK"}, {"code": 170131, "msg": "poor"}]}
    first, second = decoded(call, rows(*acks), retExtInfo=verdicts)
    # "b" is named in the first row; the second names nobody and stands in the place of "b": of "a" nothing is said
    assert second.order_id == "2"
    assert (type(first), first.kind) == (Failure, FailureKind.SERVER)


def test_results_of_a_batch_by_id_and_by_place(btc):
    commands = [(PlaceOrder("BTC/USDT", "buy", "1", price="2"), btc, name) for name in "abc"]
    call = rest.place_orders(commands)
    acks = [
        {"symbol": "BTCUSDT", "orderId": "1", "orderLinkId": "a"},
        {"symbol": "BTCUSDT", "orderId": "", "orderLinkId": ""},
        {"symbol": "BTCUSDT", "orderId": "3", "orderLinkId": "c"},
    ]
    verdicts = [{"code": 0, "msg": "OK"}, {"code": 170131, "msg": "poor"}, {"code": 0, "msg": "OK"}]
    a, b, c = decoded(call, rows(*acks), retExtInfo={"list": verdicts})
    assert (a.order_id, a.symbol, c.order_id) == ("1", "BTC/USDT", "3")
    assert (b.kind, b.error.code) == (FailureKind.BUSINESS, 170131)
    short = decoded(call, rows(*acks[:2]), retExtInfo={"list": verdicts[:1]})
    assert short[0].order_id == "1"
    assert [each.kind for each in short[1:]] == [FailureKind.SERVER, FailureKind.SERVER]
    assert [each.kind for each in decoded(call, rows(), retExtInfo=None)] == [FailureKind.SERVER] * 3


@pytest.mark.parametrize(
    "names, codes, told",
    [
        ("cba", (0, 7, 0), {"a": 0, "b": 7, "c": 0}),  # in another order
        ("a-c", (0, 7, 0), {"a": 0, "b": 7, "c": 0}),  # by its place, which the others prove
        ("---", (0, 7, 0), {"a": 0, "b": 7, "c": 0}),
        ("b-c", (0, 7, 0), {"b": 0, "c": 0}),  # not in place: whose it is cannot be told
        ("a-", (0, 7), {"a": 0}),  # nor where the answer is short
        ("a-c", (0, 7), {"a": 0}),
        ("ab", (0, 0, 0), {"a": 0, "b": 0}),
        ("axc", (0, 0, 0), {"a": 0, "c": 0}),  # nobody that was asked for
        ("", (), {}),
    ],
)
def test_what_is_said_of_one_is_never_believed_of_another(btc, names, codes, told):
    call = rest.cancel_orders([(order(client_order_id=name), btc) for name in "abc"])
    acks = [{"symbol": "BTCUSDT", "orderId": "", "orderLinkId": name.strip("-")} for name in names]
    results = decoded(call, rows(*acks), retExtInfo={"list": [{"code": code, "msg": ""} for code in codes]})
    for name, result in zip("abc", results, strict=True):
        if name not in told:
            assert (result.kind, result.error.code) == (FailureKind.SERVER, None)
        else:
            assert (None if result is None else result.error.code) == (told[name] or None)


def test_amending_and_canceling_several(btc):
    call = rest.amend_orders([(order(), AmendOrder("x1", price="3"), btc)])
    assert body(call)["request"] == [{"symbol": "BTCUSDT", "orderId": "28", "price": "3", "orderLinkId": "x1"}]
    ok = {"list": [{"code": 0, "msg": "OK"}]}
    assert decoded(call, rows({"orderId": "28", "orderLinkId": "x1"}), retExtInfo=ok) == [None]
    call = rest.cancel_orders([(order(order_id=None), btc), (order(client_order_id="x2"), btc)])
    assert [each["orderLinkId"] for each in body(call)["request"]] == ["x1", "x2"]
    assert (call.lane, costs(call)[1]) == (Lane.CANCEL, ("order/cancel-batch", 2))


# ---- anything else --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method, signed, replay, lane", [
    ("GET", False, Replay.SAFE, Lane.MARKET),
    ("GET", True, Replay.SAFE, Lane.QUERY),
    ("POST", True, Replay.NEVER, Lane.QUERY),
])  # fmt: skip
def test_raw(method, signed, replay, lane):
    call = rest.raw(
        method, "/v5/account/info", {"a": "b"}, signed=signed, cost=2, decode=lambda response: response.status
    )
    assert sent(call) == (method, "/v5/account/info", {"a": "b"})
    assert (call.replay, call.lane, costs(call)) == (replay, lane, [("ip", 1), ("account/info", 2)])
    assert call.decode(Response(201, {}, b"")) == 201
