"""The task file: complete before anybody can see it, readable for its owner only, gone when the job has ended.

A task may be called `package` or `secrets`, so a file of that name is taken away before an attempt or after a lost one
only when it is proved that a keeper made it. The proof is the file's own: an extended attribute that holds its name. It
costs one system call, survives whatever the command does to mode, time and contents, does not follow a copy to another
name, and needs no second file to be made and removed. The file is written without a name and linked into its place when
it is complete and signed, so a keeper may be killed at any moment and leaves no file that cannot be told. Where the
file system has no extended attributes the nanoseconds of its time are the signature; where it has no unnamed files it
is made in place, and a kill within those microseconds leaves a file that stays and is reported.
"""

from __future__ import annotations

import errno
import os
import stat
import time

_ATTRIBUTE = "user.job_item.task_file"
_UNNAMED = getattr(os, "O_TMPFILE", 0)
_NO_UNNAMED = (errno.EISDIR, errno.EOPNOTSUPP, errno.EINVAL)
_SECOND_NS = 1_000_000_000
_PRIME = 999_999_937
"""The largest below the nanoseconds of a second."""


def write(path: str, body: bytes, *, replace: bool) -> None:
    """Make a file of `body` at `path`; with `replace` one that an earlier attempt left behind makes room.

    Raises OSError, FileExistsError when there is a file of that name that no keeper made.
    """
    if replace:
        clear(path)
    try:
        descriptor = os.open(os.path.dirname(path), os.O_WRONLY | os.O_CLOEXEC | _UNNAMED, 0o600)
    except OSError as error:
        if error.errno not in _NO_UNNAMED:
            raise
        return _write_in_place(path, body)
    try:
        _fill(descriptor, path, body)
        # With a descriptor beside it Python follows the link in /proc, as open(2) says under O_TMPFILE.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor)
    finally:
        os.close(descriptor)


def clear(path: str) -> None:
    """Take away what a keeper left at `path`; a file that no keeper made stays."""
    if _is_signed(path):
        remove(path)


def remove(path: str) -> None:
    """Take the file away if it is there: the command may have done so already, as the samples of the Go worker do, or
    have put something in its place that cannot be removed.
    """
    try:
        os.unlink(path)
    except OSError:
        pass


def _write_in_place(path: str, body: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        _fill(descriptor, path, body)
    except OSError:
        remove(path)
        raise
    finally:
        os.close(descriptor)


def _fill(descriptor: int, path: str, body: bytes) -> None:
    """Write the body, then the signature: writing would change the time."""
    rest = memoryview(body)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    name = _name_in(path)
    try:
        os.setxattr(descriptor, _ATTRIBUTE, name)
    except (OSError, AttributeError):
        now = time.time_ns()
        os.utime(descriptor, ns=(now, now - now % _SECOND_NS + _nanoseconds_of(name)))


def _is_signed(path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        return False
    try:
        return os.getxattr(path, _ATTRIBUTE, follow_symlinks=False) == _name_in(path)
    except (OSError, AttributeError) as error:
        if getattr(error, "errno", None) == errno.ENODATA:
            return False  # it could have been signed better
        return found.st_mtime_ns % _SECOND_NS == _nanoseconds_of(_name_in(path))


def _name_in(path: str) -> bytes:
    return os.fsencode(os.path.basename(path))


def _nanoseconds_of(name: bytes) -> int:
    return int.from_bytes(name, "big") % _PRIME
