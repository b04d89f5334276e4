"""Money must never be a float: where one is, in whatever comes out of an exchange's messages."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping


def floats(value, path="value"):
    """Where in a model, its raw message included, there is a float."""
    if isinstance(value, float):
        yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from floats(item, f"{path}[{key!r}]")
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from floats(getattr(value, field.name), f"{path}.{field.name}")
    elif hasattr(value, "__struct_fields__"):
        for name in value.__struct_fields__:
            yield from floats(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, Iterable) and not isinstance(value, str):
        for index, item in enumerate(value):
            yield from floats(item, f"{path}[{index}]")
