"""What the journal adds to a place: clients without one, with one, and with one that survives a power cut, by turns.

python benchmarks/journal.py [--seconds S] [--folder DIR]      microseconds over loopback, p50 and p99

All three are in one process and place one order each in turn, so that whatever disturbs one disturbs the others; what
the journal adds is the difference of the medians. DIR says which disk is measured.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from server import KEY, SECRET

from exconnect import Client, Credentials

HERE = Path(__file__).resolve().parent
WARM = 100
GOALS = {"process": 90.0, "power": 1_000.0}


def clients(url: str, folder: str) -> dict[str, Client]:
    common: dict[str, Any] = {"environment": url, "credentials": Credentials(KEY, SECRET)}
    kept = {f"durability={name}": {"journal": str(Path(folder) / name), "durability": name} for name in GOALS}
    return {
        name: Client("binance", **common, account=name.replace("=", "-"), **more)
        for name, more in {"no journal": {"journal": None}, **kept}.items()
    }


def measure(of: dict[str, Client], seconds: float) -> dict[str, list[float]]:
    """Microseconds of each place, by client."""
    took: dict[str, list[float]] = {name: [] for name in of}
    for _ in range(WARM):
        for client in of.values():
            client.place_order("BTC/USDT", "buy", "0.001", price="60000")
    gc.collect()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, client in of.items():
            began = time.perf_counter()
            client.place_order("BTC/USDT", "buy", "0.001", price="60000")
            took[name].append((time.perf_counter() - began) * 1e6)
    return took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--folder", help="where the journals are written; a temporary folder if not said")
    wanted = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=wanted.folder) as folder,
        subprocess.Popen([sys.executable, str(HERE / "server.py")], stdout=subprocess.PIPE, text=True) as server,
    ):
        try:
            took = measure(clients(f"http://127.0.0.1:{server.stdout.readline().strip()}", folder), wanted.seconds)
        finally:
            server.terminate()
    return shown(took)


def shown(took: dict[str, list[float]]) -> int:
    base = statistics.median(took["no journal"])
    missed = 0
    for name, values in took.items():
        median, late = statistics.median(values), sorted(values)[int(len(values) * 0.99)]
        line = f"{name:20} p50 {median:7.0f}   p99 {late:7.0f}   n {len(values)}"
        goal = GOALS.get(name.partition("=")[2])
        if goal is not None:
            line += f"   adds {median - base:5.0f} at p50, goal {goal:.0f}"
            missed += median - base > goal
        print(line)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
