"""Signatures and clocks: the vectors of the protocol's description, and everything that is refused."""

import hashlib
import hmac
import json

import pytest

from exconnect.mock.bybit.auth import payload, verified
from exconnect.mock.http import Request
from exconnect.mock.keys import HmacKey

QUERY = "category=spot"
PATH = "/v5/account/fee-rate"
VECTORS = [
    ("GET", "category=linear&symbol=BTCUSDT", "fd4f31228a46109dc6673062328693696df9a96c7ff04e6491a45e7f63a0fdd7"),
    ("GET", "", "cfffd774219bfa1d400476f699f830daaedcd3c41faa1dbdda95a8f4dd8170cc"),
    (
        "POST",
        '{"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "test-order-1"}',
        "2df4a0603d69c08d5dea29ba85b46eb7db64ce9e9ebd34a7802a3d69700cb2a1",
    ),
    (
        "POST",
        (
            '{"category":"spot","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.01","price":"28000",'
            '"timeInForce":"PostOnly","orderLinkId":"kat-0001"}'
        ),
        "d7d39c2d60ea65463b4dffd44cc21346177a3ffb4a86f33cf67c7142d1440583",
    ),
    (
        "GET",
        "category=linear&cursor=page_args%3Dfd4300ae-7847-404e-b947-b46980a4d140%26symbol%3D6%26&limit=20",
        "e97e7cf6d04945faf30f686617ba0ce01ebf7d4eed21f2c3f17f919f842881fd",
    ),
    ("POST", "{}", "f8cdf8693aad0df81a15bfa2a9351b1de877310d92a5c9faf1b819b662011f67"),
]


@pytest.mark.parametrize("method, text, signature", VECTORS)
def test_known_answers(method, text, signature):
    query, sent = (text, "") if method == "GET" else ("", text)
    prehash = payload("1700000000000", "test_api_key", "5000", Request(method, "/", query, {}, sent))
    assert verified(HmacKey("test_secret"), prehash, signature)
    assert not verified(HmacKey("test_secret"), prehash, signature.upper())
    assert not verified(HmacKey("other"), prehash, signature)


def test_known_answer_on_a_socket():
    wanted = "bacffe7500499eb829bb58c45d36d1b3e5ac67c14eaeba91df5e99ccee013925"
    assert verified(HmacKey("test_secret"), "GET/realtime1700000000000", wanted)


def test_a_private_key_signs(core):
    import base64

    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    name, key = core.exchange.keys.key("rsa")
    private = load_pem_private_key(key.pem.encode(), None)
    prehash = f"{core.now}{name}5000{QUERY}".encode()
    signature = base64.b64encode(private.sign(prehash, PKCS1v15(), SHA256())).decode()
    headers = {"x-bapi-api-key": name, "x-bapi-timestamp": str(core.now), "x-bapi-recv-window": "5000"}
    answers = [core.request("GET", PATH, QUERY, {**headers, "x-bapi-sign": text}) for text in (signature, "AA")]
    assert [json.loads(answer.body)["retCode"] for answer in answers] == [0, 10004]


def test_keys_of_this_exchange(core, make_core):
    assert len(core.key) == 18
    assert make_core().key == core.key != make_core(seed=8).key
    with pytest.raises(ValueError, match="one of hmac, rsa"):
        core.exchange.keys.key("ed25519")


@pytest.mark.parametrize(
    "change, status, code, text",
    [
        ({"x-bapi-sign": "0" * 64}, 200, 10004, "origin_string["),
        ({"x-bapi-api-key": "nobody"}, 200, 10003, "API key is invalid."),
        ({"x-bapi-api-key": ""}, 401, 10001, "empty value"),
        ({"x-bapi-timestamp": ""}, 401, 10001, "empty value"),
        ({"x-bapi-timestamp": "soon"}, 200, 10001, "not a number"),
        ({"x-bapi-recv-window": "6000"}, 200, 10004, "error sign!"),
    ],
)
def test_refusals(core, answer_of, change, status, code, text):
    response = core.request("GET", PATH, QUERY, {**core.headers(QUERY), **change})
    answer = answer_of[0](response)
    assert (response.status, answer["retCode"]) == (status, code)
    assert text in answer["retMsg"]
    assert (answer["result"], answer["time"]) == ({}, core.now)


@pytest.mark.parametrize(
    "shift, window, code",
    [
        (0, "5000", 0),
        (-5000, "5000", 0),
        (-5001, "5000", 10002),
        (999, "5000", 0),
        (1000, "60000", 10002),
        (-5000, "", 0),
        (-5001, "", 10002),
    ],
)
def test_timestamps(core, answer_of, shift, window, code):
    headers = core.headers(QUERY, at=core.now + shift, window=window)
    answer = answer_of[0](core.request("GET", PATH, QUERY, headers))
    assert answer["retCode"] == code
    if code:
        clocks = f"req_timestamp[{core.now + shift}],server_timestamp[{core.now}],recv_window[{window or 5000}]"
        assert clocks in answer["retMsg"]


def test_a_cursor_is_signed_as_it_travels(core, answer_of):
    for written in ("1%3A2%2C1%3A2", "1%253A2%252C1%253A2"):
        query = f"category=spot&cursor={written}"
        answer = core.request("GET", "/v5/order/history", query, core.headers(query))
        assert answer_of[1](answer)["list"] == []


def test_a_log_on(core):
    messages = []
    session = core.open("/v5/private", messages)
    expires = core.now + 10_000
    right = hmac.new(core.secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
    core.say(session, op="subscribe", args=["order"])
    core.say(session, op="auth", args=[core.key, core.now, right])
    core.say(session, op="auth", args=[core.key, expires, "0" * 64])
    core.say(session, op="auth", args=["nobody", expires, right])
    core.say(session, op="auth", args=[core.key, expires, right], req_id="a1")
    answers = [json.loads(text) for text in messages]
    assert [(answer["success"], answer["ret_msg"]) for answer in answers] == [
        (False, "Request not authorized"),
        (False, "Params Error"),
        (False, "Invalid sign"),
        (False, "API key is invalid."),
        (True, ""),
    ]
    assert (answers[-1]["req_id"], answers[-1]["op"], "req_id" in answers[0]) == ("a1", "auth", False)
