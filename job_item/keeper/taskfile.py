"""The task file: complete before the command can see it, readable for its owner only, gone when the job has ended."""

from __future__ import annotations

import os

REGULAR_0600 = 0o100600


class StageError(OSError):
    """The task file could not be written."""


def write(path: str, body: bytes, *, replace: bool) -> None:
    """Write `body` to a new file; with `replace` one that an earlier attempt left behind makes room.

    Raises StageError, also when there is a file of that name that no task left: a task may be called `package`.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        if replace and looks_ours(path):
            remove(path)
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise StageError(error.errno, error.strerror, path) from error
    try:
        rest = memoryview(body)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError as error:
        remove(path)
        raise StageError(error.errno, error.strerror, path) from error
    finally:
        os.close(descriptor)


def looks_ours(path: str) -> bool:
    """Whether the file is as task files are: a plain file of this user that nobody else may read."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return found.st_mode == REGULAR_0600 and found.st_uid == os.geteuid()


def remove(path: str) -> None:
    """Take the file away; the command may have done so already, as the samples of the Go worker do."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
