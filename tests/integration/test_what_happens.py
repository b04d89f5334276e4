"""Rows of docs/topics/what-happens-to-an-order.md that no other test tries."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from exconnect import AmendRefused, Client, OrderRejected, OrderStatus, OutcomeUnknown, TransportError
from exconnect.environment import Environment
from exconnect.gateway import Gateway
from exconnect.mock import MockExchange

pytestmark = pytest.mark.network

BUY = ("BTC/USDT", "buy", "0.01")
D_HALF = "0.005"
REFUSED = {"binance": -1013, "bybit": 170124}


@pytest.fixture
def elsewhere_placing(mock, elsewhere):
    """A process that dies while it places the order `mine`, where the script says."""

    def run(script):
        process = elsewhere(
            f"""
import signal
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
client = Client("binance")
client.fetch_balances(); client.fetch_instrument("BTC/USDT")
venue = client._open()
{script}
client.place_order("BTC/USDT", "buy", "0.01", price="59000", client_order_id="mine")
""",
            wait=False,
        )
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL

    return run


@pytest.fixture(params=["binance", "bybit"])
def each(request):
    """A mock of each exchange, and a client of it."""
    with MockExchange(request.param, seed=7, activity=0) as mock, Client(request.param, environment=mock) as client:
        client.fetch_balances()
        client.fetch_instrument("BTC/USDT")
        yield mock, client


def test_killed_between_the_attempt_and_the_first_byte(mock, client, elsewhere_placing):
    elsewhere_placing("venue.http.send = die")
    (order,) = client.recover(timeout=0.5)
    assert (order.client_order_id, order.status) == ("mine", OrderStatus.UNKNOWN)
    assert mock.ledger.orders() == []


def test_killed_between_the_answer_and_its_record(mock, client, elsewhere_placing):
    elsewhere_placing("send = venue.http.send\nvenue.http.send = lambda *given, **more: die(send(*given, **more))")
    (order,) = client.recover(timeout=60)
    assert (order.client_order_id, order.status) == ("mine", OrderStatus.NEW)
    assert [each.client_order_id for each in mock.ledger.orders()] == ["mine"]


def test_killed_without_a_journal(mock, client, elsewhere):
    hang = mock.faults.add("hang", on="place_order", at="after_accept", seconds=30)
    process = elsewhere(
        'Client("binance", journal=None).place_order("BTC/USDT", "buy", "0.01", price="59000")', wait=False
    )
    assert hang.wait(30)
    process.kill()
    process.communicate()
    assert client.recover(timeout=1) == []
    assert client.orders.history() == []
    assert len(client.fetch_open_orders()) == 1  # all that is left is to ask the exchange


def test_a_deleted_journal_has_forgotten_everything(mock, client):
    client.place_order(*BUY, price="59000", idempotency_key="row-1")
    path = client.journal
    client.close()
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    with Client("binance", environment=mock) as later:
        assert later.recover(timeout=1) == []
        later.place_order(*BUY, price="59000", client_order_id="row-1-again")
    assert len(mock.ledger.orders()) == 2


def test_two_machines_know_nothing_of_each_other(mock, client, tmp_path):
    key = {"idempotency_key": "row-1"}
    order = client.place_order("BTC/USDT", "buy", "0.01", type="market", **key)
    client.halt("here")
    with Client("binance", environment=mock, account=client.account, journal=tmp_path / "theirs") as other:
        client.close()  # one process has one journal of an account
        twice = other.place_order("BTC/USDT", "buy", "0.01", type="market", **key)
    assert twice.client_order_id == order.client_order_id
    assert len(mock.ledger.orders()) == 2


def test_a_fork_in_the_middle_of_a_call(mock, client):
    client.place_order(*BUY, price="58000")
    late = mock.faults.add("delay", on="place_order", at="after_accept", seconds=1.0)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.place_order, *BUY, price="59000")
        assert late.wait(30)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                status = 0 if client.place_order(*BUY, price="57000", timeout=30).status is OrderStatus.NEW else 2
            finally:
                os._exit(status)
        assert call.result(timeout=60).status is OrderStatus.NEW
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert len(mock.ledger.orders()) == 3


def test_a_client_that_is_closed_in_the_middle_of_a_call(mock, client):
    hang = mock.faults.add("hang", on="place_order", at="after_accept", seconds=30)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.place_order, *BUY, price="59000", client_order_id="mine", timeout=3)
        assert hang.wait(30)
        client.close()
        with pytest.raises(OutcomeUnknown) as caught:
            call.result(timeout=60)
    assert caught.value.client_order_id == "mine"
    with Client("binance", environment=mock) as later:
        assert [order.status for order in later.recover(timeout=60)] == [OrderStatus.NEW]
    assert len(mock.ledger.orders()) == 1


def test_a_cancel_that_overtakes_its_order(each):
    mock, client = each
    late = mock.faults.add("delay", on="place_order", at="before_accept", seconds=1.5)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.place_order, *BUY, price="59000", client_order_id="mine")
        assert late.wait(30)
        canceled = client.cancel_order("mine", symbol="BTC/USDT")
        assert call.result(timeout=60).client_order_id == "mine"
    assert canceled.status is OrderStatus.CANCELED
    assert client.orders.get("mine").status is OrderStatus.CANCELED
    assert [order.status for order in mock.ledger.orders()] == ["canceled"]


def test_a_cancel_of_everything_while_an_order_is_on_its_way(each, monkeypatch):
    monkeypatch.setattr(Environment, "caution", 1 / 60)  # a minute of margin is over in a second
    mock, client = each
    late = mock.faults.add("delay", on="place_order", at="before_accept", seconds=1.5)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.place_order, *BUY, price="59000")
        assert late.wait(30)
        client.cancel_all_orders("BTC/USDT")
        call.result(timeout=60)
    assert [order.status for order in mock.ledger.orders()] == ["canceled"]


def test_a_cancel_of_everything_that_cannot_look(each):
    mock, client = each
    client.place_order(*BUY, price="59000")
    mock.faults.add("status", on="fetch_open_orders", status=503, times=None)
    with pytest.raises(OutcomeUnknown):
        client.cancel_all_orders(timeout=3)
    assert [order.status for order in mock.ledger.orders()] == ["canceled"]


def test_a_cancel_of_everything_that_sees_old_reads(each):
    mock, client = each
    mock.faults.add("lag", seconds=2)
    for symbol, price in (("BTC/USDT", "59000"), ("ETH/USDT", "2900")):
        client.place_order(symbol, "buy", "0.1", price=price)
    assert {order.symbol for order in client.cancel_all_orders()} == {"BTC/USDT", "ETH/USDT"}
    assert [order.status for order in mock.ledger.orders()] == ["canceled", "canceled"]


def test_a_cancel_of_everything_that_another_process_has_placed(mock, client, elsewhere):
    mock.faults.add("lag", seconds=3600)
    elsewhere("""
order = Client("binance").place_order("BTC/USDT", "buy", "0.01", price="59000")
print(json.dumps(order.client_order_id))
""")
    client.cancel_all_orders()
    assert [order.status for order in mock.ledger.orders()] == ["canceled"]


def test_a_cancel_of_everything_of_which_one_symbol_is_refused(each):
    mock, client = each
    for symbol, price in (("BTC/USDT", "59000"), ("ETH/USDT", "2900")):
        client.place_order(symbol, "buy", "0.1", price=price)
    refused = mock.faults.add(
        "status", on="cancel_all_orders", at="before_accept", status=400, code=REFUSED[mock.exchange]
    )
    with pytest.raises(OrderRejected):
        client.cancel_all_orders()
    assert refused.fired == 1
    assert [order.status for order in mock.ledger.orders()] == ["new", "canceled"]


def test_a_cancel_of_everything_whose_time_is_over_before_its_second_request(each, monkeypatch):
    _, client = each
    client.place_order(*BUY, price="59000")
    execute, canceled = Gateway.execute, Event()

    def slow(self, call, timeout, *more):
        if canceled.is_set():
            Event().wait(timeout)
            raise TransportError(f"{call.operation} was not sent: the deadline has passed")
        result = execute(self, call, timeout, *more)
        if call.operation == "cancel_all_orders":
            canceled.set()
        return result

    monkeypatch.setattr(Gateway, "execute", slow)
    with pytest.raises(OutcomeUnknown, match="could not be sure in time"):
        client.cancel_all_orders(timeout=3)
    assert canceled.is_set()


@pytest.mark.parametrize("fault", ["reset", "garbage"])
def test_a_lost_answer_to_an_amend_in_place(each, fault):
    mock, client = each
    order = client.place_order(*BUY, price="59000")
    lost = mock.faults.add(fault, on="amend_order", at="after_accept")
    amended = client.amend_order(order, quantity=D_HALF)
    assert lost.fired == 1
    assert (amended.client_order_id, str(amended.quantity.normalize())) == (order.client_order_id, D_HALF)
    assert len(mock.ledger.orders()) == 1


def test_an_amend_of_an_order_that_was_filled_meanwhile(each):
    mock, client = each
    order = client.orders.wait(client.place_order(*BUY, price="59999"), until="accepted", timeout=30)
    mock.execute("BTC/USDT", "sell", "5", price="59990")
    with pytest.raises((AmendRefused, OrderRejected)):
        client.amend_order(order, quantity=D_HALF)
    assert [order.status for order in mock.ledger.orders()] == ["filled"]
