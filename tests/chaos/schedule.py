"""One schedule: users who trade, an exchange, bad weather, processes that die; then calm, and the judge.

Everything is drawn from one integer. The client is the real one, from `Client` down to the journal's file.
"""

import os
import random
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

from judge import Judge
from network import SYMBOLS, Market, Network, Weather
from points import watched
from timeline import Killed, Process, Timeline, VirtualEnvironment

from exconnect import Client, PlaceOrder
from exconnect.credentials import Credentials
from exconnect.endpoints import Endpoints
from exconnect.errors import ExconnectError, OutcomeUnknown
from exconnect.runtime import process as who
from exconnect.venue import parts

ONE_SYMBOL = 20_000_000  # seeds below it, of which the corpus is, tell stories of one symbol
ENDPOINTS = Endpoints("https://chaos.example", "wss://chaos.example", "wss://chaos.example")
STORY_S = 60.0  # virtual seconds that users get, at most
RESOLVED_WITHIN_S = 120.0  # after the last fault, and the margin of a proof of absence
DISTRUSTED_S = 600.0  # so much longer after reads that lagged: then the client believes no absence for a while
DISTRUSTED_MARGIN_S = 60.0
SLOW_ROUND_S = 5.0  # something had to be waited for
STRAGGLERS_S = 30.0  # after so long nothing of before is on its way any more
OPERATIONS = {
    "place": 10,
    "place and cancel": 3,
    "keyed": 3,
    "again": 2,
    "batch": 2,
    "cancel": 4,
    "cancel blindly": 3,
    "cancel several": 1,
    "amend": 3,
    "cancel all": 1,
    "look": 2,
    "resolve": 1,
    "halt": 1,
    "pause": 3,
}


@dataclass
class Outcome:
    """What one schedule came to."""

    seed: int
    orders: int = 0
    unknown: int = 0
    kills: int = 0
    happened: int = 0
    requests: int = 0
    duplicated: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    regressed: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    @property
    def counts(self):
        """Whether it has exercised anything."""
        return self.orders > 0 and self.happened + self.kills > 0

    @property
    def failures(self):
        """Every breach, in words."""
        kinds = ("duplicated", "lost", "stuck", "regressed", "violations")
        return [f"{kind}: {text}" for kind in kinds for text in getattr(self, kind)]


class Trader:
    """One process with one client."""

    def __init__(self, stage, number):
        self.process = Process(stage.timeline, f"mock {number} {stage.seed}")
        self.env = VirtualEnvironment(self.process, stage.seed)
        self.client = Client(
            stage.exchange,
            environment=ENDPOINTS,
            credentials=stage.credentials,
            account="chaos",
            journal=stage.journal,
            timeout=stage.timeout,
        )
        parts._shared.clear()  # another process finds nothing that this one has made
        network = Network(self.process, stage.market, stage.weather, self._point, stage.judge.sent)
        self.venue = parts.Venue(self.client._plan, self.env, network)
        self.client._venues[os.getpid()] = self.venue
        self._stage = stage
        stage.judge.listen(self)

    def _point(self, label):
        self._stage.point(self.process, label)


class Stage:
    """What one seed is played on. `kinds` and `operations` narrow down what it draws from."""

    def __init__(self, seed, exchange, folder, kinds=None):
        self.seed = seed
        self.exchange = exchange
        self.timeline = Timeline(seed)
        self.random = random.Random(f"{seed} story")
        self.symbols = SYMBOLS[:1] if seed < ONE_SYMBOL else SYMBOLS
        self.market = Market(self.timeline, exchange, seed, self.symbols)
        self.weather = Weather(seed, exchange, kinds)
        self.credentials = Credentials(*self.market.core.keys.hmac())
        self.journal = folder / f"{exchange}-{seed}.journal"
        self.timeout = self.random.choice((1.0, 4.0, 12.0))
        self.outcome = Outcome(seed)
        self.judge = Judge(self)
        self.traders = []
        self.processes = {}
        self.points = 0
        self.doom = 0  # the number of the point at which the next process dies; 0: none does
        self.is_preempted = self.random.choice((0.0, 0.0, 0.1))

    # ------------------------------------------------------------ processes

    def start(self):
        """A new process, on the same journal."""
        trader = Trader(self, len(self.traders))
        self.traders.append(trader)
        self.processes[trader.process.identity] = trader.process
        trader.process.skew_ms = self.random.choice((0, 0, 900, -2_500))
        return trader

    def point(self, process, label):
        """Here a process may be killed, or another thread may come between."""
        if process.is_dead:
            raise Killed
        if label is None:
            return
        if label == "before the first byte":
            self.judge.leaves(process)
        if label == "before the answer is read":
            self.judge.answered(process)
        if label == "after attempt":
            self.judge.attempted(process)
        self.points += 1
        if self.points == self.doom:
            self.kill(process)
            raise Killed
        if self.is_preempted and self.random.random() < self.is_preempted:
            self.timeline.sleep(self.random.uniform(0.0, 0.3))

    def kill(self, process):
        """As kill -9 does."""
        if not process.is_dead:
            self.timeline.tell("killed:", process.identity)
            process.kill()
            self.outcome.kills += 1

    @contextmanager
    def set_up(self):
        """While this holds, process ids and the journal are this stage's."""
        identity, is_alive = who.identity, who.is_alive
        who.identity = lambda: self.timeline.current.process.identity
        who.is_alive = self._is_alive
        try:
            with watched(lambda journal, label: self.point(journal._env.process, label)):
                yield self
        finally:
            who.identity, who.is_alive = identity, is_alive
            for trader in self.traders:
                trader.process.kill()
            self.timeline.sleep(0.001)  # let what is left of their threads end
            parts._shared.clear()

    def _is_alive(self, identity):
        process = self.processes[identity]
        return not (process.is_dead or process.is_taken_for_dead)

    # ------------------------------------------------------------ calm

    def calm(self):
        """Nothing goes wrong any more; the client of a process that lives has the time it is promised."""
        self.timeline.tell("calm")
        self.weather.is_calm = True
        self.market.faults.clear()
        self.market.is_flapping = False
        self.doom = 0
        for trader in self.traders:
            trader.process.go_on()
            trader.process.is_taken_for_dead &= trader is not self.traders[-1]
        trader = self.traders[-1] if self.traders and not self.traders[-1].process.is_dead else self.start()
        settling = trader.env.spawn("settle", lambda: self._settle(trader))
        settling.join(RESOLVED_WITHIN_S + DISTRUSTED_S + 600.0)
        if settling.is_alive():
            self.outcome.violations.append("a client that has calm weather does not return")

    def _settle(self, trader):
        client, timeline = trader.client, self.timeline
        until = timeline.now + RESOLVED_WITHIN_S
        client.resume()
        self.asked(lambda: client.recover(timeout=5))
        while self._is_waited_for(client) and timeline.now < until + self._distrust(trader):
            timeline.sleep(2.0)
        timeline.sleep(STRAGGLERS_S)
        ended = self.judge.ended()
        self.asked(lambda: client.recover(timeout=30))
        self.judge.recovered(ended, client.orders.open())
        for each in self.traders:  # what was only acknowledged is known to whoever placed it, and to nobody else
            if not each.process.is_dead:
                self._ask_for_open(each.client)
        self.judge.conclude(trader)
        for other in self.traders:
            if not other.process.is_dead:
                other.client.close()

    def _ask_for_open(self, client):
        begun = float("-inf")
        while self.timeline.now - begun > SLOW_ROUND_S:  # what came late may have met one that was asked for before it
            begun = self.timeline.now
            for order in client.orders.open():
                if order.status not in ("unknown", "pending_new"):
                    self.asked(lambda order=order: client.fetch_order(order, timeout=30))

    @staticmethod
    def _is_waited_for(client):
        """Whether an order is being sent, or is without an answer."""
        return any(order.status in ("unknown", "pending_new") for order in client.orders.open())

    @staticmethod
    def _distrust(trader):
        """Seconds by which reads that have lagged lengthen the promise: while they alarm, no absence is believed."""
        lag = trader.venue.desk.doubts.lag
        return lag.margin_s + (DISTRUSTED_S if lag.margin_s > DISTRUSTED_MARGIN_S else 0.0)

    def asked(self, question):
        """The answer, as soon as it is given: a breaker may still be open, an exchange that banned us shut."""
        for _ in range(20):
            try:
                return question()
            except ExconnectError as error:
                last = error
                self.timeline.sleep(15.0)
        raise last


def play(seed, exchange, folder, kinds=None, told=None):
    """The outcome of a seed; `told` is called with every step of it."""
    stage = Stage(seed, exchange, folder, kinds)
    stage.timeline.told = told
    try:
        with stage.set_up():
            Story(stage).run()
            stage.calm()
        stage.judge.close()
        stage.outcome.happened = stage.weather.happened
    finally:
        for file in folder.glob(f"{stage.journal.name}*"):
            file.unlink()
    return stage.outcome


class Story:
    """What the users of a seed do, and what befalls them."""

    def __init__(self, stage):
        self.stage = stage
        self.random = stage.random
        self.timeline = stage.timeline
        self.known = []  # client order ids that somebody may refer to
        self.places = {}  # and of what they are orders
        self.symbols = random.Random(f"{stage.seed} symbols")
        self.errors = []
        self.has_heir = False
        self.wishes = []  # arguments of places that may be asked for again
        operations = list(OPERATIONS)
        chosen = [name for name in operations if self.random.random() < 0.6] or operations
        weights = [OPERATIONS[name] for name in chosen]
        self.todo = deque(self.random.choices(chosen, weights, k=self.random.randint(4, 24)))
        self.todo.append("place")

    def run(self):
        """From the first process to the last."""
        self._befall()
        for _ in range(4):
            trader = self.stage.start()
            users = [
                trader.process.spawn(f"user-{number}", lambda trader=trader: self._use(trader))
                for number in range(self.random.randint(1, 3))
            ]
            until = self.timeline.now + STORY_S
            for user in users:
                while user.is_alive() and self.timeline.now < until and not self._is_inherited(trader):
                    user.join(min(1.0 if self.has_heir else STORY_S, until - self.timeline.now))
            if not self.todo and not trader.process.is_stopped:
                return
            self.timeline.sleep(self.random.uniform(0.0, 3.0))
            self._succeed()

    def _is_inherited(self, trader):
        """Whether somebody takes this process for dead, which only sleeps."""
        return self.has_heir and trader.process.is_stopped

    def _befall(self):
        """What happens by itself: other people, reads that lag, processes that die or stop."""
        draw, after, market = self.random, self.timeline.after, self.stage.market
        for _ in range(draw.choice((0, 2, 6))):
            side, size = draw.choice(("buy", "sell")), draw.choice(("0.004", "0.05", "1.2"))
            after(draw.uniform(0.0, 40.0), lambda side=side, size=size: self._trade(side, size))
        for _ in range(draw.choice((0, 0, 1, 3))):
            what = draw.choice(("fetch_order", "fetch_open_orders", "fetch_fills", "*"))
            seconds = draw.choice((0.5, 3.0, 20.0, 40.0))
            after(draw.uniform(0.0, 30.0), lambda what=what, seconds=seconds: self._lag(what, seconds))
        market.is_flapping = draw.random() < 0.3
        if market.exchange == "bybit":
            market.core.intake.later.latency_ms = draw.choice((4, 4, 250, 9_000))
        if draw.random() < 0.35:
            self.stage.doom = draw.randint(1, 60)
        if draw.random() < 0.15:
            stopped, self.has_heir = draw.uniform(0.5, 30.0), draw.random() < 0.5
            after(draw.uniform(0.0, 10.0), lambda: self._stop(stopped))
        if draw.random() < 0.1:
            step = draw.choice((-40_000, 5_000, 3_600_000))
            after(draw.uniform(0.0, 20.0), lambda: self._step(step))

    def _trade(self, side, size):
        if not self.stage.weather.is_calm:
            self.stage.market.execute(side, size)

    def _lag(self, what, seconds):
        if not self.stage.weather.is_calm:
            self.stage.weather.happened += 1
            self.stage.market.lag(what, seconds)

    def _stop(self, seconds):
        process = self.stage.traders[-1].process
        if not process.is_dead and not self.stage.weather.is_calm:
            self.stage.weather.happened += 1
            self.timeline.tell("stopped:", process.identity, seconds)
            process.stop()
            self.timeline.after(seconds, process.go_on)

    def _step(self, milliseconds):
        if not self.stage.weather.is_calm:
            self.stage.traders[-1].process.skew_ms += milliseconds

    def _succeed(self):
        """The newest process is gone, or taken for dead; perhaps the next one dies too."""
        process = self.stage.traders[-1].process
        process.is_taken_for_dead = True
        if not process.is_dead and not process.is_stopped and self.random.random() < 0.5:
            self.stage.kill(process)
        if self.random.random() < 0.5:
            self.stage.doom = self.stage.points + self.random.randint(1, 40)

    # ------------------------------------------------------------ what users do

    def _use(self, trader):
        while self.todo and self.timeline.now < STORY_S * 3:
            name = self.todo.popleft()
            try:
                getattr(self, f"_{name.replace(' ', '_')}")(trader.client)
            except ExconnectError as error:
                self.stage.judge.raised(trader, name, error)
                if isinstance(error, OutcomeUnknown):
                    self.errors.append(error)
            self.timeline.sleep(self.random.choice((0.0, 0.01, self.random.uniform(0.0, 2.0))))

    def _symbol(self):
        return self.symbols.choice(self.stage.symbols)

    def _wish(self):
        draw = self.random
        side = draw.choice(("buy", "sell"))
        wish = {"symbol": self._symbol(), "side": side, "quantity": draw.choice(("0.01", "0.02", "1.5"))}
        kind = draw.choice(("rests", "rests", "best", "best", "crosses", "market", "post only"))
        if kind == "market":
            return {**wish, "type": "market"}
        away = {"rests": 600, "best": 1, "crosses": -10, "post only": 300}[kind]
        price = Decimal(60_000) + (away if side == "sell" else -away)
        return {**wish, "price": str(price), **({"post_only": True} if kind == "post only" else {})}

    def _named(self):
        name = f"mine-{self.stage.seed}-{len(self.known)}"
        self.known.append(name)
        return name

    def _placed(self, client, wish):
        self.places[wish.get("client_order_id")] = wish["symbol"]
        order = self.stage.judge.timed(client.place_order, wish.get("client_order_id"), **wish)
        self.places[order.client_order_id] = wish["symbol"]
        if order.client_order_id not in self.known:
            self.known.append(order.client_order_id)
        return order

    def _place(self, client):
        wish = self._wish()
        if self.random.random() < 0.5:
            wish["client_order_id"] = self._named()
        self._placed(client, wish)

    def _place_and_cancel(self, client):
        wish = self._wish() | {"client_order_id": self._named()}
        try:
            self._placed(client, wish)
        except OutcomeUnknown:
            self._ended(client, wish["client_order_id"], wish["symbol"])
            raise
        self._ended(client, wish["client_order_id"], wish["symbol"])

    def _keyed(self, client):
        wish = self._wish() | {"idempotency_key": f"row {len(self.wishes)}"}
        self.wishes.append(wish)
        self._placed(client, wish)

    def _again(self, client):
        if self.wishes:
            self._placed(client, self.random.choice(self.wishes))

    def _batch(self, client):
        wishes = [self._wish() | {"client_order_id": self._named()} for _ in range(self.random.randint(2, 4))]
        self.places |= {wish["client_order_id"]: wish["symbol"] for wish in wishes}
        orders = [PlaceOrder(**wish) for wish in wishes]
        results = self.stage.judge.timed(client.place_orders, None, orders)
        if len(results) != len(orders):
            self.stage.outcome.violations.append("a batch gave more or fewer results than it had orders")
        for result in results:
            if isinstance(result, ExconnectError):
                self.stage.judge.raised(None, "batch", result)

    def _ended(self, client, client_order_id, symbol):
        order = self.stage.judge.timed(client.cancel_order, None, client_order_id, symbol=symbol)
        self.stage.judge.told(order)

    def _cancel(self, client):
        orders = client.orders.open()
        if orders:
            order = self.random.choice(orders)
            self._ended(client, order.client_order_id, order.symbol)

    def _cancel_blindly(self, client):
        """Whatever has become of it: the cancel may overtake the place."""
        if self.known:
            name = self.random.choice(self.known[-3:])
            self._ended(client, name, self.places[name])

    def _cancel_several(self, client):
        orders = client.orders.open()[:3]
        results = self.stage.judge.timed(client.cancel_orders, None, orders)
        for result in results:
            if isinstance(result, ExconnectError):
                self.stage.judge.raised(None, "cancel several", result)
            else:
                self.stage.judge.told(result)

    def _amend(self, client):
        orders = [order for order in client.orders.open() if order.price is not None and order.quantity]
        if not orders:
            return
        order = self.random.choice(orders)
        change = self.random.choice(({"price": order.price - 7}, {"quantity": order.quantity - Decimal("0.005")}))
        amended = self.stage.judge.timed(client.amend_order, None, order, **change)
        self.stage.judge.told(amended)

    def _cancel_all(self, client):
        symbol = self._symbol() if len(self.known) % 2 else None
        before = self.stage.judge.open(symbol)
        for order in self.stage.judge.timed(client.cancel_all_orders, None, symbol, timeout=15.0):
            self.stage.judge.told(order)
        self.stage.judge.swept(before)

    def _look(self, client):
        look = self.random.choice((client.fetch_open_orders, client.fetch_fills, client.fetch_orders))
        self.stage.judge.timed(look, None, self._symbol())

    def _resolve(self, client):
        if self.errors:
            self.stage.judge.timed(client.orders.resolve, None, self.errors.pop(), timeout=5.0)
        else:
            self.stage.judge.timed(client.recover, None, timeout=3.0)

    def _halt(self, client):
        client.halt("chaos")
        self.timeline.sleep(self.random.uniform(0.0, 3.0))
        client.resume()

    def _pause(self, _):
        self.timeline.sleep(self.random.uniform(0.0, 5.0))
