"""So many seeds on so many processes, and one line at the end: `make chaos`."""

import argparse
import faulthandler
import gc
import itertools
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
EXCHANGES = ("binance", "bybit")
KINDS = ("duplicated", "lost", "stuck", "regressed", "violations")
HANGS_S = 120


def corpus(exchange):
    """The seeds of that exchange that failed once."""
    lines = (HERE / "corpus.txt").read_text(encoding="utf-8").splitlines()
    return [int(line.split()[1]) for line in lines if line.startswith(f"{exchange} ")]


def play_share(exchange, seeds, count, *, is_told=False):
    """Seeds until `count` of them have exercised something; one JSON line for each that failed."""
    from schedule import play
    from timeline import dismiss_workers

    logging.disable(logging.CRITICAL)
    total = dict.fromkeys(("schedules", "orders", "unknown", "kills", "requests", *KINDS), 0)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="chaos-", dir=memory if memory.is_dir() else None) as folder:
        gc.freeze()
        gc.disable()
        for seed in seeds:
            faulthandler.dump_traceback_later(HANGS_S, exit=True)
            outcome = play(seed, exchange, Path(folder), told=print if is_told else None)
            if outcome.counts or outcome.failures:
                total["schedules"] += 1
                for name in ("orders", "unknown", "kills", "requests"):
                    total[name] += getattr(outcome, name)
                for kind in KINDS:
                    total[kind] += len(getattr(outcome, kind))
            if outcome.failures:
                print(json.dumps({"seed": seed, "failures": outcome.failures}), flush=True)
            if total["schedules"] >= count:
                break
            if total["schedules"] % 20 == 0:
                gc.collect()
    faulthandler.cancel_dump_traceback_later()
    dismiss_workers()
    print(json.dumps({"total": total}), flush=True)


class Share:
    """A process that plays a share of the seeds, and what it has found."""

    def __init__(self, exchange, *arguments):
        self.exchange = exchange
        self.total = None
        # Sets of texts are in the same order in every run, so that a seed replays.
        variables = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"}
        command = [sys.executable, __file__, *map(str, arguments)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self):
        for line in self._process.stdout:
            if not line.startswith("{"):
                print(line, end="")  # the story, as it is told
                continue
            found = json.loads(line)
            if "total" in found:
                self.total = found["total"]
                continue
            for failure in found["failures"]:
                print(f"{self.exchange} seed {found['seed']}: {failure}", flush=True)
            print(f"  alone: make chaos SEEDS=1 START={found['seed']} EXCHANGE={self.exchange}", flush=True)

    def wait(self):
        """Its figures.

        Raises:
            SystemExit: it broke down.
        """
        self._thread.join()
        if self._process.wait() != 0 or self.total is None:
            sys.exit(f"{self.exchange}: a process of the suite broke down, see above")
        return self.total


def alone(arguments, exchange, first, step, count):
    """What one process of several does. Steps: 0 for the corpus."""
    is_told = "--trace" in arguments
    seeds = (first,) if is_told else itertools.count(first, step) if step else corpus(exchange)
    play_share(exchange, seeds, count, is_told=is_told)


def report(sums, seconds):
    """The last line; whether it is all zeros."""
    zeros = " ".join(f"{kind}={sums[kind]}" for kind in KINDS)
    print(
        f"schedules={sums['schedules']} {zeros} orders={sums['orders']} unknown={sums['unknown']} "
        f"kills={sums['kills']} seconds={seconds:.1f}"
    )
    return not any(sums[kind] for kind in KINDS)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="?", type=int, default=200)
    parser.add_argument("start", nargs="?", type=int, default=1)
    parser.add_argument("exchanges", nargs="*", default=EXCHANGES)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--corpus", choices=EXCHANGES, help="play the seeds that failed once")
    parser.add_argument("--trace", action="store_true", help="tell the story of one seed: --trace 1 SEED EXCHANGE")
    parser.add_argument("--share", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.share:
        exchange, *numbers = given.share
        alone(sys.argv, exchange, *map(int, numbers))
        return
    begun, sums = time.monotonic(), {}
    for exchange in [given.corpus] if given.corpus else given.exchanges:
        for share in shares(given, exchange):
            for name, value in share.wait().items():
                sums[name] = sums.get(name, 0) + value
    if not given.trace:
        sys.exit(not report(sums, time.monotonic() - begun))


def shares(given, exchange):
    """The processes that play an exchange's seeds."""
    if given.corpus:
        return [Share(exchange, "--share", exchange, 0, 0, len(corpus(exchange)))]
    if given.trace:
        return [Share(exchange, "--trace", "--share", exchange, given.start, 1, 1)]
    jobs = min(given.jobs, given.seeds)
    counts = [len(range(number, given.seeds, jobs)) for number in range(jobs)]
    return [
        Share(exchange, "--share", exchange, given.start + number, jobs, count) for number, count in enumerate(counts)
    ]


if __name__ == "__main__":
    main()
