"""The road between a client and the mock exchange, without sockets: who sends waits in virtual time.

The exchange is the mock's own, with its dialect, its limits and its ledger. What happens to a request on its way is
drawn from the kinds of weather that the seed has chosen; what the mock itself can do wrong (statuses, garbage, reads
that lag) is asked of it for just that request.
"""

import random
from dataclasses import dataclass

from timeline import BEGIN_MS, Killed

from exconnect.mock import http as wire
from exconnect.mock.exchange import EXCHANGES
from exconnect.mock.faults import Faults
from exconnect.mock.fixed import scaled
from exconnect.mock.steps import Send, Wait
from exconnect.mock.world import Setup
from exconnect.protocol.call import Response
from exconnect.transport.failures import Lost, NotSent

SYMBOLS = ("BTC/USDT", "ETH/USDT")
PRICE = "60000"  # of each, so that a wish for one could be for the other
BALANCES = {"USDT": "1000000", "BTC": "100", "ETH": "100"}
LONGEST_LAG_S = 40.0

KINDS = ("refused", "lost", "late", "unanswered", "slow", "status", "garbage", "redirect", "limit", "clock", "stalled")
OFTEN = ("lost", "late", "unanswered", "slow", "status", "garbage", "stalled")
# What leaves open whether it was executed.
STATUSES = {
    "binance": ((500, -1000), (503, None), (502, -1001), (500, -1006), (504, -1007), (503, -1008), (400, -1016)),
    "bybit": ((200, 10000), (200, 10016), (200, 170007), (200, 170146), (200, 170149), (502, 10016), (504, None)),
}
CLOCK_REFUSAL = {"binance": (400, -1021), "bybit": (200, 10002)}
LIMIT_REFUSAL = {"binance": (429, -1003), "bybit": (200, 10006)}
WRITES = frozenset({"POST", "PUT", "DELETE"})


@dataclass
class Fate:
    """What becomes of one request. Seconds; None: never."""

    up: float | None  # until it arrives
    down: float | None  # until the answer has come back
    reset: float | None = None  # until the client sees its connection break, if nothing has come by then
    is_refused: bool = False
    stalled: float = 0.0  # that the exchange takes after it has looked at the timestamp
    fault: dict | None = None  # what the mock itself shall do wrong


class Weather:
    """The kinds of trouble of one seed; none once it is `calm`."""

    def __init__(self, seed, exchange, kinds=None):
        self._random = random.Random(f"{seed} weather")
        self._exchange = exchange
        if kinds is None:
            kinds = [kind for kind in KINDS if self._random.random() < 0.35]
        self.kinds = kinds or [self._random.choice(OFTEN)]
        self.on_writes = self._random.choice((0.1, 0.3, 0.5, 0.8))
        self.on_reads = self._random.choice((0.0, 0.05, 0.2, 0.5))
        self.latency = self._random.choice((0.005, 0.03, 0.2))
        self.is_calm = False
        self.happened = 0

    def fate(self, method, path):
        """What becomes of this request."""
        fair = Fate(self._way(), self._way())
        chance = self.on_writes if method in WRITES and "test" not in path else self.on_reads
        if self.is_calm or self._random.random() >= chance:
            return fair
        self.happened += 1
        return getattr(self, f"_{self._random.choice(self.kinds)}")(fair)

    def _way(self):
        return self._random.uniform(0.2, 1.0) * self.latency

    def _refused(self, fair):
        fair.is_refused = True
        return fair

    def _lost(self, fair):
        fair.up, fair.reset = None, self._break()
        return fair

    def _late(self, fair):
        # Whoever sent it may long have given up when it arrives, in time or not.
        fair.up, fair.reset = self._random.uniform(0.3, 15.0), self._break()
        return fair

    def _unanswered(self, fair):
        fair.down, fair.reset = None, self._break()
        return fair

    def _slow(self, fair):
        fair.down = self._random.uniform(0.3, 20.0)
        return fair

    def _stalled(self, fair):
        fair.stalled = self._random.uniform(0.1, 9.0)
        return fair

    def _status(self, fair):
        status, code = self._random.choice(STATUSES[self._exchange])
        fair.fault = {"name": "status", "status": status, "code": code, "at": self._point()}
        return fair

    def _garbage(self, fair):
        fair.fault = {"name": "garbage", "at": self._point()}
        return fair

    def _redirect(self, fair):
        fair.fault = {"name": "redirect", "at": self._point()}
        return fair

    def _limit(self, fair):
        status, code = LIMIT_REFUSAL[self._exchange]
        seconds = self._random.choice((1, 2, 4))
        fair.fault = {"name": "status", "status": status, "code": code, "retry_after": seconds, "at": "before_accept"}
        return fair

    def _clock(self, fair):
        status, code = CLOCK_REFUSAL[self._exchange]
        fair.fault = {"name": "status", "status": status, "code": code, "at": "before_accept"}
        return fair

    def _break(self):
        return self._random.choice((0.0, 0.05, self._random.uniform(0.0, 8.0), None))

    def _point(self):
        return self._random.choice(("before_accept", "after_accept"))


class Market:
    """The exchange, and the other people on it. `skew_ms`: by how much its clock is ahead."""

    def __init__(self, timeline, exchange, seed, symbols):
        self._timeline = timeline
        self._random = random.Random(f"{seed} market")
        self.exchange = exchange
        self.symbols = symbols
        self.skew_ms = self._random.choice((0, 0, -1_700, 3_400))
        self.faults = Faults(lambda fault: self.core.on_fault(fault, self.now_ms()))
        setup = Setup(dict.fromkeys(symbols, PRICE), BALANCES, seed, 0.0, self.now_ms())
        self.core = EXCHANGES[exchange](setup, self.faults, None)
        self.is_flapping = False
        self._look = self.core.world.view
        self.core.world.view = self._view

    def now_ms(self):
        return BEGIN_MS + int(self._timeline.now * 1000) + self.skew_ms

    def execute(self, side, quantity):
        """Somebody else takes what rests in the book."""
        self.advance()
        engine = self.core.world.engine
        for symbol in self.symbols:
            engine.execute(symbol, side, scaled(quantity), 0, self.now_ms())
        self.core.world.settle()

    def lag(self, operation, seconds):
        """From now on, for a while, reads of that kind show what is true now."""
        self.advance()
        self.faults.add("lag", on=operation, seconds=min(seconds, LONGEST_LAG_S), times=None)

    def _view(self, operation, now_ms):
        if self.is_flapping and self._random.random() < 0.5:
            kept, self.faults._active = self.faults._active, []
            try:
                return self._look(operation, now_ms)
            finally:
                self.faults._active = kept
        return self._look(operation, now_ms)

    def advance(self):
        self.core.advance(self.now_ms())


class _Slot:
    """Where an answer is put for who waits."""

    __slots__ = ("answer", "is_over", "task")

    def __init__(self, task):
        self.task = task
        self.answer = None
        self.is_over = False


class Network:
    """A `Sender` for the gateway of one process. `point` is called where a process may be killed."""

    host = "chaos.example"

    def __init__(self, process, market, weather, point, sent):
        self._process = process
        self._timeline = process.timeline
        self._market = market
        self._weather = weather
        self._point = point
        self._sent = sent
        self._is_closed = False

    def send(self, request, *, timeout, lane, max_body=0):
        """One request, one answer, in virtual time.

        Raises:
            NotSent: no connection.
            Lost: no answer that can be used.
        """
        if self._process.is_dead:
            raise Killed
        if self._is_closed:
            raise NotSent("closed")
        timeline, fate = self._timeline, self._weather.fate(request.method, request.path)
        self._point("before the first byte")
        if fate.is_refused:
            timeline.sleep(0.001)
            raise NotSent("connection refused")
        self._sent(request)
        timeline.tell("→", request.method, request.path, dict(request.params), fate)
        slot = _Slot(timeline.current)
        headers = {name.lower(): value for name, value in request.headers}
        travels = wire.Request(request.method, request.path, request.query, headers, request.body.decode())
        if fate.up is not None:
            timeline.after(fate.up, lambda: self._arrive(travels, fate, slot))
        self._point("after the last byte")
        deadline = timeline.now + timeout
        until = deadline if fate.reset is None else min(deadline, timeline.now + fate.reset)
        while not slot.is_over and timeline.now < until:
            timeline.park(until)
        answer, slot.task = slot.answer, None
        self._point("before the answer is read")
        timeline.tell("←", request.path, answer and (answer.status, answer.body[:300]))
        if answer is None:
            raise Lost("the connection broke" if timeline.now < deadline else "timed out")
        if 300 <= answer.status < 400:
            raise Lost("a redirect, which is never followed")
        received = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status, received, answer.body.encode(), request.path)

    def close(self):
        self._is_closed = True

    def _arrive(self, request, fate, slot):
        market = self._market
        if fate.stalled and request.method in WRITES:
            at_ms = market.now_ms()  # the timestamp was looked at, then it lay in a queue
            self._timeline.after(fate.stalled, lambda: self._serve(request, at_ms, fate, slot))
            return
        self._serve(request, market.now_ms(), fate, slot)

    def _serve(self, request, at_ms, fate, slot):
        market = self._market
        market.advance()
        fault = market.faults.add(**fate.fault) if fate.fault else None
        steps = market.core.serve(request, at_ms)
        step = next(steps)
        if fault is not None:
            fault.remove()
        self._follow(steps, step, fate, slot)

    def _follow(self, steps, step, fate, slot):
        if isinstance(step, Wait):
            self._timeline.after(step.seconds, lambda: self._again(steps, fate, slot))
        elif fate.down is not None:
            answer = step.response if isinstance(step, Send) else None
            self._timeline.after(fate.down, lambda: self._deliver(slot, answer))

    def _again(self, steps, fate, slot):
        self._follow(steps, steps.send(self._market.now_ms()), fate, slot)

    def _deliver(self, slot, answer):
        if slot.task is not None:
            slot.answer, slot.is_over = answer, True
            self._timeline.wake(slot.task)
