"""What happens when the exchange takes an order and the answer is lost: it is found, not sent again."""

from exconnect import Client, OutcomeUnknown
from exconnect.mock import MockExchange

with MockExchange("binance", seed=7) as mock, Client("binance", environment=mock) as client:
    mock.faults.add("reset", on="place_order", at="after_accept")
    try:
        order = client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    except OutcomeUnknown as error:
        print("no answer yet; the order would be", error.client_order_id)
        order = error.resolve(timeout=120)
    print(order.client_order_id, order.status)

    accepted = mock.ledger.orders("BTC/USDT")
    print("orders at the exchange:", len(accepted))
