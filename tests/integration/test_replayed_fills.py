"""Fills that a process which was killed may not have handled come again in the next one, and are marked."""

import json
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from exconnect import Client
from exconnect.feeds import private
from exconnect.mock import MockExchange
from exconnect.trading.handouts import HandoutLog

pytestmark = pytest.mark.network

BTC = "BTC/USDT"
CHILD = """
import json, os, signal, sys, threading
from exconnect import Client

client = Client(sys.argv[1])
last, calls, placed = int(sys.argv[2]), 0, threading.Event()

def handle(fill):
    global calls
    calls += 1
    print(json.dumps([fill.id, fill.replayed]), flush=True)
    if calls == last and placed.wait(40):
        os.kill(os.getpid(), signal.SIGKILL)  # in the middle of the call

stream = client.stream(BTC := "BTC/USDT")
stream.on_fill(handle)
stream.start()
assert stream.wait_live(40)
for _ in range(int(sys.argv[3])):
    client.place_order(BTC, "buy", "0.01", type="market")
client.place_order(BTC, "buy", "0.02", price="59999")  # rests
placed.set()
stream.wait(40)
"""

# The whole account, and no symbol named: on a word from outside it buys, and is killed in the handler or before it.
ANY_SYMBOL = """
import os, signal, sys, threading
from exconnect import Client

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

client = Client(sys.argv[1])
stream = client.stream()
told = threading.Event()
stream.on_fill(lambda fill: (told.set(), threading.Event().wait(40)))
stream.start()
assert stream.wait_live(40)
print("live", flush=True)
sys.stdin.readline()
order = client.place_order("ETH/USDT", "buy", "1", type="market")
if sys.argv[2] == "told":
    assert told.wait(40)
else:
    client.orders.wait(order, timeout=30)
die()
"""


@pytest.fixture(params=["binance", "bybit"])
def mock(request):
    with MockExchange(request.param, seed=7, activity=0) as exchange:
        yield exchange


@pytest.fixture
def client(mock):
    with Client(mock.exchange, environment=mock) as made:
        yield made


def run_and_kill(mock, *, dies_in_call, orders):
    """The fills that a process has heard of before it was killed in its `dies_in_call`-th call."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, mock.exchange, str(dies_in_call), str(orders)],
        env={**os.environ, **mock.env()},
        stdout=subprocess.PIPE,
        text=True,
    )
    output, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    return [json.loads(line) for line in output.splitlines()]


def listen(client, name=None):
    """A live stream, and what its handler hears."""
    heard = queue.Queue()
    stream = client.stream(BTC, name=name)
    stream.on_fill(heard.put)
    stream.start()
    assert stream.wait_live(40)
    return stream, heard


def drained(client, heard):
    """Everything heard until the fill of an order that is placed now."""
    order = client.orders.wait(client.place_order(BTC, "buy", "0.03", type="market"), timeout=30)
    fills = []
    while not fills or fills[-1].client_order_id != order.client_order_id:
        fills.append(heard.get(timeout=40))
    return fills[:-1]


def ids(fills):
    return [(fill.id, fill.replayed, fill.source.value) for fill in fills]


def test_what_a_killed_process_may_not_have_handled_comes_again_once(client, mock):
    known = run_and_kill(mock, dies_in_call=2, orders=3)
    truth = [str(fill.id) for fill in mock.ledger.fills()]
    assert known == [[truth[0], False], [truth[1], False]]

    stream, heard = listen(client, "another")
    with stream:
        assert drained(client, heard) == []  # not of that name
    more = [str(fill.id) for fill in mock.ledger.fills()][len(truth) :]
    stream, heard = listen(client)
    with stream:
        assert ids(drained(client, heard)) == [(fill_id, True, "rest") for fill_id in truth[1:] + more]
    stream, heard = listen(client)
    with stream:
        assert drained(client, heard) == []  # the one before has handled them, and ended in order


def test_what_happened_while_nobody_ran_comes_too(client, mock):
    run_and_kill(mock, dies_in_call=1, orders=1)
    mock.execute(BTC, "sell", "5", price="59990")
    truth = [str(fill.id) for fill in mock.ledger.fills()]
    stream, heard = listen(client)
    with stream:
        assert ids(drained(client, heard)) == [(fill_id, True, "rest") for fill_id in truth]


def test_a_heir_that_is_killed_too_leaves_all_of_it(client, mock):
    run_and_kill(mock, dies_in_call=1, orders=2)
    again = run_and_kill(mock, dies_in_call=2, orders=0)
    truth = [str(fill.id) for fill in mock.ledger.fills()]
    assert again == [[truth[0], True], [truth[1], True]]
    stream, heard = listen(client)
    with stream:
        assert ids(drained(client, heard)) == [(fill_id, True, "rest") for fill_id in truth[1:]]


def test_without_a_journal_nothing_is_replayed(mock):
    run_and_kill(mock, dies_in_call=1, orders=2)
    with Client(mock.exchange, environment=mock, journal=None) as client:
        stream, heard = listen(client)
        with stream:
            assert drained(client, heard) == []


def listeners(mock):
    """How many streams answer for fills, as it is written down."""
    (path,) = mock.state_dir.glob("*.journal")
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT COUNT(*) FROM listener").fetchone()[0]


@pytest.mark.parametrize("is_told", [True, False])
def test_it_is_looked_for_whatever_symbol_it_was(client, mock, is_told):
    how = "told" if is_told else "placed"
    process = subprocess.Popen(
        [sys.executable, "-c", ANY_SYMBOL, mock.exchange, how],
        env={**os.environ, **mock.env()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "live\n"
    silent = None if is_told else mock.faults.add("silence", on="private", seconds=60)
    process.communicate("go\n", timeout=60)
    assert process.returncode == -signal.SIGKILL
    if silent is not None:
        silent.remove()
    heard = queue.Queue()
    with client.stream() as stream:
        stream.on_fill(heard.put)
        stream.start()
        fill = heard.get(timeout=40)
        assert (fill.id, fill.symbol, fill.replayed) == (str(mock.ledger.fills()[0].id), "ETH/USDT", True)


def test_what_a_gap_was_made_up_with_was_handled_too(client, mock):
    stream, heard = listen(client)
    client.orders.wait(client.place_order(BTC, "buy", "0.01", price="59999"), until="accepted", timeout=30)
    refused = mock.faults.add("refuse", on="private", seconds=60)
    mock.execute(BTC, "sell", "0.01", price="59999")
    refused.remove()
    assert heard.get(timeout=40).source.value == "rest"
    assert listeners(mock) == 1
    stream.close()
    assert listeners(mock) == 0


def test_what_waits_for_a_handler_that_is_taken_back_is_left_to_nobody(client, mock):
    entered, leave = threading.Event(), threading.Event()

    def slow(_):
        entered.set()
        leave.wait(40)

    stream, heard = listen(client)
    stream.on_fill(slow)
    for _ in range(3):
        client.place_order(BTC, "buy", "0.01", type="market")
        heard.get(timeout=40)
    assert entered.wait(40)
    stream.off(slow)
    leave.set()
    assert len(drained(client, heard)) == 0
    stream.close()
    assert listeners(mock) == 0


def test_who_listens_late_is_written_down_at_once(client, mock, monkeypatch):
    monkeypatch.setattr(private, "_LOOKS_S", (600.0,))
    monkeypatch.setattr(private, "_IDLE_LOOK_S", 600.0)
    begun, begin = threading.Event(), HandoutLog.begin

    def noted(log, *args):
        result = begin(log, *args)
        begun.set()
        return result

    monkeypatch.setattr(HandoutLog, "begin", noted)
    with client.stream(BTC) as stream:
        stream.on_order(print)
        stream.start()
        assert stream.wait_live(40)
        assert not begun.is_set()
        stream.on_fill(print)
        assert begun.wait(30)
