"""Known answers: the exchange's published samples, and Ed25519 signatures of RFC 8032's first test key."""

from __future__ import annotations

import base64
from urllib.parse import parse_qsl

import pytest

from exconnect.credentials import Credentials
from exconnect.exchanges.binance import auth
from exconnect.protocol.call import Request
from exconnect.protocol.signing import signer

KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
HMAC = signer(Credentials(KEY, SECRET))
ED25519_PEM = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
"""

ORDER = (
    ("symbol", "LTCBTC"),
    ("side", "BUY"),
    ("type", "LIMIT"),
    ("timeInForce", "GTC"),
    ("quantity", "1"),
    ("price", "0.1"),
)
UNICODE = (("symbol", "\uff11\uff12\uff13\uff14\uff15\uff16"), *ORDER[1:])
AT = 1499827319559
ROW_A = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
ENCODED = "%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96"
ROW_B = ROW_A.replace("LTCBTC", ENCODED)

HMAC_REST = [
    (ORDER, ROW_A, "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
    (UNICODE, ROW_B, "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"),
]


@pytest.mark.parametrize("params, payload, signature", HMAC_REST, ids="AB")
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_hmac_in_the_query(method, params, payload, signature):
    signed = auth.sign(Request(method, "/api/v3/order", params), HMAC, AT, 5000)
    assert signed.query == f"{payload}&signature={signature}"
    assert signed.body == b""
    assert signed.headers == (("X-MBX-APIKEY", KEY),)


@pytest.mark.parametrize("params, payload, signature", HMAC_REST, ids="AB")
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_hmac_in_the_body(method, params, payload, signature):
    signed = auth.sign(Request(method, "/api/v3/order", params), HMAC, AT, 5000)
    assert signed.body == f"{payload}&signature={signature}".encode()
    assert signed.query == ""
    assert ("Content-Type", "application/x-www-form-urlencoded") in signed.headers


def test_hmac_of_query_and_body_without_a_seam():
    payload = ROW_A.replace("&quantity", "quantity")
    assert HMAC.sign(payload.encode()) == "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"


ROW_D = {
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01000000",
    "price": "52000.00",
}
ROW_E = ROW_D | {
    "symbol": "\uff11\uff12\uff13\uff14\uff15\uff16",
    "side": "BUY",
    "price": "0.10000000",
    "quantity": "1.00000000",
}


@pytest.mark.parametrize(
    "params, at, signature",
    [
        (
            ROW_D | {"recvWindow": 100},
            1645423376532,
            "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24",
        ),
        (
            ROW_E | {"recvWindow": 5000},
            1645423376532,
            "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd",
        ),
        ({}, 1649729878532, "1cf54395b336b0a9727ef27d5d98987962bc47aca6e13fe978612d0adee066ed"),
    ],
    ids="DEF",
)
def test_hmac_of_a_frame(params, at, signature):
    signed = auth.sign_frame(params, HMAC, at)
    assert signed["signature"] == signature
    assert signed["apiKey"] == KEY
    assert signed["timestamp"] == at
    assert {name: signed[name] for name in params} == params


def test_booleans_and_signatures_of_a_frame():
    assert auth.frame_payload({"b": True, "a": 1, "signature": "x", "c": False}) == b"a=1&b=true&c=false"


def ed25519():
    return signer(Credentials(KEY, private_key=ED25519_PEM))


def test_ed25519_on_rest_is_percent_encoded():
    signed = auth.sign(Request("GET", "/", ORDER), ed25519(), AT, 5000)
    assert signed.query.endswith(
        "&signature=3fhuDZ9nYMviDQ5OEtJBJS11jUZDTRzRQ%2BTQMarm%2BLErFiJvUiVPQjTzDoWZQe4miPX%2ByHk1v%2FZ7TWLYjIbmCA%3D%3D"
    )


@pytest.mark.parametrize(
    "payload, signature",
    [
        (ROW_A, "3fhuDZ9nYMviDQ5OEtJBJS11jUZDTRzRQ+TQMarm+LErFiJvUiVPQjTzDoWZQe4miPX+yHk1v/Z7TWLYjIbmCA=="),
        (ROW_B, "BfITFENBHoPvZ29suXBdmBQ+10LOoM4gQ7Fo/OgYC3szsEzecJJHTAwAcIDLwEEwNIUR1V1t71p/h9rKe07rCg=="),
        (
            auth.frame_payload(ROW_D | {"apiKey": KEY, "recvWindow": 100, "timestamp": 1645423376532}).decode(),
            "/RNKbCSA6iS23rmPP+v/A6061Gd8Cq3H5fR1YlWyOYP0CZ6Oq/+spQodx1F1B63EIhUSP2QmDaMDAMBFCTI+CQ==",
        ),
        (
            f"apiKey={KEY}&timestamp=1649729878532",
            "763GJeFgG09B/06V/dq24cLu6f0R57whgDMyOCubDex4CTTElmDgPSIQqLdOsvW5TBxyaaFotVCI8tUmQMChAA==",
        ),
    ],
    ids="ABDF",
)
def test_ed25519(payload, signature):
    assert ed25519().sign(payload.encode()) == signature


def test_rsa_signs_what_travels():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256

    private = rsa.generate_private_key(65537, 2048)
    form = serialization.PrivateFormat.PKCS8
    pem = private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
    signed = auth.sign(Request("POST", "/", UNICODE), signer(Credentials(KEY, private_key=pem)), AT, 5000)
    payload, _, _ = signed.body.partition(b"&signature=")
    signature = base64.b64decode(dict(parse_qsl(signed.body.decode()))["signature"])
    private.public_key().verify(signature, payload, padding.PKCS1v15(), SHA256())
    assert payload.decode() == ROW_B


def test_a_public_request_is_only_encoded():
    encoded = auth.encode(Request("GET", "/", (("symbols", '["BTCUSDT","币"]'), ("limit", "5"))))
    assert encoded.query == "symbols=%5B%22BTCUSDT%22%2C%22%E5%B8%81%22%5D&limit=5"
    assert encoded.headers == ()
    assert encoded.body == b""


def test_what_is_unreserved_stays_as_it_is():
    assert auth.encode(Request("GET", "/", (("a", "A-Z_a.z~09"), ("b", "a b+c/d=e&f")))).query == (
        "a=A-Z_a.z~09&b=a%20b%2Bc%2Fd%3De%26f"
    )
