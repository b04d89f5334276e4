"""An amend by cancel-and-replace whose answer is lost: the new order is found, whatever a repetition is told."""

from __future__ import annotations

from decimal import Decimal

import pytest

from exconnect import AmendOrder, AmendRefused, OrderRejected, OutcomeUnknown
from exconnect.environment import Environment
from exconnect.model.enums import OrderStatus

pytestmark = pytest.mark.network


@pytest.mark.parametrize(
    "fault", [{"name": "reset"}, {"name": "status", "status": 503}, {"name": "garbage"}], ids=lambda f: f["name"]
)
def test_the_new_order_is_found(client, mock, fault):
    order = client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    mock.faults.add(**fault, on="amend_order", at="after_accept")
    amended = client.amend_order(order, price="58000")
    assert (amended.status, amended.price, amended.replaces) == (OrderStatus.NEW, Decimal(58000), order.client_order_id)
    assert client.orders.get(order).status is OrderStatus.CANCELED
    assert [o.client_order_id for o in mock.ledger.orders() if o.status == "new"] == [amended.client_order_id]


def test_the_old_order_loses_the_word_for_what_it_was(client):
    order = client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    client.amend_order(order, price="58000")
    old = client.orders.get(order)
    assert (order.status_text, old.status, old.status_text) == ("NEW", OrderStatus.CANCELED, None)
    assert client.fetch_order(order).status_text == client.orders.get(order).status_text == "CANCELED"


def amends(mock):
    return [request for request in mock.ledger.requests if request.operation == "amend_order"]


@pytest.mark.parametrize("change", [{"price": "59000"}, {"quantity": "0.01"}, {"price": "59000", "quantity": "0.01"}])
def test_an_amend_that_changes_nothing_leaves_the_order_its_place_in_the_queue(client, mock, change):
    order = client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    same = client.amend_order(order, **change)
    assert (same.client_order_id, same.order_id, same.status) == (order.client_order_id, order.order_id, "new")
    assert amends(mock) == []
    (result,) = client.amend_orders([AmendOrder(order, **change)])
    assert result.order_id == order.order_id
    assert amends(mock) == []


def test_an_amend_that_changes_nothing_by_what_is_known_here_alone_is_sent(client, mock, elsewhere):
    order = client.place_order("BTC/USDT", "buy", "0.02", price="59000")
    script = f"""
client = Client("binance")
print(json.dumps(client.amend_order("{order.client_order_id}", symbol="BTC/USDT", quantity="0.01").client_order_id))
"""
    assert elsewhere(script) == order.client_order_id
    amended = client.amend_order(order, quantity="0.02")
    assert (amended.quantity, amended.replaces) == (Decimal("0.02"), order.client_order_id)


def test_an_amend_that_changes_nothing_of_an_order_that_is_over(client, mock):
    order = client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    client.raw.delete("/api/v3/openOrders", {"symbol": "BTCUSDT"}, signed=True)
    with pytest.raises(OrderRejected):
        client.amend_order(order, price="59000")
    assert not [o for o in mock.ledger.orders() if o.status == "new"]


def test_what_never_arrived_is_sent_again_once_the_old_order_is_there_to_be_replaced(client, mock):
    order = client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    mock.faults.add("reset", on="amend_order", at="before_accept")
    amended = client.amend_order(order, price="58000")
    assert [o.client_order_id for o in mock.ledger.orders() if o.status == "new"] == [amended.client_order_id]


def test_a_refusal_without_a_doubt_stays_one(client, mock):
    order = client.place_order("BTC/USDT", "buy", "0.01", price="59990")
    mock.execute("BTC/USDT", "sell", "2", price="59990")
    with pytest.raises((OrderRejected, AmendRefused)) as caught:
        client.amend_order(order, price="58000")
    assert not isinstance(caught.value, OutcomeUnknown)
    assert not [o for o in mock.ledger.orders() if o.status == "new"]


def test_an_amend_without_an_answer_may_be_sent_again(client, mock):
    order = client.place_order("BTC/USDT", "buy", "0.02", price="59000")
    lost = mock.faults.add("reset", on="amend_order", at="before_accept", times=None)
    with pytest.raises(OutcomeUnknown, match="amending it again is safe") as caught:
        client.amend_order(order, quantity="0.01", timeout=2)
    assert caught.value.client_order_id == order.client_order_id
    assert "do not send it again" not in caught.value.message
    assert caught.value.resolve(timeout=60).quantity == Decimal("0.02")
    lost.remove()
    assert client.amend_order(order, quantity="0.01").quantity == Decimal("0.01")


def test_a_replacement_that_never_arrives_leaves_the_order_as_it_is(client, mock, monkeypatch):
    monkeypatch.setattr(Environment, "caution", 1 / 60)
    order = client.place_order("BTC/USDT", "buy", "0.02", price="59000")
    lost = mock.faults.add("reset", on="amend_order", at="before_accept", times=None)
    with pytest.raises(OutcomeUnknown, match="amending it again is safe") as caught:
        client.amend_order(order, price="58000", timeout=2)
    assert caught.value.resolve(timeout=60).status is OrderStatus.NOT_ACCEPTED
    assert client.fetch_order(order).is_open
    lost.remove()
    amended = client.amend_order(order, price="58000")
    assert [o.client_order_id for o in mock.ledger.orders() if o.status == "new"] == [amended.client_order_id]
