"""The mock exchange as its user sees it."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from exconnect.credentials import Credentials
from exconnect.endpoints import Endpoints

from .binance import Binance
from .bybit import Bybit
from .faults import Fault, Faults
from .fixed import decimal, scaled
from .keys import HmacKey
from .ledger import Ledger
from .market import DEFAULT_BALANCES, DEFAULT_SYMBOLS
from .state import StateDir
from .threads import wall_ms
from .world import Setup

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal
    from pathlib import Path
    from types import TracebackType

    from .core import Core
    from .server import Server

    Amount = Decimal | str | int

EXCHANGES: Mapping[str, Callable[..., Core]] = {"binance": Binance, "bybit": Bybit}
EXAMPLES = {"symbols": 'symbols={"BTC/USDT": "60000"}', "balances": 'balances={"USDT": "1000"}'}
STOP_WITHIN = 1.5
LAST_PORT = 65_535


class MockExchange:
    """A true exchange on loopback: REST and sockets in the exchange's own dialect, deterministic by ``seed``.

    Making one does nothing; ``start`` or ``with`` opens the port. ``symbols``: symbol → start price. ``balances``:
    asset → amount. ``activity``: other people's events per second and symbol; 0: a still book. ``clock_offset``:
    seconds by which its clock is ahead. ``limits``: name → (count, seconds), names ``request_weight orders`` on
    Binance, ``ip orders`` on Bybit.

    Raises: ValueError for an exchange, symbol or limit that does not exist, an amount or a port that is none.
    """

    def __init__(
        self,
        exchange: str = "binance",
        *,
        seed: int = 0,
        port: int = 0,
        symbols: Mapping[str, Amount] | None = None,
        balances: Mapping[str, Amount] | None = None,
        activity: float = 20.0,
        clock_offset: float = 0.0,
        limits: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        self._exchange = exchange
        self._seed = seed
        self._server: Server | None = None
        if exchange not in EXCHANGES:
            raise ValueError(f"exchange={exchange!r}: one of {', '.join(EXCHANGES)}")
        if not 0 <= port <= LAST_PORT:
            raise ValueError(f"port={port}: from 0 (any that is free) to {LAST_PORT}")
        for argument, given in (("symbols", symbols), ("balances", balances)):
            if given is not None and not isinstance(given, Mapping):
                raise ValueError(f"{argument} must map names to amounts, as in {EXAMPLES[argument]}")
        self._lock = threading.RLock()
        self._activity = float(activity)
        self._clock_offset = float(clock_offset)
        self._wanted_port = port
        self._port = port
        self._pid: int | None = None
        self._state: StateDir | None = None
        self._faults = Faults(self._on_fault)
        setup = Setup(symbols or DEFAULT_SYMBOLS, balances or DEFAULT_BALANCES, seed, self._activity, self._now_ms())
        self._core: Core = EXCHANGES[exchange](setup, self._faults, limits)
        self._ledger = Ledger(self._core.world, self._lock, self._connections, self._core.sequence)

    # Life

    def start(self) -> Self:
        """Opens the port and starts its threads; nothing if it runs already.

        Raises: OSError if the port is taken, ConfigurationError without the extra ``mock``.
        """
        if self._server is None:
            serve = _server_class()
            with self._lock:
                self._core.restart_clock(self._now_ms(), self._activity)
            server = serve(self._core, self._lock, self._now_ms, self._wanted_port)
            self._port = server.start()
            self._server = server
            self._pid = os.getpid()
            self._state = StateDir()
            self._core.front.elsewhere = f"{self.rest_url}/elsewhere"
        return self

    def stop(self) -> None:
        """Closes everything within two seconds, whatever hangs. In a forked child, and a second time: nothing."""
        server, self._server = self._server, None
        if server is None or self._pid != os.getpid():
            return
        server.stop(STOP_WITHIN)
        if self._state is not None:
            self._state.remove()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        where = self.rest_url if self._server else "not started"
        return f"<MockExchange {self.exchange} seed={self.seed} {where}>"

    @property
    def exchange(self) -> str:
        """Which exchange it is."""
        return self._exchange

    @property
    def seed(self) -> int:
        """What makes it deterministic."""
        return self._seed

    @property
    def faults(self) -> Faults:
        """What shall go wrong: ``faults.add(name, on=…)``, ``faults.clear()``."""
        return self._faults

    @property
    def ledger(self) -> Ledger:
        """The truth, read-only: orders, fills, trades, books, balances, requests, connections, violations."""
        return self._ledger

    # Addresses

    @property
    def rest_url(self) -> str:
        """Base URL of REST."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def stream_url(self) -> str:
        """Base URL of market streams (``/ws`` and ``/stream``, ``/v5/public/spot``)."""
        return f"ws://127.0.0.1:{self._port}"

    @property
    def private_url(self) -> str:
        """Base URL of the private socket (``/ws-api/v3``, ``/v5/private``)."""
        return self.stream_url

    @property
    def url(self) -> str:
        """What ``Client(environment=…)`` takes, in any process."""
        return f"{self.rest_url} {self.stream_url} {self.private_url}"

    @property
    def endpoints(self) -> Endpoints:
        """The same as a record."""
        return Endpoints(self.rest_url, self.stream_url, self.private_url)

    @property
    def state_dir(self) -> Path:
        """A temporary directory, removed by ``stop``. Raises: RuntimeError before ``start``."""
        if self._state is None:
            raise RuntimeError(
                "the mock exchange has not been started: `with MockExchange(…) as mock:`, or mock.start()"
            )
        return self._state.path

    def credentials(self, kind: str = "hmac") -> Credentials:
        """A key that may trade: ``hmac``, ``rsa`` or (Binance) ``ed25519``. Raises: ValueError."""
        with self._lock:
            name, key = self._core.keys.key(kind)
        if isinstance(key, HmacKey):
            return Credentials(name, key.secret)
        return Credentials(name, private_key=key.pem)

    def env(self) -> dict[str, str]:
        """Environment variables with which another process needs only the exchange's name."""
        with self._lock:
            name, secret = self._core.keys.hmac()
        prefix = f"EXCONNECT_{self.exchange.upper()}"
        return {
            f"{prefix}_ENVIRONMENT": self.url,
            f"{prefix}_API_KEY": name,
            f"{prefix}_API_SECRET": secret,
            "EXCONNECT_STATE_DIR": str(self.state_dir),
        }

    # Other people and time

    @property
    def activity(self) -> float:
        """Other people's events per second and symbol."""
        return self._activity

    @activity.setter
    def activity(self, rate: float) -> None:
        with self._lock:
            self._activity = float(rate)
            self._core.world.retune(self._activity, self._now_ms())
        self._wake()

    @property
    def clock_offset(self) -> float:
        """Seconds by which its clock is ahead of this machine's."""
        return self._clock_offset

    @clock_offset.setter
    def clock_offset(self, seconds: float) -> None:
        with self._lock:
            self._clock_offset = float(seconds)
            self._core.restart_clock(self._now_ms(), self._activity)
        self._wake()

    def execute(self, symbol: str, side: str, quantity: Amount, *, price: Amount | None = None) -> Decimal:
        """An outsider takes liquidity now, not worse than ``price``, the user's resting orders too.

        Gives the quantity that traded. Raises: KeyError for an unknown symbol, ValueError for a wrong side, or for a
        quantity that is not above zero.
        """
        if not isinstance(side, str) or (side := side.lower()) not in {"buy", "sell"}:
            raise ValueError(f"side={side!r}: one of buy, sell")
        markets = self._core.world.markets.values()
        if symbol not in (known := [market.symbol for market in markets]):
            raise KeyError(f"symbol={symbol!r}: one of {', '.join(known)}")
        if (wanted := scaled(quantity)) <= 0:
            raise ValueError(f"quantity={quantity!r}: above zero")
        with self._lock:
            now_ms = self._now_ms()
            self._core.advance(now_ms)
            limit = 0 if price is None else scaled(price)
            traded = self._core.world.engine.execute(symbol, side, wanted, limit, now_ms)
            self._core.world.settle()
        return decimal(traded)

    # Inside

    def _now_ms(self) -> int:
        return wall_ms(self._clock_offset)

    def _connections(self, kind: str) -> int:
        return self._server.connections(kind) if self._server else 0

    def _wake(self) -> None:
        if self._server:
            self._server.wake()

    def _on_fault(self, fault: Fault) -> None:
        with self._lock:
            self._core.on_fault(fault, self._now_ms())
        if self._server and fault.plan.name in {"disconnect", "refuse"}:
            self._server.hang_up(fault.plan.on)


def _server_class() -> type[Server]:
    """Sockets, on first use: they bring the websockets library, which is an extra."""
    try:
        from .server import Server
    except ModuleNotFoundError as error:
        from exconnect.credentials import ConfigurationError  # type: ignore[attr-defined] # all that we may import

        raise ConfigurationError("the mock exchange needs websockets: pip install 'exconnect[mock]'") from error
    return Server
