"""Bytes of a websocket into messages, without a socket: RFC 6455 as a client receives it.

websocket-client reads a frame in three or more system calls and checks UTF-8 in Python; a feed that reads 64 kB
at a time and cuts the frames out of it needs a tenth of the time.
"""

from __future__ import annotations

from typing import NamedTuple

from exconnect.errors import TransportError

MAX_FRAME = 4 * 1024 * 1024
MAX_MESSAGE = 8 * 1024 * 1024

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_DATA = frozenset({CONTINUATION, TEXT, BINARY})
_KNOWN = _DATA | {CLOSE, PING, PONG}
_CONTROL_BYTES = 125
_EXTENDED = {126: 2, 127: 8}


class Frame(NamedTuple):
    """A whole message, or a control frame."""

    opcode: int
    payload: bytes


class FrameReader:
    """Cuts messages out of what arrives; one for each connection."""

    def __init__(self, max_frame: int = MAX_FRAME, max_message: int = MAX_MESSAGE) -> None:
        self._max_frame, self._max_message = max_frame, max_message
        self._rest = bytearray()
        self._needed = 2  # bytes that must be there before looking at the rest again makes sense
        self._parts: list[bytes] = []
        self._size = 0
        self.failure: TransportError | None = None  # after it nothing that comes means anything
        self._opcode: int | None = None  # of the message whose fragments are being collected

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes in; what is complete now. Before `failure` is raised, what came ahead of it is given.

        Raises:
            TransportError: not what a websocket server may send, or larger than we take; the connection is of no use.
        """
        if self.failure is not None:
            raise self.failure
        frames: list[Frame] = []
        try:
            self._cut(data, frames)
        except TransportError as error:
            self.failure = error
            if not frames:
                raise
        return frames

    def _cut(self, data: bytes, frames: list[Frame]) -> None:
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
            self._rest.clear()
        position, size = 0, len(data)
        while True:
            start, length = self._head(data, position, size)
            if start + length > size:
                break
            self._take(data[position], data[start : start + length], frames)
            position = start + length
        self._needed = start + length - position
        self._rest += data[position:]

    def _head(self, data: bytes, position: int, size: int) -> tuple[int, int]:
        """Where the payload of the frame at `position` begins, and its length; beyond `size` if not all is there."""
        start = position + 2
        if start > size:
            return start, 0
        length = data[position + 1]
        if length > 125:
            extra = _EXTENDED.get(length)
            if extra is None:
                raise TransportError("the server sent a masked frame")
            if start + extra > size:
                return start + extra, 0
            length = int.from_bytes(data[start : start + extra], "big")
            start += extra
        self._check(data[position], data[position + 1], length)
        return start, length

    def _check(self, first: int, second: int, length: int) -> None:
        opcode = first & 0x0F
        if first & 0x70 or opcode not in _KNOWN:
            raise TransportError(f"the server sent a frame of an unknown kind (0x{first:02x})")
        if opcode not in _DATA and (not first & 0x80 or second > _CONTROL_BYTES):
            raise TransportError("the server sent a control frame in parts or with more than 125 bytes")
        if length > self._max_frame or (opcode in _DATA and self._size + length > self._max_message):
            raise TransportError(f"the server sent a frame of {length} bytes: more than is taken")

    def _take(self, first: int, payload: bytes, frames: list[Frame]) -> None:
        opcode, is_last = first & 0x0F, first & 0x80
        if opcode not in _DATA:
            frames.append(Frame(opcode, payload))
            return
        if (opcode == CONTINUATION) != (self._opcode is not None):
            raise TransportError("the server sent the parts of a message out of order")
        if is_last and self._opcode is None:
            frames.append(Frame(opcode, payload))
            return
        self._parts.append(payload)
        self._size += len(payload)
        if self._opcode is None:
            self._opcode = opcode
        if is_last:
            frames.append(Frame(self._opcode, b"".join(self._parts)))
            self._parts, self._size, self._opcode = [], 0, None
