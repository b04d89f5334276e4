"""What an answer says beside its payload: refusals (every code and text of the exchange's page) and limits.

https://developers.binance.com/docs/binance-spot-api-docs/errors

Definite means listed: a code that is not in the table, and an error without the exchange's JSON, leaves open whether
a call that changes something was executed. So does every 5xx, whatever its body says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from exconnect.errors import (
    AmendRefused,
    AuthenticationError,
    Banned,
    ClockSkew,
    DuplicateOrder,
    ExchangeError,
    ExconnectError,
    InsufficientFunds,
    MalformedMessage,
    OrderNotFound,
    OrderRejected,
    PermissionDenied,
    RateLimited,
    Unavailable,
    UnknownSymbol,
    WouldCross,
)
from exconnect.exchanges.binance import wire
from exconnect.protocol.call import Failure, FailureKind, Response, Usage
from exconnect.protocol.exchange import Absence
from exconnect.protocol.patience import date, is_credible, named_wait

_KEY_HINT = (
    "is the key of this environment (live, testnet and demo each have their own), "
    "does it have this permission, and is this machine's address on its list?"
)
_HINTS = {
    -1021: "the clock was off by more than the window allows",
    -1022: "is the secret or private key the one that belongs to this API key?",
    -1121: "see fetch_instruments() for what is listed",
    -1127: "ask for at most 24 hours at once, or use the iter_ method",
    -2014: _KEY_HINT,
    -2015: _KEY_HINT,
    -2026: "orders without fills are archived after 90 days",
}
_SHOWN = 300  # characters of the exchange's words that are kept
_TOLD_BY = 400  # bytes within which an answer with a status of success has told its code, if it has one

Meaning = tuple[type[ExconnectError], FailureKind]

_NO: Meaning = (ExchangeError, FailureKind.BUSINESS)
_ORDER: Meaning = (OrderRejected, FailureKind.BUSINESS)
_NOT_FOUND: Meaning = (OrderNotFound, FailureKind.BUSINESS)
_AMEND: Meaning = (AmendRefused, FailureKind.BUSINESS)
_DENIED: Meaning = (PermissionDenied, FailureKind.BUSINESS)  # the symbol or account; the key itself is right
_OPEN: Meaning = (Unavailable, FailureKind.SERVER)

_CODES: dict[int, Meaning] = {
    # the last one: half of a cancel-replace was done, and which half only its data tell
    **dict.fromkeys((-1000, -1001, -1006, -1007, -1008, -1016, -2021), _OPEN),
    **dict.fromkeys((-1003, -1015, -1034), (RateLimited, FailureKind.LIMIT)),
    **dict.fromkeys((-1022, -1209, -2014), (AuthenticationError, FailureKind.AUTH)),
    **dict.fromkeys((-1002, -2015), (PermissionDenied, FailureKind.AUTH)),
    -1021: (ClockSkew, FailureKind.CLOCK),
    -1121: (UnknownSymbol, FailureKind.BUSINESS),
    # refused before or by the matching engine, for reasons that only orders have
    **dict.fromkeys((-1010, -1013, -1014, -1111, -1112, *range(-1119, -1113), -1134, -1145), _ORDER),
    **dict.fromkeys((-1158, -1160, -1165, -1166, -1168, -1210, -1211, -2010, -2022), _ORDER),
    **dict.fromkeys((*range(-1199, -1195), *range(-1225, -1221)), _ORDER),
    **dict.fromkeys((-2011, -2013, -2026, -2039), _NOT_FOUND),
    -2038: _AMEND,
    # requests that make no sense, and answers that do not exist
    **dict.fromkeys((-1020, -1033, -1035, -1100, -1101, -1102, -1103, -1104, -1105, -1106, -1108), _NO),
    **dict.fromkeys((-1120, -1122, -1125, -1127, -1128, -1130, -1131, -1135, -1139, -1151), _NO),
    **dict.fromkeys((-1152, -1153, -1155, -1161, -1221, *range(-1191, -1168), -1194, -1220), _NO),
    **dict.fromkeys((-2016, -2035, -2036, -2042, -2043), _NO),
}  # fmt: skip

# A query may know of an archived order of the same name, which is 90 days old and cannot be the one that is meant.
# A cancel gives an order its own name (ours: the order's name), a cancel of all a random one.
ABSENCE = Absence(
    unknown_to_query=frozenset({-2013, -2026}),
    unknown_to_cancel=frozenset({-2011}),
    renames=True,
    forgets_s=90 * 86_400.0,
)

# By the beginning of the text, in lower case; the texts come under several codes.
_TEXTS: tuple[tuple[str, Meaning], ...] = (
    ("unknown order sent", _NOT_FOUND),
    ("duplicate order sent", (DuplicateOrder, FailureKind.DUPLICATE)),
    ("account has insufficient balance", (InsufficientFunds, FailureKind.BUSINESS)),
    ("order would immediately match and take", (WouldCross, FailureKind.BUSINESS)),
    ("cancel order is invalid", _ORDER),
    ("order was not canceled due to cancel restrictions", _ORDER),
    ("market is closed", _ORDER),
    ("this action is disabled on this account", _DENIED),
    ("this account may not place or cancel orders", _DENIED),
    ("this symbol is not permitted for this account", _DENIED),
    ("this symbol is restricted for this account", _DENIED),
    ("rest api trading is not enabled", (Unavailable, FailureKind.BUSINESS)),
    ("websocket api trading is not enabled", (Unavailable, FailureKind.BUSINESS)),
    ("fix api trading is not enabled", (Unavailable, FailureKind.BUSINESS)),
    ("order amend (quantity increase) is not supported", _AMEND),
    ("order amend (pending opo order) is not supported", _AMEND),
    ("order amend is not supported for this symbol", _AMEND),
    ("the requested action would change no state", _AMEND),
)
_MALFORMED = frozenset({-1102, -1130})
_BY_TEXT = frozenset({-1010, -1013, -2010, -2011, -2038})
_FILTER = "filter failure: "

_BAN = re.compile(r"banned until (\d{13})")
_BAN_SECONDS = 120.0  # the shortest ban there is, when the answer does not say how long
_WAF_SECONDS = 300.0  # a web application firewall speaks HTML and names no time
_TOO_MANY_ORDERS = -1015
_WINDOW_SECONDS = {_TOO_MANY_ORDERS: 10.0}
_MINUTE = 60.0


def error(response: Response) -> Failure | None:
    """Why an answer is no success; None if it is one.

    A body with a `code` is no refusal by itself: only negative codes are, and success may come with `code: 200`.
    """
    is_good = 200 <= response.status < 300
    if is_good and b'"code"' not in response.body[:_TOLD_BY]:
        return None
    refusal = _refusal(response.body)
    if is_good and (refusal is None or refusal.code >= 0):
        return None
    if refusal is None:
        return _by_status(response)
    if refusal.data is not None and refusal.code in (-2021, -2022):
        halves = _halves(response, refusal)
        if halves is not None:
            return halves
    return _failure(response, refusal)


def _refusal(body: bytes) -> wire.Error | None:
    try:
        return wire.read(wire.Error, wire.loads(body))
    except MalformedMessage:
        return None


def _failure(response: Response, refusal: wire.Error, **more: Any) -> Failure:
    kind_of_error, kind = _meaning(refusal)
    if response.status >= 500:
        kind_of_error, kind = _OPEN
    elif kind is FailureKind.LIMIT or response.status in (418, 429) or _is_firewall(response.status, refusal):
        kind_of_error, kind = _limit_class(response.status, refusal.msg), FailureKind.LIMIT
        more["retry_after"] = _wait(response, refusal)
    elif refusal.code not in _CODES:
        kind = FailureKind.SERVER
    text = refusal.msg[:_SHOWN] or f"error {refusal.code}"
    if text.lower().startswith(_FILTER):
        more["filter"] = text[len(_FILTER) :]
    hint = _HINTS.get(refusal.code)
    message = f"{text} ({hint})" if hint else text
    return Failure(kind, _made(kind_of_error, message, response, code=refusal.code, **more))


def _is_firewall(status: int, refusal: wire.Error) -> bool:
    return status == 403 and refusal.code not in _CODES


def _meaning(refusal: wire.Error) -> Meaning:
    """Filters first, whatever the code; then the texts of the codes that only the text tells apart; then the code."""
    text = refusal.msg.lower()
    if text.startswith(_FILTER) and refusal.code in _CODES:
        return _ORDER
    if refusal.code in _MALFORMED and "'timestamp'" in text:
        return _CODES[-1021]  # more than ten seconds ahead it is no timestamp at all to them
    if refusal.code in _BY_TEXT:
        for prefix, meaning in _TEXTS:
            if text.startswith(prefix):
                return meaning
    return _CODES.get(refusal.code, _NO)


def _made(kind: type[ExconnectError], message: str, response: Response, **details: Any) -> ExconnectError:
    return kind(message, {"exchange": "binance", "http_status": response.status, **details})


class _Fallback(NamedTuple):
    """What a status means when the body is not the exchange's JSON."""

    error: type[ExconnectError]
    kind: FailureKind
    text: str


_STATUSES: Mapping[int, _Fallback] = {
    401: _Fallback(AuthenticationError, FailureKind.SERVER, "not authorized, and no reason given"),
    403: _Fallback(
        Banned, FailureKind.LIMIT, "refused by the exchange's firewall: too many requests, or words in them"
    ),
    418: _Fallback(Banned, FailureKind.LIMIT, "this address is banned for a while"),
    429: _Fallback(RateLimited, FailureKind.LIMIT, "too many requests"),
}
_REDIRECT = "a redirect, which is never followed: is the URL in environment= right?"


def _by_status(response: Response) -> Failure:
    status = response.status
    found = _STATUSES.get(status)
    if found is None:
        kind_of_error = Unavailable if status >= 500 else ExchangeError
        text = _REDIRECT if 300 <= status < 400 else "an answer that is not the exchange's"
        found = _Fallback(kind_of_error, FailureKind.SERVER, text)
    details = {"retry_after": _wait(response, None)} if found.kind is FailureKind.LIMIT else {}
    return Failure(found.kind, _made(found.error, f"HTTP {status}: {found.text}", response, **details))


def _halves(response: Response, refusal: wire.Error) -> Failure | None:
    """A cancel-replace that did not do both; None if its halves cannot be read."""
    try:
        halves = wire.read(wire.Replacement, refusal.data)
    except MalformedMessage:
        return None
    results = {"cancel_result": halves.cancel_result, "new_order_result": halves.new_order_result}
    cancel, placed = _half(halves.cancel_response), _half(halves.new_order_response)
    if halves.cancel_result == "FAILURE" and halves.new_order_result != "SUCCESS" and cancel is not None:
        return _kept(response, cancel, results)
    if halves.cancel_result == "SUCCESS" and halves.new_order_result != "SUCCESS":
        return _gone(response, placed or refusal, results)
    if halves.cancel_result == "FAILURE" and halves.new_order_result == "SUCCESS":
        text = f"{refusal.msg} (the new order was placed and the old one could not be canceled: both may be open)"
        return Failure(FailureKind.SERVER, _made(ExchangeError, text, response, code=refusal.code, **results))
    return None


def _half(response: Any) -> wire.Error | None:
    return wire.read(wire.Error, response) if isinstance(response, dict) and "code" in response else None


def _kept(response: Response, cancel: wire.Error, results: dict[str, str]) -> Failure:
    """The cancel was refused and nothing new was placed: the order is as it was, or not there."""
    kind_of_error, kind = _meaning(cancel)
    if _is_open(cancel, kind):
        return _undecided(response, cancel, results)
    chosen = OrderNotFound if issubclass(kind_of_error, OrderNotFound) else AmendRefused
    return Failure(FailureKind.BUSINESS, _made(chosen, cancel.msg, response, code=cancel.code, **results))


def _gone(response: Response, refused: wire.Error, results: dict[str, str]) -> Failure:
    """The old order is canceled and the new one was refused."""
    kind_of_error, kind = _meaning(refused)
    if results["new_order_result"] == "FAILURE" and _is_open(refused, kind):
        return _undecided(response, refused, results)
    if not issubclass(kind_of_error, OrderRejected):
        kind_of_error = OrderRejected
    text = f"{refused.msg} (the old order is canceled and gone; the order that was to replace it was refused)"
    return Failure(FailureKind.BUSINESS, _made(kind_of_error, text, response, code=refused.code, **results))


def _is_open(half: wire.Error, kind: FailureKind) -> bool:
    return kind is FailureKind.SERVER or half.code not in _CODES


def _undecided(response: Response, half: wire.Error, results: dict[str, str]) -> Failure:
    """One half ended in an error that does not say whether it was done."""
    return Failure(FailureKind.SERVER, _made(Unavailable, half.msg, response, code=half.code, **results))


def _limit_class(status: int, text: str) -> type[ExconnectError]:
    return Banned if status in (403, 418) or "banned" in text.lower() else RateLimited


def _wait(response: Response, refusal: wire.Error | None) -> float:
    """Seconds to stay away: the longest that the answer names, else what is usual."""
    named = [named_wait(response)]
    ban = None if refusal is None else _BAN.search(refusal.msg)
    now = date(response.headers.get("date"))
    if ban is not None and now is not None:
        named.append(int(ban[1]) / 1000 - now)
    known = [seconds for seconds in named if seconds is not None and is_credible(seconds)]
    if known:
        return max(known)
    if response.status == 403:
        return _WAF_SECONDS
    if refusal is not None and _limit_class(response.status, refusal.msg) is RateLimited:
        return _WINDOW_SECONDS.get(refusal.code, _MINUTE)
    return _BAN_SECONDS if response.status != 429 else _MINUTE


_USED = re.compile(r"x-mbx-(used-weight|order-count)-(\d{1,6})([smhd])")
_KINDS = {"used-weight": "request_weight", "order-count": "orders"}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def usage(response: Response) -> Usage:
    """What the headers say of our limits, by pool name, and how long to stay away."""
    used: dict[str, int] = {}
    for name, value in response.headers.items():
        match = _USED.fullmatch(name) if name.startswith("x-mbx-") else None
        if match is not None and value.isascii() and value.isdigit() and len(value) < 18:
            used[f"{_KINDS[match[1]]}_{int(match[2]) * _UNITS[match[3]]}s"] = int(value)
    if 200 <= response.status < 300:
        return Usage(used)
    refusal = _refusal(response.body)
    if not _says_stop(response.status, refusal):
        return Usage(used)
    banned = _limit_class(response.status, "" if refusal is None else refusal.msg) is Banned
    exhausted = "orders" if refusal is not None and not banned and _is_about_orders(refusal) else None
    return Usage(used, _wait(response, refusal), banned, exhausted)


def _says_stop(status: int, refusal: wire.Error | None) -> bool:
    if status in (418, 429):
        return True
    if status == 403:
        return refusal is None or _is_firewall(403, refusal)
    return refusal is not None and status < 500 and _meaning(refusal)[1] is FailureKind.LIMIT


def _is_about_orders(refusal: wire.Error) -> bool:
    """Whether it is the count of orders that is used up, be it for half of a cancel-replace."""
    if refusal.code == _TOO_MANY_ORDERS or refusal.data is None:
        return refusal.code == _TOO_MANY_ORDERS
    try:
        placed = _half(wire.read(wire.Replacement, refusal.data).new_order_response)
    except MalformedMessage:
        return False
    return placed is not None and placed.code == _TOO_MANY_ORDERS
