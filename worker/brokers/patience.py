"""How long a silent connection may still be trusted: a pure rule, and what the system knows for it.

A busy server says nothing for a while, and so does a link whose other end has gone without a word. The difference is at
the other end's system: it goes on acknowledging what is sent to it, whatever its server does, unless it is gone or cut
off. So a link on which nothing is acknowledged is given up soon, and a server whose system acknowledges gets ten times
as long. What stands between and acknowledges in its place (a proxy, a load balancer) costs that time too.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

PATIENCE = 10
"""How many times as long as a dead link a server may be silent: 30 s of 3. With a heartbeat of 10 s, AMQP's own rule
calls a peer dead after 20 s, and client libraries after that or some more."""

_TCP_INFO = getattr(socket, "TCP_INFO", None)
_TCP_INFO_FORMAT = struct.Struct("=8x16xI92xQ")
"""`tcpi_unacked` and `tcpi_bytes_acked` in `struct tcp_info` of linux/tcp.h (Linux 4.1 and newer)."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of what was sent."""

    is_due: bool
    """Something is on its way that the other end's system has not acknowledged; a full window is not."""
    acknowledged_bytes: int
    """All that it has."""


UNKNOWN = Sent(False, 0)
"""Where the system does not tell."""


def is_patient(silent_s: float, before: Sent, now: Sent, limit_s: float) -> bool:
    """Whether to wait on for an answer.

    Parameters: `silent_s`, how long something is due and nothing at all has come in, in seconds; `before` and `now`,
    how the link was `limit_s` seconds ago, and is.
    """
    is_dead = now.is_due and now.acknowledged_bytes == before.acknowledged_bytes
    return not is_dead and silent_s < PATIENCE * limit_s


def sent_over(link: socket.socket) -> Sent:
    """Ask the system about a TCP connection (Linux); `UNKNOWN` where it cannot be asked."""
    if _TCP_INFO is None:
        return UNKNOWN
    try:
        due, acknowledged_bytes = _TCP_INFO_FORMAT.unpack(
            link.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _TCP_INFO_FORMAT.size)
        )
    except (OSError, struct.error):
        return UNKNOWN
    return Sent(due > 0, acknowledged_bytes)
