"""Buy where it is cheapest: take the levels of both books in the order of their prices, one order to each exchange."""

from collections import defaultdict
from decimal import Decimal

from exconnect import Client, ConsolidatedBook
from exconnect.mock import MockExchange

WANTED = Decimal(3)

with (
    MockExchange("binance", seed=7, activity=0) as mock_binance,
    MockExchange("bybit", seed=7, activity=0) as mock_bybit,
    Client("binance", environment=mock_binance) as binance,
    Client("bybit", environment=mock_bybit) as bybit,
):
    clients = {client.exchange: client for client in (binance, bybit)}
    with ConsolidatedBook("BTC/USDT", *(client.stream() for client in clients.values())) as book:
        book.start()
        book.wait_live(timeout=10)
        view = book.view()

    share: dict[str, Decimal] = defaultdict(Decimal)
    worst: dict[str, Decimal] = {}
    left = WANTED
    for level in view.asks:
        taken = min(left, level.quantity)
        share[level.exchange] += taken
        worst[level.exchange] = level.price
        left -= taken
        if not left:
            break

    for exchange, quantity in share.items():
        client = clients[exchange]
        order = client.place_order("BTC/USDT", "buy", quantity, price=worst[exchange], time_in_force="ioc")
        order = client.orders.wait(order, timeout=10)
        print(exchange, order.status, order.filled_quantity, "at", order.average_price)
