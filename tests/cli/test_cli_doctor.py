"""`exconnect doctor`: what is wrong is found, said, and comes with advice; what is well stays well offline."""

import ssl
import threading

import pytest

from exconnect import Client, OutcomeUnknown
from exconnect.cli.doctor.machine import is_older
from exconnect.credentials import Credentials

pytestmark = pytest.mark.network

NAMES = [
    "python", "packages", "extras", "patches", "state", "secrets", "journal", "rest dns", "rest tcp", "stream dns",
    "stream tcp", "proxies", "rest", "clock", "stream", "key", "limits",
]  # fmt: skip


@pytest.fixture
def doctor(on):
    """`doctor()` → exit code, checks by name, everything that was written."""

    def call(*words):
        ran = on("doctor", *words)
        assert list(ran.last) == ["ok", "checks"]
        assert all(list(check) == ["name", "ok", "detail", "advice"] for check in ran.last["checks"])
        assert ran.last["ok"] is (ran.code == 0)
        assert ran.last["ok"] is all(check["ok"] for check in ran.last["checks"])
        return ran.code, {check["name"]: check for check in ran.last["checks"]}, ran.out + ran.err

    return call


def wrong(checks):
    return [name for name, check in checks.items() if not check["ok"]]


def test_all_is_well_on_a_mock_exchange(run):
    ran = run("doctor", "--environment", "mock", "--json")
    assert ran.code == 0, ran.out
    assert [check["name"] for check in ran.last["checks"]] == NAMES
    details = {check["name"]: check["detail"] for check in ran.last["checks"]}
    assert "hmac key" in details["key"]
    assert "trades" in details["key"]
    assert "of 6000" in details["limits"]
    assert "requests" in details["packages"]
    assert "mock" in details["extras"].split("; not there")[0]


def test_for_people(run):
    ran = run("doctor", "--environment", "mock")
    assert ran.code == 0
    assert ran.lines[-1] == "all is well"
    assert sum(line.startswith("✓") for line in ran.lines) == len(NAMES)


def test_each_extra_that_is_missing_has_a_line_of_its_own(run, monkeypatch):
    from exconnect.cli.doctor import machine

    known = machine._installed
    missing = ("celery", "django")
    monkeypatch.setattr(machine, "_installed", lambda name: None if name.lower() in missing else known(name))
    lines = [line.strip() for line in run("doctor", "--environment", "mock").lines]
    first = lines.index("→ what you want of them:") + 1
    shown = [line.split(": pip install '")[0] for line in lines[first:] if ": pip install '" in line]
    assert [extra for extra in shown if extra in missing] == list(missing)


def test_without_a_key(doctor):
    code, checks, _ = doctor()
    assert code == 0
    assert checks["key"]["ok"]
    assert "EXCONNECT_BINANCE_API_KEY" in checks["key"]["advice"]


def test_a_halt_and_an_order_without_an_answer(doctor, mock, monkeypatch):
    for name, value in mock.env().items():
        monkeypatch.setenv(name, value)
    assert doctor()[1]["journal"]["detail"].endswith(".journal is made with the account's first order")
    with Client("binance") as client:
        client.place_order("BTC/USDT", "buy", "0.01", price="59000")
        mock.faults.add("reset", on="place_order", at="before_accept")
        with pytest.raises(OutcomeUnknown):
            client.place_order("BTC/USDT", "buy", "0.01", price="59000", timeout=1)
    code, checks, _ = doctor()
    assert (code, wrong(checks)) == (0, [])
    assert checks["journal"]["detail"].endswith(": 2 open, 1 of them without an answer")
    assert "exconnect journal reconcile" in checks["journal"]["advice"]
    with Client("binance") as client:
        client.halt("lunch")
    code, checks, _ = doctor()
    assert (code, wrong(checks)) == (1, ["journal"])
    assert "(lunch): no order leaves" in checks["journal"]["detail"]
    assert "exconnect resume" in checks["journal"]["advice"]


def test_a_journal_that_is_none(doctor, mock, monkeypatch):
    for name, value in mock.env().items():
        monkeypatch.setenv(name, value)
    Client("binance").journal.write_bytes(b"no database" * 1000)
    code, checks, _ = doctor()
    assert (code, wrong(checks)) == (1, ["journal"])
    assert "file is not a database" in checks["journal"]["detail"]


def test_a_clock_that_is_wrong(doctor, mock):
    mock.clock_offset = -30
    code, checks, _ = doctor()
    assert (code, wrong(checks)) == (1, ["clock"])
    assert "behind this machine" in checks["clock"]["detail"]
    assert "set-ntp" in checks["clock"]["advice"]


@pytest.mark.parametrize("kind", ["hmac", "ed25519"])
def test_keys_are_named_and_not_shown(doctor, mock, monkeypatch, tmp_path, kind):
    credentials = mock.credentials(kind)
    monkeypatch.setenv("EXCONNECT_BINANCE_API_KEY", credentials.key)
    secret = "not-this-one-but-longer-than-this"
    if kind == "hmac":
        secret = mock.env()["EXCONNECT_BINANCE_API_SECRET"]
        monkeypatch.setenv("EXCONNECT_BINANCE_API_SECRET", secret)
    else:
        pytest.importorskip("cryptography", reason="the extra crypto is not installed")
        file = tmp_path / "key.pem"
        file.write_bytes(pem_of(credentials))
        file.chmod(0o600)
        monkeypatch.setenv("EXCONNECT_BINANCE_PRIVATE_KEY_FILE", str(file))
    code, checks, everything = doctor()
    assert code == 0, everything
    assert checks["key"]["detail"].startswith(f"{kind} key …{credentials.key[-4:]}: reads, trades")
    assert credentials.key not in everything
    assert secret not in everything


def test_a_file_with_a_secret_that_others_may_read(doctor, mock, monkeypatch, tmp_path):
    variables = mock.env()
    secret = tmp_path / "secret"
    secret.write_text(variables["EXCONNECT_BINANCE_API_SECRET"])
    secret.chmod(0o640)
    monkeypatch.setenv("EXCONNECT_BINANCE_API_KEY", variables["EXCONNECT_BINANCE_API_KEY"])
    monkeypatch.delenv("EXCONNECT_BINANCE_API_SECRET", raising=False)
    monkeypatch.setenv("EXCONNECT_BINANCE_API_SECRET_FILE", str(secret))
    code, checks, _ = doctor()
    assert (code, wrong(checks)) == (1, ["secrets"])
    assert checks["secrets"]["advice"] == f"chmod 600 {secret}"
    secret.chmod(0o600)
    code, checks, _ = doctor()
    assert code == 0
    assert checks["secrets"]["detail"].startswith("in files")


def pem_of(credentials: Credentials) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return credentials.signing_key()[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_a_key_that_the_exchange_does_not_accept(doctor, monkeypatch):
    monkeypatch.setenv("EXCONNECT_BINANCE_API_KEY", "no-such-key-0123456789")
    monkeypatch.setenv("EXCONNECT_BINANCE_API_SECRET", "a-secret-of-nobody")
    code, checks, everything = doctor()
    assert (code, wrong(checks)) == (1, ["key"])
    assert "addresses" in checks["key"]["advice"]
    assert "a-secret-of-nobody" not in everything


def test_half_a_key_is_configuration(on, monkeypatch):
    monkeypatch.setenv("EXCONNECT_BINANCE_API_KEY", "only-the-key")
    assert "API_SECRET" in on("doctor").failed("configuration_error", 2)["message"]


def test_nobody_there(run):
    ran = run("doctor", "--environment", "http://127.0.0.1:1", "--json")
    assert ran.code == 3
    checks = {check["name"]: check for check in ran.last["checks"]}
    assert wrong(checks) == ["rest tcp", "stream tcp"]
    assert "refused" in checks["rest tcp"]["detail"]
    assert "firewall" in checks["rest tcp"]["advice"]


def test_a_name_that_nobody_knows(run):
    ran = run("doctor", "--environment", "https://api.example.invalid", "--json")
    checks = {check["name"]: check for check in ran.last["checks"]}
    assert (ran.code, wrong(checks)) == (3, ["rest dns", "stream dns"])
    assert "spelling" in checks["rest dns"]["advice"]


def test_an_exchange_that_is_down(doctor, mock):
    mock.faults.add("status", on="fetch_time", times=None, status=503)
    code, checks, _ = doctor("--timeout", "1")
    assert (code, wrong(checks)) == (3, ["rest"])
    assert checks["rest"]["advice"]


def test_websockets_that_do_not_get_through(doctor, mock):
    mock.faults.add("refuse", on="public", seconds=60)
    code, checks, _ = doctor("--timeout", "1")
    assert (code, wrong(checks)) == (1, ["stream"])
    assert "firewall" in checks["stream"]["advice"]


def test_a_state_directory_that_cannot_be_written(doctor, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EXCONNECT_STATE_DIR", str(tmp_path / "file" / "state"))
    code, checks, _ = doctor()
    assert (code, wrong(checks)) == (1, ["state"])
    assert "EXCONNECT_STATE_DIR" in checks["state"]["advice"]


def test_it_leaves_nothing_behind(doctor, monkeypatch, tmp_path):
    monkeypatch.setenv("EXCONNECT_STATE_DIR", str(tmp_path / "new" / "state"))
    code, checks, _ = doctor()
    assert code == 0
    assert "can be made" in checks["state"]["detail"]
    assert list(tmp_path.iterdir()) == []


def test_proxies_that_are_not_used(doctor, run, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hunter2@127.0.0.1:3128")
    code, checks, everything = doctor()
    assert code == 0
    assert "HTTPS_PROXY" in checks["proxies"]["detail"]
    assert "hunter2" not in everything
    ran = run("doctor", "--environment", "https://api.example.invalid", "--json")
    checks = {check["name"]: check for check in ran.last["checks"]}
    assert "proxies" in wrong(checks)
    assert 'proxy="env"' in checks["proxies"]["advice"]


def test_ssl_that_was_patched_too_late(doctor, monkeypatch):
    import urllib3.util.ssl_

    monkeypatch.setattr(urllib3.util.ssl_, "SSLContext", object)
    code, checks, _ = doctor("--timeout", "1")
    assert code == 1
    assert "patches" in wrong(checks)
    assert "monkey-patch first" in checks["patches"]["advice"]


@pytest.fixture
def encrypted():
    """A server that speaks TLS with a certificate of an authority that nobody knows; its URL and the authority."""
    trustme = pytest.importorskip("trustme")
    import socket

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"https://127.0.0.1:{server.getsockname()[1]}", authority
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def test_a_certificate_of_somebody_else(run, encrypted):
    ran = run("doctor", "--environment", encrypted[0], "--timeout", "2", "--json")
    checks = {check["name"]: check for check in ran.last["checks"]}
    assert (ran.code, wrong(checks)) == (3, ["rest tls", "stream tls"])
    assert "ca_file" in checks["rest tls"]["advice"]


def test_a_certificate_that_is_trusted(run, encrypted, monkeypatch, tmp_path):
    url, authority = encrypted
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    config = tmp_path / "exconnect.toml"
    config.write_text(f'[default.binance]\nca_file = "{tmp_path / "ca.pem"}"\n')
    monkeypatch.setenv("EXCONNECT_CONFIG", str(config))
    ran = run("doctor", "--environment", url, "--timeout", "1", "--json")
    checks = {check["name"]: check for check in ran.last["checks"]}
    assert (ran.code, wrong(checks)) == (3, ["rest"])  # it speaks TLS, and not our language
    assert "TLSv1.3" in checks["rest tls"]["detail"]


def test_a_ca_file_without_certificates(run, encrypted, monkeypatch, tmp_path):
    config, file = tmp_path / "exconnect.toml", tmp_path / "ca.pem"
    file.write_text("nothing")
    config.write_text(f'[default.binance]\nca_file = "{file}"\n')
    monkeypatch.setenv("EXCONNECT_CONFIG", str(config))
    ran = run("doctor", "--environment", encrypted[0], "--timeout", "2", "--json")
    checks = {check["name"]: check for check in ran.last["checks"]}
    assert (ran.code, wrong(checks)) == (1, ["rest tls", "stream tls"])
    assert str(file) in checks["rest tls"]["detail"]


@pytest.mark.parametrize(
    "version, least, older",
    [
        ("2.32", "2.32", False),
        ("2.32.0", "2.32", False),
        ("2.31.9", "2.32", True),
        ("10.0", "9.9", False),
        ("2.9.0.post0", "2.9.0", False),
        ("1", "1.0.1", True),
        ("14", "14.0", False),
    ],
)
def test_versions(version, least, older):
    assert is_older(version, least) is older


def test_a_package_that_is_too_old(doctor, monkeypatch):
    from exconnect.cli.doctor import machine

    known = machine._installed
    monkeypatch.setattr(
        machine, "_installed", lambda name: {"msgspec": "0.1", "websockets": None}.get(name, known(name))
    )
    code, checks, _ = doctor()
    assert (code, wrong(checks)) == (1, ["packages"])
    assert checks["packages"]["advice"] == "pip install 'msgspec>=0.19'"
    assert "mock" in checks["extras"]["advice"]
