"""Signing: timestamp, key, window and the very text that travels, in one string; the signature goes into a header.

https://bybit-exchange.github.io/docs/v5/guide#authentication
"""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

from msgspec.structs import replace

from exconnect.protocol.call import Params, Request
from exconnect.protocol.signing import Signer

_JSON = ("Content-Type", "application/json")

# Parameters that are no text in JSON. `request` holds the orders of a batch and is JSON already.
_INTEGERS = frozenset({"isLeverage", "triggerDirection", "positionIdx", "limit", "timeWindow"})
_BOOLEANS = frozenset({"reduceOnly", "closeOnTrigger", "rpiTakerAccess", "mmp"})
_MADE = frozenset({"request"})


def encode(request: Request) -> Request:
    """A request without a signature: in the query, or as JSON."""
    if request.method == "GET":
        return replace(request, query=_encoded(request.params))
    return replace(request, headers=(*request.headers, _JSON), body=body_of(request.params).encode())


def sign(request: Request, signer: Signer, at: int, recv_window_ms: int) -> Request:
    """A signed request as of `at` (ms, the exchange's clock), which the exchange refuses once the window is over."""
    plain = encode(request)
    payload = f"{at}{signer.key}{recv_window_ms}{plain.query}{plain.body.decode()}"
    headers = (
        *plain.headers,
        ("X-BAPI-API-KEY", signer.key),
        ("X-BAPI-TIMESTAMP", str(at)),
        ("X-BAPI-RECV-WINDOW", str(recv_window_ms)),
        ("X-BAPI-SIGN", signer.sign(payload.encode())),
    )
    return replace(plain, headers=headers)


def sign_login(signer: Signer, expires: int) -> str:
    """The signature that logs a socket in; it must be used before `expires` (ms, the exchange's clock)."""
    return signer.sign(f"GET/realtime{expires}".encode())


def body_of(params: Params) -> str:
    """Parameters as JSON."""
    return "{" + ",".join(f"{json.dumps(name)}:{_value(name, text)}" for name, text in params) + "}"


def _value(name: str, text: str) -> str:
    is_number = name in _INTEGERS and text.isascii() and text.isdigit()
    is_plain = is_number or name in _MADE or (name in _BOOLEANS and text in {"true", "false"})
    return text if is_plain else json.dumps(text)


def _encoded(params: Params) -> str:
    # `quote` and not `quote_plus`: what was a cursor comes out exactly as the exchange had written it.
    return urlencode(params, quote_via=quote, safe="")
