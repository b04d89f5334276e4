"""Settings, credentials and addresses: what is taken, what is refused, and that no secret ever shows."""

import inspect
import pickle
import sys
import threading
import traceback
from dataclasses import FrozenInstanceError, fields, replace
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from exconnect.client import Client
from exconnect.config import Settings
from exconnect.credentials import Credentials, Secret, has_credentials
from exconnect.endpoints import Endpoints, is_loopback
from exconnect.errors import ConfigurationError
from exconnect.protocol.signing import signer
from exconnect.trading.risk import MaxOrderRate, NoDuplicates, ReduceOnly

KEY = "CANARYkeyIdCANARYkeyId1234"
SECRET = "CANARYsecretCANARYsecret"
PASSPHRASE = "CANARYpassphrase"


def pem(key, passphrase=None):
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


ED25519_KEY = ed25519.Ed25519PrivateKey.generate()
ED25519 = pem(ED25519_KEY)
ENCRYPTED = pem(ED25519_KEY, PASSPHRASE)
RSA = pem(rsa.generate_private_key(65537, 2048))
TRADITIONAL_RSA = (
    rsa.generate_private_key(65537, 2048)
    .private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    .decode()
)
ELLIPTIC = pem(ec.generate_private_key(ec.SECP256R1()))


def echo(payload):
    return payload


def one_argument(order):
    """No check: it has no room for the view."""


async def wait_for(order, view):
    """No check: what it gives is no answer."""


def middle(text):
    """A line out of the middle of a PEM: what must not show."""
    return text.splitlines()[1]


def shown_with_locals(act):
    """The traceback of what `act` raises, with all locals of our frames, as an error reporter would send it."""
    try:
        act()
    except (ConfigurationError, TypeError) as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
        # The first two frames are this test's own.
        return text[text.index("exconnect/") :], error
    pytest.fail("nothing was raised")


class TestCredentials:
    @pytest.mark.parametrize(
        "given, kind",
        [
            ({"secret": SECRET}, "hmac"),
            ({"private_key": RSA}, "rsa"),
            ({"private_key": TRADITIONAL_RSA}, "rsa"),
            ({"private_key": ED25519}, "ed25519"),
            ({"private_key": ED25519.encode()}, "ed25519"),
            ({"private_key": ED25519.replace("\n", "\r\n")}, "ed25519"),
            ({"private_key": "\n\n" + ED25519.strip()}, "ed25519"),
            ({"private_key": ENCRYPTED, "passphrase": PASSPHRASE}, "ed25519"),
            ({"signer": echo, "kind": "rsa"}, "rsa"),
            ({"signer": echo, "kind": "hmac"}, "hmac"),
        ],
    )
    def test_the_kind_is_found(self, given, kind):
        credentials = Credentials(KEY, **given)
        assert credentials.kind == signer(credentials).kind == kind
        assert repr(credentials) == f"Credentials(key='…1234', kind='{kind}')"
        assert credentials.key == KEY

    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"secret": SECRET, "private_key": ED25519},
            {"secret": SECRET, "signer": echo, "kind": "rsa"},
            {"private_key": ED25519, "private_key_file": "key.pem"},
        ],
    )
    def test_exactly_one_way_to_sign(self, given):
        message = "credentials need exactly one of secret, private_key, private_key_file, signer"
        with pytest.raises(ConfigurationError, match=message):
            Credentials(KEY, **given)

    @pytest.mark.parametrize(
        "given", [{"signer": echo}, {"signer": echo, "kind": "ecdsa"}, {"secret": SECRET, "kind": "hmac"}]
    )
    def test_kind_goes_with_signer(self, given):
        with pytest.raises(ConfigurationError, match="kind goes with signer and is one of hmac, rsa, ed25519"):
            Credentials(KEY, **given)

    @pytest.mark.parametrize("given", [{"secret": ""}, {"private_key": ""}, {"secret": 5}, {"private_key": b""}])
    def test_a_secret_is_text_that_is_not_empty(self, given):
        with pytest.raises(ConfigurationError, match="secret and private_key must be text that is not empty"):
            Credentials(KEY, **given)

    @pytest.mark.parametrize("key", ["", "a b", "a\n", "kéy", "a\x00", None, 5])
    def test_a_key_id_is_printable_text(self, key):
        with pytest.raises(ConfigurationError, match="credentials need key: the API key id, printable text"):
            Credentials(key, SECRET)

    def test_a_passphrase_goes_with_a_private_key(self):
        with pytest.raises(ConfigurationError, match="passphrase goes with private_key or private_key_file"):
            Credentials(KEY, SECRET, passphrase=PASSPHRASE)

    @pytest.mark.parametrize(
        "given, words",
        [
            ({"private_key": "no pem"}, "no PEM that can be read without a passphrase"),
            ({"private_key": ENCRYPTED}, "no PEM that can be read without a passphrase"),
            ({"private_key": ENCRYPTED, "passphrase": "wrong"}, "no PEM that can be read with this passphrase"),
            ({"private_key": ED25519, "passphrase": PASSPHRASE}, "no PEM that can be read with this passphrase"),
            ({"private_key": ELLIPTIC}, ".*PrivateKey; RSA and Ed25519 keys can sign"),
        ],
    )
    def test_a_private_key_that_cannot_be_used(self, given, words):
        credentials = Credentials(KEY, **given)
        with pytest.raises(ConfigurationError, match=f"the private key is {words}"):
            credentials.signing_key()
        assert repr(credentials).startswith("Credentials(the private key is ")

    def test_without_the_extra_it_says_how_to_install_it(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.serialization", None)
        with pytest.raises(ConfigurationError, match=r"pip install 'exconnect\[crypto\]'"):
            signer(Credentials(KEY, private_key=ED25519))

    def test_the_account_is_told_by_the_key_id(self):
        assert Credentials("key", SECRET).account == "2c70e12b"

    def test_a_private_key_file_is_read_at_first_use(self, tmp_path):
        path = tmp_path / "key.pem"
        credentials = Credentials(KEY, private_key_file=path)
        with pytest.raises(ConfigurationError, match=f"private_key_file: cannot read {path}: No such file"):
            credentials.signing_key()
        path.write_text(ED25519)
        assert credentials.kind == "ed25519"
        path.unlink()
        assert credentials.kind == "ed25519"

    def test_paths_that_are_none(self):
        with pytest.raises(ConfigurationError, match="cannot read a\x00b: no path"):
            Credentials(KEY, private_key_file="a\x00b").signing_key()


class TestFromEnv:
    def test_key_and_secret(self, monkeypatch):
        assert not has_credentials("binance")
        monkeypatch.setenv("EXCONNECT_BINANCE_API_KEY", KEY)
        monkeypatch.setenv("EXCONNECT_BINANCE_API_SECRET", SECRET)
        assert has_credentials("binance")
        credentials = Credentials.from_env("binance")
        assert (credentials.key, credentials.kind) == (KEY, "hmac")
        assert signer(credentials).sign(b"x") == signer(Credentials(KEY, SECRET)).sign(b"x")

    def test_another_prefix_and_another_exchange(self, monkeypatch):
        monkeypatch.setenv("MY_BYBIT_API_KEY", KEY)
        monkeypatch.setenv("MY_BYBIT_API_SECRET", SECRET)
        assert Credentials.from_env("bybit", "MY_").key == KEY
        assert has_credentials("bybit", "MY_")
        assert not has_credentials("bybit")

    def test_the_end_of_a_line_is_no_part_of_a_variable(self, monkeypatch):
        monkeypatch.setenv("EXCONNECT_BINANCE_API_KEY", f"{KEY}\n")
        monkeypatch.setenv("EXCONNECT_BINANCE_API_SECRET", f"{SECRET}\r\n")
        credentials = Credentials.from_env("binance")
        assert credentials.key == KEY
        assert credentials.signing_key()[1].reveal() == SECRET.encode()

    def test_each_may_be_in_a_file_that_is_read_at_first_use(self, monkeypatch, tmp_path):
        for name in ("API_KEY", "API_SECRET"):
            monkeypatch.setenv(f"EXCONNECT_BINANCE_{name}_FILE", str(tmp_path / name))
        credentials = Credentials.from_env("binance")
        with pytest.raises(ConfigurationError, match=r"EXCONNECT_BINANCE_API_KEY_FILE: cannot read .*: No such file"):
            credentials.key  # noqa: B018
        assert "cannot read" in repr(credentials)
        (tmp_path / "API_KEY").write_text(f"{KEY}\n")
        (tmp_path / "API_SECRET").write_text(f"  {SECRET}\r\n")
        assert (credentials.key, repr(credentials)) == (KEY, "Credentials(key='…1234', kind='hmac')")
        assert signer(credentials).sign(b"x") == signer(Credentials(KEY, SECRET)).sign(b"x")

    @pytest.mark.parametrize("content, words", [("", "is empty"), ("a b", "the API key id, printable text")])
    def test_a_file_that_holds_no_key(self, monkeypatch, tmp_path, content, words):
        (tmp_path / "key").write_text(content)
        monkeypatch.setenv("EXCONNECT_BINANCE_API_KEY_FILE", str(tmp_path / "key"))
        monkeypatch.setenv("EXCONNECT_BINANCE_API_SECRET", SECRET)
        with pytest.raises(ConfigurationError, match=words):
            Credentials.from_env("binance").key  # noqa: B018

    def test_a_private_key_with_its_passphrase(self, monkeypatch, tmp_path):
        (tmp_path / "key.pem").write_text(ENCRYPTED)
        (tmp_path / "passphrase").write_text(PASSPHRASE + "\n")
        monkeypatch.setenv("EXCONNECT_BINANCE_API_KEY", KEY)
        monkeypatch.setenv("EXCONNECT_BINANCE_PRIVATE_KEY_FILE", str(tmp_path / "key.pem"))
        monkeypatch.setenv("EXCONNECT_BINANCE_PRIVATE_KEY_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
        assert Credentials.from_env("binance").kind == "ed25519"

    def test_a_passphrase_without_a_private_key_is_nobodys(self, monkeypatch):
        monkeypatch.setenv("EXCONNECT_BINANCE_API_KEY", KEY)
        monkeypatch.setenv("EXCONNECT_BINANCE_API_SECRET", SECRET)
        monkeypatch.setenv("EXCONNECT_BINANCE_PRIVATE_KEY_PASSPHRASE", PASSPHRASE)
        assert Credentials.from_env("binance").kind == "hmac"

    def test_what_is_missing_is_named(self):
        with pytest.raises(ConfigurationError, match="set EXCONNECT_BINANCE_API_KEY and EXCONNECT_BINANCE_API_SECRET"):
            Credentials.from_env("binance")

    @pytest.mark.parametrize(
        "given, words",
        [
            ({"API_KEY": KEY}, "{}API_KEY is set and {}API_SECRET (or {}PRIVATE_KEY_FILE) is not"),
            ({"API_KEY_FILE": "key"}, "{}API_KEY_FILE is set and {}API_SECRET (or {}PRIVATE_KEY_FILE) is not"),
            ({"API_SECRET": SECRET}, "{}API_SECRET is set and {}API_KEY is not"),
            ({"API_KEY": "", "API_SECRET_FILE": "x"}, "{}API_SECRET_FILE is set and {}API_KEY is not"),
            ({"PRIVATE_KEY_FILE": "key.pem"}, "{}PRIVATE_KEY_FILE is set and {}API_KEY is not"),
        ],
    )
    @pytest.mark.parametrize("make", [Credentials.from_env, Settings.from_env, Client])
    def test_a_half_is_told_from_nothing(self, monkeypatch, make, given, words):
        for name, value in given.items():
            monkeypatch.setenv(f"EXCONNECT_BINANCE_{name}", value)
        with pytest.raises(ConfigurationError) as refused:
            make("binance")
        told = words.replace("{}", "EXCONNECT_BINANCE_")
        assert refused.value.message == f"{told}: set both, or neither for public data alone"

    def test_two_ways_to_sign_are_one_too_many(self, monkeypatch):
        monkeypatch.setenv("EXCONNECT_BINANCE_API_KEY", KEY)
        monkeypatch.setenv("EXCONNECT_BINANCE_API_SECRET", SECRET)
        monkeypatch.setenv("EXCONNECT_BINANCE_PRIVATE_KEY_FILE", "key.pem")
        with pytest.raises(ConfigurationError, match="API_SECRET and EXCONNECT_BINANCE_PRIVATE_KEY_FILE are both set"):
            Credentials.from_env("binance")


class TestPickle:
    @pytest.mark.parametrize(
        "given",
        [
            {"secret": SECRET},
            {"private_key": ED25519},
            {"private_key_file": "key.pem", "passphrase": PASSPHRASE},
            {"signer": echo, "kind": "rsa"},
        ],
    )
    def test_a_literal_secret_stays_here(self, given):
        credentials = Credentials(KEY, **given)
        assert not credentials.is_reference
        for what in (credentials, Settings("binance", credentials=credentials)):
            with pytest.raises(TypeError, match=r"holds a literal secret and is not pickled: give .* as a reference"):
                pickle.dumps(what)

    def test_a_reference_to_the_environment_travels_without_the_secret(self, monkeypatch):
        monkeypatch.setenv("EXCONNECT_BINANCE_API_KEY", KEY)
        monkeypatch.setenv("EXCONNECT_BINANCE_API_SECRET", SECRET)
        settings = Settings("binance", credentials=Credentials.from_env("binance"), timeout=5)
        sent = pickle.dumps(settings)
        assert SECRET.encode() not in sent
        assert KEY.encode() not in sent
        monkeypatch.setenv("EXCONNECT_BINANCE_API_KEY", "another")
        there = pickle.loads(sent)
        assert (there.credentials.key, there.timeout) == ("another", 5)
        assert there.credentials.is_reference

    def test_a_private_key_file_travels_as_its_path(self, tmp_path):
        (tmp_path / "key.pem").write_text(ED25519)
        credentials = Credentials(KEY, private_key_file=tmp_path / "key.pem")
        assert credentials.kind == "ed25519"
        sent = pickle.dumps(credentials)
        assert middle(ED25519).encode() not in sent
        there = pickle.loads(sent)
        assert (there.key, there.kind, there.is_reference) == (KEY, "ed25519", True)

    @pytest.mark.parametrize("given", [{"proxy": "http://me:secret@host:1"}, {"budget": "redis://:secret@host"}])
    def test_a_password_in_an_address_is_a_secret(self, given):
        settings = Settings("binance", **given)
        assert "secret" not in repr(settings)
        with pytest.raises(TypeError, match="holds a literal secret"):
            pickle.dumps(settings)

    def test_settings_travel_whole(self, tmp_path):
        settings = Settings(
            "binance",
            environment="testnet",
            account="me",
            timeout=1.5,
            recv_window_ms=1000,
            proxy="env",
            ca_file=__file__,
            risk=[MaxOrderRate(5, 1), NoDuplicates(2)],
            journal=tmp_path,
            durability="power",
            budget="host",
            budget_share=0.5,
            read_only=True,
        )
        there = pickle.loads(pickle.dumps(settings))
        assert replace(there, risk=()) == replace(settings, risk=())
        assert [type(check) for check in there.risk] == [MaxOrderRate, NoDuplicates]


class TestSettings:
    def test_defaults(self):
        settings = Settings("binance")
        assert [getattr(settings, field.name) for field in fields(settings)] == [
            *("binance", None, None, None, 12.0, None, None, None, (), "auto", "process", "memory", 1.0, False, None)
        ]
        with pytest.raises(FrozenInstanceError):
            settings.timeout = 5

    @pytest.mark.parametrize(
        "given, message",
        [
            ({"exchange": 5}, "exchange must be the name of an exchange"),
            ({"credentials": "key"}, r"credentials must be exconnect.Credentials\(key, secret\) or None"),
            ({"timeout": 0}, "timeout must be seconds: above 0, at most 3600"),
            ({"timeout": "5"}, "timeout must be seconds"),
            ({"timeout": True}, "timeout must be seconds"),
            ({"timeout": float("nan")}, "timeout must be seconds"),
            ({"timeout": float("inf")}, "timeout must be seconds"),
            ({"recv_window_ms": 0}, "recv_window_ms must be an int from 1 to 60000"),
            ({"recv_window_ms": 60_001}, "recv_window_ms must be an int from 1 to 60000"),
            ({"recv_window_ms": 5000.0}, "recv_window_ms must be an int from 1 to 60000"),
            ({"recv_window_ms": True}, "recv_window_ms must be an int from 1 to 60000"),
            ({"budget_share": 0}, "budget_share must be above 0, at most 1"),
            ({"budget_share": 1.01}, "budget_share must be above 0, at most 1"),
            ({"durability": "none"}, "durability='none': must be 'process' or 'power'"),
            ({"budget": "file"}, "budget must be 'memory', 'host' or 'redis://…'"),
            ({"budget": None}, "budget must be 'memory', 'host' or 'redis://…'"),
            ({"read_only": 1}, "read_only must be True or False"),
            ({"metrics": print}, "metrics must have the methods count, gauge and timing"),
            ({"account": ""}, "account must be 1 to 64 printable characters"),
            ({"account": "x" * 65}, "account must be 1 to 64 printable characters"),
            ({"account": "a\n"}, "account must be 1 to 64 printable characters"),
            ({"account": 5}, "account must be 1 to 64 printable characters"),
            ({"journal": 5}, "journal must be a path, 'auto' or None"),
            ({"journal": ""}, "journal must be a path, 'auto' or None"),
            ({"ca_file": "/no/such/file"}, "ca_file='/no/such/file': no such file"),
            ({"ca_file": 5}, "ca_file='5': no such file"),
            ({"risk": None}, "risk must be a sequence of callables"),
            ({"risk": "MaxOrderValue"}, "risk must be a sequence of callables"),
            ({"risk": ["MaxOrderValue"]}, "risk must be a sequence of callables"),
            ({"risk": [ReduceOnly]}, r"risk: ReduceOnly is a class, not a check: write ReduceOnly\(\)$"),
            ({"risk": [MaxOrderRate]}, r"risk: MaxOrderRate is a class, not a check: write MaxOrderRate\(…\)$"),
            (
                {"risk": [MaxOrderRate(1, 1), one_argument]},
                r"risk: a check takes .* but this is one_argument\(order\): write one_argument\(order, view\)$",
            ),
            (
                {"risk": [partial(one_argument, 1)]},
                "risk: a check takes the order and a RiskView, but this is one_argument",
            ),
            ({"risk": [wait_for]}, "risk: wait_for is a coroutine function: checks are plain functions"),
            *(
                ({"proxy": proxy}, "proxy must be 'http://host:port', 'socks5h://host:port' or 'env'")
                for proxy in (
                    *("", "host:80", "http://", "ftp://host", "http://[bad", "http://host:99999", "http://host:0"),
                    5,
                )
            ),
        ],
    )
    def test_what_cannot_be_right_is_refused_at_once(self, given, message):
        with pytest.raises(ConfigurationError, match=f"^{message}"):
            Settings(**{"exchange": "binance"} | given)

    @pytest.mark.parametrize(
        "proxy",
        ["env", "http://host:8080", "https://host", "socks5://host:1080", "socks5h://me:pw@host:1", "http://[::1]:1"],
    )
    def test_proxies(self, proxy):
        assert Settings("binance", proxy=proxy).proxy == proxy

    def test_risk_checks_keep_their_order(self):
        assert Settings("binance", risk=[print, max]).risk == (print, max)

    def test_checks_of_every_kind(self):
        checks = [MaxOrderRate(5, 1), lambda order, view: None, lambda *both: None, partial(max, 1), str.startswith]
        assert Settings("binance", risk=checks).risk == tuple(checks)

    @pytest.mark.parametrize(
        "given, environment",
        [
            ({}, None),
            ({"EXCONNECT_ENVIRONMENT": "demo"}, "demo"),
            ({"EXCONNECT_ENVIRONMENT": "demo", "EXCONNECT_BINANCE_ENVIRONMENT": "testnet"}, "testnet"),
            ({"EXCONNECT_ENVIRONMENT": "demo", "EXCONNECT_BINANCE_ENVIRONMENT": ""}, "demo"),
            ({"EXCONNECT_BYBIT_ENVIRONMENT": "testnet"}, None),
        ],
    )
    def test_the_environment_from_variables(self, monkeypatch, given, environment):
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        settings = Settings.from_env("binance")
        assert (settings.environment, settings.credentials) == (environment, None)

    @pytest.mark.parametrize("name", ["EXCONNECT_ENVIRONMENT", "EXCONNECT_BINANCE_ENVIRONMENT"])
    @pytest.mark.parametrize("make", [Settings.from_env, Client])
    def test_a_variable_that_names_no_environment(self, monkeypatch, make, name):
        monkeypatch.setenv(name, "testent")
        with pytest.raises(ConfigurationError, match=f"{name}='testent': must be 'live', 'testnet', 'demo', base URLs"):
            make("binance")

    @pytest.mark.parametrize(
        "environment, words",
        [
            ("testent", "environment='testent': must be 'live', 'testnet', 'demo', base URLs"),
            (5, "environment=5: must be 'live', 'testnet', 'demo', base URLs"),
            ("http://a.com", "rest URL 'http://a.com': without TLS only this machine"),
        ],
    )
    def test_what_is_no_environment(self, environment, words):
        with pytest.raises(ConfigurationError, match=words):
            Settings("binance", environment=environment)

    def test_environments_in_capitals_and_addresses(self):
        for environment in ("TESTNET", "https://a.com wss://b.com", Endpoints.parse("https://a.com")):
            assert Settings("binance", environment=environment).environment == environment

    def test_credentials_from_variables(self, monkeypatch):
        monkeypatch.setenv("EXCONNECT_BINANCE_API_KEY", KEY)
        monkeypatch.setenv("EXCONNECT_BINANCE_API_SECRET", SECRET)
        assert Settings.from_env("binance").credentials.key == KEY
        assert Settings.from_env("bybit").credentials is None


FILE = """
[default.binance]
environment = "testnet"
timeout = 5
budget_share = 0.5
read_only = true

[desk.binance]
api_key = "key-of-the-desk"
api_secret = "CANARYsecretCANARYsecret"

[desk.bybit]
api_key = "key"
private_key_file = "desk.pem"
passphrase = "CANARYpassphrase"

[bad]
binance = 5
bybit = { tiemout = 5 }

[lonely.binance]
api_secret = "CANARYsecretCANARYsecret"

[wrong.binance]
api_key = 5
api_secret = "CANARYsecretCANARYsecret"
timeout = "CANARY is no secret here"

[half.binance]
api_key = "key"

[typo.binance]
environment = "testent"

[url.binance]
environment = "http://a.com"
"""


class TestFromFile:
    @pytest.fixture
    def path(self, tmp_path):
        (tmp_path / "exconnect.toml").write_text(FILE)
        return tmp_path / "exconnect.toml"

    def test_a_profile(self, path):
        settings = Settings.from_file(path, "binance")
        assert settings == Settings("binance", environment="testnet", timeout=5, budget_share=0.5, read_only=True)
        assert Settings.from_file(str(path), "binance") == settings

    def test_credentials_in_the_file(self, path, monkeypatch):
        credentials = Settings.from_file(path, "binance", profile="desk").credentials
        assert (credentials.key, credentials.kind) == ("key-of-the-desk", "hmac")
        assert not credentials.is_reference
        (path.parent / "desk.pem").write_text(ENCRYPTED)
        monkeypatch.chdir(path.parent)
        assert Settings.from_file(path, "bybit", profile="desk").credentials.kind == "ed25519"

    def test_the_file_beats_the_variables_and_they_fill_in_what_it_leaves_out(self, path, monkeypatch):
        monkeypatch.setenv("EXCONNECT_BINANCE_ENVIRONMENT", "demo")
        monkeypatch.setenv("EXCONNECT_BINANCE_API_KEY", KEY)
        monkeypatch.setenv("EXCONNECT_BINANCE_API_SECRET", SECRET)
        default = Settings.from_file(path, "binance")
        assert (default.environment, default.credentials.key) == ("testnet", KEY)
        desk = Settings.from_file(path, "binance", profile="desk")
        assert (desk.environment, desk.credentials.key) == ("demo", "key-of-the-desk")

    def test_variables_that_are_wrong_do_not_matter_when_the_file_has_a_key(self, path, monkeypatch):
        monkeypatch.setenv("EXCONNECT_BINANCE_API_KEY", KEY)
        assert Settings.from_file(path, "binance", profile="desk").credentials.key == "key-of-the-desk"

    @pytest.mark.parametrize(
        "exchange, profile, words",
        [
            ("kraken", "default", r"no table \[default\.kraken\]"),
            ("binance", "nobody", r"no table \[nobody\.binance\]"),
            ("binance", "bad", r"\[bad\.binance\] must be a table"),
            ("bybit", "bad", "unknown key 'tiemout'; known are account, api_key, api_secret, .*timeout"),
            ("binance", "lonely", "api_secret needs api_key beside it"),
            ("binance", "wrong", "credentials need key"),
            ("binance", "half", r"toml, \[half\.binance\]: api_key needs api_secret or private_key_file beside it"),
            ("binance", "typo", r"toml, \[typo\.binance\]: environment='testent': must be 'live', 'testnet', 'demo', "),
            ("binance", "url", r"toml, \[url\.binance\]: rest URL 'http://a\.com': without TLS"),
        ],
    )
    def test_what_is_wrong_is_named(self, path, exchange, profile, words):
        with pytest.raises(ConfigurationError, match=words):
            Settings.from_file(path, exchange, profile=profile)

    def test_a_variable_is_not_laid_at_the_file(self, path, monkeypatch):
        monkeypatch.setenv("EXCONNECT_ENVIRONMENT", "testent")
        with pytest.raises(ConfigurationError, match=r"^EXCONNECT_ENVIRONMENT='testent': must be"):
            Settings.from_file(path, "binance", profile="desk")

    @pytest.mark.parametrize("content", [b"a = ", b"\xff", b"a = " + b"[" * 10_000])
    def test_what_is_no_toml(self, path, content):
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match="no TOML: "):
            Settings.from_file(path, "binance")

    def test_no_file(self, tmp_path):
        with pytest.raises(ConfigurationError, match=r"settings: cannot read .*missing\.toml: No such file"):
            Settings.from_file(tmp_path / "missing.toml", "binance")


class TestClientWithAFile:
    """`EXCONNECT_CONFIG`: arguments beat the file, the file beats the environment variables and the defaults."""

    @pytest.fixture(autouse=True)
    def named(self, tmp_path, monkeypatch):
        (tmp_path / "exconnect.toml").write_text(FILE)
        monkeypatch.setenv("EXCONNECT_CONFIG", str(tmp_path / "exconnect.toml"))

    def test_the_file_beats_the_defaults(self):
        settings = Client("binance").settings
        assert (settings.environment, settings.timeout, settings.read_only) == ("testnet", 5, True)

    def test_arguments_beat_the_file_also_when_they_equal_the_defaults(self):
        given = {"environment": "live", "timeout": 12.0, "budget_share": 1.0, "read_only": False}
        settings = Client("binance", **given).settings
        assert {name: getattr(settings, name) for name in given} == given

    def test_none_is_not_said_but_for_the_journal(self):
        client = Client("binance", environment=None, proxy=None, journal=None)
        assert (client.environment, client.settings.journal) == ("testnet", None)

    def test_a_variable_that_is_set_to_nothing_is_not_set(self, monkeypatch):
        monkeypatch.setenv("EXCONNECT_PROFILE", "")
        assert Client("binance").environment == "testnet"
        monkeypatch.setenv("EXCONNECT_CONFIG", "")
        assert Client("binance").environment == "live"

    def test_what_can_be_given_is_still_to_be_seen(self):
        assert inspect.signature(Client).parameters["timeout"].default == 12.0


class TestMisuse:
    @pytest.mark.parametrize(
        "arguments, keywords, words",
        [
            (
                (),
                {"api_key": KEY},
                r"unexpected keyword argument 'api_key': did you mean credentials=Credentials\(key, ",
            ),
            ((), {"apiSecret": SECRET}, r"did you mean credentials=Credentials\(key, secret\)\?"),
            ((), {"enviroment": "testnet"}, "'enviroment': did you mean environment\\?"),
            ((), {"testnet": True}, r"'testnet': did you mean environment=\"testnet\"\?"),
            ((), {"sandboxMode": True}, r"did you mean environment=\"testnet\"\?"),
            ((), {"colour": "green"}, r"unexpected keyword argument 'colour'$"),
            ((KEY, SECRET), {}, "takes 2 positional arguments but 4 were given: all but the exchange go by name"),
        ],
    )
    def test_pythons_own_error_with_a_hint_and_without_what_was_given(self, arguments, keywords, words):
        with pytest.raises(TypeError, match=words) as caught:
            Client("binance", *arguments, **keywords)
        frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
        ours = [frame for frame in frames if frame.f_code.co_filename != __file__]
        assert ours
        assert not any("CANARY" in repr(frame.f_locals) for frame in ours)


class TestEndpoints:
    @pytest.mark.parametrize(
        "text, rest, stream, private",
        [
            ("https://a.com", "https://a.com", "wss://a.com", "wss://a.com"),
            ("http://127.0.0.1:80", "http://127.0.0.1:80", "ws://127.0.0.1:80", "ws://127.0.0.1:80"),
            ("http://localhost:8/", "http://localhost:8", "ws://localhost:8", "ws://localhost:8"),
            ("http://[::1]:8", "http://[::1]:8", "ws://[::1]:8", "ws://[::1]:8"),
            ("https://a.com wss://b.com:9", "https://a.com", "wss://b.com:9", "wss://b.com:9"),
            (" https://a.com  wss://b.com wss://c.com ", "https://a.com", "wss://b.com", "wss://c.com"),
            ("HTTPS://a.com wss://b.com", "https://a.com", "wss://b.com", "wss://b.com"),
            ("https://a.com/base/ wss://b.com", "https://a.com/base", "wss://b.com", "wss://b.com"),
        ],
    )
    def test_text(self, text, rest, stream, private):
        assert Endpoints.parse(text) == Endpoints(rest, stream, private)
        made = Endpoints.parse(text)
        assert (made.rest, made.stream, made.private) == (rest, stream, private)
        assert pickle.loads(pickle.dumps(made)) == made

    @pytest.mark.parametrize(
        "text, words",
        [
            ("", "environment='': one to three base URLs"),
            ("https://a.com wss://b.com wss://c.com wss://d.com", "one to three base URLs"),
            ("a.com", "rest URL 'a.com': must be https://host"),
            ("ftp://a.com", "rest URL 'ftp://a.com': must be https://host"),
            ("https://", "rest URL 'https://': must be https://host"),
            ("https://a.com:x", "rest URL 'https://a.com:x': must be https://host"),
            ("https://[a", r"rest URL 'https://\[a': must be https://host"),
            ("https://a.com?x=1", "must be https://host"),
            ("https://a.com#x", "must be https://host"),
            (r"https://127.0.0.1\.a.com", "must be https://host"),
            ("https://a.com https://b.com", "stream URL 'https://b.com': must be wss://host"),
            ("https://a.com wss://b.com https://c.com", "private URL 'https://c.com': must be wss://host"),
            ("http://a.com", "rest URL 'http://a.com': without TLS only this machine"),
            ("http://192.168.1.1", "without TLS only this machine"),
            ("http://127.0.0.1.a.com", "without TLS only this machine"),
            ("https://a.com ws://b.com", "stream URL 'ws://b.com': without TLS only this machine"),
        ],
    )
    def test_what_is_refused(self, text, words):
        with pytest.raises(ConfigurationError, match=words):
            Endpoints.parse(text)

    @pytest.mark.parametrize("login", ["me:CANARY", ":CANARY", "CANARY"])
    def test_a_password_in_an_address_is_refused_and_not_repeated(self, login):
        with pytest.raises(ConfigurationError, match="rest URL with a user name: must be https://host") as refused:
            Endpoints.parse(f"https://{login}@a.com")
        assert "CANARY" not in str(refused.value)

    def test_what_is_no_text(self):
        with pytest.raises(ConfigurationError, match="rest URL 5: must be https://host"):
            Endpoints(5, "wss://a.com", "wss://a.com")

    @pytest.mark.parametrize(
        "host, is_here",
        [
            ("localhost", True),
            ("127.0.0.1", True),
            ("127.9.9.9", True),
            ("::1", True),
            ("0.0.0.0", False),
            ("10.0.0.1", False),
            ("localhost.example.com", False),
            ("", False),
        ],
    )
    def test_which_hosts_are_this_machine(self, host, is_here):
        assert is_loopback(host) is is_here


class TestCanary:
    """Nothing of a secret in repr, str, pickle, messages, or the locals of our frames in a traceback."""

    CANARIES = (SECRET, PASSPHRASE, KEY, middle(ED25519), middle(ENCRYPTED), middle(RSA))

    def assert_clean(self, text):
        assert not [canary for canary in self.CANARIES if canary in text]

    @pytest.mark.parametrize(
        "given",
        [
            {"secret": SECRET},
            {"private_key": ED25519},
            {"private_key": ENCRYPTED, "passphrase": PASSPHRASE},
            {"private_key": ENCRYPTED, "passphrase": PASSPHRASE + "!"},
            {"private_key": RSA},
        ],
    )
    def test_credentials_and_settings_show_nothing(self, given):
        credentials = Credentials(KEY, **given)
        settings = Settings("binance", credentials=credentials)
        secret = Secret.of(SECRET)
        for what in (credentials, settings, secret, Secret.of(secret), vars(type(credentials)), [credentials._key]):
            self.assert_clean(repr(what) + str(what) + f"{what}")
        with pytest.raises(TypeError, match="Secret holds a literal secret"):
            pickle.dumps(secret)

    @pytest.mark.parametrize(
        "act",
        [
            lambda: Credentials(KEY),
            lambda: Credentials(KEY, SECRET, private_key=ED25519),
            lambda: Credentials(KEY, SECRET, kind="rsa"),
            lambda: Credentials(KEY, SECRET, passphrase=PASSPHRASE),
            lambda: Credentials(KEY, private_key="", passphrase=PASSPHRASE),
            lambda: Credentials(f"{KEY} {KEY}", SECRET),
            lambda: Credentials(KEY, private_key=ENCRYPTED).signing_key(),
            lambda: Credentials(KEY, private_key=ENCRYPTED, passphrase=PASSPHRASE + "!").signing_key(),
            lambda: Credentials(KEY, private_key=middle(RSA)).signing_key(),
            lambda: signer(Credentials(KEY, private_key=ED25519, passphrase=PASSPHRASE)),
            lambda: pickle.dumps(Credentials(KEY, SECRET)),
            lambda: pickle.dumps(Settings("binance", credentials=Credentials(KEY, SECRET))),
            lambda: Settings("binance", credentials=Credentials(KEY, SECRET), timeout=0),
        ],
    )
    def test_a_traceback_with_locals_shows_nothing(self, act):
        text, error = shown_with_locals(act)
        self.assert_clean(text)
        self.assert_clean(repr(error) + repr(error.__context__) + repr(error.__cause__))
        assert error.__context__ is None or error.__suppress_context__

    @pytest.mark.parametrize(
        "variables",
        [
            {"API_KEY": KEY},
            {"API_KEY": KEY, "API_SECRET": SECRET, "PRIVATE_KEY_FILE": "key.pem"},
            {"API_KEY": f"{KEY} {KEY}", "API_SECRET": SECRET},
        ],
    )
    def test_neither_do_variables(self, monkeypatch, variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"EXCONNECT_BINANCE_{name}", value)
        self.assert_clean(shown_with_locals(lambda: Settings.from_env("binance"))[0])

    @pytest.mark.parametrize(
        "content",
        [
            f'[default.binance]\napi_key = "{KEY}"\napi_secret = "{SECRET}"\ntimeout = 0',
            f'[default.binance]\napi_key = "{KEY}"\napi_secret = "{SECRET}"\ntiemout = 5',
            f'[default.binance]\napi_key = "{KEY}"\napi_secret = "{SECRET}"\npassphrase = "{PASSPHRASE}"',
            f'[default.bybit]\napi_key = "{KEY}"\napi_secret = "{SECRET}"',
            f'[default.binance]\napi_key = "{KEY}"\napi_secret = "{SECRET}',
            f'[default]\nbinance = "{SECRET}"',
        ],
    )
    def test_neither_does_a_file(self, tmp_path, content):
        (tmp_path / "exconnect.toml").write_text(content)
        text, error = shown_with_locals(lambda: Settings.from_file(tmp_path / "exconnect.toml", "binance"))
        self.assert_clean(text + repr(error.__context__))


def test_making_settings_reads_no_file_makes_no_lock_and_starts_no_thread(monkeypatch):
    def refuse(*args, **kwargs):
        pytest.fail("made or opened too early")

    for name in ("EXCONNECT_BINANCE_API_KEY_FILE", "EXCONNECT_BINANCE_API_SECRET_FILE"):
        monkeypatch.setenv(name, "/no/such/file")
    for name in ("Lock", "RLock", "Condition", "Event", "Thread"):
        monkeypatch.setattr(threading, name, refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    settings = Settings.from_env("binance")
    assert settings.credentials.is_reference
    assert Settings("binance", credentials=Credentials(KEY, private_key_file="/no/such"), risk=[MaxOrderRate(1, 1)])
