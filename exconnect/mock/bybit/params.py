"""Reading parameters the way this exchange does: a query or a JSON body, numbers as text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from exconnect.mock import fixed
from exconnect.mock.http import pairs

from .errors import MISSING, Fail, invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exconnect.mock.http import Request
    from exconnect.mock.market import Market

NUMBERS_AT_RISK = frozenset({"qty", "price", "triggerPrice", "takeProfit", "stopLoss", "tpLimitPrice", "slLimitPrice"})
CATEGORIES = frozenset({"spot", "linear", "inverse", "option"})
LONGEST_BATCH = 10
_LINK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_INTEGER = re.compile(r"[0-9]{1,19}")


def of_request(request: Request) -> dict[str, Any]:
    """The parameters of a REST request. Raises: Fail for a body that is no JSON object."""
    if request.method != "POST":
        return dict(pairs(request.query))
    try:
        values = json.loads(request.body or "{}", parse_float=str, parse_int=str)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise Fail(10001, "Request parameter error: the body is not a JSON object.")
    return values


def flat(values: Mapping[str, Any]) -> dict[str, str]:
    """The same for a reader of records."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


class Params:
    """The parameters of one call; each reader fails with the exchange's own words."""

    def __init__(self, values: Mapping[str, Any], markets: Mapping[str, Market]) -> None:
        self._values = values
        self._markets = markets

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) not in {None, ""} if not self._is_list(name) else True

    def optional(self, name: str) -> str:
        """Text, ``""`` if it was not sent."""
        value = self._values.get(name)
        if value is None or isinstance(value, list | dict):
            return ""
        return value if isinstance(value, str) else json.dumps(value)

    def text(self, name: str) -> str:
        """Mandatory text."""
        value = self.optional(name)
        if not value:
            raise Fail(10001, MISSING)
        return value

    def link_id(self) -> str:
        """A client order id, or ``""``."""
        value = self.optional("orderLinkId")
        if value and not _LINK_ID.fullmatch(value):
            raise Fail(10001, "Request parameter error: OrderLinkId is invalid, at most 36 of A-Z a-z 0-9 - _.")
        return value

    def integer(self, name: str) -> int | None:
        """A whole number, or None."""
        value = self.optional(name)
        if not value:
            return None
        if not _INTEGER.fullmatch(value):
            raise Fail(10001, f"Request parameter error: {name} is not a number.")
        return int(value)

    def limit(self, default: int, most: int) -> int:
        """Page size, quietly capped."""
        value = self.integer("limit")
        return default if value is None else min(max(value, 1), most)

    def amount(self, name: str, too_precise: int = 170137) -> int:
        """A positive decimal in units of 10⁻⁸, 0 if it was not sent. ``too_precise`` is the code for more decimals."""
        value = self.optional(name)
        if not value:
            return 0
        digits = fixed.split(value)
        if digits is None:
            raise invalid(name)
        whole, fraction = digits
        if len(fraction) > fixed.DECIMALS:
            raise Fail(too_precise)
        return int(whole + fraction.ljust(fixed.DECIMALS, "0"))

    def one_of(self, name: str, choices: Mapping[str, str], code: int) -> str:
        """A mandatory word of a list, translated."""
        value = self.text(name)
        if value not in choices:
            raise Fail(code)
        return choices[value]

    def category(self) -> str:
        """Raises: Fail for a category that does not exist."""
        value = self.text("category")
        if value not in CATEGORIES:
            raise Fail(10001, "Illegal category")
        return value

    def spot(self) -> None:
        """Raises: Fail for another category: this account trades spot."""
        if self.category() != "spot":
            raise Fail(10001, "This exchange has no markets of this category.")

    def market(self, unknown: Fail | None = None) -> Market:
        """The mandatory ``symbol``."""
        found = self._markets.get(self.text("symbol"))
        if found is None:
            raise unknown or Fail(170121)
        return found

    def chosen(self) -> list[Market]:
        """Those meant by ``symbol`` or ``baseCoin``, else all."""
        if "symbol" in self:
            found = self._markets.get(self.optional("symbol"))
            return [found] if found else []
        base = self.optional("baseCoin")
        return [market for market in self._markets.values() if base in {"", market.base}]

    def rows(self) -> list[Params]:
        """The rows of a batch. Raises: Fail for none or too many."""
        rows = self._values.get("request")
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            raise Fail(10001, MISSING)
        if len(rows) > LONGEST_BATCH:
            raise Fail(10001, f"Request parameter error: at most {LONGEST_BATCH} orders in a batch.")
        return [Params({"category": self.optional("category"), **row}, self._markets) for row in rows]

    def count(self) -> int:
        """How many rows a batch has, whatever they are."""
        rows = self._values.get("request")
        return len(rows) if isinstance(rows, list) and rows else 1

    def numbers(self, seen: Callable[[str, str], None]) -> None:
        """Shows every number that travels as text."""
        for name in NUMBERS_AT_RISK & self._values.keys():
            seen(name, self.optional(name))
        for row in self._values.get("request") or []:
            if isinstance(row, dict):
                Params(row, self._markets).numbers(seen)

    def _is_list(self, name: str) -> bool:
        return isinstance(self._values.get(name), list | dict)
