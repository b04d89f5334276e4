"""The words in which this exchange says no.

https://bybit-exchange.github.io/docs/v5/error
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exconnect.mock.orders import NewOrder, Refused

    from .shapes import Json

TEXTS: Mapping[int, str] = {
    429: "The trading service is experiencing a high server load. Please retry if you encounter this issue.",
    10000: "Server Timeout",
    10001: "Request parameter error.",
    10002: "The request time exceeds the time window range.",
    10003: "API key is invalid.",
    10004: "Error sign, please check your signature generation algorithm.",
    10005: "Permission denied, please check your API key permissions.",
    10006: "Too many visits. Exceeded the API Rate Limit.",
    10007: "User authentication failed.",
    10010: "Unmatched IP, please check your API key's bound IP addresses.",
    10014: "Invalid duplicate request.",
    10016: "Server error.",
    10017: "Route not found.",
    10019: "WS trade service is restarting.",
    10403: "Exceed IP rate limit. 3000 requests per second per IP",
    10404: "op type is not found or category is not correct/supported",
    10429: "System level frequency protection",
    20001: "Repeat auth",
    20003: "Too frequent requests under the same session",
    20006: "reqId is duplicated",
    170001: "Internal error.",
    170005: "Too many new orders; current limit is %s orders per %s.",
    170007: "Timeout waiting for response from backend server.",
    170032: "Network error. Please try again later",
    170035: "Submitted. The system is processing your request.",
    170115: "Invalid timeInForce.",
    170116: "Invalid orderType.",
    170117: "Invalid side.",
    170121: "Invalid symbol.",
    170124: "Order amount too large.",
    170130: "Data sent for parameter '%s' is not valid.",
    170131: "Insufficient balance.",
    170132: "Order price too high.",
    170133: "Order price lower than the minimum.",
    170134: "Order price has too many decimals.",
    170137: "Order quantity has too many decimals.",
    170139: "Order has been filled.",
    170140: "Order value exceeded lower limit.",
    170141: "Duplicate clientOrderId",
    170142: "Order has been canceled.",
    170144: "Order is locked.",
    170146: "Order creation timeout.",
    170147: "Order cancellation timeout.",
    170148: "Market order amount decimal too long.",
    170149: "Create order failed.",
    170150: "Cancel order failed.",
    170193: "Buy order price cannot be higher than the maximum.",
    170194: "Sell order price cannot be lower than the minimum.",
    170201: "Invalid orderFilter parameter.",
    170202: "Please enter the TP/SL price.",
    170210: "New order rejected.",
    170213: "Order does not exist.",
    170222: "Too many requests.",
    170234: "System Error",
    170310: "Amend order timeout.",
    170312: "Order amendment is not supported.",
    170313: "Order quantity cannot be less than the executed quantity.",
    170341: "Request order quantity exceeds maximum limit",
    170381: "Maximum order quantity exceeded",
    170810: "Cannot exceed maximum of 500 conditional, TP/SL and active orders.",
    110108: "allowed slippage setting: TickSize from 1 to 10000",
    110109: "allowed slippage setting: Percent from 0.01 to 10",
    181010: "The time range cannot exceed 7 days.",
}

BY_STATUS: Mapping[int, int] = {400: 10001, 401: 10003, 403: 10009, 404: 10017, 429: 429, 504: 10000}
MISSING = "Missing some parameters that must be filled in, please refer to the documentation"


class Fail(Exception):
    """An error reply; nearly always inside HTTP 200."""

    def __init__(self, code: int, message: str | None = None, *, status: int = 200) -> None:
        self.code = code
        self.message = TEXTS[code] if message is None else message
        self.status = status
        super().__init__(code, self.message)

    @property
    def row(self) -> Json:
        """As one row of a batch."""
        return {"code": self.code, "msg": self.message}


def invalid(name: str) -> Fail:
    """A parameter of an order that makes no sense."""
    return Fail(170130, TEXTS[170130] % f"{name}")


_PLACE: Mapping[str, int] = {
    "insufficient_balance": 170131,
    "unknown_order": 170213,
    "amend_below_filled": 170313,
}
_FILTERS: Mapping[str, int] = {
    "MARKET_LOT_SIZE": 170341,
    "NOTIONAL": 170140,
    "MAX_NUM_ORDERS": 170810,
    "MAX_NUM_ALGO_ORDERS": 170810,
}


def refusing(refused: Refused, wish: NewOrder) -> Fail:
    """The reply to an order that breaks a rule before it is taken."""
    if refused.reason != "filter":
        return Fail(_PLACE[refused.reason])
    if refused.detail == "LOT_SIZE":
        return Fail(170137 if wish.quantity % wish.market.lot else 170381)
    if refused.detail == "PRICE_FILTER":
        return Fail(_price_code(wish))
    return Fail(_FILTERS[refused.detail])


def _price_code(wish: NewOrder) -> int:
    prices = [price for price in (wish.price, wish.stop_price) if price]
    if any(price % wish.market.tick for price in prices):
        return 170134
    return 170132 if any(price > wish.market.max_price for price in prices) else 170133
