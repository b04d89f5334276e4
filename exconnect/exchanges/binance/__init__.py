"""Binance, spot.

https://developers.binance.com/docs/binance-spot-api-docs
"""

from __future__ import annotations

from exconnect.exchanges.binance import auth, errors, markets, rest
from exconnect.exchanges.binance.book import SpotSequencer
from exconnect.exchanges.binance.stream import MarketSession, UserSession
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
    absence=errors.ABSENCE,
)
