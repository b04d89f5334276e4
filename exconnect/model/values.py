"""Numbers and times as people write them, as we keep them, and as they travel.

Money comes in as `Decimal | str | int` and leaves in plain notation; a float is refused, because
`0.1 + 0.2` has already lost money when it arrives here. Times come in as aware datetimes, integer
milliseconds or text, and are kept as aware UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from functools import reduce
from typing import Annotated, Any

import msgspec

from exconnect.errors import InvalidArgument, InvalidType, MalformedMessage

Money = Decimal | str | int
TimeMs = Annotated[int, msgspec.Meta(ge=-62_135_596_800_000, le=253_402_300_799_999)]  # that a datetime can tell
When = datetime | int | str

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZERO = Decimal(0)

# Room for the exact product of any two amounts: what decides about an order does not depend on the precision
# that the caller's thread happens to have set.
EXACT = Context(prec=130, traps=[InvalidOperation, DivisionByZero, Overflow])
_QUOTIENT = Context(prec=28, traps=[InvalidOperation, DivisionByZero, Overflow])  # what a division gives, likewise

_TYPED = re.compile(r"[+-]?\d{1,30}(?:\.\d{1,30})?([eE][+-]?\d{1,2})?", re.ASCII)
_WIRE = re.compile(r"-?\d{1,20}(?:\.\d{1,20})?", re.ASCII)
_WIRE_EXPONENT = re.compile(r"-?\d{1,20}(?:\.\d{1,20})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
_SHOWN = 60  # characters of somebody's text that an error repeats
_MOST_SECONDS = 1_000_000_000
_DIGITS = 30  # on either side of the point; beyond that a number is no amount, and could fill the memory when printed
_TOO_LARGE = 10**_DIGITS
_FINEST = Decimal(1).scaleb(-_DIGITS)


def decimal_of(value: Money, argument: str) -> Decimal:
    """What a user wrote as an amount.

    Raises:
        InvalidType: a float, a bool or anything else that is no number text.
        InvalidArgument: text that is not `[+-]digits[.digits][e±dd]`, not finite, or more than 30 digits on one
            side of the point.
    """
    if isinstance(value, str):
        match = _TYPED.fullmatch(value)
        if match is None:
            raise _no_amount(repr(value[:_SHOWN]), argument)
        return Decimal(value) if match[1] is None else _sized(Decimal(value), argument)
    if isinstance(value, Decimal):
        return _sized(value, argument)
    if isinstance(value, int) and not isinstance(value, bool):
        if not -_TOO_LARGE < value < _TOO_LARGE:
            raise _no_amount("an int of more than 30 digits", argument)
        return Decimal(value)
    raise InvalidType(_fix(value, argument), {"argument": argument})


def symbol_of(symbol: Any, argument: str = "symbol") -> str:
    """`symbol` if it is text.

    Raises:
        InvalidType: it is not; says what may have been meant.
    """
    if isinstance(symbol, str):
        return symbol
    if isinstance(symbol, (list, tuple, set, frozenset)):
        hint = ": write several one by one, 'BTC/USDT', 'ETH/USDT'"
    elif isinstance(symbol, (int, float)) and argument == "symbols":
        hint = ": what is no symbol goes by name, as in depth=5"
    else:
        hint = ""
    text = f"symbol must be text like 'BTC/USDT', not {type(symbol).__name__}{hint}"
    raise InvalidType(text, {"argument": argument})


def unified_of(symbol: Any, argument: str = "symbol") -> str:
    """`symbol` if it can be one.

    Raises:
        InvalidType: no text.
        InvalidArgument: no base and quote asset with a slash between them.
    """
    if "/" not in symbol_of(symbol, argument):
        raise InvalidArgument(f"{argument}: {symbol!r} is none, they look like 'BTC/USDT'", {"argument": argument})
    return str(symbol)


def count_of(value: int, argument: str, most: int = 10**15) -> int:
    """`value` if it is a number of things.

    Raises:
        InvalidType: it is no int.
        InvalidArgument: it is below 1, or above `most`.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidType(f"{argument} must be an int, not {type(value).__name__}", {"argument": argument})
    if not 1 <= value <= most:
        raise InvalidArgument(f"{argument}={value}: must be from 1 to {most}", {"argument": argument})
    return value


def _sized(number: Decimal, argument: str) -> Decimal:
    try:
        fits = number.adjusted() < _DIGITS and EXACT.quantize(number, _FINEST) == number
    except InvalidOperation:  # infinite, or far too large
        fits = False
    if not fits:
        raise _no_amount(str(number)[:_SHOWN], argument)
    return EXACT.plus(number)


def _no_amount(shown: str, argument: str) -> InvalidArgument:
    message = f'{argument}={shown} is not an amount: write digits with a point, like {argument}="{_example(argument)}"'
    return InvalidArgument(message, {"argument": argument})


def _fix(value: Any, argument: str) -> str:
    text = _example(argument)
    if not isinstance(value, float):
        return f'{argument} must be Decimal, str or int, not {type(value).__name__}: write {argument}="{text}"'
    if 1e-15 < abs(value) < 1e15:
        text = plain(Decimal(float.__repr__(value)))
    return f'{argument} must not be a float, which has already lost digits: write {argument}="{text}"'


def _example(argument: str) -> str:
    if argument.startswith("fees"):
        return "0.001"
    return "0.01" if "quantity" in argument else "60000.1"


def positive(value: Money, argument: str) -> Decimal:
    """An amount above zero.

    Raises:
        InvalidArgument: zero or below.
    """
    number = decimal_of(value, argument)
    if number <= ZERO:
        raise InvalidArgument(f"{argument} must be above zero, not {plain(number)}", {"argument": argument})
    return number


def seconds_of(value: Any, argument: str, *, most: int = _MOST_SECONDS, above_zero: bool = False) -> float:
    """Seconds from zero up to what every clock and socket of the system can count, or `most`.

    Raises:
        InvalidType: no number.
        InvalidArgument: below zero (zero, too, if they must be `above_zero`), not a number, or too many.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidType(
            f"{argument} must be seconds, as a number, not {type(value).__name__}", {"argument": argument}
        )
    if not 0 <= value <= most or (above_zero and not value):
        text = f"{argument}={value}: must be seconds, {'above' if above_zero else 'not below'} zero, at most {most}"
        raise InvalidArgument(text, {"argument": argument})
    return float(value)


def total(numbers: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    return reduce(EXACT.add, numbers, ZERO)


def plain(number: Decimal) -> str:
    """Digits and a point, never an exponent: `Decimal("1E-5")` is `"0.00001"`."""
    return format(number, "f")


def tidy(number: Decimal) -> str:
    """The same for people, without the zeros that exchanges write behind every number."""
    return plain(number.normalize(EXACT) if number else ZERO)


def trimmed(number: Decimal) -> Decimal:
    """The same number without zeros behind its last digit, with which arithmetic on an exchange's numbers ends."""
    whole = number.to_integral_value()
    return whole if whole == number else number.normalize(EXACT)


def quotient(dividend: Decimal, divisor: Decimal) -> Decimal:
    """What one divided by the other gives, with 28 digits and without zeros behind the last."""
    return trimmed(_QUOTIENT.divide(dividend, divisor))


def number(text: str) -> Decimal:
    """A number of the wire, checked before it becomes a Decimal.

    Raises:
        MalformedMessage: not plain digits with at most one point.
    """
    if _WIRE.fullmatch(text) is None:
        raise MalformedMessage(f"{text[:_SHOWN]!r} is not a number", {"text": text[:_SHOWN]})
    return Decimal(text) or ZERO  # "0.00000000" would be shown as 0E-8


def number_e(text: str) -> Decimal:
    """As `number`, for the few fields that are known to travel with an exponent."""
    if _WIRE_EXPONENT.fullmatch(text) is None:
        raise MalformedMessage(f"{text[:_SHOWN]!r} is not a number", {"text": text[:_SHOWN]})
    return Decimal(text) or ZERO


JSON = msgspec.json.Decoder(float_hook=number_e)  # without a float in what it makes: fractions are Decimals


def decoded(message: Any) -> Any:
    """What a text of JSON says; what cannot be read, and what is no text, as it is."""
    if not isinstance(message, str):
        return message
    try:
        return JSON.decode(message)
    except (msgspec.DecodeError, MalformedMessage, RecursionError):
        return message


def datetime_of(ms: int) -> datetime:
    """Milliseconds since 1970 as an aware UTC datetime, exactly."""
    try:
        return EPOCH + timedelta(0, 0, 0, ms)  # that many milliseconds
    except OverflowError:
        raise MalformedMessage(f"{ms} is not a time", {"text": str(ms)}) from None


def ms_of(when: When, argument: str) -> int:
    """What a user wrote as a time, in milliseconds since 1970; text without a zone is UTC.

    Raises:
        InvalidArgument: a naive datetime, text that is no time, has no year, has a date in figures that does not
            begin with the year, or has a zone other than UTC or an offset (`+02:00`), an int that can only be
            seconds, or milliseconds beyond the year 9999.
        InvalidType: neither datetime, int nor text.
    """
    if isinstance(when, datetime):
        if when.utcoffset() is None:
            message = f"{argument} is a datetime without a zone: write {argument}=datetime(..., tzinfo=timezone.utc)"
            raise InvalidArgument(message, {"argument": argument})
        return _within((when - EPOCH) // _MS, argument)
    if isinstance(when, int) and not isinstance(when, bool):
        if _SECONDS[0] <= when < _SECONDS[1]:
            message = f"{argument}={when}: an int is milliseconds since 1970, and these look like seconds"
            raise InvalidArgument(f"{message}: write {argument}={when * 1000}", {"argument": argument})
        return _within(when, argument)
    if isinstance(when, str):
        return _parsed(when, argument)
    message = f"{argument} must be an aware datetime, integer milliseconds or text, not {type(when).__name__}"
    raise InvalidType(message, {"argument": argument})


_MS = timedelta(milliseconds=1)
_SECONDS = (10**9, 10**10)  # as seconds the years 2001 to 2286, as milliseconds a few weeks of 1970
_FIRST_MS = (datetime.min.replace(tzinfo=UTC) - EPOCH) // _MS
_LAST_MS = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _MS


def _within(ms: int, argument: str) -> int:
    if not _FIRST_MS <= ms <= _LAST_MS:
        message = f"{argument} is no time between the years 1 and 9999: an int is milliseconds since 1970"
        raise InvalidArgument(message, {"argument": argument})
    return ms


def _parsed(text: str, argument: str) -> int:
    ms = _read(text, argument)
    if ms is None:
        wrong, fix = "is not a time: write", "2026-01-01 12:00"
    elif _YEAR_FIRST.match(text) is None and _MONTH.search(text) is None:
        wrong, fix = "may be read as another day: begin with the year, like", "2026-01-31 12:00"
    else:
        return ms
    raise InvalidArgument(f'{argument}={text[:_SHOWN]!r} {wrong} {argument}="{fix}" (UTC)', {"argument": argument})


def _read(text: str, argument: str) -> int | None:
    from dateutil import parser

    try:
        moment, other = (parser.parse(text, default=default, tzinfos=_zone) for default in _DEFAULTS)
        if moment.year == other.year and _REVERSED.search(text) is None:
            return _within((moment - EPOCH) // _MS, argument)
    except (ValueError, OverflowError, ArithmeticError, TypeError, IndexError, AttributeError):
        pass  # dateutil refuses in many ways
    return None


# dateutil takes "01.11.2026" for January 11 and "13.02.2026" for February 13.
_YEAR_FIRST = re.compile(r"\D*\d{4}(?:[-/.\s]|\d{4}|$)", re.ASCII)
_MONTH = re.compile(r"jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec", re.IGNORECASE)
_REVERSED = re.compile(r"(?:utc|gmt)\s*[+-]", re.IGNORECASE)  # dateutil takes "GMT+3" for three hours west of it
_DEFAULTS = (EPOCH, EPOCH.replace(year=1972))  # text that leaves the year to a default names no moment


def _zone(name: str | None, offset: int | None) -> tzinfo:
    if offset is None and name not in (None, "UTC", "GMT", "Z"):
        raise ValueError(name)  # "EST" is several zones, and taking it for UTC would be hours off
    return timezone(timedelta(seconds=offset or 0))
