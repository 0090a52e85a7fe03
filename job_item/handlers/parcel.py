"""What goes between the job child and a hand: one message each, marshalled, over a socket that keeps their borders.

What does not fit into one message travels beside it in a file without a name. Both ends are the same interpreter,
started by each other (as in `job_item.keeper.wire`).
"""

from __future__ import annotations

import marshal
import os
import socket
import struct
import tempfile
from typing import Any

SMALL_BYTES = 64 * 1024
"""A message of at most this size goes as it is: several of them fit into a socket."""
ROOM_BYTES = SMALL_BYTES + 1024
_ANCILLARY = socket.CMSG_SPACE(4)
_IN_FILE = b"F"

Line = socket.socket


def make_line() -> tuple[Line, Line]:
    """Both ends of a socket that keeps the borders of messages."""
    return socket.socketpair(socket.AF_UNIX, getattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM))


def send(line: Line, message: tuple[Any, ...]) -> None:
    """Send one message. Raises OSError; BlockingIOError where the socket does not block and is full."""
    body = marshal.dumps(tuple(message))  # of a named tuple, too
    if len(body) <= SMALL_BYTES:
        line.send(body)
        return
    with _file() as file:
        file.write(body)
        file.seek(0)
        socket.send_fds(line, [_IN_FILE], [file.fileno()])


class Inlet:
    """Takes messages from a socket, into a buffer of its own."""

    def __init__(self, line: Line, flags: int = 0) -> None:
        """Parameter `flags`: as of `socket.recv`."""
        self._line = line
        self._flags = flags
        self._buffer = bytearray(ROOM_BYTES)
        self._view = memoryview(self._buffer)

    def take(self) -> tuple[Any, ...] | None:
        """The next message; None at the end. Raises OSError; BlockingIOError where there is none and nobody waits."""
        count, ancillary, _, _ = self._line.recvmsg_into((self._view,), _ANCILLARY, self._flags)
        if not count:
            return None
        if not ancillary:
            message: tuple[Any, ...] = marshal.loads(self._view[:count])  # noqa: S302 - our own process sent it
            return message
        (descriptor,) = struct.unpack("i", ancillary[0][2][:4])
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
            large: tuple[Any, ...] = marshal.loads(file.read())  # noqa: S302 - as above
            return large


def _file() -> Any:
    """A file without a name: in memory, where the system has that."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("parcel", os.MFD_CLOEXEC), "wb+")  # noqa: PTH123 - a descriptor
    return tempfile.TemporaryFile()
