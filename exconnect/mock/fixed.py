"""Money as integers in units of 10⁻⁸: exact, fast, and not the arithmetic of the code under test."""

from __future__ import annotations

import re
from decimal import Context, Decimal

SCALE = 10**8
DECIMALS = 8
_EXACT = Context(prec=60)  # whatever the precision of the thread that asks
_PLAIN = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,20}))?")


def text(value: int) -> str:
    """``123456789`` → ``"1.23456789"``: always eight decimals, as the exchange writes them."""
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole, fraction = divmod(value, SCALE)
    return f"{sign}{whole}.{fraction:08d}"


def plain(value: int) -> str:
    """``123450000`` → ``"1.2345"``: no more decimals than it has."""
    whole, fraction = divmod(abs(value), SCALE)
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}.{fraction:08d}".rstrip("0").rstrip(".")


def padded(value: int, step: int) -> str:
    """``5_800_000_000_000`` on a step of 0.01 → ``"58000.00"``: as many decimals as the step has."""
    places = len(plain(step).partition(".")[2])
    digits = text(value)
    return digits[: len(digits) - DECIMALS + places] if places else plain(value)


def decimal(value: int) -> Decimal:
    """The exact Decimal, without trailing zeros and without an exponent."""
    number = Decimal(value).scaleb(-DECIMALS, _EXACT)
    is_whole = number == number.to_integral_value()
    return number.quantize(Decimal(1), context=_EXACT) if is_whole else number.normalize(_EXACT)


def scaled(value: Decimal | str | int) -> int:
    """Exact, as a test writes it. Raises: ValueError for a float, what is no amount, or beyond eight decimals."""
    if isinstance(value, float):
        raise ValueError(f'{value} is a float, which has already lost digits: write "{value}"')
    try:
        number = Decimal(value).scaleb(DECIMALS, _EXACT)
        whole = int(number)
    except (ArithmeticError, TypeError, ValueError):
        raise ValueError(f"{value!r} is no amount") from None
    if whole != number:
        raise ValueError(f"{value} has more than {DECIMALS} decimals")
    return whole


def split(written: str) -> tuple[str, str] | None:
    """The digits before and after the point of a plain number; None if it is anything else."""
    match = _PLAIN.fullmatch(written)
    return (match[1], (match[2] or "").rstrip("0")) if match else None


def times(price: int, quantity: int) -> int:
    """Price × quantity; exact when both keep to their tick and lot (their decimals sum to eight at most)."""
    return price * quantity // SCALE
