"""`exconnect mock`: ready, used by other processes, stopped by a signal."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from exconnect import Client, TransportError, Unavailable
from exconnect.cli.mock import fault_of
from exconnect.errors import InvalidArgument

pytestmark = pytest.mark.network

KEYS = ["exchange", "url", "rest_url", "stream_url", "private_url", "state_dir", "env"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_from_ready_to_the_end(process, ended, number, monkeypatch):
    serving = process("mock", "--seed", "3", "--activity", "0", "--json")
    ready = json.loads(serving.stdout.readline())
    assert list(ready) == KEYS
    assert ready["url"] == f"{ready['rest_url']} {ready['stream_url']} {ready['private_url']}"
    for name, value in ready["env"].items():
        monkeypatch.setenv(name, value)
    assert Path(ready["state_dir"]).is_dir()
    with Client("binance") as client:
        order = client.place_order("BTC/USDT", "buy", "0.01", price="59000")
        client.place_order("ETH/USDT", "sell", "0.5", type="market")
    serving.send_signal(number)
    ran = ended(serving)
    assert (ran.code, ran.err) == (0, "")
    assert list(ran.last) == ["requests", "orders", "violations"]
    assert ran.last["requests"] >= 3
    assert ran.last["violations"] == []
    first, second = ran.last["orders"]
    assert first == {
        "client_order_id": order.client_order_id,
        "symbol": "BTC/USDT",
        "side": "buy",
        "type": "limit",
        "quantity": "0.01",
        "filled_quantity": "0",
        "status": "new",
    }
    assert (second["type"], second["status"], second["filled_quantity"]) == ("market", "filled", "0.5")
    assert not Path(ready["state_dir"]).exists()


def test_what_a_person_needs_is_on_stderr(process, ended):
    serving = process("mock", "--activity", "0")
    ready = json.loads(serving.stdout.readline())
    serving.send_signal(signal.SIGINT)
    ran = ended(serving)
    assert ran.last["orders"] == []
    for name, value in ready["env"].items():
        assert f"export {name}='{value}'" in ran.err
    assert "exconnect book BTC/USDT --watch --exchange binance" in ran.err


def test_a_signal_that_was_ignored_when_it_began(process, ended, monkeypatch):
    # What a shell does to commands in the background.
    monkeypatch.setattr("subprocess.Popen.__init__", ignoring(os, signal, __import__("subprocess").Popen.__init__))
    serving = process("mock", "--json")
    serving.stdout.readline()
    serving.send_signal(signal.SIGINT)
    assert ended(serving).code == 0


def ignoring(os_module, signals, start):
    def begin(self, *args, **options):
        before = signals.signal(signals.SIGINT, signals.SIG_IGN)
        try:
            start(self, *args, **options, restore_signals=False)
        finally:
            signals.signal(signals.SIGINT, before)

    return begin


def test_faults_from_the_command_line(process, ended):
    serving = process(
        "mock", "--activity", "0", "--json", "--fault", "status,on=fetch_ticker,status=503,times=none",
        "--fault", "reset,on=fetch_time,after=1,times=1,at=before_accept",
    )  # fmt: skip
    ready = json.loads(serving.stdout.readline())
    with Client("binance", environment=ready["url"]) as client:
        with pytest.raises(Unavailable):
            client.fetch_ticker("BTC/USDT", timeout=30)
        client.fetch_time()
    serving.send_signal(signal.SIGTERM)
    assert ended(serving).last["violations"] == []


def test_the_port_and_the_clock(process, ended):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serving = process("mock", "--port", str(port), "--clock-offset", "3600", "--json")
    assert json.loads(serving.stdout.readline())["rest_url"] == f"http://127.0.0.1:{port}"
    time = process("time", "--environment", f"http://127.0.0.1:{port}", "--json")
    assert ended(time).last["offset_ms"] == pytest.approx(3_600_000, abs=5_000)
    serving.send_signal(signal.SIGINT)
    assert ended(serving).code == 0


def test_a_port_that_is_taken_is_2(process, ended, mock):
    port = mock.rest_url.rpartition(":")[2]
    error = ended(process("mock", "--port", port, "--json")).failed("configuration_error", 2)
    assert port in error["message"]


def test_a_port_that_does_not_exist_is_2(process, ended):
    ended(process("mock", "--port", "70000", "--json")).failed("configuration_error", 2)


def test_an_exchange_that_has_no_mock_is_2(run):
    run("mock", "--exchange", "kraken", "--json").failed("configuration_error", 2)


def test_faults_as_text():
    assert fault_of("reset") == ("reset", {})
    text = "status,on=place_order,at=before_accept,after=1,times=3,seconds=0.5,count=2,status=418,code=-1003"
    assert fault_of(f"{text},retry_after=1.5,symbol=BTC/USDT") == (
        "status",
        {
            "on": "place_order",
            "at": "before_accept",
            "after": 1,
            "times": 3,
            "seconds": 0.5,
            "count": 2,
            "status": 418,
            "code": -1003,
            "retry_after": 1.5,
            "symbol": "BTC/USDT",
        },
    )
    assert fault_of("delay,times=none") == ("delay", {"times": None})


@pytest.mark.parametrize(
    "text", ["reset,often=3", "reset,times=many", "reset,after=none", "delay,seconds=", "reset,on"]
)
def test_faults_that_make_no_sense(text):
    with pytest.raises(InvalidArgument, match="--fault"):
        fault_of(text)


@pytest.mark.parametrize("text", ["explode", "reset,at=noon", "gap,on=place_order"])
def test_faults_that_the_mock_does_not_have(run, text):
    run("mock", "--fault", text, "--json").failed("invalid_argument", 2)


def test_nothing_is_left_behind(process, ended):
    serving = process("mock", "--json")
    ready = json.loads(serving.stdout.readline())
    serving.send_signal(signal.SIGTERM)
    assert ended(serving).code == 0
    with Client("binance", environment=ready["url"]) as client, pytest.raises(TransportError):
        client.fetch_time(timeout=1)
