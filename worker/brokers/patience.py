"""How long a silent connection may still be trusted: a pure rule, and what the system knows for it.

A busy server says nothing for a while, and so does a link whose other end has gone without a word. The difference is at
the other end's system: it goes on acknowledging what is sent to it, whatever its server does, unless it is gone or cut
off. So a link on which nothing is acknowledged is given up soon, and a server whose system acknowledges gets ten times
as long. What else stands between and acknowledges in its place (a proxy, a load balancer) costs that time too.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

PATIENCE = 10
"""How many times as long as a dead link a server may be silent: 30 s of 3. With a heartbeat of 10 s, AMQP's own rule
calls a peer dead after 20 s, and client libraries after that or some more."""

_TCP_INFO = getattr(socket, "TCP_INFO", None)
_TCP_INFO_FORMAT = struct.Struct("=8x13I")
_UNACKED, _LAST_ACK_RECEIVED_MS = 4, 12
"""Where they stand in `struct tcp_info` of linux/tcp.h, behind its first eight bytes."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What the other end's system has acknowledged."""

    is_due: bool
    """Something is on its way that it has not acknowledged."""
    since_s: float
    """How long ago it last acknowledged anything, in seconds."""


UNKNOWN = Acknowledgement(False, 0.0)
"""Where the system does not tell."""


def is_patient(silent_s: float, acknowledgement: Acknowledgement, limit_s: float) -> bool:
    """Whether to wait on for an answer. `silent_s`: how long something is due, and nothing at all has come in;
    `limit_s`: how long a link may acknowledge nothing. All in seconds."""
    if acknowledgement.is_due and acknowledgement.since_s >= limit_s:
        return False
    return silent_s < PATIENCE * limit_s


def acknowledgement_of(link: socket.socket) -> Acknowledgement:
    """Ask the system about a TCP connection (Linux); `UNKNOWN` where it cannot be asked."""
    if _TCP_INFO is None:
        return UNKNOWN
    try:
        found = link.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _TCP_INFO_FORMAT.size)
        numbers = _TCP_INFO_FORMAT.unpack(found)
    except (OSError, struct.error):
        return UNKNOWN
    return Acknowledgement(numbers[_UNACKED] > 0, numbers[_LAST_ACK_RECEIVED_MS] / 1000)
