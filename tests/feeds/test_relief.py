"""One connection relieves another before the exchange closes it: nothing is lost, nothing comes twice."""

from __future__ import annotations

import threading

import msgspec
import pytest
from seen import Seen
from toy import BTC, ETH, SPOT, StreamedSequencer, ToyServer, ToySession, ToyVenue, whole

from exconnect.feeds import connection
from exconnect.model.enums import StreamStatus
from exconnect.model.events import BookOutOfSync, Gap
from exconnect.stream import Stream


def live(stream):
    stream.start()
    assert stream.wait_live(30)


def trade(number):
    return {"trade": BTC, "id": number}


def book(sequence, bid="99.5"):
    return {"book": BTC, "first": sequence, "last": sequence, "bids": [[bid, "1"]], "asks": []}


def candle(minute, *, closed):
    return {"candle": BTC, "at": minute, "closed": closed}


def relieved(changes, by="public-2"):
    changes.until(lambda items: any(change.reason == f"{by} has relieved it" for change in items))


def test_nothing_is_lost_and_nothing_comes_twice(stream, server, venue):
    trades, books, candles, notices, changes = Seen(), Seen(), Seen(), Seen(), Seen()
    stream.on_trade(trades)
    stream.on_book(books)
    stream.on_candle(candles)
    stream.on_notice(notices)
    stream.on_status(changes)
    live(stream)
    server.send(trade(1), book(11), candle(5, closed=False))
    trades.count(1)
    books.until(lambda items: items[-1].sequence == 11)
    candles.count(1)
    release = threading.Event()

    def later(symbol):
        release.wait(60)
        return whole(symbol, 11)

    venue.snapshot = later  # the new connection is not complete before that
    server.send({"closing": "maintenance"})
    server.until(lambda: server.count == 2 and {"book:BTCUSDT", "trade:BTCUSDT"} <= server.topics)
    server.send_all(trade(2), book(12), candle(5, closed=True), candle(6, closed=False))
    assert [item.id for item in trades.count(2)] == ["1", "2"]
    assert books.until(lambda items: items[-1].sequence == 12)
    assert stream.status is StreamStatus.LIVE
    release.set()
    relieved(changes)
    server.until(lambda: len(server.connections) == 1)
    server.send(trade(3), book(13), candle(6, closed=True))
    assert [item.id for item in trades.count(3)] == ["1", "2", "3"]
    assert books.until(lambda items: items[-1].sequence == 13)
    assert [(item.open_time.minute, item.is_closed) for item in candles.count(4)] == [
        (5, False),
        (5, True),
        (6, False),
        (6, True),
    ]
    sequences = [item.sequence for item in books.items]
    assert sequences == sorted(set(sequences))
    assert notices.items == []
    assert {change.connection for change in changes.items if change.status is StreamStatus.DOWN} == set()
    assert stream.metrics()["reconnects"] == 0
    assert server.goodbyes == [1000]


def test_what_only_the_new_one_heard_is_told_by_it(stream, server):
    trades, changes = Seen(), Seen()
    stream.on_trade(trades)
    stream.on_status(changes)
    live(stream)
    old = server.connections[-1]
    server.trades(1)
    trades.count(1)
    with server.news:  # no acknowledgement goes out: the successor waits
        server.acks = False
    server.send({"closing": "maintenance"})
    server.until(lambda: server.count == 2 and "trade:BTCUSDT" in server.topics)
    server.trades(2, 3)
    server.send({"ack": ["trade:BTCUSDT"]})
    relieved(changes)
    assert [item.id for item in trades.count(3)] == ["1", "2", "3"]
    assert old not in server.connections or server.connections[-1] is not old


def test_what_neither_heard_is_a_gap(stream, server):
    trades, notices, changes = Seen(), Seen(), Seen()
    stream.on_trade(trades)
    stream.on_notice(notices)
    stream.on_status(changes)
    live(stream)
    server.trades(1)
    trades.count(1)
    server.send({"closing": "maintenance"})
    relieved(changes)
    server.trades(4)
    trades.count(2)
    (gap,) = notices.count(1)
    assert isinstance(gap, Gap)
    assert (gap.first_id, gap.last_id, gap.count) == ("2", "3", 2)


def test_a_connection_is_relieved_before_its_life_is_over(server, monkeypatch):
    monkeypatch.setattr(connection, "_TICK_S", 0.05)
    venue = ToyVenue(server.url, market=msgspec.structs.replace(SPOT, lifetime_s=0.5))
    changes = Seen()
    stream = Stream(lambda: venue, "toy", (BTC,))
    stream.on_trade(Seen())
    stream.on_status(changes)
    try:
        live(stream)
        relieved(changes)
    finally:
        stream.close()
        venue.close()


def test_the_old_one_goes_on_while_there_is_no_new_one(stream, server):
    trades = Seen()
    stream.on_trade(trades)
    live(stream)
    with server.news:
        server.acks = False
    server.send({"closing": "maintenance"}, {"closing": "maintenance"})
    server.until(lambda: server.count == 2 and bool(server.topics))
    server.connections[0].send('{"trade": "BTC/USDT", "id": 1}')
    trades.count(1)
    assert stream.status is StreamStatus.LIVE
    assert server.count == 2  # asked twice, made once


def test_the_old_one_is_lost_before_the_new_one_is_there(stream, server):
    trades, notices, changes = Seen(), Seen(), Seen()
    stream.on_trade(trades)
    stream.on_notice(notices)
    stream.on_status(changes)
    live(stream)
    server.trades(1)
    trades.count(1)
    with server.news:
        server.acks = False
    server.send({"closing": "maintenance"})
    server.until(lambda: server.count == 2 and bool(server.topics))
    server.trades(2)
    server.connections[0].socket.shutdown(2)
    changes.until(lambda items: any(change.status is StreamStatus.DOWN for change in items))
    server.until(lambda: server.count == 3 and bool(server.topics))
    server.send_all({"ack": ["trade:BTCUSDT"]})
    relieved(changes)
    server.until(lambda: len(server.connections) == 1)
    server.trades(3)
    assert [item.id for item in trades.count(3)] == ["1", "2", "3"]
    assert notices.items == []


def test_what_is_wanted_meanwhile_is_on_both(stream, server):
    trades, changes = Seen(), Seen()
    stream.on_trade(trades, BTC)
    stream.on_status(changes)
    live(stream)
    with server.news:
        server.acks = False
    server.send({"closing": "maintenance"})
    server.until(lambda: server.count == 2 and bool(server.topics))
    stream.on_trade(trades, ETH)
    server.until(lambda: sum(request == {"sub": ["trade:ETHUSDT"]} for request in server.requests) == 2)
    server.send_all({"ack": ["trade:ETHUSDT", "trade:BTCUSDT"]})
    relieved(changes)
    server.trades(1, symbol=ETH)
    assert trades.count(1)[0].symbol == ETH


def test_closed_in_the_middle(stream, server):
    stream.on_trade(Seen())
    live(stream)
    with server.news:
        server.acks = False
    server.send({"closing": "maintenance"})
    server.until(lambda: server.count == 2 and bool(server.topics))
    stream.close()
    server.until(lambda: not server.connections)
    assert stream.status is StreamStatus.CLOSED


@pytest.mark.parametrize("sequence", [5, 40], ids=["behind", "ahead"])
def test_a_book_that_is_counted_anew(server, sequence):
    venue = ToyVenue(server.url, sequencer=StreamedSequencer)
    books, notices, changes = Seen(), Seen(), Seen()
    stream = Stream(lambda: venue, "toy", (BTC,))
    stream.on_book(books)
    stream.on_notice(notices)
    stream.on_status(changes)
    try:
        stream.start()
        server.until(lambda: "book:BTCUSDT" in server.topics)
        server.send(book(20) | {"whole": True, "asks": [["101", "1"]]})
        books.count(1)
        server.send({"closing": "maintenance"})
        server.until(lambda: server.count == 2 and "book:BTCUSDT" in server.topics)
        server.send(book(sequence) | {"whole": True, "asks": [["101", "1"]]})
        relieved(changes)
        assert books.until(lambda items: items[-1].sequence == sequence)
        assert not any(isinstance(notice, BookOutOfSync) for notice in notices.items)
    finally:
        stream.close()
        venue.close()


def test_an_exchange_that_says_when_to_come_back_is_obeyed():
    from exconnect.protocol.session import Closing

    class Strict(ToySession):
        def receive(self, text, now, received_at):
            events = super().receive(text, now, received_at)
            return [Closing(event.reason, 0.2) if isinstance(event, Closing) else event for event in events]

    with ToyServer() as server:
        venue = ToyVenue(server.url, session=Strict)
        changes = Seen()
        stream = Stream(lambda: venue, "toy", (BTC,))
        stream.on_trade(Seen())
        stream.on_status(changes)
        try:
            live(stream)
            server.send({"closing": "maintenance"})
            changes.until(lambda items: any(change.status is StreamStatus.DOWN for change in items))
            assert stream.wait_live(30)
            changes.until(lambda items: any("maintenance" in change.reason for change in items))
        finally:
            stream.close()
            venue.close()
