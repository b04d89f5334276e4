"""The published signatures against our verifiers, and every way in which a signed request may be wrong."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from exconnect.mock.binance.auth import payload
from exconnect.mock.binance.wsapi import payload as socket_payload
from exconnect.mock.http import Request
from exconnect.mock.keys import Ed25519Key, HmacKey

KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
ORDER = "side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
ROW_A = f"symbol=LTCBTC&{ORDER}"
ROW_B = f"symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&{ORDER}"
HALF, REST = (
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC",
    "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559",
)
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
ON_SOCKET = {
    "apiKey": KEY,
    "price": "52000.00",
    "quantity": "0.01000000",
    "recvWindow": 100,
    "side": "SELL",
    "symbol": "BTCUSDT",
    "timeInForce": "GTC",
    "timestamp": 1645423376532,
    "type": "LIMIT",
}


@pytest.mark.parametrize(
    "query, body, signature",
    [
        (ROW_A, "", "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
        (ROW_B, "", "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"),
        (HALF, REST, "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"),
    ],
)
def test_rest_hmac(query, body, signature):
    seam = f"&signature={signature}"
    for request in (
        Request("POST", "/", query + seam, {}, body),
        Request("POST", "/", query, {}, body + seam if body else f"signature={signature}"),
    ):
        signed = payload(request)
        assert signed == (query + body).encode()
        assert HmacKey(SECRET).verify(signed, signature)
        assert HmacKey(SECRET).verify(signed, signature.upper())
        assert not HmacKey(SECRET).verify(signed + b" ", signature)


@pytest.mark.parametrize(
    "params, signature",
    [
        (ON_SOCKET, "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"),
        (
            {
                **ON_SOCKET,
                "price": "0.10000000",
                "quantity": "1.00000000",
                "recvWindow": 5000,
                "side": "BUY",
                "symbol": "\uff11\uff12\uff13\uff14\uff15\uff16",
            },
            "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd",
        ),
        (
            {"apiKey": KEY, "timestamp": 1649729878532},
            "1cf54395b336b0a9727ef27d5d98987962bc47aca6e13fe978612d0adee066ed",
        ),
    ],
)
def test_socket_hmac(params, signature):
    shuffled = dict(reversed({**params, "signature": signature}.items()))
    assert HmacKey(SECRET).verify(socket_payload(shuffled), signature)


@pytest.mark.parametrize(
    "text, signature",
    [
        (ROW_A, "3fhuDZ9nYMviDQ5OEtJBJS11jUZDTRzRQ+TQMarm+LErFiJvUiVPQjTzDoWZQe4miPX+yHk1v/Z7TWLYjIbmCA=="),
        (ROW_B, "BfITFENBHoPvZ29suXBdmBQ+10LOoM4gQ7Fo/OgYC3szsEzecJJHTAwAcIDLwEEwNIUR1V1t71p/h9rKe07rCg=="),
    ],
)
def test_ed25519(text, signature):
    key = Ed25519Key.generate(SEED)
    assert key.verify(text.encode(), signature)
    assert not key.verify(text.encode() + b"0", signature)
    assert not key.verify(text.encode(), "not base64!")


def test_ed25519_on_a_socket():
    key = Ed25519Key.generate(SEED)
    signature = "/RNKbCSA6iS23rmPP+v/A6061Gd8Cq3H5fR1YlWyOYP0CZ6Oq/+spQodx1F1B63EIhUSP2QmDaMDAMBFCTI+CQ=="
    assert key.verify(socket_payload(ON_SOCKET), signature)
    logon = "763GJeFgG09B/06V/dq24cLu6f0R57whgDMyOCubDex4CTTElmDgPSIQqLdOsvW5TBxyaaFotVCI8tUmQMChAA=="
    assert key.verify(socket_payload({"apiKey": KEY, "timestamp": 1649729878532}), logon)


def account(core, query, key):
    response = core.request("GET", "/api/v3/account", query, {"x-mbx-apikey": key} if key else {})
    body = json.loads(response.body)
    return response.status, body.get("code"), body.get("msg")


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_private_key_signs(core, kind):
    name, key = core.exchange.keys.key(kind)
    private = load_pem_private_key(key.pem.encode(), None)
    text = f"timestamp={core.now}".encode()
    raw = private.sign(text) if isinstance(private, Ed25519PrivateKey) else private.sign(text, PKCS1v15(), SHA256())
    signature = base64.b64encode(raw).decode().replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    assert account(core, f"timestamp={core.now}&signature={signature}", name)[0] == 200
    assert account(core, f"timestamp={core.now + 1}&signature={signature}", name)[1] == -1022


def test_keys_follow_the_seed(make_core):
    assert make_core(seed=3).key == make_core(seed=3).key != make_core(seed=4).key


def test_key_and_signature_errors(core):
    good = f"timestamp={core.now}"
    assert account(core, good, "") == (401, -2014, "API-key format invalid.")
    assert account(core, good, "short") == (401, -2014, "API-key format invalid.")
    assert account(core, good, "x" * 64) == (401, -2015, "Invalid API-key, IP, or permissions for action.")
    missing = "Mandatory parameter '{}' was not sent, was empty/null, or malformed."
    assert account(core, good, core.key) == (400, -1102, missing.format("signature"))
    assert account(core, "signature=aa", core.key) == (400, -1102, missing.format("timestamp"))
    wrong = f"{good}&signature={'0' * 64}"
    assert account(core, wrong, core.key) == (400, -1022, "Signature for this request is not valid.")


@pytest.mark.parametrize(
    "shift, window, code",
    [
        (0, None, None),
        (999, None, None),
        (1000, None, -1021),
        (-5000, None, None),
        (-5001, None, -1021),
        (-60000, "60000", None),
        (-7, "6.346", -1021),
        (-6, "6.346", None),
        (0, "60000.001", -1131),
        (0, "5.0001", -1102),
        (0, "-1", -1102),
        (10001, None, -1130),
    ],
)
def test_timestamps(core, shift, window, code):
    params = {"timestamp": core.now + shift} | ({"recvWindow": window} if window else {})
    response = core.signed("GET", "/api/v3/account", **params)
    assert json.loads(response.body).get("code") == code


def test_both_texts_of_a_wrong_clock(core):
    late = json.loads(core.signed("GET", "/api/v3/account", timestamp=core.now - 6000).body)
    early = json.loads(core.signed("GET", "/api/v3/account", timestamp=core.now + 2000).body)
    assert late["msg"] == "Timestamp for this request is outside of the recvWindow."
    assert early["msg"] == "Timestamp for this request was 1000ms ahead of the server's time."


def test_microseconds(core):
    assert core.signed("GET", "/api/v3/account", timestamp=core.now * 1000).status == 200
    assert core.signed("GET", "/api/v3/account", timestamp=(core.now - 6000) * 1000).status == 400
