"""Control messages of a market stream connection.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#live-subscribingunsubscribing-to-streams
"""

from __future__ import annotations

import json
from math import inf
from typing import TYPE_CHECKING, Any

from .streams import Hub, Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MOST_STREAMS = 1024
LONGEST_ID = 36
_METHODS = frozenset({"SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"})
_LARGEST_ID = 1 << 63


class MarketSession:
    """One connection to ``/ws`` or ``/stream``."""

    kind = "public"
    counts_frames = True
    idle_within = inf

    def __init__(self, hub: Hub, outbox: Callable[[str], None], names: Iterable[str], *, is_combined: bool) -> None:
        self._hub = hub
        self._listener = Listener(outbox, is_combined)
        self._names: dict[str, None] = {}
        self.subscribe(names)

    def subscribe(self, names: Iterable[str]) -> None:
        """From now on these streams, too."""
        for name in names:
            self._names[name] = None
            self._hub.add(self._listener, name)

    def close(self) -> None:
        """The socket is gone."""
        for name in self._names:
            self._hub.remove(self._listener, name)
        self._names.clear()

    def farewell(self, now_ms: int) -> None:
        """Announces the end of the connection."""
        event = {"e": "serverShutdown", "E": now_ms}
        self._send({"stream": "!serverShutdown", "data": event} if self._listener.is_combined else event)

    def receive(self, text: str, now_ms: int) -> bool:
        """Answers one control message; False when there are too many streams."""
        try:
            message = json.loads(text)
        except ValueError as error:
            self._send({"code": 3, "msg": f"Invalid JSON: {error}"})
            return True
        problem = _problem(message)
        if problem:
            self._send(problem)
            return True
        answer = self._act(message)
        self._send(
            {**answer, "id": message["id"]} if "code" in answer else {"result": answer["result"], "id": message["id"]}
        )
        return len(self._names) <= MOST_STREAMS

    def _act(self, message: dict[str, Any]) -> dict[str, Any]:
        method, params = message["method"], message.get("params", [])
        if method == "SUBSCRIBE":
            self.subscribe(params)
        elif method == "UNSUBSCRIBE":
            for name in params:
                self._names.pop(name, None)
                self._hub.remove(self._listener, name)
        elif method == "LIST_SUBSCRIPTIONS":
            return {"result": list(self._names)}
        else:
            return self._property(method, params)
        return {"result": None}

    def _property(self, method: str, params: list[Any]) -> dict[str, Any]:
        wanted = 2 if method == "SET_PROPERTY" else 1
        if len(params) != wanted:
            return {"code": 2, "msg": f"Invalid request: expected {wanted} parameters, found {len(params)}"}
        if not isinstance(params[0], str):
            return {"code": 2, "msg": "Invalid request: property name must be a string"}
        if params[0] != "combined":
            return {"code": 0, "msg": "Unknown property"}
        if method == "GET_PROPERTY":
            return {"result": self._listener.is_combined}
        if not isinstance(params[1], bool):
            return {"code": 1, "msg": "Invalid value type: expected Boolean"}
        self._listener.is_combined = params[1]
        return {"result": None}

    def _send(self, message: dict[str, Any]) -> None:
        self._listener.outbox(json.dumps(message, separators=(",", ":")))


def _problem(message: Any) -> dict[str, Any] | None:
    """The error reply to a message that is no request."""
    if not isinstance(message, dict) or "method" not in message:
        return {"code": 2, "msg": "Invalid request: missing field `method`"}
    if "id" not in message or not _is_id(message["id"]):
        return {"code": 2, "msg": "Invalid request: request ID must be a signed integer or a string"}
    if message["method"] not in _METHODS:
        known = ", ".join(f"`{method}`" for method in sorted(_METHODS))
        text = f"Invalid request: unknown variant `{message['method']}`, expected one of {known}"
        return {"code": 2, "msg": text, "id": message["id"]}
    params = message.get("params", [])
    if not isinstance(params, list):
        return {"code": 2, "msg": "Invalid request: params must be an array", "id": message["id"]}
    if message["method"].endswith("SUBSCRIBE") and not all(isinstance(name, str) for name in params):
        return {"code": 2, "msg": "Invalid request: stream names must be strings", "id": message["id"]}
    return None


def _is_id(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, str):
        # "Alphanumeric", says the documentation; the exchange's own SDK sends UUIDs, which have hyphens.
        return len(value) <= LONGEST_ID and value.replace("-", "").isalnum()
    return isinstance(value, int) and not isinstance(value, bool) and -_LARGEST_ID <= value < _LARGEST_ID
