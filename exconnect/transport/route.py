"""The way to a server: straight, or through a proxy. What comes out is a connected TCP socket."""

from __future__ import annotations

import base64
import socket
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from exconnect.endpoints import is_loopback
from exconnect.errors import ConfigurationError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_REPLY = 16_384
_OPTIONS = (
    (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 10),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 5),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 15_000),  # ms; unacknowledged bytes for so long: the other side is gone
)


class Target(NamedTuple):
    """Where to."""

    host: str
    port: int
    scheme: str


def connect(
    target: Target, proxy: str | None, now: Callable[[], float], timeout: float, own: Callable[[socket.socket], None]
) -> socket.socket:
    """A TCP connection to `target` within `timeout` seconds. `own` gets each socket before it is connected.

    Raises:
        OSError: nobody there.
        TransportError: the proxy refused.
        ConfigurationError: a SOCKS proxy without the extra.
    """
    deadline = now() + timeout

    def left() -> float:
        seconds = deadline - now()
        if seconds <= 0:
            raise TimeoutError("timed out")
        return seconds

    url = proxy_for(target, proxy)
    if url is None:
        return dial(target.host, target.port, left, own)
    parts = urlsplit(url)
    if parts.scheme.startswith("socks"):
        return _through_socks(url, target, timeout)
    if parts.scheme != "http":
        raise ConfigurationError(f"websockets take proxies of the form http:// or socks5h://, not {parts.scheme}://")
    sock = dial(parts.hostname or "", parts.port or 80, left, own)
    try:
        _through_http(sock, url, target, left)
    except BaseException:
        sock.close()
        raise
    return sock


def proxy_for(target: Target, proxy: str | None) -> str | None:
    """The proxy to take: the one that was set, for `"env"` the one of the environment; None for this machine."""
    if proxy is None or is_loopback(target.host):
        return None
    if proxy != "env":
        return proxy
    from urllib.request import getproxies_environment, proxy_bypass

    if proxy_bypass(f"{target.host}:{target.port}"):
        return None
    proxies = getproxies_environment()
    names = ("wss", "https", "all") if target.scheme == "wss" else ("ws", "http", "all")
    url = next((proxies[name] for name in names if name in proxies), None)
    return url if url is None or "://" in url else f"http://{url}"


def dial(
    host: str, port: int, left: Callable[[], float], own: Callable[[socket.socket], object] | None = None
) -> socket.socket:
    """A TCP connection to the first address of `host` that answers, within `left()` seconds for all of them together.

    Each address gets an equal part of what is left: one that swallows every packet, as IPv6 does behind some routers,
    leaves time for the next. `own` gets each socket before it is connected.

    Raises:
        OSError: none of them answers; `left` raises a `TimeoutError` when nothing is left.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = OSError(f"{host} has no address")
    for number, (family, kind, protocol, _, address) in enumerate(found):
        seconds = left() / (len(found) - number)
        sock = socket.socket(family, kind, protocol)
        try:
            _tune(sock)
            if own is not None:
                own(sock)
            sock.settimeout(seconds)
            sock.connect(address)
            sock.settimeout(left())
            return sock
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
    raise failure


def _tune(sock: socket.socket) -> None:
    for level, name, value in _OPTIONS:
        if hasattr(socket, name):
            sock.setsockopt(level, getattr(socket, name), value)


def authorization(proxy: str) -> str | None:
    """What an HTTP proxy is told of the user in its URL, whatever letters the password has; None: there is no user."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return None
    secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(secret.encode(errors='surrogateescape')).decode()}"


def _through_http(sock: socket.socket, url: str, target: Target, left: Callable[[], float]) -> None:
    name = f"[{target.host}]:{target.port}" if ":" in target.host else f"{target.host}:{target.port}"
    lines = [f"CONNECT {name} HTTP/1.1", f"Host: {name}"]
    parts, told = urlsplit(url), authorization(url)
    if told is not None:
        lines.append(f"Proxy-Authorization: {told}")
    sock.settimeout(left())
    sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    reply = b""
    while not reply.endswith(b"\r\n\r\n"):
        if len(reply) > _MAX_REPLY:
            raise ConnectionAbortedError(f"the proxy answers with more than {_MAX_REPLY} bytes")
        sock.settimeout(left())
        byte = sock.recv(1)  # one at a time: what follows the reply is the server's
        if not byte:
            raise ConnectionResetError("the proxy closed the connection")
        reply += byte
    status = reply.split(b"\r\n", 1)[0].split(b" ", 2)[1:2]
    if status != [b"200"]:
        raise TransportError(f"the proxy {parts.hostname} refused: {b' '.join(status).decode(errors='replace')[:20]}")


def _through_socks(url: str, target: Target, timeout: float) -> socket.socket:
    try:
        from python_socks import ProxyError, ProxyType
        from python_socks.sync import Proxy
    except ImportError:
        text = 'a SOCKS proxy needs the extra: pip install "exconnect[socks]"'
        raise ConfigurationError(text) from None
    parts = urlsplit(url)
    proxy = Proxy(
        ProxyType.SOCKS5,
        parts.hostname or "",
        parts.port or 1080,
        username=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        rdns=parts.scheme == "socks5h",
    )
    try:
        sock: socket.socket = proxy.connect(target.host, target.port, timeout=timeout)
    except ProxyError as error:
        raise TransportError(f"the proxy {parts.hostname} refused: {str(error)[:100]}") from None
    _tune(sock)
    return sock
