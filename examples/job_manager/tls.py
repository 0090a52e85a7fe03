"""TLS to the broker, from the paths in `broker_connection`."""

from __future__ import annotations

import ssl
from typing import Any

from job_item.connections import Connection


def context_of(settings: Connection) -> ssl.SSLContext | None:
    """What the connection is made with; None for plain text."""
    if not settings.is_tls:
        return None
    context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.cert_file and settings.key_file:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context


def authority_of(settings: Connection) -> dict[str, Any]:
    """The same as the Redis client wants it."""
    if not settings.is_tls:
        return {}
    return {
        "ssl": True,
        "ssl_ca_certs": settings.ca_file,
        "ssl_certfile": settings.cert_file,
        "ssl_keyfile": settings.key_file,
    }
