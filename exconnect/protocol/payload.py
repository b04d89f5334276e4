"""From the bytes of an exchange to values, without a float on the way."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from exconnect.errors import MalformedMessage
from exconnect.model.values import JSON

S = TypeVar("S")
T = TypeVar("T")

log = logging.getLogger("exconnect.rest")

_SHOWN = 60  # characters of a broken message that an error repeats


def readable(read: Callable[[Any], T], rows: Iterable[Any]) -> tuple[T, ...]:
    """What `read` makes of the rows, without those that it cannot read: one of a thousand must not cost the others.

    Raises:
        MalformedMessage: it can read none of them.
    """
    found: list[T] = []
    failures: list[MalformedMessage] = []
    for row in rows:
        try:
            found.append(read(row))
        except MalformedMessage as error:
            failures.append(error)
    if failures and not found:
        raise failures[0]
    if failures:
        log.warning(
            "%d of %d rows make no sense and are left out: %s", len(failures), len(found) + len(failures), failures[0]
        )
    return tuple(found)


class Payloads:
    """Reads what one exchange sends; its name is in the errors."""

    def __init__(self, exchange: str) -> None:
        self._exchange = exchange

    def loads(self, text: bytes | str) -> Any:
        """Decoded JSON without a float in it: fractions are Decimals.

        Raises:
            MalformedMessage: no JSON, or a number that is no amount.
        """
        try:
            return JSON.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise self.malformed("no JSON", text) from None

    def read(self, kind: type[S], raw: Any) -> S:
        """Decoded JSON as a struct.

        Raises:
            MalformedMessage: a field is missing or of another type.
        """
        try:
            return msgspec.convert(raw, kind)
        except msgspec.ValidationError as error:
            raise self.malformed(str(error), repr(raw)) from None

    def malformed(self, reason: str, text: bytes | str) -> MalformedMessage:
        """The error for a message that makes no sense."""
        shown = (text if isinstance(text, str) else text.decode("utf-8", "replace"))[:_SHOWN]
        return MalformedMessage(f"{self._exchange} sent what cannot be read ({reason}): {shown!r}", {"text": shown})
