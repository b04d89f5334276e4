"""ccxt and ccxt.pro against the Bybit dialect of the mock exchange."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import ccxt.pro
from peer_ccxt import balances, fill, instruments
from story import CANDLES, DEPTH, LIMIT_ORDER, MARKET_ORDER, PATIENCE, TRADES, UNIFIED, UPDATES, Order, Story
from story_bybit import DEPTH_KEPT, STATUSES, judged


def settings(story: Story) -> dict[str, Any]:
    rest = dict.fromkeys(("spot", "futures", "v2", "public", "private"), story.rest_url)
    sockets = {"public": {"spot": f"{story.stream_url}/v5/public/spot"}}
    return {
        "apiKey": story.key,
        "secret": story.secret,
        "urls": {"api": {**rest, "ws": sockets}},
        "options": {"fetchMarkets": {"types": ["spot"]}},
        "enableLastJsonResponse": True,
    }


def unified(answer: dict[str, Any]) -> Order:
    """The exchange's words for the status, ccxt's for all else."""
    raw = answer["info"]
    return {
        "client_order_id": answer["clientOrderId"],
        "order_id": answer["id"],
        "status": STATUSES.get(raw["orderStatus"], raw["orderStatus"]),
        "side": answer["side"],
        "price": str(answer["price"] or 0) if answer["type"] == "limit" else raw["price"],
        "quantity": str(answer["amount"]),
        "filled_quantity": str(answer["filled"]),
    }


class Trader:
    def __init__(self, story: Story) -> None:
        self.call = ccxt.bybit(settings(story))

    def place(self, wish: dict[str, Any], status: str) -> Order:
        kind = "limit" if "price" in wish else "market"
        ids = self.call.create_order(UNIFIED, kind, wish["side"], wish["quantity"], wish.get("price"))
        return self.when(ids["id"], status)

    def when(self, order_id: str, status: str) -> Order:
        return judged(lambda: self._shown(order_id, status))

    def cancel(self, order_id: str) -> Order:
        self.call.cancel_order(order_id, UNIFIED)
        return self.when(order_id, "Cancelled")

    def _shown(self, order_id: str, status: str) -> Order | None:
        try:
            found = self.call.fetch_order(order_id, UNIFIED, {"acknowledged": True})
        except ccxt.OrderNotFound:
            return None
        return unified(found) if found["info"]["orderStatus"] == status else None


async def listen(story: Story) -> dict[str, Any]:
    """Trades, update ids as they grow, and in the end the book that stands still."""
    exchange = ccxt.pro.bybit(settings(story))
    try:
        async with asyncio.timeout(PATIENCE):
            return {"trades": await trades(exchange), **await keep_book(exchange, story)}
    finally:
        await exchange.close()


async def trades(exchange: Any) -> list[dict[str, str]]:
    seen: dict[str, dict[str, str]] = {}
    while len(seen) < TRADES:
        for row in await exchange.watch_trades(UNIFIED):
            seen[row["id"]] = {"id": row["id"], "price": str(row["price"]), "quantity": str(row["amount"])}
    return list(seen.values())


async def keep_book(exchange: Any, story: Story) -> dict[str, Any]:
    """ccxt keeps no update id of this exchange: updates are counted, and its book is compared until it stands still."""
    updates = 0
    while updates < UPDATES:
        await exchange.watch_order_book(UNIFIED, DEPTH_KEPT)
        updates += 1
    there = await asyncio.to_thread(story.still)
    wanted = [[[float(text) for text in level] for level in there[side]] for side in ("bids", "asks")]
    kept = exchange.orderbooks[UNIFIED]
    while [[level[:2] for level in kept[side]] for side in ("bids", "asks")] != wanted:
        kept = await exchange.watch_order_book(UNIFIED, DEPTH_KEPT)
    sides = {side: [[str(number) for number in level[:2]] for level in kept[side]] for side in ("bids", "asks")}
    counted = list(range(1, updates + 1))
    return {"sequences": counted, "kept book": {"sequence": there["sequence"], **sides}}


def depth(call: Any) -> dict[str, Any]:
    """ccxt's levels, and the update id that it drops."""
    answer = call.fetch_order_book(UNIFIED, DEPTH)
    sides = {side: [[str(number) for number in level[:2]] for level in answer[side]] for side in ("bids", "asks")}
    return {"sequence": call.last_json_response["result"]["u"], **sides}


def main() -> None:
    story = Story("ccxt")
    trader = Trader(story)
    call = trader.call
    limit, market = ({name: float(text) if name != "side" else text.lower() for name, text in wish.items()}
                     for wish in (LIMIT_ORDER, MARKET_ORDER))  # fmt: skip
    story.step("server time", call.fetch_time)
    story.step("exchange info", lambda: instruments(call.load_markets()))
    story.step("depth", lambda: depth(call))
    story.step("klines", lambda: [row[:5] for row in call.fetch_ohlcv(UNIFIED, "1m", limit=CANDLES)])
    story.step("account", lambda: balances(call.fetch_balance()))
    placed = story.step("place limit", lambda: trader.place(limit, "New"))
    story.step("query", lambda: trader.when(placed["order_id"], "New"))
    story.step("open orders", lambda: [unified(row) for row in call.fetch_open_orders(UNIFIED)])
    story.step("cancel", lambda: trader.cancel(placed["order_id"]))
    story.step("place market", lambda: trader.place(market, "Filled"))
    story.step("my trades", lambda: [fill(row) for row in call.fetch_my_trades(UNIFIED)])
    story.step("balances", lambda: balances(call.fetch_balance()))
    told = story.step("stream", lambda: asyncio.run(listen(story)))
    story.step("kept book", lambda: told.pop("kept book"))
    story.end()


if __name__ == "__main__":
    main()
