"""The words in which this exchange says no.

https://developers.binance.com/docs/binance-spot-api-docs/errors
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exconnect.mock.orders import Refused

BUSY_FOR_ALL = "Please use WebSocket Streams for live updates to avoid bans."

TEXTS: Mapping[int, str] = {
    -1000: "An unknown error occurred while processing the request.",
    -1001: "Internal error; unable to process your request. Please try again.",
    -1002: "You are not authorized to execute this request.",
    -1003: "Too many requests queued.",
    -1006: "An unexpected response was received from the message bus. Execution status unknown.",
    -1007: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    -1008: "Server is currently overloaded with other requests. Please try again in a few minutes.",
    -1013: "Invalid quantity.",
    -1014: "Unsupported order combination.",
    -1015: "Too many new orders.",
    -1016: "This service is no longer available.",
    -1020: "This operation is not supported.",
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -1022: "Signature for this request is not valid.",
    -1112: "No orders on book for symbol.",
    -1115: "Invalid timeInForce.",
    -1116: "Invalid orderType.",
    -1117: "Invalid side.",
    -1120: "Invalid interval.",
    -1121: "Invalid symbol.",
    -1128: "Combination of optional parameters invalid.",
    -1145: "Invalid cancelRestrictions",
    -1194: "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.",
    -2010: "Account has insufficient balance for requested action.",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2014: "API-key format invalid.",
    -2015: "Invalid API-key, IP, or permissions for action.",
    -2021: "Order cancel-replace partially failed.",
    -2022: "Order cancel-replace failed.",
    -2038: "Order amend (quantity increase) is not supported.",
    -2043: "This symbol doesn't have a reference price.",
    -2039: "Either the order ID or the client order ID is invalid.",
}

BY_STATUS: Mapping[int, int] = {
    400: -1000,
    401: -2015,
    418: -1003,
    429: -1003,
    500: -1000,
    502: -1001,
    503: -1001,
    504: -1007,
}


class Fail(Exception):
    """An error reply. ``data`` only for the half-done cancel-replace."""

    def __init__(
        self,
        code: int,
        message: str | None = None,
        *,
        status: int = 400,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.code = code
        self.message = TEXTS[code] if message is None else message
        self.status = status
        self.data = data
        self.headers = dict(headers or {})
        super().__init__(code, self.message)

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the reply."""
        body = {"code": self.code, "msg": self.message}
        return body if self.data is None else {**body, "data": self.data}


_PLACE = {
    "insufficient_balance": "Account has insufficient balance for requested action.",
    "duplicate": "Duplicate order sent.",
    "would_take": "Order would immediately match and take.",
    "would_trigger": "Order would trigger immediately.",
    "no_liquidity": "Order book liquidity is less than LOT_SIZE filter minimum quantity.",
}

_AMEND = {
    "unknown_order": "Unknown order sent.",
    "amend_increase": "Order amend (quantity increase) is not supported.",
    "no_change": "The requested action would change no state; rejecting",
}


def placing(refused: Refused) -> Fail:
    """The reply to an order that the engine refused."""
    if refused.reason == "filter":
        return Fail(-1013, f"Filter failure: {refused.detail}")
    return Fail(-2010, _PLACE[refused.reason])


def amending(refused: Refused) -> Fail:
    """The reply to an amend that the engine refused."""
    if refused.reason == "filter":
        code = -2038 if refused.detail == "MAX_NUM_ORDER_AMENDS" else -1013
        return Fail(code, f"Filter failure: {refused.detail}")
    return Fail(-2038, _AMEND[refused.reason])


def too_much_weight(limit: int, seconds: int) -> str:
    """The text of a first warning."""
    span = {1: "SECOND", 60: "MINUTE", 3600: "HOUR"}.get(seconds, f"{seconds} SECONDS")
    return f"Too much request weight used; current limit is {limit} request weight per 1 {span}. {BUSY_FOR_ALL}"


def banned(until_ms: int) -> str:
    """The text of a ban."""
    return f"Way too much request weight used; IP banned until {until_ms}. {BUSY_FOR_ALL}"
