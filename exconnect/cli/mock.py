"""`exconnect mock`: a mock exchange for other processes.

stdout is for them, with and without `--json`: one line of JSON when it is ready, one at the end.
"""

from __future__ import annotations

import argparse
from typing import Any

from exconnect.cli.output import DONE, Output
from exconnect.cli.session import mock_of
from exconnect.cli.signals import as_notes
from exconnect.environment import Environment
from exconnect.errors import ConfigurationError, InvalidArgument
from exconnect.mock import MockExchange

_LOOK_S = 0.1  # how often it looks whether a signal came


def run(given: argparse.Namespace, output: Output) -> int:
    """Serve until SIGINT or SIGTERM, then tell what happened."""
    mock, env = _made(given), Environment()
    with as_notes() as signals:
        try:
            mock.start()
        except OSError as error:
            raise ConfigurationError(f"port {given.port} cannot be opened: {error}") from None
        with mock:
            output.json(_address(mock))
            if not output.is_json:
                _explain(mock, output)
            while not signals:
                env.sleep(_LOOK_S)
        output.json(_account(mock))
    return DONE


def _made(given: argparse.Namespace) -> MockExchange:
    settings = {"seed": given.seed, "port": given.port, "activity": given.activity}
    mock = mock_of(given.exchange, **settings, clock_offset=given.clock_offset)
    try:
        for text in given.fault:
            name, options = fault_of(text)
            mock.faults.add(name, **options)
    except ValueError as error:
        raise InvalidArgument(str(error), {"argument": "command line"}) from None
    return mock


_KINDS: dict[str, type] = {
    "on": str, "at": str, "symbol": str, "after": int, "times": int, "count": int, "status": int, "code": int,
    "seconds": float, "retry_after": float,
}  # fmt: skip


def fault_of(text: str) -> tuple[str, dict[str, Any]]:
    """`"reset,on=place_order,times=3"` as arguments of `faults.add`; `times=none`: until the end.

    Raises:
        InvalidArgument: no such option, or a value that it cannot have.
    """
    name, *pairs = text.split(",")
    options: dict[str, Any] = {}
    for key, equals, value in (pair.partition("=") for pair in pairs):
        if key not in _KINDS or not equals:
            choices = ", ".join(_KINDS)
            raise InvalidArgument(f"--fault {text}: {key!r} is none of {choices}, with =value", {"argument": "fault"})
        options[key] = None if (key, value.lower()) == ("times", "none") else _value(text, key, value)
    return name, options


def _value(text: str, key: str, value: str) -> Any:
    try:
        return _KINDS[key](value)
    except ValueError:
        message = f"--fault {text}: {key}={value!r} is no {_KINDS[key].__name__}"
        raise InvalidArgument(message, {"argument": "fault"}) from None


def _address(mock: MockExchange) -> dict[str, Any]:
    return {
        "exchange": mock.exchange,
        "url": mock.url,
        "rest_url": mock.rest_url,
        "stream_url": mock.stream_url,
        "private_url": mock.private_url,
        "state_dir": str(mock.state_dir),
        "env": mock.env(),
    }


def _explain(mock: MockExchange, output: Output) -> None:
    output.note(f"\nA mock {mock.exchange} exchange listens at {mock.rest_url}; Ctrl-C ends it. In another shell:\n")
    for name, value in mock.env().items():
        output.note(f"  export {name}='{value}'")
    output.note(f"  exconnect book BTC/USDT --watch --exchange {mock.exchange}")


def _account(mock: MockExchange) -> dict[str, Any]:
    fields = ("client_order_id", "symbol", "side", "type", "quantity", "filled_quantity", "status")
    ledger = mock.ledger
    return {
        "requests": len(ledger.requests),
        "orders": [{field: getattr(order, field) for field in fields} for order in ledger.orders()],
        "violations": ledger.violations,
    }
