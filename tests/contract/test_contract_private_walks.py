"""Walks of the account over real sockets: nothing is missed because of what somebody else had asked for meanwhile."""

from __future__ import annotations

import logging
from decimal import Decimal

import pytest
from seen import Seen

from exconnect import available
from exconnect.client import Client
from exconnect.feeds import private
from exconnect.mock import MockExchange
from exconnect.model.enums import OrderStatus
from exconnect.trading import catchup

pytestmark = pytest.mark.network

BTC, ETH = "BTC/USDT", "ETH/USDT"


@pytest.fixture
def stream(client):
    with client.stream() as stream:
        yield stream


def live(stream):
    stream.start()
    assert stream.wait_live(30), stream.status
    return stream


def resting(client, quantity="0.01", price="59999"):
    order = client.orders.wait(client.place_order(BTC, "buy", quantity, price=price), until="accepted", timeout=30)
    assert order.status is OrderStatus.NEW
    return order


def away(mock):
    """Nobody listens until the fault is removed."""
    return mock.faults.add("refuse", on="private", seconds=60.0)


def held(mock, asset="BTC"):
    return sum(mock.ledger.balances()[asset])


def last(asset, total):
    return lambda items: [b.total for b in items if b.asset == asset][-1:] == [total]


def test_an_old_order_behind_many_newer_ones(mock, client, stream, monkeypatch):
    monkeypatch.setattr(catchup, "_RECENT", 3)
    orders, fills = Seen(), Seen()
    old = resting(client)
    for _ in range(4):
        client.cancel_order(resting(client, price="59000"))
    stream.on_order(orders)
    stream.on_fill(fills)
    live(stream)
    refused = away(mock)
    assert mock.execute(BTC, "sell", "0.01", price="59999") == Decimal("0.01")
    refused.remove()
    orders.until(lambda items: OrderStatus.FILLED in [o.status for o in items if o.order_id == old.order_id])
    fills.count(1)


def test_balances_after_a_walk_that_failed_half_way(mock, client, stream):
    balances = Seen()
    resting(client)
    stream.on_balance(balances)
    live(stream)
    failing = mock.faults.add("status", on="fetch_open_orders", times=1, status=400, code=-1100)
    refused = away(mock)
    assert mock.execute(BTC, "sell", "0.01", price="59999") == Decimal("0.01")
    refused.remove()
    assert failing.wait(30)
    balances.until(last("BTC", held(mock)))


def test_balances_that_somebody_else_has_asked_for(mock, client, stream):
    balances = Seen()
    resting(client)
    stream.on_balance(balances)
    live(stream)
    refused = away(mock)
    assert mock.execute(BTC, "sell", "0.01", price="59999") == Decimal("0.01")
    assert client.fetch_balances()["BTC"].total == held(mock)
    refused.remove()
    balances.until(last("BTC", held(mock)))


def test_every_stream_of_an_account_hears_of_balances_that_changed_meanwhile(mock, client, stream):
    resting(client)
    with client.stream() as other:
        first, second = Seen(), Seen()
        stream.on_balance(first)
        other.on_balance(second)
        live(stream)
        live(other)
        refused = away(mock)
        assert mock.execute(BTC, "sell", "0.01", price="59999") == Decimal("0.01")
        refused.remove()
        first.until(last("BTC", held(mock)))
        second.until(last("BTC", held(mock)))


def test_somebody_elses_fill_where_nobody_looked_is_found_though_the_balances_are_known(mock, client, stream):
    fills = Seen()
    stream.on_fill(fills)
    live(stream)
    refused = away(mock)
    with Client(mock.exchange, environment=mock, account="other", journal=None) as other:
        other.orders.wait(other.place_order(ETH, "buy", "1", type="market"), timeout=30)
    client.fetch_balances()
    refused.remove()
    assert fills.count(1)[0].symbol == ETH


def test_fills_of_one_moment_come_in_the_exchanges_order(mock, client, stream):
    mock._core.world.engine._next_trade[BTC] = 8  # exchanges count on, and past a power of ten too
    fills = Seen()
    stream.on_fill(fills)
    live(stream)
    refused = away(mock)
    order = client.orders.wait(client.place_order(BTC, "buy", "3.5", type="market"), timeout=30)
    assert order.status is OrderStatus.FILLED
    refused.remove()
    assert [fill.id for fill in fills.count(4)] == ["8", "9", "10", "11"]


def test_a_machine_whose_clock_is_ahead_and_nobody_tells_the_time(mock, client, stream, monkeypatch):
    monkeypatch.setattr(private, "_WALK_S", 1.0)
    mock.clock_offset = -3600.0
    texts, fills = Seen(), Seen()
    listener = logging.Handler()
    monkeypatch.setattr(listener, "emit", lambda record: texts(record.getMessage()))
    log = logging.getLogger("exconnect.stream")
    log.addHandler(listener)
    try:
        mute = mock.faults.add("reset", on="fetch_time", times=None)
        stream.on_fill(fills)
        stream.start()
        texts.first(lambda text: "could not be read" in text or "do not agree" in text)
    finally:
        log.removeHandler(listener)
    monkeypatch.undo()
    mute.remove()
    live(stream)
    resting(client)
    refused = away(mock)
    assert mock.execute(BTC, "sell", "0.01", price="59999") == Decimal("0.01")
    refused.remove()
    fills.count(1)


def test_both_sides_of_a_trade_with_oneself(mock, client, monkeypatch):
    # Where pages begin at ids, one ends between two sides.
    monkeypatch.setitem(client._open().exchange.rest.PAGE, "fills", {"binance": 3, "bybit": 2}[mock.exchange])
    for _ in range(3):
        resting(client)
        client.orders.wait(
            client.place_order(BTC, "sell", "0.01", price="59999", self_trade_prevention="none"), timeout=30
        )
    truth = {(str(fill.id), str(fill.order_id)) for fill in mock.ledger.fills()}
    assert len(truth) == 6
    fills = [(fill.id, fill.order_id) for fill in client.iter_fills(BTC, start="2024-01-01")]
    assert len(fills) == 6
    assert set(fills) == truth


def test_a_symbol_that_is_not_listed_any_more(mock, client, stream, caplog):
    fills, gone = Seen(), {"binance": -1121, "bybit": 170121}[mock.exchange]
    client.fetch_ticker(ETH)  # known from before
    mock.faults.add("status", on="fetch_fills", times=None, status=400, code=gone, symbol=ETH)
    stream.on_fill(fills, BTC, ETH)
    live(stream)
    order = client.orders.wait(client.place_order(BTC, "buy", "0.01", type="market"), timeout=30)
    assert fills.count(1)[0].client_order_id == order.client_order_id
    assert caplog.text.count(f"no fills of {ETH}: there is no such symbol") == 1


@pytest.mark.parametrize("exchange", available())
def test_the_account_of_a_stream_with_very_many_symbols(exchange):
    many = {f"A{number}/USDT": "100" for number in range(300)}
    with (
        MockExchange(exchange, seed=7, activity=0, symbols=many, balances={"USDT": "1000", "A5": "1"}) as mock,
        Client(exchange, environment=mock) as client,
        client.stream(*many) as stream,
    ):
        fills = Seen()
        stream.on_fill(fills)
        live(stream)
        assert asked_for_fills(mock) <= catchup._MANY
        refused = away(mock)
        with Client(exchange, environment=mock, account="other", journal=None) as other:
            other.orders.wait(other.place_order("A7/USDT", "buy", "0.5", type="market"), timeout=30)
        refused.remove()
        assert {fill.symbol for fill in fills.count(1)} == {"A7/USDT"}
        assert asked_for_fills(mock) <= 3 * catchup._MANY


def asked_for_fills(mock):
    return sum(request.operation == "fetch_fills" for request in mock.ledger.requests)
