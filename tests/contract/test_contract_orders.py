"""Orders and the account are the same everywhere, whatever an exchange's acknowledgement says."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from exconnect import (
    AmendOrder,
    CancelOrder,
    Capability,
    Client,
    DuplicateOrder,
    ExconnectError,
    InsufficientFunds,
    IntentConflict,
    InvalidArgument,
    InvalidOrder,
    NotSupported,
    Order,
    OrderNotFound,
    OrderRejected,
    OrderStatus,
    OrderType,
    PlaceOrder,
    RiskRejected,
    Side,
    TimeInForce,
    TradingHalted,
    UnknownSymbol,
    WouldCross,
)

pytestmark = pytest.mark.network

D = Decimal
BTC, ETH = "BTC/USDT", "ETH/USDT"


def rest(client, price="59000", quantity="0.01", symbol=BTC, **more) -> Order:
    """An order that rests at the exchange, judged by it."""
    order = client.orders.wait(
        client.place_order(symbol, "buy", quantity, price=price, **more), until="accepted", timeout=30
    )
    assert order.status is OrderStatus.NEW
    return order


def refusal(client, *arguments, **more) -> OrderRejected:
    """How an order is refused: raised by the call, or its fate."""
    with pytest.raises(OrderRejected) as caught:
        client.orders.wait(client.place_order(*arguments, **more), timeout=30).raise_for_status()
    error = caught.value
    assert error.outcome == "rejected"
    assert not error.retryable
    known = client.orders.get(error.client_order_id)
    assert known.status is OrderStatus.REJECTED
    assert type(known.rejection) is type(error)
    return error


def open_ids(mock) -> set[str]:
    return {order.client_order_id for order in mock.ledger.orders() if order.status in {"new", "partially_filled"}}


def sent(mock, *operations) -> int:
    return sum(request.operation in operations for request in mock.ledger.requests)


# ---- the account ----------------------------------------------------------------------------------------------------


def test_balances(client, mock, check):
    balances = client.fetch_balances()
    for balance in balances.values():
        check(balance, mock.exchange)
    assert {asset: (b.free, b.locked) for asset, b in balances.items()} == mock.ledger.balances()
    assert balances["USDT"].total == D(1000000)
    assert balances["XYZ"].total == 0
    assert "XYZ" not in balances
    rest(client, "50000", "1")
    assert client.fetch_balances()["USDT"].locked == D(50000)


def test_fees(client, mock, check):
    fees = client.fetch_fees(BTC)
    check(fees, mock.exchange)
    assert (fees.symbol, fees.maker, fees.taker) == (BTC, D("0.001"), D("0.001"))


# ---- placing --------------------------------------------------------------------------------------------------------


def test_a_placed_order_is_a_whole_order(client, mock, check):
    order = client.place_order(BTC, "buy", "0.01", price="59000")

    check(order, mock.exchange)
    assert order.status in {OrderStatus.ACCEPTED, OrderStatus.NEW}
    assert order.is_open
    assert (order.exchange, order.symbol, order.side, order.type) == (mock.exchange, BTC, Side.BUY, OrderType.LIMIT)
    assert (order.quantity, order.price, order.filled_quantity, order.remaining) == (D("0.01"), 59000, 0, D("0.01"))
    assert (order.time_in_force, order.post_only, order.fills) == (TimeInForce.GTC, False, ())
    assert order.order_id
    assert order.raw is not None
    assert order.created_at.utcoffset() == timedelta(0)
    assert client.orders.wait(order, until="accepted", timeout=30).status is OrderStatus.NEW
    assert client.orders.open(BTC) == [client.orders.get(order)]
    assert mock.ledger.order(order.client_order_id).status == "new"
    assert client.fetch_order(order.client_order_id).order_id == order.order_id
    assert [each.client_order_id for each in client.fetch_open_orders()] == [order.client_order_id]
    assert client.fetch_open_orders(ETH) == []


def test_waiting_gets_an_orders_fate(client, mock):
    order = rest(client, "59999")
    assert client.orders.wait(order, timeout=0.05).status is OrderStatus.NEW
    mock.execute(BTC, "sell", "2", price="59990")
    filled = client.orders.wait(order, timeout=30)
    assert (filled.status, filled.filled_quantity, filled.average_price) == (OrderStatus.FILLED, D("0.01"), 59999)


def test_a_market_order_by_base(client, mock):
    order = client.orders.wait(client.place_order(BTC, "buy", "0.5", type="market"), timeout=30)
    assert (order.status, order.quantity, order.filled_quantity) == (OrderStatus.FILLED, D("0.5"), D("0.5"))
    assert (order.price, order.average_price, order.filled_quote) == (None, 60006, 30003)
    fills = client.fetch_fills(BTC, order=order)
    truth = mock.ledger.fills(order.client_order_id)
    assert [(f.id, f.price, f.quantity, f.fee, f.fee_asset) for f in fills] == [
        (str(f.id), f.price, f.quantity, f.fee, f.fee_asset) for f in truth
    ]
    assert {(f.client_order_id, f.is_maker, f.side) for f in fills} == {(order.client_order_id, False, Side.BUY)}


def test_a_market_order_by_quote(client):
    order = client.orders.wait(client.place_order(BTC, "buy", quote_quantity="100", type="market"), timeout=30)
    assert (order.status, order.quantity, order.quote_quantity) == (OrderStatus.FILLED, None, 100)
    assert order.remaining is None
    assert 99 < order.filled_quote <= 100


@pytest.mark.parametrize(
    "force, price, status",
    [
        ("ioc", "59000", OrderStatus.EXPIRED),
        ("fok", "59000", OrderStatus.EXPIRED),
        ("fok", "60010", OrderStatus.FILLED),
        ("ioc", "60010", OrderStatus.FILLED),
    ],
)
def test_times_in_force(client, force, price, status):
    order = client.place_order(BTC, "buy", "0.01", price=price, time_in_force=force)
    assert order.time_in_force == force
    assert client.orders.wait(order, timeout=30).status is status


def test_post_only_that_would_cross_is_refused(client, mock):
    error = refusal(client, BTC, "buy", "0.01", price="60500", post_only=True)
    assert type(error) is WouldCross
    assert client.orders.get(error.client_order_id).filled_quantity == 0
    assert mock.ledger.fills() == []
    assert rest(client, post_only=True).post_only


def test_without_funds(client, mock):
    error = refusal(client, BTC, "sell", "140", price="61000")
    assert type(error) is InsufficientFunds
    assert (error.operation, error.symbol, error.exchange) == ("place_order", BTC, mock.exchange)
    assert error.code is not None
    assert open_ids(mock) == set()
    about = f"({BTC}, order {error.client_order_id}, needs BTC)"
    assert str(error) == f"{mock.exchange} refused place_order {about}: {error.message} [{error.code}]"
    assert refusal(client, BTC, "buy", "140", price="59000").details["asset"] == "USDT"


@pytest.mark.parametrize(
    "quantity, price, name",
    [("0.000001", "59000", "lot_size"), ("0.01", "59000.001", "tick_size"), ("0.00001", "59000", "min_notional")],
)
def test_an_instruments_rules_are_checked_here(client, mock, quantity, price, name):
    with pytest.raises(InvalidOrder) as caught:
        client.place_order(BTC, "buy", quantity, price=price)
    assert caught.value.filter == name or (name, caught.value.filter) == ("lot_size", "min_quantity")
    assert sent(mock, "place_order") == 0


def test_a_market_order_is_measured_by_the_price_seen_last(client, mock):
    refused = refusal(client, BTC, "sell", "0.00001", type="market")  # no price is known here: the exchange says no
    assert type(refused) is OrderRejected
    asked = sent(mock, "place_order")
    client.fetch_ticker(BTC)
    with pytest.raises(InvalidOrder, match=r"worth 0\.6 USDT, below the least notional 5 of BTC/USDT: use") as caught:
        client.place_order(BTC, "sell", "0.00001", type="market")
    assert caught.value.filter == "min_notional"
    assert sent(mock, "place_order") == asked
    # What is near the limit is left to the exchange, which measures by an average.
    refusal(client, BTC, "sell", "0.00008", type="market")
    assert sent(mock, "place_order") == asked + 1


# ---- cancels and amends ---------------------------------------------------------------------------------------------


def test_cancel_gives_what_the_order_became(client, mock):
    order = client.place_order(BTC, "buy", "0.01", price="59000")  # perhaps not yet judged
    canceled = client.cancel_order(order)
    assert (canceled.status, canceled.client_order_id) == (OrderStatus.CANCELED, order.client_order_id)
    assert (canceled.price, canceled.quantity, canceled.filled_quantity) == (59000, D("0.01"), 0)
    assert client.cancel_order(order).status is OrderStatus.CANCELED
    assert client.fetch_order(order).status is OrderStatus.CANCELED
    assert mock.ledger.order(order.client_order_id).status == "canceled"


def test_cancel_too_late_is_no_error(client, mock):
    order = rest(client, "59999")
    mock.execute(BTC, "sell", "2", price="59990")
    late = client.cancel_order(order)
    assert (late.status, late.filled_quantity) == (OrderStatus.FILLED, D("0.01"))


def test_what_never_was_is_not_found(client):
    for call in (client.cancel_order, client.fetch_order):
        with pytest.raises(OrderNotFound) as caught:
            call("never-placed", symbol=BTC)
        assert caught.value.outcome == "rejected"


@pytest.mark.parametrize(
    "capability, change",
    [(Capability.AMEND_QUANTITY, {"quantity": "0.01"}), (Capability.AMEND_PRICE, {"price": "58000"})],
)
def test_amend(client, mock, capability, change):
    order = rest(client, quantity="0.02")
    if capability not in client.capabilities:
        with pytest.raises(NotSupported) as caught:
            client.amend_order(order, **change)
        assert caught.value.capability == capability
        return
    amended = client.orders.wait(client.amend_order(order, **change), until="accepted", timeout=30)
    wanted = {"quantity": "0.02", "price": "59000"} | change
    assert (amended.quantity, amended.price) == (D(wanted["quantity"]), D(wanted["price"]))
    assert order.client_order_id in {amended.client_order_id, amended.replaces}
    assert open_ids(mock) == {amended.client_order_id}
    truth = mock.ledger.order(amended.client_order_id)
    assert (truth.quantity, truth.price) == (amended.quantity, amended.price)
    assert [each.client_order_id for each in client.orders.open()] == [amended.client_order_id]


def test_cancel_all_leaves_nothing(client, mock):
    placed = {rest(client, str(58000 + number)).client_order_id for number in range(3)}
    placed.add(rest(client, "2900", "0.1", ETH).client_order_id)
    if Capability.STOP_ORDERS in client.capabilities:
        for symbol, trigger in ((BTC, "58500"), (ETH, "2800")):
            stop = client.place_order(symbol, "sell", "0.1", stop_price=trigger, type="stop_loss")
            assert client.orders.wait(stop, until="accepted", timeout=30).status is OrderStatus.UNTRIGGERED
            placed.add(stop.client_order_id)
    eth = client.cancel_all_orders(ETH)
    assert {order.symbol for order in eth} == {ETH}
    canceled = [*eth, *client.cancel_all_orders()]
    assert {order.client_order_id for order in canceled} == placed
    assert {order.status for order in canceled} == {OrderStatus.CANCELED}
    assert client.fetch_open_orders() == []
    assert client.orders.open() == []
    assert client.cancel_all_orders() == []


@pytest.fixture
def newcomer(mock):
    """A client that knows no instrument yet: by another name of the address it shares nothing with the others."""
    address = mock.url.replace("127.0.0.1", "localhost")
    with Client(mock.exchange, environment=address, credentials=mock.credentials(), journal=None) as made:
        yield made


def test_orders_of_other_programs_are_found(client, newcomer):
    placed = {rest(client).client_order_id: BTC, rest(client, "2900", "0.1", ETH).client_order_id: ETH}
    assert {order.client_order_id: order.symbol for order in newcomer.fetch_open_orders()} == placed


def test_a_script_that_only_cancels_all(client, newcomer, mock):
    placed = {rest(client).client_order_id, rest(client, "2900", "0.1", ETH).client_order_id}
    canceled = newcomer.cancel_all_orders()
    assert {order.client_order_id for order in canceled} == placed
    assert {order.symbol for order in newcomer.orders.history()} == {BTC, ETH}
    assert open_ids(mock) == set()


def test_cancel_all_learns_what_has_ended_unseen(client, mock):
    filled, kept = client.place_order(BTC, "buy", "0.01", price="60006"), rest(client)
    resting = rest(client, "59994.01", "1")
    assert mock.execute(BTC, "sell", "1", price="59994.01") == 1
    canceled = client.cancel_all_orders(BTC)
    assert [order.client_order_id for order in canceled] == [kept.client_order_id]
    assert client.orders.open() == []
    assert {client.orders.get(order).status for order in (filled, resting)} == {OrderStatus.FILLED}


def test_a_conditional_order_waits_for_its_trigger(client, mock):
    stop = {"price": "59000", "stop_price": "59700", "type": "stop_loss_limit"}
    if Capability.STOP_ORDERS not in client.capabilities:
        with pytest.raises(NotSupported):
            client.place_order(BTC, "sell", "0.01", **stop)
        return
    order = client.place_order(BTC, "sell", "0.01", **stop)
    found = client.orders.wait(order, until="accepted", timeout=30)
    assert found.status in {OrderStatus.UNTRIGGERED, OrderStatus.NEW}
    assert client.fetch_order(order).status is OrderStatus.UNTRIGGERED
    assert (found.stop_price, found.type) == (59700, OrderType.STOP_LOSS_LIMIT)
    mock.execute(BTC, "sell", "60", price="59600")
    assert client.orders.wait(order, timeout=30).status is OrderStatus.FILLED


@pytest.mark.parametrize("kind", ["stop_loss", "stop_loss_limit", "take_profit", "take_profit_limit"])
def test_a_conditional_order_stays_what_was_asked_for(client, mock, kind):
    """An exchange may know of no more than a trigger."""
    if Capability.STOP_ORDERS not in client.capabilities:
        pytest.skip("no conditional orders")
    price = {"price": "59000"} if kind.endswith("limit") else {}
    trigger = "61000" if kind.startswith("take") else "59500"
    order = client.place_order(BTC, "sell", "0.01", stop_price=trigger, type=kind, **price)
    waits = client.orders.wait(order, until="accepted", timeout=30)
    fetched, opened = client.fetch_order(order), client.fetch_open_orders(BTC)
    assert {order.type, waits.type, fetched.type, *(each.type for each in opened)} == {OrderType(kind)}
    assert client.cancel_order(order).type is OrderType(kind)


# ---- batches --------------------------------------------------------------------------------------------------------


def test_batches_give_one_result_per_item(client, mock):
    results = client.place_orders(
        [
            PlaceOrder(BTC, "buy", "0.01", price="59000"),
            PlaceOrder(BTC, "sell", "140", price="61000"),
            PlaceOrder("NOPE/USDT", "buy", "0.01", price="59000"),
            PlaceOrder(BTC, "buy", "0.01", price="59000.001"),
            PlaceOrder(ETH, "buy", "0.1", price="2900"),
        ]
    )
    assert [type(result) for result in results] == [Order, InsufficientFunds, UnknownSymbol, InvalidOrder, Order]
    placed = [client.orders.wait(results[index], until="accepted", timeout=30) for index in (0, 4)]
    assert open_ids(mock) == {order.client_order_id for order in placed}
    amended = client.amend_orders([AmendOrder(order, quantity=order.quantity / 2) for order in placed])
    assert [order.quantity for order in amended] == [D("0.005"), D("0.05")]
    canceled = client.cancel_orders([placed[0], CancelOrder("never-placed", symbol=BTC), placed[1]])
    assert [canceled[0].status, canceled[2].status] == [OrderStatus.CANCELED] * 2
    assert type(canceled[1]) is OrderNotFound
    assert open_ids(mock) == set()


def test_the_same_order_twice_in_a_batch_is_one_order(client, mock):
    first, again, other = client.place_orders(
        [
            PlaceOrder(BTC, "buy", "0.01", price="59000", idempotency_key="row-1"),
            PlaceOrder(BTC, "buy", "0.01", price="59000", idempotency_key="row-1"),
            PlaceOrder(BTC, "buy", "0.02", price="59000", idempotency_key="row-1"),
        ],
        timeout=5.0,
    )
    assert first.order_id == again.order_id
    assert first.client_order_id == again.client_order_id
    assert isinstance(other, IntentConflict)
    assert len(mock.ledger.orders()) == 1


def test_two_amends_of_one_order_in_a_batch_come_one_after_the_other(client, mock):
    order = rest(client)
    first, second = client.amend_orders([AmendOrder(order, quantity="0.008"), AmendOrder(order, quantity="0.007")])
    assert first.quantity == D("0.008")
    assert second.quantity == D("0.007")
    assert mock.ledger.order(order.client_order_id).quantity == D("0.007")


def test_a_batch_that_a_share_of_the_budget_never_has_room_for_goes_in_parts(mock):
    with Client(mock.exchange, environment=mock, budget_share=0.3) as client:
        orders = client.place_orders([PlaceOrder(BTC, "buy", "0.01", price=str(59000 + n)) for n in range(8)])
        assert [type(order) for order in orders] == [Order] * 8
        canceled = client.cancel_orders(orders)
        assert [order.status for order in canceled] == [OrderStatus.CANCELED] * 8
    assert open_ids(mock) == set()


# ---- never twice ----------------------------------------------------------------------------------------------------


def test_a_key_places_once(client, mock):
    order = client.place_order(BTC, "buy", "0.01", price="59000", idempotency_key="rebalance 7")
    again = client.place_order(BTC, "buy", "0.01", price="59000", idempotency_key="rebalance 7")
    assert again.client_order_id == order.client_order_id
    with Client(mock.exchange, environment=mock) as other:
        third = other.place_order(BTC, "buy", "0.01", price="59000", idempotency_key="rebalance 7")
        assert third.client_order_id == order.client_order_id
    with pytest.raises(IntentConflict):
        client.place_order(BTC, "buy", "0.02", price="59000", idempotency_key="rebalance 7")
    assert sent(mock, "place_order") == 1
    assert [each.client_order_id for each in mock.ledger.orders()] == [order.client_order_id]


def test_a_refusal_is_remembered(client, mock):
    first = refusal(client, BTC, "sell", "140", price="61000", client_order_id="mine-1")
    again = refusal(client, BTC, "sell", "140", price="61000", client_order_id="mine-1")
    assert (type(again), again.code) == (type(first), first.code)
    assert sent(mock, "place_order") == 1


@pytest.mark.parametrize("fault", [("reset", {}), ("status", {"status": 503}), ("garbage", {})], ids=lambda f: f[0])
def test_a_lost_answer_is_found_and_never_doubled(client, mock, fault):
    planned = mock.faults.add(fault[0], on="place_order", at="after_accept", **fault[1])
    order = client.place_order(BTC, "buy", "0.01", price="59000", timeout=30)
    assert planned.fired == 1
    assert (order.status, order.price, order.quantity) == (OrderStatus.NEW, 59000, D("0.01"))
    assert [each.client_order_id for each in mock.ledger.orders()] == [order.client_order_id]
    assert sent(mock, "place_order") == 1
    assert client.orders.unresolved() == []


@pytest.mark.parametrize("key", [None, "invoice-17"])
def test_an_order_that_was_taken_and_called_one_too_many_is_no_refused_one(client, mock, key):
    mock.faults.add("status", on="place_order", at="after_accept", status=429, retry_after=1)
    order = client.place_order(BTC, "buy", "0.01", price="59000", idempotency_key=key, timeout=30)
    assert (order.status, order.price, order.rejection) == (OrderStatus.NEW, 59000, None)
    assert [each.client_order_id for each in mock.ledger.orders()] == [order.client_order_id]
    assert sent(mock, "place_order") == 2


def test_an_id_of_ones_own_that_the_exchange_has_is_refused(client, mock):
    mock.faults.add("status", on="place_order", at="after_accept", status=429, retry_after=1)
    error = refusal(client, BTC, "buy", "0.01", price="59000", client_order_id="mine-3", timeout=30)
    assert type(error) is DuplicateOrder  # it may be an order of somebody else's


def test_a_batch_whose_answer_is_lost_is_found_order_by_order(client, mock):
    operation = "place_orders" if Capability.PLACE_BATCH in client.capabilities else "place_order"
    planned = mock.faults.add("reset", on=operation, at="after_accept")
    results = client.place_orders([PlaceOrder(BTC, "buy", "0.01", price=str(59000 + n)) for n in range(3)])
    assert planned.fired == 1
    assert [result.price for result in results] == [59000, 59001, 59002]
    assert [each.client_order_id for each in mock.ledger.orders()] == [order.client_order_id for order in results]


def test_a_lost_answer_to_a_cancel_is_no_doubt(client, mock):
    order = rest(client)
    mock.faults.add("reset", on="cancel_order", at="after_accept")
    assert client.cancel_order(order).status is OrderStatus.CANCELED


def test_a_halt_stops_places_and_lets_cancels_through(client, mock):
    order = rest(client)
    client.halt("enough")
    for call in (
        lambda: client.place_order(BTC, "buy", "0.01", price="59000"),
        lambda: client.amend_order(order, quantity="0.005"),
    ):
        with pytest.raises(TradingHalted):
            call()
    assert client.cancel_order(order).status is OrderStatus.CANCELED
    client.resume()
    assert rest(client).is_open


# ---- histories ------------------------------------------------------------------------------------------------------


def test_histories(client, mock, check):
    orders = [rest(client, str(58000 + number)) for number in range(4)]
    for order in orders[:2]:
        client.cancel_order(order)
    market = client.orders.wait(client.place_order(BTC, "buy", "0.05", type="market"), timeout=30)
    names = [order.client_order_id for order in mock.ledger.orders(BTC)]
    assert len(names) == 5
    assert [order.client_order_id for order in client.fetch_orders(BTC, limit=2)] == names[-2:]
    before = orders[0].created_at - timedelta(hours=1)
    pages = client.iter_orders(BTC, start=before)
    first = [next(pages).client_order_id for _ in range(2)]
    assert [*first, *(order.client_order_id for order in client.iter_orders(BTC, cursor=pages.cursor))] == names
    fills = client.fetch_fills(BTC)
    for item in (*fills, *client.fetch_orders(BTC), *client.fetch_open_orders()):
        check(item, mock.exchange)
    assert list(client.iter_fills(BTC, start=before)) == fills
    assert {fill.id for fill in fills} == {str(fill.id) for fill in mock.ledger.fills()}
    assert {fill.client_order_id for fill in fills} == {market.client_order_id}
    earlier = before - timedelta(hours=1)
    assert list(client.iter_fills(BTC, start=earlier, end=before)) == []
    assert list(client.iter_orders(BTC, start=earlier, end=before)) == []


# ---- what may be missing, and what may be wrong ---------------------------------------------------------------------

NEEDS = {
    Capability.VALIDATE_ORDER: {"quantity": "0.01", "price": "59000", "validate_only": True},
    Capability.ICEBERG: {"quantity": "0.01", "price": "59000", "iceberg_quantity": "0.001"},
    Capability.QUOTE_QUANTITY: {"quote_quantity": "100", "type": "market"},
    Capability.STOP_ORDERS: {"quantity": "0.01", "stop_price": "61000", "type": "stop_loss"},
    Capability.TRAILING_STOP: {"quantity": "0.01", "type": "stop_loss", "trailing_delta_bps": 100},
    Capability.SELF_TRADE_PREVENTION: {"quantity": "0.01", "price": "59000", "self_trade_prevention": "expire_taker"},
    Capability.FUTURES: {"quantity": "0.01", "price": "59000", "reduce_only": True},
}


@pytest.mark.parametrize("capability", NEEDS)
def test_what_is_missing_is_named(client, mock, capability):
    if capability in client.capabilities:
        with suppress(InvalidOrder):  # the exchange offers it, this instrument does not
            assert client.place_order(BTC, "buy", **NEEDS[capability]).status not in {
                OrderStatus.REJECTED,
                OrderStatus.UNKNOWN,
            }
        return
    with pytest.raises(NotSupported) as caught:
        client.place_order(BTC, "buy", **NEEDS[capability])
    assert (caught.value.capability, caught.value.exchange) == (capability, mock.exchange)
    assert caught.value.outcome == "not_sent"
    assert sent(mock, "place_order") == 0


@pytest.mark.parametrize("offset", [-30.0, 30.0])
def test_a_clock_that_jumps_is_followed(client, mock, offset):
    client.fetch_balances()
    mock.clock_offset = offset
    assert client.fetch_balances()["USDT"].total == D(1000000)
    assert rest(client).is_open
    assert abs(client.health().clock_offset_ms - offset * 1000) < 500
    assert len(mock.ledger.orders()) == 1


# ---- what errors say ------------------------------------------------------------------------------------------------


def test_an_error_names_the_method_that_was_called_and_its_order(client, mock):
    """Whichever call under it has failed."""
    place = {"price": "59000", "client_order_id": "mine-1"}
    for call, operation, symbol, client_order_id in (
        (
            lambda: client.place_order(BTC, "buy", "0.01", **place | {"price": "59000.001"}),
            "place_order",
            BTC,
            "mine-1",
        ),
        (lambda: client.place_order("NOPE/USDT", "buy", "1", **place), "place_order", "NOPE/USDT", "mine-1"),
        (lambda: client.cancel_order("never-placed", symbol=BTC), "cancel_order", BTC, "never-placed"),
        (lambda: client.amend_order("never-placed", symbol=BTC, price="5"), "amend_order", BTC, "never-placed"),
        (lambda: client.fetch_order("never-placed", symbol=BTC), "fetch_order", BTC, "never-placed"),
        (lambda: client.fetch_order(symbol=BTC, order_id="99999999"), "fetch_order", BTC, None),
    ):
        with pytest.raises(ExconnectError) as caught:
            call()
        error = caught.value
        assert (error.exchange, error.operation) == (mock.exchange, operation)
        assert (error.symbol, error.client_order_id) == (symbol, client_order_id)
    results = client.place_orders([PlaceOrder(BTC, "buy", "0.01", **place | {"price": "59000.001"})])
    assert (results[0].operation, results[0].client_order_id) == ("place_order", "mine-1")
    results = client.cancel_orders([CancelOrder("never-placed", symbol=BTC)])
    assert (results[0].operation, results[0].client_order_id) == ("cancel_order", "never-placed")


def test_an_order_that_risk_refuses_has_its_id_already(mock):
    def never(order, view):
        return "not today"

    with (
        Client(mock.exchange, environment=mock, risk=[never]) as client,
        pytest.raises(RiskRejected) as caught,
    ):
        client.place_order(BTC, "buy", "0.01", price="59000")
    assert caught.value.client_order_id
    assert caught.value.operation == "place_order"


def test_an_order_of_another_exchange_is_refused_though_its_id_is_known(client, mock):
    placed = client.place_order(BTC, "buy", "0.01", price="50000", client_order_id="both-have-it")
    order = client.orders.wait(placed, until="accepted", timeout=30)
    other = replace(order, exchange="elsewhere")
    for call in (
        lambda: client.cancel_order(other),
        lambda: client.amend_order(other, price="50001"),
        lambda: client.fetch_order(other),
        lambda: client.orders.get(other),
        lambda: client.orders.wait(other),
    ):
        with pytest.raises(InvalidArgument, match=f"is of elsewhere, this client of {order.exchange}"):
            call()
    assert mock.ledger.order("both-have-it").status == "new"
