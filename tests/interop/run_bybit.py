"""Other people's clients, unmodified, against the Bybit dialect of the mock exchange: the same list as for Binance."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

import run
from judge import BOOK_KEEPERS, LIMIT_ORDER, MARKET_ORDER, STEPS, Known, my_trades, same, same_balances


class Exchange(run.Exchange):
    """The mock exchange, in its own process."""

    def __init__(self) -> None:
        command = [sys.executable, str(run.HERE / "exchange_bybit.py")]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self._answer()


def private(seen: dict[str, Any], known: Known) -> None:
    """Every step of both orders, every fill, and what was held in the end, as the private socket told of them."""
    steps = [(row["status"], Decimal(row["quantity"])) for row in seen["orders"]]
    limit, market = (Decimal(wish["quantity"]) for wish in (LIMIT_ORDER, MARKET_ORDER))
    same("steps of the limit order", [status for status, quantity in steps if quantity == limit], ["new", "canceled"])
    same("end of the market order", steps[-1], ("filled", market))
    my_trades(seen["fills"], known)
    same_balances(seen["balances"], {asset: known["balances"][asset] for asset in ("BTC", "USDT")})


PEERS = {  # script → where it is installed, and what is judged beyond STEPS
    "pybit": ("pybit", {**BOOK_KEEPERS, "private": private}),
    "ccxt-bybit": ("ccxt", BOOK_KEEPERS),
}


def judged(peer: str) -> tuple[str, run.Verdicts]:
    package, more = PEERS[peer]
    command = [sys.executable, str(run.ROOT / "benchmarks" / "peers.py"), package]
    python = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout).get(package)
    if python is None:
        return peer, {"installation": "does not install here"}
    with Exchange() as exchange:
        told, known = run.told_by(peer, python, exchange)
    return f"{peer} {told['version']}", run.verdicts(told, known, STEPS | more)


def main() -> int:
    results = dict(map(judged, sys.argv[1:] or list(PEERS)))
    print("\n".join(run.table(results)))
    failures = [
        f"{peer}, {name}: {problem}"
        for peer, verdict in results.items()
        for name, problem in verdict.items()
        if problem is not None
    ]
    print("", *failures, sep="\n")
    count = sum(map(len, results.values()))
    print(f"{count - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
