"""Binance's own connector against the mock exchange."""

from __future__ import annotations

import json
import queue
from typing import Any

from binance.spot import Spot
from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient
from story import (
    CANDLES,
    DEPTH,
    LIMIT_ORDER,
    MARKET_ORDER,
    PATIENCE,
    SYMBOL,
    Story,
    balances,
    book,
    candles,
    fill,
    heard,
    instruments,
    order,
)


def listen(stream_url: str) -> dict[str, Any]:
    messages: queue.Queue[dict[str, Any]] = queue.Queue()
    stream = SpotWebsocketStreamClient(
        stream_url, on_message=lambda _, text: messages.put(json.loads(text)), timeout=PATIENCE
    )
    try:
        stream.trade(SYMBOL, id=1)
        stream.diff_book_depth(SYMBOL, speed=100, id=2)
        return heard(messages)
    finally:
        stream.stop()


def main() -> None:
    story = Story("binance-connector")
    client = Spot(api_key=story.key, api_secret=story.secret, base_url=story.rest_url)
    story.step("server time", lambda: client.time()["serverTime"])
    story.step("exchange info", lambda: instruments(client.exchange_info()))
    story.step("depth", lambda: book(client.depth(SYMBOL, limit=DEPTH)))
    story.step("klines", lambda: candles(client.klines(SYMBOL, "1m", limit=CANDLES)))
    story.step("account", lambda: balances(client.account()))
    placed = story.step(
        "place limit", lambda: order(client.new_order(SYMBOL, type="LIMIT", timeInForce="GTC", **LIMIT_ORDER))
    )
    story.step("query", lambda: order(client.get_order(SYMBOL, orderId=placed["order_id"])))
    story.step("open orders", lambda: [order(row) for row in client.get_open_orders(SYMBOL)])
    story.step("cancel", lambda: order(client.cancel_order(SYMBOL, origClientOrderId=placed["client_order_id"])))
    story.step("place market", lambda: order(client.new_order(SYMBOL, type="MARKET", **MARKET_ORDER)))
    story.step("my trades", lambda: [fill(row) for row in client.my_trades(SYMBOL)])
    story.step("balances", lambda: balances(client.account()))
    story.step("stream", lambda: listen(story.stream_url))
    story.end()


if __name__ == "__main__":
    main()
