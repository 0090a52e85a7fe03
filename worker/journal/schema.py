"""The file of the journal: its tables, its versions, its connections."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Literal

from job_item.errors import NodeError
from worker.journal import errors, grants

BUSY_TIMEOUT_S = 0.05
"""How long a foreign process that writes the journal is waited for: the loop stands still meanwhile."""

LOG_PAGES = 16_000
"""Pages (4 KiB) of the log at which a commit itself folds it into the file; `fold_log` does so much earlier."""

_FIRST = (
    # The running attempt of a task stands in its row: attempt, fence, incarnation, started_at.
    """CREATE TABLE tasks(
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        task_id TEXT NOT NULL UNIQUE,
        event TEXT NOT NULL,
        source TEXT NOT NULL,
        body BLOB NOT NULL,
        status TEXT NOT NULL,
        attempt INTEGER NOT NULL DEFAULT 0,
        fence INTEGER,
        incarnation TEXT,
        not_before REAL,
        cancel INTEGER NOT NULL DEFAULT 0,
        created_at REAL NOT NULL,
        started_at REAL,
        finished_at REAL,
        exit_code INTEGER,
        error_code TEXT,
        error TEXT,
        log_bytes INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX tasks_by_status ON tasks(status, event, seq)",
    "CREATE INDEX tasks_by_end ON tasks(finished_at, log_bytes) WHERE finished_at IS NOT NULL",
    # Attempts that have ended; the primary key admits one end of each.
    """CREATE TABLE attempts(
        seq INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        fence INTEGER NOT NULL,
        incarnation TEXT NOT NULL,
        started_at REAL NOT NULL,
        result BLOB NOT NULL,
        PRIMARY KEY (seq, attempt)
    ) WITHOUT ROWID""",
    """CREATE TABLE notes(
        seq INTEGER NOT NULL,
        number INTEGER NOT NULL,
        at REAL NOT NULL,
        msg TEXT NOT NULL,
        PRIMARY KEY (seq, number)
    ) WITHOUT ROWID""",
    "CREATE TABLE opened(epoch INTEGER NOT NULL)",
    "INSERT INTO opened VALUES(0)",
)

_SHARES = (
    # The key is not that of `tasks`: data may be shared under an id that is no task of this node.
    """CREATE TABLE shares(
        number INTEGER PRIMARY KEY,
        task_id TEXT NOT NULL,
        key TEXT NOT NULL,
        data TEXT NOT NULL,
        ttl_s REAL,
        expires_at REAL
    )""",
)

_TRACES = ("ALTER TABLE tasks ADD COLUMN trace TEXT",)  # the trace context that came with the job

_OUTBOX = (
    # What is still to be said over the broker; the order within a task is that of `number`.
    """CREATE TABLE outbox(
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        task_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        body BLOB NOT NULL,
        due_at REAL NOT NULL
    )""",
    "CREATE INDEX outbox_by_task ON outbox(task_id)",
)

_DURABLE = (
    # leased: a broker has the job until we have its result; delivery: how often it had been given out, us included.
    "ALTER TABLE tasks ADD COLUMN leased INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE tasks ADD COLUMN delivery INTEGER NOT NULL DEFAULT 0",
    # How often it came back from the dead letters, and the attempts that it had had before that.
    "ALTER TABLE tasks ADD COLUMN round INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE tasks ADD COLUMN spent INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE tasks ADD COLUMN dead INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX tasks_dead ON tasks(seq) WHERE dead",
    "CREATE INDEX tasks_leased ON tasks(status, seq) WHERE leased",
    # What is said of a job once its broker knows that it is done.
    """CREATE TABLE held(
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        task_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        body BLOB NOT NULL,
        due_at REAL NOT NULL
    )""",
    "CREATE INDEX held_by_task ON held(task_id)",
)

_PLEDGES = (
    # By what a job on loan can be let go of after the death of its process; until when, by the clock of which boot.
    "ALTER TABLE tasks ADD COLUMN pledge TEXT",
    "ALTER TABLE tasks ADD COLUMN pledged_until REAL",
    "ALTER TABLE tasks ADD COLUMN boot TEXT",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _SHARES, _TRACES, _OUTBOX, grants.TABLE, _DURABLE, _PLEDGES)
"""The statements that lead from each version (PRAGMA user_version) to the next."""


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Raise what fails within as `Unavailable` where it may be tried again, else as `NodeError`."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise errors.of_opening(path, error) from error


def open_writer(path: Path, sync: Literal["normal", "full"]) -> tuple[sqlite3.Connection, int]:
    """Open the write connection, bring the schema up to date and count this opening.

    Returns the connection, for whichever thread takes it, and the epoch. Raises `NodeError` when the file is of a newer
    version; other errors as they come, for `opening` to translate.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = wal")
        db.execute(f"PRAGMA synchronous = {sync}")
        db.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        db.execute("PRAGMA temp_store = memory")
        return db, _begin(db, path)
    except BaseException:
        db.close()
        raise


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a read-only connection, for the thread that calls."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, timeout=BUSY_TIMEOUT_S, isolation_level=None, uri=True)


def open_snapshot(path: Path) -> sqlite3.Connection:
    """Open a connection that sees the journal as it is at this moment, for another thread to read."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    db = sqlite3.connect(uri, timeout=BUSY_TIMEOUT_S, isolation_level=None, uri=True, check_same_thread=False)
    try:
        db.execute("BEGIN")
        db.execute("SELECT epoch FROM opened").fetchone()  # the first read fixes what is seen
    except BaseException:
        db.close()
        raise
    return db


def fold_log(path: Path) -> None:
    """Bring the log into the file, beside the writer; what a reader or a full disk keeps from it may come later."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as db:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _begin(db: sqlite3.Connection, path: Path) -> int:
    """Migrate, and return the number of this opening, in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise NodeError(
            "ERR-STO-003", f"The journal {path} has version {version}; this program knows {len(MIGRATIONS)}."
        )
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            db.execute(statement)
    if version < len(MIGRATIONS):
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    db.execute("UPDATE opened SET epoch = epoch + 1")
    (epoch,) = db.execute("SELECT epoch FROM opened").fetchone()
    db.execute("COMMIT")
    return int(epoch)
