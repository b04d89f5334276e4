"""Commands that exist and cannot be had yet: they say so, and end with 2."""

from __future__ import annotations

import argparse
from typing import NoReturn

from exconnect.cli.output import Output
from exconnect.errors import NotSupported

_MEANWHILE = {
    "stream": "`exconnect book SYMBOL --watch` shows a live book",
    "record": "`exconnect history candles` writes candles into a file",
    "balance": "client.fetch_balances() does it in Python",
    "orders": "`exconnect journal show` lists what was placed here, client.fetch_open_orders() in Python what is open",
    "config": "`exconnect doctor` shows what is used",
}


def not_yet(given: argparse.Namespace, _: Output) -> NoReturn:
    """`stream record balance orders config completion`.

    Raises:
        NotSupported: always.
    """
    meanwhile = _MEANWHILE.get(given.command)
    hint = f"; until then {meanwhile}" if meanwhile else ""
    raise NotSupported(f"{given.command} comes with a later version{hint}")
