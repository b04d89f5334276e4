"""The guards of conftest.py, seen to bite."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).with_name("conftest.py")


@pytest.fixture
def guarded(pytester):
    pytester.makeconftest(CONFTEST.read_text())
    return pytester


def test_a_thread_that_outlives_its_test_fails_it(guarded):
    guarded.makepyfile("""
        import threading

        release = threading.Event()

        def test_leaves_a_thread():
            threading.Thread(target=release.wait, name="left-behind", daemon=True).start()

        def test_end():
            release.set()
    """)
    result = guarded.runpytest_inprocess("-p", "no:exconnect", "-p", "no:rerunfailures")  # it has a thread of its own
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*threads outlived the test: left-behind*"])
    for thread in threading.enumerate():
        if thread.name == "left-behind":
            thread.join()


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 80), ("example.com", 80)])
def test_no_address_but_loopback(address):
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as sock:
        for connect in (sock.connect, sock.connect_ex):
            with pytest.raises(pytest.fail.Exception, match=address[0]):
                connect(address)
    with pytest.raises(pytest.fail.Exception, match=address[0]):
        socket.getaddrinfo(*address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2", None])
def test_loopback_is_free(host):
    assert socket.getaddrinfo(host, 80)


def test_names_that_do_not_exist_are_not_looked_up():
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("exchange.invalid", 443)


def test_settings_of_the_machine_are_not_seen(tmp_path):
    ours = [name for name in os.environ if name.startswith("EXCONNECT_")]
    assert ours == ["EXCONNECT_STATE_DIR"]
    assert Path(os.environ["EXCONNECT_STATE_DIR"]).is_relative_to(tmp_path)
