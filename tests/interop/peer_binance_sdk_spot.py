"""Binance's own SDK of today against the mock exchange: typed models that accept nothing but what was documented."""

from __future__ import annotations

import asyncio
import logging
import queue
from typing import Any

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_spot.spot import Spot
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


def plain(model: Any) -> Any:
    """What a typed answer was made of."""
    if isinstance(model, list):
        return [plain(row) for row in model]
    whole = getattr(model, "actual_instance", model)
    return whole.to_dict()


def settings(story: Story) -> Spot:
    return Spot(
        ConfigurationRestAPI(story.key, story.secret, base_path=story.rest_url),
        ConfigurationWebSocketAPI(story.key, story.secret, stream_url=f"{story.stream_url}/ws-api/v3"),
        ConfigurationWebSocketStreams(stream_url=f"{story.stream_url}/stream"),
    )


async def trade_on_sockets(story: Story) -> dict[str, Any]:
    """The market order over the WebSocket API, and what the user's stream tells of it."""
    calls = settings(story).websocket_api
    events: asyncio.Queue[Any] = asyncio.Queue()
    statuses, fills, held = [], [], {}
    await calls.create_connection()
    try:
        subscription = await calls.user_data_stream_subscribe_signature()
        subscription.stream.on("message", events.put_nowait)
        reply = await calls.order_place(SYMBOL, type="MARKET", **MARKET_ORDER)
        async with asyncio.timeout(PATIENCE):
            while not held or statuses[-1] != "filled":
                event = plain(await events.get())
                if "B" in event:
                    held = {row["a"]: [row["f"], row["l"]] for row in event["B"]}
                    continue
                statuses.append(event["X"].lower())
                fills += [own_fill(event)] if event["x"] == "TRADE" else []
    finally:
        await calls.close_connection(close_session=True)
    return {"placed": order(plain(reply.data().result)), "statuses": statuses, "fills": fills, "balances": held}


async def listen(story: Story) -> dict[str, Any]:
    messages: queue.Queue[dict[str, Any]] = queue.Queue()
    streams = settings(story).websocket_streams
    await streams.create_connection()
    try:
        for stream in (await streams.trade(SYMBOL), await streams.diff_book_depth(SYMBOL, update_speed="100ms")):
            stream.on("message", lambda message: messages.put(plain(message)))
        return await asyncio.to_thread(heard, messages)
    finally:
        await streams.close_connection(close_session=True)


def main() -> None:
    logging.disable(logging.CRITICAL)
    story = Story("binance-sdk-spot")
    client = settings(story).rest_api
    limit = {**LIMIT_ORDER, "type": "LIMIT", "time_in_force": "GTC"}
    story.step("server time", lambda: client.time().data().server_time)
    story.step("exchange info", lambda: instruments(plain(client.exchange_info().data())))
    story.step("depth", lambda: book(plain(client.depth(SYMBOL, limit=DEPTH).data())))
    story.step("klines", lambda: candles(client.klines(SYMBOL, "1m", limit=CANDLES).data()))
    story.step("account", lambda: balances(plain(client.get_account().data())))
    placed = story.step("place limit", lambda: order(plain(client.new_order(SYMBOL, **limit).data())))
    story.step("query", lambda: order(plain(client.get_order(SYMBOL, order_id=placed["order_id"]).data())))
    story.step("open orders", lambda: [order(row) for row in plain(client.get_open_orders(SYMBOL).data())])
    story.step("cancel", lambda: order(plain(client.delete_order(SYMBOL, order_id=placed["order_id"]).data())))
    traded = story.step("user stream", lambda: asyncio.run(trade_on_sockets(story)))
    story.step("place market", lambda: traded.pop("placed"))
    story.step("my trades", lambda: [fill(row) for row in plain(client.my_trades(SYMBOL).data())])
    story.step("balances", lambda: balances(plain(client.get_account().data())))
    story.step("stream", lambda: asyncio.run(listen(story)))
    story.end()


if __name__ == "__main__":
    main()
