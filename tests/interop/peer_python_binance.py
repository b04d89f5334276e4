"""python-binance against the mock exchange."""

from __future__ import annotations

import asyncio
import queue
from decimal import Decimal
from typing import Any

from binance import AsyncClient, BinanceSocketManager, Client, DepthCacheManager, ThreadedWebsocketManager
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
    own_fill,
)


def listen() -> dict[str, Any]:
    messages: queue.Queue[dict[str, Any]] = queue.Queue()
    sockets = ThreadedWebsocketManager()
    sockets.start()
    try:
        sockets.start_trade_socket(messages.put, SYMBOL)
        sockets.start_depth_socket(messages.put, SYMBOL, interval=100)
        return heard(messages)
    finally:
        sockets.stop()
        sockets.join(PATIENCE)


async def trade_on_sockets(story: Story) -> dict[str, Any]:
    """The market order over the WebSocket API, and what the user's stream tells of it."""
    client = await AsyncClient.create(story.key, story.secret)
    statuses, fills, held = [], [], {}
    try:
        async with asyncio.timeout(PATIENCE), BinanceSocketManager(client).user_socket() as stream:
            placed = await client.ws_create_order(symbol=SYMBOL, type="MARKET", **MARKET_ORDER)
            while not held or statuses[-1] != "filled":
                event = await stream.recv()
                if event["e"] == "executionReport":
                    statuses.append(event["X"].lower())
                    fills += [own_fill(event)] if event["x"] == "TRADE" else []
                elif statuses[-1] == "filled":
                    held = {row["a"]: [row["f"], row["l"]] for row in event["B"]}
    finally:
        await client.close_connection()
    return {"placed": order(placed), "statuses": statuses, "fills": fills, "balances": held}


async def keep_book(story: Story) -> dict[str, Any]:
    """Its own book, once it is what the exchange says; a book that never becomes that is a TimeoutError."""
    client = await AsyncClient.create()
    try:
        async with DepthCacheManager(client, SYMBOL, conv_type=Decimal, ws_interval=100) as cache:
            kept = await cache.recv()
            there = await asyncio.to_thread(story.still)
            bids, asks = ([[Decimal(text) for text in level] for level in there[side]] for side in ("bids", "asks"))
            async with asyncio.timeout(PATIENCE):
                while [kept.get_bids(), kept.get_asks()] != [bids, asks]:
                    kept = await cache.recv()
            return {"sequence": there["sequence"], "bids": kept.get_bids(), "asks": kept.get_asks()}
    finally:
        await client.close_connection()


def main() -> None:
    story = Story("python-binance")
    Client.API_URL = AsyncClient.API_URL = f"{story.rest_url}/api"
    AsyncClient.WS_API_URL = f"{story.stream_url}/ws-api/v3"
    BinanceSocketManager.STREAM_URL = f"{story.stream_url}/"
    client = Client(story.key, story.secret)
    story.step("server time", lambda: client.get_server_time()["serverTime"])
    story.step("exchange info", lambda: instruments(client.get_exchange_info()))
    story.step("depth", lambda: book(client.get_order_book(symbol=SYMBOL, limit=DEPTH)))
    story.step("klines", lambda: candles(client.get_klines(symbol=SYMBOL, interval="1m", limit=CANDLES)))
    story.step("account", lambda: balances(client.get_account()))
    placed = story.step(
        "place limit",
        lambda: order(client.create_order(symbol=SYMBOL, type="LIMIT", timeInForce="GTC", **LIMIT_ORDER)),
    )
    story.step("query", lambda: order(client.get_order(symbol=SYMBOL, orderId=placed["order_id"])))
    story.step("open orders", lambda: [order(row) for row in client.get_open_orders(symbol=SYMBOL)])
    story.step("cancel", lambda: order(client.cancel_order(symbol=SYMBOL, orderId=placed["order_id"])))
    traded = story.step("user stream", lambda: asyncio.run(trade_on_sockets(story)))
    story.step("place market", lambda: traded.pop("placed"))
    story.step("my trades", lambda: [fill(row) for row in client.get_my_trades(symbol=SYMBOL)])
    story.step("balances", lambda: balances(client.get_account()))
    story.step("stream", listen)
    story.step("kept book", lambda: asyncio.run(keep_book(story)))
    story.end()


if __name__ == "__main__":
    main()
