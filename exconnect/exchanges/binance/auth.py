"""Signing: REST percent-encodes first and signs the bytes that travel; the WebSocket API signs plain sorted text.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from msgspec.structs import replace

from exconnect.protocol.call import Params, Request
from exconnect.protocol.signing import Signer

KEY_HEADER = "X-MBX-APIKEY"
_FORM = ("Content-Type", "application/x-www-form-urlencoded")
_IN_BODY = frozenset({"POST", "PUT"})


def encode(request: Request) -> Request:
    """A public request: all parameters in the query."""
    return replace(request, query=_encoded(request.params))


def sign(request: Request, signer: Signer, at: int, recv_window_ms: int) -> Request:
    """A signed request as of `at` (ms, the exchange's clock): POST and PUT in the body, the rest in the query."""
    payload = _encoded((*request.params, ("recvWindow", str(recv_window_ms)), ("timestamp", str(at))))
    signed = f"{payload}&signature={quote(signer.sign(payload.encode()), safe='')}"
    headers = (*request.headers, (KEY_HEADER, signer.key))
    if request.method in _IN_BODY:
        return replace(request, headers=(*headers, _FORM), query="", body=signed.encode())
    return replace(request, headers=headers, query=signed, body=b"")


def sign_frame(params: Mapping[str, str | int | bool], signer: Signer, at: int) -> dict[str, str | int | bool]:
    """Parameters of a signed WebSocket API request: sorted by name, not percent-encoded, `apiKey` among them."""
    given = {**params, "apiKey": signer.key, "timestamp": at}
    return given | {"signature": signer.sign(frame_payload(given))}


def frame_payload(params: Mapping[str, str | int | bool]) -> bytes:
    """What is signed of a WebSocket API request."""
    pairs = sorted((name, _json_text(value)) for name, value in params.items() if name != "signature")
    return "&".join(f"{name}={value}" for name, value in pairs).encode()


def _json_text(value: str | int | bool) -> str:  # noqa: FBT001  # a parameter as it appears in JSON
    return str(value).lower() if isinstance(value, bool) else str(value)


def _encoded(params: Params) -> str:
    return urlencode(params, quote_via=quote, safe="")
