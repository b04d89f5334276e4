"""Whether what a peer saw agrees with what the mock exchange knows. A judge raises AssertionError with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import pairwise
from typing import Any

from story import CANDLES, DEPTH, LIMIT_ORDER, MARKET_ORDER, TRADES, UNIFIED, UPDATES

Known = dict[str, Any]
INSTRUMENTS = {"BTC/USDT": ("0.01", "0.00001"), "ETH/USDT": ("0.01", "0.0001")}
MINUTE_MS = 60_000


def same(what: str, seen: object, known: object) -> None:
    if seen != known:
        raise AssertionError(f"{what}: saw {seen}, the exchange has {known}")


def numbers(rows: Iterable[Iterable[Any]]) -> list[list[Decimal]]:
    return [[Decimal(str(value)) for value in row] for row in rows]


def server_time(seen: int, known: Known) -> None:
    if not 0 <= known["time_ms"] - seen < MINUTE_MS:
        raise AssertionError(f"saw {seen}, the exchange's clock says {known['time_ms']:.0f} by now")


def exchange_info(seen: dict[str, dict[str, str]], _: Known) -> None:
    rules = {symbol: numbers([row.values()]) for symbol, row in seen.items()}
    same("instruments", rules, {symbol: numbers([row]) for symbol, row in INSTRUMENTS.items()})


def depth(seen: Known, known: Known) -> None:
    same("levels", (len(seen["bids"]), len(seen["asks"])), (DEPTH, DEPTH))
    bids, asks = ([level[0] for level in numbers(seen[side])] for side in ("bids", "asks"))
    same("order of prices", [*reversed(bids), *asks], sorted({*bids, *asks}))
    if not 0 < seen["sequence"] <= known["sequence"]:
        raise AssertionError(f"sequence {seen['sequence']}, the exchange is at {known['sequence']}")


def klines(seen: list[list[Any]], _: Known) -> None:
    rows = numbers(seen)
    same("candles", len(rows), CANDLES)
    same("open times", [row[0] for row in rows], [rows[0][0] + MINUTE_MS * i for i in range(CANDLES)])
    for _, opened, high, low, closed in rows:
        if not low <= min(opened, closed) <= max(opened, closed) <= high:
            raise AssertionError(f"a candle that cannot be: {opened} {high} {low} {closed}")


def account(seen: dict[str, list[str]], known: Known) -> None:
    same_balances(seen, known["opening balances"])


def balances(seen: dict[str, list[str]], known: Known) -> None:
    same_balances(seen, known["balances"])


def same_balances(seen: dict[str, list[str]], known: dict[str, list[str]]) -> None:
    held = {asset: numbers([amounts]) for asset, amounts in seen.items() if numbers([amounts]) != [[0, 0]]}
    same("balances", held, {asset: numbers([amounts]) for asset, amounts in known.items()})


def placed(wish: dict[str, str], status: str) -> Callable[[Known, Known], None]:
    """An order that the exchange took as it was wished, and told of as it was at that moment."""

    def check(seen: Known, known: Known) -> None:
        row = next((order for order in known["orders"] if order["client_order_id"] == seen["client_order_id"]), None)
        if row is None:
            raise AssertionError(f"the exchange knows no order {seen['client_order_id']}")
        wished = (wish["side"].lower(), Decimal(wish["quantity"]))
        same("status", seen["status"], status)
        same("order id", seen["order_id"], row["order_id"])
        same("side and quantity", (seen["side"], Decimal(seen["quantity"])), wished)
        same("side and quantity there", (row["side"], Decimal(row["quantity"])), wished)
        if "price" in wish:
            same("price", (Decimal(seen["price"]), Decimal(row["price"])), (Decimal(wish["price"]),) * 2)
        if status != "new":
            same("final status", seen["status"], row["status"])
            same("filled", Decimal(seen["filled_quantity"]), Decimal(row["filled_quantity"]))

    return check


def open_orders(seen: list[Known], known: Known) -> None:
    same("open orders", len(seen), 1)
    placed(LIMIT_ORDER, "new")(seen[0], known)


def my_trades(seen: list[Known], known: Known) -> None:
    def row(fill: Known) -> tuple[Any, ...]:
        money = numbers([[fill["price"], fill["quantity"], fill["fee"]]])
        return fill["id"], fill["order_id"], fill["side"], fill["fee_asset"], money

    same("fills", sorted(map(row, seen)), sorted(map(row, known["fills"])))
    same("filled in all", sum(Decimal(str(fill["quantity"])) for fill in seen), Decimal(MARKET_ORDER["quantity"]))


def stream(seen: Known, known: Known) -> None:
    there = {trade["id"]: numbers([[trade["price"], trade["quantity"]]]) for trade in known["trades"]}
    for trade in seen["trades"]:
        same(f"trade {trade['id']}", numbers([[trade["price"], trade["quantity"]]]), there.get(trade["id"]))
    ids = [int(trade["id"]) for trade in seen["trades"]]
    same("trade ids", ids, list(range(ids[0], ids[0] + max(len(ids), TRADES))))
    updates = seen.get("updates", [])
    for before, after in pairwise(updates):
        same("ids of book updates", after["first"], before["last"] + 1)
    sequences = seen.get("sequences") or [update["last"] for update in updates]
    same("sequences", sequences, sorted(set(sequences)))
    if len(sequences) < UPDATES or sequences[-1] > known["sequence"]:
        raise AssertionError(f"sequences {sequences}, the exchange is at {known['sequence']}")


def kept_book(seen: Known, known: Known) -> None:
    """A whole book that the peer kept by itself from snapshot and stream, once all stands still."""
    there = known["still book"]
    same("sequence", seen["sequence"], there["sequence"])
    for side in ("bids", "asks"):
        same(side, numbers(seen[side]), numbers(there[side]))


def user_stream(seen: dict[str, Any], known: Known) -> None:
    """The market order, its fills and what they left, as the user's own stream told of them."""
    same("steps of the order", (seen["statuses"][0], seen["statuses"][-1]), ("new", "filled"))
    my_trades(seen["fills"], known)
    same_balances(seen["balances"], {asset: known["balances"][asset] for asset in ("BTC", "USDT")})


STEPS: dict[str, Callable[[Any, Known], None]] = {
    "server time": server_time,
    "exchange info": exchange_info,
    "depth": depth,
    "klines": klines,
    "account": account,
    "place limit": placed(LIMIT_ORDER, "new"),
    "query": placed(LIMIT_ORDER, "new"),
    "open orders": open_orders,
    "cancel": placed(LIMIT_ORDER, "canceled"),
    "place market": placed(MARKET_ORDER, "filled"),
    "my trades": my_trades,
    "balances": balances,
    "stream": stream,
}
BOOK_KEEPERS: dict[str, Callable[[Any, Known], None]] = {"kept book": kept_book}
USER_STREAMS: dict[str, Callable[[Any, Known], None]] = {"user stream": user_stream}


def obeyed(known: Known) -> str | None:
    """What the exchange has to complain of: a request that it refused, a rule that was broken."""
    return "; ".join([*known["refused"], *known["violations"], *_wrong_orders(known)]) or None


def _wrong_orders(known: Known) -> list[str]:
    statuses = sorted(order["status"] for order in known["orders"])
    return [] if statuses == ["canceled", "filled"] else [f"orders in the end: {statuses or 'none'} in {UNIFIED}"]
