"""Page through history, stop, and go on from a cursor."""

from itertools import islice

from exconnect import Client
from exconnect.mock import MockExchange

with MockExchange("binance", seed=7) as mock, Client("binance", environment=mock) as client:
    pages = client.iter_candles("BTC/USDT", "1h", start="2026-01-01", end="2026-03-01")
    first = list(islice(pages, 1_000))
    print(len(first), "candles, to", first[-1].open_time)

    rest = list(client.iter_candles("BTC/USDT", "1h", cursor=pages.cursor))
    print(len(rest), "more, from", rest[0].open_time, "to", rest[-1].open_time)
