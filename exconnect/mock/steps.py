"""The seam between an exchange and whatever drives it: sockets and threads, or a virtual clock.

An exchange is one object that takes values and the time and gives values. It never waits and never sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from .faults import Fault
    from .http import Request, Response


@dataclass(frozen=True, slots=True)
class Wait:
    """The driver shall come back after so many seconds, with the time it then is."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Send:
    """The driver shall send this."""

    response: Response


@dataclass(frozen=True, slots=True)
class Reset:
    """The driver shall reset the connection."""


Step = Wait | Send | Reset


@dataclass(frozen=True, slots=True)
class SocketRules:
    """How the exchange treats an open socket."""

    ping_every: float = 20.0
    pong_within: float = 60.0
    lifetime: float = 86_400.0
    notice: float = 1.0  # before the end of it
    frames_per_second: int | None = 5


class Session(Protocol):
    """One websocket, without the socket. What it says goes to the ``outbox`` it was opened with.

    ``idle_within``: for how many seconds nobody may say anything on it.
    """

    kind: str
    counts_frames: bool
    idle_within: float

    def receive(self, text: str, now_ms: int) -> bool:
        """A message from the client; False: the exchange hangs up."""
        ...

    def farewell(self, now_ms: int) -> None:
        """The exchange will close this connection soon."""
        ...

    def close(self) -> None:
        """The socket is gone."""
        ...


class Exchange(Protocol):
    """One exchange in its own dialect."""

    rules: SocketRules

    def advance(self, now_ms: int) -> None:
        """Lets happen what happens by itself until now: other people, periodic messages."""
        ...

    def next_ms(self) -> float:
        """When something happens by itself next."""
        ...

    def serve(self, request: Request, now_ms: int) -> Generator[Step, int, None]:
        """A REST request: the steps to take; a Wait is answered with the time it then is."""
        ...

    def open(self, request: Request, outbox: Callable[[str], None], now_ms: int) -> Session | Response | Reset:
        """A websocket handshake: the session, or how it is refused."""
        ...

    def on_fault(self, fault: Fault, now_ms: int) -> None:
        """A fault that concerns sockets or read models begins."""
        ...

    def on_violation(self, text: str) -> None:
        """The driver saw a breach."""
        ...
