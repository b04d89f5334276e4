"""`exconnect.__all__` is the public surface: sorted, complete, documented, and paid for only when used."""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import os
import subprocess
import sys
import textwrap

import pytest

import exconnect

PUBLIC = """
AllowedSymbols AmendOrder AmendRefused AuthenticationError Balance Banned Book BookNotReady BookOutOfSync CancelOrder
Candle Capability CircuitOpen Client ClientClosed ClockSkew ConfigurationError ConsolidatedBook ConsolidatedLevel
ConsolidatedView Credentials DeadMansSwitch DuplicateOrder Endpoints ExchangeError ExconnectError Fees Fill
ForkedStream FundingRate Gap GapClosed Handler HandlerFailed Health Instrument InstrumentStatus InsufficientFunds
IntentConflict InvalidArgument InvalidOrder InvalidType JournalUnavailable Level LimitUse MalformedMessage MarketType
MaxOpenOrders MaxOrderRate MaxOrderValue Metrics NoDuplicates NotSupported Notice Order OrderNotFound OrderRejected
OrderStatus OrderType Outcome OutcomeUnknown Pages PartHealth PermissionDenied PlaceOrder Policy Position PriceBand
RateLimited ReduceOnly RiskCheck RiskRejected RiskView SelfTradePrevention Settings Side SlowHandler Source
StaleStream StatusChanged Stream StreamError StreamStatus Subscription Ticker TimeInForce TopicRefused Trade
TradingHalted TransportError Unavailable UnknownSymbol WouldCross WouldExceedLimit ZombieOrder __version__ available
enable_console_logging run
""".split()

# Imported by nobody who did not ask for it: the network, event loops, and what the extras bring.
HEAVY = """
asyncio celery cryptography django opentelemetry pandas prometheus_client python_socks redis requests rich shtab socks
ssl urllib3 websocket websockets
""".split()


def test_complete_and_sorted():
    assert list(exconnect.__all__) == PUBLIC
    assert set(PUBLIC) <= set(dir(exconnect))
    assert sorted(PUBLIC) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_documented(name):
    thing = getattr(exconnect, name)
    if inspect.isclass(thing):
        own = vars(thing).get("__doc__") or ""
        # A dataclass without a docstring is given its signature for one.
        assert own, f"{name} has no docstring"
        assert not own.startswith(f"{name}("), f"{name} has no docstring"
    elif inspect.isroutine(thing):
        assert inspect.getdoc(thing)


def test_a_stream_has_no_member_that_is_not_for_its_users():
    members = {name for name in dir(exconnect.Stream) if not name.startswith("_")}
    handlers = {name for name in members if name.startswith("on_")}
    life = {"start", "stop", "close", "wait", "wait_live", "off"}
    reading = {"book", "status", "name", "exchange", "symbols", "subscriptions", "metrics"}
    assert members == handlers | life | reading | {"complete_through", "health"}


def test_errors_are_one_tree():
    errors = [thing for name in PUBLIC if inspect.isclass(thing := getattr(exconnect, name))]
    strays = [
        e.__name__ for e in errors if issubclass(e, BaseException) and not issubclass(e, exconnect.ExconnectError)
    ]
    assert not strays


def test_version_is_the_one_of_the_package():
    assert exconnect.__version__ == importlib.metadata.version("exconnect")


def test_other_names_do_not_exist():
    with pytest.raises(AttributeError, match="Binance"):
        exconnect.Binance  # noqa: B018 - the access is the test


WATCHED = """
import json, sys, threading

events = []

def watch(event, args):
    if event == "open":
        path = str(args[0])
        # Python's own business: modules, and the metadata that holds the version.
        if not path.endswith((".py", ".pyc", ".so")) and ".dist-info" not in path:
            events.append(f"open {path}")
    elif event.startswith(("socket.", "subprocess.", "os.fork", "os.mkdir", "sqlite3.")) or "thread" in event:
        events.append(event)

sys.addaudithook(watch)
{statements}
print(json.dumps([events, threading.active_count(), sorted(sys.modules)]))
"""


def watched(statements: str) -> tuple[list[str], int, set[str]]:
    """What a fresh interpreter did and holds after `statements`: audit events, threads, modules."""
    script = WATCHED.replace("{statements}", textwrap.dedent(statements))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    output = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)
    events, threads, modules = json.loads(output.stdout)
    return events, threads, set(modules)


def test_the_watch_sees_what_it_should():
    events, threads, modules = watched("""
        import socket, requests
        open("/dev/null").close()
        socket.socket().close()
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    """)
    assert {"open /dev/null", "socket.__new__"} <= set(events)
    assert threads == 2
    assert "requests" in modules


@pytest.mark.parametrize(
    "statements",
    [
        "import exconnect",
        'import exconnect; exconnect.Client("binance")',
        'import exconnect; exconnect.Client("binance", credentials=exconnect.Credentials("key", "secret"))',
        'import exconnect; exconnect.Client("binance").stream("BTC/USDT").on_book(print)',
    ],
)
def test_importing_and_making_starts_nothing(statements):
    events, threads, modules = watched(statements)
    assert events == []
    assert threads == 1
    assert not modules.intersection(HEAVY)
