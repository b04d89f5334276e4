"""Orders, from the caller to the ledger and back."""

import logging
from decimal import Decimal

import pytest

from exconnect import (
    AmendOrder,
    AmendRefused,
    CancelOrder,
    Client,
    ExconnectError,
    InsufficientFunds,
    IntentConflict,
    NotSupported,
    OrderNotFound,
    OrderStatus,
    OutcomeUnknown,
    PlaceOrder,
    Source,
    TradingHalted,
    TransportError,
    WouldCross,
)

pytestmark = pytest.mark.network

D = Decimal


def test_a_limit_order_rests_and_is_known_everywhere(client, mock):
    order = client.place_order("BTC/USDT", "buy", "0.01", price="59000")

    assert order.status is OrderStatus.NEW
    assert order.is_open
    assert order.is_definite
    assert (order.quantity, order.price, order.filled_quantity) == (D("0.01"), D("59000"), D(0))
    assert order.remaining == D("0.01")
    assert order.raw["clientOrderId"] == order.client_order_id
    assert client.orders.get(order) == order
    assert client.orders.open("BTC/USDT") == [order]
    assert mock.ledger.order(order.client_order_id).status == "new"
    assert client.fetch_order(order.client_order_id).order_id == order.order_id
    assert [o.client_order_id for o in client.fetch_open_orders()] == [order.client_order_id]


def test_a_market_order_fills_with_fills(client, mock):
    order = client.place_order("BTC/USDT", "buy", "0.5", type="market")

    assert order.status is OrderStatus.FILLED
    assert order.fills_complete
    assert sum(fill.quantity for fill in order.fills) == D("0.5")
    assert order.average_price == order.filled_quote / order.filled_quantity
    assert {fill.id for fill in order.fills} == {fill.id for fill in mock.ledger.fills(order.client_order_id)}
    fills = client.fetch_fills("BTC/USDT", order=order)
    assert {(f.id, f.quantity, f.client_order_id) for f in fills} == {
        (f.id, f.quantity, order.client_order_id) for f in order.fills
    }


def test_a_market_order_by_quote_quantity(client):
    order = client.place_order("BTC/USDT", "buy", quote_quantity="100", type="market")

    assert order.status is OrderStatus.FILLED
    assert D("99") < order.filled_quote <= D("100")
    assert order.remaining is None


def test_post_only_that_would_cross_is_a_rejection(client, mock):
    with pytest.raises(WouldCross) as caught:
        client.place_order("BTC/USDT", "buy", "0.01", price="61000", post_only=True)

    order = client.orders.get(caught.value.client_order_id)
    assert order.status is OrderStatus.REJECTED
    assert isinstance(order.rejection, WouldCross)
    assert mock.ledger.orders() == []
    with pytest.raises(WouldCross):
        order.raise_for_status()


def test_without_funds(client):
    with pytest.raises(InsufficientFunds) as caught:
        client.place_order("BTC/USDT", "sell", "140", price="61000")
    assert caught.value.outcome == "rejected"
    assert caught.value.code == -2010
    assert caught.value.http_status == 400
    assert caught.value.operation == "place_order"


def test_stop_order_waits_for_its_trigger(client, mock):
    order = client.place_order("BTC/USDT", "sell", "0.01", price="59000", stop_price="59700", type="stop_loss_limit")

    assert order.status in {OrderStatus.UNTRIGGERED, OrderStatus.NEW}
    found = client.fetch_order(order)
    assert found.status is OrderStatus.UNTRIGGERED
    assert found.stop_price == D("59700")
    mock.execute("BTC/USDT", "sell", "60", price="59600")
    assert client.orders.wait(order, timeout=30).status is OrderStatus.FILLED


@pytest.mark.parametrize(
    "arguments, status",
    [
        ({"time_in_force": "ioc", "price": "59000"}, OrderStatus.EXPIRED),
        ({"time_in_force": "fok", "price": "59000"}, OrderStatus.EXPIRED),
        ({"time_in_force": "fok", "price": "61000"}, OrderStatus.FILLED),
    ],
)
def test_times_in_force(client, arguments, status):
    assert client.place_order("BTC/USDT", "buy", "0.01", **arguments).status is status


def test_cancel_gives_what_the_order_became(client, mock):
    order = client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    canceled = client.cancel_order(order)

    assert canceled.status is OrderStatus.CANCELED
    assert canceled.client_order_id == order.client_order_id
    assert client.cancel_order(order).status is OrderStatus.CANCELED
    assert mock.ledger.order(order.client_order_id).status == "canceled"


def test_cancel_too_late_is_no_error(client, mock):
    order = client.place_order("BTC/USDT", "buy", "0.01", price="59999")
    mock.execute("BTC/USDT", "sell", "2", price="59990")

    assert client.cancel_order(order).status is OrderStatus.FILLED


def test_cancel_of_an_order_that_never_was(client):
    with pytest.raises(OrderNotFound):
        client.cancel_order("never-placed", symbol="BTC/USDT")


def test_amend_in_place_keeps_the_order(client, mock):
    order = client.place_order("BTC/USDT", "buy", "0.02", price="59000")
    amended = client.amend_order(order, quantity="0.01")

    assert (amended.client_order_id, amended.order_id) == (order.client_order_id, order.order_id)
    assert amended.quantity == D("0.01")
    assert mock.ledger.order(order.client_order_id).quantity == D("0.01")


def test_amend_of_the_price_replaces_the_order(client, mock):
    order = client.place_order("BTC/USDT", "buy", "0.02", price="59000")
    amended = client.amend_order(order, price="59100")

    assert amended.replaces == order.client_order_id
    assert amended.client_order_id != order.client_order_id
    assert amended.price == D("59100")
    assert client.orders.get(order).status is OrderStatus.CANCELED
    assert [o.client_order_id for o in mock.ledger.orders() if o.status == "new"] == [amended.client_order_id]


def test_a_part_filled_order_is_not_replaced(client, mock):
    order = client.place_order("BTC/USDT", "buy", "0.02", price="59999.5")
    mock.execute("BTC/USDT", "sell", "0.01", price="59999.5")
    assert client.fetch_order(order).status is OrderStatus.PARTIALLY_FILLED

    with pytest.raises(AmendRefused):
        client.amend_order(order, price="59000")
    assert mock.ledger.order(order.client_order_id).status == "partially_filled"


def test_cancel_all_leaves_nothing(client, mock):
    ids = {client.place_order("BTC/USDT", "buy", "0.01", price=str(58000 + i)).client_order_id for i in range(5)}
    ids.add(client.place_order("ETH/USDT", "sell", "0.1", price="3500").client_order_id)
    stop = client.place_order("BTC/USDT", "sell", "0.01", stop_price="58500", type="stop_loss")

    canceled = client.cancel_all_orders()

    assert {order.client_order_id for order in canceled} == ids | {stop.client_order_id}
    assert client.fetch_open_orders() == []
    assert client.cancel_all_orders("BTC/USDT") == []


def test_batches_give_one_result_per_item(client):
    results = client.place_orders(
        [
            PlaceOrder("BTC/USDT", "buy", "0.01", price="59000"),
            PlaceOrder("BTC/USDT", "buy", "0.01", price="61000", post_only=True),
            PlaceOrder("NOPE/USDT", "buy", "0.01", price="59000"),
        ]
    )
    assert results[0].status is OrderStatus.NEW
    assert isinstance(results[1], WouldCross)
    assert isinstance(results[2], ExconnectError)
    amended = client.amend_orders([AmendOrder(results[0], quantity="0.005")])
    assert amended[0].quantity == D("0.005")
    canceled = client.cancel_orders([results[0], CancelOrder("unknown-id", symbol="BTC/USDT")])
    assert canceled[0].status is OrderStatus.CANCELED
    assert isinstance(canceled[1], OrderNotFound)


def test_validate_only_places_nothing(client, mock):
    order = client.place_order("BTC/USDT", "buy", "0.01", price="59000", validate_only=True)
    assert order.status is OrderStatus.NEVER_SENT
    assert mock.ledger.orders() == []


def test_own_client_order_id_is_bound_to_its_parameters(client, mock):
    first = client.place_order("BTC/USDT", "buy", "0.01", price="59000", client_order_id="mine-1")
    again = client.place_order("BTC/USDT", "buy", "0.01", price="59000", client_order_id="mine-1")

    assert again.order_id == first.order_id
    assert len(mock.ledger.orders()) == 1
    with pytest.raises(IntentConflict):
        client.place_order("BTC/USDT", "buy", "0.02", price="59000", client_order_id="mine-1")


def test_the_log_tells_of_a_lost_answer_and_of_its_end(client, mock, caplog):
    caplog.set_level(logging.INFO, "exconnect.orders")
    mock.faults.add("reset", on="place_order", at="after_accept")
    name = client.place_order("BTC/USDT", "buy", "0.01", price="59000").client_order_id
    lost, found = caplog.records
    assert (lost.levelname, found.levelname) == ("WARNING", "INFO")
    assert lost.getMessage().startswith(f"order {name} of BTC/USDT: place_order may have been executed")
    assert lost.getMessage().endswith("; it is looked for")
    assert found.getMessage() == f"order {name} of BTC/USDT: found, it is new"


@pytest.mark.parametrize("fault", [("reset", {}), ("status", {"status": 503}), ("garbage", {}), ("redirect", {})])
def test_a_lost_answer_is_found_and_nothing_is_sent_twice(client, mock, fault):
    name, options = fault
    mock.faults.add(name, on="place_order", at="after_accept", **options)

    order = client.place_order("BTC/USDT", "buy", "0.01", price="59000", timeout=30)

    assert order.status is OrderStatus.NEW
    assert order.source is Source.REST
    assert [o.client_order_id for o in mock.ledger.orders()] == [order.client_order_id]
    assert sum(r.operation == "place_order" for r in mock.ledger.requests) == 1


def test_no_answer_and_no_order_is_unknown_not_a_failure(client, mock):
    mock.faults.add("reset", on="place_order", at="before_accept")

    with pytest.raises(OutcomeUnknown) as caught:
        client.place_order("BTC/USDT", "buy", "0.01", price="59000", timeout=3)
    assert "in a little over a minute if it never arrived; do not send it again" in caught.value.message

    error = caught.value
    assert error.outcome == "unknown"
    assert not error.retryable
    assert client.orders.get(error.client_order_id).status is OrderStatus.UNKNOWN
    assert [o.client_order_id for o in client.orders.unresolved()] == [error.client_order_id]
    assert sum(r.operation == "place_order" for r in mock.ledger.requests) == 1
    with pytest.raises(OutcomeUnknown):
        error.resolve(timeout=0.3)


def test_an_unknown_order_that_shows_up_late_is_resolved(client, mock):
    client.fetch_instrument("BTC/USDT")
    client.fetch_balances()
    mock.faults.add("reset", on="place_order", at="after_accept")
    mock.faults.add("lag", on="fetch_order", seconds=2.0, times=None)

    with pytest.raises(OutcomeUnknown) as caught:
        client.place_order("BTC/USDT", "buy", "0.01", price="59000", timeout=1.0)

    mock.faults.clear()
    order = caught.value.resolve(timeout=60)
    assert order.status is OrderStatus.NEW
    assert client.orders.unresolved() == []


def test_what_nobody_waits_for_any_more_is_still_found(client, mock):
    from threading import Event

    found = Event()
    client.fetch_instrument("BTC/USDT")
    client.fetch_balances()

    @client.orders.on_change
    def hear(order):
        if order.status is OrderStatus.NEW:
            found.set()

    mock.faults.add("reset", on="place_order", at="after_accept")
    lag = mock.faults.add("status", on="fetch_order", status=503, times=None)
    with pytest.raises(OutcomeUnknown):
        client.place_order("BTC/USDT", "buy", "0.01", price="59000", timeout=3.0)
    lag.remove()
    assert found.wait(60)


def test_an_interrupt_in_the_middle_of_a_send_leaves_the_order_unknown(client, mock, monkeypatch, caplog):
    client.fetch_instrument("BTC/USDT")
    client.fetch_balances()
    send = client._open().http.send

    def interrupted(request, **options):
        response = send(request, **options)
        if request.method == "POST":
            raise KeyboardInterrupt
        return response

    monkeypatch.setattr(client._open().http, "send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        client.place_order("BTC/USDT", "buy", "0.01", price="59000", client_order_id="mine-2")
    assert client.orders.get("mine-2").status is OrderStatus.UNKNOWN
    assert caplog.messages == ["order mine-2 of BTC/USDT: interrupted while it was sent; it may exist"]
    assert client.orders.resolve("mine-2").status is OrderStatus.NEW


def test_the_exchange_cannot_be_reached(mock):
    client = Client("binance", environment="http://127.0.0.1:9", credentials=mock.credentials())
    with client, pytest.raises(TransportError) as caught:
        client.place_order("BTC/USDT", "buy", "0.01", price="59000", timeout=1)
    assert caught.value.outcome == "not_sent"
    assert caught.value.retryable


def test_halt_stops_places_and_lets_cancels_through(client):
    order = client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    client.halt("enough")

    assert client.is_halted
    with pytest.raises(TradingHalted) as caught:
        client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    assert caught.value.reason == "enough"
    with pytest.raises(TradingHalted):
        client.raw.post("/api/v3/order/test", {"symbol": "BTCUSDT"}, signed=True)
    assert client.cancel_order(order).status is OrderStatus.CANCELED
    client.resume()
    assert client.place_order("BTC/USDT", "buy", "0.01", price="59000").is_open


def test_read_only(mock):
    with Client("binance", environment=mock, read_only=True) as client:
        with pytest.raises(NotSupported):
            client.place_order("BTC/USDT", "buy", "0.01", price="59000")
        assert client.fetch_balances()["USDT"].free == D("1000000")


def test_changes_are_heard_in_order(client):
    from threading import Event

    heard, done = [], Event()

    @client.orders.on_change
    def hear(order):
        heard.append((order.status, order.filled_quantity))
        if order.is_done:
            done.set()

    order = client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    client.cancel_order(order)
    assert done.wait(30)
    assert [status for status, _ in heard] == [OrderStatus.PENDING_NEW, OrderStatus.NEW, OrderStatus.CANCELED]
    client.orders.off(hear)


def test_clients_of_one_account_share_their_orders(client, mock):
    with Client("binance", environment=mock) as other:
        order = client.place_order("BTC/USDT", "buy", "0.01", price="59000")
        assert other.orders.get(order) == order
    assert client.fetch_order(order).is_open


def test_silence_cancels_what_is_not_shown_yet(client, mock):
    mock.faults.add("lag", seconds=3600)
    order = client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    with client.cancel_if_silent(0.1):
        assert client.orders.wait(order, timeout=30).status is OrderStatus.CANCELED
    assert mock.ledger.orders()[0].status == "canceled"


def test_silence_cancels_everything(client, mock):
    client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    canceled = mock.faults.add("delay", on="cancel_all_orders", seconds=0.0)
    switch = client.cancel_if_silent(0.3)
    assert not switch.is_native
    assert canceled.wait(30)
    assert client.orders.wait(client.orders.history()[0], timeout=30).status is OrderStatus.CANCELED
    switch.close()


def test_a_job_that_still_runs_while_the_client_closes_starts_no_thread(client):
    venue = client._open()
    venue.jobs("orders").submit(lambda: None)
    client.close()
    for name in ("orders", "market"):
        venue.jobs(name).submit(lambda: None)
        assert not venue.jobs(name).is_running
