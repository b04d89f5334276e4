"""A real mock exchange over real sockets, and a client on it."""

import json
import os
import subprocess
import sys

import pytest

from exconnect import Client
from exconnect.mock import MockExchange


@pytest.fixture
def mock():
    with MockExchange("binance", seed=7, activity=0) as exchange:
        yield exchange


@pytest.fixture
def client(mock):
    with Client("binance", environment=mock) as made:
        yield made


@pytest.fixture
def elsewhere(mock):
    """Runs a script in a process of its own, with the mock's environment; gives its last line as JSON."""

    def run(script, *, wait=True):
        process = subprocess.Popen(
            [sys.executable, "-c", "import json, os, sys\nfrom exconnect import *\n" + script],
            env={**os.environ, **mock.env()},
            stdout=subprocess.PIPE,
            text=True,
        )
        if not wait:
            return process
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        return json.loads(output.splitlines()[-1])

    return run
