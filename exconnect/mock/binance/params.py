"""Reading parameters the way this exchange does: what is missing, empty, unknown, malformed or too precise."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from exconnect.mock import fixed
from exconnect.mock.http import pairs

from .errors import Fail
from .units import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exconnect.mock.http import Request
    from exconnect.mock.market import Market

DECIMAL_RANGE = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
ID_RANGE = r"^[a-zA-Z0-9-_]{1,36}$"
SYMBOL_RANGE = r"^[\w\-._&&[^a-z]]{1,50}$"
ENVELOPE = frozenset({"timestamp", "recvWindow", "signature", "apiKey"})
NUMBERS_AT_RISK = frozenset({"quantity", "quoteOrderQty", "price", "stopPrice", "icebergQty", "newQty"})
_ID = re.compile(r"[a-zA-Z0-9\-_]{1,36}")
_INTEGER = re.compile(r"-?[0-9]{1,19}")


def collect(query: Sequence[tuple[str, str]], body: Sequence[tuple[str, str]]) -> dict[str, str]:
    """One dictionary of both; the query wins. Raises: Fail when a name comes twice in one place."""
    for place in (query, body):
        names = [name for name, _ in place]
        if len(set(names)) != len(names):
            raise Fail(-1101, "Duplicate values for a parameter detected.")
    return {**dict(body), **dict(query)}


def of_request(request: Request) -> dict[str, str]:
    """The parameters of a REST request. Raises: Fail."""
    return collect(pairs(request.query), pairs(request.body))


class Params:
    """The parameters of one call; each reader fails with the exchange's own words."""

    def __init__(self, values: Mapping[str, str], markets: Mapping[str, Market]) -> None:
        self._values = values
        self._markets = markets

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def check_names(self, required: frozenset[str], optional: frozenset[str]) -> None:
        """Raises: Fail for an empty, unknown or missing parameter."""
        for name, value in self._values.items():
            if value == "":
                raise Fail(-1105, f"Parameter '{name}' was empty.")
        known = [name for name in self._values if name in required or name in optional or name in ENVELOPE]
        if len(known) != len(self._values):
            read, sent = len(known), len(self._values)
            message = f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."
            raise Fail(-1104, message)
        for name in required:
            self.text(name)

    def text(self, name: str) -> str:
        """Mandatory text."""
        value = self._values.get(name)
        if not value:
            raise Fail(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        return value

    def optional(self, name: str) -> str | None:
        """Text, or None."""
        return self._values.get(name)

    def client_id(self, name: str) -> str:
        """A client order id, or ``""``."""
        value = self._values.get(name)
        if value is None:
            return ""
        if not _ID.fullmatch(value):
            raise Fail(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{ID_RANGE}'.")
        return value

    def integer(self, name: str) -> int | None:
        """A whole number, or None."""
        value = self._values.get(name)
        if value is None:
            return None
        if not _INTEGER.fullmatch(value):
            legal = "^[0-9]{1,20}$"
            raise Fail(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")
        return int(value)

    def time_ms(self, name: str) -> int | None:
        """A time, which may be given in microseconds, or None."""
        value = self.integer(name)
        return value // 1000 if value is not None and value > MICROSECONDS else value

    def limit(self, default: int, most: int) -> int:
        """Page size, quietly capped."""
        value = self.integer("limit")
        if value is None:
            return default
        if value <= 0:
            raise Fail(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(value, most)

    def amount(self, name: str) -> int:
        """A decimal in units of 10⁻⁸, 0 if it was not sent."""
        value = self._values.get(name)
        if value is None:
            return 0
        digits = fixed.split(value)
        if digits is None:
            legal = DECIMAL_RANGE
            raise Fail(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")
        whole, fraction = digits
        if len(fraction) > fixed.DECIMALS:
            raise Fail(-1111, f"Parameter '{name}' has too much precision.")
        return int(whole + fraction.ljust(fixed.DECIMALS, "0"))

    def flag(self, name: str, *, default: bool) -> bool:
        """``true`` or ``false``."""
        value = self._values.get(name)
        if value is None:
            return default
        if value.lower() not in {"true", "false"}:
            raise Fail(-1130, f"Data sent for parameter '{name}' is not valid.")
        return value.lower() == "true"

    def one_of(self, name: str, choices: Mapping[str, str] | frozenset[str], fail: Fail) -> str:
        """A mandatory word of a list."""
        value = self.text(name)
        if value not in choices:
            raise fail
        return value

    def market(self) -> Market:
        """The mandatory ``symbol``."""
        return self.named(self.text("symbol"))

    def named(self, name: str) -> Market:
        """Raises: Fail for an unknown symbol."""
        if re.search(r"[a-z\s/]", name):
            raise Fail(-1100, f"Illegal characters found in parameter 'symbol'; legal range is '{SYMBOL_RANGE}'.")
        market = self._markets.get(name)
        if market is None:
            raise Fail(-1121)
        return market

    def markets(self) -> list[Market] | None:
        """``symbol`` or ``symbols``; None if neither was sent."""
        if "symbol" in self and "symbols" in self:
            raise Fail(-1128)
        if "symbol" in self:
            return [self.market()]
        if "symbols" not in self:
            return None
        names = self._names()
        if len(set(names)) != len(names):
            raise Fail(-1151, "Symbol is present multiple times in the list.")
        return [self.named(name) for name in names]

    def _names(self) -> list[str]:
        try:
            names = json.loads(self.text("symbols"))
        except ValueError:
            names = None
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise Fail(-1100, f"Illegal characters found in parameter 'symbols'; legal range is '{SYMBOL_RANGE}'.")
        return names
