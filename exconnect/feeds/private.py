"""The connection for one account: its orders, fills and balances, and whatever was missed while nobody listened.

On every connection: subscribe, wait for the acknowledgement, hold back what comes, ask how the account stands, hand
out what had been missed, then what was held back, then what comes. A private stream can fall silent and look healthy,
so the account is walked again from time to time, and replies to the account's own calls must find their echo here.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from exconnect.errors import AuthenticationError, ConfigurationError, ExconnectError, StreamError, TransportError
from exconnect.feeds.connection import Connection, Supply
from exconnect.feeds.delivered import Delivered, Key, key_of
from exconnect.feeds.echoes import Echoes
from exconnect.feeds.handouts import Handouts
from exconnect.model.enums import Source, StreamStatus
from exconnect.model.events import GapClosed
from exconnect.model.values import datetime_of, ms_of
from exconnect.protocol.session import (
    PRIVATE,
    Acked,
    BalancesChanged,
    ClockOff,
    Closing,
    Denied,
    Inherited,
    OrderChanged,
    Refused,
    Standing,
    Topic,
    Transferred,
)

if TYPE_CHECKING:
    from datetime import datetime

    from exconnect.errors import MalformedMessage, OrderRejected
    from exconnect.feeds.budget import Attempts
    from exconnect.feeds.handlers import Router
    from exconnect.model.account import Balance
    from exconnect.model.order import Fill, Order
    from exconnect.protocol.exchange import Market
    from exconnect.protocol.session import Session

log = logging.getLogger("exconnect.stream")

_TOPICS = frozenset(Topic(kind, "", "") for kind in PRIVATE)
_WALK_S = 30.0  # for one walk
_OVERLAP_MS = 120_000  # what a read shows may lag so far behind what happened
_LOOKS_S = (5.0, 30.0, 120.0)  # after a connection was made, for the same reason
_OPEN_LOOK_S, _IDLE_LOOK_S = 60.0, 300.0  # between walks, while orders are open and otherwise
_UNDERWAY_MS, _UNDERWAY_S = 2_000, 3.0  # what is younger may still come by itself; look again after that
_AUDIT_S = 30.0  # between two walks because balances do not add up
_INCOMPLETE_S = 2.0
_MOST_INCOMPLETE = 10  # walks for the sake of fills that an order tells of and nobody shows
_LONGEST_RETRY_S = 30.0
_MOST_HELD = 100_000


class PrivateFeed(Connection):
    """The account's own connection. `symbols` says whose fills somebody waits for."""

    def __init__(
        self,
        venue: Supply,
        market: Market,
        router: Router,
        attempts: Attempts,
        changed: Callable[[], None],
        *,
        delivered: Delivered,
        handouts: Handouts,
        symbols: Callable[[], Iterable[str]],
    ) -> None:
        super().__init__("private", venue, market, router, attempts, changed)
        self._records = venue.records
        self._delivered = delivered
        self._handouts = handouts
        self._symbols = symbols
        self._since_ms: int | None = None  # exchange time from which on everything is handed out
        self._began_by_ms = 0  # exchange time at which it had begun for certain
        self._walked_ms: int | None = None  # up to here nothing is missing but what reads did not show yet
        self._lost_at: datetime | None = None
        self._held: list[OrderChanged | BalancesChanged] | None = []  # None: nothing is held back
        self._unknown_symbols: set[str] = set()
        self._session: Session | None = None
        self._generation = 0
        self._is_clock_known = self._was_garbled = False
        self._is_synced = False  # whether the exchange has told its time; one may be let in without
        self._is_walking = self._is_underway = False
        self._walk_at = self._audit_at = 0.0
        self._looks: deque[float] = deque()
        self._failures = self._incomplete = self._clock_failures = 0
        self._lacking: dict[Key, float] = {}  # orders of which not all is known, and until when that may come by itself
        self._echoes = Echoes(venue.env)
        self._take |= {
            Acked: self._ack,
            Refused: self._refuse,
            Denied: self._deny,
            ClockOff: self._clock_off,
            OrderChanged: self._order,
            BalancesChanged: self._balances,
            Transferred: self._transferred,
        }
        self._known: list[Fill] = self._records.fills()  # they happened before anybody asked
        self._inherited: Inherited | None = None  # what is still to be handed out for processes that are gone
        self._began = self._env.now()

    # ------------------------------------------------------------ the connection

    def start(self) -> None:
        """Start the thread."""
        self._records.listen(self._echoes.replied)
        super().start()

    def run(self) -> None:
        """One connection, from the first byte to the last."""
        if self.market.private_counts:
            self.pause(self._venue.stopped_for())
        try:
            super().run()
        except ConfigurationError as error:
            self._give_up(error)

    def _base(self) -> str:
        return self._venue.endpoints.private

    def _begin(self) -> Session:
        make = self._venue.exchange.private
        if make is None:
            raise ConfigurationError(f"{self._exchange} has no private streams here")
        self._session = make(self.market, self._venue.signer())
        self._generation += 1
        self._is_walking = False
        self._held = []
        return self._session

    def _adopt(self, session: Session) -> None:
        self._taken = self._asked
        if self._is_clock_known:
            self._acked = session.want(_TOPICS)
        else:
            self._learn_time()

    def _judge(self) -> None:
        if self.status is StreamStatus.SYNCING and self._held is None:
            self._restarts.healthy(self._env.now())
            self._become(StreamStatus.LIVE, "subscribed and caught up")
        elif self.status is StreamStatus.LIVE and self._held is not None:
            self._become(StreamStatus.SYNCING, "catching up")

    def _become(self, status: StreamStatus, reason: str, cause: BaseException | None = None) -> None:
        self._records.follow(self, is_live=status is StreamStatus.LIVE)
        super()._become(status, reason, cause)

    def _gone(self, reason: str) -> None:
        if self._lost_at is None and self.status in (StreamStatus.LIVE, StreamStatus.SUSPECT):
            self._lost_at = datetime_of(self._venue.server_now_ms())
        self._generation += 1  # what is being fetched now is for nobody
        if self.is_stopping:
            self._records.forget(self._echoes.replied)

    def _garbled(self, error: MalformedMessage) -> None:
        self._walk_at = self._env.now()
        self._was_garbled = True

    # ------------------------------------------------------------ what the exchange says of the connection

    def _ack(self, event: Acked) -> None:
        self._ask_at = self._env.now()  # what a login was waited for with can leave
        self._acked = self._acked | event.topics
        if self._acked >= _TOPICS and not self._is_walking:
            self._clock_failures = 0
            now_ms = self._venue.server_now_ms()
            self._echoes.restart(2 * now_ms - self._records.earliest_ms(0.0))  # by then at the latest it was live
            self._looks = deque(_LOOKS_S)
            self._walk()

    def _closing(self, event: Closing) -> None:
        if event.retry_after is not None and self.market.private_counts:
            self._venue.stop(event.retry_after, f"the account's stream: {event.reason}")
        super()._closing(event)

    def _refuse(self, event: Refused) -> None:
        kinds = ", ".join(sorted(topic.kind for topic in event.topics))
        raise TransportError(f"the exchange refused the subscription to {kinds}: {event.reason}")

    def _deny(self, event: Denied) -> None:
        self._give_up(event.error.add(exchange=self._exchange, operation="log_on"))

    def _clock_off(self, event: ClockOff) -> None:
        self._clock_failures += 1
        if self._clock_failures > 1:
            self._clock_failures = 0
            raise TransportError(f"the exchange's clock and ours do not agree: {event.reason}")
        self._learn_time()

    def _learn_time(self) -> None:
        """What is signed by a clock that nobody has compared is refused, and not always for that reason."""
        self._venue.jobs("orders").submit(partial(self._sync, self._generation))

    def _sync(self, generation: int) -> None:
        """On the venue's errand thread."""
        try:
            self._venue.sync_clock(_WALK_S)
            self._is_synced = True
        except ExconnectError as error:
            log.warning("%s: the clock could not be synced: %s", self._label, error)
        self._is_clock_known = True
        self._do(partial(self._ask_again, generation))

    def _ask_again(self, generation: int) -> None:
        if generation == self._generation and self._session is not None:
            self._adopt(self._session)
            self._ask_at = self._env.now()

    # ------------------------------------------------------------ what the exchange says of the account

    def _order(self, event: OrderChanged) -> None:
        is_known = self._records.lookup(event.order.symbol) is not None
        if not is_known:
            self._unknown_symbols.add(event.order.symbol)
            if self._held is None:
                self._held = []
                self._walk_at = self._env.now()
        if self._held is None:
            self._hand_out(*self._merged(event))
            return
        if is_known:
            self._merged(event)  # the store need not wait
        self._hold(event)

    def _merged(self, event: OrderChanged) -> tuple[Order, Fill | None]:
        """Under the symbol and the name that we know it by; the store has it from here on."""
        instrument = self._records.lookup(event.order.symbol)
        symbol = event.order.symbol if instrument is None else instrument.symbol
        fill = None if event.fill is None else replace(event.fill, symbol=symbol)
        fills = () if fill is None else (fill,)
        rejection = _about(event.order.rejection, symbol)
        merged = self._records.order(replace(event.order, symbol=symbol, fills=fills, rejection=rejection))
        self._echoes.heard(key_of(merged), event.order)
        self._note_incomplete(merged)
        return merged, None if fill is None else replace(fill, client_order_id=merged.client_order_id)

    def _note_incomplete(self, order: Order) -> None:
        """An exchange may tell of an order and of its fills apart, in either order: the rest has a moment to come."""
        key = key_of(order)
        if _has_terms(order) and (order.fills_complete or not order.filled_quantity):
            self._lacking.pop(key, None)
        else:
            self._lacking.setdefault(key, self._env.now() + _INCOMPLETE_S)

    def _hold(self, event: OrderChanged | BalancesChanged) -> None:
        held = self._held
        if held is None:
            return
        held.append(event)
        if len(held) > _MOST_HELD:
            raise TransportError("too much came while the account could not be read")

    def _balances(self, event: BalancesChanged) -> None:
        self._records.balances(event.balances, event.time_ms)
        if self._held is not None:
            self._hold(event)
        else:
            self._hand_out_balances(event.balances)

    def _transferred(self, event: Transferred) -> None:
        self._records.transferred(event.asset, event.quantity, event.time_ms)

    def _hand_out(self, order: Order, fill: Fill | None) -> None:
        if fill is not None and self._delivered.fill(fill):
            self._records.filled(fill)
            self._tell_fill(fill)
        if _has_terms(order) and self._delivered.order(order):
            self._tell("order", order.symbol, order)

    def _hand_out_balances(self, told: Iterable[Balance]) -> None:
        """As they are by now: what the store knows already may still be news to this stream's handlers."""
        for balance in self._records.held(balance.asset for balance in told):
            if self._delivered.balance(balance):
                self._tell("balance", balance.asset, balance)

    def _tell_fill(self, fill: Fill) -> None:
        self._handouts.expect(fill.symbol)
        self._handouts.told(fill, self._tell("fill", fill.symbol, fill))

    def _tell(self, kind: str, symbol: str, value: object) -> int:
        """To how many handlers."""
        if not self.is_stopping:
            try:
                return self._router.tell(kind, symbol, value)
            except StreamError as error:
                self._give_up(error)
        return 0

    # ------------------------------------------------------------ walking the account

    def _tend(self, now: float) -> None:
        if self._acked >= _TOPICS and not self._is_walking:
            if self.status is StreamStatus.LIVE and now >= self._audit_at:
                self._audit(now)
            if self._handouts.is_due or now >= min((self._walk_at, *self._lacking.values())):
                self._walk()
        missing = self._echoes.missing(now) if self.status is StreamStatus.LIVE else None
        if missing is not None:
            self._suspect(f"order {missing[1]} of {missing[0]} changed, and the stream did not say so")

    def _audit(self, now: float) -> None:
        """Balances that changed for no reason that we know of: something did not come."""
        unexplained = self._records.unexplained()
        if unexplained:
            self._audit_at, self._walk_at = now + _AUDIT_S, now
            changes = ", ".join(f"{quantity:+f} {asset}" for asset, quantity in sorted(unexplained.items()))
            log.warning("%s: balances changed and nothing says why: %s", self._label, changes)

    def _walk(self) -> None:
        self._is_walking = True
        self._lacking.clear()  # the walk looks for what orders lack, and plans the next if it does not find it
        unknown, self._unknown_symbols = self._unknown_symbols, set()
        self._venue.jobs("orders").submit(partial(self._fetch, self._generation, unknown))

    def _fetch(self, generation: int, unknown: set[str]) -> None:
        """On the venue's errand thread; what comes is worked off in this one."""
        if self.is_stopping or generation != self._generation:
            return
        try:
            if not self._is_synced:  # by a clock that is wrong, all that comes would have happened before the start
                self._venue.sync_clock(_WALK_S)
                self._is_synced = True
            start_ms, symbols = self._begin_walk()
            heard = None if self._walked_ms is None else self._delivered.has_balance
            standing = self._records.catch_up(start_ms, symbols, unknown, _WALK_S, heard)
        except Exception as error:  # noqa: BLE001 - whatever it was, the account must be asked for again
            self._do(partial(self._not_fetched, generation, unknown, error))
        else:
            self._do(partial(self._fetched, generation, standing))

    def _begin_walk(self) -> tuple[int, list[str]]:
        """From when on to look, and where; what was handled of the walks before is written down."""
        start_ms, symbols = self._start_ms(), list(self._symbols())
        if self._inherited is None and self._walked_ms is not None:
            self._handouts.advance(self._walked_ms - _OVERLAP_MS, symbols)
        self._inherited = inherited = self._handouts.begin(start_ms, symbols)
        if inherited is None:
            return start_ms, symbols
        return min(start_ms, inherited.since_ms), [*symbols, *inherited.symbols]

    def _start_ms(self) -> int:
        if self._since_ms is None:
            age = self._env.now() - self._began
            self._since_ms = self._records.earliest_ms(age)
            self._began_by_ms = 2 * (self._venue.server_now_ms() - round(age * 1000)) - self._since_ms
        return max(self._since_ms, (self._walked_ms or 0) - _OVERLAP_MS)

    def _not_fetched(self, generation: int, unknown: set[str], error: Exception) -> None:
        if generation != self._generation:
            return
        if isinstance(error, (AuthenticationError, ConfigurationError)):
            self._give_up(error)
            return
        self._is_walking = False
        self._unknown_symbols |= unknown
        self._failures += 1
        level = logging.WARNING if isinstance(error, ExconnectError) else logging.ERROR
        log.log(level, "%s: the account could not be read: %s", self._label, error)
        pause = self._env.uniform(0.2, min(_LONGEST_RETRY_S, 0.5 * 2.0 ** min(self._failures, 10)))
        self._walk_at = self._env.now() + pause

    def _fetched(self, generation: int, standing: Standing) -> None:
        if generation != self._generation:
            return
        self._is_walking, self._failures, self._is_underway = False, 0, False
        held, self._held = self._held or (), None
        is_first = self._walked_ms is None
        begin = self._lost_at or datetime_of(self._start_ms())
        coming = {_place(e.fill) for e in held if isinstance(e, OrderChanged) and e.fill}
        self._replay(standing, coming)
        fills = self._hand_out_fills(standing, coming)
        orders = self._hand_out_orders(standing, {e.order.order_id for e in held if isinstance(e, OrderChanged)})
        if is_first:
            for balance in standing.balances:
                self._delivered.balance(balance)  # not a change
        else:
            self._hand_out_balances(standing.balances)
        for event in held:
            if isinstance(event, BalancesChanged):
                self._hand_out_balances(event.balances)
            else:
                self._hand_out(*self._merged(event))
        if not is_first:
            self._close_gap("fill", fills, begin, standing)
            self._close_gap("order", orders, begin, standing)
        self._plan(standing)
        was_garbled, self._was_garbled = self._was_garbled, False
        if self.status is StreamStatus.LIVE and fills + orders and not was_garbled:
            self._suspect("the account changed, and the stream did not say so")

    def _replay(self, standing: Standing, coming: set[tuple[str, str]]) -> None:
        """Hand out what dead processes may not have handled, marked so, and nothing that is older than the stream."""
        inherited, self._inherited = self._inherited, None
        known, self._known = self._known, []
        if inherited is not None:
            self._handouts.settled()
            self._delivered.were_handled(inherited.handled)
            for fill in standing.fills:
                # As near to the beginning as the clocks can be apart, it may be theirs and is called so.
                is_theirs = inherited.since_ms <= _time_ms(fill) <= self._began_by_ms and _place(fill) not in coming
                if is_theirs and self._delivered.fill(fill):
                    self._tell_fill(replace(fill, source=Source.REST, replayed=True))
        for fill in known:
            self._delivered.fill(fill)

    def _hand_out_fills(self, standing: Standing, coming: set[tuple[str, str]]) -> int:
        """Those that would have been missed; how many."""
        since_ms, count = self._since_ms or 0, 0
        is_live = self.status is StreamStatus.LIVE and not self._was_garbled
        for fill in standing.fills:
            time_ms = _time_ms(fill)
            if _place(fill) in coming or self._delivered.has_fill(fill):
                continue
            if time_ms < since_ms:
                self._delivered.fill(fill)
            elif is_live and time_ms > standing.time_ms - _UNDERWAY_MS:
                self._is_underway = True
            elif self._delivered.fill(fill):
                count += 1
                self._tell_fill(replace(fill, source=Source.REST))
        return count

    def _hand_out_orders(self, standing: Standing, coming: set[str | None]) -> int:
        since_ms, count = self._since_ms or 0, 0
        for order in standing.orders:
            if order.updated_at is None or ms_of(order.updated_at, "updated_at") < since_ms:
                continue
            is_underway = ms_of(order.updated_at, "updated_at") > standing.time_ms - _UNDERWAY_MS
            if self.status is StreamStatus.LIVE and is_underway:
                continue
            if self._delivered.order(order):
                count += order.order_id not in coming
                self._tell("order", order.symbol, order)
        return count

    def _close_gap(self, kind: str, count: int, begin: datetime, standing: Standing) -> None:
        if count:
            end = datetime_of(standing.time_ms)
            log.warning("%s: %d %ss were missed and are made up for", self._label, count, kind)
            self._router.publish(
                GapClosed(
                    exchange=self._exchange,
                    time=self._env.wall(),
                    reason="they did not come by the stream",
                    kind=kind,
                    start=min(begin, end),
                    end=end,
                    count=count,
                )
            )

    def _plan(self, standing: Standing) -> None:
        """When to walk again, and from where."""
        now = self._env.now()
        self._lost_at = None
        self._records.settle()
        self._incomplete = 0 if standing.is_complete else self._incomplete + 1
        if standing.is_complete or self._incomplete > _MOST_INCOMPLETE:
            self._walked_ms = standing.time_ms
            pause = _OPEN_LOOK_S if self._records.has_open_orders() else _IDLE_LOOK_S
            if self._looks:
                pause = min(pause, self._looks.popleft())
        else:
            self._walked_ms = self._walked_ms or self._since_ms
            pause = _INCOMPLETE_S * self._incomplete
        self._walk_at = now + (min(pause, _UNDERWAY_S) if self._is_underway else pause)


def _about(rejection: OrderRejected | None, symbol: str) -> OrderRejected | None:
    """The same refusal, under the symbol that we know it by."""
    return None if rejection is None else type(rejection)(rejection.message, {**rejection.details, "symbol": symbol})


def _has_terms(order: Order) -> bool:
    """Whether it is known what was ordered; a fill alone does not say."""
    return order.quantity is not None or order.quote_quantity is not None


def _time_ms(fill: Fill) -> int:
    return 0 if fill.time is None else ms_of(fill.time, "time")


def _place(fill: Fill) -> tuple[str, str]:
    return fill.order_id, fill.id
