"""The machine fails: disk, clock, scheduler, road. What a user sees, on real files, signals and signed requests."""

import os
import signal
import socket
import sys
import threading
from datetime import timedelta

import pytest

from exconnect import Client, JournalUnavailable, OrderStatus, OutcomeUnknown, Source
from exconnect.environment import Environment
from exconnect.mock import MockExchange
from exconnect.venue.parts import Venue

BUY = ("BTC/USDT", "buy", "0.01")


def sent(mock):
    return sum(request.operation == "place_order" for request in mock.ledger.requests)


# ---------------------------------------------------------------- the disk

HOW = """
def how():
    health = client.health()
    part = health.parts.get("journal")
    return [health.ok, health.can_place, health.can_read, health.can_cancel, part and part.state, part and part.cause]
"""
WELL = [True, True, True, True, "closed", None]


def failing(cause):
    return [False, False, True, True, "open", cause]


PLACE_UNTIL_REFUSED = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as a disk without room: the write fails, nobody is killed
client = Client("binance")
resting = client.place_order("BTC/USDT", "buy", "0.01", price="50000")
written = os.stat(f"{client.journal}-wal").st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (written + 20_000, resource.RLIM_INFINITY))
placed, seen, well = 1, None, how()
while seen is None and placed < 200:
    try:
        client.place_order("BTC/USDT", "buy", "0.01", price="50001")
    except ExconnectError as error:
        seen = error
    else:
        placed += 1
told = [type(seen).__name__, seen.outcome, seen.retryable]
full = how()
canceled = client.cancel_order(resting).status
refused = client.orders.get(seen.client_order_id) if seen.client_order_id else client.orders.history()[0]
still_full = how()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
healths = [well, full, still_full, how()]
again = client.place_order("BTC/USDT", "buy", "0.01", price="50002").status
told = dict(placed=placed + 1, told=told, canceled=canceled, refused=refused.status, again=again, healths=healths)
print(json.dumps(told))
"""


def test_a_full_disk_refuses_orders_and_lets_cancels_through(mock, elsewhere):
    seen = elsewhere(HOW + PLACE_UNTIL_REFUSED)
    assert seen["told"] == ["JournalUnavailable", "not_sent", True]
    assert seen["refused"] == "never_sent"
    assert seen["canceled"] == "canceled"
    assert seen["again"] == "new"
    assert seen["healths"] == [WELL, failing("disk I/O error"), failing("disk I/O error"), WELL]
    assert len(mock.ledger.orders()) == sent(mock) == seen["placed"]


AS_AN_ORDINARY_USER = """
import ctypes
# Root writes where it may not: without that power it is its own file's owner, no more.
libc = ctypes.CDLL(None, use_errno=True)
header, powers = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert libc.capget(header, powers) == 0
for part in range(3):
    powers[part] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: of effective, permitted, inheritable
assert libc.capset(header, powers) == 0
"""
TRY = """
def tried():
    try:
        return client.place_order("BTC/USDT", "buy", "0.01", price="50001").status
    except ExconnectError as error:
        return [type(error).__name__, error.outcome, error.retryable]
"""


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_a_folder_that_cannot_be_written_refuses_orders_and_lets_cancels_through(mock, client, elsewhere, tmp_path):
    order = client.place_order(*BUY, price="50000")
    folder = tmp_path / "state"
    folder.mkdir()
    script = f"""
{AS_AN_ORDINARY_USER}
{TRY}
{HOW}
os.chmod({str(folder)!r}, 0o500)
client = Client("binance", journal={str(folder / "journal")!r})
healths, first = [how()], tried()
healths.append(how())
canceled = client.cancel_order({order.client_order_id!r}, symbol="BTC/USDT").status
os.chmod({str(folder)!r}, 0o700)
healths.append(how())
print(json.dumps([first, canceled, tried(), *healths]))
"""
    first, canceled, again, *healths = elsewhere(script)
    assert [first, canceled, again] == [["JournalUnavailable", "not_sent", True], "canceled", "new"]
    assert [health[:5] for health in healths] == [failing("")[:5], failing("")[:5], WELL[:5]]
    assert "Permission denied" in healths[0][5]
    assert len(mock.ledger.orders()) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_a_journal_that_may_only_be_read_refuses_orders(mock, client, elsewhere):
    client.place_order(*BUY, price="50000")
    path = client.journal
    client.close()
    script = f"""
{AS_AN_ORDINARY_USER}
{TRY}
{HOW}
os.chmod({str(path)!r}, 0o400)
client = Client("binance")
first, health = tried(), how()
reads = len(client.fetch_open_orders())
os.chmod({str(path)!r}, 0o600)
print(json.dumps([first, reads, health, how(), tried()]))
"""
    cause = "attempt to write a readonly database"
    assert elsewhere(script) == [["JournalUnavailable", "not_sent", True], 1, failing(cause), WELL, "new"]
    assert len(mock.ledger.orders()) == 2


# ---------------------------------------------------------------- the clock


class Stepped(Environment):
    """A machine whose wall clock is set, by hand or by a daemon, while the program runs."""

    step_ms = 0

    def wall_ms(self):
        return super().wall_ms() + self.step_ms

    def wall(self):
        return super().wall() + timedelta(milliseconds=self.step_ms)


@pytest.mark.parametrize("exchange", ["binance", "bybit"])
@pytest.mark.parametrize("step", [-3600, 3600], ids=["an hour back", "an hour on"])
def test_a_clock_that_is_set_signs_with_the_exchanges_time_all_the_same(exchange, step):
    with MockExchange(exchange, seed=7, activity=0) as mock, Client(exchange, environment=mock) as client:
        env = Stepped()
        client._venues[os.getpid()] = Venue(client._plan, env)
        client.place_order(*BUY, price="50000")
        env.step_ms = step * 1000
        order = client.place_order(*BUY, price="50001")
        assert order.is_open
        assert client.cancel_order(order).status is OrderStatus.CANCELED
        assert len(mock.ledger.orders()) == sent(mock) == 2
        assert all(request.code in (None, 0) for request in mock.ledger.requests)  # no timestamp was ever refused


# ---------------------------------------------------------------- the scheduler

SLEEPS = """
import signal
client = Client("binance")
client.place_order("BTC/USDT", "buy", "0.01", price="50000")
venue = client._open()
awake, naps = {where}, [True]
def sleep():
    if naps and naps.pop():
        os.kill(os.getpid(), signal.SIGSTOP)
def sleepy(*given, **more):
    {before}
    answer = awake(*given, **more)
    {after}
    return answer
{where} = sleepy
try:
    order = client.place_order("BTC/USDT", "buy", "0.01", price="50001", client_order_id="sleeper")
    print(json.dumps(order.status))
except ExconnectError as error:
    print(json.dumps([type(error).__name__, error.outcome, client.orders.get("sleeper").status]))
"""


def asleep(elsewhere, where, *, after=False):
    """A process that is suspended in the middle of placing, right before or after `where`."""
    nap = {"before": "pass", "after": "sleep()"} if after else {"before": "sleep()", "after": "pass"}
    process = elsewhere(SLEEPS.format(where=where, **nap), wait=False)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    return process


def woken(process):
    process.send_signal(signal.SIGCONT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output.splitlines()[-1]


def test_an_order_that_slept_before_its_first_byte_is_signed_anew_when_it_is_too_late(mock, elsewhere):
    process = asleep(elsewhere, "venue.http.send")
    mock.clock_offset = 60  # it was a minute
    assert woken(process) == '"new"'
    assert [request.code for request in mock.ledger.requests if request.operation == "place_order"] == [
        None,
        -1021,
        None,
    ]
    assert [order.client_order_id for order in mock.ledger.orders()][1:] == ["sleeper"]


def test_an_order_that_slept_while_it_was_answered_is_there(mock, elsewhere):
    process = asleep(elsewhere, "venue.http.send", after=True)
    mock.clock_offset = 60
    assert woken(process) == '"new"'
    assert sent(mock) == 2
    assert [order.client_order_id for order in mock.ledger.orders()][1:] == ["sleeper"]


def test_who_was_taken_for_dead_while_it_slept_sends_nothing(mock, client, elsewhere, monkeypatch):
    process = asleep(elsewhere, "venue.account.intents.attempt")
    monkeypatch.setattr("exconnect.runtime.process.is_alive", lambda _: False)
    assert client.recover() == []
    assert woken(process) == '["JournalUnavailable", "not_sent", "never_sent"]'
    assert all(order.client_order_id != "sleeper" for order in mock.ledger.orders())
    monkeypatch.undo()
    order = client.place_order(*BUY, price="50001", client_order_id="sleeper")
    assert order.status is OrderStatus.NEW
    assert len(mock.ledger.orders()) == 2


STOPS_IN_A_COMMIT = """
import signal
client = Client("binance")
lost = client.place_order("BTC/USDT", "buy", "0.01", price="50001", client_order_id="sleeper")
with client._open().account.intents.transaction():
    os.kill(os.getpid(), signal.SIGSTOP)
print("1")
"""


def stopped_in_a_commit(elsewhere):
    process = elsewhere(STOPS_IN_A_COMMIT, wait=False)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    return process


def test_a_recovery_goes_on_trying_while_somebody_sleeps_with_the_journal_in_his_hand(client, elsewhere):
    client.place_order(*BUY, price="50000")
    process = stopped_in_a_commit(elsewhere)
    with pytest.raises(JournalUnavailable, match="locked"):
        client.place_order(*BUY, price="50002")
    recovery, tries = client._open().commands.recovery, []
    take_over = recovery.take_over

    def wakes_him_in_the_end():
        tries.append(len(tries))
        if len(tries) == 3:
            assert woken(process) == "1"
        take_over()

    recovery.take_over = wakes_him_in_the_end
    assert client.recover() == []
    assert tries == [0, 1, 2]
    assert client.orders.get("sleeper").status is OrderStatus.NEW


def test_a_recovery_says_at_its_deadline_that_somebody_sleeps_with_the_journal_in_his_hand(client, elsewhere):
    process = stopped_in_a_commit(elsewhere)
    with pytest.raises(JournalUnavailable, match="locked"):
        client.recover(timeout=1.0)
    woken(process)
    assert client.recover() == []


# ---------------------------------------------------------------- the road


@pytest.fixture
def stranger(mock):
    """Another host, to which the exchange redirects: how often somebody came."""
    came = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        over = threading.Event()

        def serve():
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                came.append(connection.recv(65_536))
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        mock._core.front.elsewhere = f"http://localhost:{listener.getsockname()[1]}/"
        yield came
        over.set()
        thread.join()


def test_a_redirect_to_another_host_takes_neither_key_nor_order_there(mock, client, stranger):
    client.fetch_balances()
    client.fetch_instrument("BTC/USDT")
    redirect = mock.faults.add("redirect", on="place_order", at="before_accept")
    with pytest.raises(OutcomeUnknown) as caught:
        client.place_order(*BUY, price="50000", timeout=1.5)
    assert redirect.fired == 1
    assert caught.value.client_order_id
    assert stranger == []
    assert mock.ledger.orders() == []


@pytest.mark.parametrize("exchange", ["binance", "bybit"])
def test_fills_that_come_before_the_answer_are_in_it(exchange):
    steps, fills, came = [], [], threading.Event()
    with MockExchange(exchange, seed=7, activity=0) as mock, Client(exchange, environment=mock) as client:
        client.orders.on_change(lambda order: steps.append((order.filled_quantity, order.status)))

        def fill_heard(fill):
            fills.append(fill)
            came.set()

        stream = client.stream("BTC/USDT")
        stream.on_fill(fill_heard)
        stream.start()
        assert stream.wait_live(30)
        late = mock.faults.add("delay", on="place_order", at="after_accept", seconds=3.0)
        order = client.place_order("BTC/USDT", "buy", "0.01", type="market")
        assert late.fired == 1
        assert came.wait(30)
        (filled,) = mock.ledger.fills()
    assert (order.status, order.filled_quantity) == (OrderStatus.FILLED, order.quantity)
    assert [fill.id for fill in order.fills] == [fill.id for fill in fills] == [filled.id]
    assert fills[0].source is Source.STREAM  # whose word was the first
    quantities = [quantity for quantity, _ in steps]
    assert quantities == sorted(quantities)
    assert steps[-1][1] is OrderStatus.FILLED
