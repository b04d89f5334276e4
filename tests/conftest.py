"""What holds for every test: no thread outlives it, no byte leaves the machine, no state is left behind."""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

# Two busy cores say nothing about a property, so neither the deadline nor a slow draw may fail one.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=40)
settings.register_profile("ci", settings.get_profile("default"), max_examples=100)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True)
def no_thread_outlives_the_test():
    before = set(threading.enumerate())
    yield
    left = [thread.name for thread in threading.enumerate() if thread not in before]
    if left:
        pytest.fail(f"threads outlived the test: {', '.join(sorted(left))}")


def is_loopback(host: str | bytes | None) -> bool:
    """Whether `host`, a name or an address, can only be this machine; None and "" are addresses to listen on."""
    text = host.decode() if isinstance(host, bytes) else host or "localhost"
    if text == "localhost":
        return True
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def no_address_but_loopback(monkeypatch):
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(address):
        if isinstance(address, tuple) and not is_loopback(address[0]):
            # A BaseException, so that no retry loop under test takes it for a network error.
            pytest.fail(f"a test tried to reach {address[0]}")

    def guarded_connect(self, address):
        check(address)
        return connect(self, address)

    def guarded_connect_ex(self, address):
        check(address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host, *args, **kwargs):
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and name.endswith(".invalid"):
            # Reserved for names that do not exist (RFC 2606): answered here, so that no resolver is asked.
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        check((host,))
        return getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)


@pytest.fixture(autouse=True)
def own_surroundings(monkeypatch, tmp_path):
    """No settings or proxies of the person who runs the tests; state goes to a folder of the test's own."""
    for name in list(os.environ):
        if name.startswith("EXCONNECT_") or name.upper() in PROXY_VARIABLES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("EXCONNECT_STATE_DIR", str(tmp_path / "state"))


# Read before any test may clear it.
SAMPLES = Path(os.environ.get("EXCONNECT_SAMPLES") or ROOT.parent / "shared" / "wire" / "samples")


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of recorded exchange messages: EXCONNECT_SAMPLES, or the one beside the checkout."""
    if not SAMPLES.is_dir():
        pytest.skip("the recorded messages are not here; set EXCONNECT_SAMPLES to their folder")
    return SAMPLES
