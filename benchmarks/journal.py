"""What the journal adds to a place, by what it shall survive: a client without one and one with it, by turns.

python benchmarks/journal.py [--seconds S] [--folder DIR]      microseconds over loopback, p50 and p99

Both are in one process and place one order each in turn, so that whatever disturbs one disturbs the other; what the
journal adds is the difference of the medians. DIR says which disk is measured. In the same turns, what SQLite and the
disk cost by themselves: one transaction with one row of an order's size, from Python's `sqlite3`.
"""

from __future__ import annotations

import argparse
import gc
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from server import KEY, SECRET

from exconnect import Client, Credentials

HERE = Path(__file__).resolve().parent
WARM = 100
GOALS = {"process": 90.0, "power": 1_000.0}
LEVELS = {"process": "NORMAL", "power": "FULL"}
ROW = b"x" * 1_200

Took = dict[str, list[tuple[float, float]]]  # microseconds of the clock, of CPU


def place(url: str, name: str, **more: str | None) -> Callable[[], object]:
    """What places one order."""
    credentials = Credentials(KEY, SECRET)
    client = Client("binance", environment=url, credentials=credentials, account=name, **more)
    return lambda: client.place_order("BTC/USDT", "buy", "0.001", price="60000")


def commit(file: Path, level: str) -> Callable[[], object]:
    """What writes one row and nothing else."""
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA synchronous = {level}")
    db.execute("CREATE TABLE row (value BLOB)")

    def run() -> None:
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO row VALUES (?)", (ROW,))
        db.execute("COMMIT")

    return run


def measure(acts: dict[str, Callable[[], object]], seconds: float) -> Took:
    """Each of them by turns."""
    took: Took = {name: [] for name in acts}
    for _ in range(WARM):
        for act in acts.values():
            act()
    gc.collect()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, act in acts.items():
            began, used = time.perf_counter(), time.thread_time()
            act()
            cpu, clock = time.thread_time() - used, time.perf_counter() - began
            took[name].append((clock * 1e6, cpu * 1e6))
    return took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--folder", help="where the journals are written; a temporary folder if not said")
    wanted = parser.parse_args()
    missed = 0
    with (
        tempfile.TemporaryDirectory(dir=wanted.folder) as folder,
        subprocess.Popen([sys.executable, str(HERE / "server.py")], stdout=subprocess.PIPE, text=True) as server,
    ):
        try:
            url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
            for durability, level in LEVELS.items():
                acts = {
                    "no journal": place(url, f"none-{durability}", journal=None),
                    f"durability={durability}": place(
                        url, durability, journal=f"{folder}/{durability}", durability=durability
                    ),
                    f"sqlite3, {level}": commit(Path(folder) / f"bare-{level}", level),
                }
                missed += shown(measure(acts, wanted.seconds / len(LEVELS)), GOALS[durability])
        finally:
            server.terminate()
    return 1 if missed else 0


def shown(took: Took, goal: float) -> bool:
    """Whether the goal was missed."""
    medians = {name: [statistics.median(each) for each in zip(*values, strict=True)] for name, values in took.items()}
    for (name, values), (clock, cpu) in zip(took.items(), medians.values(), strict=True):
        late = sorted(clock for clock, _ in values)[int(len(values) * 0.99)]
        print(f"{name:20} p50 {clock:6.0f}   p99 {late:7.0f}   CPU {cpu:5.0f}   n {len(values)}")
    without, kept, _ = medians.values()
    added, cpu = (more - less for more, less in zip(kept, without, strict=True))
    print(f"   the journal adds {added:.0f} at p50, goal {goal:.0f}; {cpu:.0f} of CPU")
    return added > goal


if __name__ == "__main__":
    sys.exit(main())
