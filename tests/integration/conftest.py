"""A real mock exchange over real sockets, and a client on it."""

import pytest

from exconnect import Client
from exconnect.mock import MockExchange

pytestmark = pytest.mark.network


@pytest.fixture
def mock():
    with MockExchange("binance", seed=7, activity=0) as exchange:
        yield exchange


@pytest.fixture
def client(mock):
    with Client("binance", environment=mock) as made:
        yield made
