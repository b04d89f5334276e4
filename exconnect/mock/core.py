"""An exchange as the object that the user holds sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from .steps import Exchange

if TYPE_CHECKING:
    from .front import Front
    from .keys import Keys
    from .world import World


class Core(Exchange, Protocol):
    """One exchange, and what its user may look at and change."""

    world: World
    keys: Keys
    front: Front

    def restart_clock(self, now_ms: int, activity: float) -> None:
        """The clock or the activity was set: nothing is made up for."""
        ...

    def sequence(self, symbol: str) -> int:
        """The update id of the book as it is at this moment."""
        ...
