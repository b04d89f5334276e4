"""From a message to the user's function: who hears it, the inboxes, the threads that call.

One registration is a kind and a handler; it has one inbox. One handler has one thread, so that it is never called
concurrently, whatever it is registered for. What a handler raises is reported and is nobody else's business.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from exconnect.errors import StreamError
from exconnect.feeds.registration import (
    NOTICE,
    STATUS,
    Address,
    Audience,
    Handler,
    Options,
    Registration,
    Same,
)
from exconnect.model.enums import Policy
from exconnect.model.events import Gap, HandlerFailed, Notice, StatusChanged
from exconnect.model.market import Book, Candle, Trade
from exconnect.model.values import EPOCH
from exconnect.protocol.session import PRIVATE
from exconnect.runtime.actor import NEVER, Actor, Everything, Inbox, Loss, Newest, Parcel, Recent, Thread
from exconnect.runtime.callbacks import name_of, show_failure

if TYPE_CHECKING:
    from exconnect.environment import Environment
    from exconnect.model.order import Fill

log = logging.getLogger("exconnect.stream")

_LOG_EVERY = 1.0  # seconds between two log lines about one handler


class Item(NamedTuple):
    """What waits in an inbox: the value (None for a book, which is looked at when delivered) and the gap before it."""

    value: Any
    gap: Gap | None = None


class _Delivery:
    """A registration while the stream runs."""

    def __init__(self, registration: Registration) -> None:
        self.registration = registration
        self.inbox: Inbox[Item] = _inbox(registration.kind, registration.options)
        self.is_over = False  # taken back: whoever has not heard of that yet hands it something in vain
        self.shown: dict[str, tuple[int, int]] = {}  # epoch and sequence of the book that each symbol got last

    def settle(self) -> None:
        """Carry the inbox's counts over."""
        self.registration.dropped += self.inbox.dropped
        self.registration.conflated += self.inbox.conflated
        self.inbox.dropped = self.inbox.conflated = 0


def _inbox(kind: str, options: Options) -> Inbox[Item]:
    if kind in PRIVATE:
        return Everything(options.capacity)
    return Newest(options.interval) if options.policy is Policy.CONFLATE else Recent(options.capacity)


class HandlerThread:
    """Calls one handler, for all that it is registered for."""

    def __init__(self, handler: Handler[Any], router: Router, name: str, after: Thread | None) -> None:
        self.handler = handler
        self._router = router
        self._deliveries: list[_Delivery] = []
        self._is_closing = False
        self._is_halted = False
        self._logged_at = -_LOG_EVERY
        self._unlogged = 0
        self._has_shown = False
        self._actor = Actor(router.env, name, self._step, after, router.changed)

    @property
    def thread(self) -> Thread:
        """The thread itself."""
        return self._actor.thread

    @property
    def is_over(self) -> bool:
        """Whether it begins no call any more and is in none."""
        return self._actor.is_over

    def serve(self, deliveries: list[_Delivery]) -> None:
        """These and no others from now on; with none the thread ends."""
        with self._actor.condition:
            over = [gone for gone in self._deliveries if gone not in deliveries]
            for gone in over:
                gone.settle()
                gone.is_over = True
            dropped = [(gone, gone.inbox.keep_only(())) for gone in over]
            self._deliveries = deliveries
            self._is_closing = self._is_closing or not deliveries
            self._actor.wake()
        for gone, items in dropped:
            self._dropped(gone, items)

    def keep_only(self, delivery: _Delivery, symbols: set[str]) -> None:
        """Nothing that waits for other symbols is delivered any more."""
        with self._actor.condition:
            items = delivery.inbox.keep_only(symbols)
        self._dropped(delivery, items)

    def _dropped(self, delivery: _Delivery, items: list[Item]) -> None:
        if delivery.registration.kind == "fill":
            for item in items:
                self._router.dropped(item.value)

    def put(self, delivery: _Delivery, key: str, item: Item) -> bool:
        """From any thread; whether it is going to be delivered."""
        weight = 1 if item.gap is None else None if item.gap.count is None else item.gap.count + 1
        with self._actor.condition:
            if delivery.is_over:
                return False
            waiting = len(delivery.inbox)
            delivery.inbox.put(Parcel(key, item, self._router.env.now(), weight))
            if waiting == 0 or len(delivery.inbox) > waiting:
                self._actor.wake()
            return True

    def close(self) -> None:
        """Deliver what must not be lost, then end."""
        with self._actor.condition:
            self._is_closing = True
            self._actor.wake()

    def halt(self) -> None:
        """Begin no call any more."""
        with self._actor.condition:
            self._is_halted = True
            for delivery in self._deliveries:
                delivery.settle()
            self._actor.wake()

    def measure(self, registration: Registration, now: float) -> tuple[int, int, int, float]:
        """Dropped, conflated, waiting, and seconds of lag of a registration."""
        with self._actor.condition:
            for delivery in self._deliveries:
                if delivery.registration is registration:
                    delivery.settle()
                    oldest = delivery.inbox.oldest()
                    lag = 0.0 if oldest is None else now - oldest
                    return registration.dropped, registration.conflated, len(delivery.inbox), lag
        return registration.dropped, registration.conflated, 0, 0.0

    def _step(self, now: float) -> Callable[[], None] | float | None:
        """With the condition held: the next call, or when to look again; None: the end."""
        if self._is_halted:
            return None
        soonest = NEVER
        for index, delivery in enumerate(self._deliveries):
            if delivery.registration.is_empty:
                continue  # taken back
            if self._is_closing and delivery.registration.options.policy is not Policy.KEEP:
                continue
            ready_at = delivery.inbox.ready_at()
            if ready_at <= now:
                losses = delivery.inbox.losses()
                parcel = delivery.inbox.take(now)
                # Everybody's turn comes: this one is asked last the next time.
                self._deliveries = [*self._deliveries[:index], *self._deliveries[index + 1 :], delivery]
                return partial(self._deliver, delivery, parcel, losses)
            soonest = min(soonest, ready_at)
        return None if self._is_closing and soonest == NEVER else soonest

    def _deliver(self, delivery: _Delivery, parcel: Parcel[Item], losses: list[Loss[Item]]) -> None:
        registration = delivery.registration
        for loss in losses:
            gap = self._router.lost(registration.kind, loss)
            self._router.publish(gap)
            self._tell(registration, gap)
        if parcel.key in registration.excluded:
            self._done(registration, parcel.item.value)
            return
        value, gap_before = parcel.item
        if registration.kind == "book":
            value = self._look(delivery, parcel.key)
            if value is None:
                return
        if gap_before is not None:
            self._tell(registration, gap_before)
        registration.delivered += 1
        if not self._call(registration.handler, value):
            registration.errors += 1
        self._done(registration, value)

    def _done(self, registration: Registration, value: Any) -> None:
        if registration.kind == "fill" and not self._is_halted:
            self._router.handled(value)

    def _look(self, delivery: _Delivery, symbol: str) -> Book | None:
        """The book as it is now, unless it is not valid or was shown already."""
        seen = self._router.view(symbol, delivery.registration.options.depth)
        if seen is None:
            return None
        epoch, book = seen
        shown_in, shown = delivery.shown.get(symbol, (epoch, -1))
        if not book.is_valid or (shown_in == epoch and book.sequence <= shown):
            return None
        delivery.shown[symbol] = epoch, book.sequence
        return book

    def _tell(self, registration: Registration, gap: Gap) -> None:
        if registration.options.on_gap is not None:
            self._call(registration.options.on_gap, gap)

    def _call(self, handler: Callable[[Any], object], item: Any) -> bool:
        if self._is_halted:
            return True
        try:
            handler(item)
        except BaseException as error:  # noqa: BLE001 - SystemExit and the like too: it is only a handler's
            self._report(handler, error, item)
            return False
        return True

    def _report(self, handler: object, error: BaseException, item: Any) -> None:
        name = name_of(handler)
        now = self._router.env.now()
        if not (self._has_shown or self._router.has_notice_handler_besides(self)):
            self._has_shown = True
            text = f"handler {name} failed on a {type(item).__name__}; on_notice and logging tell of every failure"
            show_failure(log, text, error)
        if now - self._logged_at >= _LOG_EVERY:
            more = f" ({self._unlogged} failures before it were not logged)" if self._unlogged else ""
            log.error("handler %s failed on a %s%s", name, type(item).__name__, more, exc_info=error)
            self._logged_at, self._unlogged = now, 0
        else:
            self._unlogged += 1
        self._router.failed(name, error, item)


class Router:
    """Knows who hears what, and owns the handlers' threads.

    `view` gives the epoch and the book of a symbol, `count` is told of what is to be counted and of which handler,
    `changed` that a thread has ended, `handled` of each fill that a handler is through with, `dropped` of each that
    waited for a handler which was taken back.
    """

    def __init__(
        self,
        env: Environment,
        exchange: str,
        view: Callable[[str, int], tuple[int, Book] | None],
        count: Callable[[str, str], None],
        changed: Callable[[], None],
        *,
        handled: Callable[[Fill], None] = lambda _: None,
        dropped: Callable[[Fill], None] = lambda _: None,
    ) -> None:
        self.handled = handled
        self.dropped = dropped
        self.env = env
        self.view = view
        self.changed = changed
        self._exchange = exchange
        self._count = count
        self._routes: dict[Address, tuple[tuple[HandlerThread, _Delivery], ...]] = {}
        self._threads: dict[Same, HandlerThread] = {}
        self._deliveries: dict[int, _Delivery] = {}
        self._ended: dict[Same, HandlerThread] = {}

    def inherit(self, threads: Mapping[Same, HandlerThread]) -> None:
        """Threads of an earlier run in which a handler may still be busy: it is not called before they end."""
        self._ended.update(threads)

    def update(self, heard: Audience) -> None:
        """From now on this is who hears what. One thread at a time."""
        wanted: dict[Same, dict[int, Registration]] = {}
        for registrations in heard.values():
            for registration in registrations:
                wanted.setdefault(Same(registration.handler), {})[id(registration)] = registration
        self._deliveries = {
            number: self._deliveries.get(number) or _Delivery(registration)
            for group in wanted.values()
            for number, registration in group.items()
        }
        threads = {same: self._threads.get(same) or self._thread(same.handler) for same in wanted}
        self._routes = {
            address: tuple((threads[Same(r.handler)], self._deliveries[id(r)]) for r in registrations)
            for address, registrations in heard.items()
        }
        for same, thread in self._threads.items():
            if same not in wanted:
                thread.serve([])
                self._ended[same] = thread
        for same, group in wanted.items():
            threads[same].serve([self._deliveries[number] for number in group])
        self._threads = threads
        self._sweep()

    def _thread(self, handler: Any) -> HandlerThread:
        name = f"exconnect.{self._exchange}.handler.{name_of(handler)}"
        before = self._ended.get(Same(handler))
        return HandlerThread(handler, self, name, None if before is None else before.thread)

    def _sweep(self) -> None:
        """What waits for symbols that are no longer heard must not be delivered any more."""
        hearing: dict[int, set[str]] = {}
        for address, pairs in self._routes.items():
            for _, delivery in pairs:
                hearing.setdefault(id(delivery), set()).add(address.symbol)
        for address, pairs in self._routes.items():
            for thread, delivery in pairs:
                if address.symbol or address.kind not in PRIVATE:
                    thread.keep_only(delivery, hearing[id(delivery)])
        self._ended = {same: thread for same, thread in self._ended.items() if thread.thread.is_alive()}

    def route(self, address: Address, value: Any, gap: Gap | None = None) -> None:
        """Hand a message to all that want it. From any thread."""
        pairs = self._routes.get(address)
        if pairs is not None:
            item = Item(value, gap)
            for thread, delivery in pairs:
                thread.put(delivery, address.symbol, item)

    def tell(self, kind: str, symbol: str, value: Any) -> int:
        """Hand something private to all that want the whole account, or this symbol (or asset) of it; to how many.

        Raises:
            StreamError: an inbox is full; all others have got it.
        """
        full: StreamError | None = None
        count = 0
        for address in (Address(kind), Address(kind, symbol)):
            for thread, delivery in self._routes.get(address, ()):
                if symbol not in delivery.registration.excluded:
                    try:
                        count += thread.put(delivery, symbol, Item(value))
                    except StreamError as error:
                        full = StreamError(f"on_{kind}, {name_of(thread.handler)}: {error}")
        if full is not None:
            raise full
        return count

    def publish(self, event: StatusChanged | Notice) -> None:
        """Hand a report to all that want it. From any thread."""
        self.route(STATUS if isinstance(event, StatusChanged) else NOTICE, event)

    def has_notice_handler_besides(self, thread: HandlerThread) -> bool:
        """Whether another one hears of what happens to this one."""
        return any(other is not thread for other, _ in self._routes.get(NOTICE, ()))

    def failed(self, handler: str, error: BaseException, item: Any) -> None:
        """A handler raised."""
        self._count("handler_errors", handler)
        if not isinstance(item, HandlerFailed):  # or two failing handlers of notices would never come to rest
            wall = self.env.wall()
            symbol = getattr(item, "symbol", None)
            reason = f"{type(error).__name__}: {error}"
            self.publish(
                HandlerFailed(
                    exchange=self._exchange,
                    time=wall,
                    symbol=symbol,
                    reason=reason,
                    handler=handler,
                    error=error,
                    item=item,
                )
            )

    def lost(self, kind: str, loss: Loss[Item]) -> Gap:
        """What a full inbox gave up, as the user sees it."""
        first, last = loss.first.item, loss.last.item
        before = first.gap.first_id if first.gap is not None else None
        return Gap(
            exchange=self._exchange,
            time=self.env.wall(),
            symbol=loss.first.key,
            reason="the handler is too slow",
            kind=kind,
            first_id=before or id_of(first.value),
            last_id=id_of(last.value),
            count=loss.items,
        )

    def measure(self, registration: Registration) -> tuple[int, int, int, float]:
        """As `HandlerThread.measure`."""
        thread = self._threads.get(Same(registration.handler))
        if thread is None:
            return registration.dropped, registration.conflated, 0, 0.0
        return thread.measure(registration, self.env.now())

    def close(self) -> None:
        """Ask every handler's thread to end after what must not be lost."""
        for thread in self._threads.values():
            thread.close()

    def halt(self) -> None:
        """No call begins any more."""
        for thread in self._threads.values():
            thread.halt()

    def threads(self) -> dict[Same, HandlerThread]:
        """Those that may be in a handler, by handler."""
        return {same: thread for same, thread in (self._ended | self._threads).items() if thread.thread.is_alive()}


def id_of(value: Trade | Candle | Any) -> str | None:
    """What names an item in a `Gap`: a trade's id, a candle's opening time in milliseconds."""
    if isinstance(value, Trade):
        return value.id
    if isinstance(value, Candle):
        return str(round((value.open_time - EPOCH).total_seconds() * 1000))
    return None
