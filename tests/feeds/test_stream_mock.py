"""Streams of a real client against the mock exchange: what is shown is what the exchange had."""

from __future__ import annotations

import logging
from collections import deque
from decimal import Decimal

import pytest
from seen import Seen
from toy import BTC, ETH

from exconnect.client import Client
from exconnect.errors import ClientClosed, InvalidType
from exconnect.mock import MockExchange
from exconnect.model.enums import StreamStatus
from exconnect.model.events import BookOutOfSync, Gap, TopicRefused

pytestmark = pytest.mark.network


@pytest.fixture
def mock():
    with MockExchange("binance", seed=7, activity=200.0) as mock:
        yield mock


@pytest.fixture
def client(mock):
    with Client("binance", environment=mock) as client:
        yield client


def live(stream):
    stream.start()
    assert stream.wait_live(30)
    return stream


def until_equal(mock, stream, books, symbol=BTC):
    """Still the market, then compare every level with the exchange's own book."""
    mock.activity = 0
    truth = mock.ledger.book(symbol)
    books.until(lambda items: any(b.symbol == symbol and b.sequence >= truth.sequence for b in items))
    truth = mock.ledger.book(symbol)
    book = stream.book(symbol)
    assert book.sequence == truth.sequence
    for mine, theirs in ((book.bids, truth.bids), (book.asks, truth.asks)):
        assert [tuple(level) for level in mine] == theirs[: len(mine)]


def test_the_book_is_the_exchanges_book(mock, client):
    stream = client.stream(BTC, ETH)
    books = Seen()
    stream.on_book(books)
    live(stream)
    books.count(50)
    assert all(b.is_valid and b.best_bid.price < b.best_ask.price for b in books.items)
    until_equal(mock, stream, books)
    assert mock.ledger.violations == []


def test_trades_are_the_exchanges_trades(mock, client):
    stream = client.stream(BTC)
    trades, gaps = Seen(), Seen()
    stream.on_trade(trades, on_gap=gaps)
    live(stream)
    trades.count(30)
    mock.faults.add("disconnect", on="public")
    trades.until(lambda items: len(items) > 60)
    mock.activity = 0
    ids = [int(trade.id) for trade in trades.items]
    lost = [number for gap in gaps.items for number in range(int(gap.first_id), int(gap.last_id) + 1)]
    assert sorted(ids + lost) == list(range(ids[0], ids[-1] + 1))
    assert ids == sorted(ids)
    truth = {trade.id: (trade.price, trade.quantity) for trade in mock.ledger.trades(BTC)}
    assert all(truth[t.id] == (t.price, t.quantity) for t in list(trades.items))


@pytest.mark.parametrize("fault", ["gap", "reorder", "malformed", "cross"])
def test_a_disturbed_book_heals_and_is_never_shown_wrong(mock, client, fault):
    stream = client.stream(BTC)
    books, notices = Seen(), Seen()
    stream.on_book(books)
    stream.on_notice(notices)
    live(stream)
    books.count(5)
    assert mock.faults.add(fault, on="book", symbol=BTC).wait(30)
    notices.until(lambda items: isinstance(items[0], BookOutOfSync))
    assert stream.wait_live(30)
    until_equal(mock, stream, books)
    assert all(b.best_bid.price < b.best_ask.price for b in books.items)
    assert stream.metrics()["resyncs"] == 1
    assert mock.ledger.violations == []


def test_doubled_messages_do_not_matter(mock, client):
    stream = client.stream(BTC)
    books, trades, notices = Seen(), Seen(), Seen()
    stream.on_book(books)
    stream.on_trade(trades)
    stream.on_notice(notices)
    live(stream)
    for kind in ("book", "trade"):
        assert mock.faults.add("duplicate", on=kind, count=5).wait(30)
    trades.until(lambda items: len(items) > 40)
    until_equal(mock, stream, books)
    ids = [int(trade.id) for trade in trades.items]
    assert ids == list(range(ids[0], ids[-1] + 1))
    assert notices.items == []


def test_a_lost_trade_is_a_gap(mock, client):
    stream = client.stream(BTC)
    trades, notices = Seen(), Seen()
    stream.on_trade(trades)
    stream.on_notice(notices)
    live(stream)
    trades.count(3)
    assert mock.faults.add("gap", on="trade", symbol=BTC, count=2).wait(30)
    notices.count(1)
    assert {type(notice) for notice in notices.items} == {Gap}
    assert sum(gap.count for gap in notices.items) in (1, 2)


def test_an_outage_is_one_warning_however_often_it_is_tried(mock, client, caplog):
    caplog.set_level(logging.INFO, "exconnect.stream")
    stream = client.stream(BTC)
    changes = Seen()
    stream.on_ticker(Seen())
    stream.on_status(changes)
    live(stream)

    def attempts(items):
        return sum((c.old, c.status) == (StreamStatus.CONNECTING, StreamStatus.DOWN) for c in items)

    for outage in (1, 2):
        refusal = mock.faults.add("refuse", on="public", seconds=60.0)
        changes.until(lambda items, outage=outage: attempts(items) >= 3 * outage)
        refusal.remove()
        assert stream.wait_live(30)
    levels = [record.levelname for record in caplog.records if "connecting → down" in record.getMessage()]
    assert levels[:3] == ["WARNING", "INFO", "INFO"]
    assert levels.count("WARNING") == 2


def test_refused_for_a_while(mock, client):
    stream = client.stream(BTC)
    changes = Seen()
    stream.on_ticker(Seen())
    stream.on_status(changes)
    live(stream)
    mock.faults.add("refuse", on="public", seconds=1.0)
    changes.until(lambda items: any(change.status is StreamStatus.DOWN for change in items))
    assert stream.wait_live(30)
    assert stream.metrics()["reconnects"] >= 1


def test_silence_is_noticed(mock, client):
    stream = client.stream(BTC)
    changes = Seen()
    stream.on_book(Seen())
    stream.on_status(changes)
    live(stream)
    canary = Seen()
    stream.on_trade(canary)
    canary.until(lambda items: (items[-1].time - items[0].time).total_seconds() > 2.0)  # the canary has been heard
    mock.faults.add("silence", on="public", seconds=60)
    changes.until(lambda items: any(c.status is StreamStatus.SUSPECT for c in items))


def test_a_symbol_that_is_not_listed(mock, client):
    stream = client.stream(BTC, "NOPE/USDT")
    notices, tickers = Seen(), Seen()
    stream.on_ticker(tickers)
    stream.on_notice(notices)
    live(stream)
    refused = notices.count(1)[0]
    assert isinstance(refused, TopicRefused)
    assert refused.symbol == "NOPE/USDT"
    assert tickers.count(1)[0].symbol == BTC


def test_candles_and_tickers(mock, client):
    stream = client.stream(BTC)
    candles, tickers = Seen(), Seen()
    stream.on_candle(candles, interval="1s")
    stream.on_ticker(tickers)
    live(stream)
    candle = candles.until(lambda items: any(c.is_closed for c in items), 15)[0]
    assert candle.low <= candle.open <= candle.high
    assert isinstance(tickers.count(1)[0].last, Decimal)
    opened = [c.open_time for c in candles.items]
    assert opened == sorted(opened)


def test_closing_the_client_closes_its_streams(mock):
    client = Client("binance", environment=mock)
    client.stream(BTC).on_trade(Seen())
    stream = client.stream(BTC)
    trades = Seen()
    stream.on_trade(trades)
    live(stream)
    trades.count(1)
    client.close()
    assert stream.status is StreamStatus.CLOSED
    assert stream.wait(30)


def test_a_closed_client_makes_no_stream(mock):
    client = Client("binance", environment=mock)
    client.close()
    with pytest.raises(ClientClosed, match="the client was closed: make a new one"):
        client.stream(BTC)


def test_the_name_of_a_stream_is_text(client):
    with pytest.raises(InvalidType, match="name must be text, not int"):
        client.stream(BTC, name=5)


def test_bytes_are_counted_as_they_come(mock, client):
    stream = client.stream(BTC)
    trades = Seen()
    stream.on_trade(trades)
    live(stream)
    trades.count(5)
    figures = stream.metrics()
    assert figures["bytes"] > figures["messages"] > 0


def test_a_handler_that_is_written_in_c_has_a_name(client):
    stream, items, more = client.stream(BTC), [], deque()
    stream.on_trade(items.append)
    stream.on_ticker(more.append)
    assert [each.handler for each in stream.subscriptions] == ["builtins.list.append", "collections.deque.append"]
