"""No key, secret, signature or signed query in a log, message, repr, traceback with locals, or pickle."""

from __future__ import annotations

import logging
import pickle
import traceback

import pytest

from exconnect.errors import ExconnectError

FAULTS = {
    "reset": "reset",
    "redirect": (307, "", {"Location": "http://127.0.0.1:1/x"}),
    "503": (503, "<html>"),
    "garbage": (200, "{"),
    "refused": (400, {"code": -5}),
    "clock": (400, {"code": -1}),
    "limit": (429, {"code": -2}, {"Retry-After": "60"}),
    "key": (400, {"code": -3}),
}


@pytest.fixture(autouse=True)
def everything_is_logged(caplog):
    caplog.set_level(logging.NOTSET)


def shown(error):
    """The traceback with locals and causes, without the frame of the test, which knows the secrets."""
    below = error.__traceback__.tb_next
    return "".join(traceback.TracebackException(type(error), error, below, capture_locals=True).format())


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["place", "cancel", "query"])
def test_failures(gateway, server, request, caplog, canaries, kind, fault):
    server.tell(f"/{kind}", *[FAULTS[fault]] * 500)
    with pytest.raises(ExconnectError) as caught:
        gateway.execute(request.getfixturevalue(kind), 12.0)
    error = caught.value
    signatures = {params["signature"] for params in server.seen(f"/{kind}")}
    assert signatures
    everything = caplog.text + shown(error) + repr(error) + repr(vars(gateway)) + repr(pickle.dumps(error))
    everything += repr([record.__dict__ for record in caplog.records])
    for canary in (*canaries, *signatures, "signature="):
        assert canary not in everything
    copy = pickle.loads(pickle.dumps(error))
    assert copy.args == error.args


@pytest.mark.parametrize("when", ["sending", "signing"])
def test_an_interruption(gateway, server, place, canaries, when, monkeypatch):
    from exconnect.transport import connections

    gateway.execute(place, 12.0)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if when == "sending":
            patch.setattr(connections.http.client.HTTPConnection, "getresponse", interrupted)
        else:
            patch.setattr("hmac.HMAC.copy", interrupted)
        with pytest.raises(KeyboardInterrupt) as caught:
            gateway.execute(place, 12.0)
    everything = shown(caught.value)
    for canary in (*canaries, "signature="):
        assert canary not in everything


def test_a_success(gateway, server, place, caplog, canaries):
    gateway.execute(place, 12.0)
    for canary in (*canaries, "signature=", server.seen("/place")[0]["signature"]):
        assert canary not in caplog.text
    assert "place BTC/USDT: HTTP 200" in caplog.text
