"""Why a connection could not be made, in words and with a code: the foreign exceptions of all client libraries."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Iterator, Sequence

from job_item.address import Address
from job_item.connections import Connection
from job_item.errors import NodeError, Unavailable
from job_item.redact import Redactor

_WORDS = {
    "CERTIFICATE_VERIFY_FAILED": "the server's certificate is not accepted",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the server wants a client certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the server does not accept the client certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the client certificate has expired",
    "TLSV1_ALERT_UNKNOWN_CA": "the server does not know who signed the client certificate",
    "WRONG_VERSION_NUMBER": "the server does not speak TLS at this port",
    "RECORD_LAYER_FAILURE": "the server does not speak TLS at this port",
}
_ORDER = ("ERR-BRK-005", "ERR-BRK-007", "ERR-BRK-003", "ERR-BRK-001")


def connect_failure(settings: Connection, address: Address, error: BaseException, *, is_login: bool) -> NodeError:
    """The failure to connect to one server.

    Parameters: `is_login`, whether the server refused the credentials, as the adapter knows its library.
    """
    words = Redactor(settings.secrets()).text(f"{address}: {why(error)}")
    if is_login:
        return NodeError("ERR-BRK-005", words)
    tls = find_tls_error(error)
    is_answer = "ALERT" in (tls.reason or "") if tls is not None else _is_hang_up(error)
    if settings.is_tls and not settings.cert_file and is_answer:
        return Unavailable("ERR-BRK-007", f"{words}; the server may want a client certificate, and there is none")
    if tls is not None:
        return Unavailable("ERR-BRK-007", words)
    return Unavailable("ERR-BRK-001", words)


def all_failures(failures: Sequence[NodeError]) -> NodeError:
    """One failure for all servers that were tried: the one that most needs a hand, with everybody's words."""
    first = min(failures, key=lambda failure: _ORDER.index(failure.code))
    words = "; ".join(failure.message for failure in failures)
    return type(first)(first.code, words, first.remedy)


def why(error: BaseException) -> str:
    """The reason in words; never the text of a library that may hold a URL."""
    tls = find_tls_error(error)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return f"the server's certificate is not accepted: {tls.verify_message.rstrip('.')}"
    if tls is not None:
        reason = tls.reason or "no reason"
        return _WORDS.get(reason, f"TLS failed ({reason.lower().replace('_', ' ')})")
    for cause in _causes(error):
        if isinstance(cause, TimeoutError):
            return "no answer in time"
        if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
            return os.strerror(cause.errno).lower()
        if isinstance(cause, (asyncio.IncompleteReadError, ConnectionResetError, EOFError)):
            return "the server ended the connection"
    return str(error) or type(error).__name__


def find_tls_error(error: BaseException) -> ssl.SSLError | None:
    """The error of TLS that is behind another one."""
    return next((cause for cause in _causes(error) if isinstance(cause, ssl.SSLError)), None)


def _is_hang_up(error: BaseException) -> bool:
    """Whether the other end closed the connection without a word."""
    return any(
        isinstance(cause, (ConnectionResetError, BrokenPipeError, asyncio.IncompleteReadError, EOFError))
        for cause in _causes(error)
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what led to it."""
    for _ in range(8):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__
