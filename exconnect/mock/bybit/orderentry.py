"""The order entry socket: the same calls as over REST, on one logged-on connection.

https://bybit-exchange.github.io/docs/v5/websocket/trade/guideline
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .auth import log_on, of_header
from .errors import Fail
from .params import Params
from .rest import ENDPOINTS, Rest
from .session import parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from exconnect.mock.later import Later
    from exconnect.mock.world import World

    from .shapes import Json

OPERATIONS = {
    f"order.{action}": ENDPOINTS["POST", f"/v5/order/{action}"]
    for action in ("create", "amend", "cancel", "create-batch", "amend-batch", "cancel-batch")
}


class OrderEntrySession:
    """One connection to ``/v5/trade``."""

    kind = "private"
    counts_frames = False

    def __init__(
        self,
        world: World,
        rest: Rest,
        answers: Later,
        outbox: Callable[[str], None],
        conn_id: str,
        idle_within: float,
    ) -> None:
        self.idle_within = idle_within
        self._world = world
        self._rest = rest
        self._answers = answers
        self._outbox = outbox
        self._conn_id = conn_id
        self._is_known = False
        self._used: set[str] = set()

    def close(self) -> None:
        """The socket is gone."""

    def farewell(self, now_ms: int) -> None:
        """This exchange says nothing before it hangs up."""

    def receive(self, text: str, now_ms: int) -> bool:
        """Takes one request, to answer it soon; this exchange never hangs up because of one."""
        self._answers.submit(now_ms, lambda at_ms: self._handle(text, at_ms))
        return True

    def _handle(self, text: str, now_ms: int) -> None:
        request = parsed(text)
        if isinstance(request, str):
            request = {}
        header: dict[str, str] = {}
        try:
            answer = self._act(request, now_ms, header)
        except Fail as fail:
            answer = {"retCode": fail.code, "retMsg": fail.message, "data": {}, "retExtInfo": {}}
        if str(request.get("op", "")).startswith("order."):
            answer["header"] = {**header, **self._rest.usage(now_ms)}
        self._say(request, answer)

    def _act(self, request: Json, now_ms: int, header: dict[str, str]) -> Json:
        op = request.get("op")
        if op == "ping":
            return {"retCode": 0, "retMsg": "OK", "op": "pong", "data": [str(now_ms)]}
        if op == "auth":
            return self._log_on(request, now_ms)
        if not self._is_known:
            raise Fail(10007)
        endpoint, args = OPERATIONS.get(str(op)), request.get("args")
        if endpoint is None or not isinstance(args, list) or len(args) != 1 or not isinstance(args[0], dict):
            raise Fail(10404)
        self._check_id(str(request.get("reqId", "")))
        of_header(request.get("header") or {}, now_ms)
        call = self._rest.call(Params(_as_text(args[0]), self._world.markets), now_ms, endpoint.operation)
        self._rest.take(endpoint, call, header)
        result = endpoint.handler(call)
        return {"retCode": 0, "retMsg": "OK", "data": result, "retExtInfo": call.extra}

    def _log_on(self, request: Json, now_ms: int) -> Json:
        if self._is_known:
            raise Fail(20001)
        log_on(request.get("args"), self._rest.keys, now_ms)
        self._is_known = True
        return {"retCode": 0, "retMsg": "OK"}

    def _check_id(self, req_id: str) -> None:
        if req_id and req_id in self._used:
            raise Fail(20006)
        self._used.add(req_id)

    def _say(self, request: Json, answer: Json) -> None:
        head = {"reqId": request["reqId"]} if "reqId" in request else {}
        whole = {**head, "op": request.get("op", ""), **answer, "connId": self._conn_id}
        self._outbox(json.dumps(whole, separators=(",", ":")))


def _as_text(values: Json) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(json.dumps(values), parse_float=str, parse_int=str)
    return whole
