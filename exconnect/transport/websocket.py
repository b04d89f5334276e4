"""One websocket: opened, read without blocking, written to, closed. Its owner is one thread; `abort` is for others.

The connection is made here (addresses, proxy, TLS, every step within a deadline), the handshake and the frames
that leave are websocket-client's, what arrives is cut by `frames`. websocket-client is imported on first use.
"""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from exconnect.errors import TransportError
from exconnect.transport import frames
from exconnect.transport.route import Target, connect
from exconnect.transport.tls import trusting

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

CONNECT_TIMEOUT = 5.0
SEND_TIMEOUT = 5.0
GOODBYE_TIMEOUT = 0.5
_READ = 65_536
_MAX_HANDSHAKE = 32_768


@dataclass(frozen=True, slots=True)
class Ping:
    """The server asked whether we are there; it has been answered."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A message that is no text."""

    reason: str


Received = str | Ping | Undecodable


class WebSocket:
    """A websocket to `url`. Nothing is opened before `open()`.

    `proxy` is as in `Settings.proxy`; this machine itself is never reached through one.
    """

    def __init__(
        self,
        url: str,
        *,
        now: Callable[[], float],
        proxy: str | None = None,
        ca_file: str | os.PathLike[str] | None = None,
    ) -> None:
        self._url = url
        self._now = now
        self._proxy = proxy
        self._ca_file = ca_file
        self._socket: socket.socket | None = None
        self._reader = frames.FrameReader()
        self._is_aborted = False
        self._failure: TransportError | None = None
        self._tls: ssl.SSLSocket | None = None
        self._not_yet: tuple[type[OSError], ...] = (BlockingIOError,)
        self.received_bytes = 0

    def open(self, timeout: float = CONNECT_TIMEOUT) -> None:
        """Connect, each of TCP (with the proxy), TLS and handshake within `timeout` seconds.

        Raises:
            TransportError: no connection, no trust, or no websocket there.
            ConfigurationError: a proxy or CA file that cannot work.
        """
        parts = urlsplit(self._url)
        target = Target(parts.hostname or "", parts.port or (443 if parts.scheme == "wss" else 80), parts.scheme)
        try:
            self._own(connect(target, self._proxy, self._now, timeout, self._own))
            if parts.scheme == "wss":
                self._secure(target.host, timeout)
            self._shake_hands(timeout)
        except (OSError, ValueError) as error:
            self._drop()
            raise TransportError(f"no connection to {target.host}:{target.port}: {error}") from error
        except BaseException:
            self._drop()
            raise

    def _own(self, sock: socket.socket) -> None:
        self._socket = sock
        if self._is_aborted:
            raise ConnectionAbortedError("aborted")

    def _secure(self, host: str, timeout: float) -> None:
        import ssl

        sock = self._open_socket()
        sock.settimeout(timeout)
        # Ours before it shakes hands: `abort` must find the socket that a server keeps waiting.
        self._tls = trusting(self._ca_file).wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        self._own(self._tls)
        self._tls.do_handshake()
        self._not_yet = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

    def _shake_hands(self, timeout: float) -> None:
        import websocket

        sock = self._open_socket()
        try:
            websocket.WebSocket(skip_utf8_validation=True).connect(  # type: ignore[no-untyped-call]
                self._url,
                socket=_Patience(sock, self._now, timeout),
                suppress_origin=True,
                redirect_limit=0,
            )
        except websocket.WebSocketException as error:
            text = str(error).partition(" -+-+- ")[0][:200]
            raise TransportError(f"{self._host()} did not accept the websocket: {text}") from None
        sock.setblocking(False)

    def _host(self) -> str:
        return urlsplit(self._url).netloc.rpartition("@")[2]

    def fileno(self) -> int:
        """File descriptor to wait on."""
        return self._open_socket().fileno()

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise TransportError("the connection is closed")
        return self._socket

    def receive(self) -> list[Received]:
        """What is there now, without waiting; after it nothing is left in TLS's own buffer. Pings are answered.

        Raises:
            TransportError: lost, closed by the server, or not understandable; close it. What came before that is
                given first: the error comes with the next call.
        """
        if self._failure is not None:
            raise self._failure
        received: list[Received] = []
        try:
            self._take(received)
        except TransportError as error:
            if not received:
                raise
            self._failure = error
        return received

    def _take(self, received: list[Received]) -> None:
        for _ in range(16):  # then it is somebody else's turn
            data = self._read()
            if data is None:
                return
            self.received_bytes += len(data)
            for frame in self._reader.feed(data):
                self._understand(frame, received)
            if self._reader.failure is not None:
                raise self._reader.failure
            if len(data) < _READ and not self.pending():
                return

    def pending(self) -> int:
        """Whether there is something that no selector sees: bytes that TLS has decrypted, or the error to come."""
        if self._failure is not None:
            return 1
        return 0 if self._tls is None or self._socket is None else self._tls.pending()

    def _read(self) -> bytes | None:
        try:
            data = self._open_socket().recv(_READ)
        except self._not_yet:
            return None
        except OSError as error:
            raise TransportError(f"the connection to {self._host()} was lost: {error}") from error
        if not data:
            raise TransportError(f"the connection to {self._host()} was closed without a word")
        return data

    def _understand(self, frame: frames.Frame, received: list[Received]) -> None:
        if frame.opcode == frames.TEXT:
            try:
                received.append(frame.payload.decode())
            except UnicodeDecodeError:
                received.append(Undecodable("no UTF-8"))
        elif frame.opcode == frames.PING:
            self._send(frame.payload, frames.PONG)
            received.append(Ping(frame.payload))
        elif frame.opcode == frames.CLOSE:
            raise TransportError(f"{self._host()} closed the connection{_reason(frame.payload)}")
        elif frame.opcode == frames.BINARY:
            received.append(Undecodable("binary"))

    def send(self, text: str) -> None:
        """Send a text message.

        Raises:
            TransportError: lost, or the server does not read.
        """
        self._send(text.encode(), frames.TEXT)

    def _send(self, payload: bytes, opcode: int, timeout: float = SEND_TIMEOUT) -> None:
        from websocket import ABNF

        sock = self._open_socket()
        try:
            sock.settimeout(timeout)
            sock.sendall(ABNF.create_frame(payload, opcode).format())
            sock.setblocking(False)
        except OSError as error:
            raise TransportError(f"the connection to {self._host()} was lost: {error}") from error

    def close(self, timeout: float = GOODBYE_TIMEOUT) -> None:
        """Say goodbye, wait at most `timeout` seconds for the answer, and close. Only for the owner's thread."""
        if self._socket is not None and not self._is_aborted:
            with contextlib.suppress(TransportError, OSError):
                self._say_goodbye(timeout)
        self._drop()

    def _say_goodbye(self, timeout: float) -> None:
        sock, deadline = self._open_socket(), self._now() + timeout
        self._send((1000).to_bytes(2, "big"), frames.CLOSE, max(timeout, 0.1))
        while (left := deadline - self._now()) > 0:
            # What is still unread when a socket is closed makes the kernel reset the connection.
            sock.settimeout(left)
            if not sock.recv(_READ):
                return

    def abort(self) -> None:
        """From another thread of this process: whatever the owner is waiting for on this socket ends now."""
        self._is_aborted = True
        sock = self._socket
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def abandon(self) -> None:
        """In a forked child: give up this process's copy, without a byte to the server whose connection it is not."""
        self._drop()

    def _drop(self) -> None:
        sock, self._socket = self._socket, None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()


class _Patience:
    """A socket whose reads must all be done within one deadline: a server that drips must not hold us for ever."""

    def __init__(self, sock: socket.socket, now: Callable[[], float], timeout: float) -> None:
        self._socket = sock
        self._now = now
        self._deadline = now() + timeout
        self._left = _MAX_HANDSHAKE

    def recv(self, size: int) -> bytes:
        left = self._deadline - self._now()
        self._left -= size
        if left <= 0 or self._left < 0:
            raise TimeoutError("the handshake took too long")
        self._socket.settimeout(left)
        return self._socket.recv(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def _reason(payload: bytes) -> str:
    if len(payload) < 2:
        return ""
    code, text = int.from_bytes(payload[:2], "big"), payload[2:].decode(errors="replace")
    return f": {code} {text}".rstrip()
