"""Frames between a room and its keepers: a length, then one marshalled value.

Marshal is right here and nowhere else: both ends are the same interpreter, started by each other, it carries bytes as
they are, and it costs the keeper no import.
"""

from __future__ import annotations

import marshal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections import deque
    from typing import Any
else:
    from _collections import deque  # as in `spool`

HEADER_BYTES = 4


def pack(message: dict[str, Any]) -> bytes:
    """Make one frame of `message`."""
    body = marshal.dumps(message)
    return len(body).to_bytes(HEADER_BYTES, "big") + body


class Frames:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> list[dict[str, Any]]:
        """Take bytes as they came; return the messages that are whole now."""
        pending = self._pending
        pending += chunk
        messages = []
        while len(pending) >= HEADER_BYTES:
            end = HEADER_BYTES + int.from_bytes(pending[:HEADER_BYTES], "big")
            if len(pending) < end:
                break
            messages.append(marshal.loads(bytes(pending[HEADER_BYTES:end])))  # noqa: S302 - the sender is our own room
            del pending[:end]
        return messages


class Inbox:
    """The messages of a blocking socket, in order."""

    def __init__(self, control: _socket.socket) -> None:
        self.messages: deque[dict[str, Any]] = deque()
        self._control = control
        self._frames = Frames()

    def read(self) -> bool:
        """Wait for more and queue what is whole; False at the end of the socket."""
        try:
            chunk = self._control.recv(1 << 16)
        except OSError:
            return False
        self.messages += self._frames.feed(chunk)
        return bool(chunk)
