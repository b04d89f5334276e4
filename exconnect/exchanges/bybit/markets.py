"""Where Bybit is, what it offers, and how its names relate to ours.

https://bybit-exchange.github.io/docs/v5/guide
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from exconnect.endpoints import Endpoints
from exconnect.model.enums import Capability, MarketType
from exconnect.protocol.call import Pool
from exconnect.protocol.exchange import Market

NAME = "bybit"

ENDPOINTS: Mapping[str, Endpoints] = MappingProxyType(
    {
        "live": Endpoints("https://api.bybit.com", "wss://stream.bybit.com", "wss://stream.bybit.com"),
        "testnet": Endpoints(
            "https://api-testnet.bybit.com", "wss://stream-testnet.bybit.com", "wss://stream-testnet.bybit.com"
        ),
        # Demo accounts trade on the live market and have no public stream of their own.
        "demo": Endpoints("https://api-demo.bybit.com", "wss://stream.bybit.com", "wss://stream-demo.bybit.com"),
    }
)

# Ours → theirs. Candles of one second are not offered.
INTERVALS: Mapping[str, str] = MappingProxyType(
    {
        "1m": "1", "3m": "3", "5m": "5", "15m": "15", "30m": "30",
        "1h": "60", "2h": "120", "4h": "240", "6h": "360", "12h": "720",
        "1d": "D", "1w": "W", "1M": "M",
    }
)  # fmt: skip

CATEGORY = "spot"
BOOK_TOPICS = (1, 50, 200, 1000)

SPOT = Market(
    type=MarketType.SPOT,
    prefix="/v5",
    stream_path="/v5/public/spot",
    book_depths=BOOK_TOPICS,
    intervals=frozenset(INTERVALS),
    book_topics=BOOK_TOPICS,
    max_topics=500,  # their names must not be longer than 21,000 characters together
    private_path="/v5/private",
)
MARKETS: Mapping[MarketType, Market] = MappingProxyType({MarketType.SPOT: SPOT})

# https://bybit-exchange.github.io/docs/v5/rate-limit: each endpoint has a budget of its own, in any one second and by
# account; the kind of a pool is the endpoint's path. Answers correct what is written here (`errors.usage`). The orders
# of a batch count one by one.
_PER_SECOND: Mapping[str, int] = MappingProxyType(
    {
        "order/create": 20,
        "order/amend": 10,
        "order/cancel": 20,
        "order/cancel-all": 20,
        "order/create-batch": 20,
        "order/amend-batch": 20,
        "order/cancel-batch": 20,
        "order/realtime": 50,
        "order/history": 50,
        "execution/list": 50,
        "account/wallet-balance": 50,
        "account/fee-rate": 5,
        "user/query-api": 10,
    }
)
POOLS = (
    Pool("ip", "ip", 600, 5, is_rolling=True),
    *(Pool(kind, "account", limit, 1, is_rolling=True) for kind, limit in _PER_SECOND.items()),
)

CAPABILITIES = frozenset(
    {
        Capability.PLACE_BATCH,
        Capability.AMEND_PRICE,
        Capability.AMEND_QUANTITY,
        Capability.QUOTE_QUANTITY,
        Capability.STOP_ORDERS,
        Capability.SELF_TRADE_PREVENTION,
    }
)

_UNIFIED = re.compile(r"([A-Z0-9]{1,40})/([A-Z0-9]{1,40})", re.ASCII)


def parse_symbol(symbol: str) -> str | None:
    """`"BTC/USDT"` → `"BTCUSDT"`; None for what cannot be a spot symbol."""
    match = _UNIFIED.fullmatch(symbol)
    return None if match is None else match[1] + match[2]


def unified_symbol(base: str, quote: str) -> str:
    """`"BTC", "USDT"` → `"BTC/USDT"`."""
    return f"{base}/{quote}"
