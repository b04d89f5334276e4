"""What an endpoint is, and what its handler is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from exconnect.mock.world import World

    from .intake import Intake
    from .params import Params
    from .shapes import Json
    from .streams import Hub


@dataclass(slots=True)
class Call:
    """One request on its way through a handler; ``granted``: how many rows of a batch its limit still allows."""

    world: World
    intake: Intake
    hub: Hub
    params: Params
    now_ms: int
    operation: str = ""
    granted: int = 1
    api_key: str = ""
    connection: int = 0
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of the API, the same over REST and on the order entry socket.

    ``operation`` is the name that a client library gives it. ``per_second``: of one account, 0 for public calls;
    ``is_order``: its limit is one of those that are called ``orders``; ``units``: what a request counts against it.
    """

    method: str
    path: str
    operation: str
    handler: Callable[[Call], Any]
    per_second: int = 0
    is_order: bool = False
    units: Callable[[Params], int] = lambda _: 1

    @property
    def is_signed(self) -> bool:
        """Whether it belongs to an account."""
        return self.per_second > 0
