"""What the documentation shows, runs: the blocks that it marks, against the mock exchanges.

A line `<!-- runs -->` right before a block (a comment: it is not on the page) says that the block works as it stands.
What it takes for granted, its own function say, stands behind: `<!-- runs, given store = print -->`. The Python blocks
of a page share their names, in order, and find a `client`, its `mock`, and environment variables under which
`Client("binance")` and `Client("bybit")` reach a mock exchange. Of a console block, each line behind a `$` runs.
"""

from __future__ import annotations

import re
import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from exconnect import Capability, Client, ExconnectError, Stream, available, cli, errors
from exconnect.exchanges import load
from exconnect.mock import MockExchange
from exconnect.trading.queries import OrderView

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)
BLOCK = re.compile(
    r"^<!-- runs(?:, given (?P<given>[^\n]+))? -->\n\n?```(?P<kind>python|console)\n(?P<text>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
COMMAND = re.compile(r"^\$ exconnect (.*)$", re.MULTILINE)

pytestmark = pytest.mark.network


class Block(NamedTuple):
    kind: str
    text: str
    given: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(found["kind"], found["text"], found["given"] or "", text.count("\n", 0, found.start("text")))
        for found in BLOCK.finditer(text)
    ]


def name_of(page: Path) -> str:
    return page.relative_to(DOCS).with_suffix("").as_posix()


WITH_BLOCKS = [page for page in PAGES if blocks(page)]


@pytest.fixture
def mocks(monkeypatch, tmp_path):
    with MockExchange("binance", seed=7) as binance, MockExchange("bybit", seed=7) as bybit:
        for mock in (binance, bybit):
            for variable, value in mock.env().items():
                monkeypatch.setenv(variable, value)
        monkeypatch.setenv("EXCONNECT_STATE_DIR", str(tmp_path / "state"))
        monkeypatch.chdir(tmp_path)
        yield binance, bybit


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=name_of)
def test_what_a_page_shows_runs(page, mocks, capsys):
    names = {"__name__": "docs", "client": Client("binance"), "mock": mocks[0], "mocks": mocks}
    with ExitStack() as made:
        for block in blocks(page):
            if block.kind == "console":
                shown(block.text)
                continue
            exec(block.given, names)
            exec(compile("\n" * block.line + block.text, str(page), "exec"), names)
            for value in names.values():
                if isinstance(value, Client):
                    made.callback(value.close)


def shown(text: str) -> None:
    commands = COMMAND.findall(text)
    assert commands, "a console block that runs shows commands"
    for command in commands:
        assert cli.main(shlex.split(command, comments=True)) == 0, command


def test_every_how_to_runs():
    pages = [page for page in PAGES if page.parent.name == "how-to"]
    assert pages
    assert [name_of(page) for page in pages if page not in WITH_BLOCKS] == []


def test_marks_are_in_front_of_blocks():
    for page in PAGES:
        marks = re.findall(r"^<!-- runs.*$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(marks) == len(blocks(page)), name_of(page)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_can_be_read_as_a_file(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert "[](" not in text, "a link needs a text, which only the built site would fill in"
    assert not re.search(r"^% ", text, re.MULTILINE), "a comment that only the built site hides"
    has_words_only_when_built = "autoclass" in page.read_text(encoding="utf-8") or "automodule" in page.read_text()
    assert not has_words_only_when_built or "docstrings" in text, "say where the text is"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_blocks_are_python(page):
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        compile(block, str(page), "exec")


# ---- tables that follow from the code -------------------------------------------------------------------------------


def rows(page: str, heading: str) -> list[list[str]]:
    text = (DOCS / page).read_text(encoding="utf-8")
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return cells[2:]


def classes(base: type[ExconnectError]) -> list[type[ExconnectError]]:
    return [base, *(found for kind in base.__subclasses__() for found in classes(kind))]


def test_the_table_of_errors_is_the_tree():
    told = {row[0].strip("`· "): (row[2], row[3]) for row in rows("reference/errors.md", "All of them")}
    true = {
        kind.__name__: (kind.outcome.name, "yes" if kind.retryable else "no")
        for kind in classes(ExconnectError)
        if kind is not ExconnectError and kind.__module__ == errors.__name__
    }
    assert told == true


def test_the_table_of_capabilities_is_what_the_exchanges_say():
    table = rows("topics/exchanges.md", "What each can do")
    told = {
        exchange: {row[0].strip("`") for row in table if row[column] == "yes"}
        for column, exchange in enumerate(available(), 2)
    }
    assert told == {name: {str(capability) for capability in load(name).capabilities} for name in available()}
    assert {row[0].strip("`") for row in table} == {str(capability) for capability in Capability}


def test_the_names_to_come_to_exist():
    text = (DOCS / "how-to/coming-from-ccxt-python-binance-pybit.md").read_text(encoding="utf-8")
    for owner, kind in (("client.orders", OrderView), ("client", Client), ("stream", Stream)):
        named = set(re.findall(rf"`{re.escape(owner)}\.(\w+)\b(?!\.)", text)) - {"orders", "raw"}
        assert named
        assert [name for name in sorted(named) if not hasattr(kind, name)] == []
