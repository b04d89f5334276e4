"""The WebSocket API: the same calls over one socket, and the events of the user's account.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-api
"""

from __future__ import annotations

import json
from math import inf
from typing import TYPE_CHECKING, Any

from exconnect.mock.disturb import Disturber, broken
from exconnect.mock.keys import Ed25519Key
from exconnect.mock.orders import Report

from .auth import known, timely
from .errors import Fail
from .params import Params
from .rest import ENDPOINTS, limited
from .user_data import account_position, execution_report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exconnect.mock.keys import Keys
    from exconnect.mock.world import Happened, World

    from .rest import Rest
    from .shapes import Json

METHODS: Mapping[str, tuple[str, str]] = {
    "ping": ("GET", "/api/v3/ping"),
    "time": ("GET", "/api/v3/time"),
    "exchangeInfo": ("GET", "/api/v3/exchangeInfo"),
    "depth": ("GET", "/api/v3/depth"),
    "trades.recent": ("GET", "/api/v3/trades"),
    "trades.historical": ("GET", "/api/v3/historicalTrades"),
    "trades.aggregate": ("GET", "/api/v3/aggTrades"),
    "klines": ("GET", "/api/v3/klines"),
    "uiKlines": ("GET", "/api/v3/uiKlines"),
    "avgPrice": ("GET", "/api/v3/avgPrice"),
    "ticker.24hr": ("GET", "/api/v3/ticker/24hr"),
    "ticker.tradingDay": ("GET", "/api/v3/ticker/tradingDay"),
    "ticker": ("GET", "/api/v3/ticker"),
    "ticker.price": ("GET", "/api/v3/ticker/price"),
    "ticker.book": ("GET", "/api/v3/ticker/bookTicker"),
    "order.place": ("POST", "/api/v3/order"),
    "order.test": ("POST", "/api/v3/order/test"),
    "order.cancel": ("DELETE", "/api/v3/order"),
    "openOrders.cancelAll": ("DELETE", "/api/v3/openOrders"),
    "order.cancelReplace": ("POST", "/api/v3/order/cancelReplace"),
    "order.amend.keepPriority": ("PUT", "/api/v3/order/amend/keepPriority"),
    "order.status": ("GET", "/api/v3/order"),
    "openOrders.status": ("GET", "/api/v3/openOrders"),
    "allOrders": ("GET", "/api/v3/allOrders"),
    "myTrades": ("GET", "/api/v3/myTrades"),
    "account.status": ("GET", "/api/v3/account"),
    "account.commission": ("GET", "/api/v3/account/commission"),
    "account.rateLimits.orders": ("GET", "/api/v3/rateLimit/order"),
    "order.amendments": ("GET", "/api/v3/order/amendments"),
    "myPreventedMatches": ("GET", "/api/v3/myPreventedMatches"),
    "myFilters": ("GET", "/api/v3/myFilters"),
    "myAllocations": ("GET", "/api/v3/myAllocations"),
    "openOrderLists.status": ("GET", "/api/v3/openOrderList"),
    "allOrderLists": ("GET", "/api/v3/allOrderList"),
    "blockTrades.historical": ("GET", "/api/v3/historicalBlockTrades"),
    "executionRules": ("GET", "/api/v3/executionRules"),
    "referencePrice": ("GET", "/api/v3/referencePrice"),
    "referencePrice.calculation": ("GET", "/api/v3/referencePrice/calculation"),
}
SESSION_WEIGHT = 2
BANNED = 418


class PrivateSession:
    """One connection to ``/ws-api/v3``."""

    kind = "private"
    counts_frames = False
    idle_within = inf

    def __init__(
        self,
        world: World,
        rest: Rest,
        keys: Keys,
        outbox: Callable[[str], None],
        now_ms: int,
        *,
        shows_limits: bool,
    ) -> None:
        self._world = world
        self._rest = rest
        self._keys = keys
        self._outbox = outbox
        self._shows_limits = shows_limits
        self._connected_ms = now_ms
        self._key = ""
        self._authorized_ms: int | None = None
        self._subscription: int | None = None
        self._by_logon = False
        self._next_subscription = 0
        self._disturber = Disturber(world.faults)
        self._own: Mapping[str, Callable[[Mapping[str, Any], int], Any]] = {
            "session.logon": self._logon,
            "session.status": self._status,
            "session.logout": self._logout,
            "session.subscriptions": self._subscriptions,
            "userDataStream.subscribe": self._subscribe,
            "userDataStream.subscribe.signature": self._subscribe_signed,
            "userDataStream.unsubscribe": self._unsubscribe,
        }
        world.listeners.append(self._on_happened)

    def close(self) -> None:
        """The socket is gone."""
        self._world.listeners.remove(self._on_happened)

    def farewell(self, now_ms: int) -> None:
        """Announces the end of the connection."""
        self._send({"event": {"e": "serverShutdown", "E": now_ms}})

    def receive(self, text: str, now_ms: int) -> bool:
        """Answers one request; False after a ban."""
        status, number, shows = 200, None, self._shows_limits
        answer: Json
        try:
            message = _parse(text)
            number = message.get("id")
            params = dict(message.get("params") or {})
            shows = params.get("returnRateLimits", shows)
            answer = {"result": self._act(message["method"].removeprefix("v3/"), params, now_ms)}
        except Fail as fail:
            status, answer = fail.status, {"error": fail.body}
        reply: Json = {"id": number, "status": status, **answer}
        if shows:
            reply["rateLimits"] = [self._rest.weight_limit(now_ms), *self._order_limits(text, status, now_ms)]
        self._send(reply)
        return status != BANNED

    def _order_limits(self, text: str, status: int, now_ms: int) -> list[Json]:
        placed = status == 200 and ('"order.place"' in text or '"order.cancelReplace"' in text)
        return self._rest.order_usage(now_ms) if placed else []

    def _act(self, method: str, params: dict[str, Any], now_ms: int) -> Any:
        if method in self._own:
            self._admit(SESSION_WEIGHT, now_ms)
            self._rest.charge(SESSION_WEIGHT, now_ms)
            return self._own[method](params, now_ms)
        route = METHODS.get(method)
        if route is None:
            raise Fail(-1020)
        return self._call(route, params, now_ms)

    def _call(self, route: tuple[str, str], given: dict[str, Any], now_ms: int) -> Any:
        """``returnRateLimits`` is no parameter of the endpoint, but it is signed with the others."""
        endpoint = ENDPOINTS[route]
        values = {name: written(value) for name, value in given.items() if name != "returnRateLimits"}
        params = Params(values, self._world.markets)
        weight = self._rest.cost(endpoint, params)
        self._admit(weight, now_ms)
        self._rest.look_for_exponents(values)
        if endpoint.is_signed:
            self._authenticate(given, now_ms)
        self._rest.advance(now_ms)
        try:
            result = self._rest.run(endpoint, self._rest.call_on_socket(params, now_ms, endpoint.operation))
        except Fail:
            self._rest.charge(weight, now_ms)
            raise
        self._rest.charge(0 if endpoint.is_free else weight, now_ms)
        return result

    def _admit(self, weight: int, now_ms: int) -> None:
        refused = self._rest.gate.admit((weight, 1), now_ms)
        if refused is None:
            return
        fail = limited(refused, now_ms)
        data = {"serverTime": now_ms, "retryAfter": refused.until_ms}
        raise Fail(fail.code, fail.message, status=fail.status, data=data)

    # Keys

    def _authenticate(self, given: Mapping[str, Any], now_ms: int) -> str:
        """The API key of a signed request, or of the session. Raises: Fail."""
        values = {name: written(value) for name, value in given.items()}
        if self._key and "apiKey" not in given:
            timely(values, now_ms)
            return self._key
        verifier = known(values.get("apiKey", ""), self._keys)
        timely(values, now_ms)
        if not values.get("signature"):
            raise Fail(-1102, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.")
        if not verifier.verify(payload(given), values["signature"]):
            raise Fail(-1022)
        return values["apiKey"]

    def _logon(self, given: Mapping[str, Any], now_ms: int) -> Json:
        name = self._authenticate({**given, "apiKey": given.get("apiKey", "")}, now_ms)
        if not isinstance(self._keys.verifier(name), Ed25519Key):
            raise Fail(-4056, "HMAC_SHA256 API key is not supported.")
        self._key, self._authorized_ms = name, now_ms
        return self._status(given, now_ms)

    def _status(self, given: Mapping[str, Any], now_ms: int) -> Json:
        return {
            "apiKey": self._key or None,
            "authorizedSince": self._authorized_ms,
            "connectedSince": self._connected_ms,
            "returnRateLimits": self._shows_limits,
            "serverTime": now_ms,
            "userDataStream": self._subscription is not None,
        }

    def _logout(self, given: Mapping[str, Any], now_ms: int) -> Json:
        self._key, self._authorized_ms = "", None
        if self._by_logon:
            self._terminate(now_ms)
        return self._status(given, now_ms)

    # User data

    def _subscriptions(self, given: Mapping[str, Any], now_ms: int) -> list[Json]:
        return [] if self._subscription is None else [{"subscriptionId": self._subscription}]

    def _subscribe(self, given: Mapping[str, Any], now_ms: int) -> Json:
        if not self._key:
            raise Fail(-2015, status=401)
        return self._begin(by_logon=True)

    def _subscribe_signed(self, given: Mapping[str, Any], now_ms: int) -> Json:
        self._authenticate({**given, "apiKey": given.get("apiKey", "")}, now_ms)
        return self._begin(by_logon=False)

    def _begin(self, *, by_logon: bool) -> Json:
        if self._subscription is not None:
            raise Fail(-2035, "Subscription is already active.")
        self._subscription, self._by_logon = self._next_subscription, by_logon
        self._next_subscription += 1
        return {"subscriptionId": self._subscription}

    def _unsubscribe(self, given: Mapping[str, Any], now_ms: int) -> Json:
        if given.get("subscriptionId", self._subscription) != self._subscription or self._subscription is None:
            raise Fail(-2036, "Subscription is not active.")
        self._terminate(now_ms)
        return {}

    def _terminate(self, now_ms: int) -> None:
        self._event({"e": "eventStreamTerminated", "E": now_ms})
        self._subscription, self._by_logon = None, False

    def _on_happened(self, happened: list[Happened]) -> None:
        if self._subscription is None:
            return
        reports = [one.event for one in happened if isinstance(one.event, Report)]
        if not reports or self._world.faults.lasting("silence", "private", reports[0].time_ms) is not None:
            return
        for report in reports:
            self._tell(report)
        assets = dict.fromkeys(asset for report in reports for asset in _assets(report))
        self._event(account_position(self._world.account, assets, reports[-1].time_ms))

    def _tell(self, report: Report) -> None:
        """The step itself; what it did to the balances follows once for all steps of one action."""
        symbol, event = report.order.market.symbol, execution_report(report)
        for sent, is_broken in self._disturber.apply("order", symbol, "executionReport", event):
            self._event(sent, is_broken=is_broken)

    def _event(self, event: Json, *, is_broken: bool = False) -> None:
        text = json.dumps({"subscriptionId": self._subscription, "event": event}, separators=(",", ":"))
        self._outbox(broken(text) if is_broken else text)

    def _send(self, message: Json) -> None:
        self._outbox(json.dumps(message, separators=(",", ":")))


def _assets(report: Report) -> tuple[str, str]:
    return report.order.market.base, report.order.market.quote


def _parse(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except ValueError as error:
        raise Fail(-1135, "Invalid JSON Request") from error
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        raise Fail(-1135, "Invalid JSON Request")
    if not isinstance(message.get("params") or {}, dict):
        raise Fail(-1135, "Invalid JSON Request")
    return message


def written(value: Any) -> str:
    """A JSON value as the text that is signed."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, separators=(",", ":"))


def payload(given: Mapping[str, Any]) -> bytes:
    """What was signed: everything but the signature, sorted by name, nothing encoded."""
    rows = sorted((name, written(value)) for name, value in given.items() if name != "signature")
    return "&".join(f"{name}={value}" for name, value in rows).encode()
