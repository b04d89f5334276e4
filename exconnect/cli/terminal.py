"""A part of the terminal that is drawn again and again, with lines that stay scrolling past above it."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence

_UP_AND_CLEAR = "\x1b[{lines}F\x1b[J"
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_COLOURS = {"green": "32", "red": "31", "yellow": "33", "cyan": "36", "dim": "2", "bold": "1"}


def is_terminal() -> bool:
    """Whether stdout is a terminal that can move its cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, *colours: str) -> str:
    """`text` in colours, on a terminal whose user has not set NO_COLOR."""
    if not colours or not is_terminal() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{';'.join(_COLOURS[colour] for colour in colours)}m{text}\x1b[0m"


class Picture:
    """The part that is drawn again. Without a terminal `draw` does nothing, and `say` prints."""

    def __init__(self) -> None:
        self._is_live = is_terminal()
        self._lines: Sequence[str] = ()

    @property
    def is_live(self) -> bool:
        """Whether there is something to see."""
        return self._is_live

    def draw(self, lines: Sequence[str]) -> None:
        """Put `lines` where the last ones were."""
        if not self._is_live:
            return
        # What does not fit would scroll away, and the cursor would not find back.
        rows = shutil.get_terminal_size().lines - 1
        self._write(self._away() + _HIDE + _text(lines[:rows]))
        self._lines = lines[:rows]

    def say(self, line: str) -> None:
        """A line that stays, above the picture."""
        self._write(self._away() + line + "\n" + _text(self._lines))

    def leave(self) -> None:
        """Let the picture stand as it is; what follows comes below."""
        if self._is_live:
            self._write(_SHOW)
            self._lines = ()

    def _away(self) -> str:
        return _UP_AND_CLEAR.format(lines=len(self._lines)) if self._lines else ""

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


_ESCAPE = re.compile(r"(\x1b\[[0-9;]*m)")


def clip(line: str, width: int) -> str:
    """As much of a painted line as fits: a line that wraps would take two, and the cursor would not find back."""
    kept = []
    for part in _ESCAPE.split(line):
        if part.startswith("\x1b"):
            kept.append(part)
        else:
            kept.append(part[:width])
            width -= len(kept[-1])
    return "".join(kept)
