"""No key's secret and no signature in anything that a program or a person could keep."""

import copy
import logging
import pickle
import traceback

import pytest

from exconnect import Client, Credentials, ExconnectError, Settings

CANARY = "c4n4ry-5ecret-c4n4ry-5ecret-c4n4ry"


@pytest.fixture
def credentials(mock):
    return Credentials(mock.credentials().key, CANARY)


def failure(call):
    try:
        call()
    except ExconnectError as error:
        return error
    raise AssertionError("the signature is wrong: every call fails")


def outputs(error):
    yield str(error)
    yield repr(error)
    yield repr(error.details)
    yield repr(pickle.dumps(error))
    yield repr(copy.copy(error))
    yield "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def test_nothing_shows_the_secret(mock, credentials, caplog, capfd):
    caplog.set_level(1)
    logging.getLogger("urllib3").setLevel(1)
    client = Client("binance", environment=mock.url, credentials=credentials, timeout=0.4)
    shown = [repr(client), repr(client.settings), repr(client.settings.credentials), str(credentials)]
    calls = [
        client.fetch_balances,
        lambda: client.place_order("BTC/USDT", "buy", "0.01", price="59000"),
        lambda: client.fetch_open_orders(timeout=2),
        lambda: client.raw.get("/api/v3/account", signed=True),
    ]
    faults = [None, ("reset", {}), ("status", {"status": 503}), ("garbage", {}), ("redirect", {})]
    for fault in faults:
        for call in calls:
            mock.faults.clear()
            if fault is not None:
                mock.faults.add(fault[0], times=None, **fault[1])
            shown.extend(outputs(failure(call)))
    mock.faults.clear()
    shown.append(repr(client.metrics()))
    shown.append(repr(client.health()))
    client.close()
    shown.append(caplog.text)
    shown.extend(capfd.readouterr())
    signatures = {r.params["signature"] for r in mock.ledger.requests if "signature" in r.params}
    assert signatures
    for text in shown:
        assert CANARY not in text
        assert not any(signature in text for signature in signatures)
        assert "X-MBX-APIKEY" not in text
        assert credentials.key not in text


@pytest.mark.parametrize(
    "make",
    [
        lambda c: c,
        lambda c: Settings("binance", credentials=c),
        lambda c: Client("binance", environment="testnet", credentials=c),
    ],
)
def test_what_holds_a_literal_secret_is_not_pickled(make):
    with pytest.raises(TypeError, match="literal secret"):
        pickle.dumps(make(Credentials("key", CANARY)))


def test_a_client_with_references_travels(mock, monkeypatch):
    for name, value in mock.env().items():
        monkeypatch.setenv(name, value)
    client = Client("binance", timeout=7)
    again = pickle.loads(pickle.dumps(client))
    assert (again.exchange, again.environment, again.account, again.settings.timeout) == (
        client.exchange,
        client.environment,
        client.account,
        7,
    )
    with client, again:
        assert again.fetch_balances()["USDT"].free > 0
        with pytest.raises(TypeError):
            pickle.dumps(client.stream("BTC/USDT"))


def test_a_redirect_is_not_followed(mock, client):
    client.fetch_instrument("BTC/USDT")
    mock.faults.add("redirect", on="fetch_balances", times=None)
    before = len(mock.ledger.requests)
    with pytest.raises(ExconnectError):
        client.fetch_balances(timeout=1)
    assert all(r.operation in {"fetch_balances", "fetch_time"} for r in mock.ledger.requests[before:])
