from __future__ import annotations

from toy import BTC, Seen

from exconnect.model.enums import StreamStatus


def test_trades_and_books_come_from_one_socket(stream, server):
    trades, books = Seen(), Seen()
    stream.on_trade(trades)
    stream.on_book(books)
    assert stream.start() is stream
    assert stream.wait_live(10)
    server.trades(1, 2, 3)
    server.book(11, bids=[["99.5", "2"]])
    assert [trade.id for trade in trades.count(3)] == ["1", "2", "3"]
    book = books.until(lambda items: items[-1].sequence == 11)[-1]
    assert book.is_valid
    assert str(book.best_bid.price) == "99.5"
    assert stream.book(BTC).sequence == 11
    assert server.count == 1
    assert stream.status is StreamStatus.LIVE
