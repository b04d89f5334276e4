"""A small part of `make chaos` in every run of the tests: the seeds that failed once, and some that nobody has seen."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
FRESH = 100  # so many that one unknown outcome a seed, on average, is no matter of luck


def run(*arguments):
    """The output of `make chaos` with these arguments, which must find nothing."""
    command = [sys.executable, str(HERE / "run.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("exchange", ["binance", "bybit"])
def test_no_order_is_doubled_lost_or_misreported(exchange):
    start = int(time.time())  # each run tries others; a seed that fails is named with the command that plays it alone
    line = run(FRESH, start, exchange, "--jobs", 1).splitlines()[-1]
    figures = dict(pair.split("=") for pair in line.split())
    assert figures["schedules"] == str(FRESH)
    assert int(figures["orders"]) > FRESH
    assert int(figures["unknown"]) >= FRESH


@pytest.mark.parametrize("exchange", ["binance", "bybit"])
def test_what_failed_once_holds(exchange):
    assert run("--corpus", exchange).startswith("schedules=")


def test_a_seed_plays_the_same_story_every_time():
    stories = [run("--trace", 1, 7, "binance") for _ in range(2)]
    assert stories[0] == stories[1]
    assert len(stories[0].splitlines()) > 20
