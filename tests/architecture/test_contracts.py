"""Every import contract of setup.cfg, broken once on purpose in a copy of the package, to see it fail."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def contracts() -> dict[str, dict[str, str]]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    prefix = "importlinter:contract:"
    return {name.removeprefix(prefix): dict(config[name]) for name in config.sections() if name.startswith(prefix)}


# contract, the file that breaks it, the line that does
BREACHES = [
    ("layers", "errors.py", "import exconnect.model"),
    ("layers", "model/order.py", "import exconnect.environment"),
    ("layers", "environment.py", "import exconnect.config"),
    ("layers", "config.py", "import exconnect.protocol"),
    ("layers", "protocol/call.py", "import exconnect.resilience"),
    ("layers", "resilience/retry.py", "import exconnect.gateway"),
    ("layers", "transport/http.py", "import exconnect.resilience.retry"),
    ("layers", "runtime/actor.py", "from exconnect.metrics import Counters"),
    ("layers", "gateway.py", "import exconnect.trading.places"),
    ("layers", "feeds/feed.py", "import exconnect.trading.orders"),
    ("layers", "trading/orders.py", "import exconnect.venue"),
    ("layers", "venue.py", "import exconnect.stream"),
    ("layers", "stream.py", "import exconnect.client"),
    ("layers", "client.py", "import exconnect.mock"),
    ("layers", "client.py", "import exconnect.cli"),
    ("layers", "stray.py", "NEW_MODULE = True"),
    ("exchange-files", "exchanges/binance/extra.py", "NEW_MODULE = True"),
    ("exchange-files", "exchanges/binance/wire.py", "import exconnect.exchanges.binance.parse"),
    ("exchange-files", "exchanges/binance/book.py", "import exconnect.exchanges.binance.errors"),
    ("only-venue", "stream.py", "import exconnect.exchanges.binance.rest"),
    ("pure", "errors.py", "import random"),
    ("pure", "model/order.py", "import time"),
    ("pure", "model/order.py", "from threading import Lock"),
    ("pure", "protocol/call.py", "import socket, ssl"),
    ("pure", "protocol/call.py", "import asyncio"),
    ("pure", "exchanges/binance/rest.py", "import requests"),
    ("pure", "exchanges/binance/stream.py", "import queue"),
    ("pure", "exchanges/binance/stream.py", "import websocket"),
    ("network", "gateway.py", "import requests.exceptions"),
    ("network", "feeds/feed.py", "from websocket import WebSocket"),
    ("commands", "trading/places.py", "import exconnect.trading.queries"),
    ("queries", "trading/queries.py", "import exconnect.trading.places"),
    ("no-circles", "trading/orders.py", "import exconnect.trading.desk"),
    ("no-circles", "mock/websocket.py", "from exconnect.mock.server import Server"),
    ("front-door", "client.py", "from exconnect import Order"),
    ("front-door", "protocol/call.py", "import exconnect"),
    ("mock", "mock/engine.py", "from exconnect.errors import ExconnectError"),
    ("mock", "mock/__init__.py", "import exconnect.protocol.signing"),
    ("mock", "mock/__init__.py", "from exconnect import Client"),
]


def test_the_contracts_are_kept(house):
    code, verdicts, output = house.lint()
    assert code == 0, output
    assert sorted(verdicts) == sorted(contract["name"] for contract in contracts().values())


@pytest.mark.parametrize("contract, file, line", BREACHES, ids=lambda value: value if " " not in value else "-")
def test_a_breach_is_seen(house, contract, file, line):
    house.add(file, line)
    code, verdicts, output = house.lint()
    assert code == 1
    assert verdicts.get(contracts()[contract]["name"]) is False, output


def test_a_missing_file_of_an_exchange_is_seen(house):
    (house.package / "exchanges" / "binance" / "book.py").unlink()
    code, _, output = house.lint()
    assert code == 1
    assert "exconnect.exchanges.binance.book does not exist" in output


def test_exchanges_that_know_each_other_are_seen(house):
    exchanges = house.package / "exchanges"
    (exchanges / "other").mkdir()
    for file in (exchanges / "binance").glob("*.py"):
        (exchanges / "other" / file.name).write_text('"""A second exchange."""\n')
    assert house.lint()[0] == 0
    house.add("exchanges/other/parse.py", "import exconnect.exchanges.binance.parse")
    code, verdicts, output = house.lint()
    assert code == 1
    assert verdicts[contracts()["exchanges"]["name"]] is False, output


def test_every_contract_has_a_breach():
    shown = {contract for contract, _, _ in BREACHES} | {"exchanges"}
    assert set(contracts()) == shown


def is_built(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def test_what_is_built_is_no_longer_optional():
    optional = re.findall(r"\((\w+)\)", contracts()["layers"]["layers"])
    built = [name for name in optional if is_built(f"exconnect.{name}")]
    assert not built, f"take the parentheses off in setup.cfg, [importlinter:contract:layers]: {built}"


def test_what_is_built_keeps_its_contracts():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for name in config.sections():
        if name.startswith("not-yet:"):
            modules = re.findall(r"exconnect[.\w]+", " ".join(config[name].values()))
            assert not all(map(is_built, modules)), f"take `not-yet:` off [{name}] in setup.cfg"
