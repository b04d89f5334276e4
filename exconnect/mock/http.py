"""HTTP as values: what arrives and what is answered. No socket here."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_HEAD = 65_536


class BadRequest(ValueError):
    """Bytes that are no HTTP/1.1 request."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request; header names are lower case, ``query`` and ``body`` are the text as it travelled.

    ``connection`` is the number of the one it came on, 0 where there is none.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: str = ""
    connection: int = 0

    @property
    def keeps_alive(self) -> bool:
        """Whether another request may follow on the connection."""
        return self.headers.get("connection", "").lower() != "close"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. ``body`` is JSON text, or whatever ``content_type`` says."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json;charset=UTF-8"

    def encode(self) -> bytes:
        """Head and body in one piece."""
        body = self.body.encode()
        reason = HTTPStatus(self.status).phrase if self.status in _STATUSES else "Unknown"
        lines = [f"HTTP/1.1 {self.status} {reason}", f"Content-Type: {self.content_type}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + body


_STATUSES = frozenset(status.value for status in HTTPStatus)


def pairs(text: str) -> list[tuple[str, str]]:
    """The parameters of a query or a form, decoded, in order, empty ones included."""
    split = [part.partition("=") for part in text.split("&") if part]
    if "%" not in text and "+" not in text:
        return [(name, value) for name, _, value in split]
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in split]


def head(data: bytes) -> tuple[Request, int]:
    """The request whose head is ``data`` (without the empty line), and the length of the body that follows."""
    try:
        first, *lines = data.decode("latin-1").split("\r\n")
        method, target, version = first.split(" ")
    except ValueError as error:
        raise BadRequest(str(error)) from error
    if not version.startswith("HTTP/1."):
        raise BadRequest(version)
    headers = _headers(lines)
    path, _, query = target.partition("?")
    length = headers.get("content-length", "0")
    if not length.isdigit():
        raise BadRequest(length)
    return Request(method, path, query, headers), int(length)


def _headers(lines: Iterable[str]) -> dict[str, str]:
    split = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in split}
