"""pybit against the mock exchange: REST, the public and the private socket."""

from __future__ import annotations

import queue
import time
from typing import Any

import pybit._http_manager as http
import pybit.unified_trading as pybit
from story import CANDLES, DEPTH, LIMIT_ORDER, MARKET_ORDER, PATIENCE, SYMBOL, TRADES, UPDATES, Order, Story
from story_bybit import DEPTH_KEPT, balances, book, candles, fill, instrument, judged, order

WISH = {"category": "spot", "symbol": SYMBOL}


def wish(given: dict[str, str]) -> dict[str, str]:
    more = {"price": given["price"], "orderType": "Limit"} if "price" in given else {"orderType": "Market"}
    return {**WISH, "side": given["side"].capitalize(), "qty": given["quantity"], "marketUnit": "baseCoin", **more}


class Trader:
    def __init__(self, story: Story) -> None:
        self._http = pybit.HTTP(api_key=story.key, api_secret=story.secret)
        self.call = self._http

    def place(self, given: dict[str, str], status: str) -> Order:
        ids = self._http.place_order(**wish(given))["result"]
        return self.when(ids["orderId"], status)

    def when(self, order_id: str, status: str) -> Order:
        return judged(lambda: self._shown(order_id, status))

    def cancel(self, order_id: str) -> Order:
        self._http.cancel_order(**WISH, orderId=order_id)
        return self.when(order_id, "Cancelled")

    def _shown(self, order_id: str, status: str) -> Order | None:
        rows = self._http.get_open_orders(**WISH, orderId=order_id)["result"]["list"]
        return order(rows[0]) if rows and rows[0]["orderStatus"] == status else None

    def balances(self) -> dict[str, list[str]]:
        return balances(self._http.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]["coin"])


def listen(story: Story) -> dict[str, Any]:
    """Trades, update ids, and in the end the book that stands still."""
    messages: queue.Queue[dict[str, Any]] = queue.Queue()
    socket = pybit.WebSocket(testnet=False, channel_type="spot")
    try:
        socket.trade_stream(SYMBOL, messages.put)
        socket.orderbook_stream(DEPTH_KEPT, SYMBOL, messages.put)
        told = heard(messages)
        there = story.still()
        end = time.monotonic() + PATIENCE
        while told["sequences"][-1] < there["sequence"]:
            message = messages.get(timeout=end - time.monotonic())
            if message["topic"].startswith("orderbook"):
                told["sequences"].append(message["data"]["u"])
        kept = socket.data[f"orderbook.{DEPTH_KEPT}.{SYMBOL}"]
    finally:
        socket.exit()
    bids, asks = (sorted(kept[side], key=lambda level: float(level[0])) for side in "ba")
    return {**told, "kept book": {"sequence": kept["u"], "bids": bids[::-1], "asks": asks}}


def heard(messages: queue.Queue[dict[str, Any]]) -> dict[str, Any]:
    trades: list[dict[str, str]] = []
    sequences: list[int] = []
    end = time.monotonic() + PATIENCE
    while len(trades) < TRADES or len(sequences) < UPDATES:
        message = messages.get(timeout=end - time.monotonic())
        if message["topic"].startswith("publicTrade"):
            trades += [{"id": row["i"], "price": row["p"], "quantity": row["v"]} for row in message["data"]]
        else:
            sequences.append(message["data"]["u"])
    return {"trades": trades, "sequences": sequences}


def main() -> None:
    story = Story("pybit")
    http.HTTP_URL = story.rest_url
    pybit.PUBLIC_WSS = f"{story.stream_url}/v5/public/{{CHANNEL_TYPE}}"
    pybit.PRIVATE_WSS = f"{story.stream_url}/v5/private"
    trader = Trader(story)
    events: list[dict[str, Any]] = []
    private = pybit.WebSocket(testnet=False, channel_type="private", api_key=story.key, api_secret=story.secret)
    private.order_stream(lambda message: events.extend(message["data"]))
    fills: list[dict[str, Any]] = []
    private.execution_stream(lambda message: fills.extend(message["data"]))
    held: dict[str, list[str]] = {}  # each message tells of the coins that have changed
    private.wallet_stream(lambda message: held.update(balances(message["data"][0]["coin"])))
    call = trader.call
    story.step("server time", lambda: call.get_server_time()["time"])
    story.step(
        "exchange info",
        lambda: {
            f"{row['baseCoin']}/{row['quoteCoin']}": instrument(row)
            for row in call.get_instruments_info(category="spot")["result"]["list"]
        },
    )
    story.step("depth", lambda: book(call.get_orderbook(**WISH, limit=DEPTH)["result"]))
    story.step("klines", lambda: candles(call.get_kline(**WISH, interval=1, limit=CANDLES)["result"]["list"]))
    story.step("account", trader.balances)
    placed = story.step("place limit", lambda: trader.place(LIMIT_ORDER, "New"))
    story.step("query", lambda: trader.when(placed["order_id"], "New"))
    story.step("open orders", lambda: [order(row) for row in call.get_open_orders(**WISH)["result"]["list"]])
    story.step("cancel", lambda: trader.cancel(placed["order_id"]))
    story.step("place market", lambda: trader.place(MARKET_ORDER, "Filled"))
    story.step("my trades", lambda: [fill(row) for row in call.get_executions(**WISH)["result"]["list"]])
    story.step("balances", trader.balances)
    told = story.step("stream", lambda: listen(story))
    story.step("kept book", lambda: told.pop("kept book"))
    story.step(
        "private",
        lambda: {
            "orders": [order(row) for row in events],
            "fills": [fill(row) for row in fills],
            "balances": held,
        },
    )
    private.exit()
    story.end()


if __name__ == "__main__":
    main()
