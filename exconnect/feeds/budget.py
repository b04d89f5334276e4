"""How many connections may be tried: what an exchange counts per address is counted here for the whole process."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exconnect.environment import Environment

ATTEMPTS = 200
WINDOW_S = 300.0


class Attempts:
    """At most `ATTEMPTS` in any `WINDOW_S` seconds."""

    def __init__(self, env: Environment) -> None:
        self._lock = env.lock()
        self._times: deque[float] = deque(maxlen=ATTEMPTS)

    def wait(self, now: float) -> float:
        """Take one; seconds to wait before using it."""
        with self._lock:
            is_full = len(self._times) == self._times.maxlen
            at = max(now, self._times[0] + WINDOW_S) if is_full else now
            self._times.append(at)
            return at - now


_shared: dict[tuple[int, str], Attempts] = {}


def attempts(env: Environment, url: str) -> Attempts:
    """The budget of this process for connections to `url`."""
    key = os.getpid(), url
    found = _shared.get(key)
    return found if found is not None else _shared.setdefault(key, Attempts(env))
