"""Starting, ending, waiting, forking: nothing hangs, nothing leaks, nothing touches what is not its own."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from seen import Seen
from toy import BTC, ToyServer, ToyVenue

from exconnect import Client
from exconnect.errors import ClientClosed, ForkedStream, InvalidArgument, InvalidType, StreamError
from exconnect.feeds.connections import Connections
from exconnect.feeds.registration import Registration
from exconnect.model.enums import StreamStatus
from exconnect.stream import Stream, run


def live(stream):
    stream.start()
    assert stream.wait_live(30)
    return stream


def test_making_one_and_registering_starts_nothing():
    def venue():
        raise AssertionError("nothing may be asked of the venue yet")

    before = set(threading.enumerate())
    stream = Stream(venue, "toy", (BTC,), "mine")
    stream.on_trade(print)
    stream.on_book(print)
    stream.off(print)
    assert stream.status is StreamStatus.IDLE
    assert (stream.name, stream.exchange, stream.symbols) == ("mine", "toy", (BTC,))
    assert stream.subscriptions == []
    assert stream.metrics()["connects"] == 0
    assert stream.wait(30)
    assert not stream.wait_live(1)
    stream.stop()
    assert set(threading.enumerate()) == before
    held = [value for value in vars(stream).values() if "lock" in type(value).__name__.lower()]
    assert held == []


def test_with_closes_and_does_not_start(venue):
    with Stream(lambda: venue, "toy", (BTC,)) as stream:
        stream.on_trade(print)
        assert stream.status is StreamStatus.IDLE
    assert stream.status is StreamStatus.CLOSED


def test_start_twice_is_start_once(stream, server):
    stream.on_trade(Seen())
    live(stream)
    assert stream.start() is stream
    assert stream.wait_live(30)
    assert server.count == 1


def test_threads_that_start_it_again_together_start_it_once(stream, server, monkeypatch):
    stream.on_trade(Seen())
    live(stream)
    stream.stop()
    counters = Connections.counters

    def slowly(run):
        monkeypatch.setattr(Connections, "counters", counters)
        live(stream)  # as another thread may, just then
        return counters(run)

    monkeypatch.setattr(Connections, "counters", slowly)
    live(stream)
    assert server.count == 2
    stream.stop()
    assert stream.metrics()["connects"] == 2
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("exconnect.toy.feed")]


def test_what_is_closed_while_it_starts_does_not_run(venue, monkeypatch):
    stream = Stream(lambda: venue, "toy", (BTC,))
    want = Connections.want

    def closing(run, *given):
        monkeypatch.setattr(Connections, "want", want)
        stream._is_closed = True  # by another thread, which had looked for connections before these were there
        want(run, *given)

    stream.on_trade(Seen())
    monkeypatch.setattr(Connections, "want", closing)
    with pytest.raises(ClientClosed):
        stream.start()
    assert stream.status is StreamStatus.CLOSED
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("exconnect.toy.feed")]


def test_a_handler_that_is_taken_back_and_registered_at_once_stays(stream, monkeypatch):
    stream.on_trade(print)
    add = Registration.add

    def late(registration, symbols):
        monkeypatch.setattr(Registration, "add", add)
        stream.off(print)  # as another thread may, just then
        add(registration, symbols)

    monkeypatch.setattr(Registration, "add", late)
    stream.on_trade(print)
    assert [each.kind for each in stream.subscriptions] == ["trade"]


def test_close_says_goodbye_and_leaves_no_thread(stream, server):
    stream.on_trade(Seen())
    live(stream)
    stream.close()
    server.until(lambda: bool(server.goodbyes))
    assert server.goodbyes == [1000]
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("exconnect.toy.feed", "exconnect.toy.handler"))]
    assert stream.wait(0)


def test_stop_and_start_again(stream, server):
    trades = Seen()
    stream.on_trade(trades)
    live(stream)
    stream.stop()
    assert stream.status is StreamStatus.IDLE
    assert stream.wait(0)
    live(stream)
    server.trades(1)
    trades.count(1)
    assert server.count == 2


def test_status_handlers_hear_of_the_end(stream):
    changes = Seen()
    stream.on_status(changes)
    stream.on_trade(Seen())
    live(stream)
    stream.close()
    changes.until(lambda items: items[-1].status is StreamStatus.CLOSED)


def test_close_from_a_handler_only_signals(stream, server):
    closed = threading.Event()

    def leave(trade):
        stream.close()
        closed.set()

    stream.on_trade(leave)
    live(stream)
    server.trades(1)
    assert closed.wait(30)
    assert stream.wait(30)
    assert stream.status is StreamStatus.CLOSED


def test_stop_from_a_handler_and_start_again_at_once(stream, server):
    def again(trade):
        if trade.id == "1":
            stream.stop()
            stream.start()

    trades = Seen(again)
    stream.on_trade(trades)
    live(stream)
    server.trades(1)
    server.until(lambda: server.count == 2 and bool(server.topics))
    server.trades(2)
    trades.until(lambda items: items[-1].id == "2")


def test_no_call_begins_after_close_returned(stream, server):
    closed, late = threading.Event(), []
    trades = Seen(lambda trade: late.append(trade) if closed.is_set() else None)
    stream.on_trade(trades)
    live(stream)
    server.trades(*range(500))
    trades.count(1)
    stream.close()
    closed.set()
    assert late == []


def test_close_within_its_deadline_while_a_handler_is_stuck(stream, server):
    inside, go = threading.Event(), threading.Event()

    def stuck(trade):
        inside.set()
        go.wait(60)

    calls = Seen(stuck)
    stream.on_trade(calls)
    live(stream)
    server.trades(1, 2, 3)
    assert inside.wait(30)
    begin = time.monotonic()
    stream.close(timeout=0.3)
    assert time.monotonic() - begin < 10
    assert not stream.wait(0)  # the call is still running
    go.set()
    assert stream.wait(30)
    assert len(calls.items) == 1


class HalfOpen:
    """A server that shakes hands and then neither reads nor answers."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}"
        self.accepted = threading.Event()
        self._sockets = []
        self._thread = threading.Thread(target=self._accept)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                self._sockets.append(self._listener.accept()[0])
                self.accepted.set()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for sock in (self._listener, *self._sockets):
            sock.close()


def test_close_while_the_handshake_hangs():
    with HalfOpen() as server:
        venue = ToyVenue(server.url)
        stream = Stream(lambda: venue, "toy", (BTC,))
        stream.on_trade(print)
        stream.start()
        assert server.accepted.wait(30)
        begin = time.monotonic()
        stream.close(timeout=1.0)
        assert time.monotonic() - begin < 10
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("exconnect.toy.feed")]
        venue.close()


def test_close_while_the_pause_before_a_reconnect_lasts(stream, server, venue):
    changes = Seen()
    stream.on_status(changes)
    stream.on_trade(Seen())
    venue.env.uniform = lambda low, high: 20.0
    live(stream)
    server.drop()
    server.until(lambda: server.count == 2)
    server.drop()
    changes.until(lambda items: [c.status for c in items].count(StreamStatus.DOWN) == 2)
    begin = time.monotonic()
    stream.close(timeout=30)
    assert time.monotonic() - begin < 15  # not the 20 of the pause


def test_wait_comes_back_at_its_deadline(stream):
    stream.on_trade(print)
    live(stream)
    assert not stream.wait(0.01)


def test_wait_from_a_handler_would_wait_for_itself(stream, server):
    caught = Seen()

    def waiting(trade):
        try:
            stream.wait()
        except StreamError as error:
            caught(error)

    stream.on_trade(waiting)
    live(stream)
    server.trades(1)
    caught.count(1)


def test_a_stream_nobody_holds_goes_on(venue, server):
    trades = Seen()
    stream = Stream(lambda: venue, "toy", (BTC,))
    stream.on_trade(trades)
    live(stream)
    import gc
    import weakref

    held = weakref.ref(stream)
    del stream
    gc.collect()
    server.trades(1)
    trades.count(1)
    held().close()


def test_a_stream_is_not_pickled(stream):
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(stream)


def test_no_thread_is_left_by_any_number_of_streams(venue, server):
    for _ in range(10):
        with Stream(lambda: venue, "toy", (BTC,)) as stream:
            for _ in range(5):
                stream.on_trade(Seen())
            stream.start()
            stream.wait_live(30)
    venue.close()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("exconnect.")] == []


# ---------------------------------------------------------------- run


def test_run_ends_with_a_signal_and_puts_the_old_handlers_back(stream, server):
    trades = Seen(lambda trade: os.kill(os.getpid(), signal.SIGTERM))
    stream.on_trade(trades)
    before = signal.getsignal(signal.SIGTERM)

    def send():
        server.until(lambda: bool(server.topics))
        server.trades(1)

    helper = threading.Thread(target=send)
    helper.start()
    run(stream)
    helper.join()
    assert stream.status is StreamStatus.CLOSED
    assert signal.getsignal(signal.SIGTERM) is before


def test_run_shows_a_failed_handler_where_no_logging_is_set_up(stream, server, monkeypatch, capsys):
    def fail(trade):
        os.kill(os.getpid(), signal.SIGTERM)
        raise ZeroDivisionError("a bug of the program")

    monkeypatch.setattr(logging.root, "handlers", [])
    before = list(logging.getLogger("exconnect").handlers)
    stream.on_trade(fail)

    def send():
        server.until(lambda: bool(server.topics))
        server.trades(1)

    helper = threading.Thread(target=send)
    helper.start()
    run(stream)
    helper.join()
    assert "ZeroDivisionError: a bug of the program" in capsys.readouterr().err
    assert logging.getLogger("exconnect").handlers == before


def test_run_ends_when_the_streams_do(stream, server):
    stream.on_trade(lambda trade: stream.close())

    def send():
        server.until(lambda: bool(server.topics))
        server.trades(1)

    helper = threading.Thread(target=send)
    helper.start()
    run(stream)
    helper.join()


def test_run_needs_streams():
    with pytest.raises(InvalidArgument, match="needs a stream"):
        run()
    with pytest.raises(InvalidType, match=r"as client\.stream\('BTC/USDT'\) makes it, not Client"):
        run(Client("binance"))


def test_run_is_for_the_main_thread(stream):
    caught = []

    def other():
        try:
            run(stream)
        except InvalidArgument as error:
            caught.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert caught


# ---------------------------------------------------------------- fork


def in_child(check):
    """What `check()` gives in a forked child; its exception as text."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = str(check())
        except BaseException as error:  # noqa: BLE001 - the parent is to see it
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read().decode()
    assert os.waitpid(pid, 0)[1] == 0
    return answer


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_leaves_the_parents_stream_alone(stream, server):
    trades = Seen()
    stream.on_trade(trades)
    stream.on_book(Seen())
    live(stream)
    assert in_child(lambda: stream.status) == "forked"
    for use in (lambda: stream.book(BTC), stream.wait, stream.wait_live):
        answer = in_child(use)
        assert answer.startswith("ForkedStream")
        assert str(os.getpid()) in answer

    def close():
        begin = time.monotonic()
        stream.stop()
        stream.close()
        return stream.status, len(stream.subscriptions), time.monotonic() - begin < 10

    assert in_child(close) == f"({StreamStatus.FORKED!r}, 2, True)"
    server.trades(1)
    trades.count(1)
    assert server.count == 1
    assert stream.status is StreamStatus.LIVE
    assert server.goodbyes == []


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_may_start_its_own(stream, server):
    trades = Seen()
    stream.on_trade(trades)
    live(stream)

    def own():
        stream.start()
        ok = stream.wait_live(30)
        stream.close()
        return ok, stream.status

    assert in_child(own) == f"(True, {StreamStatus.CLOSED!r})"
    assert server.count == 2
    assert stream.wait_live(30)
    server.connections[0].send('{"trade": "BTC/USDT", "id": 1}')
    trades.count(1)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_pid_is_enough_where_hooks_do_not_run(stream, server):
    """A C-level fork runs no hook: what the child knows is only its own process id."""
    stream.on_book(Seen())
    live(stream)
    from exconnect.runtime import fork

    watched = list(fork._watched)
    fork._watched.clear()
    try:
        assert in_child(lambda: stream.status) == "forked"
        assert in_child(lambda: stream.book(BTC)).startswith("ForkedStream")
    finally:
        for thing in watched:
            fork._watched.add(thing)
    assert isinstance(ForkedStream(""), StreamError)


# ---------------------------------------------------------------- the end of the interpreter


SCRIPT = """
import os, sys, threading
sys.path.insert(0, {folder!r})
from toy import BTC, ToyVenue
from exconnect.stream import Stream
venue = ToyVenue({url!r})
stream = Stream(lambda: venue, "toy", (BTC,))
stream.on_trade(lambda trade: None)
stream.on_book(lambda book: None)
stream.start()
assert stream.wait_live(30)
"""

STUCK = """
inside = threading.Event()
@stream.on_status
def stuck(change):
    inside.set()
    threading.Event().wait(60)
stream.on_ticker(print)
inside.wait(10)
"""

ENDINGS = {
    "falls off the end": ("", 0, ""),
    "sys.exit": ("sys.exit(3)", 3, ""),
    "an error": ("raise ValueError('mine')", 1, "ValueError: mine"),
    "closed": ("stream.close()", 0, ""),
    "stuck handler": (
        STUCK,
        0,
        "",
    ),
    "forked child exits": ("pid = os.fork()\nif pid == 0: sys.exit(0)\nassert os.waitpid(pid, 0)[1] == 0", 0, ""),
    "interrupted": (  # a shell's background job is started with SIGINT ignored
        "import signal\nsignal.signal(2, signal.default_int_handler)\nos.kill(os.getpid(), 2)\nstream.wait()",
        -2,
        "KeyboardInterrupt",
    ),
    "reconnecting": ("venue.endpoints = None\n", 0, ""),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_interpreter_ends_at_once_and_quietly(server, ending):
    code, expected, noise = ENDINGS[ending]
    script = textwrap.dedent(SCRIPT).format(folder=str(Path(__file__).parent), url=server.url) + code
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]  # newer Pythons warn of any fork
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        server.until(lambda: bool(server.topics), 20)
        begin = time.monotonic()
        _, errors = process.communicate(timeout=60)
    assert time.monotonic() - begin < 20.0  # a thread that is not a daemon would never end
    assert process.returncode == expected
    if noise:
        assert errors.strip().endswith(noise)
    else:
        assert errors == ""
    server.until(lambda: not server.connections)
    if ending in ("falls off the end", "sys.exit", "closed", "forked child exits"):
        assert server.goodbyes == [1000]


def test_servers_that_nobody_talks_to_end():
    with ToyServer():
        pass
