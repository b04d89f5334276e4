"""Finds out what became of an order whose answer did not come. It asks; it never sends the order again.

In the caller's thread while the caller waits (`find_out`), and in the background afterwards (`Resolver`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, repeat
from typing import TYPE_CHECKING

from exconnect.errors import ClientClosed, ExconnectError, OrderNotFound
from exconnect.model.enums import OrderStatus, Source
from exconnect.trading.absence import conclude

if TYPE_CHECKING:
    from exconnect.model.instrument import Instrument
    from exconnect.model.order import Order
    from exconnect.runtime.jobs import Jobs
    from exconnect.trading.desk import Deadline, Desk
    from exconnect.trading.doubts import Case

log = logging.getLogger("exconnect.orders")

PAUSES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # seconds between looks; then every ten
_LAST_PAUSE = 10.0
_LOOK_S = 15.0  # that one look in the background may take
_SPREAD = 0.2  # each pause varies by so much, so that many unknown orders do not ask at once
_REVISIT_S, _LAST_REVISIT_S = 60.0, 86_400.0 * 3  # pauses before visits double, a week in all
_SAMPLED, _MOST_SAMPLED, _LONGEST_SAMPLE_S = 0.01, 3, 600.0


def find_out(desk: Desk, order: Order, instrument: Instrument, deadline: Deadline) -> Order:
    """Look until it is known what became of the order or the deadline has come; the newest snapshot either way."""
    _find_out(desk, [_Search(desk, order, instrument)], deadline)
    return desk.orders.get(order.client_order_id) or order


def find_out_all(desk: Desk, orders: Sequence[Order], deadline: Deadline) -> None:
    """Look for each of them, in turn, until all are known or the deadline has come; the store has what was found.

    Not seeing an order proves nothing: what the exchange shows may lag behind what it did. What does is in
    `trading.doubts`.
    """
    _find_out(desk, [_Search(desk, order) for order in orders], deadline)


def _find_out(desk: Desk, searches: list[_Search], deadline: Deadline) -> None:
    while searches := [search for search in searches if not search.known.is_definite]:
        soonest = min(searches, key=lambda search: search.due)
        names = [search.name for search in searches]
        if desk.orders.wait_for_any(names, min(soonest.due - desk.env.now(), deadline.left)):
            continue  # a stream may know sooner than the next look
        if deadline.left <= 0:
            return
        try:
            soonest.look(deadline)
        except ClientClosed:
            return


class _Search:
    """One order that is looked for, and when to look next. What it is an order of may have to be asked first."""

    def __init__(self, desk: Desk, order: Order, instrument: Instrument | None = None) -> None:
        self._desk = desk
        self._order = order
        self._instrument = instrument
        self.name = order.client_order_id
        self._pauses = _pauses(desk)
        self.due = desk.env.now() + next(self._pauses)

    @property
    def known(self) -> Order:
        """The newest snapshot."""
        return self._desk.orders.get(self.name) or self._order

    def look(self, deadline: Deadline) -> None:
        """Ask once. Raises: ClientClosed."""
        desk, known = self._desk, self.known
        if not known.is_definite:
            self._ask(known, deadline)
            known = self.known
        self.due = desk.env.now() + desk.doubts.pause(known, desk.gateway.server_now_ms(), next(self._pauses))

    def visit(self, deadline: Deadline) -> None:
        """Ask for one that should not exist; if it does, it is in the store then."""
        with suppress(ExconnectError):
            self._desk.find(self._known_instrument(deadline), self.name, None, deadline)

    def _ask(self, known: Order, deadline: Deadline) -> None:
        try:
            instrument = self._known_instrument(deadline)
        except ClientClosed:
            raise
        except ExconnectError:
            return  # who does not answer does not say either what became of the order
        _ask(self._desk, known, instrument, deadline)

    def _known_instrument(self, deadline: Deadline) -> Instrument:
        if self._instrument is None:
            self._instrument = self._desk.instrument(self._order.symbol, max(deadline.left, 0.001))
        return self._instrument


def _pauses(desk: Desk) -> Iterator[float]:
    spread = desk.env.uniform(1 - _SPREAD, 1 + _SPREAD)
    return (pause * spread for pause in chain(PAUSES, repeat(_LAST_PAUSE)))


def look_at_open(desk: Desk, deadline: Deadline) -> list[Order]:
    """Merge in what the exchange says of the open orders that are known here, if it says anything.

    Those that count as open here, and are not among them, are given back: something has ended them.
    """
    thought = [order for order in desk.orders.open() if order.order_id is not None]
    try:
        found = desk.open_orders(None, deadline)
    except ExconnectError:
        return []
    seen = set()
    for order in found:
        known = desk.orders.get(order.client_order_id)
        if known is not None:
            seen.add(known.client_order_id)
            desk.orders.apply(replace(order, symbol=known.symbol))  # its instrument may not be loaded yet
    return [order for order in thought if order.client_order_id not in seen]


def look(desk: Desk, order: Order, instrument: Instrument, deadline: Deadline) -> Order | None:
    """Ask once; what was found is in the store. An answer that fails is no evidence of anything."""
    try:
        return _ask(desk, order, instrument, deadline)
    except ClientClosed:
        return None


def _ask(desk: Desk, order: Order, instrument: Instrument, deadline: Deadline) -> Order | None:
    case = desk.doubts.case(order)
    try:
        if case is None:
            return desk.find(instrument, order.client_order_id, order.order_id, deadline)
        return _investigate(desk, case, order, instrument, deadline)
    except ClientClosed:
        raise
    except ExconnectError:
        return None


def _investigate(desk: Desk, case: Case, order: Order, instrument: Instrument, deadline: Deadline) -> Order | None:
    """Ask for an order that is missing, and if it still is, see what that means."""
    doubts = desk.doubts
    if desk.gateway.server_now_ms() > doubts.margin_at_ms(case) and not doubts.is_past_margin(case):
        desk.ask_time(deadline)
    was_past_margin = doubts.is_past_margin(case)
    try:
        found: Order | None = desk.find(instrument, order.client_order_id, None, deadline)
    except OrderNotFound as error:
        if not doubts.says_missing(error):
            raise
        doubts.missed(case, was_past_margin=was_past_margin)
        found = conclude(desk, case, order, instrument, deadline)
    if found is not None and found.is_definite:
        doubts.close(found)
    return found


def as_unknown(order: Order) -> Order:
    """The same order with the only honest word for it."""
    return replace(order, status=OrderStatus.UNKNOWN, source=Source.LOCAL)


def tell_found(order: Order) -> None:
    """Say in the log what became of an order that was looked for, if that is known now."""
    if order.is_definite and order.status is not OrderStatus.NOT_ACCEPTED:  # which has been told with its reasons
        log.info("order %s of %s: found, it is %s", order.client_order_id, order.symbol, order.status)


class Resolver:
    """Goes on looking for orders without an answer when nobody waits for them any more, until they are known."""

    def __init__(self, desk: Desk, jobs: Callable[[], Jobs]) -> None:
        self._desk = desk
        self._jobs = jobs
        self._watched: set[str] = set()
        self._unwanted: dict[str, Callable[[Order], object]] = {}
        self._sampled = 0

    def watch(self, order: Order, instrument: Instrument | None = None) -> None:
        """Look for this one too; once more changes nothing."""
        if order.client_order_id not in self._watched:
            self._watched.add(order.client_order_id)
            self._later(_Search(self._desk, order, instrument))

    def refuse(self, order: Order, cancel: Callable[[Order], object]) -> None:
        """Call `cancel`, in the background, as soon as this one turns out to be open: nobody wants it any more."""
        self._unwanted[order.client_order_id] = cancel
        self.watch(order)

    def later(self, run: Callable[[], None], delay: float = 0.0) -> None:
        """Run it in the background."""
        self._jobs().submit(run, delay)

    def acknowledged(self, order: Order, instrument: Instrument) -> None:
        """The exchange has this one. Now and then, and always while it matters, see how long reads take to show it.

        Never in a program that has no background thread for another reason.
        """
        env, jobs, lag = self._desk.env, self._jobs(), self._desk.doubts.lag
        if not jobs.is_running or self._sampled >= _MOST_SAMPLED:
            return
        if lag.is_alarming or self._watched or env.uniform(0.0, 1.0) < _SAMPLED:
            self._sampled += 1
            self._sample(order, instrument, env.now(), _pauses(self._desk))

    def _sample(
        self,
        order: Order,
        instrument: Instrument,
        since: float,
        pauses: Iterator[float],
        *,
        was_missing: bool | None = False,
    ) -> None:
        """`was_missing` the last time that it was asked for; None: nobody answered, so it may have been there."""

        def ask() -> None:
            desk, lag = self._desk, self._desk.doubts.lag
            waited, is_missing = desk.env.now() - since, None
            try:
                # By its number: a cancel of all may have given it another name meanwhile.
                desk.find(instrument, order.client_order_id, order.order_id, desk.deadline(_LOOK_S))
            except OrderNotFound:
                lag.not_seen(waited)
                is_missing = True
            except ExconnectError:
                pass
            else:
                if was_missing is not None:
                    lag.seen(waited if was_missing else 0.0)
                waited = _LONGEST_SAMPLE_S
            if waited < _LONGEST_SAMPLE_S:
                self._sample(order, instrument, since, pauses, was_missing=is_missing)
            else:
                self._sampled -= 1

        self._jobs().submit(ask, next(pauses))

    def _later(self, search: _Search) -> None:
        self._jobs().submit(lambda: self._look(search), max(search.due - self._desk.env.now(), 0.0))

    def _look(self, search: _Search) -> None:
        try:
            search.look(self._desk.deadline(_LOOK_S))
        except ClientClosed:
            return
        if not search.known.is_definite:
            self._later(search)
            return
        self._watched.discard(search.name)
        tell_found(search.known)
        cancel = self._unwanted.pop(search.name, None)
        if cancel is not None and search.known.is_open:
            cancel(search.known)
        if search.known.status is OrderStatus.NOT_ACCEPTED:
            self._revisit(search, _REVISIT_S * self._desk.env.caution)

    def _revisit(self, search: _Search, pause: float) -> None:
        """It may show up after all: look again, and ever more seldom."""

        def visit() -> None:
            search.visit(self._desk.deadline(_LOOK_S))
            if search.known.status is OrderStatus.NOT_ACCEPTED and pause < _LAST_REVISIT_S * self._desk.env.caution:
                self._revisit(search, 2 * pause)

        self._jobs().submit(visit, pause)
