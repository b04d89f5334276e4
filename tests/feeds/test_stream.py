"""A stream against a scripted exchange: what comes, what is lost, what breaks and heals."""

from __future__ import annotations

import logging
import threading

import msgspec
import pytest
from seen import Seen
from toy import BTC, ETH, SPOT, StreamedSequencer, ToyServer, ToySession, ToyVenue, whole

from exconnect.errors import BookNotReady, InvalidArgument, RateLimited, StaleStream, TransportError
from exconnect.feeds import books as feeds_books
from exconnect.feeds import connection
from exconnect.feeds.feed import Feed
from exconnect.model.enums import StreamStatus
from exconnect.model.events import BookOutOfSync, Gap, HandlerFailed, TopicRefused
from exconnect.stream import Stream

LIVE = StreamStatus.LIVE


def live(stream, *symbols):
    stream.start()
    assert stream.wait_live(30)
    return stream


def test_trades_and_books_come_from_one_socket(stream, server):
    trades, books = Seen(), Seen()
    stream.on_trade(trades)
    stream.on_book(books)
    assert stream.start() is stream
    assert stream.wait_live(30)
    server.trades(1, 2, 3)
    server.book(11, bids=[["99.5", "2"]])
    assert [trade.id for trade in trades.count(3)] == ["1", "2", "3"]
    book = books.until(lambda items: items and items[-1].sequence == 11)[-1]
    assert book.is_valid
    assert str(book.best_bid.price) == "99.5"
    assert stream.book(BTC).sequence == 11
    assert server.count == 1
    assert stream.status is LIVE
    assert stream.metrics()["connects"] == 1


def test_tickers_and_candles(stream, server):
    tickers, candles = Seen(), Seen()
    stream.on_ticker(tickers)
    stream.on_candle(candles)
    live(stream)
    server.send({"tick": BTC, "last": "100"}, {"candle": BTC, "at": 5, "closed": False})
    assert str(tickers.count(1)[0].last) == "100"
    assert candles.count(1)[0].interval == "1m"
    assert server.topics == {"ticker:BTCUSDT", "candle:BTCUSDT:1m"}


def test_status_tells_the_whole_story(stream, server):
    changes = Seen()
    stream.on_status(changes)
    stream.on_book(Seen())
    live(stream)
    server.drop()
    changes.until(lambda items: [c.status for c in items].count(LIVE) == 2)
    stream.close()
    changes.until(lambda items: items[-1].status is StreamStatus.CLOSED)
    story = [(str(change.old), str(change.status)) for change in changes.items]
    assert story == [
        ("idle", "connecting"),
        ("connecting", "syncing"),
        ("syncing", "live"),
        ("live", "down"),
        ("down", "connecting"),
        ("connecting", "syncing"),
        ("syncing", "live"),
        ("live", "closed"),
    ]
    lost = changes.items[3]
    assert isinstance(lost.cause, TransportError)
    assert (lost.connection, lost.exchange) == ("public-1", "toy")
    assert stream.metrics()["reconnects"] == 1
    assert stream.status is StreamStatus.CLOSED


def test_a_connection_that_does_not_know_yet_what_to_carry_is_not_live(stream, server, monkeypatch):
    changes, trades, want = Seen(), Seen(), Feed.want

    def late(feed, what):
        # Whoever starts the connection is interrupted: its thread has connected and judged before it is told.
        if not trades.items:
            server.until(lambda: server.connections)
            server.trades(1)
            trades.count(1)
        want(feed, what)

    monkeypatch.setattr(Feed, "want", late)
    stream.on_status(changes)
    stream.on_trade(trades)
    stream.on_book(Seen())
    live(stream)
    stories = changes.until(lambda items: items[-1].status is LIVE)
    assert [str(change.status) for change in stories] == ["connecting", "syncing", "live"]


# ---------------------------------------------------------------- books


def test_a_gap_breaks_the_book_until_there_is_a_new_snapshot(stream, server, venue):
    books, notices, release = Seen(), Seen(), threading.Event()
    stream.on_book(books)
    stream.on_notice(notices)
    live(stream)
    books.count(1)

    def later(symbol):
        release.wait(60)
        return whole(symbol, 20)

    venue.snapshot = later
    server.book(13, bids=[["99.9", "1"]])
    notice = notices.count(1)[0]
    assert isinstance(notice, BookOutOfSync)
    assert (notice.symbol, notice.expected, notice.got) == (BTC, 11, 13)
    with pytest.raises(BookNotReady) as caught:
        stream.book(BTC)
    assert caught.value.state == "syncing"
    assert caught.value.since is not None
    assert not stream.book(BTC, stale_ok=True).is_valid
    assert not stream.wait_live(0)
    release.set()
    assert stream.wait_live(30)
    books.until(lambda items: items[-1].sequence == 20)
    assert all(book.is_valid for book in books.items)
    assert 13 not in [book.sequence for book in books.items]
    assert stream.metrics()["resyncs"] == 1


@pytest.mark.parametrize(
    "message",
    [
        {"book": BTC, "first": 11, "last": 11, "bids": [["101", "1"]], "asks": []},
        {"book": BTC, "first": 11, "last": 11, "bids": [["1e5", "1"]], "asks": []},
        {"broken": BTC},
    ],
    ids=["crossed", "no number", "unreadable"],
)
def test_whatever_breaks_a_book_it_is_never_shown(stream, server, venue, message):
    books, notices = Seen(), Seen()
    stream.on_book(books)
    stream.on_notice(notices)
    live(stream)
    venue.snapshot = lambda symbol: whole(symbol, 30)
    server.send(message)
    assert isinstance(notices.count(1)[0], BookOutOfSync)
    books.until(lambda items: items[-1].sequence == 30)
    assert {book.sequence for book in books.items} <= {10, 30}
    assert server.count == 1


def test_one_broken_book_does_not_touch_the_others(make, server, venue):
    stream = make(BTC, ETH)
    books = Seen()
    stream.on_book(books)
    live(stream)
    hold = threading.Event()

    def slow(symbol):
        hold.wait(60)
        return whole(symbol, 30)

    venue.snapshot = slow
    server.book(15)
    server.book(11, symbol=ETH)
    books.until(lambda items: items[-1].symbol == ETH and items[-1].sequence == 11)
    with pytest.raises(BookNotReady):
        stream.book(BTC)
    assert stream.book(ETH).is_valid
    hold.set()
    assert stream.wait_live(30)


def test_duplicates_and_old_updates_do_not_matter(stream, server):
    books, notices = Seen(), Seen()
    stream.on_book(books)
    stream.on_notice(notices)
    live(stream)
    for number in (9, 11, 11, 10, 12):
        server.book(number, bids=[["99.5", str(number)]])
    last = books.until(lambda items: items[-1].sequence == 12)[-1]
    assert str(last.best_bid.quantity) == "12"
    assert [b.sequence for b in books.items] == sorted({b.sequence for b in books.items})
    assert not notices.items


def test_updates_that_come_before_the_snapshot_are_kept(stream, server, venue):
    hold = threading.Event()

    def slow(symbol):
        hold.wait(60)
        return whole(symbol, 12)

    venue.snapshot = slow
    stream.on_book(Seen())
    stream.start()
    server.until(lambda: bool(server.topics))
    for number in range(11, 16):
        server.book(number, bids=[["99.5", str(number)]])
    server.trades(1)
    server.until(lambda: True)
    hold.set()
    assert stream.wait_live(30)
    server.book(16)
    books = Seen()
    stream.on_book(books)
    server.book(17)
    books.until(lambda items: items and items[-1].sequence == 17)
    assert stream.metrics()["resyncs"] == 0


def test_a_snapshot_that_is_too_old_is_fetched_again(stream, server, venue):
    answers = [whole(BTC, 20), whole(BTC, 5), whole(BTC, 5)]
    first = threading.Event()

    def next_answer(symbol):
        first.wait(10)
        return answers.pop()

    venue.snapshot = next_answer
    stream.on_book(Seen())
    stream.start()
    server.until(lambda: bool(server.topics))
    trades = Seen()
    stream.on_trade(trades)
    server.until(lambda: len(server.topics) == 2)
    server.book(15)
    server.trades(1)
    trades.count(1)  # the update before it has been worked off
    first.set()
    assert stream.wait_live(30)
    assert stream.book(BTC).sequence == 20
    assert answers == []


def test_a_snapshot_that_cannot_be_had_is_asked_for_again(stream, venue):
    answers = [whole(BTC, 20), RateLimited("slowly", {"retry_after": 0.05}), TransportError("no")]

    def answer(symbol):
        result = answers.pop()
        if isinstance(result, Exception):
            raise result
        return result

    venue.snapshot = answer
    stream.on_book(Seen())
    live(stream)
    assert stream.book(BTC).sequence == 20


def test_a_resync_storm_asks_for_few_snapshots(stream, server, venue):
    notices = Seen()
    stream.on_notice(notices)
    stream.on_book(Seen())
    live(stream)
    venue.snapshot = lambda symbol: whole(symbol, 100)
    server.book(100)
    notices.count(1)
    assert stream.wait_live(30)  # the first time at once
    server.book(200)
    notices.count(2)
    trades = Seen()
    stream.on_trade(trades)
    server.until(lambda: len(server.topics) == 2)
    for number in range(300, 2000, 100):
        server.book(number)
    server.trades(1)
    trades.count(1)
    assert len(venue.asked) == 2  # the second time not within five seconds


def test_a_reconnect_starts_every_book_anew(stream, server, venue):
    books, notices = Seen(), Seen()
    stream.on_book(books)
    stream.on_notice(notices)
    live(stream)
    books.count(1)
    venue.snapshot = lambda symbol: whole(symbol, 5)  # lower: the exchange was restarted
    server.drop()
    books.until(lambda items: items[-1].sequence == 5)
    assert isinstance(notices.count(1)[0], BookOutOfSync)
    assert stream.wait_live(30)
    assert stream.book(BTC).sequence == 5


def test_a_book_that_starts_in_the_stream_needs_no_snapshot_call(server):
    venue = ToyVenue(server.url, sequencer=StreamedSequencer)
    with Stream(lambda: venue, "toy", (BTC,)) as stream:
        books = Seen()
        stream.on_book(books)
        stream.start()
        server.until(lambda: bool(server.topics))
        server.book(1, bids=[["99", "1"]], asks=[["101", "1"]], whole=True)
        assert stream.wait_live(30)
        server.book(3)  # 2 is missing: it subscribes anew
        server.until(lambda: {"unsub": ["book:BTCUSDT"]} in server.requests)
        server.until(lambda: server.topics == {"book:BTCUSDT"})
        server.book(50, bids=[["99", "1"]], asks=[["101", "1"]], whole=True)
        books.until(lambda items: items[-1].sequence == 50)
        assert venue.asked == []
    venue.close()


def test_a_subscription_that_brings_no_book_is_asked_for_again(server, monkeypatch):
    monkeypatch.setattr(feeds_books, "_RESYNC_S", 0.1)
    monkeypatch.setattr(feeds_books, "_JITTER_S", 0.0)
    monkeypatch.setattr(connection, "_TICK_S", 0.05)
    venue = ToyVenue(server.url, sequencer=StreamedSequencer)
    with Stream(lambda: venue, "toy", (BTC,)) as stream:
        stream.on_book(Seen())
        stream.start()
        server.until(lambda: bool(server.topics))
        server.book(3)  # and then nothing comes any more
        server.until(lambda: server.requests.count({"unsub": ["book:BTCUSDT"]}) >= 3)
        server.until(lambda: server.topics == {"book:BTCUSDT"})
        server.book(50, bids=[["99", "1"]], asks=[["101", "1"]], whole=True)
        assert stream.wait_live(30)
    venue.close()


def test_depth_is_what_was_asked_for(stream, server, venue):
    shallow, deep = Seen(), Seen()
    stream.on_book(shallow, depth=1)
    stream.on_book(deep, depth=200)
    live(stream)
    assert len(shallow.count(1)[0].bids) == 1
    assert len(deep.count(1)[0].bids) == 2
    assert venue.asked[0][1] == 1000  # the snapshot leaves room for the price to move


def test_reading_a_book_that_is_not_there(stream, venue):
    with pytest.raises(InvalidArgument):
        stream.book(BTC)
    stream.on_book(Seen())
    with pytest.raises(BookNotReady) as caught:
        stream.book(BTC)
    assert caught.value.state == "idle"
    assert str(caught.value) == "the book of BTC/USDT is not valid now (the stream is idle: start() comes first)"
    venue.snapshot = lambda symbol: (_ for _ in ()).throw(TransportError("no"))
    stream.start()
    with pytest.raises(BookNotReady, match=r"\(the stream is (connecting|syncing): wait_live\(\) waits for it\)"):
        stream.book(BTC, stale_ok=True)  # there is no last one either
    with pytest.raises(InvalidArgument):
        stream.book(ETH)


def test_a_book_is_kept_without_a_handler(stream, server):
    stream._keep_book(ETH, 20)
    stream._keep_book(ETH, 5)
    live(stream)
    book, age = stream._peek(ETH, 1)
    assert (book.symbol, len(book.bids)) == (ETH, 1)
    assert 0 <= age < 5
    assert stream.book(ETH).is_valid
    assert stream.symbols == (BTC, ETH)
    stream.stop()
    with pytest.raises(BookNotReady):
        stream._peek(ETH, 1)


# ---------------------------------------------------------------- trades


def test_missing_trades_are_a_gap_before_the_next(stream, server):
    order, notices = [], Seen()
    trades = Seen(lambda trade: order.append(trade.id))
    stream.on_trade(trades, on_gap=order.append)
    stream.on_notice(notices)
    live(stream)
    server.trades(1, 2, 5, 5, 4, 6)
    trades.count(4)
    gap = order[2]
    assert isinstance(gap, Gap)
    assert (gap.kind, gap.symbol, gap.first_id, gap.last_id, gap.count) == ("trade", BTC, "3", "4", 2)
    assert [*order[:2], *order[3:]] == ["1", "2", "5", "6"]
    assert notices.count(1)[0] == gap
    assert stream.metrics()["gaps"] == 1


def test_what_a_lost_connection_cost_is_a_gap(stream, server):
    order = []
    trades = Seen(lambda trade: order.append(trade.id))
    stream.on_trade(trades, on_gap=lambda gap: order.append((gap.first_id, gap.last_id, gap.count)))
    live(stream)
    server.trades(1, 2)
    trades.count(2)
    server.drop()
    server.until(lambda: server.count == 2 and bool(server.topics))
    server.trades(2, 9)
    trades.count(3)
    assert order == ["1", "2", ("3", "8", 6), "9"]


@pytest.mark.parametrize("broken", [{"broken": BTC, "topic": "trade"}, {"broken": None}])
def test_a_trade_that_cannot_be_read_is_a_gap_where_ids_do_not_show_it(server, broken):
    venue = ToyVenue(server.url, market=msgspec.structs.replace(SPOT, has_consecutive_trades=False))
    stream, order = Stream(lambda: venue, "toy", (BTC,)), []
    trades = Seen(lambda trade: order.append(trade.id))
    stream.on_trade(trades, on_gap=lambda gap: order.append((gap.first_id, gap.reason)))
    stream.on_book(Seen())
    live(stream)
    server.trades(1)
    server.send({"broken": BTC, "topic": "book"})
    server.trades(2)
    server.send(broken)
    server.trades(3)
    trades.count(3)
    assert order == ["1", "2", (None, "a message made no sense"), "3"]
    assert stream.metrics()["resyncs"] == 1  # a trade is none of the book's business
    stream.close()
    venue.close()


def test_candles_missed_while_offline_are_a_gap(stream, server):
    gaps = Seen()
    candles = Seen()
    stream.on_candle(candles, on_gap=gaps)
    live(stream)
    server.send({"candle": BTC, "at": 1, "closed": True})
    candles.count(1)
    server.drop()
    server.until(lambda: server.count == 2 and bool(server.topics))
    server.send({"candle": BTC, "at": 5, "closed": False}, {"candle": BTC, "at": 4, "closed": True})
    server.send({"candle": BTC, "at": 5, "closed": True})
    assert [c.is_closed for c in candles.count(3)] == [True, False, True]
    assert [gap.kind for gap in gaps.items] == ["candle"]


# ---------------------------------------------------------------- the connection


def test_unknown_messages_are_counted_and_harmless(stream, server):
    trades = Seen()
    stream.on_trade(trades)
    live(stream)
    server.send({"what": "is this"})
    server.trades(1)
    trades.count(1)
    assert stream.metrics()["unknown"] == 1
    assert server.count == 1


@pytest.mark.parametrize("junk", ["{no json", b"\x00\x01"], ids=["text", "binary"])
def test_a_few_malformed_messages_are_dropped_many_replace_the_connection(stream, server, junk):
    trades, changes = Seen(), Seen()
    stream.on_trade(trades)
    stream.on_status(changes)
    live(stream)
    for _ in range(3):
        server.send(raw=junk)
    server.trades(1)
    trades.count(1)
    assert server.count == 1
    server.send(raw=junk)
    server.until(lambda: server.count == 2)
    assert stream.wait_live(30)
    assert stream.metrics()["malformed"] == 4
    changes.until(lambda items: any(c.status is StreamStatus.DOWN and "made no sense" in c.reason for c in items))


def test_silence_is_suspicious_and_ends_the_connection(server):
    class Impatient(ToySession):
        silence = 0.3

    venue = ToyVenue(server.url, session=Impatient)
    with Stream(lambda: venue, "toy", (BTC,)) as stream:
        changes = Seen()
        stream.on_trade(Seen())
        stream.on_status(changes)
        stream.start()
        changes.until(lambda items: any(c.status is StreamStatus.SUSPECT for c in items))
        suspect = next(c for c in changes.items if c.status is StreamStatus.SUSPECT)
        assert isinstance(suspect.cause, StaleStream)
        server.until(lambda: server.count >= 2)
    venue.close()


def test_a_server_that_is_not_there_is_tried_again_and_again(server):
    with ToyServer() as other:
        venue = ToyVenue(other.url)
    with Stream(lambda: venue, "toy", (BTC,)) as stream:
        changes = Seen()
        stream.on_trade(Seen())
        stream.on_status(changes)
        stream.start()
        changes.until(lambda items: [c.status for c in items].count(StreamStatus.DOWN) >= 4)
        assert stream.status in (StreamStatus.DOWN, StreamStatus.CONNECTING)
        assert not stream.wait_live(0)
    venue.close()


def test_a_crash_is_restarted_and_the_fifth_is_the_end(stream, server, caplog):
    changes, trades = Seen(), Seen()
    stream.on_status(changes)
    stream.on_trade(trades)
    live(stream)
    for number in range(1, 6):
        server.until(lambda number=number: server.count == number and bool(server.topics))
        server.send({"crash": f"number {number}"})
    changes.until(lambda items: items[-1].status is StreamStatus.FAILED)
    assert stream.status is StreamStatus.FAILED
    assert isinstance(changes.items[-1].cause, RuntimeError)
    with pytest.raises(RuntimeError, match="number 5"):
        stream.wait(30)
    assert server.count == 5
    assert not stream.wait_live(10)
    assert "public-1 failed" in caplog.text
    assert [r.levelname for r in caplog.records if "→ failed" in r.getMessage()] == ["ERROR"]


def test_pings_are_answered_with_their_payload(stream, server):
    stream.on_trade(Seen())
    live(stream)
    assert server.connections[-1].ping(b"are you there").wait(30)


# ---------------------------------------------------------------- what is wanted


def test_an_unknown_symbol_is_reported_and_the_others_go_on(make, server, venue, caplog):
    venue.unknown.add("NO/USDT")
    stream = make(BTC, "NO/USDT")
    notices, trades = Seen(), Seen()
    stream.on_notice(notices)
    stream.on_trade(trades)
    live(stream)
    refused = notices.count(1)[0]
    assert isinstance(refused, TopicRefused)
    assert (refused.symbol, refused.kind) == ("NO/USDT", "trade")
    server.trades(1)
    trades.count(1)
    assert "NO/USDT" in caplog.text
    stream.on_ticker(Seen(), "NO/USDT")  # asked for in another way: told again
    assert notices.count(2)[1].kind == "ticker"


def test_what_the_exchange_refuses_is_reported(make, server):
    server.refused.add("trade:ETHUSDT")
    stream = make(BTC, ETH)
    notices, trades = Seen(), Seen()
    stream.on_notice(notices)
    stream.on_trade(trades)
    live(stream)
    assert (notices.count(1)[0].symbol, notices.items[0].reason) == (ETH, "not here")
    server.trades(1)
    trades.count(1)


def test_reading_a_book_that_was_refused_says_why(make, server, venue):
    venue.unknown.add("NO/USDT")
    server.refused.add("book:ETHUSDT")
    stream = make(BTC, ETH, "NO/USDT")
    stream.on_book(Seen())
    live(stream)
    with pytest.raises(BookNotReady, match="the book of NO/USDT was refused") as caught:
        stream.book("NO/USDT")
    assert caught.value.state == "refused"
    with pytest.raises(BookNotReady, match="the book of ETH/USDT was refused: not here"):
        stream.book(ETH)
    assert stream.book(BTC).is_valid


def test_symbols_are_looked_up_again_when_the_network_was_down(stream, server, venue, caplog):
    venue.down = [TransportError("no network"), TransportError("no network")]
    stream.on_trade(Seen())
    live(stream)
    assert server.topics == {"trade:BTCUSDT"}
    assert len([r for r in caplog.records if r.levelno == logging.WARNING and "not known yet" in r.message]) == 1


def test_start_does_not_wait_for_instruments(stream, venue):
    hold = threading.Event()
    known = venue.instrument
    venue.instrument = lambda symbol, timeout: hold.wait(60) and known(symbol, timeout)
    stream.on_trade(Seen())
    stream.start()
    assert not stream.wait_live(0)
    assert stream.status is not LIVE
    hold.set()
    assert stream.wait_live(30)


def test_symbols_come_and_go_while_it_runs(stream, server):
    trades, more = Seen(), Seen()
    stream.on_trade(trades)
    live(stream)
    stream.on_trade(more, ETH)
    assert stream.wait_live(30)
    assert server.topics == {"trade:BTCUSDT", "trade:ETHUSDT"}
    server.trades(1, symbol=ETH)
    more.count(1)
    trades.until(lambda items: items and items[-1].symbol == ETH)  # without symbols: those of others too
    stream.off(more)
    server.until(lambda: server.topics == {"trade:BTCUSDT"})
    assert stream.wait_live(30)
    assert server.count == 1


def test_a_hundred_symbols_come_and_go(make, server, venue):
    stream = make("A0/USDT")
    symbols = [f"A{number}/USDT" for number in range(100)]
    trades = Seen()
    stream.on_trade(trades, *symbols)
    live(stream)
    assert len(server.topics) == 100
    assert len(venue.listed) == 1  # one call for all of them
    for symbol in symbols[:50]:
        stream.off(trades, symbol)
    for symbol in symbols[:10]:
        stream.on_trade(trades, symbol)
    assert stream.wait_live(30)
    expected = {f"trade:{s.replace('/', '')}" for s in (*symbols[:10], *symbols[50:])}
    server.until(lambda: server.topics == expected)
    for number in range(50):
        server.trades(number, symbol=symbols[60])
    trades.until(lambda items: len([t for t in items if t.symbol == symbols[60]]) == 50)
    assert server.count == 1


def test_a_thousand_topics_a_connection(make, server):
    stream = make()
    handler = Seen()
    symbols = [f"B{number}/USDT" for number in range(1001)]
    stream.on_ticker(handler, *symbols)
    changes = Seen()
    stream.on_status(changes)
    live(stream)
    assert server.count == 2
    changes.until(lambda items: {change.connection for change in items} == {"public-1", "public-2"})
    stream.off(handler, *symbols[1:])
    assert stream.wait_live(30)


def test_taken_back_and_asked_for_again_at_once(stream, server):
    trades = Seen()
    stream.on_trade(trades)
    live(stream)
    for _ in range(20):
        stream.off(trades)
        stream.on_trade(trades)
    assert stream.wait_live(30)
    server.until(lambda: server.topics == {"trade:BTCUSDT"})
    server.trades(1)
    trades.count(1)


def test_a_stream_without_symbols_says_so_once(venue, caplog):
    with Stream(lambda: venue, "toy", ()) as stream:
        stream.on_book(Seen())
        stream.start()
        assert stream.wait_live(30)  # nothing was asked for
    assert len([r for r in caplog.records if "hears nothing" in r.message]) == 1


def test_a_stream_without_handlers_says_so_when_it_is_started(stream, caplog):
    stream.on_status(Seen())  # reports ask for nothing
    stream.start()
    assert stream.wait_live(30)  # nothing was asked for
    told = [(r.levelname, r.getMessage()) for r in caplog.records if "hears nothing" in r.getMessage()]
    assert told == [("WARNING", "toy hears nothing: no handler is registered, as on_book(handler) does it")]
    with pytest.raises(InvalidArgument, match=r"registered: stream\.on_book\(handler, 'BTC/USDT'\) comes first"):
        stream.book(BTC)


def test_a_book_for_whoever_looks_is_not_nothing(stream, caplog):
    stream._keep_book(BTC, 20)
    live(stream)
    assert "hears nothing" not in caplog.text


def test_a_failing_handler_is_reported_to_the_others(stream, server):
    def fail(trade):
        raise ValueError(trade.id)

    notices = Seen()
    stream.on_trade(fail)
    stream.on_notice(notices)
    live(stream)
    server.trades(1)
    failed = notices.count(1)[0]
    assert isinstance(failed, HandlerFailed)
    assert isinstance(failed.error, ValueError)
    assert failed.item.id == "1"
    assert failed.symbol == BTC
    assert failed.handler.endswith("fail")
