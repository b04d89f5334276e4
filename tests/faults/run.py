"""The fault table: what exconnect and other people's clients do when something goes wrong, measured on loopback.

python tests/faults/run.py [--rows killed,numbers] [--peers exconnect,ccxt] [--json FILE] [--out FILE.md] [--jobs N]

Each cell is a process of its own with a mock exchange of its own. Peers are installed in the environments of
benchmarks/peers.py. It ends with 1 if exconnect is wrong in any row.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rows import ALLOWED, ROWS, Facts, Row

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

OURS = ("exconnect", "exconnect, Bybit")
LONG = 100.0  # seconds that a row of --quick does not take
ENDS_WITHIN = 8.0  # seconds from the last fact of a case to the end of its process
LIMITS = {  # the mock's names for so many calls a second
    "binance": {"request_weight": (ALLOWED, 1)},
    "bybit": {"ip": (5 * ALLOWED, 5)},  # as documented
}


@dataclass(frozen=True)
class Peer:
    """`package` is its environment; `lacks`: what it does not have, and why the rows that need it do not concern it."""

    module: str
    package: str
    exchange: str
    lacks: dict[str, str]


NO_HANDLERS = {"handlers": "no handlers: the program's own loop", "threads": "no threads: the program's own loop"}
NO_RETRIES = {"retries": "has none"}
PEERS = {
    "exconnect": Peer("peer_exconnect", "exconnect", "binance", {}),
    "exconnect, Bybit": Peer("peer_exconnect", "exconnect", "bybit", {}),
    "ccxt": Peer("peer_ccxt", "ccxt", "binance", NO_HANDLERS),
    "ccxt, Bybit": Peer("peer_ccxt_bybit", "ccxt", "bybit", NO_HANDLERS),
    "python-binance": Peer("peer_python_binance", "python-binance", "binance", NO_RETRIES),
    "binance-connector": Peer(
        "peer_binance_connector",
        "binance-connector",
        "binance",
        {**NO_RETRIES, "user stream": "by listen keys, which the exchange has retired", "book": "keeps no book"},
    ),
    "binance-sdk-spot": Peer(
        "peer_binance_sdk_spot",
        "binance-sdk-spot",
        "binance",
        {"retries": "on by default, not for orders", "book": "keeps no book", "threads": "asyncio only"},
    ),
    "unicorn-binance-websocket-api": Peer(
        "peer_unicorn_binance_websocket_api",
        "unicorn-binance-websocket-api",
        "binance",
        {"orders": "streams only", "retries": "streams only", "book": "in another package"},
    ),
    "pybit": Peer("peer_pybit", "pybit", "bybit", {}),
}


@dataclass
class Cell:
    text: str
    is_right: bool | None = None  # of exconnect's only
    version: str = ""
    facts: Facts | None = None
    seconds: float = 0.0


class Exchange:
    """The mock exchange, in its own process."""

    def __init__(self, exchange: str, options: dict[str, Any]) -> None:
        own = {"limits": LIMITS[exchange]} if "limits" in options else options
        command = [sys.executable, str(HERE / "exchange.py"), exchange, json.dumps(own)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self._answer()

    def ask(self, **command: Any) -> Any:
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the mock exchange has ended")
        return json.loads(line)

    def close(self) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class Case:
    """One case of one peer in a process of its own: its facts, as it tells them."""

    def __init__(self, exchange: Exchange, python: str, module: str, case: str, state: str) -> None:
        self._exchange = exchange
        self.facts: Facts = {}
        self.complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by close()
        self._lines: queue.Queue[str | None] = queue.Queue()
        # No proxy between us and loopback, and no state of this machine's user.
        own = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        self._process = subprocess.Popen(
            [python, str(HERE / "cases.py"), module, case],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.complaints,
            text=True,
            cwd=state,
            env=own | {"MOCK_ADDRESS": json.dumps(exchange.address), "EXCONNECT_STATE_DIR": state, "HOME": state},
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def run(self, seconds: float) -> Facts:
        """All facts; the process is killed at the deadline, and `ended` says whether that was needed."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                break
            if line is None:
                break
            message = json.loads(line)
            if "ask" in message:
                self._process.stdin.write(json.dumps(self._exchange.ask(**message["ask"])) + "\n")
                self._process.stdin.flush()
                continue
            self.facts |= message["facts"]
            if message["facts"].get("kill"):
                self.facts["killed"] = self._exchange.ask(do="fired", seconds=20.0)
                break
            if {"returning", "done", "stopping"} & message["facts"].keys():
                end = time.monotonic() + ENDS_WITHIN
        self.facts["ended"] = self._ended(max(end - time.monotonic(), 0.0) if "killed" not in self.facts else 0.0)
        return self.facts

    def _ended(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        return True

    def close(self) -> str:
        """What it complained of."""
        self._process.stdin.close()
        self._process.stdout.close()
        with self.complaints:
            self.complaints.seek(0)
            return self.complaints.read()[-600:]


def cell(row: Row, name: str, pythons: dict[str, str]) -> Cell:
    peer = PEERS[name]
    lacking = [peer.lacks[need] for need in row.needs if need in peer.lacks]
    if lacking:
        return Cell(f"– ({lacking[0]})")
    if peer.package not in pythons:
        return Cell("– (does not install here)")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as state, contextlib.closing(Exchange(peer.exchange, row.options)) as exchange:
        facts: Facts = {}
        for case in (row.name, f"{row.name}_after") if row.name == "killed" else (row.name,):
            running = Case(exchange, pythons[peer.package], peer.module, case, state)
            facts |= running.run(row.seconds)
            complaint = running.close()
    try:
        made = Cell(row.tell(facts))
        made.is_right = row.right(facts) if name in OURS else None
    except KeyError as missing:
        is_named = name in OURS and "NotSupported" in complaint  # there is to be one, and it says so
        made = Cell("– (not delivered yet)" if is_named else not_told(name, facts, complaint, missing))
        made.is_right = False if name in OURS and not is_named else None
    made.version, made.facts, made.seconds = facts.get("version", ""), facts, round(time.monotonic() - began, 1)
    return made


def not_told(name: str, facts: Facts, complaint: str, missing: KeyError) -> str:
    """A case that broke off."""
    last = complaint.strip().splitlines()[-1:] or ["said nothing"]
    sys.stderr.write(f"{name}: no {missing}, {facts}\n{complaint}\n")
    return f"– (broke off: {last[0][:80]})"


def measured(rows: list[Row], peers: list[str], jobs: int, pythons: dict[str, str]) -> dict[tuple[str, str], Cell]:
    def run(key: tuple[Row, str]) -> Cell:
        made = cell(*key, pythons)
        sys.stderr.write(f"{made.seconds:6.1f} s  {key[0].name}, {key[1]}: {made.text}\n")
        return made

    keys = [(row, peer) for row in sorted(rows, key=lambda row: -row.seconds) for peer in peers]
    with ThreadPoolExecutor(jobs) as pool:
        return {(row.name, peer): made for (row, peer), made in zip(keys, pool.map(run, keys), strict=True)}


def table(rows: list[Row], peers: list[str], cells: dict[tuple[str, str], Cell]) -> Iterator[str]:
    versions = {peer: next((c.version for (_, p), c in cells.items() if p == peer and c.version), "") for peer in peers}
    for exchange in ("Binance", "Bybit"):
        of = [peer for peer in peers if PEERS[peer].exchange == exchange.lower()]
        if not of:
            continue
        heads = [f"{peer.removesuffix(', Bybit')} {versions[peer]}".strip() for peer in of]
        yield from ("", f"| on {exchange} | " + " | ".join(heads) + " |", "|---|" + "---|" * len(of))
        for row in rows:
            yield f"| {row.title} | " + " | ".join(shown(cells[row.name, peer]) for peer in of) + " |"


def shown(made: Cell) -> str:
    return {None: "", True: "✓ ", False: "✗ "}[made.is_right] + made.text.replace("|", "\\|")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="", help=f"of {', '.join(row.name for row in ROWS)}")
    parser.add_argument("--peers", default="", help="names or how they begin, with commas between: exconnect,ccxt")
    parser.add_argument("--quick", action="store_true", help="leave out the rows that take a minute")
    parser.add_argument("--jobs", type=int, default=6, help="cells at a time: most of them wait")
    parser.add_argument("--json", metavar="FILE", help="write all facts there")
    parser.add_argument("--out", metavar="FILE", help="write the table there")
    return parser.parse_args()


def main() -> int:
    wanted = arguments()
    names = [name for name in wanted.rows.split(",") if name] or [row.name for row in ROWS]
    rows = [row for row in ROWS if row.name in names and not (wanted.quick and row.seconds > LONG)]
    peers = [peer for peer in PEERS if not wanted.peers or any(peer.startswith(p) for p in wanted.peers.split(","))]
    pythons = installed({PEERS[peer].package for peer in peers})
    cells = measured(rows, peers, wanted.jobs, pythons)
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, CPython {platform.python_version()} on {platform.system()}.",
        *table(rows, peers, cells),
    ]
    print(*lines, sep="\n")
    if wanted.out:
        Path(wanted.out).write_text("\n".join(lines) + "\n")
    if wanted.json:
        report = [{"row": row, "peer": peer, **vars(made)} for (row, peer), made in cells.items()]
        Path(wanted.json).write_text(json.dumps(report, indent=1) + "\n")
    ours = [(key, made) for key, made in cells.items() if key[1] in OURS and made.is_right is not None]
    wrong = [f"{row}, {peer}: {made.text}" for (row, peer), made in ours if not made.is_right]
    print("", *wrong, sep="\n")
    print(f"{len(ours) - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


def installed(packages: set[str]) -> dict[str, str]:
    from peers import OURS as OUR_PACKAGE
    from peers import interpreters

    # exconnect runs as it is here; it needs no environment of its own.
    return {OUR_PACKAGE: sys.executable} | interpreters(sorted(packages - {OUR_PACKAGE}))


if __name__ == "__main__":
    sys.exit(main())
