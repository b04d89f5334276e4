"""Whether the order store answers while a busy account's events arrive.

python benchmarks/orders.py [--seconds S] [--rate N]      events a second that it kept up with; microseconds per query

One thread merges events (each a snapshot of one of 1,000 orders on its way: acknowledged, filled in two steps) at the
wanted rate, another one asks for orders all the while, as a program's threads would.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from exconnect.environment import Environment
from exconnect.model.enums import OrderStatus, OrderType, Side, Source
from exconnect.model.order import Order
from exconnect.trading.orders import OrderStore

ORDERS = 1_000
BATCH_S = 0.005  # how often the events that are due by then are handed over
GOAL = 10_000


def events() -> Iterator[Order]:
    """Without an end: order after order, in three steps each."""
    begin, quantity = datetime(2026, 1, 1, tzinfo=UTC), Decimal("0.5")
    for number in itertools.count():
        at = begin + timedelta(milliseconds=number)
        first = Order(
            exchange="binance", client_order_id=f"o{number}", order_id=str(number), symbol="BTC/USDT", side=Side.BUY,
            type=OrderType.LIMIT, status=OrderStatus.NEW, quantity=quantity, price=Decimal(60_000), created_at=at,
            updated_at=at, source=Source.STREAM,
        )  # fmt: skip
        yield first
        for status, filled in ((OrderStatus.PARTIALLY_FILLED, Decimal("0.2")), (OrderStatus.FILLED, quantity)):
            at += timedelta(milliseconds=1)
            yield replace(first, status=status, filled_quantity=filled, filled_quote=filled * 60_000, updated_at=at)


def feed(store: OrderStore, rate: int, seconds: float, took: list[float]) -> None:
    source = iter(list(itertools.islice(events(), ORDERS + int(rate * seconds) + 1)))  # to make them is not measured
    gc.freeze()
    for event in itertools.islice(source, ORDERS):
        store.apply(event)
    began, used, done = time.perf_counter(), time.thread_time(), 0
    while (passed := time.perf_counter() - began) < seconds:
        due = int(passed * rate) - done
        for event in itertools.islice(source, due):
            store.apply(event)
        done += due
        time.sleep(BATCH_S)
    took += [done / (time.perf_counter() - began), (time.thread_time() - used) / done * 1e6]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=int, default=GOAL)
    wanted = parser.parse_args()
    store = OrderStore(Environment())
    rates: list[float] = []
    feeder = threading.Thread(target=feed, args=(store, wanted.rate, wanted.seconds, rates))
    feeder.start()
    queries = {
        "get": lambda: store.get("o10"),
        "open": store.open,
        "history": lambda: store.history("BTC/USDT", 100),
    }
    took: dict[str, list[float]] = {name: [] for name in queries}
    while feeder.is_alive():
        for name, query in queries.items():
            began = time.perf_counter()
            query()
            took[name].append((time.perf_counter() - began) * 1e6)
        time.sleep(0.001)
    rate, cost = rates
    print(f"{rate:,.0f} events a second, {wanted.rate:,} wanted; {cost:.0f} us of CPU each")
    for name, values in took.items():
        late = sorted(values)[int(len(values) * 0.99)]
        print(f"  {name:8} p50 {statistics.median(values):7.0f} us   p99 {late:7.0f} us   {len(values)} queries")
    return 0 if rate >= 0.98 * wanted.rate else 1


if __name__ == "__main__":
    sys.exit(main())
