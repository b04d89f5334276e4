"""Exit codes, JSON, pipes, and faults of our own."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from exconnect import errors
from exconnect.cli import main
from exconnect.cli.output import as_json, exit_code, shown
from exconnect.model.enums import Side

CODES = {
    2: "ConfigurationError NotSupported InvalidArgument UnknownSymbol InvalidOrder InvalidType",
    3: "TransportError CircuitOpen WouldExceedLimit RateLimited Banned Unavailable "
    "StreamError BookNotReady ForkedStream StaleStream",
    4: "OutcomeUnknown",
    1: "ExconnectError RiskRejected TradingHalted IntentConflict JournalUnavailable ClientClosed ExchangeError "
    "AuthenticationError PermissionDenied ClockSkew OrderRejected InsufficientFunds WouldCross DuplicateOrder "
    "OrderNotFound AmendRefused MalformedMessage",
}


def every_error() -> set[str]:
    kinds = [errors.ExconnectError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return {kind.__name__ for kind in kinds if kind.__module__ == "exconnect.errors"}


@pytest.mark.parametrize("code, names", CODES.items())
def test_exit_codes(code, names):
    for name in names.split():
        assert exit_code(getattr(errors, name)()) == code, name


def test_every_error_has_one():
    assert every_error() == {name for names in CODES.values() for name in names.split()}


def test_money_is_text_and_time_is_iso():
    value = {"money": Decimal("1E-8"), "time": datetime(2026, 1, 2, 3, 4, 5, 6000, tzinfo=UTC), "side": Side.BUY}
    assert json.loads(as_json(value)) == {
        "money": "0.00000001",
        "time": "2026-01-02T03:04:05.006000+00:00",
        "side": "buy",
    }


def test_nothing_else_is_shown():
    with pytest.raises(TypeError):
        as_json({"object": object()})


@pytest.mark.parametrize(
    "value, text",
    [
        (None, "–"),
        (Decimal("60000.00000000"), "60000"),
        (Decimal("0.00000"), "0"),
        (Decimal("1E-8"), "0.00000001"),
        (Decimal("1E+3"), "1000"),
        (datetime(2026, 1, 2, 3, 4, 5, 6789, tzinfo=UTC), "2026-01-02 03:04:05.006+00:00"),
        ("word", "word"),
    ],
)
def test_fields_as_people_read_them(value, text):
    assert shown(value) == text


def test_a_fault_of_ours_is_a_failure_too(run, monkeypatch):
    monkeypatch.setattr("exconnect.cli.journal.resume", lambda *_: 1 / 0)
    ran = run("resume", "--json")
    assert "ZeroDivisionError" in ran.failed("internal_error", 1)["message"]
    assert "Traceback" in ran.err


@pytest.mark.parametrize("kind, code", [(errors.OutcomeUnknown, 4), (errors.InsufficientFunds, 1), (errors.Banned, 3)])
def test_what_an_error_carries_is_in_the_last_line(run, monkeypatch, kind, code):
    def fail(*_):
        raise kind("so it was", {"code": -1003})

    monkeypatch.setattr("exconnect.cli.journal.resume", fail)
    error = run("resume", "--json").failed(kind().kind, code)
    assert error == {"kind": kind().kind, "message": "so it was", "outcome": kind.outcome, "code": -1003}


def test_an_interrupt_is_130(run, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("exconnect.cli.journal.resume", interrupt)
    assert run("resume", "--json").failed("interrupted", 130)["outcome"] == "not_sent"


def test_signal_handlers_are_put_back(run):
    import signal

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run("resume")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_it_runs_in_any_thread(capsys):
    import threading

    codes = []
    thread = threading.Thread(target=lambda: codes.append(main(["resume", "--json"])))
    thread.start()
    thread.join(20)
    assert codes == [2]


@pytest.mark.network
def test_a_reader_that_has_left_is_no_reason_for_noise(process, ended):
    symbols = process("symbols", "--environment", "mock")
    symbols.stdout.close()
    symbols.stdout = None
    ran = ended(symbols, "-")
    assert (ran.code, ran.err) == (1, "")


@pytest.mark.network
def test_a_terminal_without_unicode(process, ended):
    ran = ended(process("book", "BTC/USDT", "--environment", "mock", "--depth", "2", PYTHONIOENCODING="ascii"))
    assert ran.code == 0, ran.err
    assert "BTC/USDT" in ran.out
