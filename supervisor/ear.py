"""The other side of sd_notify(3): hearing what a node that was started from here says of itself.

`NAME=value` lines in datagrams; `FDSTORE=1` comes with a descriptor that is to be kept. The words are older than any
version of this program and stay, so two versions understand each other.
"""

from __future__ import annotations

import array
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_READ_BYTES = 64 << 10
_FDS_MAX = 4
_ADDRESS_MAX_BYTES = 100
"""unix(7): 108 with the NUL at the end, on some systems less."""


@dataclass(frozen=True, slots=True)
class Saying:
    """One datagram: its lines, and the descriptors that came with it, which are the hearer's now."""

    lines: tuple[str, ...]
    descriptors: tuple[int, ...]


class Ear:
    """A socket that a node can speak to, in `folder`, which nobody else may enter."""

    def __init__(self, folder: Path) -> None:
        self._folder: str | None = None
        self.address = f"{folder}/ear-{os.getpid()}"
        if len(os.fsencode(self.address)) > _ADDRESS_MAX_BYTES:
            self._folder = f"/tmp/job_item-{os.getpid()}-{secrets.token_hex(8)}"  # noqa: S108 - made here, mode 0700
            os.mkdir(self._folder, 0o700)  # noqa: PTH102
            self.address = f"{self._folder}/ear"
        with suppress(FileNotFoundError):  # of a process that had the same pid and was killed
            os.unlink(self.address)  # noqa: PTH108
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(self.address)

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._socket.fileno()

    def take(self) -> list[Saying]:
        """What was said since the last call."""
        said = []
        with suppress(BlockingIOError):
            while True:
                said.append(self._receive())
        return said

    def close(self) -> None:
        """Hear nothing more."""
        self._socket.close()
        with suppress(OSError):
            os.unlink(self.address)  # noqa: PTH108
            if self._folder is not None:
                os.rmdir(self._folder)  # noqa: PTH106

    def _receive(self) -> Saying:
        numbers = array.array("i")
        content, ancillary, _, _ = self._socket.recvmsg(_READ_BYTES, socket.CMSG_SPACE(_FDS_MAX * numbers.itemsize))
        for level, kind, packed in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers.frombytes(packed[: len(packed) - len(packed) % numbers.itemsize])
        for number in numbers:
            os.set_inheritable(number, False)
        return Saying(tuple(content.decode(errors="replace").splitlines()), tuple(numbers))
