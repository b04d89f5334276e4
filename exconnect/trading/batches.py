"""Several orders at once: in batches where the exchange takes them, else one by one; one result for each.

An amend or a cancel of several is the first attempt for each of them. What became of it is found out order by order,
with the same care as if each had been sent alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from exconnect.errors import ExchangeError, ExconnectError, OutcomeUnknown, WouldExceedLimit
from exconnect.model.order import AmendOrder, CancelOrder, Order, PlaceOrder, client_id_of
from exconnect.protocol.call import Failure, FailureKind
from exconnect.trading.amends import Amending, Amends
from exconnect.trading.cancels import Canceling, Cancels
from exconnect.trading.outcomes import Answer
from exconnect.trading.places import SENDING, Places, Ready

if TYPE_CHECKING:
    from exconnect.protocol.call import Call
    from exconnect.protocol.exchange import Batch
    from exconnect.trading.desk import Deadline, Desk

Result = Order | ExconnectError
T = TypeVar("T")
Wish = TypeVar("Wish")


class Names(NamedTuple):
    """What an error of one order is about."""

    operation: str
    exchange: str
    symbol: str
    client_order_id: str


_LEAST_S = 1.0  # for each of several, however long those before it have taken
_OPEN = frozenset({FailureKind.LOST, FailureKind.SERVER})  # nothing is known of what became of the order


class Batches:
    """Places, amends and cancels many orders for one account."""

    def __init__(self, desk: Desk, places: Places, amends: Amends, cancels: Cancels, batch: Batch | None) -> None:
        self._desk = desk
        self._places = places
        self._amends = amends
        self._cancels = cancels
        self._batch = batch

    def place(
        self, orders: Sequence[PlaceOrder], check: Callable[[PlaceOrder], object], timeout: float
    ) -> list[Result]:
        """One result per order, in the order given; `check` refuses by raising. See `Client.place_orders`."""
        deadline = self._desk.deadline(timeout)
        if self._batch is None:
            told = [
                self._alone(order, check, deadline.share(len(orders) - place)) for place, order in enumerate(orders)
            ]
            return self._named("place_order", orders, told)
        again = _repeated(orders)
        results = [
            None if place in again else self._prepared(order, check, deadline) for place, order in enumerate(orders)
        ]
        ready = [(place, result) for place, result in enumerate(results) if isinstance(result, Ready)]
        done: dict[int, Result] = {}
        for start in range(0, len(ready), self._batch.BATCH):
            chunk = ready[start : start + self._batch.BATCH]
            answers = self._send(self._batch, [each for _, each in chunk], deadline)
            done |= {place: answer for (place, _), answer in zip(chunk, answers, strict=True)}
        for place in sorted(again):  # what the first of its name became is known by now
            done[place] = self._alone(orders[place], check, self._own(deadline).left)
        told = [
            done[place] if result is None or isinstance(result, Ready) else result
            for place, result in enumerate(results)
        ]
        return self._named("place_order", orders, told)

    def _alone(self, order: PlaceOrder, check: Callable[[PlaceOrder], object], timeout: float) -> Result:
        def run() -> Order:
            check(order)
            return self._places.place(order, timeout)

        return _tried(run)

    def _prepared(self, order: PlaceOrder, check: Callable[[PlaceOrder], object], deadline: Deadline) -> Ready | Result:
        def run() -> Ready | Order:
            check(order)
            return self._places.prepare(order, deadline)

        return _tried(run)

    def amend(self, amends: Sequence[AmendOrder], timeout: float) -> list[Result]:
        """As `place`, for amends. See `Client.amend_orders`."""
        deadline = self._desk.deadline(timeout)
        wishes = [_tried(partial(self._amends.amending, each, self._own(deadline))) for each in amends]
        together = self._together(
            [wish for wish in wishes if isinstance(wish, Amending) and wish.is_in_place],
            lambda wish: wish.order,
            lambda batch, some: batch.amend_orders([(wish.order, wish.amend, wish.instrument) for wish in some]),
            "amend_order",
            deadline,
        )

        def outcome(wish: Amending) -> Order:
            return self._amends.amended(wish, self._own(deadline), together.get(id(wish)))

        told = [_tried(partial(outcome, wish)) if isinstance(wish, Amending) else wish for wish in wishes]
        return self._named("amend_order", amends, told)

    def cancel(self, cancels: Sequence[CancelOrder], timeout: float) -> list[Result]:
        """As `amend`, for cancels. See `Client.cancel_orders`."""
        deadline, exchange = self._desk.deadline(timeout), self._desk.exchange
        wishes = [_tried(partial(self._cancels.canceling, each, self._own(deadline))) for each in cancels]
        together = self._together(
            [wish for wish in wishes if isinstance(wish, Canceling)],
            lambda wish: wish.order(exchange),
            lambda batch, some: batch.cancel_orders([(wish.order(exchange), wish.instrument) for wish in some]),
            "cancel_order",
            deadline,
        )

        def outcome(wish: Canceling) -> Order:
            return self._cancels.canceled(wish, self._own(deadline), together.get(id(wish)))

        told = [_tried(partial(outcome, wish)) if isinstance(wish, Canceling) else wish for wish in wishes]
        return self._named("cancel_order", cancels, told)

    def _named(
        self, operation: str, wishes: Sequence[PlaceOrder | AmendOrder | CancelOrder], told: list[Result]
    ) -> list[Result]:
        """The results, their errors with what they are about."""
        for wish, result in zip(wishes, told, strict=True):
            if isinstance(result, ExconnectError):
                result.details["operation"] = operation
                name = wish.client_order_id if isinstance(wish, PlaceOrder) else client_id_of(wish.order)
                result.add(exchange=self._desk.exchange, symbol=wish.symbol, client_order_id=name)
        return told

    def _own(self, deadline: Deadline) -> Deadline:
        """One that hangs must not leave those behind it without a question of their own."""
        return self._desk.deadline(max(deadline.left, _LEAST_S))

    def _together(
        self,
        wishes: list[Wish],
        order_of: Callable[[Wish], Order],
        make: Callable[[Batch, list[Wish]], Call[list[Failure | None]]],
        operation: str,
        deadline: Deadline,
    ) -> dict[int, Answer]:
        """Send those that may be sent together; what came of it, by the wish's identity."""
        batch = self._batch
        if batch is None:
            return {}
        # Of several for one order the first: the others go when it is known what that one did.
        firsts = {order_of(wish).client_order_id: wish for wish in reversed(wishes)}
        some = [
            wish for wish in wishes if firsts[order_of(wish).client_order_id] is wish and batch.takes(order_of(wish))
        ]
        answers: dict[int, Answer] = {}
        for start in range(0, len(some), batch.BATCH):
            chunk = some[start : start + batch.BATCH]
            if len(chunk) == 1 or deadline.left <= 0:
                break  # each goes alone
            outcomes = self._outcomes(make(batch, chunk), len(chunk), operation, deadline)
            for wish, outcome in zip(chunk, outcomes, strict=True):
                if _lacks_budget(outcome):
                    continue  # alone it costs less, and waits
                order = order_of(wish)
                names = Names(operation, order.exchange, order.symbol, order.client_order_id)
                answers[id(wish)] = partial(_raise, outcome, names)
        return answers

    def _outcomes(
        self, call: Call[list[Failure | None]], count: int, operation: str, deadline: Deadline
    ) -> Sequence[Failure | ExconnectError | None]:
        before = self._amends.refuse_if_halted if operation == "amend_order" else None
        try:
            return self._desk.gateway.execute(call, deadline.left * SENDING, before)
        except ExconnectError as error:
            return [error] * count

    def _send(self, batch: Batch, orders: list[Ready], deadline: Deadline) -> list[Result]:
        call = batch.place_orders([(each.command, each.instrument, each.order.client_order_id) for each in orders])
        sending = self._places.sending(orders)
        try:
            answers = self._desk.gateway.execute(call, deadline.left * SENDING, sending)
        except ExconnectError as error:
            if isinstance(error, WouldExceedLimit) and len(orders) > 1:  # not sent; fewer cost less
                half = len(orders) // 2
                return self._send(batch, orders[:half], deadline) + self._send(batch, orders[half:], deadline)
            return self._settled([(each, _copy(error, _names(each))) for each in orders], deadline)
        except BaseException:
            for each in orders:
                self._places.interrupted(each, sending)
            raise
        return self._settled(
            [(each, _answered(each, answer)) for each, answer in zip(orders, answers, strict=True)], deadline
        )

    def _settled(self, answers: list[tuple[Ready, Result]], deadline: Deadline) -> list[Result]:
        """What became of each; those without an answer are looked for together."""
        lost = [ready for ready, answer in answers if isinstance(answer, OutcomeUnknown)]
        self._places.search(lost, deadline)
        return [self._result(ready, answer, deadline) for ready, answer in answers]

    def _result(self, ready: Ready, answer: Result, deadline: Deadline) -> Result:
        if isinstance(answer, Order):
            return self._places.placed(ready, answer)
        return _tried(partial(self._places.unplaced, ready, answer, deadline))


def _answered(ready: Ready, answer: Order | Failure) -> Result:
    return answer if isinstance(answer, Order) else _error(answer, _names(ready))


def _repeated(orders: Sequence[PlaceOrder]) -> set[int]:
    """The places of those whose id or key one before them has already."""
    seen: set[tuple[str | None, str | None]] = set()
    again: set[int] = set()
    for place, order in enumerate(orders):
        name = order.client_order_id, order.idempotency_key
        if name in seen and name != (None, None):
            again.add(place)
        seen.add(name)
    return again


def _tried(run: Callable[[], T]) -> T | ExconnectError:
    try:
        return run()
    except ExconnectError as error:
        return error


def _lacks_budget(outcome: Failure | ExconnectError | None) -> bool:
    if isinstance(outcome, Failure):
        return outcome.kind is FailureKind.LIMIT
    return isinstance(outcome, WouldExceedLimit)


def _raise(outcome: Failure | ExconnectError | None, names: Names) -> None:
    """What a call for several has said of one order, as if it had been the only one."""
    if isinstance(outcome, Failure):
        raise _error(outcome, names)
    if outcome is not None:
        raise _copy(outcome, names)


def _names(ready: Ready) -> Names:
    return Names("place_order", ready.order.exchange, ready.order.symbol, ready.order.client_order_id)


def _error(failure: Failure, names: Names) -> ExconnectError:
    error = _copy(failure.error, names)
    return OutcomeUnknown(error.message, error.details) if failure.kind in _OPEN else error


def _copy(error: ExconnectError, names: Names) -> ExconnectError:
    """The same for one order: each has an error of its own."""
    details = {name: value for name, value in error.details.items() if name != "client_order_id"}
    own = names._asdict()
    if not isinstance(error, ExchangeError | OutcomeUnknown):
        del own["exchange"]
    return type(error)(error.message, details | own)
