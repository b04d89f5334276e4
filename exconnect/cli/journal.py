"""`journal show|verify|reconcile`, `halt`, `resume`: what is written down of orders, and the kill switch."""

from __future__ import annotations

import argparse
from collections.abc import Sized
from pathlib import Path
from typing import Any

from exconnect.cli.market import table
from exconnect.cli.output import DONE, FAILED, UNKNOWN, Output, shown
from exconnect.cli.session import connected
from exconnect.client import Client
from exconnect.credentials import missing_credentials
from exconnect.environment import Environment
from exconnect.errors import ConfigurationError
from exconnect.model.enums import OrderStatus
from exconnect.model.order import Order
from exconnect.trading.journal import Journal

_RECONCILE_S = 30.0  # to be missing counts three times, ten seconds apart
_SHOWN = (
    "client_order_id",
    "symbol",
    "side",
    "type",
    "status",
    "quantity",
    "filled_quantity",
    "price",
    "order_id",
    "created_at",
    "idempotency_key",
)


def run(given: argparse.Namespace, output: Output) -> int:
    """`journal show|verify|reconcile`."""
    return {"show": _show, "verify": _verify, "reconcile": _reconcile}[given.action](given, output)


def _file(given: argparse.Namespace) -> Path:
    if given.file is None:
        with connected(given) as client:
            return _of(client, ", or name the file with --file")
    path = Path(given.file)
    if not path.is_file():
        raise ConfigurationError(f"--file: no journal at {path}")
    return path


def _of(client: Client, otherwise: str = "") -> Path:
    if client.journal is None:
        raise ConfigurationError(f"which account? {missing_credentials(client.exchange)}{otherwise}")
    return client.journal


def _show(given: argparse.Namespace, output: Output) -> int:
    path = _file(given)
    if path.is_file():
        orders = Journal(path, Environment()).orders()
        rows = [_row(order) for order in orders]
        output.text(f"{path}: {_count(rows)}")
        output.text(table(_SHOWN, ([shown(row[name]) for name in _SHOWN] for row in rows)))
    else:
        rows = []
        output.text(_nothing_at(path))
    output.result({"orders": rows})
    return DONE


def _nothing_at(path: Path) -> str:
    return f"no journal at {path}: it is made with the account's first order"


def _count(rows: Sized) -> str:
    return "1 order" if len(rows) == 1 else f"{len(rows)} orders"


def _row(order: Order) -> dict[str, Any]:
    return {name: getattr(order, name) for name in _SHOWN}


def _verify(given: argparse.Namespace, output: Output) -> int:
    path = _file(given)
    if path.is_file():
        journal = Journal(path, Environment())
        problems = journal.verify()
        orders = [] if problems else journal.orders()
        output.text("\n".join(problems) or f"{path}: {_count(orders)}, nothing wrong")
    else:
        problems, orders = [], []
        output.text(_nothing_at(path))
    output.result({"ok": not problems, "intents": len(orders), "problems": problems})
    return FAILED if problems else DONE


def _reconcile(given: argparse.Namespace, output: Output) -> int:
    given.journal = None if given.file is None else _file(given)
    with connected(given) as client:
        _of(client, "" if given.file is None else "; the file alone is not enough, for the exchange is asked")
        orders = client.recover(timeout=_RECONCILE_S if given.timeout is None else given.timeout)
    unknown = [order.client_order_id for order in orders if order.status is OrderStatus.UNKNOWN]
    for order in orders:
        output.text(f"{order.client_order_id}  {order.status}")
    resolved = len(orders) - len(unknown)
    output.text(f"{resolved} found out, {len(unknown)} still unknown")
    output.result({"ok": not unknown, "resolved": resolved, "unknown": unknown})
    return UNKNOWN if unknown else DONE


def halt(given: argparse.Namespace, output: Output) -> int:
    """From now on no process that shares the journal places orders."""
    with connected(given) as client:
        _of(client)
        client.halt(given.reason)
        return _halted(client, output)


def resume(given: argparse.Namespace, output: Output) -> int:
    """End it."""
    with connected(given) as client:
        _of(client)
        client.resume()
        return _halted(client, output)


def _halted(client: Client, output: Output) -> int:
    state = Journal(_of(client), Environment()).halt_state()
    reason, since = (None, None) if state is None else state
    words = f": {reason}" if reason else ""
    output.text("trading goes on" if state is None else f"halted since {since:%Y-%m-%d %H:%M:%S} UTC{words}")
    output.result({"halted": state is not None, "since": since, "reason": reason})
    return DONE
