"""An exchange is a folder of the same nine files."""

from __future__ import annotations

import re
from importlib import import_module
from inspect import isfunction
from pathlib import Path

import pytest

EXCHANGES = Path(__file__).resolve().parents[2] / "exconnect" / "exchanges"
FILES = ["__init__", "auth", "book", "errors", "markets", "parse", "rest", "stream", "wire"]
URL = re.compile(r"https://[^\s)]+")
FOLDERS = sorted(path for path in EXCHANGES.glob("*") if path.is_dir() and path.name != "__pycache__")


def test_there_are_exchanges():
    assert FOLDERS


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_same_nine_files(folder):
    assert sorted(path.stem for path in folder.iterdir() if path.name != "__pycache__") == FILES


def pages_of(folder):
    """The pages of the exchange's documentation that each of its calls names."""
    rest = import_module(f"exconnect.exchanges.{folder.name}.rest")
    functions = [each for each in vars(rest).values() if isfunction(each) and each.__module__ == rest.__name__]
    return {each.__name__: URL.findall(each.__doc__ or "") for each in functions if not each.__name__.startswith("_")}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_call_names_its_page(folder):
    assert {name for name, pages in pages_of(folder).items() if not pages} <= {"raw", "takes"}


def test_the_documentation_leads_to_the_same_pages():
    text = (EXCHANGES.parents[1] / "docs" / "topics" / "exchanges.md").read_text()
    rows = [line for line in text.splitlines() if re.match(r"\| `(fetch|place|amend|cancel)", line) and "https" in line]
    assert rows
    for row in rows:
        name = re.match(r"\| `(\w+)", row)[1].removeprefix("fetch_")
        for folder, cell in zip(FOLDERS, row.split(" | ")[1:], strict=True):
            known = pages_of(folder)
            calls = ("validate_order",) if "validate_only" in row else (name, f"fetch_{name}")
            pages = [page for call in calls for page in known.get(call, [])]
            assert set(URL.findall(cell)) <= set(pages), row
