"""The Bybit dialect of the mock exchange in a process of its own, steered by the same lines as exchange.py."""

from __future__ import annotations

import sys
from typing import Any

from exchange import still, tell
from exchange import truth as whole_truth

from exconnect.mock import MockExchange


def address(mock: MockExchange) -> dict[str, Any]:
    env = mock.env()
    return {
        "rest_url": mock.rest_url,
        "stream_url": mock.stream_url,
        "key": env["EXCONNECT_BYBIT_API_KEY"],
        "secret": env["EXCONNECT_BYBIT_API_SECRET"],
        "balances": mock.ledger.balances(),
    }


def truth(mock: MockExchange) -> dict[str, Any]:
    """Here a refusal is a code inside a 200."""
    refused = [f"{r.status} {r.code} {r.method} {r.path}" for r in mock.ledger.requests if r.status != 200 or r.code]
    return whole_truth(mock) | {"refused": refused}


if __name__ == "__main__":
    with MockExchange("bybit", seed=7) as running:
        tell(address(running))
        for line in sys.stdin:
            tell({"still": still, "truth": truth}[line.strip()](running))
