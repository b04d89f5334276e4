"""What a command writes, and the number that it ends with.

stdout carries the result: text for people, or with `--json` one JSON object as its last line. stderr carries the rest.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from exconnect.errors import (
    CircuitOpen,
    ConfigurationError,
    ExconnectError,
    InvalidArgument,
    InvalidType,
    NotSupported,
    Outcome,
    OutcomeUnknown,
    RateLimited,
    StreamError,
    TransportError,
    Unavailable,
    WouldExceedLimit,
)
from exconnect.model.values import plain, tidy

DONE, FAILED, USAGE, UNAVAILABLE, UNKNOWN, INTERRUPTED = 0, 1, 2, 3, 4, 130

_CODES: tuple[tuple[tuple[type[ExconnectError], ...], int], ...] = (
    ((OutcomeUnknown,), UNKNOWN),
    ((ConfigurationError, InvalidArgument, InvalidType, NotSupported), USAGE),
    ((TransportError, Unavailable, CircuitOpen, RateLimited, WouldExceedLimit, StreamError), UNAVAILABLE),
)


def exit_code(error: ExconnectError) -> int:
    """What the process ends with when this is why."""
    return next((code for classes, code in _CODES if isinstance(error, classes)), FAILED)


class Output:
    """Where a command writes; every line leaves at once."""

    def __init__(self, *, is_json: bool) -> None:
        self.is_json = is_json
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")  # a terminal without Unicode shows question marks

    def text(self, text: str = "") -> None:
        """A line for people; nothing with `--json`."""
        if not self.is_json:
            self._write(text)

    def result(self, value: Mapping[str, Any]) -> None:
        """A line of JSON, with `--json`."""
        if self.is_json:
            self.json(value)

    def json(self, value: Mapping[str, Any]) -> None:
        """A line of JSON, whatever was asked for."""
        self._write(as_json(value))

    def note(self, text: str) -> None:
        """A line on stderr: what is going on, what went wrong."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def failure(
        self,
        kind: str,
        message: str,
        *,
        said: str | None = None,
        outcome: str = Outcome.NOT_SENT,
        code: int | str | None = None,
    ) -> None:
        """The last words of a command that failed; `said`: to people, if that is more than the message."""
        self.note(f"exconnect: {said or message}")
        error = {"kind": kind, "message": message, "outcome": str(outcome), "code": code}
        self.result({"ok": False, "error": error})

    def flush(self) -> None:
        """Hand over what is still buffered. Raises: BrokenPipeError."""
        sys.stdout.flush()

    def abandon(self) -> None:
        """Nobody reads any more: whatever is still buffered goes nowhere, so that the interpreter ends quietly."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _write(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def as_json(value: Any) -> str:
    """Money as text in plain notation, times as ISO text."""
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is nothing that a command shows")


def shown(value: Any) -> str:
    """A field as people read it; a dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, Decimal):
        return tidy(value)
    return value.isoformat(" ", "milliseconds") if isinstance(value, datetime) else str(value)
