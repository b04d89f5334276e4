"""The REST dialect: from a request to an answer, with limits, signatures and faults. No socket, no clock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from exconnect.mock.http import Response
from exconnect.mock.limits import Ban, Quota, Rolling
from exconnect.mock.record import Arrival

from . import account, market_data, trading
from .auth import authenticate
from .endpoints import Call, Endpoint
from .errors import BY_STATUS, TEXTS, Fail
from .params import Params, flat, of_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exconnect.mock.faults import FaultPlan
    from exconnect.mock.http import Request
    from exconnect.mock.keys import Keys
    from exconnect.mock.world import World

    from .intake import Intake
    from .shapes import Json
    from .streams import Hub

ENDPOINTS = {
    (endpoint.method, endpoint.path): endpoint
    for endpoint in (*market_data.ENDPOINTS, *trading.ENDPOINTS, *account.ENDPOINTS)
}
OPERATIONS = frozenset(
    {endpoint.operation for endpoint in ENDPOINTS.values()} | {"fetch_tickers", "fetch_order", "fetch_orders"}
)
IP_LIMIT = (600, 5)
BAN_MS = 600_000
NAMES = frozenset({"ip", "orders"})
_TOO_MANY_OF_ONE = 10006
_TOO_FREQUENT = "<html><body><h1>403 Forbidden</h1><p>access too frequent</p></body></html>"
_FORBIDDEN = "<html><body><h1>403 Forbidden</h1></body></html>"


class Rest:
    """One exchange's REST side."""

    def __init__(
        self,
        world: World,
        intake: Intake,
        hub: Hub,
        keys: Keys,
        advance: Callable[[int], None],
        limits: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        self._chosen = dict(limits or {})
        unknown = set(self._chosen) - NAMES
        if unknown:
            raise ValueError(f"limits: {', '.join(sorted(unknown))}: one of ip, orders")
        self._world = world
        self._intake = intake
        self._hub = hub
        self.keys = keys
        self.advance = advance
        self.address = Ban(Rolling(*self._chosen.get("ip", IP_LIMIT)), BAN_MS, world.record.violation)
        self._quotas: dict[str, Quota] = {}

    def arrival(self, request: Request, now_ms: int) -> Arrival:
        """What is written down of a request before anybody has looked at it."""
        endpoint = ENDPOINTS.get((request.method, request.path))
        try:
            values, problem = of_request(request), None
        except Fail as fail:
            values, problem = {}, fail
        params = Params(values, self._world.markets)
        operation = market_data.operation_of(endpoint, params) if endpoint else "unknown"
        arrival = Arrival(now_ms, request.method, request.path, operation, flat(values), weight=1)
        arrival.signed, arrival.problem = "x-bapi-sign" in request.headers, problem
        return arrival

    def answer(self, request: Request, now_ms: int, arrival: Arrival) -> Response:
        """The exchange acts."""
        self.advance(now_ms)
        refusal = self._at_the_door(request, now_ms)
        if refusal is not None:
            arrival.status = refusal.status
            return refusal
        headers = self.usage(now_ms)
        try:
            body = self._act(request, now_ms, arrival, headers)
            response = Response(200, _json(body), headers)
        except Fail as fail:
            arrival.code = fail.code
            response = Response(fail.status, _json(envelope(fail.code, fail.message, {}, {}, now_ms)), headers)
        arrival.status = response.status
        return response

    def _at_the_door(self, request: Request, now_ms: int) -> Response | None:
        if not self.address.admits(now_ms, request.connection):
            return Response(403, _TOO_FREQUENT, {}, "text/html")
        if request.method == "GET" and request.body:
            return Response(403, _FORBIDDEN, {}, "text/html")
        return None

    def _act(self, request: Request, now_ms: int, arrival: Arrival, headers: dict[str, str]) -> Json:
        if request.method not in {"GET", "POST"}:
            raise Fail(10001, "Request method is not supported.", status=400)
        endpoint = ENDPOINTS.get((request.method, request.path))
        if endpoint is None:
            raise Fail(10017, status=404)
        if arrival.problem is not None:
            raise arrival.problem
        params = Params(of_request(request), self._world.markets)
        params.numbers(self._look_for_exponents)
        call = self.call(params, now_ms, arrival.operation)
        if endpoint.is_signed:
            call.api_key, call.connection = authenticate(request, self.keys, now_ms), request.connection
            self.take(endpoint, call, headers)
        result = endpoint.handler(call)
        return envelope(0, "OK", result, call.extra, now_ms)

    def call(self, params: Params, now_ms: int, operation: str) -> Call:
        """What a handler is given."""
        return Call(self._world, self._intake, self._hub, params, now_ms, operation)

    def take(self, endpoint: Endpoint, call: Call, headers: dict[str, str]) -> None:
        """Counts a call of the account; the headers tell what is left. Raises: Fail when nothing was."""
        quota = self._quota(endpoint)
        call.granted = quota.take(endpoint.units(call.params), call.now_ms, call.connection)
        headers["X-Bapi-Limit"] = str(quota.window.limit)
        headers["X-Bapi-Limit-Status"] = str(quota.window.left(call.now_ms))
        headers["X-Bapi-Limit-Reset-Timestamp"] = str(quota.frees_ms(call.now_ms))
        if not call.granted:
            raise Fail(10006)

    def _quota(self, endpoint: Endpoint) -> Quota:
        if endpoint.path not in self._quotas:
            limit = (endpoint.per_second, 1)
            limit = self._chosen.get("orders", limit) if endpoint.is_order else limit
            self._quotas[endpoint.path] = Quota(Rolling(*limit), endpoint.path, self._world.record.violation)
        return self._quotas[endpoint.path]

    def usage(self, now_ms: int) -> dict[str, str]:
        """The headers of every answer."""
        return {"Timenow": str(now_ms), "Traceid": f"{now_ms:032x}"}

    def _look_for_exponents(self, name: str, value: str) -> None:
        """A number such as ``1E-7`` is a breach even where it is refused."""
        if "e" in value.lower():
            self._world.record.violation(f"a number with an exponent: {name}={value}")

    def status(self, plan: FaultPlan, request: Request, now_ms: int) -> Response:
        """The answer that a ``status`` fault asks for; who is told to wait by it must."""
        headers = self.usage(now_ms)
        if plan.retry_after is not None:
            headers["Retry-After"] = f"{plan.retry_after:.3f}".rstrip("0").rstrip(".")
            self._shut(plan, request, now_ms + int(plan.retry_after * 1000), now_ms)
        if plan.status == 403 and plan.code is None:
            return Response(403, _TOO_FREQUENT, headers, "text/html")
        code = plan.code if plan.code is not None else BY_STATUS.get(plan.status, 10016)
        return Response(plan.status, _json(envelope(code, TEXTS.get(code, "Unknown error."), {}, {}, now_ms)), headers)

    def _shut(self, plan: FaultPlan, request: Request, until_ms: int, now_ms: int) -> None:
        endpoint = ENDPOINTS.get((request.method, request.path))
        if plan.code == _TOO_MANY_OF_ONE and endpoint is not None and endpoint.is_signed:
            self._quota(endpoint).shut(until_ms, now_ms, request.connection)
        elif plan.status == 403:
            self.address.shut(until_ms, now_ms, request.connection)
        elif plan.status == 429:
            broken = "a request before Retry-After had passed"
            self.address.shut(until_ms, now_ms, request.connection, broken=broken)


def envelope(code: int, message: str, result: Any, extra: Json, now_ms: int) -> Json:
    """Around every answer."""
    return {"retCode": code, "retMsg": message, "result": result, "retExtInfo": extra, "time": now_ms}


def _json(body: Any) -> str:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)
