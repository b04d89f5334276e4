from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from toy import BTC, ToyServer, ToyVenue

from exconnect.stream import Stream


@pytest.fixture
def server():
    with ToyServer() as server:
        yield server


@pytest.fixture
def venue(server):
    venue = ToyVenue(server.url)
    yield venue
    venue.close()


@pytest.fixture
def make(venue):
    """Streams that are closed before their venue is."""
    streams = []

    def make(*symbols):
        streams.append(Stream(lambda: venue, "toy", symbols or (BTC,)))
        return streams[-1]

    yield make
    for stream in streams:
        stream.close()


@pytest.fixture
def stream(make):
    return make(BTC)
