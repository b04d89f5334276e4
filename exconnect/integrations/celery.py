"""exconnect inside Celery workers.

A task that places orders must not be retried on everything: `RETRYABLE` lists what is safe to try again.
`OutcomeUnknown` is not in it, because the order may have been executed.
"""

from __future__ import annotations

import os
from typing import Any, NoReturn

from exconnect.client import Client
from exconnect.errors import (
    CircuitOpen,
    ClockSkew,
    ExconnectError,
    JournalUnavailable,
    NotSupported,
    RateLimited,
    TransportError,
    Unavailable,
    WouldExceedLimit,
)

__all__ = ["RETRYABLE", "client_for", "install"]

RETRYABLE: tuple[type[ExconnectError], ...] = (
    TransportError,
    CircuitOpen,
    WouldExceedLimit,
    JournalUnavailable,
    RateLimited,
    ClockSkew,
    Unavailable,
)

_clients: dict[tuple[Any, ...], Client] = {}


def client_for(exchange: str, **settings: Any) -> Client:
    """The client of this process for these settings: made on first use, the same one on every later call.

    Safe in a tasks module: making a client opens nothing, and after a fork each child gets its own.

    Raises:
        ConfigurationError: a wrong setting, with the choices.
    """
    key = (os.getpid(), exchange, *((name, _identity(settings[name])) for name in sorted(settings)))
    client = _clients.get(key)
    if client is None or client.closed:
        _clients.pop(key, None)
        client = _clients.setdefault(key, Client(exchange, **settings))
    return client


def _identity(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value


def install(app: Any, client_factory: Any = None) -> NoReturn:
    """Close the clients when a worker process ends.

    Raises:
        NotSupported: always; it comes with a later version.
    """
    raise NotSupported("install() comes with a later version: clients close by themselves when a worker process ends")
