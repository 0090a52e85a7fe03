"""A lock on a file that others can look at without taking anything: who looks hinders nobody who wants it.

It belongs to the open file (fcntl(2), open file description locks), so it goes with a descriptor over exec, and ends
with the last process that has it. Where the system has none of these it is flock(2), at which one can only look by
having it for a moment.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

_FORM = "hhqqi"
"""`struct flock`: kind, from where, start, length (0: all of it), pid."""
_MISSING = (errno.EINVAL, errno.ENOSYS)


def raise_flag(descriptor: int) -> bool:
    """Take the lock of a file that is open for writing; False where another has it. Raises OSError."""
    try:
        try:
            _ask("F_OFD_SETLK", descriptor)
        except OSError as error:
            if error.errno not in _MISSING:
                raise
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_raised(descriptor: int) -> bool:
    """Whether somebody else has the lock of an open file. Raises OSError."""
    try:
        return _ask("F_OFD_GETLK", descriptor) != fcntl.F_UNLCK
    except OSError as error:
        if error.errno not in _MISSING:
            raise
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _ask(command: str, descriptor: int) -> int:
    """Give a command about a lock for writing on the whole file; returns the kind that comes back."""
    number = getattr(fcntl, command, None)
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    wish = struct.pack(_FORM, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind: int = struct.unpack_from("h", fcntl.fcntl(descriptor, number, wish))[0]
    return kind
