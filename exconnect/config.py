"""The keywords of `Client` as one frozen record: from arguments, environment variables or a file."""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from exconnect.credentials import NO_PICKLE, PREFIX, Credentials, Secret, has_credentials, read_file
from exconnect.endpoints import environment_problem
from exconnect.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Settings:
    """The keywords of `Client`, as one record; see there for what each means.

    Raises:
        ConfigurationError: a value that cannot be right, with the choices.
    """

    exchange: str
    environment: Any = None
    credentials: Credentials | None = None
    account: str | None = None
    timeout: float = 12.0
    recv_window_ms: int | None = None
    proxy: str | None = field(default=None, repr=False)  # may hold a password
    ca_file: str | os.PathLike[str] | None = None
    risk: tuple[Any, ...] = ()
    journal: str | os.PathLike[str] | None = "auto"
    durability: str = "process"
    budget: str = field(default="memory", repr=False)  # may hold a password
    budget_share: float = 1.0
    read_only: bool = False
    metrics: Any = None

    def __post_init__(self) -> None:
        if isinstance(self.risk, list):
            object.__setattr__(self, "risk", tuple(self.risk))
        problem = next(chain(self._network_problems(), self._trading_problems()), None)
        if problem is not None:
            raise ConfigurationError(problem, {"exchange": str(self.exchange)})

    def _network_problems(self) -> Iterator[str]:
        if not isinstance(self.exchange, str):
            yield "exchange must be the name of an exchange"
        where = environment_problem(self.environment)
        if where is not None:
            yield where
        if self.credentials is not None and not isinstance(self.credentials, Credentials):
            yield "credentials must be exconnect.Credentials(key, secret) or None"
        if not _is_number(self.timeout) or not 0 < self.timeout <= _LONGEST_S:
            yield f"timeout must be seconds: above 0, at most {_LONGEST_S}"
        if self.recv_window_ms is not None and not _is_window(self.recv_window_ms):
            yield "recv_window_ms must be an int from 1 to 60000"
        if self.proxy is not None and not _is_proxy(self.proxy):
            yield "proxy must be 'http://host:port', 'socks5h://host:port' or 'env'"
        if self.ca_file is not None and not _is_file(self.ca_file):
            yield f"ca_file={str(self.ca_file)!r}: no such file"

    def _trading_problems(self) -> Iterator[str]:
        if self.account is not None and not _is_label(self.account):
            yield "account must be 1 to 64 printable characters"
        if not isinstance(self.risk, tuple) or not all(map(callable, self.risk)):
            yield "risk must be a sequence of callables (PlaceOrder, RiskView) -> bool | str | None: risk=[check]"
        else:
            yield from filter(None, map(_check_problem, self.risk))
        if self.journal is not None and not _is_path(self.journal):
            yield "journal must be a path, 'auto' or None"
        if self.durability not in ("process", "power"):
            yield f"durability={self.durability!r}: must be 'process' or 'power'"
        if not _is_budget(self.budget):
            yield "budget must be 'memory', 'host' or 'redis://…'"
        if not _is_number(self.budget_share) or not 0 < self.budget_share <= 1:
            yield "budget_share must be above 0, at most 1"
        if not isinstance(self.read_only, bool):
            yield "read_only must be True or False"
        if self.metrics is not None and not _is_metrics(self.metrics):
            yield "metrics must have the methods count, gauge and timing"

    @classmethod
    def from_env(cls, exchange: str, prefix: str = PREFIX) -> Self:
        """Environment and credentials from variables; the rest are defaults.

        Reads `<prefix><EXCHANGE>_ENVIRONMENT`, else `<prefix>ENVIRONMENT`, and what `Credentials.from_env` reads.

        Raises:
            ConfigurationError: names the variable that cannot be right, or the half of the credentials that is missing.
        """
        where, credentials = environment_of(exchange, prefix), _credentials_of_variables(exchange, prefix)
        return cls(exchange, environment=where, credentials=credentials)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], exchange: str, *, profile: str = "default") -> Self:
        """From the table `[profile.exchange]` of a TOML file; what it leaves out comes from the environment variables.

        Raises:
            ConfigurationError: no such file or table, no TOML, a key that does not exist, or a value that cannot be
                right, with the choices.
        """
        table = _table(os.fspath(path), profile, exchange)
        known = {f.name for f in fields(cls)} - {"exchange", "credentials", "risk", "metrics"} | _CREDENTIAL_KEYS
        unknown = sorted(set(table) - known)
        if unknown:
            raise ConfigurationError(f"{path}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")
        rest = {name: value for name, value in table.items() if name not in _CREDENTIAL_KEYS}
        try:
            said = cls(exchange, credentials=_credentials(table), **rest)
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}, [{profile}.{exchange}]: {error.message}", error.details) from None
        where = environment_of(exchange) if "environment" not in rest else said.environment
        return replace(said, environment=where, credentials=said.credentials or _credentials_of_variables(exchange))

    def __reduce__(self) -> tuple[Any, ...]:
        literal = self.credentials is not None and not self.credentials.is_reference
        if literal or any(url is not None and "@" in url for url in (self.proxy, self.budget)):
            raise TypeError(f"Settings {NO_PICKLE}")
        return type(self), tuple(getattr(self, f.name) for f in fields(self))


_LONGEST_S = 3600
_CREDENTIAL_KEYS = {"api_key", "api_secret", "private_key_file", "passphrase"}
_HIDDEN_KEYS = _CREDENTIAL_KEYS - {"private_key_file"}


def environment_of(exchange: str, prefix: str = PREFIX) -> str | None:
    """What the environment variables say of where an exchange is to be reached.

    Raises:
        ConfigurationError: nothing that can be; names the variable.
    """
    for name in (f"{prefix}{exchange.upper()}_ENVIRONMENT", f"{prefix}ENVIRONMENT"):
        said = os.environ.get(name)
        if said:
            problem = environment_problem(said, name)
            if problem is not None:
                raise ConfigurationError(problem, {"exchange": exchange})
            return said
    return None


def _credentials_of_variables(exchange: str, prefix: str = PREFIX) -> Credentials | None:
    return Credentials.from_env(exchange, prefix) if has_credentials(exchange, prefix) else None


def _credentials(table: Mapping[str, Any]) -> Credentials | None:
    given = sorted(_CREDENTIAL_KEYS & set(table))
    if not given:
        return None
    if "api_key" not in table:
        raise ConfigurationError(f"{given[0]} needs api_key beside it")
    if given == ["api_key"]:
        raise ConfigurationError("api_key needs api_secret or private_key_file beside it")
    return Credentials(
        table["api_key"],
        table.get("api_secret"),
        private_key_file=table.get("private_key_file"),
        passphrase=table.get("passphrase"),
    )


def _table(path: str, profile: str, exchange: str) -> dict[str, Any]:
    found = _look_up(read_file(path, "settings"), profile, exchange)
    if isinstance(found, str):
        raise ConfigurationError(f"{path}: {found}")
    return found


def _look_up(text: bytes, profile: str, exchange: str) -> dict[str, Any] | str:
    # Gives what is wrong instead of raising it: a traceback would hold the file, and with it the secrets.
    import tomllib

    try:
        table = tomllib.loads(text.decode())[profile][exchange]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        return f"no TOML: {error}"
    except (KeyError, TypeError):
        return f"no table [{profile}.{exchange}]"
    if not isinstance(table, dict):
        return f"[{profile}.{exchange}] must be a table"
    return {name: Secret.of(value) if name in _HIDDEN_KEYS else value for name, value in table.items()}


def _check_problem(check: Any) -> str | None:
    """Why a risk check cannot be asked: it would refuse every order, and nothing before the first would tell."""
    inner, takes = check.func if isinstance(check, partial) else check, _signature(check)
    name = getattr(inner, "__name__", None) or type(inner).__name__
    if isinstance(check, type):
        return f"risk: {name} is a class, not a check: write {name}({'…' if takes and takes.parameters else ''})"
    if any(map(inspect.iscoroutinefunction, (inner, getattr(inner, "__call__", None)))):  # noqa: B004 - its code
        return f"risk: {name} is a coroutine function: checks are plain functions"
    try:
        if takes is not None:
            takes.bind(object(), object())
    except TypeError:
        return f"risk: a check takes the order and a RiskView, but this is {name}{takes}: write {name}(order, view)"
    return None


def _signature(function: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return None  # some functions of C do not tell


def _is_metrics(value: Any) -> bool:
    return all(callable(getattr(value, name, None)) for name in ("count", "gauge", "timing"))


_CREDENTIALS = "credentials=Credentials(key, secret)"
_ABOUT_CREDENTIALS = ("key", "secret", "passphrase", "password")
_ABOUT_TEST_MONEY = ("testnet", "sandbox")  # switches of other clients


def misuse(positional: int, names: Collection[str]) -> str | None:
    """What is wrong with a call of `Client`, in Python's words: so many arguments by position, and these by name."""
    if positional > 1:
        took = f"Client.__init__() takes 2 positional arguments but {positional + 1} were given"
        return f"{took}: all but the exchange go by name, as in {_CREDENTIALS}"
    known = [each.name for each in fields(Settings)]
    wrong = next((name for name in sorted(names) if name not in known), None)
    if wrong is None:
        return None
    meant = _meant(wrong, known)
    hint = "" if meant is None else f": did you mean {meant}?"
    return f"Client.__init__() got an unexpected keyword argument {wrong!r}{hint}"


def _meant(name: str, known: list[str]) -> str | None:
    if any(part in name.lower() for part in _ABOUT_CREDENTIALS):
        return _CREDENTIALS
    if any(part in name.lower() for part in _ABOUT_TEST_MONEY):
        return 'environment="testnet"'
    import difflib

    return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_window(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 60_000


def _is_label(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 64 and value.isprintable()


def _is_budget(value: Any) -> bool:
    return isinstance(value, str) and (value in ("memory", "host") or value.startswith(("redis://", "rediss://")))


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike)) and bool(os.fspath(value))


def _is_file(value: Any) -> bool:
    return _is_path(value) and Path(os.fspath(value)).is_file()


def _is_proxy(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    if value == "env":
        return True
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https", "socks5", "socks5h") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
