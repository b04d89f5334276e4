"""Binance spot, as its documentation describes it: one object that a driver feeds with values and time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from exconnect.mock.front import Front
from exconnect.mock.http import Response
from exconnect.mock.keys import Keys
from exconnect.mock.limits import Window
from exconnect.mock.steps import Reset, SocketRules
from exconnect.mock.world import World

from .errors import Fail
from .rest import CONNECTIONS, OPERATIONS, Rest
from .session import MarketSession
from .streams import Hub
from .units import are_wanted, microseconds
from .wsapi import PrivateSession

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from exconnect.mock.faults import Fault, Faults
    from exconnect.mock.http import Request
    from exconnect.mock.steps import Session, Step
    from exconnect.mock.world import Setup


HANDSHAKE = 2


@dataclass(slots=True)
class Binance:
    """The exchange. ``rules`` may be replaced while it runs (shorter pings, a shorter life)."""

    setup: Setup
    faults: Faults
    limits: Mapping[str, tuple[int, int]] | None = None
    rules: SocketRules = field(default_factory=SocketRules)
    world: World = field(init=False)
    keys: Keys = field(init=False)
    hub: Hub = field(init=False)
    rest: Rest = field(init=False)
    front: Front = field(init=False)
    _attempts: Window = field(init=False)

    def __post_init__(self) -> None:
        self.world = World(self.setup, self.faults)
        self.keys = Keys(self.setup.seed)
        self.hub = Hub(self.world, self.world.started_ms)
        self.rest = Rest(self.world, self.keys, self.advance, self.limits)
        self.front = Front(self.world, self.rest)
        self.faults.operations, self.faults.symbols = OPERATIONS, frozenset(self.setup.symbols)
        self._attempts = Window(*CONNECTIONS)

    def advance(self, now_ms: int) -> None:
        """Other people and periodic messages, in the order of their times."""
        while self.hub.next_ms() <= now_ms:
            self.world.advance(self.hub.next_ms())
            self.hub.tick()
        self.world.advance(now_ms)

    def next_ms(self) -> float:
        """When something happens by itself next."""
        return min(self.hub.next_ms(), self.world.next_ms())

    def restart_clock(self, now_ms: int, activity: float) -> None:
        """The clock or the activity was set: nothing is made up for."""
        self.hub.restart(now_ms)
        self.world.retune(activity, now_ms)

    def sequence(self, symbol: str) -> int:
        """The update id of the book as it is at this moment."""
        return self.world.engine.books[symbol].sequence

    def serve(self, request: Request, now_ms: int) -> Generator[Step, int, None]:
        """A REST request, step by step."""
        return self.front.serve(request, now_ms)

    def open(self, request: Request, outbox: Callable[[str], None], now_ms: int) -> Session | Response | Reset:
        """A websocket handshake."""
        kind = "private" if request.path.startswith("/ws-api") else "public"
        refusal = self.world.faults.lasting("refuse", kind, now_ms)
        if refusal is not None:
            self.world.faults.fire(refusal)
            return Reset()
        if self._attempts.would_exceed(1, now_ms):
            self.world.record.violation("over a limit: connections")
            return Response(429, "")
        self._attempts.add(1, now_ms)
        return self._session(request, outbox, now_ms)

    def _session(self, request: Request, outbox: Callable[[str], None], now_ms: int) -> Session | Response:
        path, query = request.path.rstrip("/"), request.query
        try:
            in_microseconds = are_wanted(_value(query, "timeUnit"))
        except Fail as fail:
            return Response(fail.status, json.dumps(fail.body))
        post = (lambda message: outbox(microseconds(message))) if in_microseconds else outbox
        if path == "/stream":
            return MarketSession(self.hub, post, _split(_value(query, "streams")), is_combined=True)
        if path == "/ws" or path.startswith("/ws/"):
            return MarketSession(self.hub, post, _split(unquote(path.removeprefix("/ws"))), is_combined=False)
        if path == "/ws-api/v3":
            shows_limits = _value(query, "returnRateLimits") != "false"
            self.rest.charge(HANDSHAKE, now_ms)
            return PrivateSession(self.world, self.rest, self.keys, post, now_ms, shows_limits=shows_limits)
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


def _value(query: str, name: str) -> str:
    """A parameter of a socket's address, where a plus sign is a plus sign: ``kline_1d@+08:00``."""
    found = (part.partition("=") for part in query.split("&"))
    return next((unquote(value) for key, _, value in found if key == name), "")


def _split(names: str) -> list[str]:
    return [name for name in names.split("/") if name]
