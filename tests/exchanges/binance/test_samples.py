"""Every recorded spot message: read without an exception, and without a float in what comes out of it."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from datetime import UTC, datetime

import pytest
from floats import floats

from exconnect.exchanges.binance import errors, parse, rest
from exconnect.exchanges.binance.stream import MarketSession
from exconnect.exchanges.binance.wire import loads
from exconnect.model.market import Candle, Ticker, Trade
from exconnect.protocol.call import Response
from exconnect.protocol.session import BookUpdate, Closing, Topic, Unknown

AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_float_would_be_seen(btc):
    assert list(floats(btc)) == []
    assert list(floats(dataclasses.replace(btc, raw={"a": [1.5]}))) == ["value.raw['a'][0]"]


def lines(folder):
    for file in sorted(folder.rglob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            yield file.stem, json.loads(line)


def sampled(samples, *parts):
    found = [(name, line) for part in parts for name, line in lines(samples / "binance" / part)]
    assert found, "the folder of recorded messages holds none"
    return found


def decoders(btc):
    """By the name of the recording: the call's own decoder."""
    always = {"BTCUSDT": btc}

    def lookup(name):
        return dataclasses.replace(btc, symbol=f"{name}/", exchange_symbol=name) if name not in always else btc

    plain = {
        "GET_api_v3_time": rest.time(),
        "GET_api_v3_exchangeInfo": rest.instruments([]),
        "GET_api_v3_ticker_24hr": rest.fetch_tickers([], lookup),
        "GET_api_v3_depth": rest.fetch_book(btc, 100),
        "GET_api_v3_trades": rest.fetch_trades(btc, {"start": None}, 1000),
        "GET_api_v3_historicalTrades": rest.fetch_trades(btc, {"from_id": "1"}, 1000),
        "GET_api_v3_aggTrades": rest.fetch_trades(btc, {"start": 0}, 1000),
        "GET_api_v3_klines": rest.fetch_candles(btc, "1m", {"start": None}, limit=1000, at=2**41),
        "GET_api_v3_account": rest.fetch_balances(),
        "GET_api_v3_account_commission": rest.fetch_fees(btc),
        "GET_api_v3_order": rest.fetch_order(btc, client_order_id="x", order_id=None),
        "GET_api_v3_openOrders": rest.fetch_open_orders(None, lookup),
        "GET_api_v3_allOrders": rest.fetch_orders(btc, {"start": None}, limit=1000, at=0),
        "GET_api_v3_myTrades": rest.fetch_fills(btc, {"start": None}, order_id=None, limit=1000, at=0),
        "DELETE_api_v3_order": rest.cancel_order(btc, client_order_id="x", order_id=None),
        "DELETE_api_v3_openOrders": rest.cancel_all_orders(btc)[0],
    }
    decode = {name: call.decode for name, call in plain.items()}
    decode["POST_api_v3_order"] = lambda response: parse.order(loads(response.body), "BTC/USDT")
    decode["PUT_api_v3_order_amend_keepPriority"] = lambda response: parse.amended(loads(response.body), "BTC/USDT")
    return decode


def test_rest_answers(samples, btc):
    decode, seen = decoders(btc), Counter()
    for name, line in sampled(samples, "rest/spot"):
        response = Response(200, {}, line["raw"].encode())
        if errors.error(response) is not None or '"code":-' in line["raw"].replace(" ", ""):
            assert isinstance(loads(response.body)["code"], int)
            seen["refusal"] += 1
            continue
        if name not in decode:
            assert list(floats(loads(response.body))) == []
            seen["no method"] += 1
            continue
        assert list(floats(decode[name](response))) == [], (name, line["id"])
        seen[name] += 1
    assert set(decode) <= set(seen)


def test_rest_refusals(samples):
    count = 0
    for _name, line in sampled(samples, "rest/spot"):
        raw = loads(line["raw"])
        if isinstance(raw, dict) and isinstance(raw.get("code"), int) and raw["code"] < 0:
            failure = errors.error(Response(400, {}, line["raw"].encode()))
            assert failure.error.code is not None
            count += 1
    assert count >= 3


def test_replacements(samples):
    done = [
        raw.get("data", raw)
        for name, line in sampled(samples, "rest/spot")
        if name.endswith("cancelReplace") and "code" not in (raw := loads(line["raw"]))
    ]
    assert done
    for raw in done:
        order = parse.replaced(raw, "BTC/USDT", "old")
        assert list(floats(order)) == []
        assert order.replaces == "old"


def everything(symbols):
    """All topics there are of these symbols."""
    kinds = [("book", ""), ("trade", ""), ("ticker", ""), ("candle", "1m"), ("candle", "1h"), ("candle", "1s")]
    return frozenset(Topic(kind, f"{symbol}/", symbol, interval) for symbol in symbols for kind, interval in kinds)


def symbols_in(value):
    if isinstance(value, dict):
        return {value["s"]} & {str(value["s"])} if isinstance(value.get("s"), str) else symbols_in(value.get("data"))
    return set()


KINDS = {"depthUpdate": BookUpdate, "trade": Trade, "24hrTicker": Ticker, "kline": Candle, "serverShutdown": Closing}


@pytest.mark.parametrize("part", ["ws/spot", "lifecycle/spot", "sessions"])
def test_frames(samples, market, part):
    found = [(name, line) for name, line in sampled(samples, part) if "usdm" not in name]
    session = MarketSession(market)
    session.want(everything(set().union(*(symbols_in(loads(line["raw"])) for _, line in found))))
    session.opened(0.0, 0)
    seen = Counter()
    for name, line in found:
        raw = loads(line["raw"])
        events = session.receive(line["raw"], 1.0, AT)
        for event in events:
            assert list(floats(event)) == [], (name, line.get("id"))
            seen[type(event).__name__] += 1
        event = raw.get("data", raw).get("e") if isinstance(raw, dict) else None
        interval = raw.get("data", raw).get("k", {}).get("i") if event == "kline" else None
        if event in KINDS and interval in (None, "1m", "1h", "1s"):
            assert [type(each) for each in events] == [KINDS[event]], (name, line.get("id"))
        elif event not in ("avgPrice", "kline") and not name.startswith("subscribe"):
            assert all(isinstance(each, Unknown) for each in events), (name, line.get("id"))
    assert seen
