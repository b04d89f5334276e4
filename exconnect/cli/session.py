"""The client that a command works with, and what it can measure of the exchange's clock."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from exconnect.client import Client
from exconnect.environment import Environment
from exconnect.errors import ConfigurationError
from exconnect.mock import MockExchange


@contextmanager
def connected(given: argparse.Namespace) -> Iterator[Client]:
    """A client as the common options describe it, closed at the end; `--environment mock` has its own mock exchange.

    Raises:
        ConfigurationError: as `Client`.
    """
    with ExitStack() as stack:
        environment = given.environment
        if environment is not None and environment.lower() == "mock":
            environment = stack.enter_context(mock_of(given.exchange))
        options: dict[str, Any] = {} if given.timeout is None else {"timeout": given.timeout}
        if getattr(given, "journal", None) is not None:
            options["journal"] = given.journal
        yield stack.enter_context(Client(given.exchange, environment=environment, **options))


def mock_of(exchange: str, **settings: Any) -> MockExchange:
    """A mock exchange, not started.

    Raises:
        ConfigurationError: there is none of this name, or a setting is wrong.
    """
    try:
        return MockExchange(exchange, **settings)
    except ValueError as error:
        raise ConfigurationError(str(error), {"exchange": exchange}) from None


_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The exchange's clock beside this machine's: `offset_ms` ahead, give or take `error_ms`; time it took to ask."""

    time: datetime
    offset_ms: float
    error_ms: float
    round_trip_ms: float


def read_clock(client: Client) -> ClockReading:
    """The best of five samples: the one that took least time says most.

    Raises:
        TransportError: no answer.
    """
    env = Environment()
    return min((_sample(client, env) for _ in range(_SAMPLES)), key=lambda reading: reading.round_trip_ms)


def _sample(client: Client, env: Environment) -> ClockReading:
    begun = env.now()
    time = client.fetch_time()
    took = env.now() - begun
    received = env.wall()
    # The exchange read its clock somewhere between: half the way is the best guess, and at most so far off.
    half = timedelta(seconds=took / 2)
    offset = (time + half - received).total_seconds() * 1000
    return ClockReading(time, round(offset, 1), round(took * 500 + 0.5, 1), round(took * 1000, 1))
