"""Every recorded spot message: read without an exception, and without a float in what comes out of it."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from datetime import UTC, datetime

import pytest
from floats import floats

from exconnect.errors import AuthenticationError
from exconnect.exchanges.bybit import errors, rest
from exconnect.exchanges.bybit.stream import MarketSession
from exconnect.exchanges.bybit.wire import loads
from exconnect.model.market import Candle, Ticker, Trade
from exconnect.model.order import PlaceOrder
from exconnect.protocol.call import Response
from exconnect.protocol.session import BookUpdate, Topic

AT = datetime(2026, 1, 1, tzinfo=UTC)


def sampled(samples, part):
    found = [
        (file.stem, json.loads(line))
        for file in sorted((samples / "bybit" / part).glob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    assert found, "the folder of recorded messages holds none"
    return found


def decoders(btc):
    """By the name of the recording: the call's own decoder."""

    def lookup(name):
        return dataclasses.replace(btc, symbol=f"{name}/", exchange_symbol=name)

    command = PlaceOrder("BTC/USDT", "buy", "1", price="2")
    closed = {"closed": True}
    names = ["spot-btc-03", "spot-atom-03", "1666800494330512129"]
    calls = {
        "GET_v5_market_time": rest.time(),
        "GET_v5_market_instruments_info": rest.instruments([]),
        "GET_v5_account_instruments_info": rest.instruments([]),
        "GET_v5_market_tickers": rest.fetch_tickers([], lookup),
        "GET_v5_market_orderbook": rest.fetch_book(btc, 100),
        "GET_v5_market_recent_trade": rest.fetch_trades(btc, {}, 60),
        "GET_v5_account_wallet_balance": rest.fetch_balances(),
        "GET_v5_account_fee_rate": rest.fetch_fees(btc),
        "GET_v5_user_query_api": rest.permissions(),
        "GET_v5_order_realtime": rest.fetch_open_orders(None, lookup),
        "GET_v5_order_history": rest.fetch_orders(btc, closed, limit=50, at=0),
        "GET_v5_execution_list": rest.fetch_fills(btc, {}, order_id=None, limit=100, at=0),
        "POST_v5_order_create": rest.place_order(command, btc, "x1"),
        "POST_v5_order_amend": rest.cancel_order(btc, client_order_id="x", order_id=None),
        "POST_v5_order_cancel": rest.cancel_order(btc, client_order_id="x", order_id=None),
        "POST_v5_order_cancel_all": rest.cancel_all_orders(btc)[0],
        "POST_v5_order_create_batch": rest.place_orders([(command, btc, name) for name in names]),
        "POST_v5_order_cancel_batch": rest.place_orders([(command, btc, name) for name in names]),
    }
    return {name: call.decode for name, call in calls.items()}


@pytest.mark.parametrize("part", ["rest/spot", "rest/common"])
def test_rest_answers(samples, btc, part):
    decode, seen = decoders(btc), Counter()
    for name, line in sampled(samples, part):
        raw = loads(line["raw"])
        response = Response(200, {}, line["raw"].encode())
        is_contract = part == "rest/common" and name == "GET_v5_market_instruments_info"
        if "retCode" not in raw or name not in decode or is_contract:
            assert list(floats(raw)) == []
            seen["no method"] += 1
            continue
        assert errors.error(response) is None
        assert list(floats(decode[name](response))) == [], (name, line["id"])
        seen[name] += 1
    assert len(seen) > 8


def test_what_the_recorded_answers_say(samples, btc):
    lines = {name: line["raw"] for name, line in sampled(samples, "rest/spot")}
    batch = decoders(btc)["POST_v5_order_create_batch"](Response(200, {}, lines["POST_v5_order_create_batch"].encode()))
    assert [getattr(each, "order_id", None) for each in batch] == ["1666800494330512128", "1666800494330512129", None]
    canceled = Response(200, {}, lines["POST_v5_order_cancel_batch"].encode())
    assert decoders(btc)["POST_v5_order_cancel_batch"](canceled)[2].error.code == 170213


def everything(symbols):
    """All topics there are of these symbols."""
    kinds = [("book", "", 1), ("book", "", 50), ("trade", "", 0), ("ticker", "", 0), ("candle", "1m", 0)]
    return frozenset(
        Topic(kind, f"{name}/", name, interval, depth) for name in symbols for kind, interval, depth in kinds
    )


KINDS = {"orderbook": BookUpdate, "publicTrade": Trade, "tickers": Ticker, "kline": Candle}


def test_frames(samples, market):
    found = sampled(samples, "ws/spot")
    names = {loads(line["raw"]).get("topic", "").rpartition(".")[2] for _, line in found}
    session = MarketSession(market)
    session.want(everything(names - {""}))
    session.opened(0.0, 0)
    seen = Counter()
    for name, line in found:
        raw = loads(line["raw"])
        assert list(floats(raw)) == []
        events = session.receive(line["raw"], 1.0, AT)
        kind = KINDS.get(raw.get("topic", "").partition(".")[0])
        if kind is not None:
            assert {type(event) for event in events} == {kind}, (name, line["id"])
            assert len(events) == (len(raw["data"]) if isinstance(raw["data"], list) else 1)
        for event in events:
            assert list(floats(event)) == []
        seen[kind] += 1
    assert set(KINDS.values()) <= set(seen)


def test_answers_of_every_socket(samples, market):
    for _name, line in sampled(samples, "ws/common"):
        session = MarketSession(market)
        session.want(everything({"BTCUSDT"}))
        session.opened(0.0, 0)
        for event in session.receive(line["raw"], 1.0, AT):
            assert list(floats(event)) == []


def test_a_refused_signature_of_a_recording(samples):
    for _name, line in sampled(samples, "ws/common"):
        raw = loads(line["raw"])
        if raw.get("retCode") == 10004:
            failure = errors.error(Response(200, {}, line["raw"].encode()))
            assert isinstance(failure.error, AuthenticationError)
            return
    pytest.fail("no such recording")
