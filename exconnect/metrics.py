"""Counters, gauges and timings behind one small interface."""

from __future__ import annotations

import logging
import threading
from typing import Protocol

_log = logging.getLogger("exconnect.rest")

_ALWAYS = ("calls", "retries", "rate_limited", "waited_s", "outcome_unknown")  # there from the start, as zeros
MAX_SERIES = 1_000  # distinct names with labels; a label that grows without end must not grow the process


class Metrics(Protocol):
    """Where figures go: give one to `Client(metrics=…)` and it hears of everything that is counted."""

    def count(self, name: str, value: float = 1, **labels: str) -> None:
        """`value` more of `name`."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """`name` is `value` now."""

    def timing(self, name: str, seconds: float, **labels: str) -> None:
        """`name` took so many seconds."""


class Registry:
    """The figures of one client: thread-safe, bounded, readable at any time.

    `name` stands for the sum over all labels, `name{label="value"}` for one series. A timing becomes
    `…_count`, `…_sum` and `…_max` (seconds). A `forward` that fails is left alone for that figure and never
    hurts the call that was counted.
    """

    def __init__(self, forward: Metrics | None = None) -> None:
        self._forward = forward
        self._lock = threading.Lock()
        self._values = dict.fromkeys(_ALWAYS, 0.0)
        self._is_reported = False

    def count(self, name: str, value: float = 1, **labels: str) -> None:
        """`value` more of `name`."""
        with self._lock:
            self._add(name, value)
            if labels:
                self._add(_series(name, labels), value)
        if self._forward is not None:
            self._tell("count", name, value, labels)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """`name` is `value` now."""
        with self._lock:
            self._set(_series(name, labels), value)
        if self._forward is not None:
            self._tell("gauge", name, value, labels)

    def timing(self, name: str, seconds: float, **labels: str) -> None:
        """`name` took so many seconds."""
        with self._lock:
            self._add(f"{name}_count", 1)
            self._add(f"{name}_sum", seconds)
            self._set(f"{name}_max", max(seconds, self._values.get(f"{name}_max", seconds)))
        if self._forward is not None:
            self._tell("timing", name, seconds, labels)

    def snapshot(self) -> dict[str, float]:
        """Every figure as of now."""
        with self._lock:
            return dict(self._values)

    def _add(self, name: str, value: float) -> None:
        self._set(name, self._values.get(name, 0.0) + value)

    def _set(self, name: str, value: float) -> None:
        if name in self._values or len(self._values) < MAX_SERIES:
            self._values[name] = float(value)

    def _tell(self, how: str, name: str, value: float, labels: dict[str, str]) -> None:
        try:
            getattr(self._forward, how)(name, value, **labels)
        except Exception as error:  # noqa: BLE001 - the user's code; the call it counts is worth more
            if not self._is_reported:
                self._is_reported = True
                _log.warning("metrics=%s failed and is ignored: %s", type(self._forward).__name__, type(error).__name__)


def _series(name: str, labels: dict[str, str]) -> str:
    if not labels:
        return name
    pairs = [f'{key}="{labels[key]}"' for key in sorted(labels)]
    return f"{name}{{{','.join(pairs)}}}"
