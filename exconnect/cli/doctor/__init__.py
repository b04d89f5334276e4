"""`exconnect doctor`: looks at this machine, the way to the exchange and the key, and says what to do.

It ends with 0 if all is well, 3 if the exchange cannot be reached, else 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict

from exconnect.cli.doctor import exchange, journal, machine, network
from exconnect.cli.doctor.check import Check
from exconnect.cli.output import DONE, FAILED, UNAVAILABLE, Output
from exconnect.cli.session import connected
from exconnect.cli.terminal import paint
from exconnect.client import Client
from exconnect.venue.parts import Venue
from exconnect.venue.plan import plan

_PATIENCE_S = 5.0  # for one look; what takes longer is as good as not there


def run(given: argparse.Namespace, output: Output) -> int:
    """Look at everything, in the order in which things depend on each other."""
    # A plan of its own: what a client has looked up is its own business.
    with connected(given) as client, closing(Venue(plan(client.settings))) as venue:
        timeout = min(client.settings.timeout, _PATIENCE_S)
        checks = []
        for check in _checks(client, venue, timeout):
            checks.append(check)
            _show(check, output)
    is_well = all(check.ok for check in checks)
    _conclude(checks, output)
    output.result({"ok": is_well, "checks": [_as_data(check) for check in checks]})
    if any(check.is_road and not check.ok for check in checks):
        return UNAVAILABLE
    return DONE if is_well else FAILED


def _checks(client: Client, venue: Venue, timeout: float) -> Iterator[Check]:
    yield from machine.checks(venue)
    yield journal.check(client)
    roads = list(network.checks(venue, timeout))
    yield from roads
    is_reachable = all(road.ok for road in roads)
    yield machine.proxies(venue, is_reachable=is_reachable)
    if is_reachable:
        yield from exchange.checks(client, venue, timeout)


def _as_data(check: Check) -> dict[str, object]:
    return {name: value for name, value in asdict(check).items() if name != "is_road"}


def _show(check: Check, output: Output) -> None:
    mark = paint("✓", "green") if check.ok else paint("✗", "red")
    output.text(f"{mark} {check.name:<14} {check.detail}")
    for line, advice in enumerate(check.advice.splitlines()):
        output.text(f"  {'':<14} {' ' if line else paint('→', 'yellow')} {advice}")


def _conclude(checks: list[Check], output: Output) -> None:
    wrong = [check.name for check in checks if not check.ok]
    output.text()
    output.text(f"wrong: {', '.join(wrong)}" if wrong else "all is well")
