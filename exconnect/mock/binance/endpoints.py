"""What an endpoint is, and what its handler is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from exconnect.mock.limits import OrderCount
    from exconnect.mock.world import World

    from .params import Params


@dataclass(slots=True)
class Call:
    """One request on its way through a handler. ``headers`` and ``status`` are for the answer."""

    world: World
    params: Params
    now_ms: int
    order_count: OrderCount
    rate_limits: Callable[[], list[dict[str, Any]]]
    operation: str = ""
    status: int = 200
    counted: bool = field(default=False)
    connection: int = 0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of the API, the same over REST and over the WebSocket API.

    ``operation`` is the name that a client library gives it; ``is_free``: costs nothing when it succeeds.
    """

    method: str
    path: str
    operation: str
    weight: int | Callable[[Params], int]
    handler: Callable[[Call], Any]
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    is_signed: bool = False
    is_free: bool = False

    def cost(self, params: Params) -> int:
        """The documented weight of a call with these parameters."""
        return self.weight if isinstance(self.weight, int) else self.weight(params)


def names(text: str) -> frozenset[str]:
    """Parameter names of a line."""
    return frozenset(text.split())
