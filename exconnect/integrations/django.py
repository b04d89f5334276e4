"""exconnect inside Django. Comes with a later version; the names are here so that nothing moves then."""

from __future__ import annotations

from typing import Any, NoReturn

from exconnect.errors import NotSupported

__all__ = ["django_handler", "get_client", "healthz"]


def get_client(name: str = "default") -> NoReturn:
    """The client that the settings describe.

    Raises:
        NotSupported: always; it comes with a later version.
    """
    raise NotSupported("exconnect.integrations.django comes with a later version; exconnect.Client works in Django")


def django_handler(handler: Any) -> NoReturn:
    """A handler that gives its database connection back.

    Raises:
        NotSupported: always; it comes with a later version.
    """
    raise NotSupported("exconnect.integrations.django comes with a later version")


def healthz(request: Any) -> NoReturn:
    """A view for health checks.

    Raises:
        NotSupported: always; it comes with a later version.
    """
    raise NotSupported("exconnect.integrations.django comes with a later version; client.health() has the figures")
