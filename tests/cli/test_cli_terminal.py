"""The picture that is drawn again and again, and colours."""

import io
import re
import sys
from decimal import Decimal
from types import SimpleNamespace

import pytest

from exconnect.cli.market import table
from exconnect.cli.terminal import Picture, clip, is_terminal, paint
from exconnect.model.market import Level


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    screen = Terminal()
    # Not sys.stdout itself, which pytest sets anew when the test begins.
    monkeypatch.setattr("exconnect.cli.terminal.sys", SimpleNamespace(stdout=screen))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("LINES", "10")
    return screen


def replay(text):
    """What is on the screen in the end, as far as our own escapes go."""
    lines, row = [""], 0
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\n)", text):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif match := re.fullmatch(r"\x1b\[(\d+)F", part):
            row -= int(match[1])
            assert row >= 0
        elif part == "\x1b[J":
            del lines[row + 1 :]
            lines[row] = ""
        elif not part.startswith("\x1b"):
            lines[row] += part
    return "\n".join(lines).rstrip("\n").split("\n")


def test_a_picture_replaces_the_one_before(terminal):
    picture = Picture()
    picture.draw(["a", "b", "c"])
    picture.draw(["d", "e"])
    assert replay(terminal.getvalue()) == ["d", "e"]


def test_what_is_said_stays_above(terminal):
    picture = Picture()
    picture.say("first")
    picture.draw(["a", "b"])
    picture.say("second")
    picture.draw(["c"])
    picture.leave()
    picture.say("below")
    assert replay(terminal.getvalue()) == ["first", "second", "c", "below"]


def test_a_picture_never_is_higher_than_the_screen(terminal):
    picture = Picture()
    picture.draw([str(n) for n in range(50)])
    assert replay(terminal.getvalue()) == [str(n) for n in range(9)]


def test_without_a_terminal_there_are_only_lines(capsys):
    picture = Picture()
    picture.draw(["a"])
    picture.say("said")
    picture.leave()
    assert capsys.readouterr().out == "said\n"


def test_the_cursor_comes_back(terminal):
    picture = Picture()
    picture.draw(["a"])
    picture.leave()
    assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().rindex("\x1b[?25l")


def test_colours(terminal, monkeypatch):
    assert paint("x", "red", "bold") == "\x1b[31;1mx\x1b[0m"
    assert paint("x") == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("x", "red") == "x"
    assert is_terminal()


def test_no_colours_elsewhere(capsys, monkeypatch):
    assert paint("x", "red") == "x"
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert paint("x", "red") == "x"


@pytest.mark.parametrize(
    "line, width, text",
    [
        ("abcdef", 3, "abc"),
        ("\x1b[31mabc\x1b[0mdef", 4, "\x1b[31mabc\x1b[0md"),
        ("\x1b[31mabc\x1b[0m", 2, "\x1b[31mab\x1b[0m"),
        ("abc", 0, ""),
    ],
)
def test_clip(line, width, text):
    assert clip(line, width) == text


def test_tables():
    assert table(["name", "step_size"], [["a", "0.01"], ["longer", "1"]]).splitlines() == [
        "name    step size",
        "a            0.01",
        "longer          1",
    ]
    assert table(["name"], []) == "name"


def level(price, quantity):
    return Level(Decimal(price), Decimal(quantity))
