"""Answers of Bybit as its peers hand them on, in the words of the judge. Runs in the peer's environment."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from story import PATIENCE, Order

STATUSES = {"New": "new", "Cancelled": "canceled", "Filled": "filled"}
DEPTH_KEPT = 1000  # all levels that there are


def judged(query: Callable[[], Order | None], *, within: float = PATIENCE) -> Order:
    """An ack says two ids; this asks until the order has been looked at."""
    end = time.monotonic() + within
    while (found := query()) is None:
        if time.monotonic() > end:
            raise TimeoutError(f"the order did not appear within {within:g} s")
        time.sleep(0.05)  # twenty a second of the fifty that are allowed
    return found


def instrument(row: dict[str, Any]) -> dict[str, str]:
    return {"tick_size": row["priceFilter"]["tickSize"], "lot_size": row["lotSizeFilter"]["basePrecision"]}


def book(answer: dict[str, Any]) -> dict[str, Any]:
    return {"sequence": answer["u"], "bids": answer["b"], "asks": answer["a"]}


def candles(rows: list[list[str]]) -> list[list[str]]:
    return [row[:5] for row in reversed(rows)]


def balances(coins: list[dict[str, str]]) -> dict[str, list[str]]:
    held = {}
    for row in coins:
        whole, locked = float(row["walletBalance"]), float(row["locked"])
        held[row["coin"]] = [f"{whole - locked:.8f}", row["locked"]]
    return held


def order(row: dict[str, Any]) -> Order:
    return {
        "client_order_id": row["orderLinkId"],
        "order_id": row["orderId"],
        "status": STATUSES.get(row["orderStatus"], row["orderStatus"]),
        "side": row["side"].lower(),
        "price": row["price"],
        "quantity": row["qty"],
        "filled_quantity": row["cumExecQty"],
    }


def fill(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["execId"],
        "order_id": row["orderId"],
        "price": row["execPrice"],
        "quantity": row["execQty"],
        "fee": row["execFee"],
        "fee_asset": row["feeCurrency"],
        "side": row["side"].lower(),
    }
