"""`exconnect demo`: the story, what is checked while it is told, and what one sees."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from exconnect import available
from exconnect.cli.demo.performance import Performance
from exconnect.cli.demo.telling import Telling
from exconnect.cli.demo.witness import Witness
from exconnect.environment import Environment
from exconnect.mock import LedgerBook
from exconnect.model.enums import Side, StreamStatus
from exconnect.model.events import StatusChanged
from exconnect.model.market import Book, Level, Trade
from exconnect.model.order import Fill

SYMBOLS = ["BTC/USDT", "ETH/USDT"]


@pytest.mark.network
def test_the_whole_story(process, ended):
    ran = ended(process("demo", "--seconds", "2", "--json"))
    assert ran.code == 0, ran.out + ran.err
    assert ran.err == ""
    assert len(ran.lines) == 1
    last = ran.last
    assert list(last) == ["ok", "seconds", "books", "trades", "orders", "reconnects", "violations", "consolidated"]
    assert last["ok"] is True
    assert last["seconds"] >= 2
    assert last["violations"] == 0
    assert last["reconnects"] >= len(available())
    assert last["trades"] > 0
    assert set(last["books"]) == {f"{exchange}:{symbol}" for exchange in available() for symbol in SYMBOLS}
    for book in last["books"].values():
        assert list(book) == ["bid", "ask", "updates"]
        assert Decimal(book["bid"]) < Decimal(book["ask"])
        assert book["updates"] > 1
    assert list(last["consolidated"]) == SYMBOLS
    for merged in last["consolidated"].values():
        assert merged["updates"] > 0
        assert merged["exchanges"] == sorted(available())


def test_a_private_connection_that_was_lost_is_said_to_be_back():
    telling = Telling(Environment())
    client = SimpleNamespace(exchange="x", stream=lambda *symbols: None)
    performance = Performance(None, client, 1.0, telling)
    for connection, status in [("private", "live"), ("private", "down"), ("public-1", "live"), ("private", "live")]:
        change = StatusChanged(
            exchange="x",
            time=datetime.now(UTC),
            connection=connection,
            old=StreamStatus.IDLE,
            status=StreamStatus(status),
            reason="so",
        )
        performance._tell_status(change)
    assert [said.text.split(maxsplit=1)[1] for said in telling.take()] == [
        "private is down (so); what it misses is told once it is back",
        "private is back",
    ]


@pytest.mark.network
def test_orders_of_the_story(run):
    last = run("demo", "--seconds", "1", "--seed", "3", "--json").last
    assert last["ok"] is True
    for exchange in available():
        limit, market = [order for order in last["orders"] if order["exchange"] == exchange]
        keys = ["exchange", "client_order_id", "symbol", "side", "type", "status"]
        assert list(limit) == list(market) == keys
        assert [limit[name] for name in keys[2:]] == ["BTC/USDT", "buy", "limit", "canceled"]
        assert [market[name] for name in keys[2:]] == ["ETH/USDT", "sell", "market", "filled"]
        assert limit["client_order_id"] != market["client_order_id"]


@pytest.mark.network
def test_the_story_in_lines(run):
    ran = run("demo", "--seconds", "2")
    assert ran.code == 0, ran.out
    assert "\x1b" not in ran.out
    assert "spread" in ran.out  # one picture of the book, whenever the first one comes
    told = [
        "is live", "limit buy 0.05 BTC/USDT", "amended to 0.03", "hangs up on the account's own stream",
        "market sell 0.5 ETH/USDT", "hangs up on the stream", "public-1 is down", "connected again", "canceled",
        "equals the exchange's own book", "every fill of its orders was told of", "all as it should be: 0 violations",
    ]  # fmt: skip
    places = [ran.out.index(text) for text in told]
    assert places == sorted(places)
    assert "private is down" in ran.out
    for exchange in available():
        assert re.search(rf"{exchange} +is live", ran.out)
        assert re.search(rf"{exchange} +limit buy 0.05 BTC/USDT", ran.out)
    for symbol in SYMBOLS:  # one book over all of them
        assert re.search(rf"together +{symbol}  \S+ on (binance|bybit) / \S+ on (binance|bybit), \d+ books of", ran.out)


def on_a_terminal(*words, **environ):
    """Exit code and what came to the terminal."""
    screen, theirs = pty.openpty()
    command = [sys.executable, "-m", "exconnect", *words]
    variables = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    variables |= {"TERM": "xterm", "COLUMNS": "100", "LINES": "30"} | environ
    running = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=variables)
    os.close(theirs)
    seen = b""
    while select.select([screen], [], [], 20)[0]:
        try:
            part = os.read(screen, 65_536)
        except OSError:  # the other end is closed
            break
        seen += part
    os.close(screen)
    return running.wait(20), seen.decode()


@pytest.mark.network
def test_the_story_on_a_terminal():
    code, seen = on_a_terminal("demo", "--seconds", "1")
    assert code == 0, seen
    assert "\x1b[32m" in seen
    frames = re.split(r"\x1b\[\d+F\x1b\[J", seen)
    assert len(frames) > 5
    assert any("█" in frame and "trades" in frame and "━" in frame for frame in frames)
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
    assert "all as it should be" in plain
    assert max(len(line.rstrip("\r")) for line in re.sub(r"\x1b\[[0-9;?]*m", "", frames[3]).split("\n")) <= 100


@pytest.mark.network
def test_nothing_of_the_header_is_lost_on_a_narrow_terminal():
    code, seen = on_a_terminal("demo", "--seconds", "1", COLUMNS="80", LINES="24")
    assert code == 0, seen
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
    headers = [line.rstrip() for line in plain.splitlines() if line.startswith("  exconnect demo")]
    assert any(line.endswith("s  binance live  bybit live") for line in headers)
    assert max(map(len, headers)) <= 80
    assert "  binance BTC/USDT" in plain
    assert re.search(r"all together  BTC/USDT  \S+ on b", plain)


@pytest.mark.network
def test_no_color():
    code, seen = on_a_terminal("demo", "--seconds", "1", NO_COLOR="1")
    assert code == 0
    assert not re.search(r"\x1b\[[0-9;]*m", seen)
    assert "█" in seen


@pytest.mark.network
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(process, ended, number):
    running = process("demo", "--seconds", "60")
    while "is live" not in running.stdout.readline():
        pass
    running.send_signal(number)
    ran = ended(running)
    assert ran.code == 130
    assert ran.err == "exconnect: interrupted\n"


@pytest.mark.network
def test_what_the_exchange_objects_to_makes_it_fail(run, monkeypatch):
    from exconnect.mock import Ledger

    monkeypatch.setattr(Ledger, "violations", property(lambda _: ["an order too many"]))
    ran = run("demo", "--seconds", "1", "--json")
    assert (ran.code, ran.last["ok"]) == (1, False)
    assert ran.last["violations"] == len(available())


@pytest.mark.network
def test_an_order_that_the_ledger_does_not_know_makes_it_fail(run, monkeypatch):
    from exconnect.mock import Ledger

    monkeypatch.setattr(Ledger, "order", lambda *_: None)
    ran = run("demo", "--seconds", "1")
    assert ran.code == 1
    assert "in the exchange's ledger" in ran.out
    assert "not as it should be" in ran.out


# ---- the witness


def book(sequence, bid="100", ask="101", **more):
    sides = {"bids": [Level(Decimal(bid), Decimal(1))], "asks": [Level(Decimal(ask), Decimal(2))]}
    return Book(exchange="x", symbol="A/B", sequence=sequence, **sides | more)


def trade(number):
    time = datetime(2026, 1, 1, tzinfo=UTC)
    return Trade(
        exchange="x", symbol="A/B", id=str(number), price=Decimal(1), quantity=Decimal(1), side=Side.BUY, time=time
    )


@pytest.fixture
def witness():
    return Witness(Environment())


def test_a_witness_is_content_with_what_is_right(witness):
    for sequence in (1, 2, 5):
        witness.on_book(book(sequence))
    for number in (7, 8, 11):
        witness.on_trade(trade(number))
    witness.check_steps(0)
    assert witness.violations == []
    assert (witness.updates["A/B"], witness.trades) == (3, 3)


@pytest.mark.parametrize(
    "wrong, text",
    [
        (book(1, bid="101"), "crossed"),
        (book(1, bid="102"), "crossed"),
        (book(1, bids=[]), "empty"),
        (book(1, asks=[]), "empty"),
        (book(1, is_valid=False), "not valid"),
    ],
)
def test_a_witness_sees_books_that_must_not_be(witness, wrong, text):
    witness.on_book(wrong)
    assert len(witness.violations) == 1
    assert text in witness.violations[0]


def fill(number, order_id="7"):
    money = {"price": Decimal(1), "quantity": Decimal(1)}
    return Fill(exchange="e", id=str(number), order_id=order_id, symbol="A/B", side=Side.BUY, **money)


def test_a_witness_knows_which_fills_have_come_and_which_came_twice(witness):
    truth = [SimpleNamespace(id=number, order_id=7) for number in (1, 2)]
    witness.on_fill(fill(1))
    assert not witness.has_fills(truth, 0.0)
    witness.on_fill(fill(2))
    witness.on_fill(fill(2, order_id="8"))  # the other side of a trade with oneself
    assert witness.has_fills(truth, 0.0)
    assert witness.violations == []
    witness.on_fill(fill(2))
    assert witness.violations == ["A/B: fill 2 of order 7 came twice"]


def test_a_witness_counts_steps_back(witness):
    for sequence in (5, 4, 6, 6, 7):
        witness.on_book(book(sequence))
    witness.check_steps(2)
    assert witness.violations == []
    witness.check_steps(1)
    assert witness.violations == ["A/B: the sequence went back 2 times, 1 losses explain"]


@pytest.mark.parametrize("numbers", [(7, 7), (7, 6)])
def test_a_witness_sees_trades_that_come_twice(witness, numbers):
    for number in numbers:
        witness.on_trade(trade(number))
    assert witness.violations == [f"A/B: trade {numbers[1]} after trade 7"]


def test_a_witness_compares_with_the_truth(witness):
    truth = LedgerBook([(Decimal(100), Decimal(1)), (Decimal(99), Decimal(1))], [(Decimal(101), Decimal(2))], 9)
    witness.on_book(book(9))
    assert witness.compare("A/B", truth, 0.1)
    assert witness.violations == []
    witness.on_book(book(10, ask="102"))
    assert not witness.compare("A/B", truth, 0.1)
    assert witness.violations == ["A/B #10: asks differ from the exchange's own"]


def test_a_witness_does_not_wait_for_ever(witness):
    witness.on_book(book(8))
    assert not witness.compare("A/B", LedgerBook([], [], 9), 0.01)
    assert witness.violations == ["A/B: stands at #8, the exchange at #9"]
