"""exconnect: cryptocurrency exchanges in synchronous, threaded Python.

    from exconnect import Client, available

    for exchange in available():
        print(exchange, Client(exchange).fetch_ticker("BTC/USDT").last)

Importing it opens nothing and starts nothing.
"""

from __future__ import annotations

import logging
from typing import Any

from exconnect.client import Client
from exconnect.config import Settings
from exconnect.consolidated import ConsolidatedBook, ConsolidatedLevel, ConsolidatedView
from exconnect.credentials import Credentials
from exconnect.endpoints import Endpoints
from exconnect.errors import (
    AmendRefused,
    AuthenticationError,
    Banned,
    BookNotReady,
    CircuitOpen,
    ClientClosed,
    ClockSkew,
    ConfigurationError,
    DuplicateOrder,
    ExchangeError,
    ExconnectError,
    ForkedStream,
    InsufficientFunds,
    IntentConflict,
    InvalidArgument,
    InvalidOrder,
    InvalidType,
    JournalUnavailable,
    MalformedMessage,
    NotSupported,
    OrderNotFound,
    OrderRejected,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    RiskRejected,
    StaleStream,
    StreamError,
    TradingHalted,
    TransportError,
    Unavailable,
    UnknownSymbol,
    WouldCross,
    WouldExceedLimit,
)
from exconnect.metrics import Metrics
from exconnect.model.account import Balance, Fees, Position
from exconnect.model.enums import (
    Capability,
    InstrumentStatus,
    MarketType,
    OrderStatus,
    OrderType,
    Outcome,
    Policy,
    SelfTradePrevention,
    Side,
    Source,
    StreamStatus,
    TimeInForce,
)
from exconnect.model.events import (
    BookOutOfSync,
    Gap,
    GapClosed,
    HandlerFailed,
    Notice,
    SlowHandler,
    StatusChanged,
    TopicRefused,
    ZombieOrder,
)
from exconnect.model.health import Health, LimitUse, PartHealth
from exconnect.model.instrument import Instrument
from exconnect.model.market import Book, Candle, FundingRate, Level, Ticker, Trade
from exconnect.model.order import AmendOrder, CancelOrder, Fill, Order, PlaceOrder
from exconnect.protocol.pages import Pages
from exconnect.stream import Handler, Stream, Subscription, run
from exconnect.trading.deadmans_switch import DeadMansSwitch
from exconnect.trading.risk import (
    AllowedSymbols,
    MaxOpenOrders,
    MaxOrderRate,
    MaxOrderValue,
    NoDuplicates,
    PriceBand,
    ReduceOnly,
    RiskCheck,
    RiskView,
)
from exconnect.venue.plan import available

__all__ = [
    "AllowedSymbols",
    "AmendOrder",
    "AmendRefused",
    "AuthenticationError",
    "Balance",
    "Banned",
    "Book",
    "BookNotReady",
    "BookOutOfSync",
    "CancelOrder",
    "Candle",
    "Capability",
    "CircuitOpen",
    "Client",
    "ClientClosed",
    "ClockSkew",
    "ConfigurationError",
    "ConsolidatedBook",
    "ConsolidatedLevel",
    "ConsolidatedView",
    "Credentials",
    "DeadMansSwitch",
    "DuplicateOrder",
    "Endpoints",
    "ExchangeError",
    "ExconnectError",
    "Fees",
    "Fill",
    "ForkedStream",
    "FundingRate",
    "Gap",
    "GapClosed",
    "Handler",
    "HandlerFailed",
    "Health",
    "Instrument",
    "InstrumentStatus",
    "InsufficientFunds",
    "IntentConflict",
    "InvalidArgument",
    "InvalidOrder",
    "InvalidType",
    "JournalUnavailable",
    "Level",
    "LimitUse",
    "MalformedMessage",
    "MarketType",
    "MaxOpenOrders",
    "MaxOrderRate",
    "MaxOrderValue",
    "Metrics",
    "NoDuplicates",
    "NotSupported",
    "Notice",
    "Order",
    "OrderNotFound",
    "OrderRejected",
    "OrderStatus",
    "OrderType",
    "Outcome",
    "OutcomeUnknown",
    "Pages",
    "PartHealth",
    "PermissionDenied",
    "PlaceOrder",
    "Policy",
    "Position",
    "PriceBand",
    "RateLimited",
    "ReduceOnly",
    "RiskCheck",
    "RiskRejected",
    "RiskView",
    "SelfTradePrevention",
    "Settings",
    "Side",
    "SlowHandler",
    "Source",
    "StaleStream",
    "StatusChanged",
    "Stream",
    "StreamError",
    "StreamStatus",
    "Subscription",
    "Ticker",
    "TimeInForce",
    "TopicRefused",
    "Trade",
    "TradingHalted",
    "TransportError",
    "Unavailable",
    "UnknownSymbol",
    "WouldCross",
    "WouldExceedLimit",
    "ZombieOrder",
    "__version__",
    "available",
    "enable_console_logging",
    "run",
]

logging.getLogger("exconnect").addHandler(logging.NullHandler())


def enable_console_logging(level: int | str = "INFO") -> None:
    """Show what exconnect logs on the console; for notebooks and scripts that set up no logging of their own.

    Raises:
        InvalidArgument: no such level.
    """
    names = logging.getLevelNamesMapping()
    if isinstance(level, str):
        if level.upper() not in names:
            text = f"level={level!r}: must be one of 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'"
            raise InvalidArgument(text, {"argument": "level"})
        level = names[level.upper()]
    logger = logging.getLogger("exconnect")
    if not any(type(handler) is logging.StreamHandler for handler in logger.handlers):
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
    logger.setLevel(level)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("exconnect")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
