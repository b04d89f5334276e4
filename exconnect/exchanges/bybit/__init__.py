"""Bybit, spot.

https://bybit-exchange.github.io/docs/v5/intro
"""

from __future__ import annotations

from exconnect.exchanges.bybit import auth, errors, markets, rest
from exconnect.exchanges.bybit.book import SpotSequencer
from exconnect.exchanges.bybit.stream import MarketSession, UserSession
from exconnect.protocol.exchange import Exchange

EXCHANGE = Exchange(
    name=markets.NAME,
    endpoints=markets.ENDPOINTS,
    markets=markets.MARKETS,
    pools=markets.POOLS,
    capabilities=markets.CAPABILITIES,
    rest=rest,
    sign=auth.sign,
    encode=auth.encode,
    error=errors.error,
    usage=errors.usage,
    session=MarketSession,
    sequencer=lambda _market: SpotSequencer(),
    parse_symbol=markets.parse_symbol,
    private=UserSession,
    batch=rest,
    absence=errors.ABSENCE,
    key_kinds=("hmac", "rsa"),
)
