"""Market data and the user's data over REST, in this exchange's shapes."""

import pytest

from exconnect.mock.bybit.shapes import day
from exconnect.mock.fixed import scaled
from exconnect.mock.history import Bar
from exconnect.mock.intervals import DAY, MINUTE

ENVELOPE = ["retCode", "retMsg", "result", "retExtInfo", "time"]


def test_the_envelope(core, answer_of):
    answer = answer_of[0](core.get("/v5/market/time"))
    assert list(answer) == ENVELOPE
    assert answer["time"] == core.now
    assert answer["result"] == {"timeSecond": str(core.now // 1000), "timeNano": str(core.now * 1_000_000)}


def test_instruments_have_no_pages_here(core, answer_of):
    rows = answer_of[1](core.get("/v5/market/instruments-info", category="spot", limit=1))["list"]
    assert [row["symbol"] for row in rows] == ["BTCUSDT", "ETHUSDT"]
    first = rows[0]
    assert first["lotSizeFilter"]["basePrecision"] == "0.00001"
    assert first["lotSizeFilter"]["minOrderAmt"] == "5"
    assert first["priceFilter"] == {"tickSize": "0.01"}
    assert rows[1]["lotSizeFilter"]["basePrecision"] == "0.0001"
    for params in ({"category": "linear"}, {"category": "spot", "symbol": "NOPE"}):
        assert answer_of[1](core.get("/v5/market/instruments-info", **params))["list"] == []


def test_instruments_of_the_account_page_by_page(make_core, answer_of):
    core = make_core(symbols={f"A{number}/USDT": "1" for number in range(5)})
    names, cursor = [], ""
    while True:
        page = answer_of[1](core.read("/v5/account/instruments-info", limit=2, cursor=cursor))
        names += [row["symbol"] for row in page["list"]]
        cursor = page["nextPageCursor"]
        if not cursor:
            break
    assert names == [f"A{number}USDT" for number in range(5)]
    assert answer_of[0](core.read("/v5/account/instruments-info", cursor="x"))["retCode"] == 10001


def test_the_book(core, answer_of):
    one = answer_of[1](core.get("/v5/market/orderbook", category="spot", symbol="BTCUSDT"))
    assert (one["b"], one["a"]) == ([["59994", "1"]], [["60006", "1"]])
    whole = answer_of[1](core.get("/v5/market/orderbook", category="spot", symbol="BTCUSDT", limit=5000))
    assert (len(whole["b"]), whole["b"][-1], whole["u"]) == (100, ["59400", "1"], one["u"])
    core.placed()
    after = answer_of[1](core.get("/v5/market/orderbook", category="spot", symbol="BTCUSDT"))
    assert (after["u"], after["seq"] - one["seq"]) == (one["u"] + 1, 1)
    for params in ({"category": "spot", "symbol": "btcusdt"}, {"category": "linear", "symbol": "BTCUSDT"}):
        assert answer_of[0](core.get("/v5/market/orderbook", **params))["retCode"] == 10001


def test_tickers(core, answer_of):
    (row,) = answer_of[1](core.get("/v5/market/tickers", category="spot", symbol="BTCUSDT"))["list"]
    assert (row["lastPrice"], row["bid1Price"], row["ask1Size"]) == ("60000", "59994", "1")
    core.world.engine.execute("BTC/USDT", "buy", scaled("100"), 0, core.now)
    rows = answer_of[1](core.get("/v5/market/tickers", category="spot"))["list"]
    assert (len(rows), rows[0]["ask1Price"], rows[0]["ask1Size"]) == (2, "", "")


def test_next_to_no_change_is_a_plain_zero(core):
    market = core.world.markets["BTCUSDT"]
    bar = Bar(open=scaled("60000"), high=scaled("60000"), low=scaled("59999.99"), close=scaled("59999.99"))
    assert day(market, bar)["price24hPcnt"] == "0"


def test_recent_trades_are_newest_first(core, answer_of):
    core.world.engine.execute("BTC/USDT", "sell", scaled("80"), 0, core.now)
    core.world.settle()
    rows = answer_of[1](core.get("/v5/market/recent-trade", category="spot", symbol="BTCUSDT"))["list"]
    ids = [int(row["execId"]) for row in rows]
    assert (len(ids), ids) == (60, sorted(ids, reverse=True))
    assert (rows[0]["side"], rows[0]["price"], rows[0]["time"]) == ("Sell", "59520", str(core.now))
    assert int(rows[0]["seq"]) == core.world.engine.books["BTC/USDT"].sequence


@pytest.mark.parametrize("interval, minutes", [("1", 1), ("60", 60), ("D", 1440)])
def test_candles(core, answer_of, interval, minutes):
    length = minutes * MINUTE
    ask = {"category": "spot", "symbol": "BTCUSDT", "interval": interval}
    newest = answer_of[1](core.get("/v5/market/kline", **ask, limit=5))["list"]
    begins = [int(row[0]) for row in newest]
    assert begins == [core.now // length * length - index * length for index in range(5)]
    for _, *texts in newest:
        begin, high, low, end, volume, turnover = map(float, texts)
        assert low <= min(begin, end) <= max(begin, end) <= high
        assert volume >= 0 <= turnover
    start, end = begins[-1], begins[1]
    ranged = answer_of[1](core.get("/v5/market/kline", **ask, start=start, end=end))["list"]
    assert [int(row[0]) for row in ranged] == begins[1:]
    capped = answer_of[1](core.get("/v5/market/kline", **ask, start=start, end=end, limit=2))["list"]
    assert [int(row[0]) for row in capped] == begins[1:3]
    onwards = answer_of[1](core.get("/v5/market/kline", **ask, start=start, limit=2))["list"]
    assert [int(row[0]) for row in onwards] == begins[-2:]


def test_candles_that_do_not_exist(core, answer_of):
    for change in ({"interval": "2"}, {"symbol": "NOPE"}, {"start": "x"}):
        params = {"category": "spot", "symbol": "BTCUSDT", "interval": "1", **change}
        assert answer_of[0](core.get("/v5/market/kline", **params))["retCode"] == 10001


def test_price_limits_are_those_that_are_enforced(core, answer_of):
    limits = answer_of[1](core.get("/v5/market/price-limit", category="spot", symbol="BTCUSDT"))
    assert (limits["buyLmt"], limits["sellLmt"]) == ("63000", "57000")
    assert core.placed(price=limits["buyLmt"], qty="0.01")["orderStatus"] == "Filled"
    assert answer_of[0](core.create(side="Sell", price="56999.99"))["retCode"] == 170194


def test_unknown_routes_and_methods(core, answer_of):

    answer = core.get("/v5/nothing")
    assert (answer.status, answer_of[0](answer)["retCode"]) == (404, 10017)
    assert core.request("DELETE", "/v5/market/time", "", {}).status == 400
    assert core.request("GET", "/v5/market/time", "", {}, "{}").status == 403


def test_realtime_shows_open_orders_and_the_latest_closed_ones(core, answer_of):
    first = core.placed(orderLinkId="first")
    second = core.placed(price="60006", orderLinkId="second")
    core.placed(symbol="ETHUSDT", price="2900", qty="1", orderLinkId="third")

    def shown(path, **params):
        return [row["orderLinkId"] for row in answer_of[1](core.read(path, **params))["list"]]

    assert shown("/v5/order/realtime") == ["third", "first"]
    assert shown("/v5/order/realtime", symbol="BTCUSDT") == ["first"]
    assert shown("/v5/order/realtime", baseCoin="ETH") == ["third"]
    assert shown("/v5/order/realtime", openOnly=1) == ["second"]
    assert shown("/v5/order/realtime", orderLinkId="second") == ["second"]
    assert shown("/v5/order/realtime", orderId=first["orderId"], orderLinkId="second") == ["first"]
    assert shown("/v5/order/history") == ["second"]
    assert shown("/v5/order/history", orderStatus="Cancelled") == []
    assert shown("/v5/order/history", orderId=second["orderId"]) == ["second"]
    assert answer_of[1](core.read("/v5/order/realtime", category="linear"))["list"] == []


def test_history_forgets(core, answer_of):
    core.placed(price="60006", orderLinkId="filled")
    core.placed(timeInForce="IOC", orderLinkId="nothing")

    def shown(**params):
        return [row["orderLinkId"] for row in answer_of[1](core.read("/v5/order/history", **params))["list"]]

    assert shown() == ["nothing", "filled"]
    begin = core.now
    core.now += DAY
    assert shown() == ["filled"]
    core.now += 7 * DAY
    assert shown() == []
    assert shown(startTime=begin - DAY, endTime=begin) == ["filled"]
    assert shown(endTime=begin) == shown(startTime=begin - 1000) == ["filled"]
    answer = core.read("/v5/order/history", startTime=begin - 8 * DAY, endTime=begin)
    assert answer_of[0](answer)["retCode"] == 181010


@pytest.mark.parametrize("path", ["/v5/order/realtime", "/v5/order/history", "/v5/execution/list"])
def test_pages(make_core, answer_of, path):
    core = make_core(limits={"orders": (1000, 1)})
    for _ in range(7):
        core.placed(**({"price": "59000"} if path.endswith("realtime") else {"price": "60100", "qty": "0.3"}))
    name = "execId" if path.endswith("list") else "orderId"
    seen, cursor, pages = [], "", 0
    while True:
        page = answer_of[1](core.read(path, limit=2, cursor=cursor))
        seen += [row[name] for row in page["list"]]
        pages += 1
        if not page["list"]:
            break
        cursor = page["nextPageCursor"]
        assert "%3A" in cursor
    assert (page["nextPageCursor"], seen) == ("", sorted(set(seen), reverse=True))
    assert len(seen) == len(answer_of[1](core.read(path))["list"])
    assert pages > 3
    assert answer_of[0](core.read(path, cursor="x"))["retCode"] == 10001


def test_fills(core, answer_of):
    row = core.placed(price="60100", qty="1.5", orderLinkId="mine")
    fills = answer_of[1](core.read("/v5/execution/list", orderLinkId="mine"))["list"]
    assert [(fill["execPrice"], fill["execQty"], fill["leavesQty"]) for fill in fills] == [
        ("60012", "0.5", "0"),
        ("60006", "1", "0.5"),
    ]
    assert {fill["orderId"] for fill in fills} == {row["orderId"]}
    assert (fills[1]["execFee"], fills[1]["feeCurrency"], fills[1]["feeRate"]) == ("0.001", "BTC", "0.001")
    assert (fills[0]["isMaker"], fills[0]["execType"]) == (False, "Trade")
    assert fills[0]["seq"] == fills[1]["seq"] + 1
    assert answer_of[1](core.read("/v5/execution/list", symbol="ETHUSDT"))["list"] == []
    assert answer_of[1](core.read("/v5/execution/list", execType="Funding"))["list"] == []


def test_balances(core, answer_of):
    core.placed(price="59000", qty="0.1")
    account = answer_of[1](core.read("/v5/account/wallet-balance", accountType="UNIFIED"))["list"][0]
    coins = {row["coin"]: row for row in account["coin"]}
    assert (coins["USDT"]["walletBalance"], coins["USDT"]["locked"]) == ("1000000", "5900")
    assert (coins["BTC"]["usdValue"], coins["BTC"]["free"], account["totalEquity"]) == ("6000000", "", "10000000")
    one = answer_of[1](core.read("/v5/account/wallet-balance", accountType="UNIFIED", coin="XRP,BTC"))["list"][0]
    assert [(row["coin"], row["walletBalance"]) for row in one["coin"]] == [("XRP", "0"), ("BTC", "100")]
    assert answer_of[0](core.read("/v5/account/wallet-balance", accountType="SPOT"))["retCode"] == 10001


def test_the_account(core, answer_of):
    (fees,) = answer_of[1](core.read("/v5/account/fee-rate", symbol="BTCUSDT"))["list"]
    assert (fees["takerFeeRate"], fees["makerFeeRate"]) == ("0.001", "0.001")
    assert answer_of[1](core.read("/v5/account/info"))["unifiedMarginStatus"] == 5
    key = answer_of[1](core.read("/v5/user/query-api"))
    assert (key["apiKey"], key["readOnly"], key["uta"], key["permissions"]["Spot"]) == (core.key, 0, 1, ["SpotTrade"])
    assert answer_of[1](core.read("/v5/account/user-setting-config"))["lpaSpot"] is False
    assert [row["coin"] for row in answer_of[1](core.read("/v5/asset/coin/query-info"))["rows"]] == [
        "USDT",
        "BTC",
        "ETH",
    ]
    check = answer_of[1](core.read("/v5/order/spot-borrow-check", symbol="BTCUSDT", side="Sell"))
    assert (check["spotMaxTradeQty"], check["spotMaxTradeAmount"]) == ("100", "6000000")
    assert answer_of[1](core.get("/v5/system/status"))["list"] == []


def test_the_ledger_sees_every_request(core):
    core.get("/v5/market/tickers", category="spot")
    core.get("/v5/market/tickers", category="spot", symbol="BTCUSDT")
    core.create(orderLinkId="mine", qty="0")
    for path, params in (
        ("/v5/order/realtime", {"orderLinkId": "mine"}),
        ("/v5/order/realtime", {}),
        ("/v5/order/realtime", {"openOnly": 1}),
        ("/v5/order/history", {}),
        ("/v5/execution/list", {}),
        ("/v5/nothing", {}),
    ):
        core.read(path, **params)
    requests = core.world.record.arrivals
    assert [request.operation for request in requests] == [
        "fetch_tickers",
        "fetch_ticker",
        "place_order",
        "fetch_order",
        "fetch_open_orders",
        "fetch_orders",
        "fetch_orders",
        "fetch_fills",
        "unknown",
    ]
    place = requests[2]
    assert (place.status, place.code, place.signed, place.params["orderLinkId"]) == (200, 170130, True, "mine")
    assert (requests[0].code, requests[0].signed, requests[-1].status) == (None, False, 404)


@pytest.mark.parametrize(
    "action, operation",
    [
        ("amend", "amend_order"),
        ("cancel", "cancel_order"),
        ("cancel-all", "cancel_all_orders"),
        ("create-batch", "place_orders"),
        ("amend-batch", "amend_orders"),
        ("cancel-batch", "cancel_orders"),
    ],
)
def test_operations_of_orders(core, action, operation):
    core.post(f"/v5/order/{action}")
    assert core.world.record.arrivals[-1].operation == operation
