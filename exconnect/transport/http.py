"""REST over requests' connection pools: one request out, one answer back, within one deadline.

No redirect is followed, no cookie kept, no environment variable or `.netrc` read (unless `proxy="env"`), nothing
is repeated. What fails says whether a byte can have left. The answer is not trusted: it is read with caps on
its size, on what it unpacks to, and on the time it takes.
"""

from __future__ import annotations

import logging
import zlib
from http.client import HTTPException, HTTPResponse
from importlib import metadata
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from exconnect.endpoints import is_loopback
from exconnect.errors import ClientClosed, ConfigurationError
from exconnect.protocol.call import Lane, Request, Response
from exconnect.transport.failures import Lost, NotSent
from exconnect.transport.tls import trusting

if TYPE_CHECKING:
    from exconnect.environment import Environment
    from exconnect.transport.connections import Pool

_log = logging.getLogger("exconnect.rest")

DEFAULT_MAX_BODY = 8 * 1024 * 1024
_CHUNK = 65_536
_MAX_RATIO = 200  # what JSON unpacks to is far below; a bomb is far above
_SMALL = 1024 * 1024  # below it the ratio does not matter

# A stuck download cannot hold the connection that a cancel needs: three pools. Orders never wait for a connection.
_POOLS = {"orders": (16, False), "reads": (8, True), "market": (4, True)}
_POOL_OF = {
    Lane.CANCEL: "orders",
    Lane.PLACE: "orders",
    Lane.QUERY: "reads",
    Lane.STREAM: "reads",
    Lane.MARKET: "market",
    Lane.HISTORY: "market",
}


class Http:
    """The road to one host, for one process. Making one opens nothing and imports nothing.

    `proxy` is a URL (`http://user:pw@host:port`, `socks5h://…`), `"env"` for HTTPS_PROXY, ALL_PROXY and NO_PROXY,
    or None; this machine is never reached through one. `ca_file` adds to the authorities that are trusted.
    """

    def __init__(
        self, base_url: str, *, env: Environment, proxy: str | None = None, ca_file: str | None = None
    ) -> None:
        parts = urlsplit(base_url)
        self.host = parts.netloc
        self._url = base_url.rstrip("/")
        self._path = parts.path.rstrip("/")
        self._name = parts.hostname or ""
        self._env = env
        self._proxy = proxy
        self._ca_file = ca_file
        self._made: dict[str, dict[str, Pool]] = {}
        self._is_closed = False
        self._headers: tuple[tuple[str, str], ...] = ()

    def send(
        self,
        request: Request,
        *,
        timeout: float,
        lane: Lane = Lane.MARKET,
        max_body: int = DEFAULT_MAX_BODY,
    ) -> Response:
        """Send a signed or encoded request and read the answer, whatever its status, within `timeout` seconds.

        Raises:
            NotSent: no connection, or no time left.
            ClientClosed: after `close()`; nothing was sent.
            Lost: no usable answer; the request may have been executed.
            ConfigurationError: a proxy or CA file that cannot work, or `ssl` was patched too late.
        """
        deadline = self._env.now() + timeout
        try:
            pool = (self._made.get("pools") or self._open())[_POOL_OF[lane]]
            connection = pool.lease(deadline, self._env.now())
        except NotSent:
            if self._is_closed:  # no failure of the network, which would be tried again
                raise ClientClosed("the client was closed") from None
            raise
        is_reusable = False
        try:
            answer = connection.exchange(
                request.method,
                f"{self._path}{request.path}?{request.query}" if request.query else self._path + request.path,
                (*self._headers, *request.headers),
                request.body,
            )
            with answer:
                response = _read(answer, max_body, request.path)
                is_reusable = answer.isclosed()
            return response
        except (OSError, HTTPException, zlib.error) as error:
            reason = str(error)[:200] or type(error).__name__
        except Lost as error:
            reason = str(error)
        except BaseException as error:
            # The frames below hold the bytes that were sent, key and signature among them.
            error.__traceback__ = error.__context__ = None
            raise
        finally:
            pool.give_back(connection, is_reusable=is_reusable)
        raise Lost(f"no usable answer from {self._name}: {reason}")

    def close(self) -> None:
        """Close what is idle now and the rest when it comes back; further calls are `ClientClosed`. Idempotent."""
        self._is_closed = True
        for pool in self._made.get("pools", {}).values():
            pool.close()

    def _open(self) -> dict[str, Pool]:
        if self._is_closed:
            raise NotSent("the client is closed")
        from exconnect.transport import connections

        _refuse_late_patching()
        proxy, context = self._route(), trusting(self._ca_file)
        self._headers = (
            ("User-Agent", f"exconnect/{metadata.version('exconnect')}"),
            ("Accept", "application/json"),
            ("Accept-Encoding", "gzip"),
        )
        pools = {
            name: connections.pool(self._url, now=self._env.now, proxy=proxy, context=context, size=size, block=block)
            for name, (size, block) in _POOLS.items()
        }
        # Making them opens nothing, so whoever loses a race just drops his.
        made = self._made.setdefault("pools", pools)
        if self._is_closed:  # meanwhile, by somebody who saw nothing to close
            self.close()
        return made

    def _route(self) -> str | None:
        if self._proxy is None or is_loopback(self._name):
            return None
        if self._proxy != "env":
            return self._proxy
        from requests.utils import get_environ_proxies, select_proxy

        found = select_proxy(self._url, get_environ_proxies(self._url))
        return found if not found or "://" in found else f"http://{found}"


def _refuse_late_patching() -> None:
    import ssl

    import urllib3.util.ssl_

    if urllib3.util.ssl_.SSLContext is not ssl.SSLContext:
        text = "ssl was patched (gevent?) after urllib3 was imported: monkey-patch before importing anything else"
        raise ConfigurationError(text)


def _read(answer: HTTPResponse, max_body: int, path: str) -> Response:
    """The answer, body and all.

    Raises:
        Lost: a redirect; a body that is cut off, too large, or packed in a way that was not asked for.
    """
    headers = {name.lower(): value for name, value in answer.headers.items()}
    if answer.status < 200:
        raise Lost(f"HTTP {answer.status}, which is no answer")
    if 300 <= answer.status < 400:
        _log.critical("HTTP %d: the server redirects, which is never followed", answer.status)
        raise Lost(f"HTTP {answer.status}, a redirect, which is never followed")
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        body = _plain(answer, max_body)
    elif encoding in ("gzip", "x-gzip"):
        body = _unpacked(answer, max_body)
    else:
        raise Lost(f"the body is packed as {encoding[:20]!r}, which was not asked for")
    return Response(answer.status, headers, body, path)


def _plain(answer: HTTPResponse, max_body: int) -> bytes:
    if answer.length is not None and answer.length > max_body:
        raise Lost(f"the body has {answer.length} bytes, more than {max_body}")
    parts, size = [], 0
    while part := answer.read(_CHUNK):
        size += len(part)
        if size > max_body:
            raise Lost(f"the body has more than {max_body} bytes")
        parts.append(part)
    _check_end(answer)
    if not size and answer.length is None and not answer.chunked:  # http.client takes a cut head for a whole one
        raise Lost("the head is cut off")
    return b"".join(parts)


def _unpacked(answer: HTTPResponse, max_body: int) -> bytes:
    unpacker: Any = zlib.decompressobj(wbits=31)
    parts, size, packed = [], 0, 0
    while part := answer.read(_CHUNK):
        packed += len(part)
        # Never more than the cap in memory, however much there is inside.
        unpacked = unpacker.decompress(part, max_body + 1 - size)
        size += len(unpacked)
        if packed > max_body:
            raise Lost(f"the packed body has more than {max_body} bytes")
        if size > max_body or (size > _SMALL and size > packed * _MAX_RATIO):
            raise Lost(f"the body unpacks to more than {min(size, max_body)} bytes")
        parts.append(unpacked)
    _check_end(answer)
    if not unpacker.eof and packed:
        raise Lost("the packed body is cut off")
    return b"".join(parts)


def _check_end(answer: HTTPResponse) -> None:
    if answer.length:
        raise Lost(f"the body is cut off, {answer.length} bytes are missing")
