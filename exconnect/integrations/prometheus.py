"""Metrics for Prometheus. Comes with a later version; the name is here so that nothing moves then."""

from __future__ import annotations

from typing import Any

from exconnect.errors import NotSupported

__all__ = ["PrometheusMetrics"]


class PrometheusMetrics:
    """A `Metrics` that counts in a Prometheus registry.

    Raises:
        NotSupported: always; it comes with a later version. Any object with `count`, `gauge` and `timing` will do
            as `Client(metrics=...)`.
    """

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotSupported("PrometheusMetrics comes with a later version: any object with count, gauge, timing will do")
