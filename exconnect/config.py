"""Settings, credentials and addresses: frozen records that never show a secret.

A secret is either literal (given as text) or a reference (environment variable, file). What holds a
literal secret refuses to be pickled; a reference travels, and is read where it arrives.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field, fields
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import SplitResult, urlsplit

from exconnect.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

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
    shown = repr(url) if "@" not in str(url) else "with a user name"  # and a password behind it
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if not host or parts.scheme not in schemes or not _is_plain_url(parts):
        raise ConfigurationError(f"{name} URL {shown}: must be {schemes[0]}://host[:port]", {"choices": list(schemes)})
    if parts.scheme == schemes[1] and not is_loopback(host):
        raise ConfigurationError(f"{name} URL {shown}: without TLS only this machine (127.0.0.1) may be reached")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _is_plain_url(parts: SplitResult) -> bool:
    extras = "@" in parts.netloc or parts.query or parts.fragment
    return not extras and not any(c.isspace() or c == "\\" for c in parts.netloc + parts.path)


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine without asking a name server."""
    if host == "localhost":
        return True
    try:
        import ipaddress

        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Secret:
    """Bytes that no repr, message, traceback with locals or pickle shows; those of a file are read at first use."""

    __slots__ = ("_name", "_path", "_value")

    def __init__(self, value: bytes | None = None, *, path: str = "", name: str = "") -> None:
        self._value = value
        self._path = path
        self._name = name

    @classmethod
    def of(cls, value: object) -> Secret:
        """Text or bytes, hidden; what is neither becomes nothing."""
        if isinstance(value, Secret):
            return value
        if isinstance(value, str):
            value = value.encode(errors="replace")
        return cls(value if isinstance(value, bytes) else b"")

    @property
    def is_empty(self) -> bool:
        """Known to hold nothing."""
        return self._value == b""

    def reveal(self) -> bytes:
        """The bytes, for those that sign.

        Raises:
            ConfigurationError: the file cannot be read, or is empty.
        """
        if self._value is None:
            self._value = _read(self._path, self._name).strip()
        if self.is_empty and self._path:
            raise ConfigurationError(f"{self._name}: {self._path} is empty")
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(f"Secret {_NO_PICKLE}")


class Credentials:
    """An API key and how to sign with it.

    Exactly one of `secret` (HMAC), a PEM private key (text or file; RSA or Ed25519, found by parsing), or `signer`,
    a callable from bytes to signature bytes, with its `kind`. Files are read at first use.

    Raises:
        ConfigurationError: none or several of them, or a kind that does not exist.
    """

    __slots__ = ("_key", "_parsed", "_passphrase", "_pem", "_pem_file", "_reference", "_secret", "_signer")

    def __init__(
        self,
        key: str | Secret,
        secret: str | Secret | None = None,
        *,
        private_key: str | bytes | Secret | None = None,
        private_key_file: str | os.PathLike[str] | None = None,
        passphrase: str | Secret | None = None,
        signer: Callable[[bytes], bytes] | None = None,
        kind: str | None = None,
    ) -> None:
        # From here on a traceback with locals finds these wrapped, and an object that has a repr.
        key = Secret.of(key)
        secret = None if secret is None else Secret.of(secret)
        private_key = None if private_key is None else Secret.of(private_key)
        passphrase = None if passphrase is None else Secret.of(passphrase)
        self._key = key
        self._secret = secret
        self._pem_file = None if private_key_file is None else os.fspath(private_key_file)
        self._pem = private_key if self._pem_file is None else Secret(path=self._pem_file, name="private_key_file")
        self._passphrase = passphrase
        self._signer = None if signer is None or kind is None else (kind, signer)
        self._parsed: tuple[str, Any] | None = None
        self._reference: tuple[str, str] | None = None
        ways = [x for x in (secret, private_key, private_key_file, signer) if x is not None]
        if len(ways) != 1:
            raise ConfigurationError("credentials need exactly one of secret, private_key, private_key_file, signer")
        if any(isinstance(x, Secret) and x.is_empty for x in ways):
            raise ConfigurationError("secret and private_key must be text that is not empty")
        if (signer is None) != (kind is None) or (kind is not None and kind not in KINDS):
            raise ConfigurationError(f"kind goes with signer and is one of {', '.join(KINDS)}")
        if passphrase is not None and private_key is None and private_key_file is None:
            raise ConfigurationError("passphrase goes with private_key or private_key_file")
        _check_key(key)

    @classmethod
    def from_env(cls, exchange: str, prefix: str = PREFIX) -> Self:
        """From `<prefix><EXCHANGE>_API_KEY` and `_API_SECRET` or `_PRIVATE_KEY_FILE` (`_PRIVATE_KEY_PASSPHRASE`).

        Each may also be given as `…_FILE`, a file that holds it. The result is a reference: it pickles.

        Raises:
            ConfigurationError: names the variables that are missing, or of which only one may be set.
        """
        names = variables(exchange, prefix)
        key, secret = _from_env(names["key"]), _from_env(names["secret"])
        pem_file = os.environ.get(names["private_key_file"]) or None
        if key is None or (secret is None and pem_file is None):
            raise ConfigurationError(missing_credentials(exchange, prefix), {"exchange": exchange})
        if secret is not None and pem_file is not None:
            text = f"{names['secret']} and {names['private_key_file']} are both set: which one goes with the key?"
            raise ConfigurationError(text, {"exchange": exchange})
        passphrase = None if pem_file is None else _from_env(names["passphrase"])
        made = cls(key, secret, private_key_file=pem_file, passphrase=passphrase)
        made._reference = (exchange, prefix)
        return made

    @property
    def key(self) -> str:
        """The API key id."""
        self._key.reveal()
        _check_key(self._key)
        return self._key.reveal().decode()

    @property
    def kind(self) -> str:
        """`"hmac"`, `"rsa"` or `"ed25519"`."""
        return self.signing_key()[0]

    @property
    def account(self) -> str:
        """Default label of the account: the first 8 hex digits of the SHA-256 of the key id."""
        import hashlib

        return hashlib.sha256(self.key.encode()).hexdigest()[:8]

    @property
    def is_reference(self) -> bool:
        """Whether no secret text is held, only where it is to be found."""
        if self._reference is not None:
            return True
        return self._pem_file is not None and self._passphrase is None

    def signing_key(self) -> tuple[str, Any]:
        """Kind and what signs: a `Secret`, a parsed private key, or the user's callable. For the signer only."""
        if self._secret is not None:
            return "hmac", self._secret
        if self._signer is not None:
            return self._signer
        if self._parsed is None:
            self._parsed = _parsed_key(self._pem or Secret(), self._passphrase)
        return self._parsed

    def __repr__(self) -> str:
        try:
            return f"Credentials(key='…{self.key[-4:]}', kind={self.kind!r})"
        except ConfigurationError as error:
            return f"Credentials({error.message})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._reference is not None:
            return type(self).from_env, self._reference
        if self.is_reference:
            return _from_file, (type(self), self.key, self._pem_file)
        raise TypeError(f"{type(self).__name__} {_NO_PICKLE}")


def _from_file(cls: type[Credentials], key: str, path: str) -> Credentials:
    return cls(key, private_key_file=path)


def _check_key(key: Secret) -> None:
    if not _is_key(key):
        raise ConfigurationError("credentials need key: the API key id, printable text without blanks")


def _is_key(key: Secret) -> bool:
    value = key._value  # noqa: SLF001 - not to be read from its file before it is needed
    return value is None or (value.isascii() and value.decode().isprintable() and b" " not in value and bool(value))


def _read(path: str, name: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no path"
        raise ConfigurationError(f"{name}: cannot read {path}: {reason}") from None


def _parsed_key(pem: Secret, passphrase: Secret | None) -> tuple[str, Any]:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        text = "RSA and Ed25519 keys need the extra: pip install 'exconnect[crypto]'"
        raise ConfigurationError(text) from None
    key: object = None
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):
        key = load_pem_private_key(pem.reveal(), None if passphrase is None else passphrase.reveal())
    if isinstance(key, Ed25519PrivateKey):
        return "ed25519", key
    if isinstance(key, RSAPrivateKey):
        return "rsa", key
    if key is not None:
        raise ConfigurationError(f"the private key is {type(key).__name__}; RSA and Ed25519 keys can sign")
    # Outside the handler: an error that the library raised may hold what it read.
    words = "without a passphrase" if passphrase is None else "with this passphrase"
    raise ConfigurationError(f"the private key is no PEM that can be read {words}")


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
    return _from_env(variables(exchange, prefix)["key"]) is not None


def _from_env(name: str) -> Secret | None:
    # A variable that is set to nothing is how compose files leave one out.
    if os.environ.get(name):
        return Secret.of(os.environ[name])
    path = os.environ.get(f"{name}_FILE")
    return Secret(path=path, name=f"{name}_FILE") if path else None


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
        if self.journal is not None and not isinstance(self.journal, (str, os.PathLike)):
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
        """
        credentials = Credentials.from_env(exchange, prefix) if has_credentials(exchange, prefix) else None
        return cls(exchange, environment=environment_of(exchange, prefix), credentials=credentials)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], exchange: str, *, profile: str = "default") -> Self:
        """From the table `[profile.exchange]` of a TOML file; what it leaves out comes from the environment variables.

        Raises:
            ConfigurationError: no such file or table, no TOML, or a key that does not exist.
        """
        table = _table(os.fspath(path), profile, exchange)
        known = {f.name for f in fields(cls)} - {"exchange", "credentials", "risk", "metrics"} | _CREDENTIAL_KEYS
        unknown = sorted(set(table) - known)
        if unknown:
            raise ConfigurationError(f"{path}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")
        rest = {name: value for name, value in table.items() if name not in _CREDENTIAL_KEYS}
        if "environment" not in rest:
            rest["environment"] = environment_of(exchange)
        return cls(exchange, credentials=_credentials(table, exchange), **rest)

    def __reduce__(self) -> tuple[Any, ...]:
        literal = self.credentials is not None and not self.credentials.is_reference
        if literal or any(url is not None and "@" in url for url in (self.proxy, self.budget)):
            raise TypeError(f"Settings {_NO_PICKLE}")
        return type(self), tuple(getattr(self, f.name) for f in fields(self))


_LONGEST_S = 3600
_CREDENTIAL_KEYS = {"api_key", "api_secret", "private_key_file", "passphrase"}
_HIDDEN_KEYS = _CREDENTIAL_KEYS - {"private_key_file"}


def environment_of(exchange: str, prefix: str = PREFIX) -> str | None:
    """What the environment variables say of where an exchange is to be reached."""
    own = os.environ.get(f"{prefix}{exchange.upper()}_ENVIRONMENT")
    return own or os.environ.get(f"{prefix}ENVIRONMENT") or None


def _credentials(table: Mapping[str, Any], exchange: str) -> Credentials | None:
    if "api_key" in table:
        return Credentials(
            table["api_key"],
            table.get("api_secret"),
            private_key_file=table.get("private_key_file"),
            passphrase=table.get("passphrase"),
        )
    lonely = sorted(_CREDENTIAL_KEYS & set(table))
    if lonely:
        raise ConfigurationError(f"{lonely[0]} needs api_key beside it", {"exchange": exchange})
    return Credentials.from_env(exchange) if has_credentials(exchange) else None


def _table(path: str, profile: str, exchange: str) -> dict[str, Any]:
    found = _look_up(_read(path, "settings"), profile, exchange)
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


def _is_metrics(value: Any) -> bool:
    return all(callable(getattr(value, name, None)) for name in ("count", "gauge", "timing"))


_CREDENTIALS = "credentials=Credentials(key, secret)"
_ABOUT_CREDENTIALS = ("key", "secret", "passphrase", "password")


def misuse(positional: int, names: Collection[str]) -> str | None:
    """What is wrong with a call of `Client`, in Python's words: so many arguments by position, and these by name."""
    if positional > 1:
        took = f"Client.__init__() takes 2 positional arguments but {positional + 1} were given"
        return f"{took}: all but the exchange go by name, as in {_CREDENTIALS}"
    known = [each.name for each in fields(Settings)]
    for name in sorted(names):
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, n=1)
            meant = (
                _CREDENTIALS if any(part in name.lower() for part in _ABOUT_CREDENTIALS) else near[0] if near else None
            )
            hint = "" if meant is None else f": did you mean {meant}?"
            return f"Client.__init__() got an unexpected keyword argument {name!r}{hint}"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_window(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 60_000


def _is_label(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 64 and value.isprintable()


def _is_budget(value: Any) -> bool:
    return isinstance(value, str) and (value in ("memory", "host") or value.startswith(("redis://", "rediss://")))


def _is_file(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike)) and Path(os.fspath(value)).is_file()


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
