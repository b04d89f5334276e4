"""Bybit V5 spot, as its documentation describes it: one object that a driver feeds with values and time."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from exconnect.mock.engine import Numbers
from exconnect.mock.fixed import SCALE
from exconnect.mock.front import Front
from exconnect.mock.http import Response, pairs
from exconnect.mock.keys import Keys
from exconnect.mock.later import Later, Timed
from exconnect.mock.limits import Rolling
from exconnect.mock.steps import Reset, SocketRules
from exconnect.mock.world import House, World

from .auth import KEY_LENGTH, KINDS
from .intake import Intake
from .orderentry import OrderEntrySession
from .private import PrivateSession
from .rest import OPERATIONS, Rest
from .session import MarketSession
from .streams import Hub

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from exconnect.mock.faults import Fault, Faults
    from exconnect.mock.http import Request
    from exconnect.mock.steps import Session, Step
    from exconnect.mock.world import Setup

CONNECTIONS = (500, 300)
IDLE_WITHIN = 600.0
ANSWER_MS = 10
HOUSE = House(
    Numbers(order=2_281_309_546_159_000_000, trade=2_290_000_000_000_000_001),
    {
        "max_notional": 1_000_000_000 * SCALE,
        "max_orders": 500,
        "max_conditional": 30,
        "band_down": 0,
        "band_up": 1_000_000,
    },
)
_ACTIVE = re.compile(r"([0-9]{1,3})([sm])")


@dataclass(slots=True)
class Bybit:
    """The exchange. It sends no pings and closes no connection that is used."""

    setup: Setup
    faults: Faults
    limits: Mapping[str, tuple[int, int]] | None = None
    rules: SocketRules = field(default_factory=lambda: SocketRules(inf, inf, inf, frames_per_second=None))
    world: World = field(init=False)
    keys: Keys = field(init=False)
    intake: Intake = field(init=False)
    hub: Hub = field(init=False)
    answers: Later = field(init=False)
    rest: Rest = field(init=False)
    front: Front = field(init=False)
    _attempts: Rolling = field(init=False)
    _opened: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.world = World(self.setup, self.faults, HOUSE)
        self.keys = Keys(self.setup.seed, KEY_LENGTH, KINDS)
        self.intake = Intake(self.world)
        self.hub = Hub(self.world, self.setup.started_ms)
        self.answers = Later(ANSWER_MS)
        self.rest = Rest(self.world, self.intake, self.hub, self.keys, self.advance, self.limits)
        self.front = Front(self.world, self.rest)
        self.faults.operations, self.faults.symbols = OPERATIONS, frozenset(self.setup.symbols)
        self._attempts = Rolling(*CONNECTIONS)

    def advance(self, now_ms: int) -> None:
        """Other people, orders on their way and periodic messages, in the order of their times."""
        sources: tuple[Timed, ...] = (self.intake.later, self.answers, self.hub)
        while (source := min(sources, key=lambda one: one.next_ms())).next_ms() <= now_ms:
            self.world.advance(int(source.next_ms()))
            source.tick()
        self.world.advance(now_ms)

    def next_ms(self) -> float:
        """When something happens by itself next."""
        return min(one.next_ms() for one in (self.intake.later, self.answers, self.hub, self.world))

    def restart_clock(self, now_ms: int, activity: float) -> None:
        """The clock or the activity was set: nothing is made up for."""
        for one in (self.hub, self.answers, self.intake.later):
            one.restart(now_ms)
        self.world.retune(activity, now_ms)

    def sequence(self, symbol: str) -> int:
        """The update id of the book as it is at this moment."""
        return self.hub.sequence(self.world.engine.markets[symbol])

    def serve(self, request: Request, now_ms: int) -> Generator[Step, int, None]:
        """A REST request, step by step."""
        return self.front.serve(request, now_ms)

    def open(self, request: Request, outbox: Callable[[str], None], now_ms: int) -> Session | Response | Reset:
        """A websocket handshake."""
        kind = "public" if request.path.startswith("/v5/public") else "private"
        refusal = self.world.faults.lasting("refuse", kind, now_ms)
        if refusal is not None:
            self.world.faults.fire(refusal)
            return Reset()
        if not self._attempts.left(now_ms):
            self.world.record.violation("over a limit: connections")
            return Response(403, "")
        self._attempts.add(1, now_ms)
        self._opened += 1
        return self._session(request, outbox, f"mock{self._opened:016x}-{self._opened}")

    def _session(self, request: Request, outbox: Callable[[str], None], conn_id: str) -> Session | Response:
        path, idle = request.path.rstrip("/"), _idle_within(request.query)
        if path == "/v5/public/spot":
            return MarketSession(self.hub, self.answers, outbox, conn_id)
        if path == "/v5/private":
            return PrivateSession(self.world, self.keys, self.answers, outbox, conn_id, idle)
        if path == "/v5/trade":
            return OrderEntrySession(self.world, self.rest, self.answers, outbox, conn_id, idle)
        return Response(404, "")

    def on_fault(self, fault: Fault, now_ms: int) -> None:
        """A fault that concerns sockets or read models begins."""
        if fault.plan.name == "lag":
            self.world.lag(fault, now_ms)
            return
        fault.until_ms = now_ms + int(fault.plan.seconds * 1000)
        self.world.faults.fire(fault)

    def on_violation(self, text: str) -> None:
        """Writes a breach down."""
        self.world.record.violation(text)


def _idle_within(query: str) -> float:
    """``max_active_time=30s…600s`` or ``1m…10m``; anything else is ten minutes."""
    match = _ACTIVE.fullmatch(dict(pairs(query)).get("max_active_time", ""))
    seconds = float(match[1]) * (60 if match[2] == "m" else 1) if match else IDLE_WITHIN
    return min(max(seconds, 30.0), IDLE_WITHIN)
