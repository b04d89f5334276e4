"""Public data over REST, by page and by iterator."""

import os
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from exconnect import Client, ClientClosed, Side, UnknownSymbol
from exconnect.venue.parts import Venue

pytestmark = pytest.mark.network

D = Decimal


def test_the_exchanges_clock(client, mock):
    mock.clock_offset = 3600
    ahead = client.fetch_time() - datetime.now(UTC)
    assert timedelta(minutes=59) < ahead < timedelta(minutes=61)


def test_instruments(client):
    instruments = client.fetch_instruments()
    assert set(instruments) == {"BTC/USDT", "ETH/USDT"}
    btc = instruments["BTC/USDT"]
    assert (btc.base, btc.quote, btc.exchange_symbol) == ("BTC", "USDT", "BTCUSDT")
    assert (btc.tick_size, btc.lot_size, btc.min_quantity, btc.min_notional) == (
        D("0.01"),
        D("0.00001"),
        D("0.00001"),
        D("5"),
    )
    assert client.fetch_instrument("BTC/USDT") == btc
    assert client.instruments["ETH/USDT"].symbol == "ETH/USDT"


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC-USDT", "BTC/USD", "btc/usdt", "NOPE/USDT", "BTC/USDT:USDT", ""])
def test_unknown_symbols_come_with_suggestions(client, symbol):
    with pytest.raises(UnknownSymbol) as caught:
        client.fetch_ticker(symbol)
    assert isinstance(caught.value.suggestions, tuple)
    if symbol.startswith("BTC"):
        assert "BTC/USDT" in caught.value.suggestions


def test_ticker_and_book(client, mock):
    ticker = client.fetch_ticker("BTC/USDT")
    assert (ticker.bid, ticker.ask) == (D("59994"), D("60006"))
    assert set(client.fetch_tickers()) == {"BTC/USDT", "ETH/USDT"}
    assert set(client.fetch_tickers("ETH/USDT")) == {"ETH/USDT"}
    book = client.fetch_book("BTC/USDT", depth=5)
    truth = mock.ledger.book("BTC/USDT")
    assert [tuple(level) for level in book.bids] == truth.bids[:5]
    assert [tuple(level) for level in book.asks] == truth.asks[:5]
    assert book.sequence == truth.sequence
    assert len(client.fetch_book("BTC/USDT", depth=7).bids) == 7
    assert book.raw["lastUpdateId"] == book.sequence


def test_trades(client, mock):
    for _ in range(5):
        mock.execute("BTC/USDT", "buy", "0.1")
    trades = client.fetch_trades("BTC/USDT", limit=3)
    truth = mock.ledger.trades("BTC/USDT")
    assert [trade.id for trade in trades] == [str(trade.id) for trade in truth[-3:]]
    assert trades[-1].side is Side.BUY
    assert trades[-1].notional == trades[-1].price * trades[-1].quantity
    everything = list(client.iter_trades("BTC/USDT"))
    assert [trade.id for trade in everything] == [str(trade.id) for trade in truth]
    assert [t.id for t in client.iter_trades("BTC/USDT", from_id=everything[2].id, limit=2)] == [
        t.id for t in everything[2:4]
    ]


def test_candles_by_page(client):
    page = client.fetch_candles("BTC/USDT", "1h", start="2026-01-01", end="2026-01-02")
    assert len(page) == 24
    assert page[0].open_time == datetime(2026, 1, 1, tzinfo=UTC)
    assert page[-1].close_time == datetime(2026, 1, 2, tzinfo=UTC)
    assert all(candle.is_closed for candle in page)
    assert client.fetch_candles("BTC/USDT", "1m", limit=2)[-1].is_closed is False


def test_candles_by_iterator_resume_anywhere(client):
    everything = list(client.iter_candles("BTC/USDT", "1h", start="2026-01-01", end="2026-04-01"))
    assert len(everything) == 90 * 24
    assert [c.open_time for c in everything] == sorted({c.open_time for c in everything})
    pages = client.iter_candles("BTC/USDT", "1h", start="2026-01-01", end="2026-04-01", limit=1500)
    first = [next(pages) for _ in range(1100)]
    rest = list(client.iter_candles("BTC/USDT", cursor=pages.cursor))
    assert [*first, *rest] == everything[:1500]


def test_an_error_in_the_middle_leaves_an_iterator_usable(client, mock):
    pages = client.iter_candles("BTC/USDT", "1h", start="2026-01-01", end="2026-03-15")
    got = [next(pages) for _ in range(1000)]
    fault = mock.faults.add("status", on="fetch_candles", status=400, code=-1127, times=1)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is, the iterator goes on
        next(pages)
    assert fault.fired == 1
    assert caught.value.code == -1127
    got += list(pages)
    assert len(got) == (31 + 28 + 14) * 24


def test_order_and_fill_history(client, mock):
    orders = [client.place_order("BTC/USDT", "buy", "0.01", price=str(59000 + i)) for i in range(4)]
    for order in orders[:2]:
        client.cancel_order(order)
    client.place_order("BTC/USDT", "buy", "0.05", type="market")
    history = list(client.iter_orders("BTC/USDT"))
    assert [o.client_order_id for o in history] == [o.client_order_id for o in mock.ledger.orders("BTC/USDT")]
    assert [o.client_order_id for o in client.fetch_orders("BTC/USDT", limit=2)] == [
        o.client_order_id for o in history[-2:]
    ]
    fills = list(client.iter_fills("BTC/USDT"))
    assert {f.id for f in fills} == {f.id for f in mock.ledger.fills()}
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert list(client.iter_fills("BTC/USDT", start=hour_ago)) == fills
    assert list(client.iter_fills("BTC/USDT", end=hour_ago)) == []


def test_balances_and_fees(client):
    balances = client.fetch_balances()
    assert balances["USDT"].total == D("1000000")
    assert balances["XYZ"].total == 0
    assert "XYZ" not in balances
    fees = client.fetch_fees("BTC/USDT")
    assert (fees.maker, fees.taker) == (D("0.001"), D("0.001"))


def test_raw_calls(client):
    answer = client.raw.get("/api/v3/avgPrice", {"symbol": "BTCUSDT"}, cost=2)
    assert set(answer) >= {"mins", "price"}
    account = client.raw.get("/api/v3/account", signed=True, cost=20)
    assert account["accountType"] == "SPOT"
    with pytest.raises(UnknownSymbol):
        client.raw.get("/api/v3/avgPrice", {"symbol": "NOPE"}, cost=2)


def test_health_and_metrics(client):
    client.fetch_balances()
    health = client.health()
    assert health.ok
    assert health.can_place
    assert abs(health.clock_offset_ms) < 1000
    assert any(use.used > 0 for use in health.limits.values())
    assert client.metrics()["calls"] > 0


def test_a_client_that_only_reads_is_well_without_placing(mock):
    with Client("binance", environment=mock, read_only=True) as client:
        client.fetch_balances()
        health = client.health()
    assert health.ok
    assert not health.can_place


def test_threads_that_come_first_together_share_one_venue(mock, monkeypatch):
    client, both_made = Client("binance", environment=mock), threading.Barrier(2)

    class Met(Venue):
        def __init__(self, plan):
            super().__init__(plan)
            both_made.wait(10)

    monkeypatch.setattr("exconnect.venue.parts.Venue", Met)
    opened = []
    threads = [threading.Thread(target=lambda: opened.append(client._open())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [client._open()] * 2
    assert opened[0].account.users == 1
    client.close()
    assert opened[0].account.users == 0


def test_a_client_that_is_closed_while_it_opens(mock, monkeypatch):
    client, made = Client("binance", environment=mock), []

    class Slow(Venue):
        def __init__(self, plan):
            super().__init__(plan)
            made.append(self)
            client.close()

    monkeypatch.setattr("exconnect.venue.parts.Venue", Slow)
    with pytest.raises(ClientClosed):
        client.fetch_time()
    assert made[0].account.users == 0


def test_after_close(mock):
    client = Client("binance", environment=mock)
    client.fetch_time()
    client.close()
    client.close()
    assert client.closed
    with pytest.raises(ClientClosed):
        client.fetch_time()


def test_a_client_works_in_a_forked_child(client):
    client.fetch_balances()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            order = client.place_order("BTC/USDT", "buy", "0.01", price="59000", timeout=30)
            os.write(write, order.client_order_id.encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    child_id = os.read(read, 100).decode()
    os.close(read)
    os.close(write)
    mine = client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    assert child_id
    assert child_id != mine.client_order_id
    assert {o.client_order_id for o in client.fetch_open_orders()} == {child_id, mine.client_order_id}


@pytest.mark.parametrize("offset", [-3600.0, -30.0, -3.0, 3.0, 30.0, 3600.0])
def test_an_exchange_whose_clock_jumps_is_followed(client, mock, offset):
    client.fetch_balances()
    mock.clock_offset = offset
    assert client.fetch_balances()["USDT"].total > 0
    assert client.place_order("BTC/USDT", "buy", "0.01", price="59000").is_open
    # What is three seconds old may still be valid: a slow machine asks for more time.
    is_noticed = offset != 3.0 or any(request.code == -1021 for request in mock.ledger.requests)
    assert not is_noticed or abs(client.health().clock_offset_ms - offset * 1000) < 1_000
