"""The TLS context of a broker connection."""

from __future__ import annotations

import ssl

from job_item.connections import Connection
from job_item.errors import Unavailable


def tls_context(settings: Connection) -> ssl.SSLContext | None:
    """What the connection is made with; None where it is plain text by the settings.

    The certificates are read anew for each connection, as they may have been renewed. Raises Unavailable (ERR-BRK-007)
    when they cannot be used now.
    """
    if not settings.is_tls:
        return None
    if not settings.ca_file:
        raise Unavailable("ERR-BRK-007", "there is no ca_file to know the server by")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The trust anchor may be the server's own certificate (tls/rabbitmq/server.crt) and need not be a root.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(settings.ca_file)
        if settings.cert_file and settings.key_file:
            context.load_cert_chain(settings.cert_file, settings.key_file, password=lambda: b"")
    except (OSError, ValueError) as error:
        raise Unavailable("ERR-BRK-007", f"the certificates cannot be used: {error}") from error
    return context
