"""ccxt and ccxt.pro against the mock exchange. Money is floats; their shortest text is the number that was sent."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import ccxt.pro
from story import CANDLES, DEPTH, LIMIT_ORDER, MARKET_ORDER, PATIENCE, TRADES, UNIFIED, UPDATES, Story, candles, order


def settings(story: Story) -> dict[str, Any]:
    rest = f"{story.rest_url}/api/v3"
    sockets = {"spot": f"{story.stream_url}/ws", "ws-api": {"spot": f"{story.stream_url}/ws-api/v3"}}
    return {
        "apiKey": story.key,
        "secret": story.secret,
        "urls": {"api": {"public": rest, "private": rest, "ws": sockets}},
        # Currencies and margin modes come from hosts that are no part of spot trading.
        "options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False},
    }


def instruments(markets: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {
        symbol: {"tick_size": str(row["precision"]["price"]), "lot_size": str(row["precision"]["amount"])}
        for symbol, row in markets.items()
    }


def book(answer: dict[str, Any]) -> dict[str, Any]:
    bids, asks = ([[str(number) for number in level[:2]] for level in answer[side]] for side in ("bids", "asks"))
    return {"sequence": answer["nonce"], "bids": bids, "asks": asks}


def balances(answer: dict[str, Any]) -> dict[str, list[str]]:
    return {asset: [str(answer[asset]["free"]), str(answer[asset]["used"])] for asset in answer["total"]}


def fill(answer: dict[str, Any]) -> dict[str, str]:
    return {
        "id": answer["id"],
        "order_id": answer["order"],
        "price": str(answer["price"]),
        "quantity": str(answer["amount"]),
        "fee": str(answer["fee"]["cost"]),
        "fee_asset": answer["fee"]["currency"],
        "side": answer["side"],
    }


def unified(answer: dict[str, Any]) -> dict[str, Any]:
    """The exchange's words for the status, ccxt's for all else."""
    raw = order(answer["info"])
    return {
        "client_order_id": raw["client_order_id"],
        "order_id": answer["id"],
        "status": raw["status"],
        "side": answer["side"],
        "price": str(answer["price"] or 0) if answer["type"] == "limit" else raw["price"],
        "quantity": str(answer["amount"]),
        "filled_quantity": str(answer["filled"]),
    }


async def listen(story: Story) -> dict[str, Any]:
    """Trades, book updates as the sequence grows, and in the end the book that stands still."""
    exchange = ccxt.pro.binance(settings(story))
    try:
        async with asyncio.timeout(PATIENCE):
            return {"trades": await trades(exchange), **await keep_book(exchange, story)}
    finally:
        await exchange.close()


async def place_on_socket(story: Story, wish: dict[str, Any]) -> dict[str, Any]:
    """A market order over the WebSocket API."""
    exchange = ccxt.pro.binance(settings(story))
    try:
        async with asyncio.timeout(PATIENCE):
            return unified(await exchange.create_order_ws(UNIFIED, "market", wish["side"], wish["quantity"]))
    finally:
        await exchange.close()


async def trades(exchange: Any) -> list[dict[str, str]]:
    seen: dict[str, dict[str, str]] = {}
    while len(seen) < TRADES:
        for row in await exchange.watch_trades(UNIFIED, params={"name": "trade"}):
            seen[row["id"]] = {"id": row["id"], "price": str(row["price"]), "quantity": str(row["amount"])}
    return list(seen.values())


async def keep_book(exchange: Any, story: Story) -> dict[str, Any]:
    sequences: list[int] = []
    while len(sequences) < UPDATES:
        kept = await exchange.watch_order_book(UNIFIED)
        sequences.append(kept["nonce"])
    there = await asyncio.to_thread(story.still)
    while exchange.orderbooks[UNIFIED]["nonce"] < there["sequence"]:
        await exchange.watch_order_book(UNIFIED)
    return {"sequences": sequences, "kept book": book(exchange.orderbooks[UNIFIED].limit())}


def main() -> None:
    story = Story("ccxt")
    exchange = ccxt.binance(settings(story))
    story.step("server time", exchange.fetch_time)
    story.step("exchange info", lambda: instruments(exchange.load_markets()))
    story.step("depth", lambda: book(exchange.fetch_order_book(UNIFIED, DEPTH)))
    story.step("klines", lambda: candles(exchange.fetch_ohlcv(UNIFIED, "1m", limit=CANDLES)))
    story.step("account", lambda: balances(exchange.fetch_balance()))
    limit, market = ({name: float(text) if name != "side" else text.lower() for name, text in wish.items()}
                     for wish in (LIMIT_ORDER, MARKET_ORDER))  # fmt: skip
    placed = story.step(
        "place limit",
        lambda: unified(exchange.create_order(UNIFIED, "limit", limit["side"], limit["quantity"], limit["price"])),
    )
    story.step("query", lambda: unified(exchange.fetch_order(placed["order_id"], UNIFIED)))
    story.step("open orders", lambda: [unified(row) for row in exchange.fetch_open_orders(UNIFIED)])
    story.step("cancel", lambda: unified(exchange.cancel_order(placed["order_id"], UNIFIED)))
    story.step("place market", lambda: asyncio.run(place_on_socket(story, market)))
    story.step("my trades", lambda: [fill(row) for row in exchange.fetch_my_trades(UNIFIED)])
    story.step("balances", lambda: balances(exchange.fetch_balance()))
    told = story.step("stream", lambda: asyncio.run(listen(story)))
    story.step("kept book", lambda: told.pop("kept book"))
    story.end()


if __name__ == "__main__":
    main()
