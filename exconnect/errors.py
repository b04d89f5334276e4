"""Everything that can go wrong, as one tree.

    ExconnectError
    ├── ConfigurationError          settings, a missing key or extra, an unknown exchange
    ├── NotSupported                this exchange, or this client, cannot
    ├── InvalidArgument             a value that cannot be right (also a ValueError)
    │   ├── UnknownSymbol
    │   └── InvalidOrder            the instrument's rules, or a combination of arguments
    ├── InvalidType                 a float for money, a coroutine as handler (also a TypeError)
    ├── RiskRejected
    │   └── TradingHalted
    ├── IntentConflict              the same id or key with other parameters
    ├── JournalUnavailable
    ├── CircuitOpen
    ├── WouldExceedLimit
    ├── ClientClosed
    ├── TransportError              never sent, or only a read
    ├── OutcomeUnknown              sent, no answer: do not send again
    ├── ExchangeError               the exchange said no
    │   ├── AuthenticationError
    │   │   └── PermissionDenied
    │   ├── RateLimited
    │   │   └── Banned
    │   ├── ClockSkew
    │   ├── Unavailable
    │   └── OrderRejected
    │       ├── InsufficientFunds
    │       ├── WouldCross
    │       ├── DuplicateOrder
    │       ├── OrderNotFound
    │       └── AmendRefused
    ├── MalformedMessage
    └── StreamError
        ├── BookNotReady
        ├── ForkedStream
        └── StaleStream

Each class says whether the call may have been executed (`outcome`) and whether the same call may be
repeated (`retryable`). An error carries data only: `args == (message, details)` with plain JSON in
`details`, so that pickle, copy and a task queue's JSON hand on all of it.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
P = ParamSpec("P")


class Outcome(StrEnum):
    """What a failure says about the call: was anything executed?"""

    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class _Detail(Generic[T]):
    """One entry of `details` as a typed, read-only attribute; None when it does not apply."""

    def __init__(self, read: Callable[[Any], T]) -> None:
        self._read = read

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, error: None, owner: type) -> Self: ...
    @overload
    def __get__(self, error: ExconnectError, owner: type) -> T | None: ...
    def __get__(self, error: ExconnectError | None, owner: type) -> Self | T | None:
        if error is None:
            return self
        value = error.details.get(self._name)
        return None if value is None else self._read(value)


def _code(value: Any) -> int | str:
    return value if isinstance(value, int) else str(value)


class ExconnectError(Exception):
    """Root of the tree: `message` in words, everything else in `details`."""

    outcome: ClassVar[Outcome] = Outcome.NOT_SENT
    retryable: bool = False

    retry_after = _Detail(float)
    exchange = _Detail(str)
    operation = _Detail(str)
    symbol = _Detail(str)
    client_order_id = _Detail(str)
    code = _Detail(_code)
    http_status = _Detail(int)
    request_id = _Detail(str)

    def __init__(self, message: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(message, dict(details or {}))
        # What the class says, unless more is known of this one: then it is data, which goes wherever the error goes.
        self.retryable = bool(self.details.get("retryable", type(self).retryable))

    @property
    def message(self) -> str:
        """What happened and what to do next, for a person."""
        return str(self.args[0])

    @property
    def details(self) -> dict[str, Any]:
        """The same as data: plain JSON."""
        details: dict[str, Any] = self.args[1]
        return details

    @property
    def kind(self) -> str:
        """Name of the class in snake case: `"insufficient_funds"`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    def add(self, **details: Any) -> Self:
        """Fill in details that are known only further up the road; what is there already stays."""
        for name, value in details.items():
            if value is not None and self.details.get(name) is None:
                self.details[name] = value
        return self

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), self.args


class ConfigurationError(ExconnectError):
    """A setting is wrong or missing; the message lists the choices or names the variables."""


class NotSupported(ExconnectError):
    """This exchange, or this client (`read_only`), cannot do that."""

    capability = _Detail(str)


class InvalidArgument(ExconnectError, ValueError):
    """A value that cannot be right; nothing was sent."""

    argument = _Detail(str)


class UnknownSymbol(InvalidArgument):
    """No such instrument on this exchange."""

    suggestions = _Detail(tuple[str, ...])


class InvalidOrder(InvalidArgument):
    """The instrument's rules refuse the order, or its arguments do not go together.

    `filter` names the rule (`tick_size lot_size min_quantity max_quantity min_notional max_notional
    price_range`, or None for a combination), `limit` its bound, `value` what was asked for and `nearest`
    the nearest value that would pass.
    """

    filter = _Detail(str)
    limit = _Detail(Decimal)
    value = _Detail(Decimal)
    nearest = _Detail(Decimal)


class InvalidType(ExconnectError, TypeError):
    """A value of a type that loses money (a float) or cannot work here (a coroutine function)."""

    argument = _Detail(str)


class RiskRejected(ExconnectError):
    """A risk check refused the order, or failed (`__cause__`); nothing was sent."""

    check = _Detail(str)


class TradingHalted(RiskRejected):
    """`halt()` is on: nothing is placed until `resume()`; cancels go on."""

    reason = _Detail(str)
    since = _Detail(datetime.fromisoformat)


class IntentConflict(ExconnectError):
    """The same client order id or idempotency key was used before with other parameters."""


class JournalUnavailable(ExconnectError):
    """The journal cannot be used. An order that cannot be written down is not sent; cancels and reads go on."""

    retryable = True

    def __str__(self) -> str:
        if (self.operation or "").startswith(("place_", "amend_")):
            return f"{self.message}: nothing was sent, and cancels go on"
        return self.message


class CircuitOpen(ExconnectError):
    """Not tried: the exchange failed too often just now."""

    retryable = True


class WouldExceedLimit(ExconnectError):
    """Not tried: the rate budget does not free up before the deadline."""

    retryable = True


class ClientClosed(ExconnectError):
    """The client or stream was closed."""


class TransportError(ExconnectError):
    """The network failed: never sent, or known never to have arrived, or it was only a read.

    An order with an id or a key of yours that never arrived is not `retryable`: it has used them up.
    """

    retryable = True


class OutcomeUnknown(ExconnectError):
    """Sent, and no answer: it may have been executed. Do not send it again; `resolve()` finds out."""

    outcome = Outcome.UNKNOWN
    _resolver: Callable[[float], Any] | None = None

    def bind(self, resolver: Callable[[float], Any]) -> Self:
        """Connect `resolve()` to the client that sent the order."""
        self._resolver = resolver
        return self

    def resolve(self, timeout: float = 30.0) -> Any:
        """Find out what became of the order: an `Order` that is not `UNKNOWN`.

        One that the exchange has is seen within seconds, as a rule. That one never arrived takes a little over a minute
        from when it was sent to know (`timeout=120` is enough in ordinary times), and the search goes on in the
        background meanwhile.

        Raises:
            OutcomeUnknown: still not known after `timeout` seconds.
            NotSupported: the error was pickled; use `client.orders.resolve(error.client_order_id)`.
        """
        if self._resolver is None:
            text = "this error no longer knows its client: use client.orders.resolve(error.client_order_id)"
            raise NotSupported(text, dict(self.details))
        return self._resolver(timeout)


class ExchangeError(ExconnectError):
    """It arrived and the exchange said no; `code` and `message` are the exchange's own.

    As text it says besides who refused what.
    """

    outcome = Outcome.REJECTED

    def __str__(self) -> str:
        if self.exchange is None or (self.operation is None and self.code is None) or self._is_ours():
            return self.message
        needed = self.details.get("asset")
        about = [self.symbol, self.client_order_id and f"order {self.client_order_id}", needed and f"needs {needed}"]
        named = ", ".join(part for part in about if part)
        code = "" if self.code is None else f" [{self.code}]"
        what = "" if self.operation is None else f" refused {self.operation}"
        return f"{self.exchange}{what}{f' ({named})' if named else ''}: {self.message}{code}"

    def _is_ours(self) -> bool:
        """Whether it was concluded here, and no answer of the exchange says so."""
        return False


class AuthenticationError(ExchangeError):
    """Key or signature is wrong."""


class PermissionDenied(AuthenticationError):
    """The key may not do this, or this address is not on its list."""


class RateLimited(ExchangeError):
    """The exchange counts too many requests; wait `retry_after` seconds."""

    retryable = True


class Banned(RateLimited):
    """The address is banned until `retry_after` seconds have passed; every request makes it longer."""


class ClockSkew(ExchangeError):
    """The timestamp was refused even after the clock was synced and the request signed again."""

    retryable = True


class Unavailable(ExchangeError):
    """Maintenance or overload, and certainly not executed."""

    retryable = True


class OrderRejected(ExchangeError):
    """An order, amend or cancel was refused; nothing was executed."""


class InsufficientFunds(OrderRejected):
    """The balance does not cover the order."""


class WouldCross(OrderRejected):
    """A post-only order would have taken liquidity."""


class DuplicateOrder(OrderRejected):
    """The exchange knows an order with this client order id."""


class OrderNotFound(OrderRejected):
    """The exchange has no such order, or none that is open."""

    def _is_ours(self) -> bool:
        return self.code is None and self.http_status is None


class AmendRefused(OrderRejected):
    """The order was left as it is."""

    def _is_ours(self) -> bool:
        return self.code is None and self.http_status is None


class MalformedMessage(ExconnectError):
    """An answer to a read that makes no sense; the beginning of it is in `text`."""

    retryable = True
    text = _Detail(str)


class StreamError(ExconnectError):
    """Reading a stream that cannot be read now; `state` since `since`."""

    state = _Detail(str)
    since = _Detail(datetime.fromisoformat)


class BookNotReady(StreamError):
    """The book is not valid at this moment, and an old one is not shown as current.

    `state` is the stream's; `"refused"` when there is no such symbol, or the exchange does not give its book.
    """


class ForkedStream(StreamError):
    """The stream belongs to the parent process; `start()` opens a new one here."""


class StaleStream(StreamError):
    """Cause of a status change: the connection is open but brings no data."""


class _OfAnExchange(Protocol):
    @property
    def exchange(self) -> str: ...


C = TypeVar("C", bound=_OfAnExchange)


def says_operation(method: Callable[Concatenate[C, P], T]) -> Callable[Concatenate[C, P], T]:
    """Errors that leave this method name it as their `operation`, whichever call under it has failed."""

    @wraps(method)
    def call(self: C, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except ExconnectError as error:
            error.details["operation"] = method.__name__
            error.add(exchange=self.exchange)
            raise

    return call
