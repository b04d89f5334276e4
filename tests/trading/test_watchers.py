"""Handlers of order changes: what the end of a client means to them."""

import queue
import threading

import pytest

from exconnect.environment import Environment
from exconnect.trading.watchers import Watchers


@pytest.mark.parametrize("is_taken_back", [False, True])
def test_closing_waits_for_a_handler_that_runs(is_taken_back):
    watchers, entered, gate, done = Watchers(Environment(), "toy"), threading.Event(), threading.Event(), []

    def handle(order):
        entered.set()
        done.append(gate.wait(60))

    watchers.add(handle)
    watchers.tell("an order")
    assert entered.wait(30)
    if is_taken_back:
        watchers.remove(handle)
    closing = threading.Thread(target=watchers.close, args=(20.0,))
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()
    gate.set()
    closing.join(20)
    assert done == [True]
    assert not closing.is_alive()


def test_a_handler_may_close_what_called_it():
    watchers, closed = Watchers(Environment(), "toy"), queue.Queue()

    def handle(order):
        watchers.close(20.0)
        closed.put(threading.current_thread())

    watchers.add(handle)
    watchers.tell("an order")
    closed.get(timeout=20).join(20)
