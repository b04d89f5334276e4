"""What one peer does against the mock exchange, step by step, and how it tells of it.

Runs in the peer's environment: the standard library only. The last line that is printed is one JSON object.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import queue
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

SYMBOL = "BTCUSDT"
UNIFIED = "BTC/USDT"
DEPTH = 10
CANDLES = 5
LIMIT_ORDER = {"side": "BUY", "quantity": "0.002", "price": "58000"}
MARKET_ORDER = {"side": "BUY", "quantity": "0.05"}
TRADES, UPDATES = 5, 10  # to hear of on the streams
PATIENCE = 20.0  # seconds for anything that comes by itself

Order = dict[str, Any]


class Story:
    """The steps that were taken: what each of them saw, or how it failed."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.rest_url: str = os.environ["MOCK_REST_URL"]
        self.stream_url: str = os.environ["MOCK_STREAM_URL"]
        self.key: str = os.environ["MOCK_KEY"]
        self.secret: str = os.environ["MOCK_SECRET"]
        self.seen: dict[str, Any] = {}
        self.failed: dict[str, str] = {}

    def step(self, name: str, take: Callable[[], Any]) -> Any:
        try:
            self.seen[name] = take()
        except Exception as error:
            self.failed[name] = f"{type(error).__name__}: {error}"[:300]
        return self.seen.get(name)

    @staticmethod
    def still() -> dict[str, Any]:
        """The exchange stands still from now on, with this book."""
        print(json.dumps({"ask": "still"}), flush=True)
        return json.loads(sys.stdin.readline())

    def end(self) -> None:
        version = importlib.metadata.version(self.peer)
        told = {"peer": self.peer, "version": version, "seen": self.seen, "failed": self.failed}
        print(json.dumps(told, default=str), flush=True)


def heard(messages: queue.Queue[dict[str, Any]]) -> dict[str, Any]:
    """Trades and book updates from raw stream messages, until there are enough of both."""
    trades: list[dict[str, str]] = []
    updates: list[dict[str, Any]] = []
    for message in _until_patience_ends(messages):
        if message.get("e") == "trade":
            trades.append({"id": str(message["t"]), "price": message["p"], "quantity": message["q"]})
        elif message.get("e") == "depthUpdate":
            updates.append({"first": message["U"], "last": message["u"]})
        if len(trades) >= TRADES and len(updates) >= UPDATES:
            break
    return {"trades": trades, "updates": updates}


def _until_patience_ends(messages: queue.Queue[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    end = time.monotonic() + PATIENCE
    while (left := end - time.monotonic()) > 0:
        yield messages.get(timeout=left)
    raise TimeoutError(f"not enough came within {PATIENCE:g} s")


# Answers of Binance as the peers hand them on, in the words of the judge.


def instrument(row: dict[str, Any]) -> dict[str, str]:
    filters = {item["filterType"]: item for item in row["filters"]}
    return {"tick_size": filters["PRICE_FILTER"]["tickSize"], "lot_size": filters["LOT_SIZE"]["stepSize"]}


def instruments(info: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {f"{row['baseAsset']}/{row['quoteAsset']}": instrument(row) for row in info["symbols"]}


def book(answer: dict[str, Any]) -> dict[str, Any]:
    return {"sequence": answer["lastUpdateId"], "bids": answer["bids"], "asks": answer["asks"]}


def candles(answer: list[list[Any]]) -> list[list[Any]]:
    return [row[:5] for row in answer]


def balances(answer: dict[str, Any]) -> dict[str, list[str]]:
    return {row["asset"]: [row["free"], row["locked"]] for row in answer["balances"]}


def order(answer: dict[str, Any]) -> Order:
    return {
        "client_order_id": answer.get("origClientOrderId", answer["clientOrderId"]),
        "order_id": str(answer["orderId"]),
        "status": answer["status"].lower(),
        "side": answer["side"].lower(),
        "price": answer["price"],
        "quantity": answer["origQty"],
        "filled_quantity": answer["executedQty"],
    }


def fill(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(answer["id"]),
        "order_id": str(answer["orderId"]),
        "price": answer["price"],
        "quantity": answer["qty"],
        "fee": answer["commission"],
        "fee_asset": answer["commissionAsset"],
        "side": "buy" if answer["isBuyer"] else "sell",
    }


def own_fill(event: dict[str, Any]) -> dict[str, Any]:
    """A fill as the user's stream tells of it."""
    return {
        "id": str(event["t"]),
        "order_id": str(event["i"]),
        "price": event["L"],
        "quantity": event["l"],
        "fee": event["n"],
        "fee_asset": event["N"],
        "side": event["S"].lower(),
    }
