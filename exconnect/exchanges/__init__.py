"""The exchanges there are: name → folder, imported on first use."""

from __future__ import annotations

from importlib import import_module

from exconnect.errors import ConfigurationError
from exconnect.protocol.exchange import Exchange

_FOLDERS = {
    "binance": "exconnect.exchanges.binance",
    "bybit": "exconnect.exchanges.bybit",
}


def available() -> tuple[str, ...]:
    """Names of the exchanges, sorted."""
    return tuple(sorted(_FOLDERS))


def load(name: str) -> Exchange:
    """The exchange of this name.

    Raises:
        ConfigurationError: there is none; the message lists the choices.
    """
    folder = _FOLDERS.get(name) if isinstance(name, str) else None
    if folder is None:
        choices = available()
        text = f"exchange={name!r}: must be one of {', '.join(map(repr, choices))}"
        raise ConfigurationError(text, {"choices": list(choices)})
    exchange: Exchange = import_module(folder).EXCHANGE
    return exchange
