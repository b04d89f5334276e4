"""The way to the exchange: names, connections, certificates, one host after the other."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from exconnect.cli.doctor.check import Check
from exconnect.endpoints import is_loopback
from exconnect.errors import ConfigurationError
from exconnect.model.values import datetime_of
from exconnect.transport.tls import trusting
from exconnect.venue.parts import Venue

_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}
_EXPIRES_SOON = timedelta(days=7)


def checks(venue: Venue, timeout: float) -> Iterator[Check]:
    """Names and connections of REST and streams; what goes through a proxy is the proxy's business."""
    for part, url in (("rest", venue.endpoints.rest), ("stream", venue.endpoints.stream)):
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        if venue.proxy is not None and not is_loopback(host):
            yield Check(f"{part} way", True, f"{host} is reached through a proxy, which finds the way")
            continue
        found = _resolve(part, host, port)
        yield found
        if found.ok:
            yield _connect(venue, part, host, port, timeout, is_encrypted=parts.scheme in ("https", "wss"))


def _resolve(part: str, host: str, port: int) -> Check:
    name = f"{part} dns"
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        advice = f"no name server here knows {host}: check the network, the spelling, and /etc/resolv.conf"
        return Check(name, False, f"{host}: {error.strerror or error}", advice, is_road=True)
    return Check(name, True, f"{host} is {', '.join(sorted(map(str, addresses))[:4])}", is_road=True)


def _connect(venue: Venue, part: str, host: str, port: int, timeout: float, *, is_encrypted: bool) -> Check:
    name = f"{part} {'tls' if is_encrypted else 'tcp'}"
    begun = venue.env.now()
    try:
        with socket.create_connection((host, port), timeout) as sock:
            detail = f"{host}:{port} answers in {(venue.env.now() - begun) * 1000:.0f} ms"
            if not is_encrypted:
                return Check(name, True, f"{detail}, unencrypted, on this machine", is_road=True)
            with trusting(venue.ca_file).wrap_socket(sock, server_hostname=host) as tls:
                return _encrypted(venue, name, detail, tls)
    except ConfigurationError as error:
        return Check(name, False, error.message, "ca_file= takes certificates in PEM")
    except ssl.SSLCertVerificationError as error:
        advice = "somebody in between answers in its place, or a CA is missing: ca_file= takes one more"
        return Check(name, False, f"{host}: {error.verify_message}", advice, is_road=True)
    except OSError as error:
        advice = f"a firewall, a proxy that must be taken, or {host} is down"
        return Check(name, False, f"{host}:{port}: {error.strerror or error}", advice, is_road=True)


def _encrypted(venue: Venue, name: str, detail: str, tls: ssl.SSLSocket) -> Check:
    ends = _end_of(tls)
    text = f"{detail}, {tls.version()}, certificate until {ends:%Y-%m-%d}"
    if ends - venue.env.wall() < _EXPIRES_SOON:
        advice = "the certificate ends soon; connections will fail unless the exchange renews it"
        return Check(name, True, text, advice, is_road=True)
    return Check(name, True, text, is_road=True)


def _end_of(tls: ssl.SSLSocket) -> datetime:
    certificate = tls.getpeercert() or {}
    return datetime_of(int(ssl.cert_time_to_seconds(str(certificate["notAfter"]))) * 1000)
