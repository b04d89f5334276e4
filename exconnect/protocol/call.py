"""A REST call as a value: what to send, what it costs, how to read the answer, what may be repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Generic, TypeVar

from msgspec import Struct

from exconnect.errors import ExconnectError
from exconnect.model.values import plain

T = TypeVar("T")

Params = tuple[tuple[str, str], ...]
Value = str | int | Decimal | None


def params_of(pairs: Iterable[tuple[str, Value]]) -> Params:
    """As they travel; what is None is left out."""
    return tuple((name, _text(value)) for name, value in pairs if value is not None)


def _text(value: str | int | Decimal) -> str:
    """Digits and a point, no exponent, no zeros that say nothing."""
    if not isinstance(value, Decimal):
        return str(value)
    text = plain(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


class Lane(IntEnum):
    """Who goes first when the budget is short; a cancel never waits behind market data."""

    CANCEL = 0
    PLACE = 1
    QUERY = 2
    STREAM = 3
    MARKET = 4
    HISTORY = 5


class Replay(Enum):
    """What a failure without an answer allows."""

    SAFE = "safe"  # a read: repeat it
    NEVER = "never"  # a place: what became of it must be found out, never guessed by sending again
    ABSOLUTE = "absolute"  # a cancel or an amend to absolute values: the second does no more than the first


class Security(Enum):
    """Whether a call is signed."""

    PUBLIC = "public"
    SIGNED = "signed"


class FailureKind(Enum):
    """Why an answer is no success (or there is none), as far as it matters for what to do next."""

    LOCAL = "local"  # not sent: no connection
    LOST = "lost"  # sent, perhaps in part, and no usable answer
    SERVER = "server"  # an answer that does not say whether it was executed
    LIMIT = "limit"  # too many requests
    CLOCK = "clock"  # the timestamp was refused
    AUTH = "auth"  # key or signature
    DUPLICATE = "duplicate"  # the exchange knows this client order id
    BUSINESS = "business"  # any other definite no


class Request(Struct, frozen=True):
    """What travels. `params` are still unencoded; signing (or `encode`) turns them into `query` or `body`.

    `repr` shows nothing that signing adds: a traceback with locals may go anywhere.
    """

    method: str
    path: str
    params: Params = ()
    headers: Params = ()
    query: str = ""
    body: bytes = b""

    def __repr__(self) -> str:
        return f"Request({self.method!r}, {self.path!r}, {self.params!r})"


class Response(Struct, frozen=True):
    """What came back, and from which path. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    path: str = ""


class Cost(Struct, frozen=True):
    """What a call takes from every pool of one kind; `refunded` if a success turns out to be free."""

    kind: str
    amount: int = 1
    refunded: bool = False


class Pool(Struct, frozen=True):
    """A rate budget: `limit` units in each window of `seconds`, windows aligned to the exchange's clock.

    `scope` is `"ip"` (shared by everything on this address) or `"account"`; `is_rolling`: in any so many seconds,
    whenever they begin.
    """

    kind: str
    scope: str
    limit: int
    seconds: int
    is_rolling: bool = False

    @property
    def name(self) -> str:
        """Kind and window, as in `health().limits`: `"request_weight_60s"`."""
        return f"{self.kind}_{self.seconds}s"


class Usage(Struct, frozen=True):
    """What an answer says of our limits: units used by pool name, and how long to stay away.

    `exhausted` is the kind of pool that a refusal is about (`"orders"`); None: everything from this address.
    `pools` are limits as this answer announces them.
    """

    used: Mapping[str, int] = {}
    retry_after: float | None = None
    banned: bool = False
    exhausted: str | None = None
    pools: tuple[Pool, ...] = ()


class Failure(Struct, frozen=True):
    """An answer that is no success: why, and the error for the user."""

    kind: FailureKind
    error: ExconnectError


class Call(Struct, Generic[T], frozen=True):
    """One REST call. `operation` is the client's method name; `decode` reads a successful answer."""

    operation: str
    request: Request
    decode: Callable[[Response], T]
    costs: tuple[Cost, ...] = ()
    lane: Lane = Lane.MARKET
    replay: Replay = Replay.SAFE
    security: Security = Security.PUBLIC
    symbol: str | None = None
    client_order_id: str | None = None
    max_body: int = 8 * 1024 * 1024
