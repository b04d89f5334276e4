"""Signatures and timestamps.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .errors import Fail
from .units import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exconnect.mock.http import Request
    from exconnect.mock.keys import Keys, Verifier

AHEAD_MS = 1000
MALFORMED_AHEAD_MS = 10_000
EARLIEST_MS = 1_483_228_800_000
DEFAULT_WINDOW_MS = 5000.0
LONGEST_WINDOW_MS = 60_000.0
_WINDOW = re.compile(r"[0-9]{1,10}(\.[0-9]{1,3})?")
_SIGNATURE = re.compile(r"(?:^|&)signature=([^&]*)")


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
