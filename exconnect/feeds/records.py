"""What a private connection needs of the account."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from decimal import Decimal

    from exconnect.feeds.handouts import HandoutLog
    from exconnect.model.account import Balance
    from exconnect.model.order import Fill, Order
    from exconnect.protocol.exchange import Lookup
    from exconnect.protocol.session import Standing


class Records(Protocol):
    """The account's stores, as a private connection sees them."""

    @property
    def lookup(self) -> Lookup:
        """An instrument by the exchange's symbol."""

    def order(self, news: Order) -> Order:
        """Merge it in; what is known then."""

    def balances(self, changed: Sequence[Balance], time_ms: int) -> None:
        """Merge them in."""

    def held(self, assets: Iterable[str]) -> list[Balance]:
        """As much of these as is known to be held."""

    def filled(self, fill: Fill) -> None:
        """It explains a change of balances."""

    def transferred(self, asset: str, quantity: Decimal, time_ms: int) -> None:
        """So does this."""

    def unexplained(self) -> dict[str, Decimal]:
        """Changes of balances that nothing explains."""

    def settle(self) -> None:
        """The account was walked: there is nothing left to explain."""

    def fills(self) -> list[Fill]:
        """All that are known."""

    def has_open_orders(self) -> bool:
        """Whether anything may still be filled."""

    def catch_up(
        self,
        start_ms: int,
        symbols: Iterable[str],
        unknown: Iterable[str],
        timeout: float,
        heard: Callable[[Balance], bool] | None = None,
    ) -> Standing:
        """Ask how the account stands; `heard`: whether the stream's handlers have heard of a balance."""

    def listen(self, listener: Callable[[Order], None]) -> None:
        """Call it with every change of an order, from whatever thread makes it."""

    def forget(self, listener: Callable[[Order], None]) -> None:
        """No more calls."""

    def follow(self, follower: object, *, is_live: bool) -> None:
        """Say whether this connection keeps the stores up to date."""

    def earliest_ms(self, ago: float) -> int:
        """The earliest that the exchange's clock can have shown so many seconds ago."""

    @property
    def handouts(self) -> Callable[[str], HandoutLog | None]:
        """Where a stream of that name writes down which fills were handled."""
