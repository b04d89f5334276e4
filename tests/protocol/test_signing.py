"""Signatures against the exchange's known answers, and that a signer shows nothing of what it signs with."""

import base64
import hashlib
import hmac
import traceback

import pytest

from exconnect.credentials import Credentials
from exconnect.errors import ConfigurationError
from exconnect.protocol.signing import Signer, signer

KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"  # published by Binance, dead
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
SEED = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g"  # RFC 8032, test 1
ED25519 = f"-----BEGIN PRIVATE KEY-----\n{SEED}\n-----END PRIVATE KEY-----\n"

TAIL = "recvWindow=5000&timestamp=1499827319559"
PLAIN = f"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&{TAIL}"
ENCODED = PLAIN.replace("LTCBTC", "%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96")
SPLIT = f"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTCquantity=1&price=0.1&{TAIL}"
LOGON = f"apiKey={KEY}&timestamp=1649729878532"


@pytest.mark.parametrize(
    "payload, signature",
    [
        (PLAIN, "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
        (ENCODED, "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"),
        (SPLIT, "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"),
        (LOGON, "1cf54395b336b0a9727ef27d5d98987962bc47aca6e13fe978612d0adee066ed"),
    ],
)
def test_hmac(payload, signature):
    made = signer(Credentials(KEY, SECRET))
    assert (made.key, made.kind) == (KEY, "hmac")
    assert made.sign(payload.encode()) == signature


@pytest.mark.parametrize(
    "payload, signature",
    [
        (PLAIN, "3fhuDZ9nYMviDQ5OEtJBJS11jUZDTRzRQ+TQMarm+LErFiJvUiVPQjTzDoWZQe4miPX+yHk1v/Z7TWLYjIbmCA=="),
        (ENCODED, "BfITFENBHoPvZ29suXBdmBQ+10LOoM4gQ7Fo/OgYC3szsEzecJJHTAwAcIDLwEEwNIUR1V1t71p/h9rKe07rCg=="),
        (LOGON, "763GJeFgG09B/06V/dq24cLu6f0R57whgDMyOCubDex4CTTElmDgPSIQqLdOsvW5TBxyaaFotVCI8tUmQMChAA=="),
    ],
)
def test_ed25519(payload, signature):
    made = signer(Credentials(KEY, private_key=ED25519))
    assert made.kind == "ed25519"
    assert made.sign(payload.encode()) == signature


def test_rsa():
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    made = signer(Credentials(KEY, private_key=pem))
    signature = base64.b64decode(made.sign(PLAIN.encode()), validate=True)
    key.public_key().verify(signature, PLAIN.encode(), padding.PKCS1v15(), SHA256())
    assert made.kind == "rsa"
    assert made.sign(PLAIN.encode()) == base64.b64encode(signature).decode()


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_signer_of_the_users_own_gives_bytes(kind):
    made = signer(Credentials(KEY, signer=lambda payload: payload[::-1], kind=kind))
    assert (made.kind, made.sign(b"abc")) == (kind, "Y2Jh")


def test_a_signer_of_the_users_own_may_do_hmac():
    def sign(payload):
        return hmac.digest(SECRET.encode(), payload, hashlib.sha256)

    assert signer(Credentials(KEY, signer=sign, kind="hmac")).sign(b"abc") == signer(Credentials(KEY, SECRET)).sign(
        b"abc"
    )


def test_a_secret_that_is_not_there_is_found_out_when_the_signer_is_made(monkeypatch):
    monkeypatch.setenv("EXCONNECT_BINANCE_API_KEY", "key")
    monkeypatch.setenv("EXCONNECT_BINANCE_API_SECRET_FILE", "/no/such/file")
    credentials = Credentials.from_env("binance")
    with pytest.raises(ConfigurationError, match="EXCONNECT_BINANCE_API_SECRET_FILE: cannot read /no/such/file"):
        signer(credentials)


def test_a_signer_shows_the_end_of_the_key_id_and_nothing_else():
    made = signer(Credentials(KEY, SECRET))
    assert repr(made) == str(made) == "Signer(key='…Eh8A', kind='hmac')"
    assert isinstance(made, Signer)


@pytest.mark.parametrize("credentials", [Credentials(KEY, SECRET), Credentials(KEY, private_key=ED25519)])
def test_a_failure_while_signing_shows_no_secret(credentials):
    made = signer(credentials)
    try:
        made.sign(None)
    except TypeError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "payload = None" in shown
    assert SECRET not in shown
    assert SEED not in shown
    assert KEY not in shown
