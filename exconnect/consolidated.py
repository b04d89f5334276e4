"""One book over several exchanges: only levels that may be believed, each with its exchange.

An exchange is in while its own book is valid and its connection has brought data lately; otherwise none of its
levels is shown, and the reader is told why. Merging is done when somebody reads, not per message.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar, overload

from exconnect.environment import Environment
from exconnect.errors import BookNotReady, ConfigurationError, InvalidArgument, InvalidType, StreamError
from exconnect.model.enums import Side, choose
from exconnect.model.market import Book, Level, middle, vwap
from exconnect.model.values import EXACT, Money, decimal_of, plain, positive, tidy, total, trimmed, unified_of
from exconnect.runtime.actor import Actor
from exconnect.runtime.callbacks import check_handler, name_of, show_failure
from exconnect.stream import Stream, no_stream
from exconnect.venue.plan import available

if TYPE_CHECKING:
    from types import TracebackType

Handle = Callable[["ConsolidatedView"], object]
OnChange = TypeVar("OnChange", bound=Handle)

log = logging.getLogger("exconnect.book")

_SHORTEST_LOOK_S = 0.01  # an interval of zero still leaves the processor to others
_NET_PRICE_SIGN = {Side.BUY: 1, Side.SELL: -1}


class ConsolidatedLevel(NamedTuple):
    """Price in quote asset, quantity in base asset, and where it rests."""

    price: Decimal
    quantity: Decimal
    exchange: str

    def __str__(self) -> str:
        return f"{tidy(self.price)} x {tidy(self.quantity)} on {self.exchange}"


@dataclass(frozen=True, init=False)
class ConsolidatedView:
    """The books of several exchanges at one moment. `exchanges` are in; `missing` says why the others are not."""

    symbol: str
    time: datetime
    exchanges: tuple[str, ...]
    missing: Mapping[str, str]
    _books: tuple[Book, ...] = field(repr=False)
    _fees: Mapping[str, Decimal] = field(repr=False)

    _sides: tuple[_Merged, _Merged] = field(init=False, repr=False, compare=False)

    def __init__(
        self,
        symbol: str,
        time: datetime,
        exchanges: tuple[str, ...],
        missing: Mapping[str, str],
        books: tuple[Book, ...],
        fees: Mapping[str, Decimal],
    ) -> None:
        # All at once: the constructor of a frozen class sets one after the other, which takes as long as a book's view.
        vars(self).update(
            symbol=symbol,
            time=time,
            exchanges=exchanges,
            missing=missing,
            _books=books,
            _fees=fees,
            _sides=(_Merged(books, "bids"), _Merged(books, "asks")),
        )

    @property
    def bids(self) -> Sequence[ConsolidatedLevel]:
        """All of them, best (highest) first."""
        return self._sides[0]

    @property
    def asks(self) -> Sequence[ConsolidatedLevel]:
        """All of them, best (lowest) first."""
        return self._sides[1]

    @property
    def best_bid(self) -> ConsolidatedLevel | None:
        """Highest bid anywhere."""
        tops = [ConsolidatedLevel(*book.bids[0], book.exchange) for book in self._books if book.bids]
        return max(tops, key=lambda level: level.price, default=None)

    @property
    def best_ask(self) -> ConsolidatedLevel | None:
        """Lowest ask anywhere."""
        tops = [ConsolidatedLevel(*book.asks[0], book.exchange) for book in self._books if book.asks]
        return min(tops, key=lambda level: level.price, default=None)

    @property
    def mid(self) -> Decimal | None:
        """Middle of the best prices, None without both."""
        bid, ask = self.best_bid, self.best_ask
        return None if bid is None or ask is None else middle(bid.price, ask.price)

    @property
    def spread(self) -> Decimal | None:
        """Best ask minus best bid; below zero when somebody bids more than somebody else asks."""
        bid, ask = self.best_bid, self.best_ask
        return None if bid is None or ask is None else trimmed(EXACT.subtract(ask.price, bid.price))

    @property
    def is_crossed(self) -> bool:
        """Whether somebody bids at least what somebody else asks."""
        spread = self.spread
        return spread is not None and spread <= 0

    def vwap(self, side: Side | str, quantity: Money, *, fees: bool = False) -> Decimal | None:
        """Average price of buying or selling `quantity` now, best price first; None if all together are too thin.

        With `fees` the price is net of each exchange's taker fee, and the best net price comes first.

        Raises:
            InvalidArgument: `fees=True`, and an exchange that is in has no fee given.
        """
        chosen, wanted = choose(Side, side, "side"), positive(quantity, "quantity")
        levels = self.asks if chosen is Side.BUY else self.bids
        if fees:
            levels = self._net(levels, _NET_PRICE_SIGN[chosen])
        return vwap([Level(level.price, level.quantity) for level in levels], wanted)

    def _net(self, levels: Sequence[ConsolidatedLevel], sign: int) -> list[ConsolidatedLevel]:
        unknown = [exchange for exchange in self.exchanges if exchange not in self._fees]
        if unknown:
            text = f"fees=True needs ConsolidatedBook(fees={{{unknown[0]!r}: fraction, …}})"
            raise InvalidArgument(text, {"argument": "fees"})
        net = [level._replace(price=_net_of(self._fees[level.exchange], level.price, sign)) for level in levels]
        return sorted(net, key=lambda level: level.price, reverse=sign < 0)

    def quantity_to(self, side: Side | str, price: Money) -> Decimal:
        """What can be bought (sold) now at `price` or better, everywhere together."""
        return trimmed(total(book.quantity_to(side, price) for book in self._books))


class _Merged(Sequence[ConsolidatedLevel]):
    """One side of several books, best first; merged as far as somebody looks."""

    __slots__ = ("_books", "_known", "_name")

    def __init__(self, books: tuple[Book, ...], name: str) -> None:
        self._books = books
        self._name = name
        self._known: tuple[int, tuple[ConsolidatedLevel, ...]] = 0, ()

    def __len__(self) -> int:
        return sum(len(getattr(book, self._name)) for book in self._books)

    @overload
    def __getitem__(self, index: int) -> ConsolidatedLevel: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ConsolidatedLevel]: ...
    def __getitem__(self, index: int | slice) -> ConsolidatedLevel | Sequence[ConsolidatedLevel]:
        return self._best(_reach(index))[index]

    def __iter__(self) -> Iterator[ConsolidatedLevel]:
        return iter(self._best(len(self)))

    def _best(self, count: int) -> tuple[ConsolidatedLevel, ...]:
        """At least the best `count` of all, if there are so many."""
        reach, known = self._known
        if reach < count:
            # Two threads may do this at once: what each has found is right.
            known = self._merge(count)
            self._known = count, known
        return known

    def _merge(self, count: int) -> tuple[ConsolidatedLevel, ...]:
        """The best `count`, of equal ones as by name. To rank them takes their prices; only those are read."""
        ranked: list[tuple[Decimal, str, str]] = []
        for book in self._books:
            ranked += getattr(book, self._name).priced(count, book.exchange)
        ranked.sort(key=_price, reverse=self._name == "bids")
        return tuple([_new(ConsolidatedLevel, (price, Decimal(text), name)) for price, text, name in ranked[:count]])

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (_Merged, list, tuple)) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as the sides of a book

    def __repr__(self) -> str:
        return repr(tuple(self))


_price: Any = itemgetter(0)
_new: Any = tuple.__new__  # what ConsolidatedLevel() does, without a call in between


def _net_of(fee: Decimal, price: Decimal, sign: int) -> Decimal:
    return EXACT.add(price, EXACT.multiply(price, EXACT.multiply(fee, Decimal(sign))))


def _reach(index: int | slice) -> int:
    """How many levels must be known to answer."""
    if isinstance(index, int):
        return index + 1 if index >= 0 else sys.maxsize
    start, stop, step = index.start, index.stop, index.step
    is_near = stop is not None and stop >= 0 and (start is None or start >= 0) and (step is None or step > 0)
    return stop if is_near else sys.maxsize


class ConsolidatedBook:
    """The book of `symbol` over several streams, one per exchange.

    Args:
        symbol: the same on all of them.
        streams: one per exchange.
        depth: levels a side of each.
        fees: exchange → taker fee as a fraction (`"0.001"` is 0.1 %, below zero a rebate), for `vwap(..., fees=True)`.
        max_age: seconds after which a connection without data is not believed any more.

    Raises:
        ConfigurationError: no stream, or two of one exchange.
        InvalidArgument: a name that can be no symbol, a fee for what is no exchange, or one of 100 % and more.
        InvalidType: something else than a stream, or a value of a wrong type, such as a float for a fee.
    """

    def __init__(
        self,
        symbol: str,
        *streams: Stream,
        depth: int = 50,
        fees: Mapping[str, Money] | None = None,
        max_age: float = 5.0,
    ) -> None:
        for stream in streams:
            if not isinstance(stream, Stream):
                raise no_stream(stream)
        exchanges = [stream.exchange for stream in streams]
        if not streams or len(set(exchanges)) < len(exchanges):
            raise ConfigurationError("a ConsolidatedBook needs one stream per exchange")
        if isinstance(max_age, bool) or not isinstance(max_age, (int, float)) or not max_age > 0:
            raise InvalidArgument("max_age must be seconds, above 0", {"argument": "max_age"})
        self.symbol = unified_of(symbol)
        self._streams = sorted(streams, key=lambda stream: stream.exchange)
        self._depth = depth
        self._fees = _checked_fees(fees or {})
        self._max_age = max_age
        self._env = Environment()
        self._handlers: dict[Handle, float] = {}
        self._watches: dict[int, dict[Handle, _Watch]] = {}  # by process id
        for stream in streams:
            stream._keep_book(symbol, depth)  # noqa: SLF001 - a book over streams is one of their faces

    def view(self) -> ConsolidatedView:
        """What may be believed now, from any thread.

        Raises:
            BookNotReady: no exchange is in.
        """
        view = self._view()
        if not view.exchanges:
            reasons = "; ".join(f"{exchange}: {reason}" for exchange, reason in view.missing.items())
            text = f"no exchange has a valid book of {self.symbol} ({reasons})"
            raise BookNotReady(text, {"symbol": self.symbol, "since": view.time.isoformat()})
        return view

    def _view(self) -> ConsolidatedView:
        books: dict[str, Book] = {}
        missing: dict[str, str] = {}
        for stream in self._streams:
            try:
                book, age = stream._peek(self.symbol, self._depth)  # noqa: SLF001 - likewise
            except StreamError as error:
                missing[stream.exchange] = error.message
                continue
            if age > self._max_age:
                missing[stream.exchange] = f"no data for {age:.1f} s"
            else:
                books[stream.exchange] = book
        return ConsolidatedView(self.symbol, self._env.wall(), tuple(books), missing, tuple(books.values()), self._fees)

    # ------------------------------------------------------------ changes

    @overload
    def on_change(self, handler: OnChange, *, interval: float = ...) -> OnChange: ...
    @overload
    def on_change(self, handler: None = ..., *, interval: float = ...) -> Callable[[OnChange], OnChange]: ...
    def on_change(self, handler: Any = None, *, interval: float = 0.1) -> Any:
        """Call `handler(view)` when something changed, at most once in `interval` seconds; plain or as a decorator.

        It is also called when an exchange leaves or returns, even with an empty view.

        Raises:
            InvalidType: not callable with one argument, or a coroutine function.
            InvalidArgument: a negative interval.
        """
        if handler is None:
            return partial(self.on_change, interval=interval)
        check_handler(handler, "handler")
        if isinstance(interval, bool) or not isinstance(interval, (int, float)) or interval < 0:
            raise InvalidArgument("interval must be seconds, not below 0", {"argument": "interval"})
        self._handlers[handler] = float(interval)
        if os.getpid() in self._watches:
            self._watch()
        return handler

    def off(self, handler: Handle) -> None:
        """No more calls of `handler` begin."""
        self._handlers.pop(handler, None)
        watch = self._watches.get(os.getpid(), {}).pop(handler, None)
        if watch is not None:
            watch.close()

    def _watch(self) -> None:
        watches = self._watches.setdefault(os.getpid(), {})
        for handler, interval in self._handlers.items():
            if handler not in watches:
                watches[handler] = _Watch(self._env, self._view, handler, interval, self.symbol)

    # ------------------------------------------------------------ life

    def start(self) -> Self:
        """Start its streams, and to call the handlers; returns at once."""
        for stream in self._streams:
            stream.start()
        self._watch()
        return self

    def stop(self, timeout: float = 5.0) -> None:
        """Stop its streams and the handlers; `start()` goes on."""
        self._end(lambda stream, left: stream.stop(left), timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Close its streams; idempotent, from any thread."""
        self._end(lambda stream, left: stream.close(left), timeout)

    def _end(self, end: Callable[[Stream, float], None], timeout: float) -> None:
        deadline = self._env.now() + timeout
        watches = list(self._watches.pop(os.getpid(), {}).values())
        for watch in watches:
            watch.close()
        for stream in self._streams:
            end(stream, max(deadline - self._env.now(), 0.1))
        for watch in watches:
            watch.join(max(deadline - self._env.now(), 0.1))

    def wait(self, timeout: float | None = None) -> bool:
        """Until all its streams are stopped; False at the deadline."""
        deadline = None if timeout is None else self._env.now() + timeout
        return all(stream.wait(self._left(deadline)) for stream in self._streams)

    def wait_live(self, timeout: float | None = 30.0) -> bool:
        """Until all exchanges are in; False at the deadline, and at once when one refused the symbol or is stopped."""
        deadline = None if timeout is None else self._env.now() + timeout
        while all(stream.wait_live(self._left(deadline)) for stream in self._streams):
            states = {self._state(stream) for stream in self._streams}
            if states == {None}:
                return True
            if "refused" in states or self._left(deadline) == 0.0:
                return False
            self._env.sleep(_SHORTEST_LOOK_S)
        return False

    def _state(self, stream: Stream) -> str | None:
        try:
            stream._peek(self.symbol, self._depth)  # noqa: SLF001 - likewise
        except StreamError as error:
            return error.state
        return None

    def _left(self, deadline: float | None) -> float | None:
        return None if deadline is None else max(deadline - self._env.now(), 0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        streams = ", ".join(f"{stream.exchange} {stream.status}" for stream in self._streams)
        return f"<ConsolidatedBook {self.symbol} {streams}>"


def _checked_fees(fees: Any) -> dict[str, Decimal]:
    if not isinstance(fees, Mapping):
        example = f'fees={{{available()[0]!r}: "0.001"}}'
        text = f"fees must map exchanges to fractions, not {type(fees).__name__}: write {example}"
        raise InvalidType(text, {"argument": "fees"})
    return {_checked_exchange(exchange): _checked_fee(fee, f"fees[{exchange!r}]") for exchange, fee in fees.items()}


def _checked_exchange(exchange: Any) -> str:
    if exchange not in available():
        text = f"fees: {exchange!r} is no exchange, they are {', '.join(map(repr, available()))}"
        raise InvalidArgument(text, {"argument": "fees"})
    return str(exchange)


def _checked_fee(fee: Money, argument: str) -> Decimal:
    fraction = decimal_of(fee, argument)
    if abs(fraction) >= 1:
        text = f'{argument}={plain(fraction)}: a fraction is wanted, below 1: 0.1 % is "0.001"'
        raise InvalidArgument(text, {"argument": "fees"})
    return fraction


class _Watch:
    """Looks every so often whether something changed, in a thread of its own, and then calls one handler.

    Looking rather than being told costs nothing per message, and also sees what nobody tells: silence.
    """

    def __init__(
        self, env: Environment, view: Callable[[], ConsolidatedView], handler: Handle, interval: float, symbol: str
    ) -> None:
        self._env = env
        self._view = view
        self._handler = handler
        self._pause = max(interval, _SHORTEST_LOOK_S)
        self._next = 0.0
        self._is_closed = False
        self._seen: object = None
        self._has_shown = False
        self._actor = Actor(env, f"exconnect.consolidated.{symbol}", self._step)

    def close(self) -> None:
        with self._actor.condition:
            self._is_closed = True
            self._actor.wake()

    def join(self, timeout: float) -> None:
        self._actor.join(timeout)

    def _step(self, now: float) -> Callable[[], None] | float | None:
        if self._is_closed:
            return None
        if now < self._next:
            return self._next
        self._next = now + self._pause
        return self._look

    def _look(self) -> None:
        view = self._view()
        seen = [(book.exchange, book.sequence) for book in view._books]  # noqa: SLF001 - made in this file
        if seen == self._seen:
            return
        is_first, self._seen = self._seen is None, seen
        if is_first and not seen:
            return  # nothing has come yet, and nobody has left
        try:
            self._handler(view)
        except BaseException as error:
            # Whatever a handler raises is reported and is nobody else's business.
            name = name_of(self._handler)
            if not self._has_shown:
                self._has_shown = True
                show_failure(log, f"handler {name} failed on a ConsolidatedView; logging tells of every failure", error)
            log.exception("handler %s of the consolidated book failed", name)
