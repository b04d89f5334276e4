"""A handler for tests: what it was told, and how to wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Seen:
    """A handler that keeps what it gets, and can be waited for."""

    def __init__(self, act: Callable | None = None):
        self.items: list = []
        self.threads: set[str] = set()
        self.news = threading.Condition()
        self._act = act

    def __call__(self, item):
        with self.news:
            self.items.append(item)
            self.threads.add(threading.current_thread().name)
            self.news.notify_all()
        if self._act is not None:
            self._act(item)

    def until(self, ready: Callable[[list], bool], timeout: float = 30.0):
        with self.news:
            assert self.news.wait_for(lambda: bool(self.items) and ready(self.items), timeout), (
                f"got only {self.items[-5:]}"
            )
        return self.items

    def count(self, number: int):
        return self.until(lambda items: len(items) >= number)

    def first(self, ready: Callable[[object], bool], timeout: float = 30.0):
        """The first item that is `ready`, as soon as there is one."""
        return next(filter(ready, self.until(lambda items: any(map(ready, items)), timeout)))
