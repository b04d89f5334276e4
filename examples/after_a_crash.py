"""A process is killed between sending an order and hearing of it. The next one finds out what became of it."""

import os
import subprocess
import sys

from exconnect import Client
from exconnect.mock import MockExchange

PLACE = """
from exconnect import Client
Client("binance").place_order("BTC/USDT", "buy", "0.01", price="59000")
"""

with MockExchange("binance", seed=7) as mock:
    fault = mock.faults.add("hang", on="place_order", at="after_accept", seconds=30)
    process = subprocess.Popen([sys.executable, "-c", PLACE], env=os.environ | mock.env())  # noqa: S603 - this script
    fault.wait(20)
    process.kill()
    process.wait()
    print("killed; orders at the exchange:", len(mock.ledger.orders()))

    with Client("binance", environment=mock) as client:
        print("left behind:", *[f"{order.client_order_id} {order.status}" for order in client.orders.unresolved()])
        for order in client.recover():
            print(f"recovered: {order.client_order_id} {order.status} {order.quantity:.5f} at {order.price:.2f}")
