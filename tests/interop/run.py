"""Other people's clients, unmodified, against the mock exchange: what they do works, and what they see is true."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

from judge import BOOK_KEEPERS, STEPS, USER_STREAMS, Known, obeyed

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PEERS = {  # a name on PyPI → what is judged beyond STEPS
    "ccxt": BOOK_KEEPERS,
    "python-binance": BOOK_KEEPERS | USER_STREAMS,
    "binance-connector": {},
    "binance-sdk-spot": USER_STREAMS,
}
SECONDS = 120

Verdicts = dict[str, str | None]  # step → what is wrong


class Exchange:
    """The mock exchange, in its own process."""

    def __init__(self) -> None:
        command = [sys.executable, str(HERE / "exchange.py")]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self._answer()

    def ask(self, what: str) -> dict[str, Any]:
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the mock exchange ended with {self._process.wait()}")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(SECONDS)


def environment(address: dict[str, Any]) -> dict[str, str]:
    """Of the parent's no proxies: the exchange is on this machine."""
    own = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    names = ("rest_url", "stream_url", "key", "secret")
    return own | {f"MOCK_{name.upper()}": address[name] for name in names}


def told_by(peer: str, python: str, exchange: Exchange) -> tuple[dict[str, Any], Known]:
    """What the peer told, and what the exchange knows. On the way the peer may ask the exchange to stand still."""
    script = HERE / f"peer_{peer.replace('-', '_')}.py"
    known: Known = {"opening balances": exchange.address["balances"]}
    told: dict[str, Any] = {"version": "?", "seen": {}, "failed": {}}
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            ["timeout", str(SECONDS), python, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env=environment(exchange.address),
        ) as process,
    ):
        for line in process.stdout:
            message = json.loads(line)
            if "ask" not in message:
                told = message
                continue
            known["still book"] = exchange.ask(message["ask"])
            process.stdin.write(json.dumps(known["still book"]) + "\n")
            process.stdin.flush()
        if process.wait():
            complaints.seek(0)
            told["failed"]["its process"] = f"ended with {process.returncode}: {complaints.read()[-500:]}"
    return told, known | exchange.ask("truth")


def verdicts(told: dict[str, Any], known: Known, steps: dict[str, Any]) -> Verdicts:
    found: Verdicts = dict(told["failed"])
    for name, check in steps.items():
        if name in found:
            continue
        try:
            check(told["seen"][name], known)
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
        else:
            found[name] = None
    return found | {"orders and rules": obeyed(known)}


def run(peer: str) -> tuple[str, Verdicts]:
    python = json.loads(
        subprocess.run(
            [sys.executable, str(ROOT / "benchmarks" / "peers.py"), peer], check=True, stdout=subprocess.PIPE
        ).stdout
    ).get(peer)
    if python is None:
        return peer, {"installation": "does not install here"}
    with Exchange() as exchange:
        told, known = told_by(peer, python, exchange)
    return f"{peer} {told['version']}", verdicts(told, known, STEPS | PEERS[peer])


def table(results: dict[str, Verdicts]) -> list[str]:
    names = list(dict.fromkeys(name for verdict in results.values() for name in verdict))
    names.sort(key=lambda name: [*STEPS, *BOOK_KEEPERS, name].index(name))
    width = max(map(len, names))
    lines = [f"{'':{width}}  " + "  ".join(results)]
    for name in names:
        cells = [_cell(verdict, name).center(len(peer)) for peer, verdict in results.items()]
        lines.append(f"{name:{width}}  " + "  ".join(cells))
    return lines


def _cell(verdict: Verdicts, name: str) -> str:
    if name not in verdict:
        return "-"
    return "ok" if verdict[name] is None else "FAILED"


def main() -> int:
    wanted = sys.argv[1:] or list(PEERS)
    results = dict(map(run, wanted))
    print("\n".join(table(results)))
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
