"""The exchange itself: clock, answers, limits, live data, and what the key may do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from exconnect.cli.doctor.check import Check
from exconnect.cli.output import shown
from exconnect.cli.session import ClockReading, read_clock
from exconnect.client import Client
from exconnect.errors import AuthenticationError, ConfigurationError, ExconnectError
from exconnect.model.enums import InstrumentStatus
from exconnect.venue.parts import Venue

_WRONG_MS, _SLOW_MS = 1000.0, 1000.0
_SCARCE = 0.8  # of a limit


def checks(client: Client, venue: Venue, timeout: float) -> Iterator[Check]:
    """What only the exchange can tell; nothing here places, changes or cancels an order."""
    try:
        reading = read_clock(client)
    except ExconnectError as error:
        # A setting that keeps us from asking says nothing about the exchange.
        yield _refused("rest", error, is_road=not isinstance(error, ConfigurationError))
        return
    yield _latency(reading)
    yield _clock(reading)
    yield _tried("stream", lambda: _stream(client, timeout))
    yield _tried("key", lambda: _key(venue, timeout))
    yield _limits(client)


def _refused(name: str, error: ExconnectError, *, is_road: bool = False) -> Check:
    advice = "wait, and look again" if error.retryable else ""
    if error.retry_after is not None:
        advice = f"wait {error.retry_after:.0f} s: every request before makes it longer"
    return Check(name, False, error.message, advice, is_road=is_road)


def _tried(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except ExconnectError as error:
        return _refused(name, error)


def _latency(reading: ClockReading) -> Check:
    took = reading.round_trip_ms
    advice = "" if took < _SLOW_MS else "slow: a market order sees prices this old; look at the network, or move closer"
    return Check("rest", took < _SLOW_MS, f"answers in {took} ms, the best of five", advice)


def _clock(reading: ClockReading) -> Check:
    offset, error = reading.offset_ms, reading.error_ms
    words = "ahead of" if offset >= 0 else "behind"
    detail = f"the exchange is {abs(offset):.0f} ms {words} this machine, give or take {error:.0f} ms"
    if abs(offset) - error < _WRONG_MS:
        return Check("clock", True, detail)
    advice = (
        "exconnect signs with the exchange's clock all the same, but your own times are wrong: "
        "let the machine keep its clock (timedatectl set-ntp true)"
    )
    return Check("clock", False, detail, advice)


def _stream(client: Client, timeout: float) -> Check:
    listed = client.fetch_instruments()
    symbols = [symbol for symbol, each in listed.items() if each.status is InstrumentStatus.TRADING]
    if not symbols:
        return Check("stream", False, "nothing is traded now", "the exchange may be in maintenance")
    symbol = "BTC/USDT" if "BTC/USDT" in symbols else min(symbols)
    with client.stream(symbol, name="doctor") as stream:
        stream.on_book(lambda _book: None)
        stream.start()
        if stream.wait_live(timeout):
            best = stream.book(symbol).best_bid
            return Check("stream", True, f"the book of {symbol} is live, {shown(best and best.price)} bid")
        status = stream.status
    advice = "REST works and websockets do not: a proxy or firewall may not let them through"
    return Check("stream", False, f"{status} after {timeout:g} s", advice)


def _key(venue: Venue, timeout: float) -> Check:
    try:
        credentials = venue.need_credentials()
    except ConfigurationError as error:
        return Check("key", True, "none: public data only", error.message)
    name = f"…{credentials.key[-4:]}"
    try:
        name = f"{credentials.kind} key {name}"
        may = venue.call(venue.exchange.rest.permissions(), timeout)
    except AuthenticationError as error:
        advice = "check key, secret, the addresses that it may be used from, and that it belongs to this environment"
        return Check("key", False, f"{name}: {error.message}", advice)
    rights = [
        word for word, has in (("reads", True), ("trades", may.can_trade), ("withdraws", may.can_withdraw)) if has
    ]
    detail = f"{name}: {', '.join(rights)} ({may.details})" if may.details else f"{name}: {', '.join(rights)}"
    if not may.can_trade:
        return Check("key", False, detail, "it cannot trade: allow spot trading for it, if it should")
    if may.can_withdraw:
        return Check("key", True, detail, "the account may withdraw: see to it that this key may not")
    return Check("key", True, detail)


def _limits(client: Client) -> Check:
    limits = client.health().limits
    detail = ", ".join(f"{name} {use.used} of {use.limit}" for name, use in limits.items())
    scarce = [name for name, use in limits.items() if use.used > _SCARCE * use.limit]
    advice = (
        f"nearly used up: {', '.join(scarce)}; somebody else at this address or key is asking much" if scarce else ""
    )
    return Check("limits", not scarce, detail or "not known", advice)
