"""How many connections may be tried: by address, and for the whole process."""

from __future__ import annotations

import pytest

from exconnect.environment import Environment
from exconnect.feeds.budget import ATTEMPTS, WINDOW_S, Attempts, attempts


def test_so_many_at_once_then_each_when_an_old_one_is_forgotten():
    budget = Attempts(Environment())
    assert [budget.wait(100.0 + number) for number in range(ATTEMPTS)] == [0.0] * ATTEMPTS
    now = 100.0 + ATTEMPTS
    assert budget.wait(now) == pytest.approx(100.0 + WINDOW_S - now)
    assert budget.wait(now) == pytest.approx(101.0 + WINDOW_S - now)
    assert budget.wait(now + 2 * WINDOW_S) == 0.0


def test_all_that_connect_to_one_address_share_it():
    env = Environment()
    assert attempts(env, "wss://one") is attempts(env, "wss://one")
    assert attempts(env, "wss://one") is not attempts(env, "wss://another")
