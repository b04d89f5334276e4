"""Signatures and timestamps.

https://bybit-exchange.github.io/docs/v5/guide#authentication
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exconnect.mock.keys import HmacKey

from .errors import Fail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exconnect.mock.http import Request
    from exconnect.mock.keys import Keys, Verifier

AHEAD_MS = 1000
DEFAULT_WINDOW_MS = 5000
KEY_LENGTH = 18
KINDS = ("hmac", "rsa")


def authenticate(request: Request, keys: Keys, now_ms: int) -> str:
    """The API key of a rightly signed, timely request. Raises: Fail."""
    headers = request.headers
    name, timestamp = headers.get("x-bapi-api-key", ""), headers.get("x-bapi-timestamp", "")
    signature = headers.get("x-bapi-sign", "")
    if not name or not timestamp or not signature:
        text = f"empty value: apiTimestamp[{timestamp}] apiKey[{name}] apiSignature[{signature}]"
        raise Fail(10001, text, status=401)
    verifier = keys.verifier(name)
    if verifier is None:
        raise Fail(10003)
    window = headers.get("x-bapi-recv-window", "")
    timely(timestamp, window, now_ms)
    prehash = payload(timestamp, name, window, request)
    if not verified(verifier, prehash, signature):
        raise Fail(10004, f"error sign! origin_string[{prehash}]")
    return name


def payload(timestamp: str, name: str, window: str, request: Request) -> str:
    """What was signed: the query or the body as it travelled, behind time, key and window."""
    return timestamp + name + window + (request.body if request.method == "POST" else request.query)


def verified(verifier: Verifier, prehash: str, signature: str) -> bool:
    """Hexadecimal digits are lower case here."""
    if isinstance(verifier, HmacKey) and signature != signature.lower():
        return False
    return verifier.verify(prehash.encode(), signature)


def timely(timestamp: str, window: str, now_ms: int) -> None:
    """Raises: Fail for a malformed, late or early timestamp; the text tells both clocks."""
    if not timestamp.isdigit() or not (window or "0").isdigit():
        raise Fail(10001, "Request parameter error: X-BAPI-TIMESTAMP or X-BAPI-RECV-WINDOW is not a number.")
    length = int(window or DEFAULT_WINDOW_MS)
    if now_ms - length <= int(timestamp) < now_ms + AHEAD_MS:
        return
    clocks = f"req_timestamp[{timestamp}],server_timestamp[{now_ms}],recv_window[{length}]"
    raise Fail(10002, f"invalid request, please check your server timestamp or recv_window param. {clocks}")


def log_on(args: Any, keys: Keys, now_ms: int) -> str:
    """The API key of a rightly signed ``auth`` on a socket. Raises: Fail."""
    if not isinstance(args, list) or len(args) != 3:
        raise Fail(10001, "Params Error")
    name, expires, signature = args
    if not str(expires).isdigit() or int(expires) <= now_ms:
        raise Fail(10001, "Params Error")
    verifier = keys.verifier(str(name))
    if verifier is None:
        raise Fail(10003)
    if not verified(verifier, f"GET/realtime{expires}", str(signature)):
        raise Fail(10004, "Invalid sign")
    return str(name)


def of_header(header: Mapping[str, Any], now_ms: int) -> None:
    """The freshness of a request on the order entry socket. Raises: Fail."""
    timely(str(header.get("X-BAPI-TIMESTAMP", "")), str(header.get("X-BAPI-RECV-WINDOW", "")), now_ms)
