"""The switch by a clock that the test moves: jobs run when their time has come."""

from __future__ import annotations

import heapq
from itertools import count

import pytest

from exconnect.errors import TransportError
from exconnect.trading.deadmans_switch import DeadMansSwitch


class Clock:
    """Environment and jobs in one: `run` lets so many seconds pass."""

    def __init__(self):
        self.time = 100.0
        self._numbers = count()
        self._waiting = []

    def now(self):
        return self.time

    def submit(self, run, delay=0.0):
        heapq.heappush(self._waiting, (self.time + delay, next(self._numbers), run))

    def run(self, seconds):
        end = self.time + seconds
        while self._waiting and self._waiting[0][0] <= end:
            self.time, _, run = heapq.heappop(self._waiting)
            run()
        self.time = end


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def canceled():
    return []


@pytest.fixture
def switch(clock, canceled):
    return DeadMansSwitch(10, env=clock, jobs=clock, cancel_all=lambda: canceled.append(clock.time))


def test_silence_cancels_once(clock, switch, canceled):
    clock.run(9.9)
    assert not switch.fired
    clock.run(100)
    assert switch.fired
    assert canceled == [110.0]


def test_help_shows_all_that_it_has(switch):
    assert not [name for name in vars(switch) if not name.startswith("_")]  # help() shows a class, not an object
    assert vars(DeadMansSwitch)["fired"].__doc__


def test_it_shows_what_it_has_done(clock, switch):
    assert repr(switch) == "<DeadMansSwitch after 10 s>"
    clock.run(11)
    assert repr(switch) == "<DeadMansSwitch after 10 s, has fired>"
    switch.close()
    assert repr(switch) == "<DeadMansSwitch after 10 s, closed, has fired>"


def test_a_sign_of_life_puts_it_off(clock, switch, canceled):
    for _ in range(10):
        clock.run(9)
        switch.touch()
    assert canceled == []
    clock.run(10)
    assert canceled == [200.0]


def test_a_sign_of_life_arms_it_again(clock, switch, canceled):
    clock.run(13)
    switch.touch()
    clock.run(9)
    assert canceled == [110.0]
    clock.run(50)
    assert canceled == [110.0, 123.0]


def test_closed_it_cancels_nothing(clock, canceled):
    with DeadMansSwitch(10, env=clock, jobs=clock, cancel_all=lambda: canceled.append(clock.time)):
        clock.run(5)
    clock.run(100)
    assert canceled == []


@pytest.mark.parametrize("error", [TransportError("no network"), ZeroDivisionError()])
def test_what_fails_is_tried_again(clock, canceled, error):
    failures = [error] * 3

    def cancel():
        if failures:
            raise failures.pop()
        canceled.append(clock.time)

    DeadMansSwitch(10, env=clock, jobs=clock, cancel_all=cancel)
    clock.run(100)
    assert canceled == [116.0]
