from __future__ import annotations

import pytest

from exconnect.exchanges.bybit import markets
from exconnect.model.enums import Capability
from exconnect.model.market import INTERVALS


@pytest.mark.parametrize(
    "symbol, expected",
    [
        ("BTC/USDT", "BTCUSDT"),
        ("1000PEPE/USDC", "1000PEPEUSDC"),
        ("btc/usdt", None),
        ("BTCUSDT", None),
        ("BTC/USDT:USDT", None),
        ("BTC/", None),
        ("BTC /USDT", None),
        ("", None),
        ("币/USDT", None),
    ],
)
def test_symbols(symbol, expected):
    assert markets.parse_symbol(symbol) == expected
    if expected is not None:
        base, _, quote = symbol.partition("/")
        assert markets.unified_symbol(base, quote) == symbol


def test_every_interval_is_one_of_ours(market):
    assert market.intervals == set(markets.INTERVALS) == set(INTERVALS) - {"1s"}


def test_what_is_offered(exchange):
    assert exchange.name == "bybit"
    assert Capability.TRADE_HISTORY not in exchange.capabilities
    assert {"amend_price", "amend_quantity", "quote_quantity", "stop_orders"} <= exchange.capabilities
    assert {"trailing_stop", "iceberg", "validate_order", "futures"}.isdisjoint(exchange.capabilities)


def test_every_environment_is_encrypted(exchange):
    assert set(exchange.endpoints) == {"live", "testnet", "demo"}
    for endpoints in exchange.endpoints.values():
        assert endpoints.rest.startswith("https://")
        assert endpoints.stream.startswith("wss://")
    assert exchange.endpoints["demo"].stream == exchange.endpoints["live"].stream


def test_every_budget_rolls(exchange):
    assert all(pool.is_rolling for pool in exchange.pools)
    names = {pool.name: (pool.limit, pool.scope) for pool in exchange.pools}
    assert names["ip_5s"] == (600, "ip")
    assert names["order/create_1s"] == (20, "account")
    assert names["order/amend_1s"] == (10, "account")
    assert names["account/fee-rate_1s"] == (5, "account")
