"""The command in this process, where that will do, and as a process of its own, where signals and pipes matter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from exconnect.cli import main
from exconnect.mock import MockExchange


@dataclass
class Ran:
    """What became of a command."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def last(self) -> dict[str, Any]:
        """The last line of stdout, as a program reads it: a float would have lost digits."""
        return json.loads(self.lines[-1], parse_float=float)

    def failed(self, kind: str, code: int) -> dict[str, Any]:
        """The last line is a failure of this kind, and nothing else is in it."""
        assert self.code == code, self.err
        assert set(self.last) == {"ok", "error"}
        assert self.last["ok"] is False
        assert set(self.last["error"]) == {"kind", "message", "outcome", "code"}
        assert self.last["error"]["kind"] == kind
        assert self.last["error"]["message"] in self.err
        return self.last["error"]


@pytest.fixture
def run(capsys):
    """`run("ticker", "BTC/USDT", "--json")` in this process."""

    def call(*words: str) -> Ran:
        capsys.readouterr()
        code = main(list(words))
        seen = capsys.readouterr()
        return Ran(code, seen.out, seen.err)

    return call


@pytest.fixture
def mock():
    with MockExchange("binance", seed=7, activity=0) as exchange:
        yield exchange


@pytest.fixture
def on(run, mock):
    """`on("ticker", "BTC/USDT")` against the mock exchange of the test, with `--json`."""
    return lambda *words: run(*words, "--environment", mock.url, "--json")


@pytest.fixture
def process():
    """`process("mock", "--json")`: a process of its own; killed if the test leaves it running."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str, **environ: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "exconnect", *words]
        made = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env=os.environ | environ,
        )
        started.append(made)
        return made

    yield start
    for each in started:
        if each.poll() is None:
            each.kill()
        each.communicate()


@pytest.fixture
def ended():
    """`ended(process)`: what became of it, within a minute."""

    def wait(process: subprocess.Popen[str], already: str = "") -> Ran:
        out, err = process.communicate(timeout=60)
        return Ran(process.returncode, already + (out or ""), err)

    return wait
