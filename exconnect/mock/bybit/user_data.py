"""The rows of private topics.

https://bybit-exchange.github.io/docs/v5/websocket/private/execution
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exconnect.mock.fixed import padded

from . import shapes
from .shapes import Moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exconnect.mock.orders import Report
    from exconnect.mock.world import World

    from .shapes import Json

CATEGORIES = ("spot", "linear", "inverse", "option")
_FAMILIES = ("order", "execution", "execution.fast")
TOPICS = frozenset(
    {"wallet", "greeks", "position", "dcp.future", "dcp.spot", "dcp.option", *_FAMILIES}
    | {f"{family}.{category}" for family in _FAMILIES for category in CATEGORIES}
    | {f"position.{category}" for category in CATEGORIES if category != "spot"}
)


def known(name: Any, beside: Sequence[Any]) -> bool:
    """Whether a topic exists and does not come together with its all-in-one form."""
    if name not in TOPICS:
        return False
    family, _, category = name.rpartition(".")
    return category not in CATEGORIES or family not in beside


def order_rows(reports: Sequence[Report]) -> list[Json]:
    """Every step; a trigger is a step of its own, a cancel that came too late is told beside the end."""
    rows: list[Json] = []
    for report in reports:
        row = {"category": "spot", **shapes.order(Moment.of(report)), "feeCurrency": "", "closedPnl": "0"}
        row |= {"rpiTakerAccess": False, "rpiMatchedQty": "0"}
        row |= {name: row[name] or padded(0, report.order.market.tick) for name in shapes.PROTECTION}
        if report.kind == "new" and report.order.has_triggered:
            rows.append({**row, "orderStatus": "Triggered"})
        if report.kind == "too_late":
            row |= {"cancelType": "CancelByUser", "rejectReason": "EC_OrigClOrdIDDoesNotExist"}
        rows.append(row)
    return rows


def execution_rows(reports: Sequence[Report]) -> list[Json]:
    """Every fill."""
    return [
        {"category": "spot", **shapes.execution(report.fill, report.order.quantity - report.filled), "execPnl": "0"}
        for report in reports
        if report.fill
    ]


def fast_rows(reports: Sequence[Report]) -> list[Json]:
    """Every fill, with little more than its numbers: no fee, and a maker's row without its own id."""
    names = ("symbol", "orderId", "side", "isMaker", "execId", "execPrice", "execQty", "execTime", "seq")
    rows = []
    for report in reports:
        if report.fill:
            whole = shapes.execution(report.fill, 0)
            link_id = "" if report.fill.is_maker else whole["orderLinkId"]
            rows.append({"category": "spot", "orderLinkId": link_id, **{name: whole[name] for name in names}})
    return rows


def wallet_rows(world: World, reports: Sequence[Report]) -> list[Json]:
    """The coins that may have changed, as absolute values."""
    markets = dict.fromkeys(report.order.market for report in reports if report.kind != "too_late")
    assets = dict.fromkeys(asset for market in markets for asset in (market.base, market.quote))
    return [shapes.wallet(world, world.account, assets)] if assets else []


def rows_of(topic: str, world: World, reports: Sequence[Report]) -> list[Json]:
    """What a topic says of these steps; nothing on those that spot has no news for."""
    family = topic.removesuffix(".spot")
    if family == "wallet":
        return wallet_rows(world, reports)
    rows = {"order": order_rows, "execution": execution_rows, "execution.fast": fast_rows}.get(family)
    return rows(reports) if rows else []
