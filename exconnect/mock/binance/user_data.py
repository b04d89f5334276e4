"""Events of the user's account.

https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exconnect.mock.fixed import SCALE, text

from .shapes import ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exconnect.mock.account import Account
    from exconnect.mock.orders import Fill, Report

    from .shapes import Json

_SHORT = {"strategyId": "j", "strategyType": "J"}


def execution_report(report: Report) -> Json:
    """One step in the life of an order."""
    order, fill = report.order, report.fill
    row = {
        "e": "executionReport",
        "E": report.time_ms,
        "s": order.market.name,
        "c": report.client_id,
        "S": order.side.upper(),
        "o": order.wish.type.upper(),
        "f": order.wish.time_in_force.upper(),
        "q": text(order.quantity),
        "p": text(order.price),
        "P": text(order.wish.stop_price),
        "F": ZERO,
        "g": -1,
        "C": report.original_id,
        "x": report.kind.upper() if report.kind != "expired_in_match" else "TRADE_PREVENTION",
        "X": report.status.upper(),
        "r": "NONE",
        "i": order.id,
        **_last(fill),
        "z": text(report.filled),
        "T": report.time_ms,
        "t": fill.trade_id if fill else -1,
        "I": report.id,
        "w": report.is_working,
        "m": bool(fill and fill.is_maker),
        "M": bool(fill),
        "O": order.time_ms,
        "Z": text(report.filled_quote),
        "Y": text(fill.price * fill.quantity // SCALE if fill else 0),
        "Q": text(order.wish.quote_quantity),
    }
    return {**row, **_sometimes(report)}


def _last(fill: Fill | None) -> Json:
    if fill is None:
        return {"l": ZERO, "L": ZERO, "n": "0", "N": None}
    return {"l": text(fill.quantity), "L": text(fill.price), "n": text(fill.fee), "N": fill.fee_asset}


def _sometimes(report: Report) -> Json:
    order = report.order
    row: Json = {_SHORT[name]: value for name, value in order.wish.extra}
    if order.working_ms >= 0:
        row["W"] = order.working_ms
    row["V"] = order.wish.stp.upper()
    if report.prevented:
        row |= {"v": order.prevented_match_id, "A": text(order.prevented), "B": text(report.prevented)}
        row |= {"u": -1, "U": report.counter_order_id, "Cs": order.market.name}
    if report.kind == "expired" and order.expiry_reason:
        row["eR"] = order.expiry_reason.upper()
    return row


def account_position(account: Account, assets: Iterable[str], now_ms: int) -> Json:
    """What may have changed, as absolute values."""
    rows = [{"a": asset, "f": text(account.of(asset).free), "l": text(account.of(asset).locked)} for asset in assets]
    return {"e": "outboundAccountPosition", "E": now_ms, "u": now_ms, "B": rows}
