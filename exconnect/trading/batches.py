"""Several orders at once: in batches where the exchange takes them, else one by one; one result for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from exconnect.errors import ExchangeError, ExconnectError, OutcomeUnknown
from exconnect.model.order import Order, PlaceOrder
from exconnect.protocol.call import Failure, FailureKind
from exconnect.trading.commands import SENDING, Commands, Ready

if TYPE_CHECKING:
    from exconnect.protocol.exchange import Batch
    from exconnect.trading.desk import Deadline, Desk

Result = Order | ExconnectError

_OPEN = frozenset({FailureKind.LOST, FailureKind.SERVER})  # nothing is known of what became of the order


class Batches:
    """Places many orders for one account."""

    def __init__(self, desk: Desk, commands: Commands, batch: Batch | None) -> None:
        self._desk = desk
        self._commands = commands
        self._batch = batch

    def place(
        self, orders: Sequence[PlaceOrder], check: Callable[[PlaceOrder], object], timeout: float
    ) -> list[Result]:
        """One result per order, in the order given; `check` refuses by raising. See `Client.place_orders`."""
        if self._batch is None:
            return [self._alone(order, check, timeout) for order in orders]
        deadline = self._desk.deadline(timeout)
        results = [self._prepared(order, check, deadline) for order in orders]
        ready = [(place, result) for place, result in enumerate(results) if isinstance(result, Ready)]
        done: dict[int, Result] = {}
        for start in range(0, len(ready), self._batch.BATCH):
            chunk = ready[start : start + self._batch.BATCH]
            answers = self._send(self._batch, [each for _, each in chunk], deadline)
            done |= {place: answer for (place, _), answer in zip(chunk, answers, strict=True)}
        return [done[place] if isinstance(result, Ready) else result for place, result in enumerate(results)]

    def _alone(self, order: PlaceOrder, check: Callable[[PlaceOrder], object], timeout: float) -> Result:
        try:
            check(order)
            return self._commands.place(order, timeout)
        except ExconnectError as error:
            return error

    def _prepared(self, order: PlaceOrder, check: Callable[[PlaceOrder], object], deadline: Deadline) -> Ready | Result:
        try:
            check(order)
            return self._commands.prepare(order, deadline)
        except ExconnectError as error:
            return error

    def _send(self, batch: Batch, orders: list[Ready], deadline: Deadline) -> list[Result]:
        call = batch.place_orders([(each.command, each.instrument, each.order.client_order_id) for each in orders])
        sending = self._commands.sending(orders)
        try:
            answers = self._desk.gateway.execute(call, deadline.left * SENDING, sending)
        except ExconnectError as error:
            return self._settled([(each, _copy(error, each)) for each in orders], deadline)
        except BaseException:
            for each in orders:
                self._commands.interrupted(each, sending)
            raise
        return self._settled(
            [(each, _answered(each, answer)) for each, answer in zip(orders, answers, strict=True)], deadline
        )

    def _settled(self, answers: list[tuple[Ready, Result]], deadline: Deadline) -> list[Result]:
        """What became of each; those without an answer are looked for together."""
        lost = [ready for ready, answer in answers if isinstance(answer, OutcomeUnknown)]
        self._commands.search(lost, deadline)
        return [self._result(ready, answer, deadline) for ready, answer in answers]

    def _result(self, ready: Ready, answer: Result, deadline: Deadline) -> Result:
        if isinstance(answer, Order):
            return self._commands.placed(ready, answer)
        try:
            return self._commands.unplaced(ready, answer, deadline)
        except ExconnectError as raised:
            return raised


def _answered(ready: Ready, answer: Order | Failure) -> Result:
    if isinstance(answer, Order):
        return answer
    error = _copy(answer.error, ready)
    return OutcomeUnknown(error.message, error.details) if answer.kind in _OPEN else error


def _copy(error: ExconnectError, ready: Ready) -> ExconnectError:
    """The same for one order: each has an error of its own."""
    details = {name: value for name, value in error.details.items() if name != "client_order_id"}
    names = {"symbol": ready.order.symbol, "client_order_id": ready.order.client_order_id, "operation": "place_order"}
    if isinstance(error, ExchangeError | OutcomeUnknown):
        names["exchange"] = ready.order.exchange
    return type(error)(error.message, details | names)
