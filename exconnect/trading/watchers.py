"""Hands every change of an order to the handlers that asked for it, each in a thread of its own."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from exconnect.runtime.actor import NEVER, Actor
from exconnect.runtime.callbacks import check_handler, name_of, show_failure

if TYPE_CHECKING:
    from exconnect.environment import Environment
    from exconnect.model.order import Order

logger = logging.getLogger("exconnect.orders")

Handle = Callable[["Order"], object]


class _Watcher:
    """One handler, its thread and what waits for it; nothing is ever dropped."""

    def __init__(self, env: Environment, name: str, handler: Handle) -> None:
        self.handler = handler
        self._waiting: deque[Order] = deque()
        self._closed = False
        self._has_shown = False
        self._actor = Actor(env, name, self._step)

    def tell(self, order: Order) -> None:
        with self._actor.condition:
            self._waiting.append(order)
            self._actor.wake()

    def close(self) -> None:
        with self._actor.condition:
            self._closed = True
            self._actor.wake()

    @property
    def is_over(self) -> bool:
        return self._actor.is_over

    def join(self, timeout: float) -> None:
        self._actor.join(timeout)

    def _step(self, _: float) -> Callable[[], None] | float | None:
        if self._closed:
            return None
        if not self._waiting:
            return NEVER
        order = self._waiting.popleft()
        return lambda: self._call(order)

    def _call(self, order: Order) -> None:
        try:
            self.handler(order)
        except BaseException as error:
            # A handler that fails, in whatever way, gets the next change all the same.
            if not self._has_shown:
                self._has_shown = True
                text = f"handler {name_of(self.handler)} failed on an Order; logging tells of every failure"
                show_failure(logger, text, error)
            logger.exception("handler of order changes failed on %s", order.client_order_id)


class Watchers:
    """The handlers of one client in one process."""

    def __init__(self, env: Environment, name: str) -> None:
        self._env = env
        self._name = name
        self._lock = env.lock()
        self._watchers: tuple[_Watcher, ...] = ()
        self._leaving: list[_Watcher] = []  # taken back, and perhaps in the middle of a call

    def add(self, handler: Handle) -> None:
        """Start to call `handler`; adding it again changes nothing.

        Raises:
            InvalidType: not callable with one argument, or a coroutine function.
        """
        check_handler(handler, "handler")
        with self._lock:
            if all(watcher.handler != handler for watcher in self._watchers):
                name = f"{self._name}.{getattr(handler, '__name__', type(handler).__name__)}"
                self._watchers = (*self._watchers, _Watcher(self._env, name, handler))

    def remove(self, handler: Handle) -> None:
        """No more calls begin."""
        with self._lock:
            gone = [watcher for watcher in self._watchers if watcher.handler == handler]
            self._watchers = tuple(watcher for watcher in self._watchers if watcher.handler != handler)
            self._leaving = [watcher for watcher in (*self._leaving, *gone) if not watcher.is_over]
        for watcher in gone:
            watcher.close()

    def tell(self, order: Order) -> None:
        """Hand a change to every handler; returns at once."""
        for watcher in self._watchers:
            watcher.tell(order)

    def close(self, timeout: float = 2.0) -> None:
        """No more calls begin, of any handler; at most `timeout` seconds for those that run."""
        with self._lock:
            gone, self._watchers, self._leaving = [*self._watchers, *self._leaving], (), []
        for watcher in gone:
            watcher.close()
        deadline = self._env.now() + timeout
        for watcher in gone:
            watcher.join(max(deadline - self._env.now(), 0.0))
