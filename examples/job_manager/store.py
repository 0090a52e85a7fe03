"""What the manager knows, in one SQLite file: jobs, what was said of them, their files and results, the reports.

Whatever a node says or sends again is known by its bytes and kept once; `times` counts how often it came.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import time
from functools import partial
from pathlib import Path
from typing import Any

Row = dict[str, Any]

OUTPUT_LIMIT_BYTES = 16 << 20
"""How much of a job's output is kept."""

_TABLES = """
CREATE TABLE IF NOT EXISTS jobs(
    number INTEGER PRIMARY KEY, task_id TEXT UNIQUE, event TEXT, data TEXT, status TEXT DEFAULT 'waiting', host TEXT,
    created_at REAL DEFAULT (now()), began_at REAL, ended_at REAL, finishes INTEGER DEFAULT 0,
    output_bytes INTEGER DEFAULT 0, wish TEXT, wished_at REAL DEFAULT 0 -- the end that was asked for, and when last
);
CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs(status, event, number);
CREATE TABLE IF NOT EXISTS said(
    number INTEGER PRIMARY KEY, task_id TEXT, what TEXT, body BLOB, at REAL DEFAULT (now())
);
CREATE INDEX IF NOT EXISTS said_by_task ON said(task_id, number);
CREATE TABLE IF NOT EXISTS results(
    task_id TEXT, body TEXT, at REAL DEFAULT (now()), times INTEGER DEFAULT 1, UNIQUE(task_id, body)
);
CREATE TABLE IF NOT EXISTS files( -- sha256 is null until all of a file has come
    id INTEGER PRIMARY KEY, task_id TEXT, name TEXT, size INTEGER, sha256 TEXT, token TEXT,
    at REAL DEFAULT (now()), times INTEGER DEFAULT 1, UNIQUE(task_id, name, sha256)
);
CREATE TABLE IF NOT EXISTS reports(
    subject TEXT, host_id TEXT, body TEXT, at REAL DEFAULT (now()), times INTEGER DEFAULT 1,
    PRIMARY KEY(subject, host_id)
);
"""


class Store:
    """One connection; every call is one transaction."""

    def __init__(self, folder: Path) -> None:
        self._files = folder / "files"
        self._files.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(folder / "manager.sqlite", isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.text_factory = partial(str, encoding="utf-8", errors="replace")
        self._db.create_function("now", 0, time.time)
        self._db.executescript("PRAGMA journal_mode = wal; PRAGMA synchronous = normal;" + _TABLES)

    def rows(self, query: str, *values: object) -> list[Row]:
        """What a statement gives."""
        return [dict(row) for row in self._db.execute(query, values)]

    def row(self, query: str, *values: object) -> Row | None:
        """Its only row, if it has one."""
        return next(iter(self.rows(query, *values)), None)

    def change(self, query: str, *values: object) -> bool:
        """Do it; tells whether that has changed anything."""
        return self._db.execute(query, values).rowcount > 0

    def job(self, task_id: str) -> Row | None:
        """One job with all that belongs to it but its output."""
        job = self.row("SELECT * FROM jobs WHERE task_id = ?", task_id)
        if job is None:
            return None
        said = "SELECT what, CAST(body AS TEXT) AS body, at FROM said WHERE task_id = ? AND what <> '_process'"
        files = "SELECT id, name, size, sha256, at, times FROM files WHERE task_id = ? AND sha256 IS NOT NULL"
        return {
            **job,
            "said": self.rows(f"{said} ORDER BY number", task_id),
            "results": self.rows("SELECT body, at, times FROM results WHERE task_id = ?", task_id),
            "files": self.rows(files, task_id),
        }

    def output(self, task_id: str) -> bytes:
        """The standard output of a job."""
        rows = self.rows("SELECT body FROM said WHERE task_id = ? AND what = '_process' ORDER BY number", task_id)
        return b"".join(row["body"] for row in rows)

    def hear(self, task_id: str, what: str, body: bytes) -> None:
        """Write down what a node said of a job, and what follows from it."""
        words = body.decode(errors="replace")
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if what == "_who":
                self.change(
                    "UPDATE jobs SET status = 'running', host = ?, began_at = coalesce(began_at, now())"
                    " WHERE task_id = ? AND status IN ('waiting', 'sent')",
                    *(words, task_id),
                )
            elif what == "_finish":
                status = words if words in ("finish", "error", "timeout", "terminate") else "error"
                self.change(
                    "UPDATE jobs SET finishes = finishes + 1, status = iif(ended_at IS NULL, ?, status),"
                    " ended_at = coalesce(ended_at, now()) WHERE task_id = ?",
                    *(status, task_id),
                )
            grown = "UPDATE jobs SET output_bytes = output_bytes + ? WHERE task_id = ? AND output_bytes < ?"
            if what != "_process" or self.change(grown, len(body), task_id, OUTPUT_LIMIT_BYTES):
                self.change("INSERT INTO said(task_id, what, body) VALUES(?, ?, ?)", task_id, what, body)

    def add_result(self, task_id: str, body: str) -> None:
        """Keep a result."""
        again = "ON CONFLICT DO UPDATE SET times = times + 1"
        self.change(f"INSERT INTO results(task_id, body) VALUES(?, ?) {again}", task_id, body)

    def begin_file(self, task_id: str, name: str = "", size: int | None = None) -> Row:
        """A file is about to come; `path` says where its bytes go."""
        begun = "INSERT INTO files(task_id, name, size, token) VALUES(?, ?, ?, ?) RETURNING *"
        row = self.rows(begun, task_id, name, size, secrets.token_urlsafe(16))[0]
        self.path(row).write_bytes(b"")
        return row

    def path(self, file: Row) -> Path:
        """Where the bytes of a file are."""
        return self._files / str(file["id"])

    def end_file(self, file: Row, name: str) -> Row:
        """It has come whole; returns what is kept: the same that has come before, where it has."""
        name = name.replace("\\", "/").rpartition("/")[2] or "file"
        with self.path(file).open("rb") as stream:
            sha256, size = hashlib.file_digest(stream, "sha256").hexdigest(), stream.tell()
        again = "UPDATE files SET times = times + 1 WHERE task_id = ? AND name = ? AND sha256 = ? RETURNING *"
        if before := self.row(again, file["task_id"], name, sha256):
            if before["id"] != file["id"]:
                self.drop_file(file)
            return before
        whole = "UPDATE files SET name = ?, size = ?, sha256 = ? WHERE id = ? RETURNING *"
        return self.rows(whole, name, size, sha256, file["id"])[0]

    def drop_file(self, file: Row) -> None:
        """It will not come, or is known already."""
        self.change("DELETE FROM files WHERE id = ?", file["id"])
        self.path(file).unlink(missing_ok=True)

    def report(self, subject: str, host_id: str, body: str) -> None:
        """Keep the newest report of a host on a subject."""
        self.change(
            "INSERT INTO reports(subject, host_id, body) VALUES(?, ?, ?) ON CONFLICT DO UPDATE"
            " SET body = excluded.body, at = excluded.at, times = times + 1",
            *(subject, host_id, body),
        )
