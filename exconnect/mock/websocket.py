"""One websocket of the mock exchange, in one thread: the ``websockets`` library's protocol, our socket."""

from __future__ import annotations

import contextlib
import selectors
import socket
from collections import deque
from typing import TYPE_CHECKING, Protocol

from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.protocol import State
from websockets.server import ServerProtocol

from .threads import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event, RLock

    from .http import Request
    from .steps import Exchange, Session

MOST_BEHIND = 64 * 1024 * 1024
POLICY_VIOLATION = 1008
GOING_AWAY = 1001
CLOSE_WITHIN = 1.0


class Host(Protocol):
    """What a connection needs of the server."""

    exchange: Exchange
    lock: RLock
    stopping: Event
    now_ms: Callable[[], int]

    def nudge(self) -> None:
        """Something happened that others may wait for; the caller holds the lock."""
        ...


class Connection:
    """``post`` and ``cut`` may be called from any thread; everything else belongs to the connection's own."""

    def __init__(self, host: Host, sock: socket.socket) -> None:
        self.kind = ""
        self._host = host
        self._sock = sock
        self._protocol = ServerProtocol(max_size=1 << 20)
        self._outbox: deque[str] = deque()
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._pending = b""
        self._parts: list[bytes] = []
        self._is_cut = False
        self._second = -1
        self._frames = 0
        self._unanswered: dict[bytes, float] = {}
        self._said_farewell = False
        self._heard = 0.0

    def post(self, text: str) -> None:
        """Queues a message."""
        self._outbox.append(text)
        self._ring()

    def cut(self) -> None:
        """The TCP connection ends now, without a close frame."""
        self._is_cut = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._ring()

    def _ring(self) -> None:
        with contextlib.suppress(OSError):
            self._bell.send(b"x")

    def serve(self, request: Request, session: Session, rest: bytes) -> None:
        """Until either side ends it."""
        self.kind = session.kind
        if self._handshake(request):
            self._loop(session, rest)

    def release(self) -> None:
        """Nobody will ring any more."""
        self._bell.close()
        self._ear.close()

    def _handshake(self, request: Request) -> bool:
        target = f"{request.path}?{request.query}" if request.query else request.path
        lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items()), "", ""]
        self._protocol.receive_data("\r\n".join(lines).encode("latin-1"))
        for event in self._protocol.events_received():
            if isinstance(event, Handshake):
                self._protocol.send_response(self._protocol.accept(event))
        self._sock.sendall(b"".join(self._protocol.data_to_send()))
        return self._protocol.state is State.OPEN

    def _loop(self, session: Session, rest: bytes) -> None:
        rules = self._host.exchange.rules
        born = self._heard = monotonic()
        next_ping = born + rules.ping_every
        self._sock.setblocking(False)
        alive = self._take(rest, session) if rest else True
        with selectors.DefaultSelector() as selector:
            selector.register(self._ear, selectors.EVENT_READ)
            selector.register(self._sock, selectors.EVENT_READ)
            while alive and not self._is_cut and not self._host.stopping.is_set():
                alive = self._flush(selector)
                now = monotonic()
                rules = self._host.exchange.rules
                if now >= next_ping:
                    next_ping = now + rules.ping_every
                    self._ping(now)
                    continue
                if self._is_unanswered(now - rules.pong_within):
                    self._breach("no pong", 1011)
                    break
                if now >= min(born + rules.lifetime, self._heard + session.idle_within):
                    self._fail(GOING_AWAY, "")
                    break
                if now >= born + rules.lifetime - rules.notice and not self._said_farewell:
                    self._say_farewell(session)
                    continue
                until = min(next_ping, born + rules.lifetime - (0 if self._said_farewell else rules.notice))
                alive = alive and self._wait(selector, max(0.0, min(until - now, 1.0)), session)
        self._linger()

    def _wait(self, selector: selectors.BaseSelector, timeout: float, session: Session) -> bool:
        for key, events in selector.select(timeout):
            if key.fileobj is self._ear:
                self._ear.recv(65_536)
            elif events & selectors.EVENT_READ:
                data = self._sock.recv(65_536)
                if not data or not self._take(data, session):
                    return False
        return True

    def _take(self, data: bytes, session: Session) -> bool:
        """Bytes from the client; False ends the connection."""
        self._heard = monotonic()
        self._protocol.receive_data(data)
        return (
            all(
                self._on_frame(event, session) for event in self._protocol.events_received() if isinstance(event, Frame)
            )
            and self._protocol.state is State.OPEN
        )

    def _on_frame(self, frame: Frame, session: Session) -> bool:
        if frame.opcode is Opcode.CLOSE:
            return False
        if session.counts_frames and not self._is_within_rate():
            self._breach("control messages too fast", POLICY_VIOLATION)
            return False
        if frame.opcode is Opcode.PONG:
            self._answered(bytes(frame.data))
        if frame.opcode in {Opcode.TEXT, Opcode.CONT}:
            self._parts.append(bytes(frame.data))
            if frame.fin:
                text, self._parts = b"".join(self._parts).decode("utf-8", "replace"), []
                with self._host.lock:
                    alive = session.receive(text, self._host.now_ms())
                    self._host.nudge()
                    return alive
        return True

    def _is_within_rate(self) -> bool:
        most = self._host.exchange.rules.frames_per_second
        second = self._host.now_ms() // 1000
        if second != self._second:
            self._second, self._frames = second, 0
        self._frames += 1
        return most is None or self._frames <= most

    def _ping(self, now: float) -> None:
        payload = str(self._host.now_ms()).encode()
        self._unanswered[payload] = now
        self._protocol.send_ping(payload)

    def _answered(self, payload: bytes) -> None:
        """A pong answers its ping and all before; one that echoes nothing answers nothing."""
        if payload in self._unanswered:
            at = self._unanswered[payload]
            self._unanswered = {ping: sent for ping, sent in self._unanswered.items() if sent > at}

    def _is_unanswered(self, since: float) -> bool:
        return any(sent <= since for sent in self._unanswered.values())

    def _say_farewell(self, session: Session) -> None:
        self._said_farewell = True
        with self._host.lock:
            session.farewell(self._host.now_ms())

    def _breach(self, text: str, code: int) -> None:
        with self._host.lock:
            self._host.exchange.on_violation(text)
        self._fail(code, text)

    def _fail(self, code: int, reason: str) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)

    def _flush(self, selector: selectors.BaseSelector) -> bool:
        """Sends what can be sent now; False when the client is too far behind."""
        while self._outbox and self._protocol.state is State.OPEN:
            self._protocol.send_text(self._outbox.popleft().encode())
        self._pending += b"".join(self._protocol.data_to_send())
        if self._pending:
            self._heard = monotonic()
            with contextlib.suppress(BlockingIOError):
                self._pending = self._pending[self._sock.send(self._pending) :]
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._pending else 0)
        if selector.get_key(self._sock).events != events:
            selector.modify(self._sock, events)
        return len(self._pending) <= MOST_BEHIND

    def _linger(self) -> None:
        """The last bytes (an answer, a close frame), as far as the client takes them at once."""
        if self._is_cut or self._host.stopping.is_set():
            return
        while self._outbox and self._protocol.state is State.OPEN:
            self._protocol.send_text(self._outbox.popleft().encode())
        self._pending += b"".join(self._protocol.data_to_send())
        self._sock.settimeout(CLOSE_WITHIN)
        self._sock.sendall(self._pending)
        self._sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(TimeoutError):
            while self._sock.recv(65_536):
                pass
