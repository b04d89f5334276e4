"""What the journal promises: one wish, at most one order, in whatever process, whatever ends it."""

import os
import signal
import sqlite3
import stat
import threading
from contextlib import closing
from decimal import Decimal

import pytest

from exconnect import (
    Client,
    ConfigurationError,
    InsufficientFunds,
    IntentConflict,
    InvalidArgument,
    JournalUnavailable,
    OrderStatus,
    OutcomeUnknown,
    TradingHalted,
    TransportError,
)
from exconnect.environment import Environment
from exconnect.mock import MockExchange
from exconnect.trading.journal import Journal

BUY = ("BTC/USDT", "buy", "0.01")


def test_the_file_is_private_and_in_its_place(client, mock):
    assert client.journal.parent == mock.state_dir
    client.place_order(*BUY, price="59000")
    assert stat.S_IMODE(client.journal.stat().st_mode) == 0o600


def test_a_client_names_the_file_that_it_will_share_however_the_address_was_given(client, mock, tmp_path, monkeypatch):
    monkeypatch.setenv("EXCONNECT_STATE_DIR", str(tmp_path))
    other = Client("binance", environment=mock.url, credentials=mock.credentials())
    client.fetch_time()
    assert client.journal == other.journal
    other.place_order(*BUY, price="59000")
    assert client.journal == other.journal
    assert client.journal.exists()
    other.close()


def test_reading_needs_no_journal(client):
    client.fetch_balances()
    client.fetch_ticker("BTC/USDT")
    with pytest.raises(InvalidArgument):
        client.fetch_order("mine")
    assert not client.journal.exists()


def test_one_key_is_one_order_in_every_process(client, mock, elsewhere):
    first = client.place_order(*BUY, price="59000", idempotency_key="row-7")
    again = client.place_order("BTC/USDT", "BUY", "0.010", price="59000.00", idempotency_key="row-7")
    script = """
client = Client("binance")
order = client.place_order("BTC/USDT", "buy", "0.01", price="59000", idempotency_key="row-7")
print(json.dumps([order.client_order_id, order.order_id, order.status]))
"""
    there = elsewhere(script)

    assert again.order_id == first.order_id
    assert there == [first.client_order_id, first.order_id, "new"]
    assert len(mock.ledger.orders()) == 1
    with pytest.raises(IntentConflict):
        client.place_order(*BUY, price="58000", idempotency_key="row-7")


def test_an_order_of_a_process_that_is_gone_is_known_by_its_id_alone(client, elsewhere):
    script = """
client = Client("binance")
resting = client.place_order("BTC/USDT", "buy", "0.01", price="59000")
filled = client.place_order("BTC/USDT", "buy", "0.01", type="market")
print(json.dumps([resting.client_order_id, filled.client_order_id]), flush=True)
os._exit(0)
"""
    resting, filled = elsewhere(script)

    assert client.fetch_order(filled).status is OrderStatus.FILLED
    assert client.orders.wait(filled).is_done
    assert client.amend_order(resting, quantity="0.005").quantity == Decimal("0.005")
    assert client.cancel_order(resting).status is OrderStatus.CANCELED


def test_what_became_of_an_order_of_a_process_that_is_gone_can_be_asked(client, mock, elsewhere):
    fault = mock.faults.add("hang", on="place_order", at="after_accept", seconds=30)
    script = """
Client("binance").place_order("BTC/USDT", "buy", "0.01", price="59000", client_order_id="mine-7")
"""
    process = elsewhere(script, wait=False)
    assert fault.wait(30)
    process.kill()
    process.communicate()

    assert client.orders.resolve("mine-7").status is OrderStatus.NEW
    with pytest.raises(InvalidArgument):
        client.orders.resolve("somebody-else")


def test_a_later_process_shows_what_a_killed_one_has_left_without_asking_anybody(client, mock, elsewhere):
    script = """
client = Client("binance")
client.place_order("BTC/USDT", "buy", "0.01", type="market", client_order_id="filled")
client.place_order("ETH/USDT", "buy", "0.01", price="2900", client_order_id="rests")
client.place_order("BTC/USDT", "buy", "0.01", price="59000", client_order_id="lost")
"""
    hang = mock.faults.add("hang", on="place_order", at="after_accept", seconds=30, after=2)
    process = elsewhere(script, wait=False)
    assert hang.wait(30)
    process.kill()
    process.communicate()
    asked = len(mock.ledger.requests)

    assert [order.client_order_id for order in client.orders.unresolved()] == ["lost"]
    assert {order.client_order_id: order.status for order in client.orders.open()} == {
        "rests": "new",
        "lost": "unknown",
    }
    assert [order.client_order_id for order in client.orders.history("ETH/USDT")] == ["rests"]
    assert client.orders.get("filled").status is OrderStatus.FILLED
    assert client.orders.get("somebody-else") is None
    assert len(mock.ledger.requests) == asked
    with closing(sqlite3.connect(client.journal)) as db:
        assert db.execute("SELECT COUNT(*) FROM epoch").fetchone() == (1,)
        assert db.execute("SELECT COUNT(*) FROM epoch WHERE retired_ms IS NULL").fetchone() == (1,)

    assert client.orders.resolve("lost").status is OrderStatus.NEW
    assert client.orders.unresolved() == []


def test_a_client_that_may_not_trade_shows_what_the_others_have_open(client, mock, elsewhere):
    order = client.place_order(*BUY, price="59000")
    with Client("binance", environment=mock, read_only=True) as beside:
        assert beside.orders.open() == [order]
        assert beside.journal == client.journal
    script = """
client = Client("binance", read_only=True)
print(json.dumps([order.client_order_id for order in client.orders.open("BTC/USDT")]))
"""
    assert elsewhere(script) == [order.client_order_id]


def test_a_process_that_only_hears_of_an_order_forgets_neither_its_key_nor_its_time(client, mock, elsewhere):
    order = client.place_order(*BUY, price="59000", idempotency_key="row-9")
    script = """
canceled = Client("binance").cancel_all_orders()
print(json.dumps([order.status for order in canceled]))
"""
    assert elsewhere(script) == ["canceled"]
    (kept,) = Journal(client.journal, Environment()).orders()
    assert (kept.status, kept.idempotency_key) == (OrderStatus.CANCELED, "row-9")
    assert kept.created_at == order.created_at


def test_a_key_outlives_its_order_and_its_client(client, mock):
    order = client.place_order("BTC/USDT", "buy", "0.01", type="market", idempotency_key="row-8")
    client.close()
    with Client("binance", environment=mock) as later:
        again = later.place_order("BTC/USDT", "buy", "0.01", type="market", idempotency_key="row-8")
    assert again.status is OrderStatus.FILLED
    assert again.order_id == order.order_id
    assert {fill.id for fill in again.fills} == {fill.id for fill in order.fills}
    assert len(mock.ledger.orders()) == 1


def test_a_rejection_is_told_again(client, mock):
    for _ in range(2):
        with pytest.raises(InsufficientFunds) as caught:
            client.place_order("BTC/USDT", "sell", "140", price="61000", idempotency_key="row-9")
        assert caught.value.code == -2010
    assert sum(request.operation == "place_order" for request in mock.ledger.requests) == 1


def test_what_was_never_sent_is_sent_under_the_same_key(mock):
    path, credentials = mock.state_dir / "j", mock.credentials()
    with (
        Client("binance", environment="http://127.0.0.1:7", credentials=credentials, journal=path) as away,
        pytest.raises(TransportError),
    ):
        away.place_order(*BUY, price="59000", idempotency_key="row-10", timeout=1)
    with Client("binance", environment=mock, journal=path) as client:
        order = client.place_order(*BUY, price="59000", idempotency_key="row-10")
    assert order.status is OrderStatus.NEW
    assert len(mock.ledger.orders()) == 1


def test_a_process_killed_between_send_and_answer_has_forgotten_nothing(client, mock, elsewhere):
    fault = mock.faults.add("hang", on="place_order", at="after_accept", seconds=30)
    script = """
client = Client("binance")
client.place_order("BTC/USDT", "buy", "0.01", price="59000", client_order_id="mine-1")
"""
    process = elsewhere(script, wait=False)
    assert fault.wait(30)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert client.orders.get("mine-1").status is OrderStatus.UNKNOWN  # it is gone, and nobody has asked yet
    client.place_order(*BUY, price="58000")

    order = client.orders.get("mine-1")
    assert order.status is OrderStatus.NEW
    assert sum(o.client_order_id == "mine-1" for o in mock.ledger.orders()) == 1


def test_a_process_killed_before_it_sent_has_sent_nothing(client, mock, elsewhere):
    script = """
import signal
import sqlite3
from exconnect.transport.http import Http
client = Client("binance")
client.fetch_balances(); client.fetch_instrument("BTC/USDT")
journal = client._open().account.intents
journal.attempt = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
client.place_order("BTC/USDT", "buy", "0.01", price="59000", client_order_id="mine-2")
"""
    process = elsewhere(script, wait=False)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL

    assert client.recover() == []
    assert client.orders.get("mine-2").status is OrderStatus.NEVER_SENT
    order = client.place_order(*BUY, price="59000", client_order_id="mine-2")
    assert order.status is OrderStatus.NEW
    assert len(mock.ledger.orders()) == 1


ASKED_AGAIN = """
client = Client("binance")
client.fetch_balances(); client.fetch_instrument("BTC/USDT")
{before}
client.place_order("BTC/USDT", "buy", "0.01", price="59000", idempotency_key="row-3")
"""


def test_a_wish_that_a_process_left_which_died_while_this_one_ran_is_sent_by_whoever_asks_again(
    client, mock, elsewhere
):
    client.place_order(*BUY, price="58000")  # it has looked for what the dead have left
    dies = "client._open().account.intents.attempt = lambda *_: os._exit(9)"
    process = elsewhere(ASKED_AGAIN.format(before=dies), wait=False)
    process.communicate(timeout=60)
    assert process.returncode == 9
    order = client.place_order(*BUY, price="59000", idempotency_key="row-3")
    assert order.status is OrderStatus.NEW
    assert len(mock.ledger.orders()) == 2


def test_an_order_that_a_process_left_which_died_while_this_one_ran_is_found_out_by_whoever_asks_again(
    client, mock, elsewhere, monkeypatch
):
    monkeypatch.setattr(Environment, "caution", 1 / 60)
    client.place_order(*BUY, price="58000")
    hang = mock.faults.add("hang", on="place_order", at="before_accept", seconds=30)
    process = elsewhere(ASKED_AGAIN.format(before=""), wait=False)
    assert hang.wait(30)
    process.kill()
    process.communicate()
    order = client.place_order(*BUY, price="59000", idempotency_key="row-3", timeout=60)
    assert order.status is OrderStatus.NOT_ACCEPTED
    assert len(mock.ledger.orders()) == 1


def test_an_open_order_of_the_journal_that_a_cancel_renamed_keeps_its_name_in_every_process(client, mock, elsewhere):
    orders = [client.place_order(*BUY, price=price) for price in ("59000", "58000")]
    client.raw.delete("/api/v3/openOrders", {"symbol": "BTCUSDT"}, signed=True)
    script = """
client = Client("binance")
{look}
print(json.dumps([[order.client_order_id, order.status] for order in orders]))
"""
    one = elsewhere(
        script.format(look=f'orders = [client.fetch_order(symbol="BTC/USDT", order_id="{orders[0].order_id}")]')
    )
    names = [order.client_order_id for order in orders]
    journal = Journal(client.journal, Environment())

    assert one == [[names[0], "canceled"]]
    assert [journal.get(name).status for name in names] == ["canceled", "new"]
    found = elsewhere(script.format(look='orders = client.fetch_orders("BTC/USDT")'))
    assert found[-1] == [names[1], "canceled"]
    assert journal.orders(only_open=True) == []


@pytest.mark.parametrize("is_written", [True, False])
def test_recover_finds_the_end_of_an_order_that_somebody_else_has_ended(is_written, client, mock, elsewhere):
    order = client.place_order(*BUY, price="59000")
    if is_written:
        script = f"""
client = Client("binance")
print(json.dumps(client.cancel_order("{order.client_order_id}", symbol="BTC/USDT").status))
"""
        assert elsewhere(script) == "canceled"
    else:
        client.raw.delete("/api/v3/openOrders", {"symbol": "BTCUSDT"}, signed=True)
    assert client.orders.get(order).status is (OrderStatus.CANCELED if is_written else OrderStatus.NEW)
    assert client.recover() == []
    assert client.orders.get(order).status is OrderStatus.CANCELED
    asked = [request for request in mock.ledger.requests if request.operation == "fetch_order"]
    assert len(asked) == (0 if is_written else 1)


def test_an_order_that_stays_unknown_is_unknown_after_a_restart_too(client, mock, elsewhere):
    script = """
client = Client("binance")
client.fetch_instrument("BTC/USDT"); client.fetch_balances()
try:
    client.place_order("BTC/USDT", "buy", "0.01", price="59000", client_order_id="mine-3", timeout=3)
except OutcomeUnknown as error:
    print(json.dumps(error.client_order_id))
"""
    mock.faults.add("reset", on="place_order", at="before_accept")
    assert elsewhere(script) == "mine-3"
    unknown = client.recover(timeout=0.2)
    assert [order.client_order_id for order in unknown] == ["mine-3"]
    assert client.orders.unresolved() == unknown
    with pytest.raises(OutcomeUnknown):
        client.place_order(*BUY, price="59000", client_order_id="mine-3", timeout=0.5)
    assert mock.ledger.orders() == []


def test_halt_holds_in_every_process_and_after_a_restart(client, mock, elsewhere):
    client.halt("enough")
    script = """
client = Client("binance")
try:
    client.place_order("BTC/USDT", "buy", "0.01", price="59000")
except TradingHalted as error:
    print(json.dumps([client.is_halted, error.reason]))
"""
    assert elsewhere(script) == [True, "enough"]
    client.close()
    with Client("binance", environment=mock) as later:
        assert later.is_halted
        later.resume()
        assert not later.is_halted
        assert later.place_order(*BUY, price="59000").is_open
    assert len(mock.ledger.orders()) == 1


@pytest.fixture
def is_impatient(monkeypatch):
    monkeypatch.setattr("exconnect.trading.journal._HALTING_S", 0.0)


@pytest.mark.usefixtures("is_impatient")
def test_a_halt_that_cannot_be_written_holds_in_its_own_process(client):
    client.place_order(*BUY, price="58000")
    locked = sqlite3.connect(client.journal, isolation_level=None)
    locked.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalUnavailable):
        client.halt("prices look wrong")
    locked.execute("ROLLBACK")
    locked.close()
    assert client.is_halted
    for _ in range(2):
        with pytest.raises(TradingHalted, match="prices look wrong"):
            client.place_order(*BUY, price="59000")
    with pytest.raises(TradingHalted):
        client.raw.post("/api/v3/order", {"symbol": "BTCUSDT"})
    client.resume()
    assert not client.is_halted
    assert client.place_order(*BUY, price="59000").is_open


@pytest.mark.usefixtures("is_impatient")
def test_a_resume_that_cannot_be_written_leaves_the_halt(client):
    client.halt("prices look wrong")
    locked = sqlite3.connect(client.journal, isolation_level=None)
    locked.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalUnavailable):
        client.resume()
    locked.execute("ROLLBACK")
    locked.close()
    with pytest.raises(TradingHalted, match="prices look wrong"):
        client.place_order(*BUY, price="59000")


def test_who_waits_for_budget_while_trading_is_halted_sends_nothing(client, mock, elsewhere, monkeypatch):
    client.place_order(*BUY, price="58000")
    gateway = client._open().gateway
    acquire = gateway._acquire

    def late(trip):
        grant = acquire(trip)
        if trip.call.operation == "place_order":
            elsewhere('client = Client("binance"); client.halt("elsewhere"); print("1")')
        return grant

    monkeypatch.setattr(gateway, "_acquire", late)
    with pytest.raises(TradingHalted, match="elsewhere"):
        client.place_order(*BUY, price="59000", client_order_id="mine-4")
    assert client.orders.get("mine-4").status is OrderStatus.NEVER_SENT
    assert len(mock.ledger.orders()) == 1
    monkeypatch.undo()
    client.resume()
    assert client.place_order(*BUY, price="59000", client_order_id="mine-4").status is OrderStatus.NEW


def test_a_journal_that_cannot_be_written_refuses_places_and_lets_cancels_through(mock, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with Client("binance", environment=mock, journal=None) as before:
        order = before.place_order(*BUY, price="59000")
    with Client("binance", environment=mock, journal=blocked / "j") as client:
        with pytest.raises(JournalUnavailable) as caught:
            client.place_order(*BUY, price="59000")
        assert caught.value.retryable
        assert str(caught.value).endswith(": nothing was sent, and cancels go on")
        with pytest.raises(JournalUnavailable, match=r"blocked|file") as caught:
            client.recover()
        assert "cancels" not in str(caught.value)
        assert client.cancel_order(order).status is OrderStatus.CANCELED
        assert client.fetch_open_orders() == []


def test_a_journal_that_another_process_holds_refuses_soon(client):
    client.place_order(*BUY, price="58000")
    other = sqlite3.connect(client.journal, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalUnavailable, match="locked"):
        client.place_order(*BUY, price="59000")
    health = client.health()
    assert (health.ok, health.can_place, health.can_cancel) == (False, False, True)
    assert (health.parts["journal"].state, health.parts["journal"].cause) == ("open", "database is locked")
    assert client.health().parts["journal"].since == health.parts["journal"].since
    other.execute("ROLLBACK")
    other.close()
    assert client.health().can_place  # as soon as it could be written, without an order that shows it
    assert client.place_order(*BUY, price="59000").is_open


def test_a_forked_child_writes_under_its_own_epoch(client, mock):
    client.place_order(*BUY, price="58000")
    pid = os.fork()
    if pid == 0:
        try:
            order = client.place_order(*BUY, price="57000", timeout=30)
            os._exit(0 if order.status is OrderStatus.NEW else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    mine = client.place_order(*BUY, price="59000")
    epochs = {order.client_order_id.split("-")[2] for order in mock.ledger.orders()}
    assert len(epochs) == 2
    assert mine.client_order_id.split("-")[2] in epochs
    assert client._open().account.intents.verify() == []


def test_a_thread_that_ends_closes_its_connection(client):
    client.place_order(*BUY, price="58000")
    journal, connections = client._open().account.intents, []

    def look():
        journal.orders()
        connections.append(journal._file._local.own.db)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connections[0].execute("SELECT 1")
    assert len(journal.orders()) == 1


def test_another_journal_for_the_same_account(client, mock, tmp_path):
    client.fetch_time()
    with Client("binance", environment=mock, journal=tmp_path / "other") as other, pytest.raises(ConfigurationError):
        other.fetch_time()


def test_one_journal_for_two_exchanges(client):
    client.place_order(*BUY, price="50000")
    with (
        MockExchange("bybit", activity=0) as bybit,
        Client("bybit", environment=bybit, journal=client.journal) as stranger,
        pytest.raises(ConfigurationError, match="already the journal of another account"),
    ):
        stranger.recover()


def test_the_journal_of_another_exchange(client):
    client.place_order(*BUY, price="50000")
    path = client.journal
    client.close()
    with (
        MockExchange("bybit", activity=0) as bybit,
        Client("bybit", environment=bybit, journal=path) as stranger,
    ):
        for act in (stranger.recover, lambda: stranger.place_order(*BUY, price="50000")):
            with pytest.raises(JournalUnavailable, match="it is for orders on binance, not on bybit"):
                act()
    assert Journal(path, Environment()).verify() == []


def test_one_journal_however_the_address_was_given(client, mock, tmp_path, monkeypatch):
    order = client.place_order(*BUY, price="50000")
    monkeypatch.setenv("EXCONNECT_STATE_DIR", str(tmp_path))
    with Client("binance", environment=mock.url, credentials=mock.credentials()) as other:
        assert other.orders.get(order) is not None
        assert other.journal == client.journal
        other.cancel_order(order)
    assert client.orders.get(order).status is OrderStatus.CANCELED
    assert list(tmp_path.iterdir()) == []


def test_threads_share_one_journal(client, mock):
    from concurrent.futures import ThreadPoolExecutor

    def place(number):
        return client.place_order(*BUY, price=str(50_000 + number % 10), idempotency_key=f"key-{number % 10}")

    with ThreadPoolExecutor(8) as pool:
        orders = list(pool.map(place, range(40)))
    assert len({order.client_order_id for order in orders}) == 10
    assert len(mock.ledger.orders()) == 10


def test_two_exchanges_two_files(mock):
    with (
        MockExchange("binance", seed=1, activity=0) as other,
        Client("binance", environment=mock) as one,
        Client("binance", environment=other) as two,
    ):
        assert one.journal != two.journal


def test_the_journal_stays_where_it_was_when_the_client_was_made(mock, tmp_path, monkeypatch):
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    for folder in (there, elsewhere):
        folder.mkdir()
    monkeypatch.chdir(there)
    with Client("binance", environment=mock, journal="orders.journal") as client:
        monkeypatch.chdir(elsewhere)
        client.place_order(*BUY, price="59000")
        assert client.journal == there / "orders.journal"
    monkeypatch.chdir(there)
    monkeypatch.setenv("EXCONNECT_STATE_DIR", "state")
    auto = Client("binance", environment=mock.url, credentials=mock.credentials())
    monkeypatch.chdir(elsewhere)
    assert auto.journal.parent == there / "state"
    assert list(elsewhere.iterdir()) == []


def test_two_accounts_two_files_whatever_their_labels(mock):
    labels = ("main", "a/b", "a_b", "主账户", "副账户", "Ωλ")
    paths = {label: Client("binance", environment=mock, account=label).journal for label in labels}
    assert len(set(paths.values())) == len(labels)
    assert all(path.parent == mock.state_dir and path.name.isascii() for path in paths.values())
    assert paths["main"].name.endswith("-main.journal")


def test_an_open_order_whose_journal_is_lost_is_told_of_once(client, mock, caplog):
    kept = client.place_order(*BUY, price="59000")
    with Client("binance", environment=mock, account="another") as other:
        other.place_order(*BUY, price="58000")
    client.place_order(*BUY, price="57000", client_order_id="by-hand")
    client.fetch_open_orders()
    client.close()
    assert "no journal here" not in caplog.text
    client.journal.rename(client.journal.with_suffix(".lost"))

    with Client("binance", environment=mock) as later:
        later.recover()
        later.recover()
        later.fetch_open_orders()
    told = [record.getMessage() for record in caplog.records if "no journal here" in record.getMessage()]
    assert len(told) == 1
    assert kept.client_order_id in told[0]
