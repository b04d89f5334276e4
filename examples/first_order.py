"""Place an order, change it, cancel it: on a mock exchange, without a key."""

from exconnect import Client
from exconnect.mock import MockExchange

with MockExchange("binance", seed=7) as mock, Client("binance", environment=mock) as client:
    order = client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    print(f"placed    {order.client_order_id} {order.status} {order.quantity:.5f} at {order.price:.2f}")

    order = client.amend_order(order, quantity="0.005")
    print(f"amended   {order.client_order_id} {order.status} {order.quantity:.5f}")

    order = client.cancel_order(order)
    print("canceled ", order.client_order_id, order.status, "filled", order.filled_quantity)

    order = client.place_order("BTC/USDT", "buy", quote_quantity="100", type="market")
    print(f"bought    {order.filled_quantity:.5f} BTC for {order.filled_quote:.2f} USDT, at {order.average_price:.2f}")
