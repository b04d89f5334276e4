"""Commands that exist and cannot be had yet: they say so, and end with 2."""

from __future__ import annotations

import argparse
from typing import NoReturn

from exconnect.cli.output import Output
from exconnect.errors import NotSupported


def not_yet(given: argparse.Namespace, _: Output) -> NoReturn:
    """`stream record balance orders config completion`.

    Raises:
        NotSupported: always.
    """
    raise NotSupported(f"{given.command} comes with a later version")
