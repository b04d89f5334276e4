"""Bybit as the engine sees it, and what it lists, without the recorded messages."""

from __future__ import annotations

import json

import pytest

from exconnect.exchanges.bybit import EXCHANGE, parse

LISTED = {
    "symbolId": 9,
    "symbol": "BTCUSDT",
    "baseCoin": "BTC",
    "quoteCoin": "USDT",
    "innovation": "0",
    "status": "Trading",
    "marginTrading": "utaOnly",
    "stTag": "0",
    "lotSizeFilter": {
        "basePrecision": "0.000001",
        "quotePrecision": "0.0000001",
        "minOrderQty": "0.000011",
        "maxOrderQty": "80",
        "minOrderAmt": "5",
        "maxOrderAmt": "8000000",
        "maxLimitOrderQty": "83",
        "maxMarketOrderQty": "41.5",
        "postOnlyMaxLimitOrderSize": "60000",
    },
    "priceFilter": {"tickSize": "0.1"},
    "riskParameters": {"priceLimitRatioX": "0.005", "priceLimitRatioY": "0.01"},
    "symbolType": "",
}


@pytest.fixture(scope="session")
def exchange():
    return EXCHANGE


@pytest.fixture
def listed():
    """A row of `instruments-info`, to be changed at will."""
    return json.loads(json.dumps(LISTED))


@pytest.fixture(scope="session")
def btc():
    return parse.instrument(LISTED)
