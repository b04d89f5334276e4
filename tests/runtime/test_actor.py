from __future__ import annotations

import os
import threading
from functools import partial

import pytest

from exconnect.environment import Environment
from exconnect.runtime import fork
from exconnect.runtime.actor import NEVER, Actor


class Counter:
    """Does what is put in, one after the other, until it is told to end."""

    def __init__(self, after=None):
        self.work, self.done, self.is_ending = [], [], False
        self.ended = threading.Event()
        self.actor = Actor(Environment(), "exconnect.toy.actor", self._step, after, self.ended.set)

    def _step(self, now):
        if self.work:
            return self.work.pop(0)
        return None if self.is_ending else NEVER

    def put(self, work):
        with self.actor.condition:
            self.work.append(work)
            self.actor.wake()

    def end(self):
        with self.actor.condition:
            self.is_ending = True
            self.actor.wake()
        self.actor.thread.join()


def test_work_is_done_in_order_and_outside_the_lock():
    counter = Counter()

    def work(number):
        is_free = counter.actor.condition.acquire(blocking=False)
        if is_free:
            counter.actor.condition.release()
        counter.done.append((number, is_free))

    with counter.actor.condition:
        counter.work = [partial(work, number) for number in range(100)]
        counter.actor.wake()
    counter.end()
    assert counter.done == [(number, True) for number in range(100)]
    assert counter.actor.is_over
    assert counter.ended.is_set()


def test_it_waits_for_the_thread_that_had_the_duty_before():
    inside, go, order = threading.Event(), threading.Event(), []
    first = Counter()
    first.put(lambda: (inside.set(), go.wait(10), order.append("first")))
    assert inside.wait(30)
    second = Counter(after=first.actor.thread)
    second.put(lambda: order.append("second"))
    first.is_ending = True
    go.set()
    second.end()
    assert order == ["first", "second"]


def test_a_time_to_look_again_is_kept():
    seen = threading.Event()
    env = Environment()
    until = env.now() + 0.05

    def step(now):
        if now < until:
            return until
        seen.set()
        return None

    actor = Actor(env, "exconnect.toy.actor", step)
    assert seen.wait(30)
    actor.thread.join()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_what_is_watched_is_told_in_the_child_only():
    class Thing:
        told = 0

        def forked(self):
            self.told += 1

    thing, gone = Thing(), Thing()
    fork.watch(thing)
    fork.watch(gone)
    del gone
    pid = os.fork()
    if pid == 0:
        os._exit(0 if thing.told == 1 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert thing.told == 0
