"""What the tests of every exchange begin with; each exchange's own conftest says which one it is."""

from __future__ import annotations

import json

import pytest

from exconnect.model.enums import MarketType
from exconnect.protocol.call import Response


@pytest.fixture  # made anew: one for the session would be that of the exchange that came first
def market(exchange):
    return exchange.markets[MarketType.SPOT]


@pytest.fixture
def reply():
    """A response with this status, JSON (or bytes), path and headers."""

    def make(status, body, path="", **headers):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw, path)

    return make
