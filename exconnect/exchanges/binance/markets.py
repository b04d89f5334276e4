"""Where Binance is, what it offers, and how its names relate to ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from exconnect.endpoints import Endpoints
from exconnect.model.enums import Capability, MarketType
from exconnect.model.market import INTERVALS
from exconnect.protocol.call import Pool
from exconnect.protocol.exchange import Market

NAME = "binance"

ENDPOINTS: Mapping[str, Endpoints] = MappingProxyType(
    {
        "live": Endpoints(
            "https://api.binance.com", "wss://stream.binance.com:9443", "wss://ws-api.binance.com:443"
        ),
        "testnet": Endpoints(
            "https://testnet.binance.vision", "wss://stream.testnet.binance.vision", "wss://ws-api.testnet.binance.vision"
        ),
        "demo": Endpoints(
            "https://demo-api.binance.com", "wss://demo-stream.binance.com", "wss://demo-ws-api.binance.com"
        ),
    }
)  # fmt: skip

SPOT = Market(
    type=MarketType.SPOT,
    prefix="/api/v3",
    stream_path="/stream",
    book_depths=(100, 500, 1000, 5000),  # any depth can be asked for; these are the steps of its price
    intervals=frozenset(INTERVALS),
    has_consecutive_trades=True,
    private_path="/ws-api/v3?returnRateLimits=false",
    private_counts=True,
    lifetime_s=86_400.0,
)
MARKETS: Mapping[MarketType, Market] = MappingProxyType({MarketType.SPOT: SPOT})

# What holds until `exchangeInfo` says otherwise.
POOLS = (
    Pool("request_weight", "ip", 6_000, 60),
    Pool("raw_requests", "ip", 300_000, 300),
    Pool("orders", "account", 50, 10),
    Pool("orders", "account", 160_000, 86_400),
)

CAPABILITIES = frozenset(
    {
        Capability.AMEND_PRICE,
        Capability.AMEND_QUANTITY,
        Capability.QUOTE_QUANTITY,
        Capability.VALIDATE_ORDER,
        Capability.STOP_ORDERS,
        Capability.TRAILING_STOP,
        Capability.ICEBERG,
        Capability.SELF_TRADE_PREVENTION,
        Capability.TRADE_HISTORY,
    }
)

_UNIFIED = re.compile(r"([^\s/:]{1,40})/([^\s/:]{1,40})")


def parse_symbol(symbol: str) -> str | None:
    """`"BTC/USDT"` → `"BTCUSDT"`; None for what cannot be a spot symbol. Letters of any script are possible."""
    match = _UNIFIED.fullmatch(symbol)
    if match is None or symbol != symbol.upper():
        return None
    return match[1] + match[2]


def unified_symbol(base: str, quote: str) -> str:
    """`"BTC", "USDT"` → `"BTC/USDT"`."""
    return f"{base}/{quote}"
