"""What a case asks of a peer; here what those say that have no answer. The standard library only."""

from __future__ import annotations

from typing import Any

SYMBOL = "BTCUSDT"


class Base:
    """One library, one client of it. `distribution` is its name on PyPI, `exchange` what it is connected to."""

    distribution = ""
    exchange = "binance"

    def __init__(self, address: dict[str, Any]) -> None:
        self.rest_url: str = address["rest_url"]
        self.stream_url: str = address["stream_url"]
        self.private_url: str = address["private_url"]
        self.key: str = address["key"]
        self.secret: str = address["secret"]
        self.client: Any = None

    def learn(self) -> None:
        """Load the exchange's rules and limits, where the library asks its users to."""

    def remembered(self) -> int:
        """Orders of earlier processes that the library itself knows of, without being told any id."""
        return 0

    def seen_open(self) -> int | None:
        """Open orders that the exchange shows."""
        return None

    def states(self) -> list[str] | None:
        """States of the order as the user saw them, in their order."""
        return None

    def filled(self, value: Any) -> bool | None:
        """Whether the order that was returned is called filled."""
        return None

    def claims(self) -> bool | None:
        """Whether it says that it is connected."""
        return None

    def told(self) -> int | None:
        """How often it told the program of a failed handler."""
        return None

    def doubts(self) -> int:
        """How often it noticed that something is wrong with the stream."""
        return 0

    def guard(self) -> str | None:
        """What it says in a forked child."""
        return None
