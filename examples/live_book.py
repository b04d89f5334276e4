"""Watch books and trades, from handlers and by asking."""

from threading import Event

from exconnect import Book, Client, Trade
from exconnect.mock import MockExchange

traded = Event()

with MockExchange("binance", seed=7) as mock, Client("binance", environment=mock) as client:
    stream = client.stream("BTC/USDT", "ETH/USDT")

    @stream.on_book
    def show(book: Book) -> None:
        """The newest book of either symbol; what a slow handler misses is not queued."""
        print(book.symbol, book.best_bid, book.best_ask)

    @stream.on_trade("BTC/USDT")
    def count(trade: Trade) -> None:
        """Every trade, in order."""
        print(f"trade {trade.id} {trade.side} {trade.quantity:.5f} at {trade.price:.2f}")
        traded.set()

    stream.start()
    stream.wait_live(timeout=10)
    mock.execute("BTC/USDT", "buy", "0.25")
    traded.wait(timeout=5)
    print(stream.book("BTC/USDT").draw())
