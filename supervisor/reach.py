"""Whether the servers that the settings name can be reached, for `check --connect`: a TCP connection, no more."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from job_item.errors import Fault

if TYPE_CHECKING:
    from job_item.settings import Settings

TIMEOUT_S = 5.0

Connect = Callable[[str, int], None]
"""Connects to a host and port, or raises OSError."""


def connect(host: str, port: int) -> None:
    """Make a TCP connection and end it. Raises OSError."""
    socket.create_connection((host, port), timeout=TIMEOUT_S).close()


def reach(settings: Settings, connect: Connect = connect) -> tuple[Fault, ...]:
    """Connect to every server that the settings name; a fault (ERR-SUP-057) for each that is out of reach."""
    faults = []
    for path, (host, port) in servers(settings).items():
        try:
            connect(host, port)
        except OSError as error:
            reason = error.strerror or str(error) or type(error).__name__
            faults.append(Fault("ERR-SUP-057", f"{host}:{port} cannot be reached: {reason}.", path=path))
    return tuple(faults)


def servers(settings: Settings) -> dict[str, tuple[str, int]]:
    """The addresses that the settings name, by the setting; one that cannot be read is for other checks to judge."""
    found: dict[str, tuple[str, int]] = {}
    for address in settings.broker_connection.addresses if settings.broker_connection else ():
        place = "broker_connection" if not found else f"broker_connection ({address})"
        found[place] = (address.host, address.port)
    url = urlsplit(settings.end_point)
    if url.hostname:
        found["end_point"] = (url.hostname, url.port or (443 if url.scheme == "https" else 80))
    return found
