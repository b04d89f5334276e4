"""Every exchange there is, on its mock; a test that is written once holds for all of them.

What an exchange does not offer is told by its capabilities, never by its name.
"""

from __future__ import annotations

import types
import typing
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from exconnect import Client, available
from exconnect.mock import MockExchange


@pytest.fixture(params=available())
def mock(request):
    with MockExchange(request.param, seed=7, activity=0) as exchange:
        yield exchange
        assert exchange.ledger.violations == []


@pytest.fixture
def client(mock):
    with Client(mock.exchange, environment=mock) as made:
        yield made


def conforms(value: object, hint: Any) -> bool:
    """Whether a value is what its annotation promises; of containers, every item."""
    if hint is Any:
        return True
    arguments = get_args(hint)
    origin = get_origin(hint)
    if origin is None:
        return type(value) is hint or (not isinstance(value, bool) and isinstance(value, hint))
    if origin in {typing.Union, types.UnionType}:
        return any(conforms(value, argument) for argument in arguments)
    return isinstance(value, origin) and all(conforms(item, arguments[0]) for item in value)


def check_types(item: Any, exchange: str) -> None:
    """Every field of a model as annotated: money is Decimal, times are aware, the message is kept."""
    assert is_dataclass(item)
    hints = get_type_hints(type(item))
    for each in fields(item):
        value = getattr(item, each.name)
        assert conforms(value, hints[each.name]), f"{each.name}={value!r}"
        if isinstance(value, datetime):
            assert value.utcoffset() == timedelta(0)
    assert item.exchange == exchange
    assert item.raw is not None


@pytest.fixture
def check():
    return check_types
