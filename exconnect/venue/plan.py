"""What a client looks up when it is made: which exchange, where, as whom. Nothing is opened."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from exconnect.config import Settings, environment_of
from exconnect.credentials import PREFIX, Credentials, has_credentials, missing_credentials
from exconnect.endpoints import Endpoints, no_environment
from exconnect.errors import ConfigurationError, NotSupported
from exconnect.exchanges import available, load

if TYPE_CHECKING:
    from exconnect.protocol.exchange import Exchange

__all__ = ["Plan", "available", "plan"]

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")  # in a file name


@dataclass(frozen=True, slots=True)
class Plan:
    """Settings with everything looked up: which exchange, where, as whom. Making one opens nothing."""

    settings: Settings
    exchange: Exchange
    endpoints: Endpoints
    environment: str  # live, testnet, demo, or the REST base URL
    credentials: Credentials | None
    given_state_dir: Path | None  # None: where the platform keeps such things
    given_journal: Path | None  # None: in the state directory, or none is wanted

    @property
    def account(self) -> str:
        """Label of the account; `public` when there is no key."""
        if self.settings.account is not None:
            return self.settings.account
        return "public" if self.credentials is None else self.credentials.account

    def need_credentials(self) -> Credentials:
        """The credentials.

        Raises:
            ConfigurationError: there are none; names the variables that would hold them.
        """
        if self.credentials is None:
            raise ConfigurationError(missing_credentials(self.exchange.name), {"exchange": self.exchange.name})
        return self.credentials

    @property
    def state_dir(self) -> Path:
        """Where what must survive the process is kept."""
        if self.given_state_dir is not None:
            return self.given_state_dir
        from platformdirs import user_state_path  # its import costs more than ours

        return user_state_path("exconnect")

    @property
    def has_auto_journal(self) -> bool:
        """Whether there is a journal whose place nobody has chosen."""
        return self.settings.journal == "auto" and self.credentials is not None

    @property
    def journal(self) -> Path | None:
        """The journal's file; None for a client without a key, or that was told to keep none."""
        if self.settings.journal is None or self.credentials is None:
            return None
        if self.given_journal is not None:
            return self.given_journal
        host = _UNSAFE.sub("_", urlsplit(self.endpoints.rest).netloc)
        return self.state_dir / f"{self.exchange.name}-{host}-{_file_name(self.account)}.journal"


def _file_name(account: str) -> str:
    """The account's label in a file's name; of two labels no two names are the same, whatever letters they have."""
    safe = _UNSAFE.sub("_", account)
    if safe == account:
        return safe
    import hashlib

    return f"{safe}-{hashlib.sha256(account.encode()).hexdigest()[:8]}"


def plan(settings: Settings) -> Plan:
    """Look everything up that a client needs to know when it is made.

    Raises:
        ConfigurationError: an unknown exchange or environment, with the choices; a mock of another exchange.
        NotSupported: a rate budget outside this process.
    """
    exchange = load(settings.exchange)
    if settings.budget != "memory":
        text = f"budget={settings.budget!r} comes with a later version; budget_share divides a limit by hand"
        raise NotSupported(text, {"exchange": exchange.name})
    chosen, credentials = settings.environment, settings.credentials
    if chosen is None:
        chosen = environment_of(exchange.name)
    if _is_mock(chosen):
        if chosen.exchange != exchange.name:
            raise ConfigurationError(f"this mock is a {chosen.exchange} exchange, the client wants {exchange.name}")
        credentials = credentials or chosen.credentials()
        chosen = chosen.endpoints
    if credentials is None and has_credentials(exchange.name):
        credentials = Credentials.from_env(exchange.name)
    is_mock = _is_mock(settings.environment)
    state_dir = settings.environment.state_dir if is_mock else os.environ.get(f"{PREFIX}STATE_DIR")
    endpoints, name = _endpoints(exchange, "live" if chosen is None else chosen)
    journal = None if settings.journal in (None, "auto") else settings.journal
    return Plan(settings, exchange, endpoints, name, credentials, _fixed(state_dir), _fixed(journal))


def _fixed(path: str | os.PathLike[str] | None) -> Path | None:
    """Absolute: where the program goes later, as daemons do, its journal must not go with it."""
    return Path(path).absolute() if path else None


def _is_mock(environment: Any) -> bool:
    try:
        return all(hasattr(environment, name) for name in ("exchange", "endpoints", "credentials", "state_dir"))
    except RuntimeError as error:  # it is one that does not run
        raise ConfigurationError(f"environment: {error}") from None


def _endpoints(exchange: Exchange, chosen: Any) -> tuple[Endpoints, str]:
    if isinstance(chosen, Endpoints):
        return chosen, chosen.rest
    if isinstance(chosen, str):
        if chosen.lower() in exchange.endpoints:
            return exchange.endpoints[chosen.lower()], chosen.lower()
        if "://" in chosen:
            endpoints = Endpoints.parse(chosen)
            return endpoints, endpoints.rest
    raise ConfigurationError(no_environment(chosen))
