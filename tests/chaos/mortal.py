"""A process that trades until somebody kills it: at a labelled point, or from outside at any moment."""

import http.client
import os
import random
import signal
import threading
import time
from contextlib import suppress
from functools import partial

from points import watched

from exconnect import Client, ExconnectError, JournalUnavailable, PlaceOrder
from exconnect.environment import Environment
from exconnect.runtime import process
from exconnect.transport.http import Http

SYMBOL = "BTC/USDT"
BASE = "base-"  # orders that stay open all the while


class Doom:
    """Kills this process when a label comes up for the n-th time."""

    def __init__(self, label, count):
        self._label = label
        self._left = count
        self._lock = threading.Lock()

    def reached(self, label):
        if label != self._label:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def wrap(owner, name, before, after, doom):
    original = getattr(owner, name)

    def run(*args, **kwargs):
        doom.reached(before)
        result = original(*args, **kwargs)
        doom.reached(after)
        return result

    setattr(owner, name, run)


def trade(client, draw, until):
    """Places, cancels and amends, whatever comes of it."""
    while time.monotonic() < until:
        try:
            act(client, draw)
        except ExconnectError:
            continue


def act(client, draw):
    what = draw.choice(("place", "place", "market", "keyed", "batch", "cancel", "cancel", "amend"))
    price = str(draw.choice((59_000, 59_400, 59_999)))
    mine = [order for order in client.orders.open(SYMBOL) if not order.client_order_id.startswith(BASE)]
    if what == "place":
        client.place_order(SYMBOL, "buy", "0.01", price=price, timeout=2.0)
    elif what == "market":
        client.place_order(SYMBOL, draw.choice(("buy", "sell")), "0.01", type="market", timeout=2.0)
    elif what == "keyed":
        client.place_order(SYMBOL, "buy", "0.01", price="59000", idempotency_key=f"row {draw.randrange(40)}", timeout=2)
    elif what == "batch":
        client.place_orders([PlaceOrder(SYMBOL, "buy", "0.01", price=price) for _ in range(2)], timeout=2.0)
    elif mine and what == "cancel":
        client.cancel_order(draw.choice(mine), timeout=2.0)
    elif mine:
        client.amend_order(draw.choice(mine), price=str(draw.choice((58_000, 58_500))), timeout=2.0)


def recover(client, told):
    """Says what was found and how long that took, and before that of each time that the journal was not to be had.

    Somebody who was stopped in the middle of a commit holds it until he goes on.
    """
    begun = time.monotonic()
    client.fetch_instrument(SYMBOL)  # tells what this exchange allows; without that it counts as a real one
    recovery = client._private().commands.recovery
    recovery.take_over = partial(try_to, recovery.take_over, told)
    try:
        found = client.recover(timeout=30.0)
        unresolved = [order.client_order_id for order in client.orders.unresolved()]
    except JournalUnavailable as error:
        found, unresolved = [], [f"anything, for {error}"]
    finally:
        del recovery.take_over
    told("recovered", len(found), unresolved, time.monotonic() - begun)


def try_to(take_over, told):
    try:
        take_over()
    except JournalUnavailable as error:
        told("refused", f"{error.__cause__}")
        raise


def teller(told):
    """Says things to who has started this process: nothing that was said is lost when it is killed."""
    lock = threading.Lock()

    def tell(*words):
        with lock:
            told.send(words)

    return tell


def live(wanted, told):
    """A whole life: it says what it shows its users, what it has recovered, then that it trades."""
    os.environ.update(wanted["variables"])
    Environment.caution = wanted["caution"]
    dead, is_alive = wanted["dead"], process.is_alive
    process.is_alive = lambda who: int(who.split(" ")[1]) not in dead and is_alive(who)
    doom, draw = Doom(wanted["label"], wanted["count"]), random.Random(wanted["seed"])
    wrap(Http, "send", "before the first byte", "before the answer is read", doom)
    wrap(http.client.HTTPConnection, "getresponse", "after the last byte", None, doom)
    tell = teller(told)
    with watched(lambda _, label: doom.reached(label)), Client(wanted["exchange"]) as client:
        client._private().account.orders.listen(
            lambda order: tell("shows", order.client_order_id, order.status, order.filled_quantity)
        )
        recover(client, tell)
        until = time.monotonic() + wanted["seconds"]
        draws = [random.Random(f"{draw.random()}") for _ in range(2)]
        threads = [threading.Thread(target=trade, args=(client, each, until), daemon=True) for each in draws]
        for thread in threads:
            thread.start()
        tell("trading")
        for thread in threads:
            thread.join()
        for order in client.orders.open(SYMBOL):
            if not order.client_order_id.startswith(BASE):
                with suppress(ExconnectError):
                    client.cancel_order(order, timeout=2.0)
