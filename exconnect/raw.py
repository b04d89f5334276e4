"""Endpoints that have no method of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from exconnect.errors import InvalidArgument, InvalidType
from exconnect.model.values import number_e, plain
from exconnect.protocol.call import Response

_DECODER = msgspec.json.Decoder(float_hook=number_e)


def decoded(response: Response) -> Any:
    """The body as JSON, without a float in it."""
    return _DECODER.decode(response.body)


class Send(Protocol):
    """How a raw call leaves."""

    def __call__(
        self, method: str, path: str, params: dict[str, str], *, signed: bool, cost: int, timeout: float | None
    ) -> Any:
        """Decoded JSON of the answer."""


class RawCalls:
    """Any endpoint: signed, budgeted, errors mapped; the answer is decoded JSON with fractions as `Decimal`.

    `params` are text, int, bool or Decimal; `cost` is the weight that the exchange's page names; `timeout` is seconds
    in all. Only `get` is ever repeated; the others obey `halt()` and `read_only`.

    Every method raises `InvalidArgument` or `InvalidType` for a path or parameter that cannot be sent, and what the
    client's methods raise: `ExchangeError` and its kin, `TransportError`, `OutcomeUnknown` for what changes something.
    """

    def __init__(self, send: Send) -> None:
        self._send = send

    def _call(self, method: str, path: str, params: Mapping[str, Any] | None, *, cost: int, **how: Any) -> Any:
        texts = _texts(params)
        if "?" in _path(path) and (texts or how["signed"]):
            # Two queries in one URL: the exchange would read other parameters than the ones that are signed.
            raise InvalidArgument("path has a query: parameters go into params={…}", {"argument": "path"})
        if not isinstance(cost, int) or isinstance(cost, bool) or cost < 0:
            raise InvalidArgument("cost must be an int, 0 or more", {"argument": "cost"})
        return self._send(method, path, texts, cost=cost, **how)

    def get(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        signed: bool = False,
        cost: int = 1,
        timeout: float | None = None,
    ) -> Any:
        """Read."""
        return self._call("GET", path, params, signed=signed, cost=cost, timeout=timeout)

    def post(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        signed: bool = False,
        cost: int = 1,
        timeout: float | None = None,
    ) -> Any:
        """Create or change something."""
        return self._call("POST", path, params, signed=signed, cost=cost, timeout=timeout)

    def put(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        signed: bool = False,
        cost: int = 1,
        timeout: float | None = None,
    ) -> Any:
        """Change something."""
        return self._call("PUT", path, params, signed=signed, cost=cost, timeout=timeout)

    def delete(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        signed: bool = False,
        cost: int = 1,
        timeout: float | None = None,
    ) -> Any:
        """Remove something."""
        return self._call("DELETE", path, params, signed=signed, cost=cost, timeout=timeout)


def _path(path: str) -> str:
    if not isinstance(path, str) or not path.startswith("/") or not path.isascii() or not path.isprintable():
        raise InvalidArgument("path must begin with '/' and be plain text", {"argument": "path"})
    return path


def _texts(params: Mapping[str, Any] | None) -> dict[str, str]:
    return {name: _text(name, value) for name, value in (params or {}).items() if value is not None}


def _sendable(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"{name} holds half a letter, which no request can", {"argument": name}) from None
    return text


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        raise InvalidType(f'{name} must not be a float: write {name}="{value!r}"', {"argument": name})
    if isinstance(value, (str, int)):
        return _sendable(name, str(value))
    try:
        return plain(value)
    except (TypeError, ValueError):
        raise InvalidType(f"{name} must be text, int, bool or Decimal", {"argument": name}) from None
