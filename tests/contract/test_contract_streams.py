"""Public streams are the same everywhere: what comes, what is lost, and how a book heals."""

from __future__ import annotations

from decimal import Decimal

import pytest
from seen import Seen

from exconnect import BookNotReady, BookOutOfSync, InvalidArgument, Side, Source, StreamStatus, TopicRefused

pytestmark = pytest.mark.network

D = Decimal
BTC, ETH = "BTC/USDT", "ETH/USDT"


@pytest.fixture
def stream(client):
    with client.stream(BTC, ETH) as made:
        yield made


def go_live(stream):
    stream.start()
    assert stream.wait_live(30)


def reaches_the_truth(mock, stream, books, symbol=BTC):
    """Waits for the ledger's book, then compares every level of every side."""
    truth = mock.ledger.book(symbol)
    books.first(lambda book: book.symbol == symbol and book.sequence == truth.sequence)
    book = stream.book(symbol)
    assert book.is_valid
    assert book.sequence == truth.sequence
    for ours, theirs in ((book.bids, truth.bids), (book.asks, truth.asks)):
        assert len(ours) == 50
        assert [tuple(level) for level in ours] == theirs[:50]
    assert all(each.best_bid.price < each.best_ask.price for each in books.items)
    assert all(each.is_valid for each in books.items)


def test_all_kinds_live(client, mock, stream):
    books, trades, tickers, candles = Seen(), Seen(), Seen(), Seen()
    stream.on_book(books)
    stream.on_trade(trades)
    stream.on_ticker(tickers)
    stream.on_candle(candles, interval="1m")
    go_live(stream)
    mock.execute(BTC, "buy", "0.5")
    mock.execute(ETH, "sell", "0.25")

    trade = trades.first(lambda trade: trade.symbol == BTC)
    assert (trade.exchange, trade.price, trade.quantity, trade.side) == (mock.exchange, D(60006), D("0.5"), Side.BUY)
    assert trade.id == str(mock.ledger.trades(BTC)[-1].id)
    assert trades.first(lambda trade: trade.symbol == ETH).side is Side.SELL
    ticker = tickers.first(lambda ticker: ticker.symbol == BTC and ticker.last == D(60006))
    candle = candles.first(lambda candle: candle.symbol == BTC and candle.volume >= D("0.5"))
    assert candle.interval == "1m"
    assert candle.low <= candle.close <= candle.high
    reaches_the_truth(mock, stream, books)
    reaches_the_truth(mock, stream, books, ETH)
    assert stream.book(BTC).source is Source.STREAM
    assert stream.status is StreamStatus.LIVE
    assert stream.metrics()["malformed"] == 0
    for item in (trade, ticker, candle, books.items[-1]):
        assert item.received_at.tzinfo is not None
        assert item.time.tzinfo is not None


def test_what_is_not_there_to_be_read(client, stream):
    with pytest.raises(InvalidArgument):
        stream.book(BTC)
    stream.on_book(Seen(), BTC)
    with pytest.raises(BookNotReady):
        stream.book(BTC)


def test_books_of_another_depth(mock, stream):
    books = Seen()
    stream.on_book(books, BTC, depth=1)
    go_live(stream)
    assert (len(stream.book(BTC).bids), len(stream.book(BTC).asks)) in {(1, 1), (50, 50)}
    assert len(books.first(lambda book: book.is_valid).bids) == 1


def test_a_bad_symbol_costs_the_others_nothing(client):
    notices, tickers = Seen(), Seen()
    with client.stream(BTC, "NOPE/USDT") as stream:
        stream.on_ticker(tickers)
        stream.on_notice(notices)
        go_live(stream)
        assert notices.first(lambda notice: isinstance(notice, TopicRefused)).symbol == "NOPE/USDT"
        assert tickers.first(lambda ticker: ticker.symbol == BTC).last == 60000


def test_a_lost_connection_comes_back(mock, stream):
    books, trades, changes = Seen(), Seen(), Seen()
    stream.on_book(books)
    stream.on_trade(trades)
    stream.on_status(changes)
    go_live(stream)
    assert mock.faults.add("disconnect", on="public").wait(30)
    changes.first(lambda change: change.status is StreamStatus.DOWN)
    assert stream.wait_live(30)
    mock.execute(BTC, "buy", "0.5")
    trades.first(lambda trade: trade.quantity == D("0.5"))
    reaches_the_truth(mock, stream, books)
    assert stream.metrics()["reconnects"] >= 1


@pytest.mark.parametrize("fault", ["gap", "cross", "malformed"])
def test_a_disturbed_book_is_out_of_sync_then_right_again(mock, stream, fault):
    books, notices = Seen(), Seen()
    stream.on_book(books)
    stream.on_notice(notices)
    go_live(stream)
    planned = mock.faults.add(fault, on="book", symbol=BTC)
    mock.execute(BTC, "buy", "0.5")
    assert planned.wait(30)
    mock.execute(BTC, "buy", "0.1")
    notice = notices.first(lambda notice: isinstance(notice, BookOutOfSync))
    assert (notice.exchange, notice.symbol) == (mock.exchange, BTC)
    assert stream.wait_live(30)
    reaches_the_truth(mock, stream, books)
    reaches_the_truth(mock, stream, books, ETH)
    assert stream.metrics()["resyncs"] == 1


def test_doubled_messages_do_not_matter(mock, stream):
    books, trades, notices = Seen(), Seen(), Seen()
    stream.on_book(books)
    stream.on_trade(trades)
    stream.on_notice(notices)
    go_live(stream)
    faults = [mock.faults.add("duplicate", on=kind, symbol=BTC, count=3) for kind in ("book", "trade")]
    for _ in range(4):
        mock.execute(BTC, "sell", "0.1")
    assert all(fault.wait(30) for fault in faults)
    last = str(mock.ledger.trades(BTC)[-1].id)
    trades.first(lambda trade: trade.id == last)
    reaches_the_truth(mock, stream, books)
    assert [trade.id for trade in trades.items] == [str(trade.id) for trade in mock.ledger.trades(BTC)[-4:]]
    assert notices.items == []
