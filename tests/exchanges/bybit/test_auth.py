"""Known answers: the vectors of the exchange's page, and RSA checked with the public key."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exconnect.credentials import Credentials
from exconnect.exchanges.bybit import auth
from exconnect.protocol.call import Request
from exconnect.protocol.signing import Signer, signer

AT = 1700000000000
HMAC = signer(Credentials("test_api_key", "test_secret"))
LISTENING = Signer("XXXXXXXXXX", "hmac", lambda payload: payload.decode())  # the signature is what was signed

GETS = [
    (
        (("category", "linear"), ("symbol", "BTCUSDT")),
        "fd4f31228a46109dc6673062328693696df9a96c7ff04e6491a45e7f63a0fdd7",
    ),
    ((), "cfffd774219bfa1d400476f699f830daaedcd3c41faa1dbdda95a8f4dd8170cc"),
    (
        (
            ("category", "linear"),
            ("cursor", "page_args=fd4300ae-7847-404e-b947-b46980a4d140&symbol=6&"),
            ("limit", "20"),
        ),
        "e97e7cf6d04945faf30f686617ba0ce01ebf7d4eed21f2c3f17f919f842881fd",
    ),
]  # fmt: skip
ORDER = (
    ("category", "spot"),
    ("symbol", "BTCUSDT"),
    ("side", "Buy"),
    ("orderType", "Limit"),
    ("qty", "0.01"),
    ("price", "28000"),
    ("timeInForce", "PostOnly"),
    ("orderLinkId", "kat-0001"),
)
POSTS = [
    (ORDER, "d7d39c2d60ea65463b4dffd44cc21346177a3ffb4a86f33cf67c7142d1440583"),
    ((), "f8cdf8693aad0df81a15bfa2a9351b1de877310d92a5c9faf1b819b662011f67"),
]


def headers(request):
    return dict(request.headers)


@pytest.mark.parametrize("params, signature", GETS, ids="125")
def test_hmac_of_a_query(params, signature):
    signed = auth.sign(Request("GET", "/v5/x", params), HMAC, AT, 5000)
    assert headers(signed) == {
        "X-BAPI-API-KEY": "test_api_key",
        "X-BAPI-TIMESTAMP": "1700000000000",
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": signature,
    }
    assert signed.body == b""


@pytest.mark.parametrize("params, signature", POSTS, ids="46")
def test_hmac_of_a_body(params, signature):
    signed = auth.sign(Request("POST", "/v5/x", params), HMAC, AT, 5000)
    assert headers(signed)["X-BAPI-SIGN"] == signature
    assert headers(signed)["X-BAPI-RECV-WINDOW"] == "5000"
    assert headers(signed)["Content-Type"] == "application/json"
    assert signed.query == ""


def test_the_third_vector_and_the_login():
    payload = '{"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "test-order-1"}'
    prehash = f"{AT}test_api_key5000{payload}"
    assert HMAC.sign(prehash.encode()) == "2df4a0603d69c08d5dea29ba85b46eb7db64ce9e9ebd34a7802a3d69700cb2a1"
    login = auth.sign_login(HMAC, AT)
    assert login == "bacffe7500499eb829bb58c45d36d1b3e5ac67c14eaeba91df5e99ccee013925"


def test_the_prehash_of_the_exchanges_guide():
    params = (("category", "option"), ("symbol", "BTC-29JUL22-25000-C"))
    signed = auth.sign(Request("GET", "/", params), LISTENING, 1658384314791, 5000)
    expected = "1658384314791XXXXXXXXXX5000category=option&symbol=BTC-29JUL22-25000-C"
    assert headers(signed)["X-BAPI-SIGN"] == expected


def test_rsa_signs_what_travels():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256

    private = rsa.generate_private_key(65537, 2048)
    form = serialization.PrivateFormat.PKCS8
    pem = private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
    signed = auth.sign(Request("POST", "/", ORDER), signer(Credentials("k", private_key=pem)), AT, 1500)
    signature = base64.b64decode(headers(signed)["X-BAPI-SIGN"])
    payload = f"{AT}k1500".encode() + signed.body
    private.public_key().verify(signature, payload, padding.PKCS1v15(), SHA256())


def test_numbers_and_flags_of_json():
    params = (
        ("isLeverage", "1"),
        ("reduceOnly", "true"),
        ("rpiTakerAccess", "maybe"),
        ("positionIdx", "x"),
        ("qty", "1"),
        ("request", '[{"a":1}]'),
        ('te"xt', 'quo"te\u2028'),
    )  # fmt: skip
    body = auth.encode(Request("POST", "/", params)).body
    assert json.loads(body) == {
        "isLeverage": 1,
        "reduceOnly": True,
        "rpiTakerAccess": "maybe",
        "positionIdx": "x",
        "qty": "1",
        "request": [{"a": 1}],
        'te"xt': 'quo"te\u2028',
    }


@given(st.lists(st.tuples(st.text("abc", min_size=1), st.text()), unique_by=lambda pair: pair[0]))
def test_any_text_survives(params):
    made = tuple(params)
    assert json.loads(auth.body_of(made)) == dict(made)


def test_a_public_request_is_only_encoded():
    encoded = auth.encode(Request("GET", "/", (("a", "1:0,b c"),)))
    assert (encoded.query, encoded.headers, encoded.body) == ("a=1%3A0%2Cb%20c", (), b"")
