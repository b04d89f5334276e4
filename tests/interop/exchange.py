"""The mock exchange in a process of its own, steered by lines: `still` ends all activity, `truth` tells what happened.

The first line that it prints says where it is; each command is answered with one line of JSON. It ends with its input.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from exconnect.mock import MockExchange

SYMBOL = "BTC/USDT"


def address(mock: MockExchange) -> dict[str, Any]:
    env = mock.env()
    return {
        "rest_url": mock.rest_url,
        "stream_url": mock.stream_url,
        "key": env["EXCONNECT_BINANCE_API_KEY"],
        "secret": env["EXCONNECT_BINANCE_API_SECRET"],
        "balances": mock.ledger.balances(),
    }


def still(mock: MockExchange) -> dict[str, Any]:
    """From now on the book changes no more; this is how it stays."""
    mock.activity = 0
    return asdict(mock.ledger.book(SYMBOL))


def truth(mock: MockExchange) -> dict[str, Any]:
    ledger = mock.ledger
    return {
        "time_ms": time.time() * 1000,
        "sequence": ledger.book(SYMBOL).sequence,
        "orders": [asdict(order) for order in ledger.orders()],
        "fills": [asdict(fill) for fill in ledger.fills()],
        "trades": [asdict(trade) for trade in ledger.trades(SYMBOL)],
        "balances": ledger.balances(),
        "refused": [f"{r.status} {r.code} {r.method} {r.path}" for r in ledger.requests if r.status != 200],
        "violations": ledger.violations,
    }


def as_text(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def tell(answer: dict[str, Any]) -> None:
    print(json.dumps(answer, default=as_text), flush=True)


if __name__ == "__main__":
    with MockExchange("binance", seed=7) as running:
        tell(address(running))
        for line in sys.stdin:
            tell({"still": still, "truth": truth}[line.strip()](running))
