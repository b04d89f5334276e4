"""One adapter's cost of placing one order: signed, sent over loopback, answered, parsed.

python benchmarks/rest.py ADAPTER PORT SECONDS     in the adapter's environment; prints microseconds of CPU per call

Each adapter is made as its users make it, with what it does for every order switched on as it is by default. Two are
spared something: ccxt its rate limiter, which would sleep between the calls, and exconnect the journal, because none of
the peers writes an order down before it sends it; what the journal costs is shown in a row of its own.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server import FIRST_ID, KEY, SECRET

WARM = 100
QUANTITY, PRICE = "0.001", "60000"

Place = Callable[[], Any]


def exconnect(url: str, journal: str | None = None) -> Place:
    """Rules of the instrument, rate budget, clock, breaker, order store and typed answer included."""
    from exconnect import Client, Credentials

    client = Client("binance", environment=url, credentials=Credentials(KEY, SECRET), journal=journal)
    return lambda: client.place_order("BTC/USDT", "buy", QUANTITY, price=PRICE).order_id


def exconnect_journaled(url: str) -> Place:
    """As it is by default: the order is on the disk before the first byte of it leaves."""
    return exconnect(url, str(Path(tempfile.mkdtemp(dir=os.environ["BENCH_FOLDER"])) / "journal"))


def ccxt(url: str) -> Place:
    import ccxt

    rest = {"public": f"{url}/api/v3", "private": f"{url}/api/v3"}
    options = {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False}
    settings = {"apiKey": KEY, "secret": SECRET, "urls": {"api": rest}, "options": options, "enableRateLimit": False}
    exchange = ccxt.binance(settings)
    exchange.load_markets()
    return lambda: exchange.create_order("BTC/USDT", "limit", "buy", float(QUANTITY), float(PRICE))["id"]


def python_binance(url: str) -> Place:
    from binance.client import Client

    Client.API_URL = f"{url}/api"
    client = Client(KEY, SECRET)
    return lambda: client.order_limit_buy(symbol="BTCUSDT", quantity=QUANTITY, price=PRICE)["orderId"]


def binance_connector(url: str) -> Place:
    from binance.spot import Spot

    client = Spot(api_key=KEY, api_secret=SECRET, base_url=url)
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    return lambda: client.new_order(**order, quantity=QUANTITY, price=PRICE)["orderId"]


ADAPTERS = {
    "exconnect": exconnect,
    "exconnect, journaled": exconnect_journaled,
    "ccxt": ccxt,
    "python-binance": python_binance,
    "binance-connector": binance_connector,
}


def cpu_seconds() -> float:
    """Of all threads of this process, in and out of the kernel."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(place: Place, seconds: float) -> dict[str, float]:
    first = int(place())
    assert first >= FIRST_ID, f"no order of the server: {first}"
    for _ in range(WARM):
        place()
    count, began, used = 0, time.perf_counter(), cpu_seconds()
    while time.perf_counter() - began < seconds:
        last = place()
        count += 1
    used, took = cpu_seconds() - used, time.perf_counter() - began
    assert int(last) - first == WARM + count, "not every call was an order"
    return {"cpu": used / count * 1e6, "latency": took / count * 1e6}


def main(name: str, port: str, seconds: str) -> None:
    print(json.dumps(measure(ADAPTERS[name](f"http://127.0.0.1:{port}"), float(seconds))))


if __name__ == "__main__":
    main(*sys.argv[1:])
