"""What is known about orders that nobody finds, and how much of it must be before one counts as never accepted.

Not to be found proves nothing by itself: the request may still be on its way, what an exchange shows may lag behind
what it did, and a question that fails says nothing at all. So time must have passed by the exchange's own clock, the
order must be missing again and again, in more than one place, and either a cancel must not find it or a private
stream must have listened all the while. Nothing of that is proof; therefore such an order is watched for further on.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from cachetools import LRUCache
from msgspec import Struct

from exconnect.errors import JournalUnavailable
from exconnect.model.enums import OrderStatus
from exconnect.trading.intents import Fence

if TYPE_CHECKING:
    from exconnect.environment import Environment
    from exconnect.errors import OrderNotFound
    from exconnect.model.order import Order
    from exconnect.protocol.exchange import Absence
    from exconnect.trading.intents import IntentLog, Sent

log = logging.getLogger("exconnect.orders")

# All in seconds, by the exchange's clock where they count from the moment from which on it refuses the order.
_EXPIRED_S = 1.0  # the clocks of its gateways differ by no more
_MARGIN_S = 60.0  # for what is delayed inside it, and for reads that lag behind
_LAGS = 3  # times the longest lag seen, if that is more
_OVERTAKEN_S = 12.0  # a cancel may overtake an order until then: the exchange gives up on one after ten
_OLD_S = 86_400.0
_APART_S, _MISSES = 10.0, 3
_LAGGING_S, _PROMPT_S, _PROMPT = 20.0, 5.0, 3
_LAPSES_S = 600.0
_BEHIND_S = 0.05  # what the exchange says the time is, is a little behind what we think it is
_KEPT = 10_000


class Case(Struct):
    """One order that is looked for."""

    sent: Sent
    misses: int = 0  # far enough apart
    counted_at: float = 0.0
    is_missing: bool = False  # and the last question was asked after the margin
    is_at_fence: bool = False  # somebody cancels it, to see whether it is there
    was_there: bool = False  # and a cancel has met it: that the next one does not says nothing

    def missed(self, now: float, apart: float) -> None:
        """A query has answered that there is no such order."""
        if not self.misses or now - self.counted_at >= apart:
            self.misses += 1
            self.counted_at = now


class ReadLag:
    """How long it takes until a read shows what the exchange has done. Too long: no absence is believed."""

    def __init__(self, env: Environment, intents: IntentLog) -> None:
        self._env = env
        self._intents = intents
        self._prompt = 0
        self._alarmed_at: float | None = None

    @property
    def is_alarming(self) -> bool:
        """Whether reads lag so much that nothing is concluded from what they do not show.

        It ends with three prompt reads, and by itself when there was nothing to be read for a long time.
        """
        if self._alarmed_at is not None and self._env.now() - self._alarmed_at > _LAPSES_S * self._env.caution:
            self._alarmed_at = None
        return self._alarmed_at is not None

    @property
    def margin_s(self) -> float:
        """How long to distrust reads.

        Raises:
            JournalUnavailable: what was seen before is not known.
        """
        return max(_MARGIN_S * self._env.caution, _LAGS * self._intents.worst_lag())

    def not_seen(self, seconds: float) -> None:
        """An order that the exchange has had for so long is not to be seen yet."""
        if seconds > _PROMPT_S * self._env.caution:
            self._prompt = 0
            self._intents.lagged(seconds)
        if seconds > _LAGGING_S * self._env.caution:
            if not self.is_alarming:
                log.warning("ReadModelLagging: the exchange has had an order for %.0f s and does not show it", seconds)
            self._alarmed_at = self._env.now()

    def seen(self, seconds: float) -> None:
        """It is to be seen now, and so many seconds ago it was not; how soon it could have been, nobody asked."""
        self._prompt = self._prompt + 1 if seconds <= _PROMPT_S * self._env.caution else 0
        if self._prompt >= _PROMPT:
            self._alarmed_at = None


class Doubts:
    """The orders of one account that are looked for. Asks nobody: it is told."""

    def __init__(self, env: Environment, intents: IntentLog, absence: Absence | None) -> None:
        self._env = env
        self._intents = intents
        self._lock = env.lock()
        self._cases: LRUCache[str, Case] = LRUCache(_KEPT)
        self._issued_ms = 0
        self._issued_before = float("-inf")  # steady clock: not later than then
        self.absence = absence
        self.lag = ReadLag(env, intents)

    def case(self, order: Order) -> Case | None:
        """The order's case; None if it needs none, or if not enough is known of it."""
        if order.status is not OrderStatus.UNKNOWN or self.absence is None:
            return None
        with self._lock:
            known = self._cases.get(order.client_order_id)
        if known is not None:
            return known
        try:
            sent = self._intents.sent(order.client_order_id)
        except JournalUnavailable:
            return None
        if sent is None:
            return None
        with self._lock:
            return self._cases.setdefault(order.client_order_id, Case(sent))

    def is_wish(self, client_order_id: str) -> bool:
        """Whether somebody here has wanted an order of that name, lately or long ago.

        Raises:
            JournalUnavailable: it cannot be read.
        """
        return self._intents.get(client_order_id) is not None

    def close(self, order: Order) -> None:
        """It is known what became of it."""
        with self._lock:
            self._cases.pop(order.client_order_id, None)

    # ------------------------------------------------------------ time

    def heard(self, issued_ms: int, asked_at: float) -> None:
        """The exchange's clock showed `issued_ms` at some moment after `asked_at` by the steady clock."""
        with self._lock:
            if asked_at >= self._issued_before:  # the latest, not the greatest: a clock may be set back
                self._issued_ms, self._issued_before = issued_ms, asked_at

    def since_expiry(self, case: Case) -> float:
        """Seconds by which it is certain that the exchange refuses the order by now; below zero: not yet."""
        return (self._issued_ms - case.sent.expires_ms) / 1000 - _EXPIRED_S * self._env.caution

    def margin_at_ms(self, case: Case) -> float:
        """When the margin is over, by the exchange's clock.

        Raises:
            JournalUnavailable: that depends on what cannot be read.
        """
        return case.sent.expires_ms + (_EXPIRED_S * self._env.caution + self.lag.margin_s) * 1000

    def is_past_margin(self, case: Case) -> bool:
        """Whether the exchange's own word says so."""
        try:
            return self._issued_ms > self.margin_at_ms(case)
        except JournalUnavailable:
            return False

    def is_old(self, case: Case) -> bool:
        """Whether nothing can be on its way any more, and no read still lag behind."""
        return self.since_expiry(case) > _OLD_S * self._env.caution

    def is_forgotten(self, case: Case) -> bool:
        """Whether the exchange would not show it any more if it had ended without a fill."""
        forgets_s = None if self.absence is None else self.absence.forgets_s
        return forgets_s is not None and self.since_expiry(case) > forgets_s * self._env.caution

    def may_be_overtaken(self, order: Order) -> bool:
        """Whether an order could be accepted yet, so that no cancel's word on it is final."""
        case = self.case(order)
        return case is None or self.since_expiry(case) <= _OVERTAKEN_S * self._env.caution

    def was_followed(self, case: Case, since: float | None) -> bool:
        """Whether a stream that is live since then (steady clock) was so before the order was sent."""
        if since is None or since > self._issued_before:
            return False
        return self._issued_ms - (self._issued_before - since) * 1000 < case.sent.first_ms

    # ------------------------------------------------------------ not found

    def missed(self, case: Case, *, was_past_margin: bool) -> None:
        """A query that was asked then has answered that there is no such order."""
        case.missed(self._env.now(), self.apart_s)
        case.is_missing = was_past_margin

    @property
    def apart_s(self) -> float:
        """Of several misses within this time one counts."""
        return _APART_S * self._env.caution

    def is_ripe(self, case: Case) -> bool:
        """Whether it was missed often enough for a closer look."""
        if not case.is_missing or self.lag.is_alarming:
            return False
        return case.misses >= _MISSES or self.is_old(case)

    def begin_fence(self, case: Case, client_order_id: str, server_now_ms: int) -> bool:
        """Whether a cancel of it would be evidence: nobody else is canceling it, and no cancel has met it before.

        Raises:
            JournalUnavailable: what other processes do cannot be read.
        """
        with self._lock:
            if case.is_at_fence or case.was_there:
                return False
            case.is_at_fence = True
        fence = None
        try:
            fence = self._intents.begin_fence(client_order_id, case.sent.expires_ms, server_now_ms)
            if fence is Fence.MOVED:
                self._begin_anew(case, self._intents.sent(client_order_id) or case.sent)
        finally:
            case.was_there = fence is Fence.MET
            case.is_at_fence = fence is Fence.FREE
        return case.is_at_fence

    def end_fence(self, case: Case, client_order_id: str, server_now_ms: int, *, was_there: bool | None) -> None:
        """What the cancel has met. None: nobody knows, so it may be over only now, and a margin begins anew."""
        if was_there is None:
            self._begin_anew(case, case.sent._replace(expires_ms=max(case.sent.expires_ms, server_now_ms)))
        self._intents.end_fence(client_order_id, server_now_ms, was_there=was_there)
        with self._lock:
            case.is_at_fence, case.was_there = False, bool(was_there)

    def _begin_anew(self, case: Case, sent: Sent) -> None:
        with self._lock:
            case.sent, case.misses, case.is_missing = sent, 0, False

    def says_missing(self, error: OrderNotFound) -> bool:
        """Whether the refusal of a query says that there is no such order."""
        return self.absence is not None and (error.code is None or error.code in self.absence.unknown_to_query)

    def says_unknown(self, error: OrderNotFound) -> bool:
        """Whether the refusal of a cancel says so of open orders."""
        return self.absence is not None and error.code in self.absence.unknown_to_cancel

    def pause(self, order: Order, server_now_ms: int, longest: float) -> float:
        """Seconds until it is worth the while to look again, `longest` at most."""
        case = self.case(order)
        if case is None or longest <= 0:
            return longest
        waits = [longest, self.apart_s]
        if case.misses:
            waits.append(case.counted_at + self.apart_s - self._env.now())
        with suppress(JournalUnavailable):
            waits.append((self.margin_at_ms(case) - server_now_ms) / 1000 + _BEHIND_S)
        return min(wait for wait in waits if wait > 0)
