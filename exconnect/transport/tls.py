"""Whom TLS trusts: the same for REST and for sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exconnect.errors import ConfigurationError

if TYPE_CHECKING:
    import os
    import ssl


def trusting(ca_file: str | os.PathLike[str] | None) -> ssl.SSLContext:
    """Verifies certificates and names against the public authorities, and those of `ca_file`.

    No environment variable has a say, SSLKEYLOGFILE neither.

    Raises:
        ConfigurationError: `ca_file` holds no certificates.
    """
    import ssl  # costs more than all the rest of a plain connection, which needs none of it

    import certifi

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(certifi.where())
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise ConfigurationError(f"ca_file={str(ca_file)!r} holds no certificates: {error}") from None
    return context
