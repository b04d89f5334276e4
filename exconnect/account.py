"""The private half of what may be asked: balances, fees, orders and fills, over REST."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

from exconnect.errors import InvalidArgument, NotSupported, says_operation
from exconnect.market import MarketData, as_range, from_start, left_of
from exconnect.model.account import Balances, Fees, Position
from exconnect.model.order import Fill, Order, OrderRef, client_id_of, text_of
from exconnect.model.values import When, symbol_of
from exconnect.protocol.pages import Page, Pages, State, Where, begin, gather, mark_item, mark_order, resume

if TYPE_CHECKING:
    from exconnect.trading.desk import Deadline
    from exconnect.venue.parts import Venue


class AccountData(MarketData):
    """What an account holds, pays, has ordered and was filled.

    Besides what `MarketData` says, every method raises `ConfigurationError` without credentials, and
    `AuthenticationError` or `PermissionDenied` when the exchange does not accept them.
    """

    @abstractmethod
    def _private(self) -> Venue:
        """This process's parts, for a call that needs a key."""

    @says_operation
    def fetch_balances(self, *, timeout: float | None = None) -> Balances:
        """What is held, by asset; an asset that is not held reads as zero."""
        return self._private().balances(self._timeout(timeout))

    @says_operation
    def fetch_fees(self, symbol: str, *, timeout: float | None = None) -> Fees:
        """What a fill costs, as fractions."""
        venue, left = self._private(), self._timeout(timeout)
        return venue.call(self._exchange.rest.fetch_fees(venue.instrument(symbol, left)), left)

    @says_operation
    def fetch_positions(self, *symbols: str, timeout: float | None = None) -> list[Position]:
        """Positions in perpetuals.

        Raises:
            NotSupported: this version trades spot only.
        """
        raise NotSupported("positions are for perpetuals, which this version does not have", {"capability": "futures"})

    @says_operation
    def fetch_order(
        self,
        order: OrderRef | None = None,
        *,
        symbol: str | None = None,
        order_id: str | None = None,
        timeout: float | None = None,
    ) -> Order:
        """One order as the exchange has it now, by client order id or by the exchange's `order_id`.

        Raises:
            OrderNotFound: the exchange shows no such order. Right after placing this may be premature.
            InvalidArgument: neither id was given, or no symbol and the order is not known here.
        """
        if (order is None) == (order_id is None):
            raise InvalidArgument("give order (a client order id or an Order) or order_id", {"argument": "order"})
        left, venue = self._timeout(timeout), self._private()
        if order is None:
            if symbol is None:
                raise InvalidArgument("order_id goes with symbol", {"argument": "symbol"})
            return venue.queries.order(None, text_of(order_id or "", "order_id"), symbol, left)
        client_order_id, where, known = venue.desk.place_of(order, symbol)
        return venue.queries.order(client_order_id, None if known is None else known.order_id, where, left)

    @says_operation
    def fetch_open_orders(self, symbol: str | None = None, *, timeout: float | None = None) -> list[Order]:
        """Open orders of a symbol, or of the account; oldest first."""
        return self._private().queries.open_orders(symbol, self._timeout(timeout))

    @says_operation
    def fetch_orders(
        self,
        symbol: str,
        *,
        start: When | None = None,
        end: When | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> list[Order]:
        """One page of the history, oldest first: from `start`, else the newest."""
        limit = self._limit(limit, "orders", "iter_orders")
        where = as_range(start, end)
        venue = self._private()
        deadline = venue.desk.deadline(self._timeout(timeout))

        def ask(where: Where) -> Page[Order]:
            return venue.queries.orders(symbol, where, limit, deadline.left)

        return gather(ask, where, mark_order, limit)

    @says_operation
    def fetch_fills(
        self,
        symbol: str,
        *,
        order: OrderRef | None = None,
        start: When | None = None,
        end: When | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> list[Fill]:
        """One page of the account's fills, oldest first."""
        limit = self._limit(limit, "fills", "iter_fills")
        where = as_range(start, end)
        venue = self._private()
        deadline = venue.desk.deadline(self._timeout(timeout))
        whole = None if order is None else self._whole(venue, order, symbol, deadline)
        order_id = None if whole is None else whole.order_id

        def ask(where: Where) -> Page[Fill]:
            return venue.queries.fills(symbol, where, order_id=order_id, limit=limit, timeout=deadline.left)

        fills = gather(ask, where, mark_item, limit)
        if whole is not None:
            venue.account.orders.apply(replace(whole, fills=tuple(fills)))
        return fills

    @staticmethod
    def _whole(venue: Venue, order: OrderRef, symbol: str, deadline: Deadline) -> Order:
        """The order with the exchange's id, which its fills go by."""
        known = venue.desk.place_of(order, symbol)[2]
        if known is not None and known.order_id is not None:
            return known
        return venue.desk.find(venue.instrument(symbol, deadline.left), client_id_of(order), None, deadline)

    @says_operation
    def iter_orders(
        self,
        symbol: str,
        *,
        start: When | None = None,
        end: When | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        timeout: float | None = None,
    ) -> Pages[Order]:
        """Every order with `start <= created_at < end`, ascending, once; see `Pages`.

        Without `start` from the first on, or as far back as is worth a call for each week (see "Download history").
        """
        wait, most = self._timeout(timeout), self._exchange.rest.PAGE["orders"]

        def ask(state: State, where: Where) -> Page[Order]:
            return self._private().queries.orders(state["symbol"], where, most, wait)

        state = _begin("iter_orders", symbol, start, end, limit, cursor)
        return Pages("iter_orders", state, ask, mark_order)

    @says_operation
    def iter_fills(
        self,
        symbol: str,
        *,
        start: When | None = None,
        end: When | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        timeout: float | None = None,
    ) -> Pages[Fill]:
        """Every fill of the account with `start <= time < end`, ascending, once; see `Pages`.

        Without `start` from the first on, or as far back as is worth a call for each week (see "Download history").
        """
        wait, most = self._timeout(timeout), self._exchange.rest.PAGE["fills"]

        def ask(state: State, where: Where) -> Page[Fill]:
            return self._private().queries.fills(state["symbol"], where, order_id=None, limit=most, timeout=wait)

        state = _begin("iter_fills", symbol, start, end, limit, cursor)
        return Pages("iter_fills", state, ask, mark_item)


def _begin(
    name: str, symbol: str, start: When | None, end: When | None, limit: int | None, cursor: str | None
) -> State:
    if cursor is not None:
        return resume(name, cursor, symbol=symbol_of(symbol))
    return begin(from_start(as_range(start, end)), left_of(limit), symbol=symbol_of(symbol))
