"""The same reason, the same order: however often the code runs, in however many threads."""

from concurrent.futures import ThreadPoolExecutor

from exconnect import Client, IntentConflict
from exconnect.mock import MockExchange

with MockExchange("binance", seed=7) as mock, Client("binance", environment=mock) as client:

    def buy(key: str) -> str:
        """A task that may be delivered more than once."""
        return client.place_order("BTC/USDT", "buy", "0.01", price="59000", idempotency_key=key).client_order_id

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(buy, ["invoice-17"] * 20))
    print("calls:", len(ids), "ids:", len(set(ids)), "orders at the exchange:", len(mock.ledger.orders()))

    try:
        client.place_order("BTC/USDT", "buy", "0.02", price="59000", idempotency_key="invoice-17")
    except IntentConflict as error:
        print(error.kind, error.message)
