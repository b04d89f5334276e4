"""Place an order, change it, cancel it: on a mock exchange, without a key."""

from exconnect import Client
from exconnect.mock import MockExchange

with MockExchange("binance", seed=7) as mock, Client("binance", environment=mock) as client:
    order = client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    print("placed   ", order.client_order_id, order.status, order.quantity, "at", order.price)

    order = client.amend_order(order, quantity="0.005")
    print("amended  ", order.client_order_id, order.status, order.quantity)

    order = client.cancel_order(order)
    print("canceled ", order.client_order_id, order.status, "filled", order.filled_quantity)

    order = client.place_order("BTC/USDT", "buy", quote_quantity="100", type="market")
    print("bought   ", order.filled_quantity, "BTC for", order.filled_quote, "USDT, at", order.average_price)
