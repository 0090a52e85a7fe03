"""What an error of SQLite means for whoever asked: that it may be tried again, or that the journal is broken."""

from __future__ import annotations

import errno
import sqlite3

from job_item.errors import Bug, NodeError, Unavailable

_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
    }
)
"""Results that lie with the disk, the system or another process: they get better without us."""

_PASSING_ERRNO = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}
)

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def is_damage(error: BaseException) -> bool:
    """Whether the file is broken."""
    return _result(error) in _DAMAGED


def concerns_all(error: BaseException) -> bool:
    """Whether what failed one order would fail any other too; on a full disk a smaller one may still fit."""
    return _result(error) in _PASSING - {sqlite3.SQLITE_FULL}


def of_opening(path: object, error: OSError | sqlite3.Error) -> NodeError:
    """Translate an error of opening the journal: `Unavailable` when that may be tried again."""
    passing = error.errno in _PASSING_ERRNO if isinstance(error, OSError) else _result(error) in _PASSING
    if passing:
        return Unavailable("ERR-STO-001", f"The journal {path} cannot be opened for the moment: {error}.")
    return NodeError("ERR-STO-002", f"The journal {path} cannot be opened: {error}.")


def of_use(error: BaseException, act: str) -> NodeError:
    """Translate an error of an open journal: `Unavailable` when the `act` may be tried again, else `Bug`."""
    found: NodeError
    if isinstance(error, sqlite3.OperationalError):
        found = Unavailable("ERR-STO-001", f"The journal cannot be {act}: {error}.")
    else:
        found = Bug("ERR-STO-004", f"The journal has failed inside: {error!r}.")
    found.__cause__ = error
    return found


def _result(error: BaseException) -> int:
    """The primary result code of SQLite, which stands in the lower byte; 0 where there is none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
