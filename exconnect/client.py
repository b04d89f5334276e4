"""The blocking face: one `Client` per exchange and account, shared by as many threads as there are."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self

from exconnect.account import AccountData
from exconnect.config import Settings, misuse
from exconnect.credentials import PREFIX, Credentials
from exconnect.errors import (
    ClientClosed,
    ConfigurationError,
    InvalidType,
    NotSupported,
    says_operation,
)
from exconnect.feeds.registration import symbols_of
from exconnect.model.enums import Capability, Side
from exconnect.model.health import Health
from exconnect.model.order import AmendOrder, CancelOrder, Order, OrderRef, PlaceOrder, text_of
from exconnect.model.values import Money, seconds_of, symbol_of
from exconnect.raw import RawCalls, decoded
from exconnect.stream import Stream
from exconnect.trading.deadmans_switch import DeadMansSwitch
from exconnect.trading.queries import OrderView
from exconnect.venue.plan import Plan, plan

if TYPE_CHECKING:
    from types import TracebackType

    from exconnect.errors import ExconnectError
    from exconnect.model.instrument import Instrument
    from exconnect.protocol.exchange import Exchange
    from exconnect.trading.desk import Desk
    from exconnect.trading.risk import RiskCheck
    from exconnect.venue.parts import Venue


P = ParamSpec("P")


def _noting_what_is_said(init: Callable[Concatenate[Client, P], None]) -> Callable[Concatenate[Client, P], None]:
    """Before `init`, write down which keywords were given: one that equals its default was said all the same."""

    @wraps(init)
    def noting(self: Client, /, *arguments: P.args, **keywords: P.kwargs) -> None:
        self._said = frozenset(keywords)
        problem = misuse(len(arguments), self._said)
        if problem is not None:
            del arguments, keywords  # what was meant as a secret is not for a traceback with locals
            raise TypeError(problem)
        init(self, *arguments, **keywords)

    return noting


class Client(AccountData):
    """An account on an exchange, over REST. Making one opens nothing; the first call does.

    The name of the exchange is enough for public data. Private calls need `credentials=` or the variables
    `EXCONNECT_<EXCHANGE>_API_KEY` and `EXCONNECT_<EXCHANGE>_API_SECRET`. A client may be shared by all threads,
    survives a fork (the child opens its own connections), and pickles as its settings if it holds no literal secret.
    Which endpoints a method asks is in the documentation: "How the exchanges differ".

    Args:
        exchange: one of `exconnect.available()`.
        environment: `"live"`, `"testnet"`, `"demo"`, base URLs (`REST [streams [private]]`), `Endpoints` or a
            `MockExchange`. None: environment variables, else live.
        credentials: who signs; None: the mock's own if `environment` is a mock, else environment variables.
        account: label of the account. None: first 8 hex digits of the SHA-256 of the key id.
        timeout: seconds in all for one call, waiting for budget, retries and finding out included.
        recv_window_ms: validity of a signed request; None: chosen per call.
        proxy: `"http://user:pw@host:port"`, `"socks5h://…"` or `"env"`; None: direct. Loopback is never proxied.
        ca_file: extra CA bundle; verification cannot be switched off.
        risk: checks that an order must pass, in this order.
        journal: file in which orders are written down before they leave; `"auto"`: in the state directory, one per host
            and account; None: nowhere.
        durability: what the journal survives: `"process"` or `"power"`.
        budget: where the rate budget lives.
        budget_share: the part of every limit that this process may use.
        read_only: refuse to place and amend.
        metrics: a `Metrics` that hears of everything counted.

    Raises:
        ConfigurationError: a wrong value, with the choices.
    """

    _said: frozenset[str]

    @_noting_what_is_said
    def __init__(
        self,
        exchange: str,
        *,
        environment: Any = None,
        credentials: Credentials | None = None,
        account: str | None = None,
        timeout: float = 12.0,
        recv_window_ms: int | None = None,
        proxy: str | None = None,
        ca_file: str | None = None,
        risk: Sequence[RiskCheck] = (),
        journal: str | os.PathLike[str] | None = "auto",
        durability: str = "process",
        budget: str = "memory",
        budget_share: float = 1.0,
        read_only: bool = False,
        metrics: Any = None,
    ) -> None:
        given = Settings(
            exchange,
            environment=environment,
            credentials=credentials,
            account=account,
            timeout=timeout,
            recv_window_ms=recv_window_ms,
            proxy=proxy,
            ca_file=ca_file,
            risk=risk,  # type: ignore[arg-type]  # Settings checks what it is given and keeps a tuple
            journal=journal,
            durability=durability,
            budget=budget,
            budget_share=budget_share,
            read_only=read_only,
            metrics=metrics,
        )
        self._plan: Plan = plan(_over_file(given, self._said))
        self._venues: dict[int, Venue] = {}
        self._closed_in: set[int] = set()
        self._streams: weakref.WeakSet[Stream] = weakref.WeakSet()
        self._orders = OrderView(self._desk, lambda: self._open().watchers)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The client that these settings describe."""
        return cls(**{f.name: getattr(settings, f.name) for f in fields(settings)})

    # ------------------------------------------------------------ what it is (no network)

    @property
    def exchange(self) -> str:
        """Name of the exchange."""
        return self._plan.exchange.name

    @property
    def account(self) -> str:
        """Label of the account in client order ids."""
        return self._plan.account

    @property
    def environment(self) -> str:
        """`"live"`, `"testnet"`, `"demo"`, or the REST base URL."""
        return self._plan.environment

    @property
    def settings(self) -> Settings:
        """What it was made with; secrets are hidden."""
        return self._plan.settings

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this exchange offers beyond the common ground; `"iceberg" in client.capabilities` works."""
        return self._plan.exchange.capabilities

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """What is known of the listing, by symbol; empty before the first load."""
        return self._open().host.instruments

    @property
    def orders(self) -> OrderView:
        """What is known of the account's orders."""
        return self._orders

    @property
    def journal(self) -> Path | None:
        """Path of the journal; None for a client without a key, or that was told to keep none."""
        from exconnect.venue.parts import journal_of

        venue = self._venues.get(os.getpid())
        return journal_of(self._plan) if venue is None else venue.account.journal

    @property
    def is_halted(self) -> bool:
        """Whether `halt()` is on."""
        return self._open().account.intents.halt_state() is not None

    @property
    def closed(self) -> bool:
        """Whether `close()` was called in this process."""
        return os.getpid() in self._closed_in

    def __repr__(self) -> str:
        if "_plan" not in self.__dict__:
            return "<Client that was not made>"  # in a traceback of what its settings are refused for
        return f"Client({self.exchange!r}, environment={self.environment!r}, account={self.account!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        settings = replace(
            self.settings,
            environment=self._plan.endpoints if "://" in self.environment else self.environment,
            credentials=self._plan.credentials,
        )
        settings.__reduce__()  # refuses, with a sentence, if there is a literal secret
        return type(self).from_settings, (settings,)

    # ------------------------------------------------------------ this process's parts

    @property
    def _exchange(self) -> Exchange:
        return self._plan.exchange

    def _open(self) -> Venue:
        pid = os.getpid()
        if pid in self._closed_in:
            raise self._was_closed()
        venue = self._venues.get(pid)
        if venue is not None:
            return venue
        from exconnect.venue.parts import Venue  # what only a first call needs costs an import nothing

        made = Venue(self._plan)
        venue = self._venues.setdefault(pid, made)
        if venue is not made:  # another thread was faster
            made.close()
        elif pid in self._closed_in and self._venues.pop(pid, None) is made:  # while this one was made
            made.close()
            raise self._was_closed()
        return venue

    def _was_closed(self) -> ClientClosed:
        return ClientClosed("the client was closed: make a new one", {"exchange": self.exchange})

    def _desk(self) -> Desk:
        return self._open().desk

    def _timeout(self, timeout: float | None) -> float:
        return self.settings.timeout if timeout is None else seconds_of(timeout, "timeout", above_zero=True)

    def _trading(self) -> Venue:
        """For what changes money: open, not read-only, with a key."""
        venue = self._open()
        if self.settings.read_only:
            raise NotSupported("this client is read_only: it neither places nor amends", {"exchange": self.exchange})
        venue.need_credentials()
        return venue

    def _private(self) -> Venue:
        venue = self._open()
        venue.need_credentials()
        return venue

    # ------------------------------------------------------------ orders

    @says_operation
    def place_order(
        self,
        symbol: str,
        side: Side | str,
        quantity: Money | None = None,
        *,
        price: Money | None = None,
        type: str = "limit",
        quote_quantity: Money | None = None,
        time_in_force: str | None = None,
        post_only: bool = False,
        stop_price: Money | None = None,
        trailing_delta_bps: int | None = None,
        iceberg_quantity: Money | None = None,
        self_trade_prevention: str | None = None,
        reduce_only: bool = False,
        client_order_id: str | None = None,
        idempotency_key: str | None = None,
        extra: Mapping[str, str] | None = None,
        validate_only: bool = False,
        timeout: float | None = None,
    ) -> Order:
        """Send an order, once, and give what is known of it.

        `quantity` is in base asset, `price` in quote asset; money is `Decimal`, text or int, never a float. A market
        order is asked for with `type="market"`. The client order id exists before anything is sent and is in every
        error. A lost reply is not an error yet: for what is left of `timeout` the order is looked for, never sent
        again. With `validate_only` every check here and the exchange's own test call are made and nothing is placed:
        the `Order` that comes back has the status `NEVER_SENT`, and a refusal is raised as ever.

        Args:
            symbol: like `BTC/USDT`.
            side: `buy` or `sell`.
            quantity: of base asset; needed but for a market order with `quote_quantity`.
            price: of the `limit` types.
            type: `limit`, `market`, `stop_loss`, `stop_loss_limit`, `take_profit` or `take_profit_limit`.
            quote_quantity: what a market order may cost or shall bring.
            time_in_force: `gtc` (the default of `limit` types), `ioc` or `fok`.
            post_only: refuse to take (`WouldCross`).
            stop_price: the trigger of the `stop_loss` and `take_profit` types.
            trailing_delta_bps: lets the trigger follow the price, in hundredths of a percent.
            iceberg_quantity: how much of it is shown.
            self_trade_prevention: `none`, `expire_taker`, `expire_maker`, `expire_both` or `decrement`.
            reduce_only: for perpetuals.
            client_order_id: an id of yours, `[A-Za-z0-9_-]{1,36}`.
            idempotency_key: any text; the same key is the same order, in every process and after every restart. One
                that never arrived is returned with the status `NOT_ACCEPTED`: then take a new key.
            extra: parameters of the exchange's own, sent as they are.
            validate_only: see above.
            timeout: seconds in all; None: the client's.

        Raises:
            InvalidArgument: a value that cannot be right; `UnknownSymbol`, `InvalidOrder` (names filter, limit, value
                and nearest legal value).
            InvalidType: a float for money; the message shows the fix.
            RiskRejected: a risk check, or `TradingHalted`.
            OrderRejected: the exchange refused; nothing was executed.
            OutcomeUnknown: no answer until the deadline. Do not send it again: `error.resolve()` finds out.
            TransportError: nothing was sent, or it is known never to have arrived; with an id or key of yours that is
                not `retryable`, for it is used up.
            NotSupported: the exchange cannot do that; `validate_only` without `VALIDATE_ORDER`.
        """
        command = PlaceOrder(
            symbol,
            side,
            quantity,
            price=price,
            type=type,
            quote_quantity=quote_quantity,
            time_in_force=time_in_force,
            post_only=post_only,
            stop_price=stop_price,
            trailing_delta_bps=trailing_delta_bps,
            iceberg_quantity=iceberg_quantity,
            self_trade_prevention=self_trade_prevention,
            reduce_only=reduce_only,
            client_order_id=client_order_id,
            idempotency_key=idempotency_key,
            extra=extra,
        )
        if validate_only:
            self._need(Capability.VALIDATE_ORDER)
            return self._trading().commands.places.validate(command, self._timeout(timeout))
        return self._place(command, timeout)

    def _place(self, command: PlaceOrder, timeout: float | None) -> Order:
        left = self._timeout(timeout)
        venue = self._trading()
        self._check(command)
        return venue.commands.places.place(command, left)

    def _check(self, command: PlaceOrder) -> None:
        """What this client and this exchange can do at all."""
        if command.idempotency_key is not None and self.journal is None:
            raise ConfigurationError("idempotency_key needs a journal: do not say journal=None")
        if command.type.is_conditional:
            self._need(Capability.STOP_ORDERS)
        if command.trailing_delta_bps is not None:
            self._need(Capability.TRAILING_STOP)
        if command.iceberg_quantity is not None:
            self._need(Capability.ICEBERG)
        if command.self_trade_prevention is not None:
            self._need(Capability.SELF_TRADE_PREVENTION)
        if command.quote_quantity is not None:
            self._need(Capability.QUOTE_QUANTITY)
        if command.reduce_only:
            raise NotSupported("reduce_only is for perpetuals", {"capability": "futures", "exchange": self.exchange})

    @says_operation
    def amend_order(
        self,
        order: OrderRef,
        *,
        price: Money | None = None,
        quantity: Money | None = None,
        symbol: str | None = None,
        timeout: float | None = None,
    ) -> Order:
        """Change an open order; `quantity` is the new whole quantity, filled part included.

        The same order where the exchange can (and keeps its place in the queue where it can), else cancel-and-replace
        under a new client order id: then `replaces` of the result is the old one. The old id, and the idempotency key
        that the order was placed with, then stand for the old order, which is `CANCELED`: go on with what this
        returns. Values that the order has already are not sent where it would be replaced for them. Rules and risk
        checks run on the result.

        Raises:
            AmendRefused: the order is over, or filled in part and could only be replaced; it was left as it is.
            OutcomeUnknown: no answer until the deadline.
        """
        amend = AmendOrder(order, price=price, quantity=quantity, symbol=symbol)
        return self._trading().commands.amends.amend(amend, self._timeout(timeout))

    @says_operation
    def cancel_order(self, order: OrderRef, *, symbol: str | None = None, timeout: float | None = None) -> Order:
        """Cancel, and give what the order became: `CANCELED`, or `FILLED` if that was first.

        `NOT_ACCEPTED` if it was sent without an answer and is known now never to have arrived.

        Raises:
            OrderNotFound: the exchange has no such order, and none was sent from here.
            OutcomeUnknown: no definite answer until the deadline; canceling again is safe.
        """
        cancel = CancelOrder(order, symbol=symbol)
        return self._private().commands.cancels.cancel(cancel, self._timeout(timeout))

    @says_operation
    def cancel_all_orders(self, symbol: str | None = None, *, timeout: float = 30.0) -> list[Order]:
        """Cancel all orders of a symbol or of the account, then look until nothing is open on two looks.

        What the exchange shows may lag: it also cancels wherever an order is open as far as is known here. While an
        order that was sent without an answer may still arrive, it goes on canceling. A refusal for one symbol is raised
        when those of the others are canceled.

        Raises:
            OutcomeUnknown: it cannot be sure in time.
        """
        if symbol is not None:
            symbol_of(symbol)
        return self._private().commands.sweep.cancel_all(symbol, self._timeout(timeout))

    @says_operation
    def place_orders(
        self, orders: Sequence[PlaceOrder], *, timeout: float | None = None
    ) -> list[Order | ExconnectError]:
        """One result per order, in the order given; an order's failure is its result.

        Raises:
            InvalidType: not a sequence of `PlaceOrder`; nothing was sent.
        """
        items, left = _all_of(orders, PlaceOrder, "orders"), self._timeout(timeout)
        return self._trading().commands.batches.place(items, self._check, left)

    @says_operation
    def amend_orders(
        self, orders: Sequence[AmendOrder], *, timeout: float | None = None
    ) -> list[Order | ExconnectError]:
        """As `place_orders`, for amends.

        Raises:
            InvalidType: not a sequence of `AmendOrder`; nothing was sent.
        """
        items, left = _all_of(orders, AmendOrder, "orders"), self._timeout(timeout)
        return self._trading().commands.batches.amend(items, left)

    @says_operation
    def cancel_orders(
        self, orders: Sequence[OrderRef | CancelOrder], *, timeout: float | None = None
    ) -> list[Order | ExconnectError]:
        """As `place_orders`, for cancels; also on a `read_only` client and while trading is halted.

        Raises:
            InvalidType: not a sequence of orders, their client order ids or `CancelOrder`; nothing was sent.
        """
        if isinstance(orders, str) or not isinstance(orders, Iterable):
            raise InvalidType("orders must be a sequence of orders or their ids: [order]", {"argument": "orders"})
        items = [item if isinstance(item, CancelOrder) else CancelOrder(item) for item in orders]
        return self._private().commands.batches.cancel(items, self._timeout(timeout))

    @says_operation
    def recover(self, *, timeout: float = 30.0) -> list[Order]:
        """Find out what became of orders without an answer; those still `UNKNOWN` at the deadline are in it too.

        What counts as open here and is not, because somebody else ended it or the exchange did, is looked at too. Open
        orders of this account that no journal here knows are logged as a warning, each once.

        Raises:
            JournalUnavailable: it cannot be used, or somebody held it until the deadline: a process that was stopped
                while it wrote.
        """
        venue = self._private()
        return venue.commands.recovery.recover(self._timeout(timeout))

    # ------------------------------------------------------------ safety, health, the rest

    def halt(self, reason: str = "") -> None:
        """From now on places and amends raise `TradingHalted`; cancels go on.

        In every process that shares the journal, also after a restart; without a journal in this process alone.
        What is halted already stays so since then, and for the reason that was given last.

        Raises:
            JournalUnavailable: it cannot be written, or another process held it for five seconds: this process is
                halted, the others do not hear of it. Try again.
        """
        self._open().account.intents.halt(reason)

    def resume(self) -> None:
        """End `halt()`.

        Raises:
            JournalUnavailable: it cannot be written, or another process held it for five seconds; the halt goes on.
        """
        self._open().account.intents.resume()

    def cancel_if_silent(self, after: float) -> DeadMansSwitch:
        """Cancel all orders unless `touch()` of the result is called within `after` seconds, again and again.

        Raises:
            InvalidArgument: `after` is not above 0, or more than a day.
            InvalidType: `after` is no number.
        """
        venue = self._private()
        cancel_all = partial(venue.commands.sweep.cancel_all, None, 30.0)
        return DeadMansSwitch(after, env=venue.env, jobs=venue.jobs("orders"), cancel_all=cancel_all)

    def health(self) -> Health:
        """How it is doing, without asking the exchange."""
        return self._open().health()

    def metrics(self) -> dict[str, float]:
        """Counters and times: at least `calls retries rate_limited waited_s outcome_unknown`."""
        return self._open().metrics.snapshot()

    @property
    def raw(self) -> RawCalls:
        """Any endpoint, through the gateway: `client.raw.get("/api/v3/avgPrice", {"symbol": "BTCUSDT"})`."""
        return RawCalls(self._raw)

    def _raw(
        self, method: str, path: str, params: dict[str, str], *, signed: bool, cost: int, timeout: float | None
    ) -> Any:
        venue = self._open() if method == "GET" else self._trading()
        if method != "GET":
            venue.account.check_halt()
        if signed:
            venue.need_credentials()
        call = self._exchange.rest.raw(method, path, params, signed=signed, cost=cost, decode=decoded)
        return venue.call(call, self._timeout(timeout))

    def stream(self, *symbols: str, name: str | None = None) -> Stream:
        """A stream of this exchange for these symbols; nothing is opened before its `start()`.

        Under `name` (None: the exchange's) the journal keeps which fills its `on_fill` handlers have had.

        Raises:
            InvalidType: a symbol or the name is no text.
            InvalidArgument: a symbol is empty.
            ClientClosed: the client was closed in this process.
        """
        symbols_of(symbols)
        if name is not None:
            text_of(name, "name")
        if os.getpid() in self._closed_in:
            raise self._was_closed()
        check = None if self._exchange.private is None else self._plan.need_credentials
        stream = Stream(self._open, self.exchange, symbols, name, check, self._intervals)
        self._streams.add(stream)
        return stream

    def close(self, timeout: float = 5.0) -> None:
        """End its streams and connections in this process. Idempotent, from any thread or handler."""
        pid = os.getpid()
        if pid in self._closed_in:
            return
        self._closed_in.add(pid)
        for stream in list(self._streams):
            stream.close(timeout)
        venue = self._venues.pop(pid, None)
        if venue is not None:
            venue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _all_of(items: Sequence[Any], kind: type, argument: str) -> list[Any]:
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise _no_sequence(argument, kind)
    found = list(items)
    if not all(isinstance(item, kind) for item in found):
        raise _no_sequence(argument, kind)
    return found


def _no_sequence(argument: str, kind: type) -> InvalidType:
    return InvalidType(f"{argument} must be a sequence of {kind.__name__}", {"argument": argument})


def _over_file(given: Settings, said: frozenset[str]) -> Settings:
    """Arguments beat the file that `EXCONNECT_CONFIG` names, which beats environment variables and defaults."""
    path, profile = os.environ.get(f"{PREFIX}CONFIG"), os.environ.get(f"{PREFIX}PROFILE")
    if not path:  # as everywhere, a variable that is set to nothing is not set
        return given
    base = Settings.from_file(path, given.exchange, profile=profile or "default")
    # None is "not said", except where it is a value of its own.
    arguments = {name: getattr(given, name) for name in said if name == "journal" or getattr(given, name) is not None}
    return replace(base, **arguments)
