"""Whatever breaks, and whenever: every fill reaches the handler exactly once, and no order ever goes back."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from seen import Seen

from exconnect import available
from exconnect.client import Client
from exconnect.errors import ExconnectError
from exconnect.mock import MockExchange
from exconnect.trading.orders import RANKS

pytestmark = pytest.mark.network

BTC, ETH = "BTC/USDT", "ETH/USDT"
SEEDS = range(4)
STEPS = 30


def disturb(mock, dice):
    """One of the things that can go wrong, of short duration."""
    seconds = dice.uniform(0.0, 0.4)
    faults = [
        ("disconnect", {"on": "private"}),
        ("refuse", {"on": "private", "seconds": seconds}),
        ("silence", {"on": "private", "seconds": seconds}),
        ("duplicate", {"on": "order", "count": 2}),
        ("reorder", {"on": "order"}),
        ("gap", {"on": "order"}),
        ("malformed", {"on": "order"}),
        ("delay", {"on": "fetch_fills", "seconds": seconds}),
        ("delay", {"on": "fetch_open_orders", "seconds": seconds}),
        ("delay", {"on": "place_order", "seconds": seconds}),
        ("reset", {"on": "place_order"}),
        ("reset", {"on": "fetch_fills"}),
        ("status", {"on": "fetch_balances", "status": 503}),
        ("lag", {"on": "fetch_fills", "seconds": seconds}),
        ("lag", {"on": "fetch_open_orders", "seconds": seconds}),
    ]
    name, options = dice.choice(faults[:2] if dice.random() < 0.3 else faults)
    mock.faults.add(name, **options)


def act(mock, client, dice):
    """Something that changes the account: its own orders, or others who trade with them."""
    symbol, quantity = dice.choice([BTC, ETH]), dice.choice(["0.01", "0.25", "1.5"])
    price = {BTC: "59999", ETH: "2999.9"}[symbol]
    try:
        match dice.randrange(4):
            case 0:
                client.place_order(symbol, dice.choice(["buy", "sell"]), quantity, type="market")
            case 1:
                client.place_order(symbol, "buy", quantity, price=price)
            case 2:
                mock.execute(symbol, "sell", dice.choice(["0.005", "0.3"]), price=price)
            case 3:
                for order in client.orders.open()[:1]:
                    client.cancel_order(order)
    except ExconnectError:
        pass  # what became of it is what the streams and the ledger must agree about


@pytest.mark.timeout(180)
@pytest.mark.parametrize("exchange", available())
@pytest.mark.parametrize("seed", SEEDS)
def test_exactly_once(exchange, seed):
    dice = random.Random(seed)
    with (
        MockExchange(exchange, seed=seed, activity=0) as mock,
        Client(exchange, environment=mock, timeout=5.0) as client,
        client.stream(BTC, ETH) as stream,
    ):
        fills, orders = Seen(), Seen()
        stream.on_fill(fills)
        stream.on_order(orders)
        if dice.random() < 0.5:
            mock.faults.add("refuse", on="private", seconds=0.3)
        stream.start()
        for _ in range(STEPS):
            if dice.random() < 0.4:
                disturb(mock, dice)
            act(mock, client, dice)
            if dice.random() < 0.5:
                stream.wait_live(1.0)  # so that things happen in every state of the connection
        mock.faults.clear()
        client.orders.wait(client.place_order(BTC, "buy", "0.01", type="market"), timeout=30)
        truth = sorted((fill.order_id, fill.id) for fill in mock.ledger.fills())
        fills.until(lambda items: len(items) >= len(truth), 60.0)
        assert stream.wait_live(30)
        ends = {order.order_id: order.status for order in mock.ledger.orders()}
        orders.until(lambda items: {o.order_id: o.status.value for o in items}.items() >= ends.items(), 60.0)
        assert stream.metrics()["reconnects"] > 0
        stream.stop()
        assert sorted((fill.order_id, fill.id) for fill in fills.items) == [(str(o), str(i)) for o, i in truth]
        never_back(orders.items)
        for order in mock.ledger.orders():
            known = client.orders.get(order.client_order_id)
            assert known.filled_quantity == order.filled_quantity
            assert known.status.value == order.status


def never_back(orders):
    last: dict[str, tuple[float, Decimal]] = {}
    for order in orders:
        rank, filled = last.get(order.client_order_id, (0.0, Decimal(0)))
        assert RANKS[order.status] >= rank
        assert order.filled_quantity >= filled
        last[order.client_order_id] = RANKS[order.status], order.filled_quantity
