"""The audit of books: what no continuity shows is found by comparing with a fresh snapshot."""

from __future__ import annotations

import threading

import pytest
from msgspec.structs import replace
from seen import Seen
from toy import BTC, whole

from exconnect.errors import RateLimited
from exconnect.feeds import audit, connection
from exconnect.model.events import BookOutOfSync


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(audit, "EVERY_S", 0.1)
    monkeypatch.setattr(audit, "APART_S", 0.0)
    monkeypatch.setattr(connection, "_TICK_S", 0.05)


@pytest.fixture
def audited(stream, venue):
    """A live stream of one book; gives a function that waits for the next snapshot that is asked for."""
    stream.on_book(Seen())
    stream.start()
    assert stream.wait_live(30)
    asked = threading.Event()

    def answer(make):
        def snapshot(symbol):
            asked.set()
            return make(symbol)

        asked.clear()
        venue.snapshot = snapshot
        assert asked.wait(30)

    return answer


def until(stream, name, value=1.0):
    """Look at a figure that only the stream's own thread changes."""
    done = threading.Event()
    for _ in range(400):
        if stream.metrics()[name] >= value:
            return
        done.wait(0.05)
    raise AssertionError(stream.metrics())


def test_a_right_book_stays_as_it_is(stream, audited, venue):
    notices = Seen()
    stream.on_notice(notices)
    audited(lambda symbol: whole(symbol, 10))
    until(stream, "audits")
    assert stream.metrics()["audit_mismatches"] == 0
    assert notices.items == []
    assert stream.book(BTC).is_valid
    assert venue.asked[-1] == (BTC, 100)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda symbol: whole(symbol, 10, bid="99.5"),
        lambda symbol: replace(whole(symbol, 10), asks=[["101", "2"], ["102", "1"]]),
        lambda symbol: replace(whole(symbol, 10), bids=[["99", "1"], ["98.5", "1"], ["98", "1"]]),
    ],
    ids=["price", "quantity", "a level more"],
)
def test_a_book_that_drifted_is_made_anew(stream, audited, wrong):
    notices = Seen()
    stream.on_notice(notices)
    audited(wrong)
    notice = notices.count(1)[0]
    assert isinstance(notice, BookOutOfSync)
    assert "audit" in notice.reason
    assert stream.wait_live(30)
    until(stream, "audit_mismatches")
    assert [(str(p), str(q)) for p, q in stream.book(BTC).bids] == list(map(tuple, wrong(BTC).bids))


def test_a_snapshot_that_is_ahead_waits_for_the_stream(stream, server, audited):
    notices = Seen()
    stream.on_notice(notices)
    audited(lambda symbol: whole(symbol, 12, bid="99.5"))
    server.book(11, bids=[["99.2", "1"]])
    server.book(12, bids=[["99.2", "0"], ["99.5", "1"], ["99", "0"]])
    until(stream, "audits")
    assert stream.metrics()["audit_mismatches"] == 0
    assert notices.items == []


def test_beyond_the_snapshot_nothing_is_compared(stream, server, audited):
    server.book(11, bids=[["50", "1"]], asks=[["150", "1"]])
    audited(lambda symbol: whole(symbol, 11))
    until(stream, "audits")
    assert stream.metrics()["audit_mismatches"] == 0


def refuse(symbol):
    raise RateLimited("slower", {"retry_after": 1.0})


@pytest.mark.parametrize(
    "useless",
    [
        refuse,
        lambda symbol: whole(symbol, 10, bid="1e5"),
        lambda symbol: replace(whole(symbol, 10), bids=[]),
        lambda symbol: whole(symbol, 3),
    ],
    ids=["refused", "no numbers", "empty", "old"],
)
def test_an_audit_that_comes_to_nothing_harms_nobody(stream, server, audited, useless):
    notices = Seen()
    stream.on_notice(notices)
    audited(useless)
    server.book(11, bids=[["99.5", "1"]])
    server.book(12, bids=[["99.6", "1"]])
    audited(lambda symbol: replace(whole(symbol, 12), bids=[["99.6", "1"], ["99.5", "1"], ["99", "1"], ["98", "1"]]))
    until(stream, "audits")
    assert stream.metrics()["audit_mismatches"] == 0
    assert notices.items == []
