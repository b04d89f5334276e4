"""The account's own events over real sockets: every fill once, orders that never go back, whatever breaks."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest
from seen import Seen

from exconnect.client import Client
from exconnect.credentials import Credentials
from exconnect.errors import AuthenticationError, ConfigurationError
from exconnect.feeds import private
from exconnect.model.enums import OrderStatus, Source, StreamStatus
from exconnect.model.events import GapClosed, HandlerFailed, TopicRefused
from exconnect.trading.orders import RANKS

pytestmark = pytest.mark.network

BTC, ETH = "BTC/USDT", "ETH/USDT"


@pytest.fixture
def stream(client):
    with client.stream() as stream:
        yield stream


def live(stream):
    stream.start()
    assert stream.wait_live(30), stream.status
    return stream


def resting(client, quantity="0.01", price="59999"):
    """An order on top of the book."""
    order = client.orders.wait(client.place_order(BTC, "buy", quantity, price=price), until="accepted", timeout=30)
    assert order.status is OrderStatus.NEW
    return order


def traded(client, symbol=BTC, side="buy", quantity="0.01"):
    """An order that has taken from the book."""
    order = client.orders.wait(client.place_order(symbol, side, quantity, type="market"), timeout=30)
    assert order.status is OrderStatus.FILLED
    return order


def sold_to(mock, quantity, price="59999"):
    """Somebody else hits the resting order."""
    assert mock.execute(BTC, "sell", quantity, price=price) == Decimal(quantity)


def ids(fills):
    return [fill.id for fill in fills]


def truth(mock):
    return [str(fill.id) for fill in mock.ledger.fills()]


def all_there(mock, fills, timeout=30.0):
    """Every fill of the ledger, and each once."""
    fills.until(lambda items: len(items) >= len(truth(mock)), timeout)
    assert sorted(ids(fills.items)) == sorted(truth(mock))


def never_back(orders):
    last = {}
    for order in orders:
        seen = RANKS[order.status], order.filled_quantity
        before = last.get(order.client_order_id, (0.0, Decimal(0)))
        assert seen[0] >= before[0]
        assert seen[1] >= before[1]
        assert seen != before, "the same change twice"
        last[order.client_order_id] = seen
    return True


# ---- what comes -----------------------------------------------------------------------------------------------------


def test_a_life_of_an_order(mock, client, stream):
    orders, fills, balances = Seen(), Seen(), Seen()
    stream.on_order(orders)
    stream.on_fill(fills)
    stream.on_balance(balances)
    live(stream)
    order = resting(client)
    sold_to(mock, "0.004")
    sold_to(mock, "0.006")
    orders.until(lambda items: items[-1].status is OrderStatus.FILLED)
    all_there(mock, fills)
    assert [o.status for o in orders.items] == [OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED]
    assert [f.quantity for f in fills.items] == [Decimal("0.004"), Decimal("0.006")]
    assert {f.client_order_id for f in fills.items} == {order.client_order_id}
    assert {f.source for f in fills.items} == {Source.STREAM}
    assert orders.items[-1].fills_complete
    assert orders.items[-1].fills == tuple(fills.items)
    free = mock.ledger.balances()
    balances.until(lambda items: {b.asset: (b.free, b.locked) for b in items} == {k: free[k] for k in ("BTC", "USDT")})


def test_a_misspelt_symbol_is_told_of_as_with_a_book(mock, client, stream, caplog):
    notices, orders = Seen(), Seen()
    stream.on_notice(notices)
    stream.on_order(orders, BTC, "BTC/UDST")
    live(stream)
    refused = notices.first(lambda notice: isinstance(notice, TopicRefused))
    assert (refused.symbol, refused.kind) == ("BTC/UDST", "order")
    assert "did you mean BTC/USDT" in refused.reason
    told = [record for record in caplog.records if "order of BTC/UDST is refused" in record.getMessage()]
    assert [record.levelname for record in told] == ["WARNING"]
    stream.on_fill(Seen(), "BTC/UDST")  # while it runs
    assert notices.count(2)[1].kind == "fill"
    order = resting(client)  # the others go on
    assert orders.first(lambda heard: heard.symbol == BTC).client_order_id == order.client_order_id


def test_an_order_with_several_fills_which_its_reply_may_tell_too(mock, client, stream):
    orders, fills = Seen(), Seen()
    stream.on_order(orders)
    stream.on_fill(fills)
    live(stream)
    traded(client, quantity="2.5")
    assert len(truth(mock)) == 3
    all_there(mock, fills)
    orders.until(lambda items: items[-1].status is OrderStatus.FILLED)
    assert never_back(orders.items)
    assert {f.source for f in fills.items} == {Source.STREAM}


def test_a_canceled_order_keeps_its_name(client, stream):
    orders = Seen()
    stream.on_order(orders)
    live(stream)
    order = resting(client)
    client.cancel_order(order)
    orders.until(lambda items: items[-1].status is OrderStatus.CANCELED)
    assert {o.client_order_id for o in orders.items} == {order.client_order_id}


def test_an_order_of_somebody_else_on_the_account(mock, client, stream):
    orders, fills = Seen(), Seen()
    stream.on_order(orders)
    stream.on_fill(fills)
    live(stream)
    with Client(mock.exchange, environment=mock, account="other", journal=None) as other:
        theirs = traded(other, ETH, quantity="1")
        fills.count(1)
        orders.until(lambda items: items[-1].status is OrderStatus.FILLED)
    assert fills.items[0].symbol == ETH
    assert {order.quantity for order in orders.items} == {Decimal(1)}  # nobody hears of one whose terms are not known
    assert orders.items[-1].client_order_id == theirs.client_order_id
    assert client.orders.get(theirs.client_order_id).status is OrderStatus.FILLED


def test_what_happened_before_is_not_told(mock, client, stream):
    traded(client)
    known = resting(client)
    orders, fills = Seen(), Seen()
    stream.on_order(orders)
    stream.on_fill(fills)
    live(stream)
    sold_to(mock, "0.01")
    fills.count(1)
    orders.until(lambda items: items[-1].status is OrderStatus.FILLED)
    assert {f.client_order_id for f in fills.items} == {known.client_order_id}
    assert {o.client_order_id for o in orders.items} == {known.client_order_id}


def test_what_happened_between_start_and_live(mock, client, stream):
    fills = Seen()
    stream.on_fill(fills)
    refused = mock.faults.add("refuse", on="private", seconds=60.0)
    stream.start()
    traded(client)
    resting(client)
    sold_to(mock, "0.01")
    refused.remove()
    all_there(mock, fills)
    assert {f.source for f in fills.items} == {Source.REST}


# ---- what is asked for ----------------------------------------------------------------------------------------------


def test_only_the_symbols_and_assets_that_were_named(mock, client, stream):
    everything, btc, usdt = Seen(), Seen(), Seen()
    stream.on_fill(everything)
    stream.on_fill(btc, BTC)
    stream.on_balance(usdt, "USDT")
    live(stream)
    traded(client, ETH, quantity="1")
    traded(client)
    all_there(mock, everything)
    btc.count(1)
    usdt.count(2)
    assert {f.symbol for f in btc.items} == {BTC}
    assert {b.asset for b in usdt.items} == {"USDT"}
    assert stream.symbols == (BTC,)
    assert [s.kind for s in stream.subscriptions] == ["fill", "fill", "balance"]


def test_the_connection_is_there_as_long_as_somebody_listens(mock, client):
    with client.stream(BTC) as stream:
        stream.on_trade(lambda trade: None)
        live(stream)
        assert mock.ledger.connections("private") == 0
        fills, gone = Seen(), Seen()
        stream.on_status(gone)
        stream.on_fill(fills)
        assert stream.wait_live(30)
        assert mock.ledger.connections("private") == 1
        traded(client)
        all_there(mock, fills)
        stream.off(fills)
        gone.until(lambda items: any(s.connection == "private" and s.status is StreamStatus.CLOSED for s in items))
        assert stream.wait_live(30)
        traded(client)
        stream.on_fill(fills)
        assert stream.wait_live(30)
        traded(client)
        fills.count(2)
        assert ids(fills.items) == [truth(mock)[0], truth(mock)[2]]


def test_off_for_one_symbol_of_the_whole_account(mock, client, stream):
    fills = Seen()
    stream.on_fill(fills)
    live(stream)
    stream.off(fills, ETH)
    traded(client, ETH, quantity="1")
    traded(client)
    fills.count(1)
    assert {f.symbol for f in fills.items} == {BTC}


def test_nobody_listens_without_a_key(mock):
    with Client(mock.exchange, environment=mock.url) as client, pytest.raises(ConfigurationError, match="API_KEY"):
        client.stream().on_fill(print)


def test_a_key_that_is_refused_fails_the_stream(mock):
    wrong = Credentials("no-such-key", "no-such-secret")
    with Client(mock.exchange, environment=mock.url, credentials=wrong) as client, client.stream() as stream:
        changes = Seen()
        stream.on_status(changes)
        stream.on_order(print)
        stream.start()
        with pytest.raises(AuthenticationError, match=f"^{mock.exchange} refused log_on: "):
            stream.wait(30)
        assert stream.status is StreamStatus.FAILED
        assert not stream.wait_live(5)
        changes.until(lambda items: isinstance(items[-1].cause, AuthenticationError))


@pytest.mark.parametrize("offset", [-30.0, 30.0])
def test_a_clock_that_is_off(mock, client, stream, offset):
    mock.clock_offset = offset
    fills, changes = Seen(), Seen()
    stream.on_fill(fills)
    stream.on_status(changes)
    live(stream)
    traded(client)
    all_there(mock, fills)
    assert not any(change.status is StreamStatus.DOWN for change in changes.items)


# ---- stores ---------------------------------------------------------------------------------------------------------


def test_the_store_is_at_least_as_new_as_what_a_handler_sees(mock, client, stream):
    older = []

    def look(order):
        known = client.orders.get(order)
        if known is None or RANKS[known.status] < RANKS[order.status] or known.filled_quantity < order.filled_quantity:
            older.append(order)

    orders = Seen(look)
    stream.on_order(orders)
    live(stream)
    for _ in range(5):
        resting(client)
        sold_to(mock, "0.01")
    orders.until(lambda items: sum(o.status is OrderStatus.FILLED for o in items) == 5)
    assert older == []


def test_waiting_for_an_order_asks_seldom_while_the_stream_is_live(mock, client, stream):
    stream.on_fill(lambda fill: None)
    live(stream)
    order = resting(client)
    before = len(mock.ledger.requests)
    timer = threading.Timer(1.0, sold_to, (mock, "0.01"))
    timer.start()
    assert client.orders.wait(order, timeout=10.0).status is OrderStatus.FILLED
    timer.join()
    assert [r.operation for r in mock.ledger.requests[before:] if r.operation == "fetch_order"] == []


def test_risk_checks_see_the_balances(mock):
    seen = []

    def check(order, view):
        seen.append(dict(view.balances))

    with Client(mock.exchange, environment=mock, risk=[check]) as client, client.stream() as stream:
        traded(client)
        assert seen.pop() == {}
        balances = Seen()
        stream.on_balance(balances)
        live(stream)
        traded(client)
        assert seen[-1]["BTC"].free == Decimal("100.00999")
        balances.count(2)
        traded(client)
        assert seen[-1]["BTC"].free == Decimal("100.01998")


# ---- handlers -------------------------------------------------------------------------------------------------------


def test_a_handler_that_fails_gets_the_next(mock, client, stream):
    def fail(fill):
        raise ValueError(fill.id)

    fills, notices = Seen(fail), Seen()
    stream.on_fill(fills)
    stream.on_notice(notices)
    live(stream)
    traded(client, quantity="2.5")
    all_there(mock, fills)
    notices.until(lambda items: sum(isinstance(n, HandlerFailed) for n in items) == 3)
    assert stream.subscriptions[0].errors == 3


def test_what_waits_is_delivered_before_the_end(mock, client, stream):
    gate = threading.Event()
    fills, others = Seen(lambda fill: gate.wait(60)), Seen()
    stream.on_fill(fills)
    stream.on_fill(others)
    live(stream)
    traded(client, quantity="2.5")
    others.count(3)
    fills.count(1)
    assert stream.subscriptions[0].waiting == 2
    gate.set()
    stream.stop()
    assert sorted(ids(fills.items)) == sorted(truth(mock))


# ---- what breaks ----------------------------------------------------------------------------------------------------


def test_fills_while_the_socket_is_down(mock, client, stream):
    orders, fills, notices = Seen(), Seen(), Seen()
    stream.on_order(orders)
    stream.on_fill(fills)
    stream.on_notice(notices)
    live(stream)
    resting(client)
    orders.count(1)
    refused = mock.faults.add("refuse", on="private", seconds=60.0)
    sold_to(mock, "0.004")
    traded(client, ETH, "sell", "1")
    canceled = resting(client, price="59998")
    client.cancel_order(canceled)
    refused.remove()
    all_there(mock, fills)
    notices.until(lambda items: {n.kind for n in items if isinstance(n, GapClosed)} == {"fill", "order"})
    closed = {n.kind: n for n in notices.items}
    assert closed["fill"].count == 2
    assert closed["order"].count == 3
    assert closed["fill"].start <= closed["fill"].end
    assert {f.source for f in fills.items} == {Source.REST}
    assert stream.wait_live(30)
    sold_to(mock, "0.006")
    all_there(mock, fills)
    assert fills.items[-1].source is Source.STREAM
    assert never_back(orders.items)
    assert {o.status for o in orders.items if o.client_order_id == canceled.client_order_id} == {OrderStatus.CANCELED}


def test_fills_between_the_acknowledgement_and_the_snapshot(mock, client, stream):
    orders, fills, notices = Seen(), Seen(), Seen()
    stream.on_order(orders)
    stream.on_fill(fills)
    stream.on_notice(notices)
    live(stream)
    resting(client)
    orders.count(1)
    slow = mock.faults.add("delay", on="fetch_open_orders", seconds=1.0)
    mock.faults.add("disconnect", on="private")
    assert slow.wait(30)  # so the subscription is acknowledged, and the answer still on its way
    sold_to(mock, "0.004")
    sold_to(mock, "0.006")
    all_there(mock, fills)
    orders.until(lambda items: items[-1].status is OrderStatus.FILLED)
    assert {f.source for f in fills.items} == {Source.STREAM}
    assert never_back(orders.items)
    assert stream.wait_live(30)
    assert not any(isinstance(n, GapClosed) for n in notices.items)


def test_reads_that_lag_behind(mock, client, stream, monkeypatch):
    monkeypatch.setattr(private, "_LOOKS_S", (1.5, 30.0, 120.0))
    fills, orders = Seen(), Seen()
    stream.on_fill(fills)
    stream.on_order(orders)
    live(stream)
    resting(client)
    orders.count(1)
    mock.faults.add("lag", on="fetch_fills", seconds=1.0)
    mock.faults.add("refuse", on="private", seconds=0.3)
    sold_to(mock, "0.01")
    all_there(mock, fills)
    orders.until(lambda items: items[-1].status is OrderStatus.FILLED)


def test_a_name_that_is_no_symbol_does_not_keep_the_account_from_being_read(client, mock):
    records = client._open().records
    standing = records.catch_up(0, (), ("\U0001f4a5", "", "NOPE" * 20, "NOPE"), 20)
    assert standing.balances
    mock.faults.add("status", on="fetch_instruments", status=401)
    with pytest.raises(AuthenticationError):
        records.catch_up(0, (), ("NOPE",), 20)


def test_a_snapshot_that_fails_is_asked_for_again(mock, client, stream):
    fills = Seen()
    stream.on_fill(fills)
    failing = mock.faults.add("status", on="fetch_balances", times=2, status=400, code=-1100)
    stream.start()
    assert failing.wait(30)
    traded(client)
    all_there(mock, fills)
    assert stream.wait_live(30)


def test_a_stream_that_falls_silent_is_noticed_by_the_replies(mock, client, stream):
    orders, fills, changes = Seen(), Seen(), Seen()
    stream.on_order(orders)
    stream.on_fill(fills)
    stream.on_status(changes)
    live(stream)
    resting(client)
    orders.count(1)
    mock.faults.add("silence", on="private", seconds=8.0)
    traded(client)
    all_there(mock, fills)
    changes.until(lambda items: any(change.status is StreamStatus.SUSPECT for change in items))


def test_events_that_are_doubled_swapped_or_lost(mock, client, stream):
    orders, fills = Seen(), Seen()
    stream.on_order(orders)
    stream.on_fill(fills)
    live(stream)
    mock.faults.add("duplicate", on="order", times=3)
    resting(client)
    sold_to(mock, "0.005")
    sold_to(mock, "0.005")
    orders.until(lambda items: items[-1].status is OrderStatus.FILLED)
    mock.faults.add("reorder", on="order")
    resting(client)
    sold_to(mock, "0.01")
    orders.until(lambda items: items[-1].status is OrderStatus.FILLED and len(items) >= 4)
    resting(client)
    mock.faults.add("gap", on="order")
    sold_to(mock, "0.003")
    sold_to(mock, "0.007")
    all_there(mock, fills)
    assert never_back(orders.items)


def test_an_event_that_makes_no_sense(mock, client, stream):
    fills = Seen()
    stream.on_fill(fills)
    live(stream)
    resting(client)
    mock.faults.add("malformed", on="order")
    sold_to(mock, "0.01")
    all_there(mock, fills)
    assert stream.metrics()["malformed"] == 1


def test_events_before_the_reply(mock, client, stream):
    orders, fills = Seen(), Seen()
    stream.on_order(orders)
    stream.on_fill(fills)
    live(stream)
    mock.faults.add("delay", on="place_order", seconds=0.5)
    placed = traded(client)
    all_there(mock, fills)
    assert never_back(orders.items)
    assert placed.status is OrderStatus.FILLED
    assert placed.fills == tuple(fills.items)
