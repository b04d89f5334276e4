"""What an answer says beside its payload: refusals (every code of the exchange's page) and limits.

https://bybit-exchange.github.io/docs/v5/error

A refusal comes as `retCode` inside HTTP 200. Definite means listed: a code that is not in the table, and an error
without the exchange's JSON, leaves open whether a call that changes something was executed. So does every 5xx.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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
from exconnect.exchanges.bybit import wire
from exconnect.protocol.call import Failure, FailureKind, Pool, Response, Usage
from exconnect.protocol.exchange import Absence
from exconnect.protocol.patience import named_wait

Meaning = tuple[type[ExconnectError], FailureKind]

_NO: Meaning = (ExchangeError, FailureKind.BUSINESS)
_ORDER: Meaning = (OrderRejected, FailureKind.BUSINESS)
_FUNDS: Meaning = (InsufficientFunds, FailureKind.BUSINESS)
_NOT_FOUND: Meaning = (OrderNotFound, FailureKind.BUSINESS)
_AMEND: Meaning = (AmendRefused, FailureKind.BUSINESS)
_DENIED: Meaning = (PermissionDenied, FailureKind.BUSINESS)  # account, region or product; the key itself is right
_SYMBOL: Meaning = (UnknownSymbol, FailureKind.BUSINESS)
_CROSS: Meaning = (WouldCross, FailureKind.BUSINESS)
_LIMIT: Meaning = (RateLimited, FailureKind.LIMIT)
_CLOCK: Meaning = (ClockSkew, FailureKind.CLOCK)
_KEY: Meaning = (AuthenticationError, FailureKind.AUTH)
_RIGHTS: Meaning = (PermissionDenied, FailureKind.AUTH)
_OPEN: Meaning = (Unavailable, FailureKind.SERVER)
_DOWN: Meaning = (Unavailable, FailureKind.BUSINESS)


def _table(rows: Iterable[tuple[Meaning, Iterable[int]]]) -> dict[int, Meaning]:
    return {code: meaning for meaning, codes in rows for code in codes}


_CODES = _table(
    (
        (_CLOCK, (-1, 10002)),
        (_KEY, (-2015, 33004, 10003, 10004, 10007)),
        (_RIGHTS, (10005, 10010)),
        (_LIMIT, (429, 10006, 10018, 10403, 10429, 20003, 30035, 170005, 170222)),
        (_OPEN, (10000, 10014, 10016, 40004, 3400214, 110079, 170001, 170007, 170032, 170035, 170144, 170146)),
        (_OPEN, (170147, 170149, 170150, 170191, 170212, 170234, 170310)),
        (_DOWN, (10019, 110071)),
        (_DENIED, (10008, 10009, 10024, 10027, 10028, 10029, 100028, 30133, 30134, 3100197, 110062, 110065)),
        (_DENIED, (*range(110067, 110070), 110088, 110097, 110100, 110102, 110119, *range(110123, 110126))),
        (_DENIED, (110132, 110135, 110136, 170036, 170037, 170209, 170219, 170224, 170241, 170344, 170348, 170355)),
        (_DENIED, (170358, 170359, 170709, 176008, 176009, 176037, 176038)),
        (_SYMBOL, (110037, 110070, 170121, 170221)),
        (_NO, (10001, 10017, 10404, 20001, 20006, *range(181000, 181020), 3100181, 3100326, 500010, 500011)),
        (_NO, (110018, 110019, 110032, 110049, 110050, 110057)),
        (_NO, (110025, 110026, 110027, 110043, 110075)),  # is so already
        (_FUNDS, (110004, 110006, 110007, 110012, 110014, *range(110044, 110046), *range(110051, 110054))),
        (_FUNDS, (170033, 170034, 170131, 170207, 176015)),
        (_NOT_FOUND, (110001, 110008, 110010, 170139, 170142, 170143, 170190, 170213)),
        ((DuplicateOrder, FailureKind.DUPLICATE), (110030, 110072, 170141)),
        (_CROSS, (170218,)),
        (_AMEND, (34040, 110022, 110064, 170311, 170312, 170313)),
        (_ORDER, (170105, 170115, 170116, 170117, 170130, 170145, 170201, 170202, 170210, 170227)),
        (_ORDER, (30208, 30209, 110003, 110009, 110020, 110061, *range(110092, 110095), 110108, 110109, 110116)),
        (_ORDER, (110118, 110120, 110121, 170010, 170011, 170019, 170124, *range(170132, 170135), 170136, 170137)),
        (_ORDER, (170140, 170148, *range(170192, 170201), 170203, 170204, 170228, 170229, 170341, 170371, 170372)),
        (_ORDER, (170381, 170382, 170810, *range(176025, 176030), 176034)),
        (_ORDER, (30228, 110023, 110042, 110063, 110066, 110074, 110095, 110098, 110099, 110103, 110137)),
        (_ORDER, (170031, 170151, 170157, 170159, 170206, 170217, 176018, 176019)),
        (_ORDER, (30135, 30136, 30256, 3200316, 3200317, 3200320, 3200403, 3200419, 3200425, 3200641, 3400045)),
        (_ORDER, (3400139, 110005, 110011, 110013, *range(110015, 110018), 110021, 110024, 110028, 110029, 110031)),
        (_ORDER, (*range(110033, 110037), *range(110038, 110042), *range(110046, 110049), *range(110054, 110057))),
        (_ORDER, (*range(110058, 110061), 110073, *range(110076, 110079), 110080, 110082, 110083)),
        (_ORDER, (*range(110085, 110088), 110089, 110090, 110096, 110101, *range(110104, 110108))),
        (_ORDER, (*range(110110, 110116), 110117, 110131, *range(140001, 140006), 170215, 170216, 170220, 170223)),
        (_ORDER, (170226, 170230, 170346, 170360, 182011, 182021, *range(182100, 182113))),
    )
)  # fmt: skip

# A query answers with an empty list. A cancel tells an order that is over from one that is not known.
ABSENCE = Absence(unknown_to_cancel=frozenset({110001, 170143, 170213}), forgets_s=86_400.0)

_HINTS = {
    10002: "the clock was off by more than the window allows",
    10003: "is the key of this environment? live, testnet and demo each have their own",
    10004: "is the secret or private key the one that belongs to this API key?",
    10005: "does the key have this permission?",
    10010: "is this machine's address on the key's list?",
}
_SIGNED = re.compile(r"origin_string\[.*", re.DOTALL)  # what it has signed to compare with our signature
_SHOWN = 300  # characters of the exchange's words that are kept
_BAN_SECONDS = 600.0  # a ban of an address lifts by itself; the answer does not say when
_BUSY_SECONDS = 2.0
_MOST_SECONDS = 5.0
_PARAMETER_ERROR = 10001
_SUCCESS = b'{"retCode":0,'


def error(response: Response) -> Failure | None:
    """Why an answer is no success; None if it is one."""
    if response.status == 200 and response.body.startswith(_SUCCESS):
        return None
    reply = _reply(response.body)
    if reply is None:
        return None if response.status == 200 else _by_status(response)
    if response.status >= 500:
        return Failure(FailureKind.SERVER, _made(Unavailable, _words(reply), response, code=reply.ret_code))
    if reply.ret_code == 0:
        return None if response.status < 300 else _by_status(response)
    return _failure(response, reply)


def _reply(body: bytes) -> wire.Reply | None:
    try:
        return wire.read(wire.Reply, wire.loads(body))
    except MalformedMessage:
        return None


def _failure(response: Response, reply: wire.Reply) -> Failure:
    kind_of_error, kind = _meaning(reply.ret_code, reply.ret_msg or "")
    details: dict[str, Any] = {"code": reply.ret_code}
    if kind is FailureKind.LIMIT or response.status == 429:
        kind_of_error, kind = RateLimited, FailureKind.LIMIT
        details["retry_after"] = _wait(response)
    elif response.status == 403 and reply.ret_code not in _CODES:
        return _by_status(response)
    return Failure(kind, _made(kind_of_error, _words(reply), response, **details))


def _meaning(code: int, text: str) -> Meaning:
    """The code decides; of a parameter error only the text tells which parameter."""
    if code == _PARAMETER_ERROR and ("symbol invalid" in text.lower() or "not supported symbols" in text.lower()):
        return _SYMBOL
    return _CODES.get(code, (ExchangeError, FailureKind.SERVER))


def _told(text: str) -> str:
    """The exchange's words, as much of them as is kept, and without the key and the query that it repeats."""
    return _SIGNED.sub("origin_string[…]", text)[:_SHOWN]


def _words(reply: wire.Reply) -> str:
    text = _told(reply.ret_msg or "") or f"error {reply.ret_code}"
    hint = _HINTS.get(reply.ret_code)
    return f"{text} ({hint})" if hint else text


def _made(kind: type[ExconnectError], message: str, response: Response, **details: Any) -> ExconnectError:
    traced = response.headers.get("traceid")
    return kind(message, {"exchange": "bybit", "http_status": response.status, "request_id": traced, **details})


class _Fallback(NamedTuple):
    """What a status means when the body is not the exchange's JSON."""

    error: type[ExconnectError]
    kind: FailureKind
    text: str
    wait: float | None = None


_STATUSES = {
    401: _Fallback(AuthenticationError, FailureKind.SERVER, "not authorized, and no reason given"),
    403: _Fallback(Banned, FailureKind.LIMIT, "too many requests from this address: it is banned", _BAN_SECONDS),
    429: _Fallback(RateLimited, FailureKind.LIMIT, "too many requests, or an exchange under load", _BUSY_SECONDS),
}
_ELSEWHERE = _Fallback(
    PermissionDenied, FailureKind.BUSINESS, "the exchange does not serve the country that this address is in"
)
_REDIRECT = "a redirect, which is never followed: is the URL in environment= right?"
_COUNTRY = (b"country", b"region", b"location", b"jurisdiction")


def _by_status(response: Response) -> Failure:
    status = response.status
    found = _STATUSES.get(status)
    if status == 403 and any(word in response.body.lower() for word in _COUNTRY):
        found = _ELSEWHERE
    if found is None:
        kind_of_error = Unavailable if status >= 500 else ExchangeError
        text = _REDIRECT if 300 <= status < 400 else "an answer that is not the exchange's"
        found = _Fallback(kind_of_error, FailureKind.SERVER, text)
    named = named_wait(response)
    wait = found.wait if named is None else named
    details = {} if found.wait is None else {"retry_after": wait}
    return Failure(found.kind, _made(found.error, f"HTTP {status}: {found.text}", response, **details))


# ---- batches, and orders that are refused after they were accepted --------------------------------------------------


def untold() -> Failure:
    """For an item of which the answer to a batch does not speak: it may have been executed."""
    text = "the answer to the batch does not speak of this order"
    return Failure(FailureKind.SERVER, Unavailable(text, {"exchange": "bybit"}))


def of_item(outcome: wire.Outcome) -> Failure:
    """Why one item of a batch was refused."""
    kind_of_error, kind = _meaning(outcome.code, outcome.msg)
    text = _told(outcome.msg) or f"error {outcome.code}"
    return Failure(kind, kind_of_error(text, {"exchange": "bybit", "code": outcome.code}))


# A socket tells why it lets nobody in by words alone, and by few: what is wrong with the time reads like this.
_TOO_LATE = "params error"
_ABOUT_KEYS = re.compile(r"key|sign|permission|auth|expired|\bip\b", re.IGNORECASE)
_ABOUT_RIGHTS = re.compile(r"permission|\bip\b", re.IGNORECASE)


def of_login(code: Any, text: str) -> Failure:
    """Why a socket did not let us in. What sounds like neither the time nor the key will pass."""
    if isinstance(code, int) and code in _CODES:
        kind_of_error, kind = _CODES[code]
    elif text.strip().lower() == _TOO_LATE:
        kind_of_error, kind = _CLOCK
    elif _ABOUT_KEYS.search(text):
        kind_of_error, kind = _RIGHTS if _ABOUT_RIGHTS.search(text) else _KEY
    else:
        kind_of_error, kind = _OPEN
    return Failure(kind, kind_of_error(_told(text), {"exchange": "bybit", "code": code}))


_REASONS: dict[str, type[OrderRejected]] = {
    "EC_PostOnlyWillTakeLiquidity": WouldCross,
    "EC_DuplicatedClOrdID": DuplicateOrder,
}
_UNAFFORDABLE = ("insufficient", "afford", "balance")


def is_refusal(row: wire.Order) -> bool:
    """Whether an order that is called canceled was in truth refused."""
    return row.reject_reason in _REASONS or row.cancel_type == "CancelByCannotAffordOrderCost"


def rejection(row: wire.Order, symbol: str) -> OrderRejected:
    """Why an order was refused after it had been accepted: the class that another exchange raises at once."""
    reason, cancel = row.reject_reason or "", row.cancel_type or ""
    kind = _REASONS.get(reason, OrderRejected)
    if any(word in (reason + cancel).lower() for word in _UNAFFORDABLE):
        kind = InsufficientFunds
    details = {"exchange": "bybit", "symbol": symbol, "client_order_id": row.order_link_id, "code": reason or None}
    return kind(f"the exchange refused the order when it was to enter the book ({reason or row.order_status})", details)


# ---- limits ---------------------------------------------------------------------------------------------------------

# Counted per address, not per account and endpoint: everything waits.
_ADDRESS_LIMITS = frozenset({10018, 10403})
_OVERLOADED = 429


def usage(response: Response) -> Usage:
    """What the headers say of the endpoint's own budget, and how long to stay away."""
    kind = response.path.removeprefix("/v5/")
    used, pools = _budget(response, kind)
    refused = _refused(response)
    if response.status == 403 and refused is None:
        failure = _by_status(response)
        is_ban = failure.kind is FailureKind.LIMIT
        return Usage(used, failure.error.retry_after, banned=is_ban, pools=pools)
    if response.status != 429 and (refused is None or _CODES[refused] is not _LIMIT):
        return Usage(used, pools=pools)
    exhausted = None if _is_about_all(response, refused) else kind or None
    return Usage(used, _wait(response), exhausted=exhausted, pools=pools)


def _is_about_all(response: Response, refused: int | None) -> bool:
    """Whether a refusal is about more than one endpoint of one account.

    A 429 is the guard of the whole system. It comes as a status, or as the code of the trading service: then, if it
    names no time, cancels still try for themselves.
    """
    if refused is None or refused == _OVERLOADED:
        return response.status == 429 or named_wait(response) is not None
    return refused in _ADDRESS_LIMITS or _CODES[refused] is not _LIMIT


def _refused(response: Response) -> int | None:
    """The code of a refusal that the exchange lists."""
    if response.body.startswith(_SUCCESS):
        return None
    reply = _reply(response.body)
    return reply.ret_code if reply is not None and reply.ret_code in _CODES else None


def _budget(response: Response, kind: str) -> tuple[dict[str, int], tuple[Pool, ...]]:
    limit = _integer(response.headers.get("x-bapi-limit"))
    left = _integer(response.headers.get("x-bapi-limit-status"))
    if not kind or not limit or left is None:
        return {}, ()
    pool = Pool(kind, "account", limit, 1, is_rolling=True)
    return {pool.name: max(limit - left, 0)}, (pool,)


def _wait(response: Response) -> float:
    """Seconds to stay away: what the answer says, else until the endpoint's budget is there again."""
    named = named_wait(response)
    if named is not None:
        return named
    reset = _integer(response.headers.get("x-bapi-limit-reset-timestamp"))
    now = _integer(response.headers.get("timenow"))
    if now is None:
        reply = _reply(response.body)
        now = None if reply is None else reply.time
    if reset is None or now is None:
        return _BUSY_SECONDS
    return min(max((reset - now) / 1000, 0.05), _MOST_SECONDS)


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 18 else None
