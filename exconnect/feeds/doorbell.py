"""How a thread that waits on a socket is told that there is something else to do."""

from __future__ import annotations

import contextlib
import selectors
import socket


class Doorbell:
    """A pair of connected sockets: anybody rings, the owner waits for it and for one other socket at once."""

    def __init__(self) -> None:
        self._inside, self._outside = socket.socketpair()
        self._inside.setblocking(False)
        self._outside.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._inside, selectors.EVENT_READ)
        self._other: int | None = None

    def ring(self) -> None:
        """From any thread. A bell that rings already, or is gone, is left alone."""
        with contextlib.suppress(OSError):
            self._outside.send(b"!")

    def watch(self, descriptor: int | None) -> None:
        """Wait for this one too from now on. To be taken back before it is closed."""
        if self._other is not None:
            self._selector.unregister(self._other)
        self._other = descriptor
        if descriptor is not None:
            self._selector.register(descriptor, selectors.EVENT_READ)

    def wait(self, timeout: float) -> bool:
        """Until it rings, the other can be read, or `timeout` seconds are over; whether the other can be read."""
        ready = [key.fileobj for key, _ in self._selector.select(max(timeout, 0.0))]
        if self._inside in ready:
            self._hush()
        return self._other is not None and self._other in ready

    def _hush(self) -> None:
        with contextlib.suppress(OSError):
            while self._inside.recv(4096):
                pass

    def close(self) -> None:
        """Give it up; in a forked child too, where it takes nothing from the parent."""
        self._selector.close()
        self._inside.close()
        self._outside.close()
