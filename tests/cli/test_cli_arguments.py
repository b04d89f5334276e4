"""What can be typed, and what happens when it is typed wrong."""

import pytest

from exconnect.cli import COMMANDS, arguments
from exconnect.errors import InvalidArgument


@pytest.mark.parametrize(
    "words",
    [
        ["--exchange", "x", "--environment", "mock", "--timeout", "3", "--json", "ticker", "BTC/USDT"],
        ["ticker", "--exchange", "x", "--environment", "mock", "--timeout", "3", "--json", "BTC/USDT"],
        ["ticker", "BTC/USDT", "--exchange", "x", "--environment", "mock", "--timeout", "3", "--json"],
        ["--exchange", "x", "--json", "ticker", "BTC/USDT", "--environment", "mock", "--timeout", "3"],
        [
            *["--exchange", "y", "--timeout", "9", "--environment", "mock"],
            *["ticker", "BTC/USDT", "--json", "--exchange", "x", "--timeout", "3"],
        ],
    ],
)
def test_common_options_stand_before_and_behind_the_command(words):
    given = arguments.parse(words)
    assert (given.exchange, given.environment, given.timeout, given.json) == ("x", "mock", 3.0, True)
    assert (given.command, given.symbol) == ("ticker", "BTC/USDT")


def test_common_options_of_a_command_in_a_command():
    given = arguments.parse(
        ["--json", "history", "--timeout", "3", "candles", "BTC/USDT", "--out", "x", "--exchange", "y"]
    )
    assert (given.json, given.timeout, given.exchange, given.environment) == (True, 3.0, "y", None)


def test_defaults():
    given = arguments.parse(["book", "BTC/USDT"])
    assert (given.exchange, given.environment, given.timeout, given.json) == ("binance", None, None, False)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nothing"],
        ["ticker"],
        ["ticker", "A/B", "C/D"],
        ["book", "A/B", "--depth", "many"],
        ["time", "--timeout", "soon"],
        ["time", "--jso"],
        ["history"],
        ["history", "trades"],
        ["history", "candles", "A/B"],
        ["journal"],
        ["journal", "burn"],
        ["demo", "--seconds", "0"],
        ["demo", "--seconds", "nan"],
        ["mock", "--fault", "nothing"],
    ],
)
def test_usage_is_2_and_json_says_so(run, words):
    error = run(*words, "--json").failed("invalid_argument", 2)
    assert error["outcome"] == "not_sent"
    assert error["code"] is None


def test_usage_is_on_stderr(run):
    ran = run("ticker")
    assert (ran.code, ran.out) == (2, "")
    assert "usage: exconnect ticker" in ran.err
    assert "SYMBOL" in ran.err


@pytest.mark.parametrize(
    "words, says",
    [
        ([], "which command? one of demo, mock, doctor, time, symbols, ticker, book, history, journal, halt, resume"),
        (["history"], "which kind? one of candles"),
        (["journal"], "which action? one of show, verify, reconcile"),
    ],
)
def test_what_is_missing_is_named(run, words, says):
    assert run(*words, "--json").failed("invalid_argument", 2)["message"] == says


def test_help_names_every_command_and_every_exit_code(run):
    ran = run("--help")
    assert ran.code == 0
    words = ran.out.split()
    assert set(COMMANDS) <= set(words)
    assert {"0", "1", "2", "3", "4", "130"} <= set(words)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_a_help(run, command):
    ran = run(command, "--help")
    assert ran.code == 0
    assert "--json" in ran.out


def test_version(run):
    from importlib.metadata import version

    ran = run("--version")
    assert (ran.code, ran.out) == (0, f"exconnect {version('exconnect')}\n")


@pytest.mark.parametrize("words", [["journal", "show"], ["journal", "reconcile"], ["halt"], ["resume"]])
def test_what_concerns_an_account_needs_one(run, words):
    error = run(*words, "--json").failed("configuration_error", 2)
    assert "EXCONNECT_BINANCE_API_KEY" in error["message"]


@pytest.mark.parametrize("words", [["stream"], ["balance"], ["config", "show"], ["completion", "bash"]])
def test_what_comes_later_says_so(run, words):
    run(*words, "--json").failed("not_supported", 2)


@pytest.mark.parametrize(
    "words",
    [
        ["time", "--exchange", "kraken"],
        ["demo", "--exchange", "binance", "--timeout", "0"],
        ["time", "--environment", "nowhere"],
        ["time", "--environment", "http://example.invalid"],
        ["time", "--timeout", "-1"],
        ["time", "--environment", "mock", "--exchange", "kraken"],
        ["history", "candles", "BTC/USDT", "--out", "x.txt"],
    ],
)
def test_configuration_is_2(run, words):
    run(*words, "--json").failed("configuration_error", 2)


def test_a_log_level_that_does_not_exist(run, monkeypatch):
    monkeypatch.setenv("EXCONNECT_LOG", "loud")
    assert "DEBUG" in run("resume", "--json").failed("configuration_error", 2)["message"]


@pytest.mark.network
def test_the_log_is_on_stderr(process, ended):
    ran = ended(process("time", "--environment", "mock", "--json", EXCONNECT_LOG="debug"))
    assert "DEBUG exconnect.rest" in ran.err
    assert len(ran.lines) == 1
    assert ran.last["exchange"] == "binance"


def test_parse_raises_what_the_rest_of_the_house_raises():
    with pytest.raises(InvalidArgument):
        arguments.parse(["book"])


@pytest.mark.parametrize(
    "words, message",
    [
        (["bok", "BTC/USDT"], "'bok': did you mean book?"),
        (["journal", "shwo"], "'shwo': did you mean show?"),
        (["history", "Candels"], "'Candels': did you mean candles?"),
        (
            ["xyzzy"],
            "'xyzzy' is none of demo, mock, doctor, time, symbols, ticker, book, history, journal, halt, resume",
        ),
    ],
)
def test_what_was_meant(words, message):
    with pytest.raises(InvalidArgument) as caught:
        arguments.parse(words)
    assert caught.value.message == message
