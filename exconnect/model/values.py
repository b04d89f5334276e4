"""Numbers and times as people write them, as we keep them, and as they travel.

Money comes in as `Decimal | str | int` and leaves in plain notation; a float is refused, because
`0.1 + 0.2` has already lost money when it arrives here. Times come in as aware datetimes, integer
milliseconds or text, and are kept as aware UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from exconnect.errors import InvalidArgument, InvalidType, MalformedMessage

Money = Decimal | str | int
When = datetime | int | str

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZERO = Decimal(0)

_TYPED = re.compile(r"[+-]?\d{1,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
_WIRE = re.compile(r"-?\d{1,20}(?:\.\d{1,20})?", re.ASCII)
_WIRE_EXPONENT = re.compile(r"-?\d{1,20}(?:\.\d{1,20})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
_SHOWN = 60  # characters of somebody's text that an error repeats
_MAX_EXPONENT = 40  # beyond this a Decimal is no amount, and printing it plainly could fill the memory


def decimal_of(value: Money, argument: str) -> Decimal:
    """What a user wrote as an amount.

    Raises:
        InvalidType: a float, a bool or anything else that is no number text.
        InvalidArgument: text that is not `[+-]digits[.digits][e±dd]`, or not finite.
    """
    if type(value) is str:
        if _TYPED.fullmatch(value) is None:
            shown = value[:_SHOWN]
            message = f'{argument}={shown!r} is not a number: write digits with a point, like {argument}="60000.1"'
            raise InvalidArgument(message, {"argument": argument})
        return Decimal(value)
    if isinstance(value, Decimal):
        if not value.is_finite() or abs(value.adjusted()) > _MAX_EXPONENT:
            raise InvalidArgument(f"{argument} is {value}: not an amount", {"argument": argument})
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 10**_MAX_EXPONENT:
            raise InvalidArgument(f"{argument} is too large to be an amount", {"argument": argument})
        return Decimal(value)
    if isinstance(value, str):
        return decimal_of(str(value), argument)
    raise InvalidType(_fix(value, argument), {"argument": argument})


def _fix(value: Any, argument: str) -> str:
    if isinstance(value, float):
        return f'{argument} must not be a float, which has already lost digits: write {argument}="{value!r}"'
    return f'{argument} must be Decimal, str or int, not {type(value).__name__}: write {argument}="60000.1"'


def positive(value: Money, argument: str) -> Decimal:
    """An amount above zero.

    Raises:
        InvalidArgument: zero or below.
    """
    number = decimal_of(value, argument)
    if number <= 0:
        raise InvalidArgument(f"{argument} must be above zero, not {plain(number)}", {"argument": argument})
    return number


def plain(number: Decimal) -> str:
    """Digits and a point, never an exponent: `Decimal("1E-5")` is `"0.00001"`."""
    return format(number, "f")


def number(text: str) -> Decimal:
    """A number of the wire, checked before it becomes a Decimal.

    Raises:
        MalformedMessage: not plain digits with at most one point.
    """
    if _WIRE.fullmatch(text) is None:
        raise MalformedMessage(f"{text[:_SHOWN]!r} is not a number", {"text": text[:_SHOWN]})
    return Decimal(text)


def number_e(text: str) -> Decimal:
    """As `number`, for the few fields that are known to travel with an exponent."""
    if _WIRE_EXPONENT.fullmatch(text) is None:
        raise MalformedMessage(f"{text[:_SHOWN]!r} is not a number", {"text": text[:_SHOWN]})
    return Decimal(text)


def datetime_of(ms: int) -> datetime:
    """Milliseconds since 1970 as an aware UTC datetime, exactly."""
    try:
        return EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        raise MalformedMessage(f"{ms} is not a time", {"text": str(ms)}) from None


def ms_of(when: When, argument: str) -> int:
    """What a user wrote as a time, in milliseconds since 1970; text without a zone is UTC.

    Raises:
        InvalidArgument: a naive datetime, or text that is no time.
        InvalidType: neither datetime, int nor text.
    """
    if isinstance(when, datetime):
        if when.tzinfo is None:
            message = f"{argument} is a datetime without a zone: write {argument}=datetime(..., tzinfo=timezone.utc)"
            raise InvalidArgument(message, {"argument": argument})
        return (when - EPOCH) // timedelta(milliseconds=1)
    if isinstance(when, int) and not isinstance(when, bool):
        return when
    if isinstance(when, str):
        return _parsed(when, argument)
    message = f"{argument} must be an aware datetime, integer milliseconds or text, not {type(when).__name__}"
    raise InvalidType(message, {"argument": argument})


def _parsed(text: str, argument: str) -> int:
    from dateutil import parser

    try:
        moment = parser.parse(text, default=datetime(1970, 1, 1, tzinfo=UTC))
        return (moment - EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        message = f'{argument}={text[:_SHOWN]!r} is not a time: write {argument}="2026-01-01 12:00" (UTC)'
        raise InvalidArgument(message, {"argument": argument}) from None
