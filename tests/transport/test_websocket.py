"""The websocket against real servers on loopback: plain, TLS, behind proxies, silent, rude."""

from __future__ import annotations

import base64
import contextlib
import os
import select
import socket
import socketserver
import ssl
import threading
import time

import pytest
import trustme
from websockets.sync.server import serve

from exconnect.errors import ConfigurationError, TransportError
from exconnect.transport.route import Target, proxy_for
from exconnect.transport.websocket import Ping, Undecodable, WebSocket


class Server:
    """`talk` is called for each connection in a thread of its own."""

    def __init__(self, talk, tls=None):
        self.failures = []

        def guarded(connection):
            try:
                talk(connection)
            except Exception as error:
                self.failures.append(error)
                raise

        self._server = serve(guarded, "127.0.0.1", 0, ssl=tls, compression=None, ping_interval=None, max_size=None)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.port = self._server.socket.getsockname()[1]
        self.url = f"{'ws' if tls is None else 'wss'}://localhost:{self.port}"

    def __enter__(self):
        self._threads = set(threading.enumerate())
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        for thread in set(threading.enumerate()) - self._threads - {threading.current_thread()}:
            thread.join(30)


class Raw:
    """Accepts one connection after the other and does with it what the test says."""

    def __init__(self, talk):
        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with contextlib.suppress(OSError):
                    talk(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.port = self._server.server_address[1]
        self.url = f"ws://127.0.0.1:{self.port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def opened(url, **options):
    sock = WebSocket(url, now=time.monotonic, **options)
    sock.open()
    return sock


def until(sock, count):
    """The next `count` things that come."""
    received = []
    while len(received) < count:
        assert sock.pending() or select.select([sock.fileno()], [], [], 10)[0], f"only {received} came"
        received += sock.receive()
    return received


def echo(connection):
    for text in connection:
        connection.send(text)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(params=["plain", "tls"])
def secured(request, authority, tmp_path):
    """Server context and client options."""
    if request.param == "plain":
        return None, {}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return context, {"ca_file": str(file)}


def test_there_and_back(secured):
    tls, options = secured
    with Server(echo, tls) as server:
        sock = opened(server.url, **options)
        texts = ["{}", "žluťoučký 🐎", "x" * 200_000, *(str(number) for number in range(500))]
        for text in texts:
            sock.send(text)
        assert until(sock, len(texts)) == texts
        assert sock.received_bytes > 200_000
        assert sock.receive() == []
        sock.close()


def test_options_of_the_socket():
    with Server(echo) as server:
        sock = opened(server.url)
        tcp = sock._socket
        assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert tcp.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 15_000
        assert tcp.gettimeout() == 0
        sock.close()


def test_pings_are_answered_and_reported(secured):
    tls, options = secured
    answered = threading.Event()

    def talk(connection):
        if connection.ping(b"payload").wait(10):
            answered.set()
        connection.send("done")
        connection.recv()

    with Server(talk, tls) as server:
        sock = opened(server.url, **options)
        assert until(sock, 2) == [Ping(b"payload"), "done"]
        assert answered.is_set()
        sock.send("go")
        sock.close()


def test_messages_in_parts(secured):
    tls, options = secured

    def talk(connection):
        connection.send(["a", "b" * 70_000, "c"])
        connection.recv()

    with Server(talk, tls) as server:
        sock = opened(server.url, **options)
        assert until(sock, 1) == ["a" + "b" * 70_000 + "c"]
        sock.send("go")
        sock.close()


def test_what_is_no_text_is_told_and_the_connection_lives():
    def talk(connection):
        connection.send(b"\x00")
        connection.send(b"\xff\xfe", text=True)
        connection.send("fine")
        connection.recv()

    with Server(talk) as server:
        sock = opened(server.url)
        assert until(sock, 3) == [Undecodable("binary"), Undecodable("no UTF-8"), "fine"]
        sock.send("go")
        sock.close()


def test_a_close_has_its_code_and_reason():
    with Server(lambda connection: connection.close(1008, "too fast")) as server:
        sock = opened(server.url)
        with pytest.raises(TransportError, match="1008 too fast"):
            until(sock, 1)
        sock.close()


def test_what_came_before_the_end_is_not_lost_with_it(secured):
    tls, options = secured

    def talk(connection):
        connection.recv()
        with connection.protocol_mutex:  # all in one piece
            for text in ("one", "two"):
                connection.protocol.send_text(text.encode())
            connection.protocol.send_close(4000, "enough")
            connection.socket.sendall(b"".join(connection.protocol.data_to_send()))

    with Server(talk, tls) as server:
        sock = opened(server.url, **options)
        sock.send("go")
        assert until(sock, 2) == ["one", "two"]
        assert sock.pending()
        for _ in range(2):
            with pytest.raises(TransportError, match="4000 enough"):
                sock.receive()
        sock.close()


def test_goodbye_is_answered():
    codes, done = [], threading.Event()

    def talk(connection):
        with contextlib.suppress(Exception):
            connection.recv()
        codes.append(connection.protocol.close_code)
        done.set()

    with Server(talk) as server:
        sock = opened(server.url)
        sock.close()
        sock.close()
        assert done.wait(30)
    assert codes == [1000]
    with pytest.raises(TransportError, match="closed"):
        sock.send("late")


def test_the_library_is_imported_on_first_use():
    import subprocess
    import sys

    code = "import exconnect.stream, sys; sys.exit('websocket' in sys.modules or 'requests' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---------------------------------------------------------------- who is not to be trusted


def test_an_unknown_authority_is_refused(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with Server(echo, context) as server, pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
        opened(server.url)


def test_a_certificate_for_another_name_is_refused(authority, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("example.com").configure_cert(context)
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    with Server(echo, context) as server, pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
        opened(server.url, ca_file=str(file))


def test_no_variable_makes_the_keys_of_a_connection_known(authority, tmp_path, monkeypatch):
    log, file = tmp_path / "keys.log", tmp_path / "ca.pem"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(file))
    with Server(echo, context) as server:
        opened(server.url, ca_file=str(file)).close()
    assert not log.exists()


def test_a_ca_file_without_certificates(tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    with Server(echo) as server, pytest.raises(ConfigurationError, match="holds no certificates"):
        opened(server.url.replace("ws", "wss", 1), ca_file=str(file))


def answer(text):
    def talk(sock):
        sock.recv(65_536)
        sock.sendall(text.encode())

    return talk


@pytest.mark.parametrize(
    "text",
    [
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/elsewhere\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "",
    ],
    ids=["404", "429", "redirect", "wrong accept", "no HTTP", "nothing"],
)
def test_what_is_no_websocket(text):
    with Raw(answer(text)) as server:
        sock = WebSocket(server.url, now=time.monotonic)
        with pytest.raises(TransportError):
            sock.open()
        assert sock._socket is None


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TransportError, match="refused"):
        opened(f"ws://127.0.0.1:{port}")
    with pytest.raises(TransportError, match=r"no connection to nowhere\.invalid:80"):
        opened("ws://nowhere.invalid")


def test_an_address_that_answers_nothing_leaves_time_for_the_next(monkeypatch):
    with Server(echo) as server, socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        hole = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]  # more than it has room for: what comes after hears nothing
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(hole)
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda *_, **__: [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (hole, ("127.0.0.1", server.port))
            ],
        )
        sock = WebSocket("ws://two.addresses", now=time.monotonic)
        sock.open(timeout=2.0)
        sock.close()
        for each in waiting:
            each.close()


def test_a_server_that_drips_does_not_hold_us():
    go = threading.Event()

    def drip(sock):
        sock.recv(65_536)
        for byte in b"HTTP/1.1 101 Switching Protocols\r\n" * 100:
            sock.sendall(bytes([byte]))
            if go.wait(0.05):
                return

    with Raw(drip) as server:
        sock = WebSocket(server.url, now=time.monotonic)
        begin = time.monotonic()
        with pytest.raises(TransportError):
            sock.open(timeout=1.0)
        assert time.monotonic() - begin < 20
        go.set()


def test_a_server_that_floods_the_handshake_does_not_fill_the_memory():
    def flood(sock):
        sock.recv(65_536)
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\n")
        while True:
            sock.sendall(b"X: " + b"y" * 60_000 + b"\r\n")

    with Raw(flood) as server, pytest.raises(TransportError):
        opened(server.url)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_abort_frees_a_handshake_that_hangs(scheme):
    begun, go = threading.Event(), threading.Event()

    def hang(sock):
        sock.recv(1)
        begun.set()
        go.wait(10)

    with Raw(hang) as server:
        sock = WebSocket(server.url.replace("ws", scheme, 1), now=time.monotonic)
        failed = []

        def open_it():
            try:
                sock.open(timeout=10)
            except TransportError as error:
                failed.append(error)

        thread = threading.Thread(target=open_it)
        thread.start()
        assert begun.wait(30)
        sock.abort()
        thread.join(30)
        assert failed
        go.set()


def test_a_lost_connection_is_a_transport_error():
    def talk(connection):
        connection.socket.shutdown(socket.SHUT_RDWR)

    with Server(talk) as server:
        sock = opened(server.url)
        with pytest.raises(TransportError):
            until(sock, 1)
        sock.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_gives_its_copy_up_without_a_word(secured):
    tls, options = secured
    with Server(echo, tls) as server:
        sock = opened(server.url, **options)
        pid = os.fork()
        if pid == 0:
            sock.abandon()
            os._exit(0)
        os.waitpid(pid, 0)
        sock.send("still here")
        assert until(sock, 1) == ["still here"]
        sock.close()


# ---------------------------------------------------------------- proxies


class Proxy(Raw):
    """A CONNECT proxy that knows one user."""

    def __init__(self, target, user=None, status="200 OK"):
        self.requests = []

        def talk(sock):
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                request += sock.recv(1)
            self.requests.append(request.decode())
            wanted = None if user is None else base64.b64encode(user.encode()).decode()
            if wanted is not None and f"Basic {wanted}" not in request.decode():
                sock.sendall(b"HTTP/1.1 407 Who are you\r\n\r\n")
                return
            sock.sendall(f"HTTP/1.1 {status}\r\nVia: test\r\n\r\n".encode())
            if status.startswith("200"):
                pump(sock, target)

        super().__init__(talk)


def pump(sock, port):
    with socket.create_connection(("127.0.0.1", port)) as onward:
        while True:
            for ready in select.select([sock, onward], [], [], 10)[0]:
                data = ready.recv(65_536)
                if not data:
                    return
                (onward if ready is sock else sock).sendall(data)


@pytest.fixture
def beyond(monkeypatch):
    """`localhost` and 127.0.0.1 are no loopback for the code under test, or it would not take the proxy."""
    monkeypatch.setattr("exconnect.transport.route.is_loopback", lambda host: False)


def test_through_an_http_proxy(beyond):
    with Server(echo) as server, Proxy(server.port, "me:p@ss") as proxy:
        sock = opened(server.url, proxy=f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        sock.send("hello")
        assert until(sock, 1) == ["hello"]
        sock.close()
    assert proxy.requests[0].startswith(f"CONNECT localhost:{server.port} HTTP/1.1\r\n")


def test_tls_through_an_http_proxy(beyond, authority, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    with Server(echo, context) as server, Proxy(server.port) as proxy:
        sock = opened(server.url, proxy=f"http://127.0.0.1:{proxy.port}", ca_file=str(file))
        sock.send("hello")
        assert until(sock, 1) == ["hello"]
        sock.close()


def test_a_proxy_that_refuses_and_the_password_stays_secret(beyond):
    with Proxy(1, "me:secret") as proxy, pytest.raises(TransportError, match="407") as caught:
        opened("ws://localhost:1", proxy=f"http://you:hidden@127.0.0.1:{proxy.port}")
    assert "hidden" not in str(caught.value)


def socks(target):
    """Talks SOCKS5 without a password, and leads everybody to `target`."""

    def talk(sock):
        sock.recv(2 + sock.recv(2, socket.MSG_PEEK)[1])
        sock.sendall(b"\x05\x00")
        request = sock.recv(300)
        names.append(request[5 : 5 + request[4]].decode())
        sock.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        pump(sock, target)

    names = []
    return names, talk


def test_through_a_socks_proxy_that_looks_names_up(beyond):
    with Server(echo) as server:
        names, talk = socks(server.port)
        with Raw(talk) as proxy:
            sock = opened(server.url, proxy=f"socks5h://127.0.0.1:{proxy.port}")
            sock.send("hello")
            assert until(sock, 1) == ["hello"]
            sock.close()
    assert names == ["localhost"]


def test_a_proxy_of_another_kind(beyond):
    with pytest.raises(ConfigurationError, match="socks5h"):
        opened("ws://localhost:1", proxy="https://127.0.0.1:1")


def test_which_proxy(monkeypatch):
    live, mock = Target("stream.example", 443, "wss"), Target("127.0.0.1", 443, "wss")
    assert proxy_for(live, None) is None
    assert proxy_for(live, "http://p:1") == "http://p:1"
    assert proxy_for(mock, "http://p:1") is None
    assert proxy_for(live, "env") is None
    monkeypatch.setenv("ALL_PROXY", "socks5h://all:1")
    assert proxy_for(live, "env") == "socks5h://all:1"
    monkeypatch.setenv("HTTPS_PROXY", "secure:1")
    assert proxy_for(live, "env") == "http://secure:1"
    assert proxy_for(live._replace(scheme="ws"), "env") == "socks5h://all:1"
    monkeypatch.setenv("NO_PROXY", ".example")
    assert proxy_for(live, "env") is None
    assert proxy_for(mock, "env") is None
