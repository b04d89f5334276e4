"""The REST dialect: from a request to an answer, with limits, signatures and faults. No socket, no clock."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from exconnect.mock.http import Response
from exconnect.mock.limits import Gate, Limited, OrderCount, Window
from exconnect.mock.orders import Report
from exconnect.mock.record import Arrival

from . import account, details, market_data, trading
from .auth import authenticate
from .endpoints import Call, Endpoint
from .errors import BY_STATUS, TEXTS, Fail, banned, too_much_weight
from .params import NUMBERS_AT_RISK, Params, of_request
from .units import are_wanted, microseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exconnect.mock.faults import FaultPlan
    from exconnect.mock.http import Request
    from exconnect.mock.keys import Keys
    from exconnect.mock.world import Happened, World

ENDPOINTS = {
    (endpoint.method, endpoint.path): endpoint
    for endpoint in (*market_data.ENDPOINTS, *trading.ENDPOINTS, *account.ENDPOINTS, *details.ENDPOINTS)
}
OPERATIONS = frozenset({endpoint.operation for endpoint in ENDPOINTS.values()} | {"fetch_tickers"})
DEFAULT_LIMITS: Mapping[str, tuple[int, int]] = {"request_weight": (6000, 60), "orders": (100, 10)}
RAW_REQUESTS = (300_000, 300)
CONNECTIONS = (300, 300)
ORDERS_PER_DAY = 200_000
TAKER_CREDIT, MAKER_CREDIT = -1, -5
_UNITS = ((86_400, "DAY", "D"), (3600, "HOUR", "H"), (60, "MINUTE", "M"), (1, "SECOND", "S"))
_TOO_MANY_ORDERS = -1015
_HTML = "<html><body><h1>Forbidden</h1></body></html>"


class Rest:
    """One exchange's REST side."""

    def __init__(
        self,
        world: World,
        keys: Keys,
        advance: Callable[[int], None],
        limits: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        chosen = {**DEFAULT_LIMITS, **(limits or {})}
        unknown = set(chosen) - set(DEFAULT_LIMITS)
        if unknown:
            raise ValueError(f"limits: {', '.join(sorted(unknown))}: one of orders, request_weight")
        violation = world.record.violation
        self._world = world
        self._keys = keys
        self.advance = advance
        self._weight = Window(*chosen["request_weight"])
        self._raw = Window(*RAW_REQUESTS)
        self.gate = Gate((self._weight, self._raw), violation)
        self.order_count = OrderCount([Window(*chosen["orders"]), Window(ORDERS_PER_DAY, 86_400)], violation)
        world.listeners.append(self._give_back)

    def arrival(self, request: Request, now_ms: int) -> Arrival:
        """What is written down of a request before anybody has looked at it."""
        endpoint = ENDPOINTS.get((request.method, request.path))
        values, problem = _read(request)
        arrival = Arrival(now_ms, request.method, request.path, _operation(endpoint, values), values)
        arrival.signed, arrival.problem = "signature" in values, problem
        return arrival

    def answer(self, request: Request, now_ms: int, arrival: Arrival) -> Response:
        """The exchange acts."""
        self.advance(now_ms)
        try:
            in_microseconds = are_wanted(request.headers.get("x-mbx-time-unit", ""))
            body, headers = self._act(request, now_ms, arrival)
            text = _json(body)
            response = Response(200, microseconds(text) if in_microseconds else text, headers)
        except Fail as fail:
            headers = {**self.usage(now_ms), **fail.headers}
            arrival.code = fail.code
            response = Response(fail.status, _json(fail.body), headers)
        arrival.status = response.status
        return response

    def _act(self, request: Request, now_ms: int, arrival: Arrival) -> tuple[Any, dict[str, str]]:
        endpoint = ENDPOINTS.get((request.method, request.path))
        if endpoint is None:
            self.admit(1, now_ms, request.connection)
            raise Fail(-1000, "Path not found.", status=404)
        params = Params(arrival.params, self._world.markets)
        self.look_for_exponents(arrival.params)
        weight = self.cost(endpoint, params)
        self.admit(weight, now_ms, request.connection)
        if arrival.problem is not None:
            raise arrival.problem
        if not endpoint.is_free:
            self._charge(weight, now_ms, arrival)
        try:
            if endpoint.is_signed:
                authenticate(request, arrival.params, self._keys, now_ms)
            call = self.call(params, now_ms, arrival.operation)
            call.connection = request.connection
            body = self.run(endpoint, call)
        except Fail:
            if endpoint.is_free:
                self._charge(weight, now_ms, arrival)
            raise
        if endpoint.is_free:
            self._charge(0, now_ms, arrival)
        return body, {**self.usage(now_ms), **(self._order_usage(now_ms) if call.counted else {})}

    def run(self, endpoint: Endpoint, call: Call) -> Any:
        """The endpoint itself. Raises: Fail."""
        call.params.check_names(endpoint.required, endpoint.optional)
        return endpoint.handler(call)

    def call(self, params: Params, now_ms: int, operation: str) -> Call:
        """What a handler is given."""
        return Call(self._world, params, now_ms, self.order_count, self.rate_limits, operation)

    @staticmethod
    def cost(endpoint: Endpoint, params: Params) -> int:
        """The weight; parameters that make no sense cost as little as possible."""
        try:
            return endpoint.cost(params)
        except Fail:
            return 1

    def admit(self, weight: int, now_ms: int, connection: int) -> None:
        """Raises: Fail when a limit is used up."""
        refused = self.gate.admit((weight, 1), now_ms, connection)
        if refused is not None:
            raise limited(refused, now_ms)

    def charge(self, weight: int, now_ms: int) -> None:
        """Counts a request."""
        self.gate.count((weight, 1), now_ms)

    def _charge(self, weight: int, now_ms: int, arrival: Arrival) -> None:
        arrival.weight = weight
        self.charge(weight, now_ms)

    def usage(self, now_ms: int) -> dict[str, str]:
        """The headers that tell how much of the limits is used."""
        used = str(self._weight.used(now_ms))
        return {"X-MBX-USED-WEIGHT": used, f"X-MBX-USED-WEIGHT-{_letter(self._weight)}": used}

    def _order_usage(self, now_ms: int) -> dict[str, str]:
        return {f"X-MBX-ORDER-COUNT-{_letter(window)}": str(window.used(now_ms)) for window in self.order_count.windows}

    def rate_limits(self) -> list[dict[str, Any]]:
        """The limits as exchangeInfo announces them."""
        rows = [_row("REQUEST_WEIGHT", self._weight)]
        rows += [_row("ORDERS", window) for window in self.order_count.windows]
        return [*rows, _row("RAW_REQUESTS", self._raw)]

    def call_on_socket(self, params: Params, now_ms: int, operation: str) -> Call:
        """A call that came over the WebSocket API, where connections are limited instead of raw requests."""
        return Call(self._world, params, now_ms, self.order_count, self._limits_on_socket, operation)

    def _limits_on_socket(self) -> list[dict[str, Any]]:
        return [*self.rate_limits()[:-1], _row("CONNECTIONS", Window(*CONNECTIONS))]

    def order_usage(self, now_ms: int) -> list[dict[str, Any]]:
        """Unfilled orders as replies of the WebSocket API carry them."""
        windows = self.order_count.windows
        return [{**_row("ORDERS", window), "count": window.used(now_ms)} for window in windows]

    def weight_limit(self, now_ms: int) -> dict[str, Any]:
        """The request weight as replies of the WebSocket API carry it."""
        return {**_row("REQUEST_WEIGHT", self._weight), "count": self._weight.used(now_ms)}

    def _give_back(self, happened: list[Happened]) -> None:
        """A first fill gives credit back, a maker's more than a taker's."""
        for one in happened:
            event = one.event
            if isinstance(event, Report) and event.fill and event.filled == event.fill.quantity:
                self.order_count.add(MAKER_CREDIT if event.fill.is_maker else TAKER_CREDIT, event.time_ms)

    def look_for_exponents(self, values: Mapping[str, str]) -> None:
        """A number such as ``1E-7`` is a breach even where it is refused."""
        for name in NUMBERS_AT_RISK & values.keys():
            if "e" in values[name].lower():
                self._world.record.violation(f"a number with an exponent: {name}={values[name]}")

    # Faults

    def status(self, plan: FaultPlan, request: Request, now_ms: int) -> Response:
        """The answer that a ``status`` fault asks for; who is told to wait by it must."""
        headers = self.usage(now_ms)
        if plan.retry_after is not None:
            headers["Retry-After"] = f"{plan.retry_after:.3f}".rstrip("0").rstrip(".")
            if plan.status in {418, 429}:
                limit = self.order_count if plan.code == _TOO_MANY_ORDERS else self.gate
                limit.shut(now_ms + int(plan.retry_after * 1000), now_ms, request.connection)
        if plan.status == 403 and plan.code is None:
            return Response(403, _HTML, headers, "text/html")
        code = plan.code if plan.code is not None else BY_STATUS.get(plan.status, -1000)
        return Response(plan.status, _json({"code": code, "msg": TEXTS.get(code, "Unknown error.")}), headers)


def limited(refused: Limited, now_ms: int) -> Fail:
    """The reply beyond a limit."""
    wait = str(max(1, -(-(refused.until_ms - now_ms) // 1000)))
    data_headers = {"Retry-After": wait}
    if refused.window is None:
        return Fail(-1003, banned(refused.until_ms), status=418, headers=data_headers)
    text = too_much_weight(refused.window.limit, refused.window.seconds)
    return Fail(-1003, text, status=429, headers=data_headers)


def _operation(endpoint: Endpoint | None, values: Mapping[str, str]) -> str:
    if endpoint is None:
        return "unknown"
    if endpoint.operation == "fetch_ticker" and "symbol" not in values:
        return "fetch_tickers"
    return endpoint.operation


def _read(request: Request) -> tuple[dict[str, str], Fail | None]:
    try:
        return of_request(request), None
    except Fail as fail:
        return {}, fail


@cache
def _unit(seconds: int) -> tuple[int, str, str]:
    return next((seconds // size, word, letter) for size, word, letter in _UNITS if seconds % size == 0)


def _letter(window: Window) -> str:
    number, _, letter = _unit(window.seconds)
    return f"{number}{letter}"


def _row(kind: str, window: Window) -> dict[str, Any]:
    number, word, _ = _unit(window.seconds)
    return {"rateLimitType": kind, "interval": word, "intervalNum": number, "limit": window.limit}


def _json(body: Any) -> str:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)
