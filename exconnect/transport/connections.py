"""One keep-alive connection, and the pools that hold them: requests' adapters with connections of ours in them.

The request goes out on the connection itself instead of through `urlopen`, for three reasons: urllib3 writes
each URL into its DEBUG log, and ours are signed; only here is it known whether a failure came before the first
byte; and every wait obeys one deadline, whatever the server drips.

Imports requests; imported on first use.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any, cast
from urllib.parse import urlsplit

import requests.adapters
import requests.exceptions
import urllib3
import urllib3.connection
from urllib3.exceptions import ClosedPoolError, EmptyPoolError, HTTPError

from exconnect.errors import ConfigurationError, InvalidArgument
from exconnect.transport.failures import NotSent
from exconnect.transport.route import authorization, dial

MAX_IDLE_S = 50.0  # servers close after 60 and more; a request that meets the close is lost
_CHUNK = 65_536


class _Deadlined(io.RawIOBase):
    """A socket's bytes, each read within what is left until the deadline."""

    def __init__(self, sock: socket.socket, left: Callable[[], float]) -> None:
        self._sock = sock
        self._raw: Any = sock.makefile("rb", buffering=0)
        self._left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._left())
        return cast("int | None", self._raw.readinto(buffer))

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self, _CHUNK)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer, without what a server says on the way to it.

    http.client takes "early hints" for the answer itself. The real one would stay on the connection, for whoever sends
    the next request on it.
    """

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status == 101 or not 100 <= status < 200:
                return version, status, reason
            http.client.parse_headers(self.fp)

    def _read_next_chunk_size(self) -> int:
        size = super()._read_next_chunk_size()  # type: ignore[misc]
        if size < 0:  # http.client would read on without an end
            raise http.client.HTTPException(f"a chunk of {size} bytes")
        return cast("int", size)


class Connection(urllib3.connection.HTTPConnection):
    """A connection that knows its deadline, its age, and that `connect` sends nothing of a request."""

    debuglevel = 0  # whatever http.client is told elsewhere: its trace shows keys
    deadline = float("inf")
    idle_since = 0.0

    @staticmethod
    def now() -> float:
        """The steady clock."""
        raise NotImplementedError

    def left(self) -> float:
        """Seconds until the deadline.

        Raises:
            TimeoutError: it has passed.
        """
        left = self.deadline - self.now()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left

    @property
    def is_connected(self) -> bool:
        """Whether it may be used again. Asked by the pool before each use."""
        return self.now() - self.idle_since < MAX_IDLE_S and super().is_connected

    def connect(self) -> None:
        """TCP, proxy and TLS.

        Raises:
            NotSent: no connection.
        """
        try:
            self.timeout = self.left()
            super().connect()
        except (OSError, http.client.HTTPException, HTTPError, UnicodeError) as error:
            reason = words(error)
        else:
            return
        # Not from inside the handler: its frames hold what went to the proxy.
        raise NotSent(f"cannot connect to {self.host}: {reason}")

    def exchange(
        self, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> http.client.HTTPResponse:
        """Send a request and read the head of the answer. `target` leaves byte for byte as it is.

        Raises:
            InvalidArgument: blanks, control characters or other letters than ASCII; nothing was sent.
            NotSent: the deadline has passed.
            OSError: as the network does.
            HTTPException: what came back is no HTTP.
        """
        if not self._is_written(method, target, headers, len(body)):
            raise InvalidArgument("a path or header that cannot be sent: ASCII without blanks", {"argument": "path"})
        try:
            seconds = self.left()
        except TimeoutError as error:  # up to here everything is in a buffer of ours
            raise NotSent(str(error)) from None
        cast("socket.socket", self.sock).settimeout(seconds)
        self.endheaders(body or None)
        return http.client.HTTPConnection.getresponse(self)

    def _is_written(self, method: str, target: str, headers: Iterable[tuple[str, str]], length: int) -> bool:
        """Fill the buffer, without sending. What http.client says when it refuses holds what it refuses."""
        try:
            self.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers:
                self.putheader(name, value)
        except (ValueError, http.client.InvalidURL):
            return False
        if length or method not in ("GET", "DELETE"):
            self.putheader("Content-Length", str(length))
        return True

    def response_class(self, sock: socket.socket, **options: Any) -> http.client.HTTPResponse:  # type: ignore[override]
        """How http.client reads answers, of the proxy too: within the deadline."""
        return _Answer(cast("socket.socket", _Deadlined(sock, self.left)), **options)


class DirectConnection(Connection):
    """Dials all addresses of a name within one deadline; urllib3 grants it to each of them."""

    def _new_conn(self) -> socket.socket:
        return dial(self.host.strip("[]"), self.port, self.left)


class Pool(urllib3.HTTPConnectionPool):
    """Connections to one host that are lent out connected."""

    def lease(self, deadline: float, now: float) -> Connection:
        """A connection, new or used, that is ours until `give_back`.

        Raises:
            NotSent: none is free or can be made before the deadline.
        """
        try:
            connection = cast("Connection", self._get_conn(timeout=max(deadline - now, 0.001)))
        except EmptyPoolError:
            raise NotSent("all connections are in use") from None
        except ClosedPoolError:
            raise NotSent("the client is closed") from None
        try:
            connection.deadline = deadline
            if connection.is_closed:
                self._open(connection)
        except BaseException:
            self.give_back(connection, is_reusable=False)
            raise
        return connection

    def _open(self, connection: Connection) -> None:
        if self.proxy is None:
            connection.connect()
        else:
            self._prepare_proxy(connection)

    def give_back(self, connection: Connection, *, is_reusable: bool) -> None:
        """End of the loan.

        A connection that is not used again goes for good: it may hold a request that was written and never sent, and
        http.client would send that in front of the next one, whose path and signature then do not belong together.
        """
        if not is_reusable:
            connection.close()
            self._put_conn(None)
            return
        connection.deadline = float("inf")
        connection.idle_since = connection.now()
        self._put_conn(connection)


class _Adapter(requests.adapters.HTTPAdapter):
    """requests knows Latin-1 only, and of another password it raises an error that holds it."""

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        told = authorization(proxy)
        return {} if told is None else {"Proxy-Authorization": told}


def pool(
    url: str, *, now: Callable[[], float], proxy: str | None, context: ssl.SSLContext, size: int, block: bool
) -> Pool:
    """A pool of `size` kept connections to `url`'s host. With `block` it never has more, and one waits for a free one.

    Raises:
        ConfigurationError: the proxy needs an extra that is not installed, or makes no sense.
    """
    adapter = _Adapter(pool_connections=1, pool_maxsize=size, pool_block=block)
    is_socks = proxy is not None and proxy.lower().startswith("socks")
    manager: Any
    try:
        if proxy is not None and not urlsplit(proxy).hostname:
            raise ValueError("no host")  # noqa: TRY301 - urllib3 would go straight to the exchange
        if proxy is None:
            adapter.init_poolmanager(1, size, block=block, ssl_context=context)
            manager = adapter.poolmanager
        elif is_socks:
            manager = adapter.proxy_manager_for(proxy, ssl_context=context)
        else:
            manager = adapter.proxy_manager_for(proxy, ssl_context=context, proxy_ssl_context=context)
    except requests.exceptions.InvalidSchema:
        raise ConfigurationError('a SOCKS proxy needs the extra: pip install "exconnect[socks]"') from None
    except ValueError:
        raise ConfigurationError("the proxy must be 'http://host:port' or 'socks5h://host:port'") from None
    ours = Connection if is_socks else DirectConnection
    manager.pool_classes_by_scheme = {
        scheme: _with_ours(cls, ours, now) for scheme, cls in manager.pool_classes_by_scheme.items()
    }
    return cast("Pool", manager.connection_from_url(url))


def _with_ours(theirs: Any, ours: type[Connection], now: Callable[[], float]) -> type:
    connection = type("Connection", (ours, theirs.ConnectionCls), {"now": staticmethod(now)})
    return type("Pool", (Pool, theirs), {"ConnectionCls": connection})


def words(error: BaseException) -> str:
    """What an error of the network says, in few words."""
    text = str(error) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}…"
