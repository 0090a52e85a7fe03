"""What came in through a pipe, kept within bounds: its beginning, its last 64 KiB, and how much is missing between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

TAIL_BYTES = 64 << 10
MEMORY_BYTES = 1 << 20
"""Beyond this the beginning goes to a temporary file."""
_BLOCK_BYTES = 1 << 16


class Capture:
    """Keeps bytes in the order in which they came, `limit_bytes` of them at most (never less than the last 64 KiB).

    Where the temporary file cannot be written, what comes from then on counts as beyond the limit; `failure` says why.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.size_bytes = 0
        """Of all that came."""
        self.failure: OSError | None = None
        self._room_bytes = max(0, limit_bytes - TAIL_BYTES)
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._kept_bytes = 0
        self._tail = bytearray()

    @property
    def dropped_bytes(self) -> int:
        """How much came and is not kept."""
        return self.size_bytes - self._kept_bytes - min(len(self._tail), TAIL_BYTES)

    def add(self, chunk: bytes) -> None:
        """Keep what came."""
        self.size_bytes += len(chunk)
        if not self._tail:
            head, chunk = chunk[: self._room_bytes - self._kept_bytes], chunk[self._room_bytes - self._kept_bytes :]
            if not self._keep(head):
                chunk = head + chunk
        self._tail += chunk
        if len(self._tail) > 2 * TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]

    def read(self) -> Iterator[bytes]:
        """Give all that is kept, from the beginning, in pieces; a gap is marked with its size."""
        yield bytes(self._memory)
        if self._file is not None:
            self._file.seek(0)
            left = self._kept_bytes - len(self._memory)
            while left > 0 and (block := self._file.read(min(left, _BLOCK_BYTES))):
                left -= len(block)
                yield block
        if self.dropped_bytes:
            yield b"\n[%d bytes are left out here]\n" % self.dropped_bytes
        yield bytes(self._tail[-TAIL_BYTES:])

    def close(self) -> None:
        """Give the temporary file up."""
        if self._file is not None:
            self._file.close()

    def _keep(self, head: bytes) -> bool:
        """Keep bytes of the beginning; False where there is no room for them on the disk."""
        if self._file is None and len(self._memory) + len(head) <= MEMORY_BYTES:
            self._memory += head
        else:
            try:
                self._open().write(head)
                self._open().flush()
            except OSError as error:
                self.failure = error
                self._room_bytes = self._kept_bytes
                return False
        self._kept_bytes += len(head)
        return True

    def _open(self) -> IO[bytes]:
        if self._file is None:
            from tempfile import TemporaryFile  # takes longer to load than all else that a small input needs

            self._file = TemporaryFile(prefix="job_item-")  # noqa: SIM115 - `close` does it
        return self._file
