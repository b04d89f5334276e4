"""Who signs. A secret is never shown, whatever prints it.

It is either literal (given as text) or a reference (environment variable, file). What holds a literal secret refuses to
be pickled; a reference travels, and is read where it arrives.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from exconnect.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ("hmac", "rsa", "ed25519")
PREFIX = "EXCONNECT_"
NO_PICKLE = (
    "holds a literal secret and is not pickled: give the secret as a reference instead "
    "(environment variables with Credentials.from_env, or private_key_file=)"
)


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
    def path(self) -> str:
        """The file that it comes from, empty without one."""
        return self._path

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
            self._value = read_file(self._path, self._name).strip()
        if self.is_empty and self._path:
            raise ConfigurationError(f"{self._name}: {self._path} is empty")
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(f"Secret {NO_PICKLE}")


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
        if signer is not None and not callable(signer):
            raise ConfigurationError(f"signer must be a callable from bytes to bytes, not {type(signer).__name__}")
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

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of those that hold a part of it."""
        parts = (self._key, self._secret, self._pem, self._passphrase)
        return tuple(part.path for part in parts if part is not None and part.path)

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
        raise TypeError(f"{type(self).__name__} {NO_PICKLE}")


def _from_file(cls: type[Credentials], key: str, path: str) -> Credentials:
    return cls(key, private_key_file=path)


def _check_key(key: Secret) -> None:
    if not _is_key(key):
        raise ConfigurationError("credentials need key: the API key id, printable text without blanks")


def _is_key(key: Secret) -> bool:
    value = key._value  # noqa: SLF001 - not to be read from its file before it is needed
    return value is None or (value.isascii() and value.decode().isprintable() and b" " not in value and bool(value))


def read_file(path: str, name: str) -> bytes:
    """What is in the file that a setting of this name points to.

    Raises:
        ConfigurationError: it cannot be read.
    """
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
    key, signing = _variables_set(exchange, prefix)
    names = variables(exchange, prefix)
    signs = f"{names['secret']} (or {names['private_key_file']})"
    if key is None and signing is None:
        way = f"set {names['key']} and {signs}"
        return f"no credentials for {exchange}: give credentials=Credentials(...), or {way}"
    return f"{key or signing} is set and {names['key'] if key is None else signs} is not: {_BOTH_OR_NEITHER}"


def has_credentials(exchange: str, prefix: str = PREFIX) -> bool:
    """Whether the environment variables hold credentials, or the half of some: that is a mistake, not public data."""
    return any(_variables_set(exchange, prefix))


_BOTH_OR_NEITHER = "set both, or neither for public data alone"


def _variables_set(exchange: str, prefix: str) -> tuple[str | None, str | None]:
    """Which variables hold the key id, and what signs."""
    names = variables(exchange, prefix)
    key, secret = names["key"], names["secret"]
    signing = (secret, f"{secret}_FILE", names["private_key_file"])
    return _first_set(key, f"{key}_FILE"), _first_set(*signing)


def _first_set(*names: str) -> str | None:
    return next((name for name in names if os.environ.get(name)), None)


def _from_env(name: str) -> Secret | None:
    # A variable that is set to nothing is how compose files leave one out. A line's end is no part of a secret, of a
    # file or of a variable that was made from one.
    if os.environ.get(name):
        return Secret.of(os.environ[name].strip("\r\n"))
    path = os.environ.get(f"{name}_FILE")
    return Secret(path=path, name=f"{name}_FILE") if path else None
