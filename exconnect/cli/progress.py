"""How far a download is, on stderr: a bar where rich is installed and somebody watches, else a line now and then."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec

from exconnect.cli.output import Output
from exconnect.environment import Environment

Step = Callable[[datetime, int], None]  # how far it has come, rows so far

_EVERY_S = 2.0
_DRAWN_S = 0.1


@contextmanager
def progress(output: Output, title: str, end: datetime) -> Iterator[Step]:
    """A function to be called after each item; the first call says where it begins."""
    if output.is_json:
        yield lambda _when, _rows: None
    elif sys.stderr.isatty() and find_spec("rich") is not None:
        with _bar(title, end) as step:
            yield step
    else:
        yield _Lines(output, title, end)


class _Lines:
    def __init__(self, output: Output, title: str, end: datetime) -> None:
        self._output = output
        self._title = title
        self._end = end
        self._begin: datetime | None = None
        self._env = Environment()
        self._next = self._env.now() + _EVERY_S

    def __call__(self, when: datetime, rows: int) -> None:
        self._begin = self._begin or when
        now = self._env.now()
        if now >= self._next:
            self._next = now + _EVERY_S
            part = share(self._begin, when, self._end)
            self._output.note(f"{self._title}: {part:4.0%}, {rows} rows, up to {when:%Y-%m-%d %H:%M}")


@contextmanager
def _bar(title: str, end: datetime) -> Iterator[Step]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rows]}"))
    env, drawn = Environment(), 0.0
    begin: list[datetime] = []
    # Drawn from here, not by a thread of its own: there is nothing to draw but when something came.
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), auto_refresh=False) as bar:
        task = bar.add_task(title, total=1.0, rows="")

        def step(when: datetime, rows: int) -> None:
            nonlocal drawn
            if not begin:
                begin.append(when)
            bar.update(task, completed=share(begin[0], when, end), rows=f"{rows} rows, up to {when:%Y-%m-%d %H:%M}")
            if env.now() - drawn >= _DRAWN_S:
                drawn = env.now()
                bar.refresh()

        yield step
        bar.update(task, completed=1.0, refresh=True)


def share(begin: datetime, when: datetime, end: datetime) -> float:
    """Which part of the way from `begin` to `end` lies behind `when`."""
    whole = (end - begin).total_seconds()
    return min(max((when - begin).total_seconds() / whole, 0.0), 1.0) if whole > 0 else 1.0
