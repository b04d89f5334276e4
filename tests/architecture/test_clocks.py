"""Threads may be started in `runtime`, but clocks and chance stay in `environment` there too.

Elsewhere ruff's banned-api sees to it; it cannot tell one banned name from another in a folder that may use some.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

RUNTIME = Path(__file__).resolve().parents[2] / "exconnect" / "runtime"
BANNED = {"time", "datetime", "random", "secrets", "uuid"}


def imported(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("file", sorted(RUNTIME.glob("*.py")), ids=lambda file: file.name)
def test_runtime_reads_no_clock(file):
    assert not imported(file.read_text(encoding="utf-8")) & BANNED


def test_a_clock_would_be_seen():
    assert imported("from time import monotonic\nimport uuid") & BANNED == {"time", "uuid"}
