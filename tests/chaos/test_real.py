"""The same over real sockets and threads: users, faults, private streams that break; the ledger judges."""

import random
import threading
import time

import pytest
from kill import CAUTION, FAULTS, WRITES, find_lies
from mortal import SYMBOL, act

from exconnect import Client, ExconnectError
from exconnect.environment import Environment
from exconnect.mock import MockExchange

ACTIONS = 10


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(Environment, "caution", CAUTION)


@pytest.mark.network
@pytest.mark.parametrize("exchange", ["binance", "bybit"])
def test_nothing_is_lost_doubled_or_misreported(exchange):
    seed = int(time.time())  # each run plays others
    draw, got, news = random.Random(seed), [], threading.Condition()
    with (
        MockExchange(exchange, seed=seed, activity=0) as mock,
        Client(exchange, environment=mock) as client,
        client.stream() as stream,
    ):

        @stream.on_fill
        def fill(fill):
            with news:
                got.append(fill.id)
                news.notify()

        stream.start()
        assert stream.wait_live(30)
        users = [
            threading.Thread(target=use, args=(client, mock, random.Random(f"{seed} {number}"))) for number in range(3)
        ]
        for user in users:
            user.start()
        for _ in range(2):
            mock.faults.add("disconnect", on="private")
            mock.execute(SYMBOL, draw.choice(("buy", "sell")), "0.5")
        for user in users:
            user.join()
        mock.faults.clear()

        duplicated, lost, stuck, orders = find_lies(mock, client)

        assert (duplicated, lost, stuck) == ([], [], []), f"seed {seed}"
        assert orders > ACTIONS
        real = sorted(fill.id for fill in mock.ledger.fills())
        with news:
            assert news.wait_for(lambda: len(got) >= len(real), 60)
        assert sorted(got) == real


def use(client, mock, draw):
    """One user; some of what is sent meets a fault."""
    for _ in range(ACTIONS):
        if draw.random() < 0.3:
            on, at = draw.choice(WRITES[mock.exchange]), draw.choice(("before_accept", "after_accept"))
            mock.faults.add(draw.choice(FAULTS), on=on, at=at, seconds=draw.uniform(0.05, 0.5))
        try:
            act(client, draw)
        except ExconnectError:
            continue
