"""An environment whose clocks and dice the test holds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from exconnect.environment import Environment


class Held(Environment):
    """Nothing moves unless the test moves it."""

    def __init__(self):
        self.steady = 1_000.0
        self.wall_at_start_ms = 1_700_000_000_000
        self.slept_ms = 0
        self.dice = 1.0

    def now(self):
        return self.steady

    def wall_ms(self):
        return self.wall_at_start_ms + round((self.steady - 1_000.0) * 1000) + self.slept_ms

    def wall(self):
        return datetime.fromtimestamp(self.wall_ms() / 1000, UTC)

    def uniform(self, low, high):
        return low + (high - low) * self.dice


@pytest.fixture
def env():
    return Held()
