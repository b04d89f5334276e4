"""An exchange is a folder of the same nine files."""

from __future__ import annotations

from pathlib import Path

import pytest

EXCHANGES = Path(__file__).resolve().parents[2] / "exconnect" / "exchanges"
FILES = ["__init__", "auth", "book", "errors", "markets", "parse", "rest", "stream", "wire"]
FOLDERS = sorted(path for path in EXCHANGES.glob("*") if path.is_dir() and path.name != "__pycache__")


def test_there_are_exchanges():
    assert FOLDERS


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_same_nine_files(folder):
    assert sorted(path.stem for path in folder.iterdir() if path.name != "__pycache__") == FILES
