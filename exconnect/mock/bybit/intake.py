"""The way of an order to the engine: it is taken at once and judged a few milliseconds later, in the order of arrival.

https://bybit-exchange.github.io/docs/v5/order/create-order ("the ack ... is asynchronous")
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from exconnect.mock.later import Later
from exconnect.mock.orders import BUY, NewOrder, Order, Refused, Report

from .errors import Fail
from .placing import ready

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exconnect.mock.world import Happened, World

LATENCY_MS = 4
_CHILDREN = (("takeProfit", "tpLimitPrice", "tp"), ("stopLoss", "slLimitPrice", "sl"))


class Intake:
    """Between the gateway and the engine."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.later = Later(LATENCY_MS)
        self._used: dict[str, int] = {}
        self._wishes: dict[int, NewOrder] = {}
        self._twins: dict[int, int] = {}
        world.listeners.append(self._on_happened)

    # What the gateway hands in

    def check_id(self, link_id: str) -> None:
        """An id is used once and never again. Raises: Fail."""
        if link_id in self._used:
            raise Fail(170141)

    def place(self, wish: NewOrder, now_ms: int) -> NewOrder:
        """Takes an order; the wish that comes back has the id by which it is known. Raises: Fail."""
        self.check_id(wish.client_id)
        number = self._world.engine.reserve()
        wish = replace(wish, client_id=wish.client_id or f"{number + 1}")
        self._used[wish.client_id] = number
        self._wishes[number] = wish
        self.later.submit(now_ms, lambda at_ms: self._judge(number, at_ms))
        return wish

    def number_of(self, link_id: str) -> int | None:
        """The order that was taken under this id."""
        return self._used.get(link_id)

    def wish(self, number: int) -> NewOrder | None:
        """What was asked for by an order that is still on its way."""
        return self._wishes.get(number)

    def on_their_way(self) -> list[int]:
        """The orders that are not judged yet."""
        return list(self._wishes)

    def cancel(self, number: int, now_ms: int) -> None:
        """Takes a cancel; one that comes too late changes nothing and says so."""
        self.later.submit(now_ms, lambda at_ms: self._cancel(number, at_ms))

    def amend(self, number: int, wanted: Mapping[str, Any], now_ms: int) -> None:
        """Takes an amend; one that cannot be done any more changes nothing."""
        self.later.submit(now_ms, lambda at_ms: self._amend(number, wanted, at_ms))

    # Judging

    def _judge(self, number: int, now_ms: int) -> None:
        engine, wish = self._world.engine, self._wishes.pop(number)
        wish = replace(ready(wish, engine), extra=(*wish.extra, ("base", engine.last[wish.market.symbol])))
        try:
            engine.place(wish, now_ms, number)
        except Refused as refused:
            engine.reject(wish, now_ms, number, refused.reason)
        self._world.settle()

    def _cancel(self, number: int, now_ms: int) -> None:
        order = self._world.engine.orders[number]
        if order.is_open:
            self._world.engine.cancel(order, now_ms, order.client_id)
        else:
            self._world.engine.too_late(order, now_ms)
        self._world.settle()

    def _amend(self, number: int, wanted: Mapping[str, Any], now_ms: int) -> None:
        engine, order = self._world.engine, self._world.engine.orders[number]
        if not order.is_open or all(getattr(order.wish, name) == value for name, value in wanted.items()):
            return
        wish = replace(order.wish, **wanted)
        if order.is_waiting:
            wanted = {**wanted, "type": ready(wish, engine).type}
        elif engine.would_take(wish):
            engine.expire(order, now_ms, "would_take")
            wanted = {}
        if wanted:
            with suppress(Refused):  # then it stays as it was, which the exchange does not announce
                engine.change(order, now_ms, **wanted)
        self._world.settle()

    # Take profit and stop loss

    def _on_happened(self, happened: list[Happened]) -> None:
        for one in happened:
            event = one.event
            if not isinstance(event, Report):
                continue
            if event.kind == "trade" and event.status == "filled":
                self._bear(event.order, event.time_ms)
            elif event.kind == "new" and event.order.has_triggered:
                self._end_twin(event.order, event.time_ms)

    def _bear(self, order: Order, now_ms: int) -> None:
        """A filled order's take profit and stop loss become orders of their own; one of them ends the other."""
        facts = dict(order.wish.extra)
        wanted = [(facts[trigger], facts[limit], short) for trigger, limit, short in _CHILDREN if trigger in facts]
        lot = order.market.lot
        received = order.filled - sum(fill.fee for fill in order.fills) if order.side == BUY else order.filled
        for trigger, limit, short in wanted:
            extra = {"filter": "BidirectionalTpslOrder" if len(wanted) > 1 else "tpslOrder", "short": short}
            wish = NewOrder(
                order.market,
                "sell" if order.side == BUY else BUY,
                "limit" if limit else "market",
                received // lot * lot,
                limit,
                stop_price=trigger,
                owner=order.owner,
                extra=tuple({"tif": "GTC" if limit else "IOC", "parent": order.placed_id, **extra}.items()),
                holds=False,
            )
            self.place(wish, now_ms)
        if len(wanted) == len(_CHILDREN):
            second, first = list(self._wishes)[-1], list(self._wishes)[-2]
            self._twins |= {first: second, second: first}

    def _end_twin(self, order: Order, now_ms: int) -> None:
        twin = self._world.engine.orders.get(self._twins.pop(order.id, 0))
        if twin is not None and twin.is_open:
            del self._twins[twin.id]
            self.later.submit(now_ms, lambda at_ms: self._end(twin, at_ms))

    def _end(self, order: Order, now_ms: int) -> None:
        if order.is_open:
            self._world.engine.expire(order, now_ms, f"oco_{dict(order.wish.extra)['short']}")
            self._world.settle()
