"""What a stream can be asked for: the `on_` methods, which register plain functions and do nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar, overload

from exconnect.errors import ClientClosed, InvalidArgument, NotSupported
from exconnect.feeds.registration import (
    PUBLIC,
    Handler,
    Options,
    Registration,
    Same,
    gap_handler,
    symbols_of,
    whole_of,
)
from exconnect.model.account import Balance, Position, as_asset
from exconnect.model.enums import Policy, choose
from exconnect.model.events import Gap, Notice, StatusChanged
from exconnect.model.market import INTERVALS, Book, Candle, Ticker, Trade, check_interval
from exconnect.model.order import Fill, Order
from exconnect.model.values import seconds_of
from exconnect.runtime.callbacks import check_handler, name_of

OnBook = TypeVar("OnBook", bound=Handler[Book])
OnTicker = TypeVar("OnTicker", bound=Handler[Ticker])
OnTrade = TypeVar("OnTrade", bound=Handler[Trade])
OnCandle = TypeVar("OnCandle", bound=Handler[Candle])
OnOrder = TypeVar("OnOrder", bound=Handler[Order])
OnFill = TypeVar("OnFill", bound=Handler[Fill])
OnBalance = TypeVar("OnBalance", bound=Handler[Balance])
OnPosition = TypeVar("OnPosition", bound=Handler[Position])
OnStatus = TypeVar("OnStatus", bound=Handler[StatusChanged])
OnNotice = TypeVar("OnNotice", bound=Handler[Notice])

DEPTH = 50
MAX_DEPTH = 5_000
_CAPACITY = 10_000
_MAX_CAPACITY = 10_000_000
_CLOSED = "the stream was closed: make a new one; stop() is what keeps one for another start()"


class Listening(ABC):
    """Who wants to hear what. Handlers may be registered and taken back at any time, from any thread and handler."""

    def __init__(
        self,
        exchange: str,
        symbols: tuple[str, ...],
        check_private: Callable[[], object] | None = None,
        intervals: Sequence[str] = INTERVALS,
    ) -> None:
        self._exchange = exchange
        self._symbols = tuple(dict.fromkeys(symbols))
        self._check_private = check_private  # raises if nobody may listen; None: there is nothing to listen to
        self._intervals = intervals  # of the candles that there are
        self._registrations: dict[tuple[str, Same], Registration] = {}
        self._is_closed = False

    @abstractmethod
    def _apply(self) -> None:
        """What is registered has changed."""

    @overload
    def on_book(self, handler: OnBook, *symbols: str, depth: int = ..., interval: float = ...) -> OnBook: ...
    @overload
    def on_book(
        self, handler: str | None = ..., *symbols: str, depth: int = ..., interval: float = ...
    ) -> Callable[[OnBook], OnBook]: ...
    def on_book(self, handler: Any = None, *symbols: str, depth: int = DEPTH, interval: float = 0.0) -> Any:
        """Call `handler(book)` with the newest valid `Book` of each symbol, `depth` levels a side.

        Args:
            handler: a plain callable; a symbol or nothing: then this is a decorator.
            symbols: none: every symbol that the stream has for books.
            depth: levels a side.
            interval: at most one call per symbol in so many seconds; the newest book always comes.

        Raises:
            InvalidArgument: a value that cannot be right, or the handler is registered with another one.
            InvalidType: not callable with one argument, a coroutine function, or a value of a wrong type.
        """
        wanted = whole_of(depth, "depth", MAX_DEPTH)
        options = Options(Policy.CONFLATE, interval=seconds_of(interval, "interval"), depth=wanted)
        return self._register("book", handler, symbols, options)

    @overload
    def on_ticker(self, handler: OnTicker, *symbols: str, interval: float = ...) -> OnTicker: ...
    @overload
    def on_ticker(
        self, handler: str | None = ..., *symbols: str, interval: float = ...
    ) -> Callable[[OnTicker], OnTicker]: ...
    def on_ticker(self, handler: Any = None, *symbols: str, interval: float = 0.0) -> Any:
        """Call `handler(ticker)` with the newest `Ticker` of each symbol. As `on_book`."""
        options = Options(Policy.CONFLATE, interval=seconds_of(interval, "interval"))
        return self._register("ticker", handler, symbols, options)

    @overload
    def on_trade(
        self,
        handler: OnTrade,
        *symbols: str,
        capacity: int = ...,
        on_gap: Handler[Gap] | None = ...,
        policy: Policy | str = ...,
    ) -> OnTrade: ...
    @overload
    def on_trade(
        self,
        handler: str | None = ...,
        *symbols: str,
        capacity: int = ...,
        on_gap: Handler[Gap] | None = ...,
        policy: Policy | str = ...,
    ) -> Callable[[OnTrade], OnTrade]: ...
    def on_trade(
        self,
        handler: Any = None,
        *symbols: str,
        capacity: int = _CAPACITY,
        on_gap: Handler[Gap] | None = None,
        policy: Policy | str = "drop_oldest",
    ) -> Any:
        """Call `handler(trade)` with each `Trade`: ids ascending, each once.

        Args:
            handler: as in `on_book`.
            symbols: as in `on_book`.
            capacity: trades that may wait before the oldest is dropped.
            on_gap: called in the handler's thread with a `Gap` right before the trade that comes after it.
            policy: `"drop_oldest"`, or `"conflate"` for the newest of each symbol only.

        Raises:
            InvalidArgument: as `on_book`.
            InvalidType: as `on_book`.
        """
        chosen = choose(Policy, policy, "policy")
        if chosen is Policy.KEEP:
            text = "policy='keep': trades may be dropped ('drop_oldest') or conflated ('conflate')"
            raise InvalidArgument(text, {"argument": "policy"})
        room = whole_of(capacity, "capacity", _MAX_CAPACITY)
        options = Options(chosen, capacity=room, on_gap=gap_handler(on_gap))
        return self._register("trade", handler, symbols, options)

    @overload
    def on_candle(
        self,
        handler: OnCandle,
        *symbols: str,
        interval: str = ...,
        capacity: int = ...,
        on_gap: Handler[Gap] | None = ...,
    ) -> OnCandle: ...
    @overload
    def on_candle(
        self,
        handler: str | None = ...,
        *symbols: str,
        interval: str = ...,
        capacity: int = ...,
        on_gap: Handler[Gap] | None = ...,
    ) -> Callable[[OnCandle], OnCandle]: ...
    def on_candle(
        self,
        handler: Any = None,
        *symbols: str,
        interval: str = "1m",
        capacity: int = _CAPACITY,
        on_gap: Handler[Gap] | None = None,
    ) -> Any:
        """Call `handler(candle)` each time a `Candle` of that `interval` (`"1m"`, `"1h"` …) changes; as `on_trade`.

        Raises:
            NotSupported: the exchange has no candles of that interval.
        """
        check_interval(interval, self._intervals, self._exchange)
        room = whole_of(capacity, "capacity", _MAX_CAPACITY)
        options = Options(Policy.DROP_OLDEST, capacity=room, candles=interval, on_gap=gap_handler(on_gap))
        return self._register("candle", handler, symbols, options)

    @overload
    def on_order(self, handler: OnOrder, *symbols: str) -> OnOrder: ...
    @overload
    def on_order(self, handler: str | None = ..., *symbols: str) -> Callable[[OnOrder], OnOrder]: ...
    def on_order(self, handler: Any = None, *symbols: str) -> Any:
        """Call `handler(order)` with each change of an `Order` of the account, merged with all that is known of it.

        What a user sees of an order never goes back, and `client.orders.get(order)` is at least as new.

        Args:
            handler: as in `on_book`.
            symbols: none: the whole account.

        Raises:
            ConfigurationError: there are no credentials.
            InvalidArgument: a name that can be no symbol.
            InvalidType: as `on_book`.
            NotSupported: the exchange has no private streams here.
        """
        return self._private("order", handler, symbols)

    @overload
    def on_fill(self, handler: OnFill, *symbols: str) -> OnFill: ...
    @overload
    def on_fill(self, handler: str | None = ..., *symbols: str) -> Callable[[OnFill], OnFill]: ...
    def on_fill(self, handler: Any = None, *symbols: str) -> Any:
        """Call `handler(fill)` with each `Fill` of the account since `start()`, exactly once. As `on_order`.

        Those that the stream did not bring were fetched: their `source` is `REST`.
        """
        return self._private("fill", handler, symbols)

    @overload
    def on_balance(self, handler: OnBalance, *assets: str) -> OnBalance: ...
    @overload
    def on_balance(self, handler: str | None = ..., *assets: str) -> Callable[[OnBalance], OnBalance]: ...
    def on_balance(self, handler: Any = None, *assets: str) -> Any:
        """Call `handler(balance)` with each change of the `Balance` of an asset; none: of all. As `on_order`."""
        assets = tuple(as_asset(asset) for asset in assets)
        return self._private("balance", as_asset(handler) if isinstance(handler, str) else handler, assets)

    @overload
    def on_position(self, handler: OnPosition, *symbols: str) -> OnPosition: ...
    @overload
    def on_position(self, handler: str | None = ..., *symbols: str) -> Callable[[OnPosition], OnPosition]: ...
    def on_position(self, handler: Any = None, *symbols: str) -> Any:
        """Call `handler(position)` with each change of a `Position`. Not delivered yet.

        Raises:
            NotSupported: always.
        """
        text = "on_position is not delivered yet: positions are for perpetuals, which come with a later version"
        raise NotSupported(text, {"exchange": self._exchange, "operation": "on_position"})

    @overload
    def on_status(self, handler: OnStatus) -> OnStatus: ...
    @overload
    def on_status(self, handler: None = ...) -> Callable[[OnStatus], OnStatus]: ...
    def on_status(self, handler: Any = None) -> Any:
        """Call `handler(change)` with a `StatusChanged` each time a connection's state changes."""
        return self._register("status", handler, (), Options(Policy.KEEP))

    @overload
    def on_notice(self, handler: OnNotice) -> OnNotice: ...
    @overload
    def on_notice(self, handler: None = ...) -> Callable[[OnNotice], OnNotice]: ...
    def on_notice(self, handler: Any = None) -> Any:
        """Call `handler(notice)` with each `Notice`.

        `Gap`, `GapClosed`, `BookOutOfSync`, `HandlerFailed`, `TopicRefused` or `ZombieOrder`.
        """
        return self._register("notice", handler, (), Options(Policy.KEEP))

    def _private(self, kind: str, handler: Any, symbols: tuple[str, ...]) -> Any:
        if self._check_private is None:
            text = f"{self._exchange} has no private streams in this version"
            raise NotSupported(text, {"exchange": self._exchange, "operation": f"on_{kind}"})
        self._check_private()
        # Whom nobody could ever call would wait in silence: what concerns the account is not refused by the exchange.
        for name in symbols_of((handler, *symbols) if isinstance(handler, str) else symbols):
            if ("/" in name) is (kind == "balance"):
                wanted = "asset: they look like 'BTC'" if kind == "balance" else "symbol: they look like 'BTC/USDT'"
                raise InvalidArgument(f"on_{kind}: {name!r} is no {wanted}", {"argument": "symbols"})
        return self._register(kind, handler, symbols, Options(Policy.KEEP))

    def _register(self, kind: str, handler: Any, symbols: tuple[str, ...], options: Options) -> Any:
        if handler is None or isinstance(handler, str):
            given = symbols if handler is None else (handler, *symbols)
            symbols_of(given)
            return partial(self._decorate, kind, given, options)
        self._add(kind, handler, symbols_of(symbols), options)
        return handler

    def _decorate(self, kind: str, symbols: tuple[str, ...], options: Options, handler: Any) -> Any:
        self._add(kind, handler, symbols, options)
        return handler

    def _add(self, kind: str, handler: Any, symbols: tuple[str, ...], options: Options) -> None:
        check_handler(handler, "handler")
        self._check_open()
        key = kind, Same(handler)
        # No lock, which would have to be made before anything runs: one step of a dict that is atomic by itself.
        registration = self._registrations.setdefault(key, Registration(kind, handler, options))
        if registration.options != options:
            text = f"on_{kind}: {name_of(handler)} is registered with other options; take it back with off() first"
            raise InvalidArgument(text, {"argument": "handler"})
        registration.add(symbols)
        self._registrations.setdefault(key, registration)  # `off` in another thread may just have found it empty
        self._apply()

    def off(self, handler: Handler[Any], *symbols: str) -> None:
        """Take the symbols, or all, back from `handler`, for every kind that it is registered for."""
        symbols_of(symbols)
        for key, registration in list(self._registrations.items()):
            if key[1] == Same(handler):
                if symbols:
                    registration.remove(symbols)
                else:
                    registration.clear()
                if registration.is_empty:
                    self._registrations.pop(key, None)
        self._apply()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClientClosed(_CLOSED, {"exchange": self._exchange})

    def _heard(self, registration: Registration) -> tuple[str, ...]:
        if registration.kind not in PUBLIC:
            return tuple(registration.named)
        others = [r.named for r in list(self._registrations.values()) if r.kind == registration.kind]
        return registration.symbols((*self._symbols, *(symbol for named in others for symbol in list(named))))
