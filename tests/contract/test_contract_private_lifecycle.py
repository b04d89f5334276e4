"""Beginning and end of private connections: closing, forking, two at once, being sent away, having no room."""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from seen import Seen

from exconnect.client import Client
from exconnect.errors import ForkedStream, InvalidArgument, StreamError
from exconnect.model.enums import OrderStatus, StreamStatus

pytestmark = pytest.mark.network


BTC = "BTC/USDT"


def live(stream):
    stream.start()
    assert stream.wait_live(30), stream.status
    return stream


def buy(client):
    return client.orders.wait(client.place_order(BTC, "buy", "0.01", type="market"), timeout=30)


def kinds_of(mock):
    """The kinds of keys that the exchange has."""
    for kind in ("hmac", "rsa", "ed25519"):
        with suppress(ValueError):
            yield kind, mock.credentials(kind)


def test_with_every_kind_of_key(mock):
    for kind, credentials in kinds_of(mock):
        fills = Seen()
        with (
            Client(mock.exchange, environment=mock, credentials=credentials, account=kind) as client,
            client.stream() as stream,
        ):
            stream.on_fill(fills)
            live(stream)
            order = buy(client)
            assert fills.count(1)[0].order_id == order.order_id
            mock.faults.add("disconnect", on="private")
            assert stream.wait_live(30)
            buy(client)
            fills.count(2)


def test_its_threads_have_names_and_end(mock, client):
    with client.stream() as stream:
        stream.on_fill(lambda fill: None)
        live(stream)
        names = {thread.name for thread in threading.enumerate()}
        assert {f"exconnect.{mock.exchange}.feed.private", f"exconnect.{mock.exchange}.jobs.orders"} <= names
    assert f"exconnect.{mock.exchange}.feed.private" not in {thread.name for thread in threading.enumerate()}


def test_closing_does_not_wait_for_an_answer_that_does_not_come(mock):
    with Client(mock.exchange, environment=mock) as client:
        stream = client.stream()
        stream.on_fill(lambda fill: None)
        hanging = mock.faults.add("hang", on="fetch_open_orders", seconds=30.0)
        stream.start()
        assert hanging.wait(30)
        before = time.monotonic()
        client.close()
        assert time.monotonic() - before < 20.0
        for thread in threading.enumerate():
            if thread.name == f"exconnect.{mock.exchange}.jobs.orders":
                thread.join(30)  # it waits for its answer, and nobody for it


def test_a_handler_may_close_the_stream(mock, client):
    stream = client.stream()
    fills = Seen(lambda fill: stream.close())
    stream.on_fill(fills)
    live(stream)
    buy(client)
    fills.count(1)
    assert stream.wait(30)
    stream.close()
    assert f"exconnect.{mock.exchange}.feed.private" not in {thread.name for thread in threading.enumerate()}


def test_two_streams_of_one_account_hear_the_same(mock, client):
    with client.stream() as one, client.stream() as two:
        first, second = Seen(), Seen()
        one.on_fill(first)
        two.on_fill(second)
        live(one)
        live(two)
        for _ in range(3):
            buy(client)
        truth = [str(fill.id) for fill in mock.ledger.fills()]
        for fills in (first, second):
            fills.count(3)
            assert [fill.id for fill in fills.items] == truth


def test_starting_again_hears_only_what_is_new(mock, client):
    with client.stream() as stream:
        fills = Seen()
        stream.on_fill(fills)
        live(stream)
        buy(client)
        fills.count(1)
        stream.stop()
        buy(client)
        now = time.monotonic()  # what the clocks cannot tell from what is new is heard: here they agree
        client._open().host.clock.add(now - 0.001, now, mock._now_ms())
        live(stream)
        buy(client)
        fills.count(2)
        truth = [str(fill.id) for fill in mock.ledger.fills()]
        assert [fill.id for fill in fills.items] == [truth[0], truth[2]]


def test_the_end_of_a_connection_announced_or_not_is_followed_by_a_new_one(mock, client):
    with client.stream() as stream:
        fills, changes = Seen(), Seen()
        stream.on_fill(fills)
        stream.on_status(changes)
        live(stream)
        rules = mock._core.rules
        mock._core.rules = replace(rules, lifetime=1.0)  # a day, as a rule, or for ever
        changes.until(lambda items: any(change.status is StreamStatus.DOWN for change in items))
        mock._core.rules = rules
        changes.until(lambda items: items[-1].status is StreamStatus.LIVE)
        buy(client)
        fills.count(1)


def test_no_room_is_the_end_and_nothing_is_lost_silently(mock, client, monkeypatch):
    gate = threading.Event()
    fills, changes = Seen(lambda fill: gate.wait(60)), Seen()
    with client.stream() as stream:
        stream.on_fill(fills)
        stream.on_status(changes)
        (registration,) = [r for r in stream._registrations.values() if r.kind == "fill"]
        monkeypatch.setattr(registration, "options", replace(registration.options, capacity=2))
        live(stream)
        buy(client)
        fills.count(1)  # the handler is at work on it: the next two fill its room
        for _ in range(3):
            buy(client)
        changes.until(lambda items: items[-1].status is StreamStatus.FAILED)
        with pytest.raises(StreamError, match="on_fill"):
            stream.wait(30)
        gate.set()
        fills.count(3)


def test_a_store_that_is_followed_no_more_is_asked_again(mock, client):
    with client.stream() as stream:
        stream.on_fill(lambda fill: None)
        live(stream)
        order = client.orders.wait(client.place_order(BTC, "buy", "0.01", price="59999"), until="accepted")
        stream.stop()
        mock.execute(BTC, "sell", "0.01", price="59999")
        assert client.orders.wait(order, timeout=30).status is OrderStatus.FILLED


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_leaves_the_parents_connection_alone(mock, client):
    with client.stream() as stream:
        fills = Seen()
        stream.on_fill(fills)
        live(stream)
        buy(client)
        fills.count(1)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                with pytest.raises(ForkedStream):
                    stream.wait_live(1)
                code = 0 if stream.status is StreamStatus.FORKED else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        buy(client)
        fills.count(2)
        assert mock.ledger.connections("private") == 1
        assert stream.metrics()["reconnects"] == 0


def test_names_that_nothing_could_be_heard_of_are_refused(client):
    stream = client.stream()
    with pytest.raises(InvalidArgument, match="on_balance: 'BTC/USDT' is no asset: they look like 'BTC'"):
        stream.on_balance(print, "BTC/USDT")
    with pytest.raises(InvalidArgument, match="on_fill: 'BTC' is no symbol: they look like 'BTC/USDT'"):
        stream.on_fill("BTC")
    with pytest.raises(InvalidArgument, match="on_order: 'BTCUSDT' is no symbol"):
        stream.on_order(print, BTC, "BTCUSDT")
    assert stream.subscriptions == []


def test_a_symbol_that_is_not_listed_is_told_of_once(mock, client, caplog):
    with client.stream("BTC/UDST") as stream:
        changes = Seen()
        stream.on_fill(lambda fill: None)
        stream.on_status(changes)
        live(stream)
        mock.faults.add("disconnect", on="private")
        changes.until(lambda items: any(change.status is StreamStatus.DOWN for change in items))
        buy(client)
        changes.until(lambda items: items[-1].status is StreamStatus.LIVE)
    assert stream.metrics()["reconnects"] == 1
    assert [text for text in caplog.messages if "no fills of" in text] == [
        "no fills of BTC/UDST: there is no such symbol"
    ]


def test_no_secret_is_logged(mock, client, caplog):
    caplog.set_level(logging.DEBUG)
    with client.stream() as stream:
        stream.on_order(lambda order: None)
        live(stream)
        mock.faults.add("disconnect", on="private")
        buy(client)
        assert stream.wait_live(30)
    credentials = mock.credentials()
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("exconnect"))
    assert "private" in ours
    assert credentials.key not in ours
    assert "signature" not in ours
