"""The private socket: logging on, and the events of the user's account.

https://bybit-exchange.github.io/docs/v5/websocket/private/order
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from exconnect.mock.disturb import Disturber, broken
from exconnect.mock.orders import Report

from .auth import log_on
from .errors import Fail
from .session import parsed
from .user_data import known, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exconnect.mock.keys import Keys
    from exconnect.mock.later import Later
    from exconnect.mock.world import Happened, World

    from .shapes import Json


class PrivateSession:
    """One connection to ``/v5/private``."""

    kind = "private"
    counts_frames = False

    def __init__(
        self,
        world: World,
        keys: Keys,
        answers: Later,
        outbox: Callable[[str], None],
        conn_id: str,
        idle_within: float,
    ) -> None:
        self.idle_within = idle_within
        self._world = world
        self._keys = keys
        self._answers = answers
        self._outbox = outbox
        self._conn_id = conn_id
        self._is_known = False
        self._topics: dict[str, None] = {}
        self._frames = 0
        self._disturber = Disturber(world.faults)
        world.listeners.append(self._on_happened)

    def close(self) -> None:
        """The socket is gone."""
        if self._on_happened in self._world.listeners:
            self._world.listeners.remove(self._on_happened)

    def farewell(self, now_ms: int) -> None:
        """This exchange says nothing before it hangs up."""

    # Requests

    def receive(self, text: str, now_ms: int) -> bool:
        """Takes one request, to answer it soon; this exchange never hangs up because of one."""
        self._answers.submit(now_ms, lambda at_ms: self._handle(text, at_ms))
        return True

    def _handle(self, text: str, now_ms: int) -> None:
        request = parsed(text)
        if isinstance(request, str):
            self._answer({}, request, success=False)
            return
        op = request.get("op")
        if op == "ping":
            echoed = {name: request[name] for name in ("req_id",) if name in request}
            self._say({**echoed, "op": "pong", "args": [str(now_ms)], "conn_id": self._conn_id})
        elif op == "auth":
            self._log_on(request, now_ms)
        elif op in {"subscribe", "unsubscribe"}:
            self._subscriptions(request, is_wanted=op == "subscribe")
        else:
            self._answer(request, "error:invalid op", success=False)

    def _log_on(self, request: Json, now_ms: int) -> None:
        try:
            log_on(request.get("args"), self._keys, now_ms)
        except Fail as fail:
            self._answer(request, fail.message, success=False)
        else:
            self._is_known = True
            self._answer(request, "")

    def _subscriptions(self, request: Json, *, is_wanted: bool) -> None:
        """What exists is taken even beside what does not."""
        names = request.get("args")
        if not self._is_known:
            self._answer(request, "Request not authorized", success=False)
            return
        if not isinstance(names, list) or not names:
            self._answer(request, "error:invalid args", success=False)
            return
        good = [name for name in names if known(name, names)]
        for name in good:
            self._topics.pop(name, None)
            if is_wanted:
                self._topics[name] = None
        bad = [name for name in names if name not in good]
        text = f"success topics: {_listed(good)}, fail topics: {_listed(bad)}" if bad else ""
        self._answer(request, text, success=not bad)

    # Events

    def _on_happened(self, happened: list[Happened]) -> None:
        reports = [one.event for one in happened if isinstance(one.event, Report)]
        if not self._topics or not reports:
            return
        now_ms = reports[-1].time_ms
        if self._world.faults.lasting("silence", "private", now_ms) is not None:
            return
        for name in self._topics:
            if name in {"order", "order.spot"}:
                for report in reports:  # each step in a frame of its own
                    for row in rows_of(name, self._world, [report]):
                        self._of_orders(name, [row], report)
            elif name in {"execution", "execution.spot"}:
                self._of_orders(name, rows_of(name, self._world, reports), reports[-1])
            else:
                self._event(name, rows_of(name, self._world, reports), now_ms)

    def _of_orders(self, name: str, rows: list[Json], last: Report) -> None:
        """What faults on `order` may disturb: both that an order went on, and that it was filled."""
        if rows:
            for sent, is_broken in self._disturber.apply("order", last.order.market.symbol, name, rows):
                self._event(name, sent, last.time_ms, is_broken=is_broken)

    def _event(self, topic: str, rows: list[Json], now_ms: int, *, is_broken: bool = False) -> None:
        if not rows:
            return
        self._frames += 1
        head = {} if topic.startswith("execution.fast") else {"id": f"{self._conn_id}_{self._frames}"}
        text = json.dumps({**head, "topic": topic, "creationTime": now_ms, "data": rows}, separators=(",", ":"))
        self._outbox(broken(text) if is_broken else text)

    def _answer(self, request: Json, message: str, *, success: bool = True) -> None:
        answer = {"success": success, "ret_msg": message, "op": request.get("op", ""), "conn_id": self._conn_id}
        if "req_id" in request:
            answer["req_id"] = request["req_id"]
        self._say(answer)

    def _say(self, answer: Json) -> None:
        self._outbox(json.dumps(answer, separators=(",", ":")))


def _listed(names: Iterable[str]) -> str:
    return f"[{','.join(map(str, names))}]"
