"""Two exchanges at once: the same calls, and one book over both."""

from exconnect import Client, ConsolidatedBook
from exconnect.mock import MockExchange

FEES = {"binance": "0.001", "bybit": "0.001"}

with (
    MockExchange("binance", seed=7) as mock_binance,
    MockExchange("bybit", seed=7) as mock_bybit,
    Client("binance", environment=mock_binance) as binance,
    Client("bybit", environment=mock_bybit) as bybit,
):
    for client in (binance, bybit):
        ticker = client.fetch_ticker("BTC/USDT")
        print(f"{client.exchange:8} bid {ticker.bid:.2f} ask {ticker.ask:.2f}")

    with ConsolidatedBook("BTC/USDT", binance.stream(), bybit.stream(), fees=FEES) as book:
        book.start()
        book.wait_live(timeout=10)
        view = book.view()
        print("in:", ", ".join(view.exchanges))
        print("best bid", view.best_bid)
        print("best ask", view.best_ask)
        plain, net = view.vwap("buy", "3"), view.vwap("buy", "3", fees=True)
        print(f"buying 3 costs {plain:.2f} each, with fees {net:.2f}")
