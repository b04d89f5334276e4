"""A server on loopback whose answers are the bytes that a test writes."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
import trustme

from exconnect.environment import Environment
from exconnect.transport.http import Http


class RawServer:
    """Reads whole requests; `answer(socket, text of the request)` does the rest. It returns whether to go on."""

    def __init__(self, answer, tls=None):
        self.answer = answer
        self.tls = tls
        self.requests = []
        self.connections = 0
        self.ended = threading.Semaphore(0)  # once for each connection that the server has closed
        self._open = []
        self._threads = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._run(self._accept)

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def _run(self, what, *args):
        thread = threading.Thread(target=what, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._open.append(sock)
                self.connections += 1
                self._run(self._serve, sock)

    def _serve(self, sock):
        with contextlib.suppress(OSError):
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (request := self._request(sock)) is not None:
                self.requests.append(request)
                if not self.answer(sock, request):
                    break
            sock.close()
        self.ended.release()

    def _request(self, sock):
        data = b""
        while b"\r\n\r\n" not in data:
            part = sock.recv(65_536)
            if not part:
                return None
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += sock.recv(65_536)
        return (head + b"\r\n\r\n" + body).decode()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(30)


@pytest.fixture
def serve():
    servers = []

    def start(answer, tls=None):
        servers.append(RawServer(answer, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def http():
    made = []

    def make(url, *, env=None, **options):
        made.append(Http(url, env=env or Environment(), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture
def ca_file(authority, tmp_path):
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)
