"""Wrong input is refused before anything is sent, with the value that would do."""

from exconnect import Client, ExconnectError, InvalidOrder
from exconnect.mock import MockExchange

ATTEMPTS: list[tuple[str, str, str]] = [
    ("BTC/USDT", "0.01", "59000.001"),
    ("BTC/USDT", "0.0000001", "59000"),
    ("BTC/USDT", "0.00005", "59000"),
    ("BTCUSDT", "0.01", "59000"),
]

with MockExchange("binance", seed=7) as mock, Client("binance", environment=mock) as client:
    for symbol, quantity, price in ATTEMPTS:
        try:
            client.place_order(symbol, "buy", quantity, price=price)
        except InvalidOrder as error:
            print(f"{error.filter}: {error.message} (nearest: {error.nearest})")
        except ExconnectError as error:
            print(f"{error.kind}: {error.message}")
    print("orders at the exchange:", len(mock.ledger.orders()))
