"""`journal`, `halt` and `resume`: on the journal that a program left behind."""

import re
import sqlite3
import subprocess
import sys

import pytest

from exconnect import Client, OutcomeUnknown, TradingHalted
from exconnect.environment import Environment

pytestmark = pytest.mark.network


@pytest.fixture
def account(mock, monkeypatch):
    for name, value in mock.env().items():
        monkeypatch.setenv(name, value)
    return mock


@pytest.fixture
def client(account):
    with Client("binance") as made:
        yield made


def test_show(run, client):
    order = client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    client.cancel_order(order)
    shown = run("journal", "show", "--json").last["orders"]
    assert [(row["client_order_id"], row["status"], row["quantity"]) for row in shown] == [
        (order.client_order_id, "canceled", "0.01000000")
    ]
    text = run("journal", "show").out
    assert order.client_order_id in text
    assert text.startswith(f"{client.journal}: 1 order\n")
    assert run("journal", "show", "--file", str(client.journal), "--json").last["orders"] == shown


def test_show_has_the_keys_with_which_orders_were_placed(run, client):
    client.place_order("BTC/USDT", "buy", "0.01", price="59000", idempotency_key="invoice-17")
    client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    assert [row["idempotency_key"] for row in run("journal", "show", "--json").last["orders"]] == ["invoice-17", None]
    assert "invoice-17" in run("journal", "show").out


def test_what_a_killed_process_was_sending_is_not_shown_as_on_its_way(run, account):
    hang = account.faults.add("hang", on="place_order", at="before_accept", seconds=30)
    script = """
from exconnect import Client
Client("binance").place_order("BTC/USDT", "buy", "0.01", price="59000", client_order_id="lost")
"""
    process = subprocess.Popen([sys.executable, "-c", script])
    assert hang.wait(30)
    assert [row["status"] for row in run("journal", "show", "--json").last["orders"]] == ["pending_new"]
    process.kill()
    process.wait()
    assert [row["status"] for row in run("journal", "show", "--json").last["orders"]] == ["unknown"]


def test_before_the_first_order(run, account):
    assert run("journal", "show", "--json").last == {"orders": []}
    assert run("journal", "verify", "--json").last == {"ok": True, "intents": 0, "problems": []}
    for action in ("show", "verify"):
        assert run("journal", action).out.startswith(f"no journal at {account.state_dir}")
    assert list(account.state_dir.glob("*.journal")) == []


def test_verify(run, client):
    client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    assert run("journal", "verify", "--json").last == {"ok": True, "intents": 1, "problems": []}
    db = sqlite3.connect(client.journal, isolation_level=None)
    db.execute("UPDATE intent SET snapshot = 'x'")
    db.close()
    ran = run("journal", "verify", "--json")
    assert ran.code == 1
    assert len(ran.last["problems"]) == 1


def test_reconcile(run, client, account):
    client.fetch_instrument("BTC/USDT")
    account.faults.add("reset", on="place_order", at="before_accept")
    with pytest.raises(OutcomeUnknown):
        client.place_order("BTC/USDT", "buy", "0.01", price="59000", client_order_id="mine", timeout=2)
    ran = run("journal", "reconcile", "--timeout", "1", "--json")
    assert (ran.code, ran.last) == (4, {"ok": False, "resolved": 0, "unknown": ["mine"]})
    account.faults.add("reset", on="place_order", at="after_accept")
    account.faults.add("status", on="fetch_order", status=503, times=None)
    with pytest.raises(OutcomeUnknown):
        client.place_order("BTC/USDT", "buy", "0.01", price="59000", client_order_id="yours", timeout=2)
    account.faults.clear()
    ran = run("journal", "reconcile", "--timeout", "6", "--json")
    assert ran.last["unknown"] == ["mine"]
    assert client.orders.wait("yours", until="accepted", timeout=30).is_open


def test_reconcile_waits_long_enough_to_know_that_an_order_never_arrived(run, client, account, monkeypatch):
    monkeypatch.setattr(Environment, "caution", 1 / 60)
    client.fetch_instrument("BTC/USDT")
    account.faults.add("reset", on="place_order", at="before_accept")
    with pytest.raises(OutcomeUnknown):
        client.place_order("BTC/USDT", "buy", "0.01", price="59000", client_order_id="mine", timeout=2)
    client.close()
    ran = run("journal", "reconcile", "--json")
    assert (ran.code, ran.last) == (0, {"ok": True, "resolved": 1, "unknown": []})
    assert run("journal", "show", "--json").last["orders"][0]["status"] == "not_accepted"


def test_a_file_does_not_tell_whose_orders_the_exchange_shall_be_asked_for(run, client, monkeypatch):
    client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    for half in ("API_KEY", "API_SECRET"):
        monkeypatch.delenv(f"EXCONNECT_BINANCE_{half}")
    error = run("journal", "reconcile", "--file", str(client.journal), "--json").failed("configuration_error", 2)
    assert error["message"].endswith("; the file alone is not enough, for the exchange is asked")


def test_halt_and_resume_for_people(run, client):
    assert re.fullmatch(r"halted since [-0-9]+ [:0-9]+ UTC\n", run("halt").out)
    assert re.fullmatch(r"halted since [-0-9]+ [:0-9]+ UTC: lunch\n", run("halt", "--reason", "lunch").out)
    assert run("resume").out == "trading goes on\n"


def test_halt_and_resume(run, client):
    halted = run("halt", "--reason", "lunch", "--json").last
    assert (halted["halted"], halted["reason"]) == (True, "lunch")
    with pytest.raises(TradingHalted, match="lunch"):
        client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    assert run("resume", "--json").last == {"halted": False, "since": None, "reason": None}
    assert client.place_order("BTC/USDT", "buy", "0.01", price="59000").is_open


def test_a_halt_that_is_none_says_so(run, client, monkeypatch):
    monkeypatch.setattr("exconnect.trading.journal._HALTING_S", 0.0)
    client.place_order("BTC/USDT", "buy", "0.01", price="59000")
    client.close()
    other = sqlite3.connect(client.journal, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for command, says in (("halt", "NOT halted"), ("resume", "NOT resumed")):
        error = run(command, "--json").failed("journal_unavailable", 1)
        assert error["message"].startswith(says)
        assert error["message"].endswith(": try again")
    other.execute("ROLLBACK")
    other.close()
    assert run("halt", "--json").last["halted"]


def test_what_is_no_journal_is_no_news_of_places_and_cancels(run, tmp_path):
    (tmp_path / "junk").write_bytes(b"junk" * 5_000)
    for action in ("show", "verify"):
        said = run("journal", action, "--file", str(tmp_path / "junk"), "--json").failed("journal_unavailable", 1)
        assert said["message"].endswith("(file is not a database)")


def test_a_file_that_is_not_there(run):
    failure = run("journal", "show", "--file", "nowhere", "--json").failed("configuration_error", 2)
    assert failure["message"] == "--file: no journal at nowhere"
