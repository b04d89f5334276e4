"""Settings, credentials and addresses: frozen records that never show a secret.

A secret is either literal (given as text) or a reference (environment variable, file). What holds a
literal secret refuses to be pickled; a reference travels, and is read where it arrives.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from exconnect.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ENVIRONMENTS = ("live", "testnet", "demo")
KINDS = ("hmac", "rsa", "ed25519")
PREFIX = "EXCONNECT_"
_NO_PICKLE = (
    "holds a literal secret and is not pickled: give the secret as a reference instead "
    "(environment variables with Credentials.from_env, or private_key_file=)"
)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Base URLs without paths: REST, market streams, private streams.

    Raises:
        ConfigurationError: no URL, or plain http/ws to another machine.
    """

    rest: str
    stream: str
    private: str

    def __post_init__(self) -> None:
        for name, schemes in (("rest", ("https", "http")), ("stream", ("wss", "ws")), ("private", ("wss", "ws"))):
            object.__setattr__(self, name, _checked_url(getattr(self, name), name, schemes))

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `REST [streams [private]]`; what is left out is derived: ws for http, same host and port."""
        urls = text.split()
        if not 1 <= len(urls) <= 3:
            raise ConfigurationError(f"environment={text!r}: one to three base URLs separated by blanks")
        if len(urls) == 1:
            urls.append("ws" + urls[0].removeprefix("http") if urls[0].startswith("http") else urls[0])
        return cls(urls[0], urls[1], urls[-1])


def _checked_url(url: str, name: str, schemes: tuple[str, str]) -> str:
    parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
    try:
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if parts.scheme not in schemes or not host or parts.query or parts.fragment or parts.username:
        raise ConfigurationError(f"{name} URL {url!r}: must be {schemes[0]}://host[:port]", {"choices": list(schemes)})
    if parts.scheme == schemes[1] and not is_loopback(host):
        raise ConfigurationError(f"{name} URL {url!r}: without TLS only this machine (127.0.0.1) may be reached")
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine without asking a name server."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Credentials:
    """An API key and how to sign with it: exactly one of `secret` (HMAC), a PEM private key (text or file;
    RSA or Ed25519, found by parsing), or `signer`, a callable from bytes to signature bytes, with its `kind`.

    Raises:
        ConfigurationError: none or several of them, or a kind that does not exist.
    """

    __slots__ = ("_passphrase", "_pem", "_pem_file", "_reference", "_secret", "_signer", "key")

    def __init__(
        self,
        key: str,
        secret: str | None = None,
        *,
        private_key: str | bytes | None = None,
        private_key_file: str | os.PathLike[str] | None = None,
        passphrase: str | None = None,
        signer: Callable[[bytes], bytes] | None = None,
        kind: str | None = None,
    ) -> None:
        given = [x for x in (secret, private_key, private_key_file, signer) if x is not None]
        if not isinstance(key, str) or not key or not key.isascii() or not key.isprintable():
            raise ConfigurationError("credentials need key: the API key id, as printable text")
        if len(given) != 1:
            raise ConfigurationError("credentials need exactly one of secret, private_key, private_key_file, signer")
        if (signer is None) != (kind is None) or (kind is not None and kind not in KINDS):
            raise ConfigurationError(f"kind goes with signer and is one of {', '.join(KINDS)}")
        self.key = key
        self._secret = _bytes(secret)
        self._pem = _bytes(private_key)
        self._pem_file = None if private_key_file is None else os.fspath(private_key_file)
        self._passphrase = _bytes(passphrase)
        self._signer = None if signer is None or kind is None else (kind, signer)
        self._reference: tuple[str, str] | None = None

    @classmethod
    def from_env(cls, exchange: str, prefix: str = PREFIX) -> Self:
        """From `<prefix><EXCHANGE>_API_KEY` and `_API_SECRET` or `_PRIVATE_KEY_FILE` (`_PRIVATE_KEY_PASSPHRASE`).

        Each may also be given as `…_FILE`, a file that holds it. The result is a reference: it pickles.

        Raises:
            ConfigurationError: names the variables that are missing.
        """
        names = variables(exchange, prefix)
        values = {part: _from_env_or_file(name) for part, name in names.items() if part != "private_key_file"}
        key, pem_file = values["key"], os.environ.get(names["private_key_file"])
        if key is None or (values["secret"] is None and pem_file is None):
            raise ConfigurationError(missing_credentials(exchange, prefix), {"exchange": exchange})
        secret = None if pem_file is not None else values["secret"]
        made = cls(key, secret, private_key_file=pem_file, passphrase=values["passphrase"])
        made._reference = (exchange, prefix)
        return made

    @property
    def kind(self) -> str:
        """`"hmac"`, `"rsa"` or `"ed25519"`."""
        if self._secret is not None:
            return "hmac"
        return self._signer[0] if self._signer is not None else self.signing_key()[0]

    @property
    def account(self) -> str:
        """Default label of the account: the first 8 hex digits of the SHA-256 of the key id."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:8]

    @property
    def is_reference(self) -> bool:
        """Whether no secret text is held, only where it is to be found."""
        if self._reference is not None:
            return True
        return self._pem_file is not None and self._passphrase is None

    def signing_key(self) -> tuple[str, Any]:
        """Kind and what signs: secret bytes, a parsed private key, or the user's callable. For the signer only."""
        if self._secret is not None:
            return "hmac", self._secret
        if self._signer is not None:
            return self._signer
        pem = self._pem if self._pem is not None else _read(self._pem_file or "", "private_key_file")
        return _parsed_key(pem, self._passphrase)

    def __repr__(self) -> str:
        kind = "hmac" if self._secret is not None else self._signer[0] if self._signer is not None else "private key"
        return f"Credentials(key='…{self.key[-4:]}', kind={kind!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._reference is not None:
            return type(self).from_env, self._reference
        if self.is_reference:
            return _from_file, (type(self), self.key, self._pem_file)
        raise TypeError(f"{type(self).__name__} {_NO_PICKLE}")


def _from_file(cls: type[Credentials], key: str, path: str) -> Credentials:
    return cls(key, private_key_file=path)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _read(path: str, name: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{name}: cannot read {path}: {error.strerror}") from None


def _parsed_key(pem: bytes, passphrase: bytes | None) -> tuple[str, Any]:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        text = "RSA and Ed25519 keys need the extra: pip install 'exconnect[crypto]'"
        raise ConfigurationError(text) from None
    try:
        key = load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError):
        words = "with this passphrase" if passphrase else "without a passphrase"
        raise ConfigurationError(f"the private key is no PEM that can be read {words}") from None
    if isinstance(key, Ed25519PrivateKey):
        return "ed25519", key
    if isinstance(key, RSAPrivateKey):
        return "rsa", key
    raise ConfigurationError(f"the private key is {type(key).__name__}; RSA and Ed25519 keys can sign")


def variables(exchange: str, prefix: str = PREFIX) -> dict[str, str]:
    """Names of the environment variables that hold an exchange's credentials."""
    stem = f"{prefix}{exchange.upper()}_"
    return {
        "key": f"{stem}API_KEY",
        "secret": f"{stem}API_SECRET",
        "private_key_file": f"{stem}PRIVATE_KEY_FILE",
        "passphrase": f"{stem}PRIVATE_KEY_PASSPHRASE",
    }


def missing_credentials(exchange: str, prefix: str = PREFIX) -> str:
    """What to do when a private call has no key."""
    names = variables(exchange, prefix)
    return (
        f"no credentials for {exchange}: give credentials=Credentials(...), or set {names['key']} "
        f"and {names['secret']} (or {names['private_key_file']})"
    )


def has_credentials(exchange: str, prefix: str = PREFIX) -> bool:
    """Whether the environment variables name an API key."""
    name = variables(exchange, prefix)["key"]
    return name in os.environ or f"{name}_FILE" in os.environ


def _from_env_or_file(name: str) -> str | None:
    if name in os.environ:
        return os.environ[name]
    path = os.environ.get(f"{name}_FILE")
    return None if path is None else _read(path, f"{name}_FILE").decode().strip()


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
    ca_file: str | None = None
    risk: tuple[Any, ...] = ()
    journal: str | os.PathLike[str] | None = "auto"
    durability: str = "process"
    budget: str = "memory"
    budget_share: float = 1.0
    read_only: bool = False
    metrics: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "risk", _checked_risk(self.risk))
        for wrong, text in self._problems():
            if wrong:
                raise ConfigurationError(text, {"exchange": str(self.exchange)})
        if self.ca_file is not None and not Path(self.ca_file).is_file():
            raise ConfigurationError(f"ca_file={self.ca_file!r}: no such file")

    def _problems(self) -> tuple[tuple[bool, str], ...]:
        window, account = self.recv_window_ms, self.account
        return (
            (not isinstance(self.exchange, str), "exchange must be the name of an exchange"),
            (not _is_number(self.timeout) or not 0 < self.timeout <= 3600, "timeout must be seconds, above 0"),
            (window is not None and not _is_window(window), "recv_window_ms must be an int from 1 to 60000"),
            (not _is_number(self.budget_share) or not 0 < self.budget_share <= 1, "budget_share must be above 0, at most 1"),
            (self.durability not in ("process", "power"), f"durability={self.durability!r}: must be 'process' or 'power'"),
            (not _is_budget(self.budget), f"budget={self.budget!r}: must be 'memory', 'host' or 'redis://…'"),
            (not isinstance(self.read_only, bool), "read_only must be True or False"),
            (account is not None and not _is_label(account), "account must be 1 to 64 printable characters"),
            (self.credentials is not None and not isinstance(self.credentials, Credentials),
             "credentials must be Credentials(...) or None"),
            (self.proxy is not None and not _is_proxy(self.proxy),
             "proxy must be 'http://host:port', 'socks5h://host:port' or 'env'"),
            (self.journal is not None and not isinstance(self.journal, (str, os.PathLike)),
             "journal must be a path, 'auto' or None"),
        )  # fmt: skip

    @classmethod
    def from_env(cls, exchange: str, prefix: str = PREFIX) -> Self:
        """Environment and credentials from variables; the rest are defaults.

        Reads `<prefix><EXCHANGE>_ENVIRONMENT`, else `<prefix>ENVIRONMENT`, and what `Credentials.from_env` reads.
        """
        name = f"{prefix}{exchange.upper()}_ENVIRONMENT"
        environment = os.environ.get(name) or os.environ.get(f"{prefix}ENVIRONMENT")
        credentials = Credentials.from_env(exchange, prefix) if has_credentials(exchange, prefix) else None
        return cls(exchange, environment=environment, credentials=credentials)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], exchange: str, *, profile: str = "default") -> Self:
        """From the table `[profile.exchange]` of a TOML file; what it leaves out comes from the environment variables.

        Raises:
            ConfigurationError: no such file or table, no TOML, or a key that does not exist.
        """
        table = _table(Path(path), profile, exchange)
        known = {f.name for f in fields(cls)} - {"exchange", "credentials", "risk", "metrics"} | _CREDENTIAL_KEYS
        unknown = sorted(set(table) - known)
        if unknown:
            raise ConfigurationError(f"{path}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")
        base = cls.from_env(exchange)
        rest = {name: value for name, value in table.items() if name not in _CREDENTIAL_KEYS}
        rest.setdefault("environment", base.environment)
        return cls(exchange, credentials=_credentials(table) or base.credentials, **rest)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.credentials is not None and not self.credentials.is_reference:
            raise TypeError(f"Settings {_NO_PICKLE}")
        return type(self), tuple(getattr(self, f.name) for f in fields(self))


_CREDENTIAL_KEYS = {"api_key", "api_secret", "private_key_file", "passphrase"}


def _table(path: Path, profile: str, exchange: str) -> Mapping[str, Any]:
    try:
        document = tomllib.loads(_read(str(path), "settings").decode())
        table = document[profile][exchange]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is no TOML: {error}") from None
    except (KeyError, TypeError):
        raise ConfigurationError(f"{path} has no table [{profile}.{exchange}]") from None
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: [{profile}.{exchange}] must be a table")
    return table


def _credentials(table: Mapping[str, Any]) -> Credentials | None:
    if "api_key" not in table:
        return None
    return Credentials(
        table["api_key"],
        table.get("api_secret"),
        private_key_file=table.get("private_key_file"),
        passphrase=table.get("passphrase"),
    )


def _checked_risk(risk: Any) -> tuple[Any, ...]:
    checks = tuple(risk) if isinstance(risk, (list, tuple)) else (risk,)
    if not all(callable(check) for check in checks):
        raise ConfigurationError("risk must be a sequence of callables (PlaceOrder, RiskView) -> bool | str | None")
    return checks


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_window(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 60_000


def _is_label(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 64 and value.isprintable()


def _is_budget(value: Any) -> bool:
    return isinstance(value, str) and (value in ("memory", "host") or value.startswith("redis"))


def _is_proxy(value: Any) -> bool:
    if value == "env":
        return True
    return (
        isinstance(value, str) and urlsplit(value).scheme in ("http", "https", "socks5", "socks5h") and "://" in value
    )
