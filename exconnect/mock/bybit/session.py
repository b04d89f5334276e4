"""Control messages of a public connection.

https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .streams import Hub, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from exconnect.mock.later import Later

    from .shapes import Json
    from .streams import Topic

MOST_ARGS = 10
MOST_CHARACTERS = 21_000


class MarketSession:
    """One connection to ``/v5/public/spot``."""

    kind = "public"
    counts_frames = False
    idle_within = 600.0

    def __init__(self, hub: Hub, answers: Later, outbox: Callable[[str], None], conn_id: str) -> None:
        self._hub = hub
        self._answers = answers
        self._is_open = True
        self._outbox = outbox
        self._conn_id = conn_id
        self._names: dict[str, None] = {}

    def close(self) -> None:
        """The socket is gone."""
        self._is_open = False
        for name in self._names:
            self._hub.remove(self._outbox, name)
        self._names.clear()

    def farewell(self, now_ms: int) -> None:
        """This exchange says nothing before it hangs up."""

    def receive(self, text: str, now_ms: int) -> bool:
        """Takes one control message, to answer it soon; this exchange never hangs up because of one."""
        self._answers.submit(now_ms, lambda at_ms: self._handle(text, at_ms))
        return True

    def _handle(self, text: str, now_ms: int) -> None:
        if not self._is_open:
            return
        request = parsed(text)
        if isinstance(request, str):
            self._say({"success": False, "ret_msg": request, "conn_id": self._conn_id, "req_id": "", "op": ""})
            return
        op = request.get("op")
        if op == "ping":
            self._answer(request, "pong")
        elif op in {"subscribe", "unsubscribe"}:
            self._subscriptions(request, str(op), now_ms)
        else:
            self._answer(request, "error:invalid op", success=False)

    def _subscriptions(self, request: Json, op: str, now_ms: int) -> None:
        names = request.get("args")
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            self._answer(request, "error:invalid args", success=False)
        elif len(names) > MOST_ARGS:
            refusal = {"success": False, "ret_msg": f"args size >{MOST_ARGS}", "conn_id": self._conn_id, "op": op}
            self._say(refusal)
        elif op == "subscribe":
            self._subscribe(request, names, now_ms)
        else:
            self._unsubscribe(request, names)

    def _subscribe(self, request: Json, names: list[str], now_ms: int) -> None:
        """All or nothing: one topic that does not exist refuses those beside it."""
        try:
            topics = [self._new_topic(name) for name in names]
            self._check_size(names)
        except Refusal as refusal:
            self._answer(request, str(refusal), success=False)
            return
        self._answer(request, "subscribe")
        for topic in topics:
            self._names[topic.name] = None
            self._hub.add(self._outbox, topic, now_ms)

    def _new_topic(self, name: str) -> Topic:
        topic = self._hub.topic(name)
        if name in self._names:
            raise Refusal(f"error:already subscribed,topic:{name}")
        return topic

    def _check_size(self, names: list[str]) -> None:
        if len(json.dumps([*self._names, *names])) > MOST_CHARACTERS:
            raise Refusal(f"error:args length >{MOST_CHARACTERS}")

    def _unsubscribe(self, request: Json, names: list[str]) -> None:
        for name in names:
            self._names.pop(name, None)
            self._hub.remove(self._outbox, name)
        self._answer(request, "unsubscribe")

    def _answer(self, request: Json, message: str, *, success: bool = True) -> None:
        answer = {"success": success, "ret_msg": message, "conn_id": self._conn_id}
        if "req_id" in request:
            answer["req_id"] = request["req_id"]
        self._say({**answer, "op": request.get("op", "")})

    def _say(self, answer: Json) -> None:
        self._outbox(json.dumps(answer, separators=(",", ":")))


def parsed(text: str) -> Json | str:
    """A request, or what is wrong with it."""
    try:
        request: Any = json.loads(text)
    except ValueError:
        return f"Failed to decode incoming data: {text[:40]}"
    return request if isinstance(request, dict) else "Failed to decode incoming data: not an object"
