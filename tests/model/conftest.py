from decimal import Decimal

import pytest

from exconnect.model.enums import InstrumentStatus, MarketType
from exconnect.model.instrument import Instrument


def make_instrument(**changes):
    """BTC/USDT with round rules; amounts may be given as text."""
    given = {
        "exchange": "binance",
        "symbol": "BTC/USDT",
        "exchange_symbol": "BTCUSDT",
        "market": MarketType.SPOT,
        "base": "BTC",
        "quote": "USDT",
        "status": InstrumentStatus.TRADING,
        "tick_size": "0.01",
        "lot_size": "0.00001",
        "min_quantity": "0.00001",
        "max_quantity": "9000",
        "market_max_quantity": "100",
        "min_price": "0.01",
        "max_price": "1000000",
        "min_notional": "5",
        "max_notional": "9000000",
    } | changes
    return Instrument(**{name: _amount(name, value) for name, value in given.items()})


def _amount(name, value):
    is_amount = name.endswith(("_size", "quantity", "price", "notional")) and isinstance(value, str)
    return Decimal(value) if is_amount else value


@pytest.fixture
def instrument():
    return make_instrument
