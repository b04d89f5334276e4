"""Microseconds for whoever asks for them: ``X-MBX-TIME-UNIT`` over REST, ``timeUnit`` in the address of a socket.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/general-api-information
"""

from __future__ import annotations

import re

from .errors import Fail

MICROSECONDS = 10**14  # a time beyond this number is one in microseconds
# No other number of this exchange has thirteen digits, but an id that the client has chosen may.
_TIME = re.compile(r'(?<=[:\[,])(?<!"id":)1[0-9]{12}(?=[,\]}])')
_UNITS = {"": False, "MILLISECOND": False, "MICROSECOND": True}


def are_wanted(unit: str) -> bool:
    """Whether the unit is the microsecond. Raises: Fail for one that does not exist."""
    if unit not in {unit.lower(), unit.upper()} or unit.upper() not in _UNITS:
        raise Fail(-1194)
    return _UNITS[unit.upper()]


def microseconds(message: str) -> str:
    """A JSON text with its times in microseconds; what ends an interval ends with its last microsecond."""
    return _TIME.sub(lambda match: match[0] + ("999" if match[0].endswith("999") else "000"), message)
