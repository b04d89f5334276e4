"""exconnect beside its peers, in one run: keeping a book, placing an order, being imported.

python benchmarks/run.py [--only book,bybit50,bybit200,consolidated,rest,import] [--rounds N] [--json FILE]

Every adapter runs in a fresh process and an environment of its own, the adapters of a table by turns; what is shown are
medians over the rounds. The figures are CPU time, so that a busy machine disturbs them less, but it does disturb them:
read the ratios within one run, never a single figure.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from peers import OURS, REQUIREMENTS, interpreters

HERE = Path(__file__).resolve().parent
FRAMES = 4_000
BOOK_SECONDS, REST_SECONDS = "0.7", "1.5"
WORKER_SECONDS = 120
ALONE = "both books, no look"

Figures = dict[str, dict[str, Any]]  # adapter → what was measured


@dataclass(frozen=True)
class Goal:
    """Our figure is at most so much of a peer's: of the cheapest where several are named."""

    figure: str
    peers: tuple[str, ...]
    at_most: float
    ours: str = OURS

    def ratio(self, figures: Figures) -> float | None:
        theirs = [figures[peer][self.figure] for peer in self.peers if peer in figures]
        ours = figures.get(self.ours)
        return ours[self.figure] / min(theirs) if ours and theirs else None

    def text(self) -> str:
        whose = self.peers[0] if len(self.peers) == 1 else f"the cheapest of {', '.join(self.peers)}"
        which = "" if self.ours == OURS else f" ({self.ours})"
        return f"{self.figure}{which} at most {self.at_most:.0%} of {whose}"


@dataclass(frozen=True)
class Table:
    """One kind of measurement: the script that takes it, in which environments, with what."""

    name: str
    title: str
    script: str
    adapters: dict[str, str]  # name → environment
    columns: dict[str, str]  # figure → heading
    goals: tuple[Goal, ...]
    arguments: Callable[[], AbstractContextManager[Sequence[str]]]
    extra_rounds: int = 0


def recorded(*kinds: str) -> Callable[[], AbstractContextManager[Sequence[str]]]:
    @contextmanager
    def frames() -> Any:
        with tempfile.TemporaryDirectory() as folder:
            paths = [str(Path(folder) / kind) for kind in kinds]
            for kind, path in zip(kinds, paths, strict=True):
                subprocess.run([sys.executable, str(HERE / "frames.py"), kind, path, str(FRAMES)], check=True)
            yield BOOK_SECONDS, *paths

    return frames


@contextmanager
def order_server() -> Any:
    command = [sys.executable, str(HERE / "server.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip(), REST_SECONDS
        finally:
            server.terminate()


BOOK_COLUMNS = {"update": "update", "update + top 10": "update + top 10", "numbers": "numbers"}


def bybit_book(depth: int) -> Table:
    return Table(
        f"bybit{depth}",
        f"Order book, Bybit's topic with {depth} levels: microseconds of CPU per frame",
        "book.py",
        {"exconnect": OURS, "ccxt.pro": "ccxt", "pybit": "pybit", "cryptofeed": "cryptofeed"},
        BOOK_COLUMNS,
        (Goal("update + top 10", ("ccxt.pro",), 0.35), Goal("update + top 10", ("pybit",), 0.12)),
        recorded(f"bybit{depth}"),
    )


TABLES = (
    Table(
        "book",
        "Order book, Binance diff frames: microseconds of CPU per frame",
        "book.py",
        {
            "exconnect": OURS,
            "ccxt.pro": "ccxt",
            "cryptofeed": "cryptofeed",
            "python-binance Decimal": "python-binance",
            "python-binance float": "python-binance",
        },
        BOOK_COLUMNS,
        (
            Goal("update + top 10", ("ccxt.pro",), 0.35),
            Goal("update + top 10", ("cryptofeed", "python-binance Decimal"), 0.12),
        ),
        recorded("binance"),
    ),
    bybit_book(50),
    bybit_book(200),
    Table(
        "consolidated",
        "One book over both exchanges, read once in ten frames: microseconds of CPU per frame, keeping both included",
        "book.py",
        {"exconnect": OURS, ALONE: OURS},
        {"update": "per frame", "numbers": "numbers"},
        (Goal("update", (ALONE,), 1.30),),
        recorded("binance", "bybit50"),
        extra_rounds=4,
    ),
    Table(
        "rest",
        "One signed order over loopback: microseconds per call",
        "rest.py",
        {
            "exconnect": OURS,
            "exconnect, journaled": OURS,
            "ccxt": "ccxt",
            "python-binance": "python-binance",
            "binance-connector": "binance-connector",
        },
        {"cpu": "CPU", "latency": "wall clock"},
        (
            Goal("cpu", ("ccxt", "python-binance", "binance-connector"), 0.95),
            Goal("cpu", ("ccxt", "python-binance", "binance-connector"), 1.05, "exconnect, journaled"),
        ),
        order_server,
        extra_rounds=2,
    ),
    Table(
        "import",
        "Import; for exconnect also Client(...) and its stream: milliseconds of CPU, MB",
        "imports.py",
        {
            "exconnect": OURS,
            "pybit": "pybit",
            "binance-connector": "binance-connector",
            "python-binance": "python-binance",
            "ccxt.pro": "ccxt",
        },
        {"cpu": "CPU ms", "memory": "MB", "modules": "modules"},
        (Goal("cpu", ("pybit",), 0.60), Goal("memory", ("pybit",), 0.60)),
        lambda: nullcontext(()),
        extra_rounds=6,
    ),
)


def measured(script: str, python: str, arguments: Sequence[str], folder: str) -> dict[str, Any]:
    """What one worker says; what it writes goes to `folder`.

    Raises:
        RuntimeError: it failed; the last lines of its complaint.
    """
    # No proxy between us and loopback, no setting of this shell that keeps Python from its compiled files.
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith("PYTHON")
    }
    done = subprocess.run(
        [python, str(HERE / script), *arguments],
        capture_output=True,
        text=True,
        timeout=WORKER_SECONDS,
        env=own | {"PYTHONHASHSEED": "0", "BENCH_FOLDER": folder, "EXCONNECT_STATE_DIR": folder},
        check=False,
    )
    if done.returncode:
        raise RuntimeError("\n".join(done.stderr.strip().splitlines()[-3:]))
    return json.loads(done.stdout.strip().splitlines()[-1])


def by_turns(table: Table, pythons: dict[str, str], rounds: int) -> tuple[Figures, dict[str, str]]:
    """Medians, and what went wrong with the adapters that have none."""
    live = {name: pythons[venv] for name, venv in table.adapters.items() if venv in pythons}
    failed = {name: "does not install here" for name in table.adapters if name not in live}
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in live}
    with tempfile.TemporaryDirectory() as folder, table.arguments() as arguments:
        for number in range(rounds + table.extra_rounds):
            for name in sorted(live, reverse=bool(number % 2)):
                progress(f"{table.name}, round {number + 1}: {name}")
                try:
                    taken[name].append(measured(table.script, live[name], [name, *arguments], folder))
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    failed[name] = str(error)
                    del live[name]
    progress("")
    # The first round reads everything from the disk.
    return {name: median(taken[name][1:] or taken[name]) for name in table.adapters if name in live}, failed


def progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text:60}\r")


def median(results: list[dict[str, Any]]) -> dict[str, Any]:
    first = results[0]
    return {
        figure: value if isinstance(value, str) else statistics.median(result[figure] for result in results)
        for figure, value in first.items()
    }


def shown(table: Table, figures: Figures, failed: dict[str, str]) -> list[str]:
    main = table.goals[0].figure
    ours = figures.get(OURS, {}).get(main)
    rows = [["", *table.columns.values(), f"exconnect's {table.columns[main]} is"]]
    for name, found in figures.items():
        share = f"{ours / found[main]:.0%}" if ours and name != OURS else ""
        rows.append([name, *(_cell(found[figure]) for figure in table.columns), share])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    return [table.title, *lines, *(f"{name}: {reason}" for name, reason in failed.items())]


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:,.1f}" if value < 1000 else f"{value:,.0f}"


def judged(table: Table, figures: Figures) -> list[dict[str, Any]]:
    ratios = [(goal, goal.ratio(figures)) for goal in table.goals]
    return [
        {"goal": goal.text(), "ratio": ratio, "reached": ratio is not None and ratio <= goal.at_most}
        for goal, ratio in ratios
    ]


def verdict(goal: dict[str, Any]) -> str:
    if goal["ratio"] is None:
        return f"  not measured  {goal['goal']}"
    return f"  {'reached' if goal['reached'] else 'MISSED'}, {goal['ratio']:.1%}  {goal['goal']}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="tables, separated by commas")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--json", metavar="FILE", help="write all figures there, too")
    return parser.parse_args()


def main() -> int:
    wanted = arguments()
    names = wanted.only.split(",") if wanted.only else [table.name for table in TABLES]
    tables = [table for table in TABLES if table.name in names]
    pythons = interpreters(sorted({venv for table in tables for venv in table.adapters.values()}))
    report: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "peers": [requirement[0] for name, requirement in REQUIREMENTS.items() if name != OURS],
        "rounds": wanted.rounds,
    }
    print(f"{report['machine']}, Python {report['python']}; medians over {wanted.rounds} rounds and more\n")
    whole = True
    for table in tables:
        figures, failed = by_turns(table, pythons, wanted.rounds)
        goals = judged(table, figures)
        whole = whole and not failed
        report[table.name] = {"figures": figures, "failed": failed, "goals": goals}
        print(*shown(table, figures, failed), *map(verdict, goals), "", sep="\n", flush=True)
    if wanted.json:
        Path(wanted.json).write_text(json.dumps(report, indent=1) + "\n")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
