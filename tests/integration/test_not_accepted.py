"""Orders that never reached the exchange: what must be known before they are called so, and what comes of it."""

import gc
import pickle
import queue
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import groupby
from threading import Event

import pytest
from seen import Seen

from exconnect import (
    Client,
    OrderNotFound,
    OrderStatus,
    OutcomeUnknown,
    PlaceOrder,
    Source,
    TransportError,
    ZombieOrder,
)
from exconnect.environment import Environment
from exconnect.mock import MockExchange
from exconnect.trading.journal import Journal

pytestmark = pytest.mark.network

BUY = ("BTC/USDT", "buy", "0.01")
PRICE = {"price": "59000"}


@pytest.fixture(params=["binance", "bybit"])
def mock(request):
    with MockExchange(request.param, seed=7, activity=0) as exchange:
        yield exchange


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """A minute of margin is over in a second here."""
    monkeypatch.setattr(Environment, "caution", 1 / 60)


@pytest.fixture
def client(mock):
    with Client(mock.exchange, environment=mock) as made:
        made.fetch_balances()
        made.fetch_instrument("BTC/USDT")
        yield made


def lose_the_request(mock):
    mock.faults.add("reset", on="place_order", at="before_accept")


def unknown(client, **more):
    with pytest.raises(OutcomeUnknown) as caught:
        client.place_order(*BUY, **PRICE, timeout=1.5, **more)
    return caught.value


def sent(mock, operation):
    return sum(request.operation == operation for request in mock.ledger.requests)


def test_an_order_that_never_arrived_is_known_not_to_have_arrived(client, mock, caplog):
    lose_the_request(mock)
    error = unknown(client)

    order = error.resolve(timeout=60)

    assert order.status is OrderStatus.NOT_ACCEPTED
    assert order.is_done
    assert order.is_definite
    assert order == client.orders.get(error.client_order_id)
    told = [text for text in caplog.messages if "never accepted it" in text]
    assert told == [f"order {error.client_order_id} of BTC/USDT: the exchange never accepted it"]
    assert client.orders.unresolved() == []
    assert mock.ledger.orders() == []
    assert sent(mock, "place_order") == 1
    # The same by every road, and after a restart.
    assert client.orders.resolve(error).status is OrderStatus.NOT_ACCEPTED
    assert client.orders.wait(order, timeout=0).status is OrderStatus.NOT_ACCEPTED
    client.close()
    with Client(mock.exchange, environment=mock) as later:
        assert later.recover() == []
        again = later.place_order(*BUY, **PRICE, client_order_id=error.client_order_id)
        assert again.status is OrderStatus.NOT_ACCEPTED
        assert mock.ledger.orders() == []


def test_whoever_waits_long_enough_hears_that_it_was_not_sent(client, mock):
    lose_the_request(mock)
    with pytest.raises(TransportError, match="never arrived") as caught:
        client.place_order(*BUY, **PRICE, timeout=40)
    error = caught.value
    assert (error.outcome, error.operation, error.retryable) == ("not_sent", "place_order", True)
    assert client.orders.get(error.client_order_id).status is OrderStatus.NOT_ACCEPTED
    assert mock.ledger.orders() == []


def test_a_key_is_not_sent_again(client, mock):
    lose_the_request(mock)
    unknown(client, idempotency_key="row-7").resolve()

    again = client.place_order(*BUY, **PRICE, idempotency_key="row-7")

    assert again.status is OrderStatus.NOT_ACCEPTED
    assert sent(mock, "place_order") == 1
    assert client.place_order(*BUY, **PRICE, idempotency_key="row-7 again").is_open


@pytest.mark.parametrize("name", ["client_order_id", "idempotency_key"])
def test_the_same_call_cannot_succeed_under_a_name_that_is_used_up(client, mock, name):
    lose_the_request(mock)
    with pytest.raises(TransportError, match="never arrived") as caught:
        client.place_order(*BUY, **PRICE, **{name: "row-8"}, timeout=40)
    assert not caught.value.retryable
    assert not pickle.loads(pickle.dumps(caught.value)).retryable
    assert client.place_order(*BUY, **PRICE, **{name: "row-8"}).status is OrderStatus.NOT_ACCEPTED


def test_before_the_margin_is_over_it_stays_unknown(client, mock, monkeypatch):
    monkeypatch.setattr(Environment, "caution", 1.0)
    lose_the_request(mock)
    with pytest.raises(OutcomeUnknown):
        unknown(client).resolve(timeout=0.5)
    assert sent(mock, "cancel_order") == 0


@pytest.mark.parametrize("operation", ["fetch_order", "fetch_orders", "fetch_fills", "cancel_order"])
def test_an_error_is_no_evidence(client, mock, operation):
    lose_the_request(mock)
    failing = mock.faults.add("status", on=operation, status=503, times=None)
    error = unknown(client)
    with pytest.raises(OutcomeUnknown):
        error.resolve(timeout=2)
    assert failing.wait(60)  # it is still looked for in the background
    assert client.orders.get(error.client_order_id).status is OrderStatus.UNKNOWN
    mock.faults.clear()
    assert error.resolve(timeout=60).status is OrderStatus.NOT_ACCEPTED


def test_an_order_that_no_query_shows_is_found_in_the_lists(client, mock):
    mock.faults.add("reset", on="place_order", at="after_accept")
    mock.faults.add("lag", on="fetch_order", seconds=60, times=None)
    order = unknown(client).resolve(timeout=60)
    assert order.status is OrderStatus.NEW
    assert sent(mock, "cancel_order") == 0


def test_a_filled_order_that_no_query_shows_is_found(client, mock):
    mock.faults.add("reset", on="place_order", at="after_accept")
    mock.faults.add("lag", on="fetch_order", seconds=60, times=None)
    with pytest.raises(OutcomeUnknown) as caught:
        client.place_order("BTC/USDT", "buy", "0.5", type="market", timeout=2.0)
    order = caught.value.resolve(timeout=60)
    assert (order.status, order.filled_quantity) == (OrderStatus.FILLED, order.quantity)


def test_an_order_that_nothing_shows_is_not_left_open(client, mock, monkeypatch):
    monkeypatch.setattr("exconnect.trading.absence._orders_since", lambda *_: ())
    mock.faults.add("reset", on="place_order", at="after_accept")
    blind = mock.faults.add("lag", on="fetch_order", seconds=300, times=None)
    fence = mock.faults.add("delay", on="cancel_order", at="before_accept")
    error = unknown(client)
    with ThreadPoolExecutor(1) as pool:
        resolving = pool.submit(error.resolve, 50)
        assert fence.wait(50)
        blind.remove()
        order = resolving.result()
    assert is_canceled(client, order)
    assert mock.ledger.order(order.client_order_id).status == "canceled"


def test_who_looks_while_another_cancels_what_nothing_shows_concludes_nothing(client, mock, monkeypatch):
    monkeypatch.setattr("exconnect.trading.absence._orders_since", lambda *_: ())
    mock.faults.add("reset", on="place_order", at="after_accept")
    blind = mock.faults.add("lag", on="fetch_order", seconds=300, times=None)
    fence = mock.faults.add("delay", on="cancel_order", at="after_accept", seconds=3.0)
    error = unknown(client)
    with ThreadPoolExecutor(3) as pool:
        resolving = [pool.submit(error.resolve, 50) for _ in range(3)]
        assert fence.wait(50)
        wait(resolving, 5, FIRST_COMPLETED)  # whoever does not wait for the answer to the cancel would be done by then
        blind.remove()
        assert {is_canceled(client, each.result()) for each in resolving} == {True}
    assert sent(mock, "cancel_order") == 1


def test_a_cancel_whose_answer_is_lost_is_no_evidence(client, mock, monkeypatch):
    monkeypatch.setattr("exconnect.trading.absence._orders_since", lambda *_: ())
    mock.faults.add("reset", on="place_order", at="after_accept")
    blind = mock.faults.add("lag", on="fetch_order", seconds=300, times=None)
    lost = mock.faults.add("reset", on="cancel_order", at="after_accept")
    error = unknown(client)
    with ThreadPoolExecutor(1) as pool:
        resolving = pool.submit(error.resolve, 50)
        assert lost.wait(50)
        monkeypatch.setattr(Environment, "caution", 1 / 6)  # a margin that outlives the blindness, on any machine
        wait([resolving], 0.5)  # the cancel is repeated, and its refusal may be an echo
        blind.remove()
        assert is_canceled(client, resolving.result())


def test_canceling_what_never_arrived(client, mock):
    lose_the_request(mock)
    error = unknown(client)
    with pytest.raises(OutcomeUnknown, match="canceling it again is safe") as caught:
        client.cancel_order(error.client_order_id, timeout=0.2)
    assert "do not send" not in caught.value.message
    assert "knows no open order" in caught.value.message
    gone = client.cancel_order(error.client_order_id, timeout=30)
    assert gone.status is OrderStatus.NOT_ACCEPTED
    assert client.cancel_order(error.client_order_id).status is OrderStatus.NOT_ACCEPTED
    with pytest.raises(OrderNotFound):
        client.cancel_order("never-placed", symbol="BTC/USDT")


def make_invisible(client, mock, monkeypatch):
    """An order that exists, and of which all evidence says that it does not, until the fault is removed.

    No fixture: the order may be found at once, and nobody captures what is logged between a set-up and its test.
    """
    monkeypatch.setattr("exconnect.trading.absence._left_no_trace", lambda *_: True)
    monkeypatch.setattr("exconnect.trading.absence._fenced", lambda *_: None)
    mock.faults.add("reset", on="place_order", at="after_accept")
    blind = mock.faults.add("lag", on="fetch_order", seconds=300, times=None)
    order = unknown(client).resolve(timeout=60)
    assert order.status is OrderStatus.NOT_ACCEPTED
    assert mock.ledger.order(order.client_order_id).status == "new"
    return order, blind


def test_what_another_process_was_told_meanwhile_is_what_became_of_it(client, mock, monkeypatch):
    lose_the_request(mock)

    def told_elsewhere(_, __, order, *___):
        end = replace(order, status=OrderStatus.CANCELED, order_id="7", source=Source.REST)
        Journal(client.journal, Environment()).record(end)

    monkeypatch.setattr("exconnect.trading.absence._fenced", told_elsewhere)
    order = unknown(client).resolve(timeout=60)
    assert (order.status, order.order_id) == (OrderStatus.CANCELED, "7")


def is_canceled(client, order):
    return client.orders.wait(order, timeout=30).status is OrderStatus.CANCELED


def test_an_order_that_shows_up_after_all_is_canceled(client, mock, monkeypatch, caplog):
    heard = client.orders.on_change(Seen())
    order, blind = make_invisible(client, mock, monkeypatch)
    blind.remove()
    client.fetch_open_orders()
    assert is_canceled(client, order)
    assert mock.ledger.order(order.client_order_id).status == "canceled"
    assert "ZombieOrder" in caplog.text
    changes = heard.until(lambda orders: orders[-1].status is OrderStatus.CANCELED)
    told = [status for status, _ in groupby(change.status for change in changes)]
    assert told.count(OrderStatus.NOT_ACCEPTED) == 1  # it is never said again once the order was seen


def test_it_is_looked_for_again_in_the_background(client, mock, monkeypatch):
    """Nobody asks for an order that is over: whoever canceled it was in the background."""
    heard = client.orders.on_change(Seen())
    order, blind = make_invisible(client, mock, monkeypatch)
    blind.remove()
    heard.until(lambda orders: orders[-1].status is OrderStatus.CANCELED, timeout=40)
    assert mock.ledger.order(order.client_order_id).status == "canceled"


def test_a_stream_tells_of_it_in_a_later_process(client, mock, monkeypatch):
    order, blind = make_invisible(client, mock, monkeypatch)
    client.close()
    blind.remove()
    notices = queue.Queue()
    with Client(mock.exchange, environment=mock) as later, later.stream() as stream:
        stream.on_notice(notices.put)
        stream.on_order(lambda order: None)
        stream.start()
        notice = notices.get(timeout=40)
        assert isinstance(notice, ZombieOrder)
        assert notice.order.client_order_id == order.client_order_id
        assert is_canceled(later, order)


@pytest.mark.parametrize("is_listing_down", [False, True])
def test_what_recover_has_no_time_to_find_out_is_found_out_afterwards(client, mock, is_listing_down):
    mock.faults.add("reset", on="place_order", at="after_accept")
    blind = [mock.faults.add("lag", on=name, seconds=300, times=None) for name in ("fetch_order", "fetch_open_orders")]
    unknown(client)
    client.close()
    down = mock.faults.add("status", on="fetch_instruments", status=503, times=None)
    if not is_listing_down:
        down.remove()
    found = Event()
    with Client(mock.exchange, environment=mock) as later:
        assert [order.status for order in later.recover(timeout=0.3)] == [OrderStatus.UNKNOWN]
        later._desk().orders.listen(lambda order: found.set() if order.status is OrderStatus.NEW else None)
        for fault in (*blind, down):
            fault.remove()
        assert found.wait(60)
        assert later.orders.unresolved() == []


def test_a_twin_of_a_process_that_is_gone_stands_in_nobodys_way(client, mock):
    twin = client.place_order(*BUY, **PRICE)
    client.cancel_order(twin)
    client.close()  # what it knew of the twin's number is gone with it; its name is in the journal
    with Client(mock.exchange, environment=mock) as later:
        later.fetch_balances()
        lose_the_request(mock)
        assert unknown(later).resolve(timeout=60).status is OrderStatus.NOT_ACCEPTED


@pytest.fixture
def other(mock):
    """Another program of the same account, which knows nothing of the journal."""
    with Client(mock.exchange, environment=mock, account="other", journal=None) as made:
        made.fetch_instrument("BTC/USDT")
        yield made


def test_orders_and_fills_of_others_are_told_apart(client, mock, other):
    resting = other.place_order("BTC/USDT", "buy", "0.01", price="59995")
    lose_the_request(mock)
    error = unknown(client)
    mock.execute("BTC/USDT", "sell", "0.005", price="59995")  # of an order from before
    other.place_order(*BUY, type="market")
    other.cancel_order(other.place_order(*BUY, price="58000"))
    other.place_order(*BUY, **PRICE)
    assert error.resolve(timeout=60).status is OrderStatus.NOT_ACCEPTED
    assert client.orders.get(resting.client_order_id) is None or not client.orders.get(resting.client_order_id).is_done


def test_an_order_that_may_be_listed_under_another_name_stays_unknown(client, mock, other, monkeypatch):
    if mock.exchange != "binance":
        pytest.skip("only there a cancel gives an order another name")
    monkeypatch.setattr(Environment, "caution", 1.0)  # nobody looks into the lists before it has its other name
    mock.faults.add("reset", on="place_order", at="after_accept")
    mock.faults.add("lag", on="fetch_order", seconds=300, times=None)
    error = unknown(client)
    other.cancel_all_orders("BTC/USDT")
    (truth,) = mock.ledger.orders()
    assert truth.status == "canceled"
    monkeypatch.setattr(Environment, "caution", 1 / 60)
    for _ in range(2):  # who looks into the lists once more has not concluded from them
        listed = mock.faults.add("delay", on="fetch_orders")
        with pytest.raises(OutcomeUnknown):
            error.resolve(timeout=1)
        assert listed.wait(60)
    assert client.orders.get(error.client_order_id).status is OrderStatus.UNKNOWN


def test_an_order_that_was_to_be_canceled_and_shows_up_later_is_canceled_in_the_background(client, mock):
    mock.faults.add("reset", on="place_order", at="after_accept")
    blind = mock.faults.add("lag", on="fetch_order", seconds=300, times=None)
    refused = mock.faults.add("status", on="cancel_order", at="before_accept", status=503, times=None)
    error = unknown(client)
    with pytest.raises(OutcomeUnknown):
        client.cancel_order(error.client_order_id, timeout=2)
    assert mock.ledger.order(error.client_order_id).status == "new"
    refused.remove()
    blind.remove()
    assert is_canceled(client, client.orders.get(error.client_order_id))
    assert mock.ledger.order(error.client_order_id).status == "canceled"


def test_many_orders_without_an_answer_are_looked_for_at_once(client, mock):
    names = [f"mine-{number}" for number in range(25)]
    intents = client._open().account.intents
    with Client(mock.exchange, environment=mock, account="other", journal=None) as other:
        for number, name in enumerate(names):
            price = str(50_000 + number)
            order = other.place_order(*BUY, price=price, client_order_id=name)
            mine = replace(order, status=OrderStatus.UNKNOWN, source=Source.LOCAL, order_id=None)
            intents.intend(mine, PlaceOrder(*BUY, price=price))
            intents.record(mine)
    client.close()
    gc.collect()  # what the two shared is gone with them
    asked = sent(mock, "fetch_order")
    with Client(mock.exchange, environment=mock) as later:
        assert not later.instruments
        found = later.recover(timeout=60)
    assert {order.client_order_id for order in found} == set(names)
    assert {(order.status, order.symbol) for order in found} == {(OrderStatus.NEW, "BTC/USDT")}
    assert sent(mock, "fetch_order") == asked


def test_a_cancel_without_an_answer_goes_on_in_the_background(client, mock):
    order = client.orders.wait(client.place_order(*BUY, **PRICE), until="accepted", timeout=30)
    refused = mock.faults.add("status", on="cancel_order", at="before_accept", status=503, times=None)
    for _ in range(2):
        with pytest.raises(OutcomeUnknown, match="may still be open"):
            client.cancel_order(order, timeout=1)
    assert client.fetch_order(order).is_open
    refused.remove()
    assert is_canceled(client, order)
    assert mock.ledger.order(order.client_order_id).status == "canceled"
