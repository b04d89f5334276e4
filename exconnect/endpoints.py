"""Where an exchange is reached: base URLs that are checked before anything is sent to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, urlsplit

from exconnect.errors import ConfigurationError

ENVIRONMENTS = ("live", "testnet", "demo")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Base URLs without paths: REST, market streams, private streams.

    Raises:
        ConfigurationError: no URL, or plain http/ws to another machine.
    """

    rest: str
    stream: str
    private: str

    def __post_init__(self) -> None:
        for name, schemes in (("rest", ("https", "http")), ("stream", ("wss", "ws")), ("private", ("wss", "ws"))):
            object.__setattr__(self, name, _checked_url(getattr(self, name), name, schemes))

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `REST [streams [private]]`; what is left out is derived: ws for http, same host and port."""
        urls = text.split()
        if not 1 <= len(urls) <= 3:
            raise ConfigurationError(f"environment={text!r}: one to three base URLs separated by blanks")
        if len(urls) == 1:
            urls.append("ws" + urls[0].removeprefix("http") if urls[0].startswith("http") else urls[0])
        return cls(urls[0], urls[1], urls[-1])


def environment_problem(chosen: object, name: str = "environment") -> str | None:
    """What is wrong with what says where an exchange is reached, as far as it is text or a number; None: nothing."""
    if isinstance(chosen, str) and "://" in chosen:
        try:
            Endpoints.parse(chosen)
        except ConfigurationError as error:
            return error.message
        return None
    is_choice = isinstance(chosen, str) and chosen.lower() in ENVIRONMENTS
    return no_environment(chosen, name) if isinstance(chosen, _PLAIN) and not is_choice else None


_PLAIN = (str, int, float, list, dict)  # what a file can hold; anything else may have the shape of a mock


def no_environment(chosen: object, name: str = "environment") -> str:
    """What to give instead."""
    choices = ", ".join(map(repr, ENVIRONMENTS))
    return f"{name}={chosen!r}: must be {choices}, base URLs (REST [streams [private]]), Endpoints or a MockExchange"


def _checked_url(url: str, name: str, schemes: tuple[str, str]) -> str:
    shown = repr(url) if "@" not in str(url) else "with a user name"  # and a password behind it
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if not host or parts.scheme not in schemes or not _is_plain_url(parts):
        raise ConfigurationError(f"{name} URL {shown}: must be {schemes[0]}://host[:port]", {"choices": list(schemes)})
    if parts.scheme == schemes[1] and not is_loopback(host):
        raise ConfigurationError(f"{name} URL {shown}: without TLS only this machine (127.0.0.1) may be reached")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _is_plain_url(parts: SplitResult) -> bool:
    extras = "@" in parts.netloc or parts.query or parts.fragment
    return not extras and not any(c.isspace() or c == "\\" for c in parts.netloc + parts.path)


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine without asking a name server."""
    if host == "localhost":
        return True
    try:
        import ipaddress

        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
