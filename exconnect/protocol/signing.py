"""Signatures: bytes in, signature out. HMAC-SHA256, RSA (PKCS #1 v1.5, SHA-256) and Ed25519."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import hmac
    from collections.abc import Callable

    from exconnect.credentials import Credentials


class Signer(NamedTuple):
    """An API key id and how its owner signs; the secret itself is inside `sign` and nowhere else."""

    key: str
    kind: str
    sign: Callable[[bytes], str]  # payload → signature text: hex for HMAC, base64 for RSA and Ed25519

    def __repr__(self) -> str:
        return f"Signer(key='…{self.key[-4:]}', kind={self.kind!r})"


def signer(credentials: Credentials) -> Signer:
    """How these credentials sign.

    Raises:
        ConfigurationError: the key id, secret or private key cannot be read.
    """
    kind, key = credentials.signing_key()
    return Signer(credentials.key, kind, _signing(kind, key))


def _signing(kind: str, key: Any) -> Callable[[bytes], str]:
    if callable(key):
        return (lambda payload: key(payload).hex()) if kind == "hmac" else (lambda payload: _base64(key(payload)))
    if kind == "hmac":
        import hmac

        return _hmac(hmac.new(key.reveal(), digestmod="sha256"))
    if kind == "ed25519":
        return lambda payload: _base64(key.sign(payload))
    return _rsa(key)


def _hmac(begun: hmac.HMAC) -> Callable[[bytes], str]:
    # Goes on from a copy, so that no frame under a signature holds the secret where a traceback could show it.
    def sign(payload: bytes) -> str:
        one = begun.copy()
        one.update(payload)
        return one.hexdigest()

    return sign


def _rsa(key: Any) -> Callable[[bytes], str]:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    padding, digest = PKCS1v15(), SHA256()
    return lambda payload: _base64(key.sign(payload, padding, digest))


def _base64(signature: bytes) -> str:
    return base64.b64encode(signature).decode("ascii")
