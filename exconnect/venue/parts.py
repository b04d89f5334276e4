"""What clients and streams of one process share, and how a client's parts fit together.

By exchange and address: clock, rate budget, breaker, instruments (`Host`). By account on top of that: order
store and kill switch (`Account`). Clients with equal exchange, addresses and account find the same ones, and
keep them alive; each client has a road out of its own, so that closing one leaves the others at work.
"""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from exconnect.environment import Environment
from exconnect.errors import ConfigurationError, JournalUnavailable, TransportError
from exconnect.gateway import Gateway, Sender
from exconnect.metrics import Registry
from exconnect.model.health import Health, LimitUse, PartHealth
from exconnect.protocol.signing import Signer, signer
from exconnect.resilience.breaker import CircuitBreaker
from exconnect.resilience.clock import ClientOrderIds, Clock
from exconnect.resilience.ratelimit import RateLimiter
from exconnect.runtime.jobs import Jobs
from exconnect.trading.catchup import AccountRecords
from exconnect.trading.commands import Commands
from exconnect.trading.desk import Desk
from exconnect.trading.doubts import Doubts
from exconnect.trading.handouts import HandoutLog
from exconnect.trading.holdings import Holdings
from exconnect.trading.instruments import Instruments
from exconnect.trading.intents import IntentLog, Intents, halted
from exconnect.trading.journal import Journal
from exconnect.trading.orders import OrderStore
from exconnect.trading.prices import Prices
from exconnect.trading.queries import AccountQueries
from exconnect.trading.reconcile import Resolver
from exconnect.trading.recorded import Recorded
from exconnect.trading.strays import Strays
from exconnect.trading.watchers import Watchers
from exconnect.trading.zombies import Zombies
from exconnect.transport.http import Http

if TYPE_CHECKING:
    from pathlib import Path

    from exconnect.credentials import Credentials
    from exconnect.model.account import Balances
    from exconnect.model.instrument import Instrument
    from exconnect.model.order import Order
    from exconnect.protocol.call import Call
    from exconnect.protocol.exchange import Exchange, Listing
    from exconnect.venue.plan import Plan

T = TypeVar("T")


class Host:
    """What everything in the process shares that talks to one exchange at one address."""

    def __init__(self, exchange: Exchange, env: Environment, share: float) -> None:
        self.clock = Clock(env)
        self.limiter = RateLimiter(share, env)
        self.limiter.learn(exchange.pools)
        self.breaker = CircuitBreaker(env)
        self.instruments = Instruments(exchange.name, env, exchange.parse_symbol)
        self.prices = Prices(env)


class Account:
    """What everything in the process shares that trades for one account."""

    def __init__(self, name: str, exchange: Exchange, env: Environment, journal: Path | None, durability: str) -> None:
        self.journal = journal
        self.is_auto = False  # whether nobody has said where the journal lies
        self.users = 0  # clients that are open; the last one to close takes it from the registry
        self.orders = OrderStore(env)
        self.holdings = Holdings(exchange.name, env)
        self.intents: IntentLog = (
            Intents(env) if journal is None else Journal(journal, env, durability=durability, exchange=exchange.name)
        )
        self.journaled = Recorded(env, self.orders, self.intents)
        self.doubts = Doubts(env, self.intents, exchange.absence)
        self.orders.listen(self.intents.record)
        self.zombies = Zombies(env, self.orders, self.intents)
        self.strays = None if journal is None else Strays(env, name, self.intents)

    def check_halt(self) -> None:
        """Let pass, unless trading is halted.

        Raises:
            TradingHalted: it is.
        """
        halt = self.intents.halt_state()
        if halt is not None:
            raise halted(halt)


@dataclass(slots=True)
class _Shared:
    """The weak registry of one process: what nobody uses any more is gone."""

    pid: int
    lock: threading.Lock = field(default_factory=threading.Lock)
    hosts: weakref.WeakValueDictionary[Any, Host] = field(default_factory=weakref.WeakValueDictionary)
    accounts: weakref.WeakValueDictionary[Any, Account] = field(default_factory=weakref.WeakValueDictionary)


_shared: dict[int, _Shared] = {}


def _process() -> _Shared:
    # By pid: a forked child must not see, lock or use what its parent made.
    pid = os.getpid()
    found = _shared.get(pid)
    return found if found is not None else _shared.setdefault(pid, _Shared(pid))


def journal_of(what: Plan) -> Path | None:
    """Where a client that was never used would write: with the others of its account in this process, if any do."""
    place = (what.exchange.name, what.endpoints)
    shared = _process().accounts.get((*place, what.account)) if what.has_auto_journal else None
    return shared.journal if shared is not None and shared.is_auto else what.journal


class Carrier(Sender, Protocol):
    """A sender that belongs to one client: `transport.http.Http`."""

    def close(self) -> None:
        """Nothing is sent any more."""


class Venue:
    """One client's parts in one process. Making it opens nothing and starts nothing.

    `env` is the machine that they take their time and threads from, `http` carries their requests.
    """

    def __init__(self, what: Plan, env: Environment | None = None, http: Carrier | None = None) -> None:
        self.plan = what
        self.pid = os.getpid()
        self.env = env or Environment()
        self.exchange = what.exchange
        self.endpoints = what.endpoints
        self.proxy = what.settings.proxy
        self.ca_file = None if what.settings.ca_file is None else os.fspath(what.settings.ca_file)
        self.metrics = Registry(what.settings.metrics)
        self.host, self.account = self._find()
        self.http = http or Http(what.endpoints.rest, env=self.env, proxy=self.proxy, ca_file=self.ca_file)
        self.gateway = Gateway(
            what.exchange,
            env=self.env,
            http=self.http,
            limiter=self.host.limiter,
            breaker=self.host.breaker,
            clock=self.host.clock,
            metrics=self.metrics,
            account=what.account,
            signer=self.signer,
            recv_window_ms=what.settings.recv_window_ms,
        )
        self._jobs: dict[str, Jobs] = {}
        self._ids: ClientOrderIds | None = None
        self._watchers: Watchers | None = None
        self._is_closed = False
        self._lock = self.env.lock()
        # Made here and not on first use, which several threads may come to at once: one account, one of each.
        self.desk = self._made_desk()
        self.commands = self._made_commands()
        self.queries = AccountQueries(self.desk, partial(self.account.intents.orders, only_open=True))
        self.records = self._made_records()
        self.account.zombies.listen(self._bury)

    def _find(self) -> tuple[Host, Account]:
        shared, what = _process(), self.plan
        place = (what.exchange.name, what.endpoints)
        with shared.lock:
            host = shared.hosts.get(place) or Host(what.exchange, self.env, what.settings.budget_share)
            account = shared.accounts.get((*place, what.account))
            if account is None:
                account = Account(what.account, what.exchange, self.env, what.journal, what.settings.durability)
                account.is_auto = what.has_auto_journal
            # The address of a mock may be given as the mock, which has a state directory of its own, or as text.
            is_same = account.journal == what.journal or (account.is_auto and what.has_auto_journal)
            if not is_same:
                text = f"clients of one account in one process share one journal: {account.journal}, not {what.journal}"
                raise ConfigurationError(text, {"exchange": what.exchange.name})
            others = [other.journal for other in shared.accounts.values() if other is not account]
            if what.journal is not None and what.journal in others:
                # One would seek the other's orders on its own exchange, and take them for never accepted.
                text = f"{what.journal} is already the journal of another account in this process; each needs its own"
                raise ConfigurationError(text, {"exchange": what.exchange.name})
            shared.hosts[place] = host
            shared.accounts[*place, what.account] = account
            account.users += 1
        return host, account

    def _leave(self) -> None:
        shared, what = _process(), self.plan
        place = (what.exchange.name, what.endpoints, what.account)
        with shared.lock:
            self.account.users -= 1
            if not self.account.users and shared.accounts.get(place) is self.account:
                del shared.accounts[place]

    def need_credentials(self) -> Credentials:
        """The credentials.

        Raises:
            ConfigurationError: there are none; names the variables that would hold them.
        """
        return self.plan.need_credentials()

    def signer(self) -> Signer:
        """Who signs.

        Raises:
            ConfigurationError: there are no credentials, or they cannot be read.
        """
        found, exchange = signer(self.need_credentials()), self.plan.exchange
        if found.kind not in exchange.key_kinds:
            text = f"{exchange.name} takes no {found.kind} keys, only {' and '.join(exchange.key_kinds)}"
            raise ConfigurationError(text, {"exchange": exchange.name})
        return found

    # ------------------------------------------------------------ the road out

    def call(self, call: Call[T], timeout: float) -> T:
        """One call through the gateway, in the caller's thread."""
        return self.gateway.execute(call, timeout)

    def server_now_ms(self) -> int:
        """The exchange's clock, as well as it is known."""
        return self.gateway.server_now_ms()

    def stopped_for(self) -> float:
        """Seconds for which the exchange wants to hear nothing at all."""
        return self.gateway.stopped_for()

    def stop(self, seconds: float, cause: str) -> None:
        """The exchange said stop on a connection that counts as calls do: they wait too."""
        self.gateway.stop(seconds, cause)

    def sync_clock(self, timeout: float) -> None:
        """Ask the exchange for the time."""
        self.gateway.sync_clock(timeout)

    def instrument(self, symbol: str, timeout: float) -> Instrument:
        """One instrument, loaded if it is not known or older than an hour.

        Raises:
            UnknownSymbol: with suggestions.
        """
        deadline = self.env.now() + timeout

        def load(names: tuple[str, ...]) -> object:
            return self.listing(names, deadline - self.env.now())

        try:
            return self.host.instruments.find(symbol, load, timeout)
        except TransportError as error:
            # The caller asked for something else, and does not know that this comes first.
            text = f"{symbol} has to be looked up first, and that failed: {error.message}"
            raise TransportError(text, error.details) from None

    def listing(self, exchange_symbols: tuple[str, ...], timeout: float) -> Listing:
        """What the exchange lists now; its limits are learnt from it."""
        listing = self.call(self.exchange.rest.instruments(exchange_symbols), max(timeout, 0.001))
        self.host.limiter.learn(listing.pools)
        self.host.instruments.put(listing.instruments, whole=not exchange_symbols)
        return listing

    def jobs(self, name: str) -> Jobs:
        """The background thread of that name (`"orders"`, `"market"`), started when it first has something to do."""
        with self._lock:
            jobs = self._jobs.get(name)
            if jobs is None:
                jobs = self._jobs[name] = Jobs(self.env, f"exconnect.{self.exchange.name}.jobs.{name}")
                if self._is_closed:
                    jobs.close()
            return jobs

    # ------------------------------------------------------------ trading

    def _made_desk(self) -> Desk:
        return Desk(
            exchange=self.exchange.name,
            rest=self.exchange.rest,
            gateway=self.gateway,
            env=self.env,
            instruments=self.host.instruments,
            orders=self.account.orders,
            journaled=self.account.journaled,
            doubts=self.account.doubts,
            strays=self.account.strays,
            instrument=self.instrument,
            listing=self.listing,
            recorded=self._recorded,
        )

    def _recorded(self, client_order_id: str) -> Order | None:
        found = self.account.intents.get(client_order_id)
        if found is not None and found.is_open:
            with suppress(JournalUnavailable):  # then it is as it was written down
                self.commands.recovery.take_over()  # its process may be gone
        return found

    def _made_commands(self) -> Commands:
        return Commands(
            self.desk,
            intents=self.account.intents,
            resolver=Resolver(self.desk, partial(self.jobs, "orders")),
            checks=self.plan.settings.risk,
            new_id=self._new_id,
            keyed_id=partial(ClientOrderIds.from_key, self.plan.account),
            last_price=self.last_price,
            seen_price=self.host.prices.last,
            balances=self.account.holdings.balances,
            recall=self.account.zombies.recall,
            batch=self.exchange.batch,
        )

    @property
    def zombies(self) -> Zombies:
        """Tells of orders that showed up although they counted as never accepted."""
        return self.account.zombies

    def _bury(self, order: Order) -> None:
        """An order that nobody counts on must not stay open."""
        if order.is_open:
            self.commands.cancels.cancel_behind(order)

    def _new_id(self) -> str:
        ids = self._ids
        if ids is None:  # two threads that come here at once draw from an epoch each
            ids = self._ids = ClientOrderIds(self.env, self.plan.account, self.account.intents.next_epoch())
        return ids.next()

    @property
    def watchers(self) -> Watchers:
        """Handlers of order changes."""
        with self._lock:
            is_new = self._watchers is None
            watchers = self._watchers = self._watchers or Watchers(self.env, f"exconnect.{self.exchange.name}.orders")
        if is_new:
            self.account.orders.listen(watchers.tell)
        return watchers

    def _made_records(self) -> AccountRecords:
        holdings, clock = self.account.holdings, self.host.clock
        recall = self.account.zombies.recall
        return AccountRecords(self.desk, holdings, self.listing, lambda: clock.error_ms, recall, self._handouts)

    def _handouts(self, name: str) -> HandoutLog | None:
        intents = self.account.intents
        return HandoutLog(intents, name) if isinstance(intents, Journal) else None

    def last_price(self, instrument: Instrument, timeout: float) -> Decimal | None:
        """The last price seen within ten seconds, else the one of a ticker fetched now."""
        prices, symbol = self.host.prices, instrument.symbol
        if prices.last(symbol) is None:
            prices.see(symbol, self.call(self.exchange.rest.fetch_ticker(instrument), timeout).last)
        return prices.last(symbol)

    def balances(self, timeout: float) -> Balances:
        """What is held, asked now and remembered."""
        time_ms = self.server_now_ms()
        balances = self.call(self.exchange.rest.fetch_balances(), timeout)
        self.account.holdings.put(balances, time_ms)
        return balances

    def health(self) -> Health:
        """How the parts are doing, without asking the exchange."""
        uses = self.host.limiter.uses(self.plan.account, self.server_now_ms())
        halted, keyed = self.account.intents.halt_state() is not None, self.plan.credentials is not None
        states = self.gateway.parts() | self.account.intents.parts()
        parts = {name: PartHealth(*part) for name, part in states.items()}
        held = self.gateway.held_back()
        failing = {name for name, part in parts.items() if part.state == "open"} | held
        may_place = keyed and not self.plan.settings.read_only
        can_read = "reads" not in failing
        can_cancel = keyed and "cancel" not in held  # the breaker holds no cancel back, the exchange does
        can_place = can_read and may_place and not halted and failing.isdisjoint(("place", "journal"))
        return Health(
            ok=can_read and (can_place or not may_place) and (can_cancel or not keyed),
            can_read=can_read,
            can_place=can_place,
            can_cancel=can_cancel,
            is_halted=halted,
            clock_offset_ms=self.host.clock.offset_ms,
            clock_error_ms=self.host.clock.error_ms,
            limits={name: LimitUse(*use) for name, use in uses.items()},
            parts=parts,
        )

    def close(self) -> None:
        """End the background threads and the connections of this client; what is shared goes on."""
        self.http.close()  # first: whatever is on its way ends now
        with self._lock:
            self._is_closed = True  # a job that still runs may ask for its thread again
            jobs = list(self._jobs.values())
        for job in jobs:
            job.close()
        if self._watchers is not None:
            self.account.orders.forget(self._watchers.tell)
            self._watchers.close()
        self._leave()
