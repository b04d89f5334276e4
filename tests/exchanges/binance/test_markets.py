from __future__ import annotations

import pytest

from exconnect.exchanges.binance.markets import parse_symbol
from exconnect.model.enums import Capability, MarketType
from exconnect.model.market import INTERVALS


@pytest.mark.parametrize(
    "unified, native",
    [
        ("BTC/USDT", "BTCUSDT"),
        ("1000SATS/USDT", "1000SATSUSDT"),
        ("这是测试币/456", "这是测试币456"),
        ("\uff11\uff12\uff13/\uff14\uff15\uff16", "\uff11\uff12\uff13\uff14\uff15\uff16"),
        ("BTCUSDT", None),
        ("btc/usdt", None),
        ("BTC/USDT:USDT", None),
        ("BTC/", None),
        ("/USDT", None),
        ("BTC/USD/T", None),
        ("BTC /USDT", None),
        ("BTC/USDT\n", None),
        ("", None),
    ],
)
def test_symbols(unified, native):
    assert parse_symbol(unified) == native


def test_the_environments_are_three_different_places(exchange):
    assert set(exchange.endpoints) == {"live", "testnet", "demo"}
    urls = [url for place in exchange.endpoints.values() for url in (place.rest, place.stream, place.private)]
    assert len(set(urls)) == 9
    assert exchange.endpoints["live"].rest == "https://api.binance.com"


def test_the_spot_market(exchange, market):
    assert market.type is MarketType.SPOT
    assert market.intervals == frozenset(INTERVALS)
    assert exchange.session(market).route() == "/stream"
    assert exchange.sequencer(market).needs_snapshot


def test_default_pools_are_the_documented_ones(exchange):
    assert {pool.name: pool.limit for pool in exchange.pools} == {
        "request_weight_60s": 6000,
        "raw_requests_300s": 300_000,
        "orders_10s": 50,
        "orders_86400s": 160_000,
    }


def test_capabilities(exchange):
    assert Capability.VALIDATE_ORDER in exchange.capabilities
    assert Capability.PLACE_BATCH not in exchange.capabilities
    assert Capability.FUTURES not in exchange.capabilities
