"""The machine as it is: clocks, dice, waiting, threads."""

import threading
import time
from datetime import UTC, timedelta

import pytest

from exconnect import environment
from exconnect.environment import Environment


@pytest.fixture
def env():
    return Environment()


def test_clocks(env):
    first, second = env.now(), env.now()
    assert first <= second
    before, wall, moment = time.time_ns() // 1_000_000, env.wall_ms(), env.wall()
    assert 0 <= wall - before < 60_000
    assert moment.tzinfo is UTC
    assert abs(moment.timestamp() * 1000 - wall) < 60_000


def test_sleeping(env):
    started = time.monotonic()
    env.sleep(0)
    env.sleep(-5)
    env.sleep(0.01)
    assert 0.01 <= time.monotonic() - started < 5


def test_dice(env):
    drawn = [env.uniform(0.5, 1.5) for _ in range(200)]
    assert all(0.5 <= number <= 1.5 for number in drawn)
    assert len(set(drawn)) > 100
    tokens = {env.token(16) for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {16}


def test_threads_are_daemons_with_a_name(env):
    seen = []
    thread = env.spawn("exconnect.test", lambda: seen.append(threading.current_thread()))
    thread.join(30)
    assert seen == [thread]
    assert (thread.name, thread.daemon) == ("exconnect.test", True)


class TestWaiting:
    def test_what_is_ready_is_not_waited_for(self, env):
        condition = env.condition()
        with condition:
            assert env.wait_for(condition, lambda: True, 0) is True
            assert env.wait_for(condition, lambda: True, None) is True

    @pytest.mark.parametrize("timeout", [0, -1, 0.02])
    def test_the_deadline(self, env, timeout):
        condition = env.condition()
        started = time.monotonic()
        with condition:
            assert env.wait_for(condition, lambda: False, timeout) is False
        assert time.monotonic() - started >= timeout

    @pytest.mark.parametrize("timeout", [30.0, None])
    def test_being_woken(self, env, timeout):
        condition, ready = env.condition(), []

        def wake():
            with condition:
                ready.append(True)
                condition.notify_all()

        with condition:
            thread = env.spawn("exconnect.waker", wake)
            assert env.wait_for(condition, lambda: bool(ready), timeout) is True
        thread.join(30)

    def test_a_wait_without_an_end_comes_up_for_air(self, env, monkeypatch):
        monkeypatch.setattr(environment, "_LONGEST_WAIT", 0.001)
        condition, looks = env.condition(), []

        def ready():
            looks.append(None)
            return len(looks) > 3

        with condition:
            assert env.wait_for(condition, ready, None) is True


def test_primitives_are_looked_up_when_they_are_made(env, monkeypatch):
    made = []
    monkeypatch.setattr(threading, "Lock", lambda: made.append("lock") or "a lock")
    monkeypatch.setattr(threading, "Condition", lambda lock: made.append(lock) or "a condition")
    assert (env.lock(), env.condition()) == ("a lock", "a condition")
    assert made == ["lock", "lock", "a lock"]


def test_a_clock_held_by_a_test_decides_how_long_is_waited():
    class Held(Environment):
        moment = 0.0

        def now(self):
            self.moment += timedelta(hours=1).total_seconds()
            return self.moment

    held = Held()
    condition = held.condition()
    with condition:
        assert held.wait_for(condition, lambda: False, 60.0) is False
