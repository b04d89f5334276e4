"""Keys, signatures, timestamps.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import string
from typing import TYPE_CHECKING, Protocol

from exconnect.mock.chance import seeded

from .errors import Fail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exconnect.mock.http import Request

AHEAD_MS = 1000
MALFORMED_AHEAD_MS = 10_000
EARLIEST_MS = 1_483_228_800_000
MICROSECONDS = 100_000_000_000_000
DEFAULT_WINDOW_MS = 5000.0
LONGEST_WINDOW_MS = 60_000.0
_WINDOW = re.compile(r"[0-9]{1,10}(\.[0-9]{1,3})?")
_SIGNATURE = re.compile(r"(?:^|&)signature=([^&]*)")
_ALPHABET = string.ascii_letters + string.digits


class Verifier(Protocol):
    """Checks one key's signatures."""

    def verify(self, payload: bytes, signature: str) -> bool:
        """``signature`` as text, percent-encoding already undone."""
        ...


class HmacKey:
    """HMAC-SHA256, hexadecimal in either case."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def verify(self, payload: bytes, signature: str) -> bool:
        """In constant time."""
        expected = hmac.new(self.secret.encode(), payload, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), signature.lower().encode())


class _PrivateKey:
    """A key pair that the exchange made for its user."""

    def __init__(self, pem: str) -> None:
        self.pem = pem

    def verify(self, payload: bytes, signature: str) -> bool:
        """Base64, case-sensitive."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._check(base64.b64decode(signature, validate=True), payload)
        except (InvalidSignature, binascii.Error):
            return False
        return True

    def _check(self, signature: bytes, payload: bytes) -> None:
        raise NotImplementedError


class Ed25519Key(_PrivateKey):
    """Pure Ed25519, base64."""

    @staticmethod
    def generate(seed: bytes) -> Ed25519Key:
        """The key of a 32-byte seed."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519Key(_pem(Ed25519PrivateKey.from_private_bytes(seed)))

    def _check(self, signature: bytes, payload: bytes) -> None:
        _load(self.pem).public_key().verify(signature, payload)  # type: ignore[attr-defined]


class RsaKey(_PrivateKey):
    """RSASSA-PKCS1-v1_5 with SHA-256, base64."""

    @staticmethod
    def generate() -> RsaKey:
        """A new 2048-bit key."""
        from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

        return RsaKey(_pem(generate_private_key(65537, 2048)))

    def _check(self, signature: bytes, payload: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        _load(self.pem).public_key().verify(signature, payload, PKCS1v15(), SHA256())  # type: ignore[attr-defined]


def _pem(key: object) -> str:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()  # type: ignore[attr-defined, no-any-return]


def _load(pem: str) -> object:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(pem.encode(), None)


class Keys:
    """The API keys that the exchange knows, made when somebody asks for them."""

    def __init__(self, seed: int) -> None:
        self._random = seeded("keys", seed)
        self._known: dict[str, Verifier] = {}
        self._made: dict[str, HmacKey | RsaKey | Ed25519Key] = {}
        self._names = {kind: self._word() for kind in ("hmac", "rsa", "ed25519")}
        self._secret = self._word()
        self._seed = self._random.randbytes(32)

    def key(self, kind: str) -> tuple[str, HmacKey | RsaKey | Ed25519Key]:
        """API key and its key material. Raises: ValueError."""
        if kind not in self._names:
            raise ValueError(f"kind={kind!r}: one of ed25519, hmac, rsa")
        name = self._names[kind]
        if kind not in self._made:
            self._made[kind] = self._known[name] = self._make(kind)
        return name, self._made[kind]

    def hmac(self) -> tuple[str, str]:
        """API key and secret."""
        return self._names["hmac"], self._secret

    def add(self, name: str, verifier: Verifier) -> None:
        """A key of somebody's own."""
        self._known[name] = verifier

    def verifier(self, name: str) -> Verifier | None:
        """None for a key that nobody has."""
        if name == self._names["hmac"]:
            return self.key("hmac")[1]
        return self._known.get(name)

    def _make(self, kind: str) -> HmacKey | RsaKey | Ed25519Key:
        if kind == "hmac":
            return HmacKey(self._secret)
        return RsaKey.generate() if kind == "rsa" else Ed25519Key.generate(self._seed)

    def _word(self) -> str:
        return "".join(self._random.choices(_ALPHABET, k=64))


def authenticate(request: Request, values: Mapping[str, str], keys: Keys, now_ms: int) -> str:
    """The API key of a rightly signed, timely request. Raises: Fail."""
    name = request.headers.get("x-mbx-apikey", "")
    verifier = known(name, keys)
    timely(values, now_ms)
    if not values.get("signature"):
        raise Fail(-1102, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.")
    if not verifier.verify(payload(request), values["signature"]):
        raise Fail(-1022)
    return name


def known(name: str, keys: Keys) -> Verifier:
    """Raises: Fail for a key that is missing, malformed or unknown."""
    if not re.fullmatch(r"[A-Za-z0-9]{64}", name):
        raise Fail(-2014, status=401)
    verifier = keys.verifier(name)
    if verifier is None:
        raise Fail(-2015, status=401)
    return verifier


def payload(request: Request) -> bytes:
    """What was signed: the query as it travelled, at once followed by the body, without the signature."""
    return (_SIGNATURE.sub("", request.query) + _SIGNATURE.sub("", request.body)).encode()


def timely(values: Mapping[str, str], now_ms: int) -> None:
    """Raises: Fail for a missing, malformed, late or early timestamp."""
    written = values.get("timestamp", "")
    if not written.isdigit():
        raise Fail(-1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed.")
    at_ms = int(written) / 1000 if int(written) > MICROSECONDS else float(written)
    if at_ms < EARLIEST_MS or at_ms > now_ms + MALFORMED_AHEAD_MS:
        raise Fail(-1130, "Data sent for parameter 'timestamp' is not valid.")
    if at_ms >= now_ms + AHEAD_MS:
        raise Fail(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - at_ms > _window(values):
        raise Fail(-1021)


def _window(values: Mapping[str, str]) -> float:
    written = values.get("recvWindow")
    if written is None:
        return DEFAULT_WINDOW_MS
    if not _WINDOW.fullmatch(written):
        raise Fail(-1102, "Mandatory parameter 'recvWindow' was not sent, was empty/null, or malformed.")
    if float(written) > LONGEST_WINDOW_MS:
        raise Fail(-1131, "recvWindow must be less than 60000.")
    return float(written)
