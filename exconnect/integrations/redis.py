"""Streams over Redis. Comes with a later version; the names are here so that nothing moves then."""

from __future__ import annotations

from typing import Any

from exconnect.errors import NotSupported

__all__ = ["RedisSink", "RemoteStream"]


class RedisSink:
    """Publishes what a stream brings to Redis.

    Raises:
        NotSupported: always; it comes with a later version.
    """

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotSupported("RedisSink comes with a later version")


class RemoteStream:
    """Reads what a `RedisSink` in another process publishes.

    Raises:
        NotSupported: always; it comes with a later version.
    """

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotSupported("RemoteStream comes with a later version")
