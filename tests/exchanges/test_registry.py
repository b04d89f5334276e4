from __future__ import annotations

import subprocess
import sys

import pytest

from exconnect import exchanges
from exconnect.errors import ConfigurationError


def test_what_is_available_can_be_loaded():
    assert "binance" in exchanges.available()
    assert [exchanges.load(name).name for name in exchanges.available()] == list(exchanges.available())


@pytest.mark.parametrize("name", ["binanse", "", "os", "Binance", None, 7])
def test_an_unknown_exchange_lists_the_choices(name):
    with pytest.raises(ConfigurationError, match="'binance'") as caught:
        exchanges.load(name)
    assert caught.value.details["choices"] == list(exchanges.available())


def test_an_exchange_is_imported_on_first_use():
    code = """
import sys, exconnect.exchanges as exchanges
exchanges.available()
assert "exconnect.exchanges.binance" not in sys.modules
exchanges.load("binance")
assert "exconnect.exchanges.binance.rest" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
