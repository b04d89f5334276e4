"""Every Python block of the README runs as it stands, against the mock exchange."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.network


def test_there_are_blocks():
    assert len(BLOCKS) >= 3
    assert all("MockExchange" in block for block in BLOCKS)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"block-{BLOCKS.index(block) + 1}")
def test_a_block_runs(block, capsys):
    exec(compile(block, str(README), "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out
