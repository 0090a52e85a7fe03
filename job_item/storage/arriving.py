"""A local file that is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from job_item.storage.names import UNFINISHED


class Arriving:
    """A file while it is written; gets its name when all of it has come."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size_bytes = 0

    def write(self, block: bytes | memoryview) -> None:
        """Take the next bytes. Raises OSError."""
        left = memoryview(block)
        while left:
            written = os.write(self._descriptor, left)
            self.size_bytes += written
            left = left[written:]


@contextmanager
def arriving(folder: int, name: str) -> Iterator[Arriving]:
    """Make a file in an open folder that takes its name when the block ends well, and is gone otherwise.

    A power cut leaves the old file or the new one. Raises OSError.
    """
    unfinished = f"{UNFINISHED}{os.urandom(8).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(unfinished, flags, 0o666, dir_fd=folder)
    try:
        yield Arriving(descriptor)
        os.fsync(descriptor)
        os.rename(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished, dir_fd=folder)
        raise
    finally:
        os.close(descriptor)
