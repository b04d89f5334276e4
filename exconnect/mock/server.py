"""Sockets and threads of the mock exchange. Knows HTTP and websockets, but no dialect.

One port serves both: a request with an Upgrade header becomes a websocket. Each connection has a thread. Requests
are read by hand and answered in one write with Nagle's algorithm off, because a test exchange must be cheaper than
what is tested with it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import selectors
import socket
import struct
import threading
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

from . import http
from .steps import Reset, Send, Wait
from .threads import monotonic, spawn
from .websocket import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from .steps import Exchange

END_OF_HEAD = b"\r\n\r\n"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_numbers = itertools.count(1)
_servers: weakref.WeakSet[Server] = weakref.WeakSet()


class Server:
    """Serves one exchange on one loopback port until ``stop``."""

    def __init__(self, exchange: Exchange, lock: threading.RLock, now_ms: Callable[[], int], port: int) -> None:
        self.exchange = exchange
        self.lock = lock
        self.now_ms = now_ms
        self.stopping = threading.Event()
        self._port = port
        self._listener: socket.socket | None = None
        self._bell, self._ear = socket.socketpair()
        self._sockets: set[socket.socket] = set()
        self._connections: set[Connection] = set()
        self._threads: list[threading.Thread] = []
        self._guard = threading.Lock()
        self._sleeps_until_ms = 0.0
        _servers.add(self)

    def start(self) -> int:
        """Listens; gives the port. Raises: OSError if it is taken."""
        try:
            self._listener = socket.create_server(("127.0.0.1", self._port), backlog=256)
        except OSError:
            self.abandon()
            raise
        self._threads += [spawn("accept", self._accept), spawn("market", self._drive)]
        return int(self._listener.getsockname()[1])

    def stop(self, within: float) -> None:
        """Ends all threads, whatever they wait for."""
        until = monotonic() + within
        self.stopping.set()
        self.wake()
        if self._listener is not None:
            shut(self._listener)
        with self._guard:
            for sock in self._sockets:
                shut(sock)
            threads = list(self._threads)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - monotonic()))
        self.abandon()

    def abandon(self) -> None:
        """Closes this process's copies of the sockets, nothing else: also what a forked child does."""
        for sock in (self._listener, self._bell, self._ear, *self._sockets):
            if sock is not None:
                sock.close()

    def connections(self, kind: str) -> int:
        """Open websockets of a kind."""
        with self._guard:
            return sum(connection.kind == kind for connection in self._connections)

    def hang_up(self, kind: str) -> None:
        """Every websocket of a kind (``*``: of all) is cut, without a word."""
        with self._guard:
            chosen = [connection for connection in self._connections if kind in {"*", connection.kind}]
        for connection in chosen:
            connection.cut()

    def wake(self) -> None:
        """Something has changed for the market thread."""
        with contextlib.suppress(OSError):
            self._bell.send(b"x")

    def nudge(self) -> None:
        """Wakes the market thread if something will now happen before it wakes by itself. Caller holds the lock."""
        if self.exchange.next_ms() < self._sleeps_until_ms:
            self.wake()

    # Threads

    def _accept(self) -> None:
        listener = self._listener
        if listener is None:
            return
        listener.settimeout(0.1)
        while not self.stopping.is_set():
            try:
                sock, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self._adopt(sock)

    def _adopt(self, sock: socket.socket) -> None:
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._guard:
            if self.stopping.is_set():  # whoever ends the threads has seen them all already
                sock.close()
                return
            self._sockets.add(sock)
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._threads.append(spawn("connection", lambda: self._run(sock)))

    def _run(self, sock: socket.socket) -> None:
        try:
            _Http(self, sock).serve()
        except OSError:
            pass  # the client is gone, or we are stopping
        finally:
            with self._guard:
                self._sockets.discard(sock)
            sock.close()

    def _drive(self) -> None:
        """What the exchange does by itself."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._ear, selectors.EVENT_READ)
            while not self.stopping.is_set():
                with self.lock:
                    now_ms = self.now_ms()
                    self.exchange.advance(now_ms)
                    self._sleeps_until_ms = self.exchange.next_ms()
                    wait = (self._sleeps_until_ms - now_ms) / 1000
                if selector.select(min(max(wait, 0.0), 1.0)):
                    self._ear.recv(4096)

    def upgrade(self, sock: socket.socket, request: http.Request, rest: bytes) -> None:
        """The handshake, then the websocket until its end."""
        connection = Connection(self, sock)
        try:
            self._talk(connection, sock, request, rest)
        finally:
            connection.release()

    def _talk(self, connection: Connection, sock: socket.socket, request: http.Request, rest: bytes) -> None:
        with self.lock:
            opened = self.exchange.open(request, connection.post, self.now_ms())
        if isinstance(opened, Reset):
            reset(sock)
        elif isinstance(opened, http.Response):
            sock.sendall(opened.encode())
        else:
            with self._guard:
                self._connections.add(connection)
            try:
                connection.serve(request, opened, rest)
            finally:
                with self._guard:
                    self._connections.discard(connection)
                with self.lock:
                    opened.close()


class _Http:
    """One connection's requests, one after the other."""

    def __init__(self, server: Server, sock: socket.socket) -> None:
        self._server = server
        self._sock = sock
        self._data = b""
        self._number = next(_numbers)

    def serve(self) -> None:
        while (request := self._read()) is not None:
            if request.headers.get("upgrade", "").lower() == "websocket":
                self._server.upgrade(self._sock, request, self._data)
                return
            if not self._answer(request) or not request.keeps_alive:
                return

    def _read(self) -> http.Request | None:
        """The next request; None at the end of the connection."""
        while END_OF_HEAD not in self._data:
            if len(self._data) > http.MAX_HEAD or not self._more():
                return None
        raw, _, self._data = self._data.partition(END_OF_HEAD)
        try:
            request, length = http.head(raw)
        except http.BadRequest:
            self._sock.sendall(http.Response(400, "{}", {"Connection": "close"}).encode())
            return None
        if request.headers.get("expect", "").lower() == "100-continue":
            self._sock.sendall(CONTINUE)
        while len(self._data) < length:
            if not self._more():
                return None
        body, self._data = self._data[:length], self._data[length:]
        return replace(request, body=body.decode("utf-8", "replace"), connection=self._number)

    def _more(self) -> bool:
        data = self._sock.recv(65_536)
        self._data += data
        return bool(data)

    def _answer(self, request: http.Request) -> bool:
        """Takes the exchange's steps; False ends the connection."""
        server = self._server
        with server.lock:
            steps = server.exchange.serve(request, server.now_ms())
            step = next(steps)
            server.nudge()
        while isinstance(step, Wait):
            if server.stopping.wait(step.seconds):
                return False
            with server.lock:
                step = steps.send(server.now_ms())
                server.nudge()
        if isinstance(step, Send):
            self._sock.sendall(step.response.encode())
            return True
        reset(self._sock)
        return False


def reset(sock: socket.socket) -> None:
    """Closes with a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    sock.close()


def shut(sock: socket.socket) -> None:
    """Wakes whoever reads from it."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _leave_to_parent() -> None:
    for server in list(_servers):
        server.abandon()


os.register_at_fork(after_in_child=_leave_to_parent)
