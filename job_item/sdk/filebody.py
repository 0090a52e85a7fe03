"""One file as the body of a request, read while it is sent: a multipart form with one part `file` (protocol 1.4)."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from job_item.errors import NodeError

Watch = Callable[[int, int], None]
"""Is told how many bytes of a file are sent, and its size."""
_BLOCK_BYTES = 1 << 16


class OpenFile:
    """A regular file that is to be sent as it was when it was opened; `with` closes it.

    Raises `NodeError` (ERR-REP-006) where it is missing, no regular file, or may not be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            # A pipe would hold up the opening until somebody writes to it.
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise NodeError("ERR-REP-006", f"The file {self.path} cannot be read: {reason}.") from error
        found = os.fstat(self._descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(self._descriptor)
            raise NodeError("ERR-REP-006", f"{self.path} is {_kind(found.st_mode)}, not a file.")
        self.size_bytes = found.st_size
        self._seen = _marks(found)

    def __enter__(self) -> OpenFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._descriptor)

    def read(self, offset: int, size_bytes: int) -> bytes:
        """Read so many bytes, fewer only at the end. Raises `NodeError` (ERR-REP-006, ERR-REP-007)."""
        wanted = min(size_bytes, self.size_bytes - offset)
        try:
            block = os.pread(self._descriptor, wanted, offset)
        except OSError as error:
            raise NodeError("ERR-REP-006", f"The file {self.path} cannot be read: {error.strerror}.") from error
        if wanted and not block:
            raise self._changed()
        return block

    def check(self) -> None:
        """See that the file is still what it was when it was opened. Raises `NodeError` (ERR-REP-007)."""
        if _marks(os.fstat(self._descriptor)) != self._seen:
            raise self._changed()

    def _changed(self) -> NodeError:
        return NodeError("ERR-REP-007", f"The file {self.path} changed while it was being sent.")


class Stream:
    """Bytes of a file from an offset to its end, between a `head` and a `tail`; what `requests` takes as a body.

    The file is checked before its last bytes are given away: of one that changed meanwhile no whole request arrives.
    """

    def __init__(self, file: OpenFile, watch: Watch, *, offset: int = 0, head: bytes = b"", tail: bytes = b"") -> None:
        self._file = file
        self._watch = watch
        self._offset = offset
        self._head = head
        self._tail = tail
        self._size_bytes = len(head) + file.size_bytes - offset + len(tail)

    def __len__(self) -> int:
        return self._size_bytes

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(_BLOCK_BYTES):
            yield block

    def read(self, size: int = -1, /) -> bytes:
        """Give the next bytes, none at the end. Raises as `OpenFile`'s methods."""
        size = _BLOCK_BYTES if size < 0 else size
        if self._head:
            block, self._head = self._head[:size], self._head[size:]
            return block
        if self._offset < self._file.size_bytes:
            block = self._file.read(self._offset, size)
            self._offset += len(block)
            if self._offset == self._file.size_bytes:
                self._file.check()
            self._watch(self._offset, self._file.size_bytes)
            return block
        block, self._tail = self._tail[:size], self._tail[size:]
        return block


def form_of(file: OpenFile, watch: Watch) -> tuple[Stream, str]:
    """Make the form, and the content type that belongs to it (RFC 7578; the name quoted as browsers do)."""
    boundary = os.urandom(16).hex()
    name = os.fsencode(file.path.name).replace(b'"', b"%22").replace(b"\r", b"%0D").replace(b"\n", b"%0A")
    head = (
        b'--%s\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" % (boundary.encode(), name)
    )
    tail = b"\r\n--%s--\r\n" % boundary.encode()
    return Stream(file, watch, head=head, tail=tail), f"multipart/form-data; boundary={boundary}"


def _marks(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a directory"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((name for is_kind, name in kinds if is_kind(mode)), "a device")
