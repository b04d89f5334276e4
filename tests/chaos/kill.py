"""Processes killed with -9 at labelled points and at any moment, or stopped, taken over, continued: `make chaos-kill`.

The mock exchange lives in this process, over real sockets; who trades does so in processes of its own, on one journal,
with a hundred orders open all the while. Margins are scaled, so that a minute of doubt is a second. At the end a last
client looks, and the ledger judges what the journal says.
"""

import argparse
import fcntl
import multiprocessing
import os
import queue
import random
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from decimal import Decimal

from mortal import BASE, SYMBOL, live
from points import LABELS

from exconnect import Client, OrderStatus
from exconnect.environment import Environment
from exconnect.mock import MockExchange
from exconnect.trading.journal import Journal
from exconnect.trading.orders import RANKS

CAUTION = 1 / 60
OPEN_ALL_THE_WHILE = 100
FAULTS = ("reset", "delay", "status", "garbage", "hang")
WRITES = {"binance": ("place_order", "cancel_order", "amend_order")}
WRITES["bybit"] = (*WRITES["binance"], "place_orders", "cancel_orders")
DENIED = frozenset({OrderStatus.REJECTED, OrderStatus.NEVER_SENT, OrderStatus.NOT_ACCEPTED})
SEEN = RANKS[OrderStatus.ACCEPTED]
HANGS_S = 60.0
FREE_S = 2.0  # who does not get the journal for so long waits for somebody who is stopped


class Child:
    """One of those who trade. Forked from a process that has imported everything, which takes the longest."""

    _context = multiprocessing.get_context("forkserver")

    def __init__(self, mock, seed, shown, *, label=None, count=0, seconds=0.6, dead=()):
        wanted = {"exchange": mock.exchange, "seed": seed, "label": label, "count": count, "seconds": seconds}
        wanted |= {"dead": list(dead), "caution": CAUTION, "variables": mock.env()}
        self._told, mouth = self._context.Pipe(duplex=False)
        fcntl.fcntl(mouth.fileno(), fcntl.F_SETPIPE_SZ, 1 << 20)  # who speaks must not wait for who listens
        self._process = self._context.Process(target=live, args=(wanted, mouth))
        self._process.start()
        mouth.close()
        self.pid = self._process.pid
        self._said = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, args=(shown, shown.so_far()))
        self._listener.start()

    def _listen(self, shown, before):
        while True:
            try:
                what, *words = self._told.recv()
            except EOFError:
                self._said.put((None, ()))
                return
            if what == "shows":
                shown.add(before, *words)
            else:
                self._said.put((what, words))

    def hear(self):
        """What it says next, and more of it; None when it is gone."""
        return self._said.get(timeout=HANGS_S)

    def fall_silent(self):
        """It is stopped: wait until all that it has said was heard."""
        while self._told.poll():
            time.sleep(0.001)

    def signal(self, number):
        with suppress(ProcessLookupError):  # it may have ended
            os.kill(self.pid, number)

    def wait(self):
        """Until it is gone; whether it was killed."""
        self._process.join(HANGS_S)
        self._listener.join()
        self._told.close()
        code = self._process.exitcode
        if code is None:
            self._process.kill()
            sys.exit(f"process {self.pid} does not end")
        self._process.close()
        return code == -signal.SIGKILL


class Shown:
    """What users have seen of each order, at its furthest: a process that starts later must not fall behind that."""

    def __init__(self):
        self._lock = threading.Lock()
        self._furthest = {}
        self.regressed = []
        self.again = 0

    def so_far(self):
        """By client order id: status and filled quantity."""
        with self._lock:
            return dict(self._furthest)

    def add(self, before, name, status, filled):
        """A process shows this, and `before` had been shown when it was started."""
        with self._lock:
            if name in before:
                self.compare(name, *before[name], status, filled)
            known = self._furthest.get(name, (OrderStatus.PENDING_NEW, Decimal(0)))
            self._furthest[name] = max(known[0], status, key=RANKS.get), max(known[1], filled)

    def compare_all(self, orders):
        """All that went back, these last."""
        kept = {order.client_order_id: order for order in orders}
        for name, (status, filled) in self.so_far().items():
            if name in kept:
                self.compare(name, status, filled, kept[name].status, kept[name].filled_quantity)
            elif RANKS[status] >= SEEN:
                self.regressed.append(f"{name} was {status}, and is in no journal")
        return self.regressed

    def compare(self, name, status, filled, status_now, filled_now):
        """Whether what is shown now goes back. Not to know any more, and to ask again, does not, but is counted."""
        if RANKS[status] < SEEN:
            return  # whether it was denied with reason is for the ledger to judge
        if status_now in (OrderStatus.UNKNOWN, OrderStatus.PENDING_NEW):
            self.again += 1
        elif filled_now < filled or RANKS[status_now] < RANKS[status]:
            self.regressed.append(f"{name} was {status}, {filled} filled, and later {status_now}, {filled_now} filled")


class Trial:
    """All rounds on one exchange."""

    def __init__(self, mock, seed):
        self.mock = mock
        self.random = random.Random(seed)
        self.kills = self.stops = self.held = 0
        self.refusals = Counter()
        self.recoveries = []
        self.shown = Shown()
        self.labels = Counter()
        self.unknown = 0
        self.problems = []

    def kill(self):
        """A process lives until its label comes up, or somebody kills it."""
        draw, label, count = self.random, None, 0
        if draw.random() < 0.7:
            label, count = draw.choice(LABELS), draw.randint(1, 6)
        self._trouble()
        child = Child(self.mock, draw.random(), self.shown, label=label, count=count)
        if self._heard(child) and label is None:
            time.sleep(draw.uniform(0.0, 0.5))
            child.signal(signal.SIGKILL)
        if child.wait():
            self.kills += 1
            self.labels[label or "at any moment"] += 1
        self.mock.faults.clear()

    def stop(self):
        """A process is stopped, another one takes it for dead and goes on in its place, then it wakes."""
        self._trouble()
        sleeper = Child(self.mock, self.random.random(), self.shown, seconds=0.8)
        if self._heard(sleeper):
            time.sleep(self.random.uniform(0.0, 0.5))
            sleeper.signal(signal.SIGSTOP)
            sleeper.fall_silent()
            heir = Child(self.mock, self.random.random(), self.shown, seconds=0.5, dead=[sleeper.pid])
            self._heard(heir, sleeper)
            sleeper.signal(signal.SIGCONT)
            heir.wait()
            self.stops += 1
        sleeper.wait()
        self.mock.faults.clear()

    def _heard(self, child, sleeper=None):
        """Whether it has recovered and trades now. `sleeper` goes on if he holds the journal in his sleep."""
        begun = time.monotonic()
        what, words = child.hear()
        while what == "refused":
            self.refusals[words[0]] += 1
            if sleeper is not None and time.monotonic() - begun > FREE_S:
                sleeper.signal(signal.SIGCONT)
                self.held += 1
                sleeper = None
            what, words = child.hear()
        if what is None:
            return False
        unknown, unresolved, seconds = words
        self.recoveries.append(seconds)
        self.unknown += unknown
        if unresolved:
            self.problems.append(f"not known after recovery: {unresolved}")
        return child.hear()[0] is not None

    def _trouble(self):
        draw, faults = self.random, self.mock.faults
        for _ in range(draw.randint(0, 3)):
            name, at = draw.choice(FAULTS), draw.choice(("before_accept", "after_accept"))
            on = draw.choice(WRITES[self.mock.exchange])
            faults.add(name, on=on, at=at, after=draw.randint(0, 3), seconds=draw.uniform(0.05, 0.5), status=503)


def find_lies(mock, client):
    """What the journal says, against the ledger: duplicated, lost, stuck, and how many orders there were."""
    duplicated, lost, stuck = [], [], []
    # What it presumes the limits are the others have long used up; the instruments say what they really are.
    client.fetch_instrument(SYMBOL, timeout=90.0)
    client.recover(timeout=60.0)
    for order in client.orders.open():
        client.fetch_order(order)
    known = {order.client_order_id: order for order in Journal(client.journal, Environment()).orders()}
    real = {}
    for order in mock.ledger.orders():
        real.setdefault(order.client_order_id, []).append(order)
    for name in known.keys() | real.keys():
        order, there = known.get(name), real.get(name, [])
        taken = [each for each in there if each.status != "rejected"]
        if len(taken) > 1:
            duplicated.append(f"{name} was accepted {len(taken)} times")
        if order is None:
            lost.append(f"{name} is on the exchange and in no journal")
        elif order.status in (OrderStatus.UNKNOWN, OrderStatus.PENDING_NEW):
            stuck.append(f"{name} is {order.status}")
        elif order.status in DENIED:
            lost += [f"{name} is {order.status}, the exchange says {each.status}" for each in taken]
        elif not taken or (order.status, order.filled_quantity) != (taken[0].status, taken[0].filled_quantity):
            lost.append(f"{name} is {order.status} {order.filled_quantity}, the exchange says {taken[:1]}")
    return duplicated, lost, stuck, len(known.keys() | real.keys())


def run(exchange, kills, stops, seed):
    """Everything on one exchange; whether it was as it must be."""
    begun, limits = time.monotonic(), {"orders": (100_000, 10)}
    limits |= {"request_weight": (1_000_000, 60)} if exchange == "binance" else {"ip": (1_000_000, 5)}
    with MockExchange(exchange, seed=seed, activity=0, limits=limits, balances={"USDT": 10**9, "BTC": 10**5}) as mock:
        trial = Trial(mock, seed)
        with Client(exchange, environment=mock) as client:
            for number in range(OPEN_ALL_THE_WHILE):
                price = Decimal(57_000) + number
                client.place_order(SYMBOL, "buy", "0.01", price=price, client_order_id=f"{BASE}{number}")
        while trial.kills < kills:
            trial.kill()
        while trial.stops < stops:
            trial.stop()
        with Client(exchange, environment=mock) as client:
            regressed = trial.shown.compare_all(Journal(client.journal, Environment()).orders())
            duplicated, lost, stuck, orders = find_lies(mock, client)
            problems = Journal(client.journal, Environment()).verify() + trial.problems
        for text in (*duplicated, *lost, *stuck, *regressed, *problems):
            print(f"{exchange}: {text}")
        times = sorted(trial.recoveries)
        p50, p99 = (times[int((len(times) - 1) * share)] for share in (0.5, 0.99))
        reached = ", ".join(f"{label} {count}" for label, count in trial.labels.most_common())
        print(f"{exchange}: killed {reached}")
        print(
            f"{exchange}: stops={trial.stops} recoveries={len(times)} open={OPEN_ALL_THE_WHILE}+ "
            f"recovery_p50={p50:.2f} recovery_p99={p99:.2f} recovery_max={times[-1]:.2f} "
            f"refused={trial.refusals.total()} held_by_a_sleeper={trial.held} asked_again={trial.shown.again}"
        )
        for why, count in trial.refusals.most_common():
            print(f"{exchange}: the journal was not to be had {count} times: {why}")
        print(
            f"schedules={kills + stops} duplicated={len(duplicated)} lost={len(lost)} stuck={len(stuck)} "
            f"regressed={len(regressed)} violations={len(problems)} orders={orders} unknown={trial.unknown} "
            f"kills={trial.kills} seconds={time.monotonic() - begun:.1f}",
            flush=True,
        )
        return not (duplicated or lost or stuck or regressed or problems) and p99 <= 10.0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int)
    parser.add_argument("stops", type=int)
    parser.add_argument("seed", type=int)
    parser.add_argument("exchanges", nargs="*", default=("binance", "bybit"))
    given = parser.parse_args()
    Environment.caution = CAUTION
    multiprocessing.get_context("forkserver").set_forkserver_preload(["__main__", "websocket", "requests", "urllib3"])
    results = [run(exchange, given.kills, given.stops, given.seed) for exchange in given.exchanges]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
