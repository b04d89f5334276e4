"""`time`, `symbols`, `ticker`, `book` against a real mock exchange."""

import json
import re
import signal
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

pytestmark = pytest.mark.network


def test_time(on, mock):
    mock.clock_offset = 5
    ran = on("time")
    assert ran.code == 0
    assert list(ran.last) == ["exchange", "time", "offset_ms", "error_ms", "round_trip_ms"]
    assert ran.last["exchange"] == "binance"
    assert abs(ran.last["offset_ms"] - 5000) <= ran.last["error_ms"] + 1
    assert 0 < ran.last["round_trip_ms"] < 2 * ran.last["error_ms"]
    ahead = datetime.fromisoformat(ran.last["time"]) - datetime.now(UTC)
    assert timedelta(seconds=-15) < ahead < timedelta(seconds=6)


def test_time_for_people(run, mock):
    ran = run("time", "--environment", mock.url)
    assert ran.code == 0
    assert "give or take" in ran.out
    mock.clock_offset = -60.0
    assert re.search(r"\n\d+\.\d ms behind this machine", run("time", "--environment", mock.url).out)
    assert not ran.out.startswith("{")


def test_symbols(on):
    assert on("symbols").last == {
        "symbols": [
            {
                "symbol": "BTC/USDT",
                "status": "trading",
                "tick_size": "0.01000000",
                "lot_size": "0.00001000",
                "min_notional": "5.00000000",
            },
            {
                "symbol": "ETH/USDT",
                "status": "trading",
                "tick_size": "0.01000000",
                "lot_size": "0.00010000",
                "min_notional": "5.00000000",
            },
        ]
    }


def test_symbols_for_people(run, mock):
    lines = run("symbols", "--environment", mock.url).lines
    assert lines[0].split() == ["symbol", "status", "tick", "size", "lot", "size", "min", "notional"]
    assert lines[1].split() == ["BTC/USDT", "trading", "0.01", "0.00001", "5"]
    assert len({line.index("trading") for line in lines[1:]}) == 1


def test_ticker(on):
    ran = on("ticker", "BTC/USDT")
    assert ran.code == 0
    assert list(ran.last) == ["exchange", "symbol", "time", "bid", "ask", "last", "volume"]
    assert (Decimal(ran.last["bid"]), Decimal(ran.last["ask"])) == (59994, 60006)
    assert isinstance(ran.last["volume"], str)
    assert datetime.fromisoformat(ran.last["time"]).utcoffset() == timedelta(0)


def test_ticker_for_people(run, mock):
    lines = run("ticker", "ETH/USDT", "--environment", mock.url).lines
    assert dict(line.split(maxsplit=1) for line in lines) | {"bid": "2999.7", "ask": "3000.3"} == dict(
        line.split(maxsplit=1) for line in lines
    )


def test_book(on, mock):
    last = on("book", "BTC/USDT", "--depth", "3").last
    truth = mock.ledger.book("BTC/USDT")
    assert list(last) == ["exchange", "symbol", "sequence", "bids", "asks"]
    assert last["sequence"] == truth.sequence
    for side in ("bids", "asks"):
        assert all(isinstance(text, str) for level in last[side] for text in level)
        assert [tuple(map(Decimal, level)) for level in last[side]] == getattr(truth, side)[:3]


def test_book_for_people(run, mock):
    lines = run("book", "BTC/USDT", "--depth", "3", "--environment", mock.url).lines
    assert lines[0] == "binance BTC/USDT"
    assert len(lines) == 1 + 3 + 1 + 3
    assert lines[1].split()[:2] == ["60018", "1"]
    assert "spread 12" in lines[4]


@pytest.mark.parametrize("command", ["ticker", "book"])
def test_a_wrong_symbol_is_2_with_a_suggestion(on, command):
    assert "BTC/USDT" in on(command, "BTCUSDT").failed("unknown_symbol", 2)["message"]


def test_a_depth_that_no_book_has_is_2(on):
    on("book", "BTC/USDT", "--depth", "0").failed("invalid_argument", 2)
    on("book", "BTC/USDT", "--depth", "0", "--watch").failed("invalid_argument", 2)


def test_watching_a_wrong_symbol_is_2(on):
    on("book", "NO/SUCH", "--watch").failed("unknown_symbol", 2)


def test_no_exchange_there_is_3(run):
    error = run("ticker", "BTC/USDT", "--environment", "http://127.0.0.1:1", "--timeout", "2", "--json").failed(
        "transport_error", 3
    )
    assert error["outcome"] == "not_sent"


@pytest.mark.parametrize(
    "status, code, kind, exit_code",
    [
        (503, -1001, "unavailable", 3),
        (429, -1003, "rate_limited", 3),
        (418, -1003, "banned", 3),
        (401, -2015, "permission_denied", 1),
    ],
)
def test_what_the_exchange_says_becomes_an_exit_code(on, mock, status, code, kind, exit_code):
    mock.faults.add("status", on="fetch_ticker", times=None, status=status, code=code, retry_after=60)
    error = on("ticker", "BTC/USDT", "--timeout", "30").failed(kind, exit_code)
    assert error["code"] == code


def read(process, count):
    return [json.loads(process.stdout.readline()) for _ in range(count)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watching_until_a_signal(process, ended, mock, number):
    mock.activity = 50
    watching = process("book", "BTC/USDT", "--watch", "--depth", "5", "--environment", mock.url, "--json")
    books = read(watching, 5)
    watching.send_signal(number)
    ran = ended(watching)
    assert (ran.code, ran.err) == (130, "")
    books += map(json.loads, ran.lines)
    assert {tuple(book) for book in books} == {("exchange", "symbol", "sequence", "bids", "asks")}
    sequences = [book["sequence"] for book in books]
    assert sequences == sorted(set(sequences))
    assert all(len(book["bids"]) == 5 and Decimal(book["bids"][0][0]) < Decimal(book["asks"][0][0]) for book in books)


def test_watching_shows_what_happens(process, ended, mock):
    watching = process("book", "BTC/USDT", "--watch", "--environment", mock.url, "--json")
    read(watching, 1)
    mock.execute("BTC/USDT", "buy", "1")
    assert Decimal(read(watching, 1)[0]["asks"][0][0]) == 60012
    mock.faults.add("disconnect", on="public")
    read(watching, 1)  # the new connection's first book
    told = []
    while not told or told[-1] != "exconnect: public-1 is back\n":
        told.append(watching.stderr.readline())
        assert told[-1], told
    watching.send_signal(signal.SIGINT)
    assert ended(watching).err == ""
    assert told[0].startswith("exconnect: public-1 is down: ")
    assert len(told) == len(set(told))


def test_watching_for_people(process, ended, mock):
    mock.activity = 50
    watching = process("book", "BTC/USDT", "--watch", "--environment", mock.url)
    lines = [watching.stdout.readline() for _ in range(3)]
    watching.send_signal(signal.SIGINT)
    assert ended(watching).code == 130
    assert all("BTC/USDT" in line and " | " in line and "#" in line for line in lines)


def test_watching_ends_when_nobody_reads(process, ended, mock):
    mock.activity = 50
    watching = process("book", "BTC/USDT", "--watch", "--environment", mock.url, "--json")
    read(watching, 1)
    watching.stdout.close()
    watching.stdout = None
    ran = ended(watching, "-")
    assert (ran.code, ran.err) == (0, "")


def test_no_book_in_time_is_3(on, mock):
    mock.faults.add("refuse", on="public", seconds=60)
    ran = on("book", "BTC/USDT", "--watch", "--timeout", "1")
    ran.failed("book_not_ready", 3)
