"""Keys of every kind that an exchange gives out, and how their signatures are checked."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import string
from typing import TYPE_CHECKING, Protocol

from .chance import seeded

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORTEST_SECRET = 36
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

    def __init__(self, seed: int, length: int = 64, kinds: Sequence[str] = ("hmac", "rsa", "ed25519")) -> None:
        self._random = seeded("keys", seed)
        self._known: dict[str, Verifier] = {}
        self._made: dict[str, HmacKey | RsaKey | Ed25519Key] = {}
        self._names = {kind: self._word(length) for kind in kinds}
        self._secret = self._word(max(length, SHORTEST_SECRET))
        self._seed = self._random.randbytes(32)

    def key(self, kind: str) -> tuple[str, HmacKey | RsaKey | Ed25519Key]:
        """API key and its key material. Raises: ValueError."""
        if kind not in self._names:
            raise ValueError(f"kind={kind!r}: one of {', '.join(sorted(self._names))}")
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

    def _word(self, length: int) -> str:
        return "".join(self._random.choices(_ALPHABET, k=length))
