"""Errands of a venue: one thread that runs them one after the other, each when its time has come."""

from __future__ import annotations

import heapq
import logging
import os
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from exconnect.runtime import fork
from exconnect.runtime.actor import is_current

if TYPE_CHECKING:
    import threading

    from exconnect.environment import Environment

log = logging.getLogger("exconnect.jobs")


class _Line:
    """The waiting line of one process, and the thread that works it off."""

    def __init__(self, env: Environment, name: str) -> None:
        self.pid = os.getpid()
        self.condition = env.condition()
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        self.is_closed = False
        self._has_news = False
        self._env = env
        self._numbers = count()
        self._name = name
        self.thread: threading.Thread | None = None

    def put(self, run: Callable[[], None], delay: float) -> None:
        with self.condition:
            if self.is_closed:
                return
            heapq.heappush(self.heap, (self._env.now() + delay, next(self._numbers), run))
            if self.thread is None:
                self.thread = self._env.spawn(self._name, self._work)
            self._wake()

    def _wake(self) -> None:
        self._has_news = True
        self.condition.notify()

    def _work(self) -> None:
        while (run := self._next()) is not None:
            try:
                run()
            except BaseException:  # whatever it was, those behind it must not wait for ever
                log.exception("%s: a job failed", self._name)

    def _next(self) -> Callable[[], None] | None:
        with self.condition:
            while not self.is_closed:
                self._has_news = False
                left = None if not self.heap else self.heap[0][0] - self._env.now()
                if left is not None and left <= 0:
                    return heapq.heappop(self.heap)[2]
                self._env.wait_for(self.condition, self._is_awake, left)
            return None

    def _is_awake(self) -> bool:
        return self._has_news

    def close(self) -> None:
        with self.condition:
            self.is_closed = True
            self.heap.clear()
            self._wake()


class Jobs:
    """Runs what is submitted in one thread named `name`, made on first need and again in each process.

    A job that fails is logged; it must report to whoever waits for it by itself.
    """

    def __init__(self, env: Environment, name: str) -> None:
        self._env = env
        self._name = name
        self._lines: dict[int, _Line] = {}

    def submit(self, run: Callable[[], None], delay: float = 0.0) -> None:
        """Run it in `delay` seconds or as soon after that as the thread is free. After `close()`: never."""
        pid = os.getpid()
        line = self._lines.get(pid)
        if line is None:
            fork.watch(self)
            line = self._lines.setdefault(pid, _Line(self._env, self._name))
        line.put(run, delay)

    @property
    def is_running(self) -> bool:
        """Whether its thread was needed in this process so far."""
        line = self._lines.get(os.getpid())
        return line is not None and line.thread is not None and not line.is_closed

    def close(self, timeout: float = 2.0) -> None:
        """Forget what waits; at most `timeout` seconds for the job that runs. From a job it only signals."""
        line = self._lines.get(os.getpid())
        if line is None:
            # Whoever submits from now on shall find it closed.
            line = self._lines.setdefault(os.getpid(), _Line(self._env, self._name))
        line.close()
        thread = line.thread
        if thread is not None and not is_current(thread):
            thread.join(timeout)

    def forked(self) -> None:
        """In a child: the waiting jobs are the parent's."""
        self._lines.clear()
