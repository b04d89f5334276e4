"""What import-linter cannot see, ruff's banned-api does: clocks, chance and threads have one place."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUFF = shutil.which("ruff", path=str(Path(sys.executable).parent))

BANNED = [
    "import threading; threading.Thread(target=print)",
    "from threading import Thread",
    "import time; time.time()",
    "from time import monotonic",
    "import time as clock; clock.sleep(1)",
    "import datetime as dt; dt.datetime.now(dt.UTC)",
    "from datetime import UTC, datetime; datetime.now(tz=UTC)",
    "import random",
    "from random import Random",
    "import uuid; uuid.uuid4()",
    "import os; os.urandom(8)",
    "import asyncio",
]


def finds(file: str, line: str) -> bool:
    """Whether ruff objects to `line` as a line of `file`."""
    assert RUFF, "ruff is part of the development tools: make .venv/.dev"
    command = [RUFF, "check", "--select=TID251", "--output-format=concise", f"--stdin-filename={file}", "-"]
    run = subprocess.run(command, input=f"{line}\n", cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode in {0, 1}, run.stderr
    return "TID251" in run.stdout


@pytest.mark.parametrize("line", BANNED)
def test_banned_in_the_house(line):
    assert finds("exconnect/gateway.py", line)


@pytest.mark.parametrize("file", ["exconnect/environment.py", "exconnect/mock/activity.py"])
def test_allowed_where_it_belongs(file):
    assert not any(finds(file, line) for line in BANNED)


def test_locks_and_durations_are_free():
    assert not finds("exconnect/gateway.py", "import threading; lock = threading.Lock()")
