"""What happens to a REST request in every dialect: it is written down, it meets its fault, it is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .disturb import broken
from .http import Response
from .steps import Reset, Send, Step, Wait

if TYPE_CHECKING:
    from collections.abc import Generator

    from .faults import Fault, FaultPlan
    from .http import Request
    from .record import Arrival
    from .world import World

HALF_AN_ANSWER = '{"symbol":"BTCUSDT","orderId":'


class Dialect(Protocol):
    """The REST side of one exchange."""

    def arrival(self, request: Request, now_ms: int) -> Arrival:
        """What is written down of a request before anybody has looked at it."""
        ...

    def answer(self, request: Request, now_ms: int, arrival: Arrival) -> Response:
        """The exchange acts."""
        ...

    def status(self, plan: FaultPlan, request: Request, now_ms: int) -> Response:
        """The answer that a ``status`` fault asks for."""
        ...

    def usage(self, now_ms: int) -> dict[str, str]:
        """The headers of an answer that was cut off."""
        ...


@dataclass(slots=True)
class Front:
    """``elsewhere`` is where redirected clients are sent."""

    world: World
    dialect: Dialect
    elsewhere: str = "http://127.0.0.1:9/"

    def serve(self, request: Request, now_ms: int) -> Generator[Step, int, None]:
        """What happens to a request, step by step; the driver sends the time into the generator after each wait."""
        arrival = self.dialect.arrival(request, now_ms)
        self.world.record.arrivals.append(arrival)
        fault = self.world.faults.request(arrival.operation)
        if fault is None:
            yield Send(self.dialect.answer(request, now_ms, arrival))
        else:
            yield from self._faulty(request, now_ms, arrival, fault)

    def _faulty(self, request: Request, now_ms: int, arrival: Arrival, fault: Fault) -> Generator[Step, int, None]:
        plan = fault.plan
        response = self.dialect.answer(request, now_ms, arrival) if plan.at == "after_accept" else None
        if plan.name in {"hang", "delay"}:
            arrival.status = 0
            now_ms = yield Wait(plan.seconds)
        if plan.name == "delay":
            response = response or self.dialect.answer(request, now_ms, arrival)
            arrival.status = response.status
            yield Send(response)
        elif plan.name in {"hang", "reset"}:
            arrival.status = 0
            yield Reset()
        else:
            spoilt = self._spoilt(plan, request, response, now_ms)
            arrival.status = spoilt.status
            yield Send(spoilt)

    def _spoilt(self, plan: FaultPlan, request: Request, response: Response | None, now_ms: int) -> Response:
        if plan.name == "redirect":
            return Response(307, "", {"Location": self.elsewhere}, "text/html")
        if plan.name == "garbage":
            return Response(200, broken(response.body if response else HALF_AN_ANSWER), self.dialect.usage(now_ms))
        return self.dialect.status(plan, request, now_ms)
