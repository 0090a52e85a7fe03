"""What the manager knows, in one SQLite file: jobs, what was said of them, their files and results, the reports.

Whatever a node says or sends again is known by its bytes and kept once; `times` counts how often it came.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FINAL = ("finish", "error", "timeout", "terminate")
OUTPUT_LIMIT_BYTES = 16 << 20
"""How much of a job's output is kept."""

_TABLES = """
CREATE TABLE IF NOT EXISTS jobs(
    number INTEGER PRIMARY KEY, task_id TEXT UNIQUE, event TEXT, data TEXT, status TEXT DEFAULT 'waiting', host TEXT,
    created_at REAL, sent_at REAL, began_at REAL, ended_at REAL, finishes INTEGER DEFAULT 0,
    output_bytes INTEGER DEFAULT 0
);
CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs(status, event, number);
CREATE TABLE IF NOT EXISTS said(number INTEGER PRIMARY KEY, task_id TEXT, what TEXT, body BLOB, at REAL);
CREATE INDEX IF NOT EXISTS said_by_task ON said(task_id, number);
CREATE TABLE IF NOT EXISTS results(
    number INTEGER PRIMARY KEY, task_id TEXT, sha256 TEXT, body TEXT, at REAL, times INTEGER DEFAULT 1,
    UNIQUE(task_id, sha256)
);
CREATE TABLE IF NOT EXISTS files(
    id INTEGER PRIMARY KEY, task_id TEXT, name TEXT, size INTEGER, sha256 TEXT, token TEXT, at REAL,
    times INTEGER DEFAULT 1, UNIQUE(task_id, name, sha256)
);
CREATE TABLE IF NOT EXISTS uploads(token TEXT PRIMARY KEY, task_id TEXT, name TEXT, size INTEGER, at REAL);
CREATE TABLE IF NOT EXISTS reports(
    subject TEXT, host_id TEXT, body TEXT, at REAL, times INTEGER DEFAULT 1, PRIMARY KEY(subject, host_id)
);
"""


class Store:
    """One connection; every call is one transaction."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.files = folder / "files"
        self.files.mkdir(exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(folder / "manager.sqlite", isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript("PRAGMA journal_mode = wal; PRAGMA synchronous = normal;" + _TABLES)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def add_job(self, task_id: str, event: str, data: str) -> None:
        """Take a job in."""
        now = time.time()
        self._db.execute(
            "INSERT INTO jobs(task_id, event, data, created_at) VALUES(?, ?, ?, ?)", (task_id, event, data, now)
        )

    def job(self, task_id: str) -> dict[str, Any] | None:
        """One job with all that belongs to it but its output."""
        row = self._row("SELECT * FROM jobs WHERE task_id = ?", task_id)
        if row is None:
            return None
        told = self._rows(
            "SELECT what, body, at FROM said WHERE task_id = ? AND what <> '_process' ORDER BY number", task_id
        )
        return {
            **row,
            "said": [{**one, "body": one["body"].decode(errors="replace")} for one in told],
            "results": self._rows("SELECT body, at, times FROM results WHERE task_id = ? ORDER BY number", task_id),
            "files": self._rows(
                "SELECT id, name, size, sha256, at, times FROM files WHERE task_id = ? ORDER BY id", task_id
            ),
        }

    def jobs(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """The newest jobs."""
        wanted = (
            "SELECT task_id, event, status, host, created_at, began_at, ended_at FROM jobs ORDER BY number DESC LIMIT ?"
        )
        return self._rows(wanted, limit)

    def counts(self) -> dict[str, int]:
        """How many jobs there are in each status."""
        return {row["status"]: row["n"] for row in self._rows("SELECT status, count(*) AS n FROM jobs GROUP BY status")}

    def unended(self, *statuses: str) -> Sequence[Mapping[str, Any]]:
        """The jobs in these statuses, oldest first."""
        marks = ", ".join("?" * len(statuses))
        return self._rows(f"SELECT * FROM jobs WHERE status IN ({marks}) ORDER BY number", *statuses)  # noqa: S608 - marks

    def at_once(self, event: str) -> int:
        """How many jobs of an event are with the nodes."""
        row = self._row("SELECT count(*) AS n FROM jobs WHERE status IN ('sent', 'running') AND event = ?", event)
        return int(row["n"]) if row else 0

    def sent(self, task_id: str) -> None:
        """A node has the job."""
        self._db.execute(
            "UPDATE jobs SET status = 'sent', sent_at = ? WHERE task_id = ? AND status = 'waiting'",
            (time.time(), task_id),
        )

    def withdraw(self, task_id: str, status: str) -> bool:
        """End a job that no node has; False where one has it."""
        ended = "UPDATE jobs SET status = ?, ended_at = ? WHERE task_id = ? AND status = 'waiting'"
        return self._db.execute(ended, (status, time.time(), task_id)).rowcount > 0

    def hear(self, task_id: str, what: str, body: bytes) -> None:
        """Write down what a node said of a job, and what follows from it."""
        now, words = time.time(), body.decode(errors="replace")
        self._db.execute("BEGIN IMMEDIATE")
        if what == "_who":
            began = "UPDATE jobs SET status = 'running', host = ?, began_at = coalesce(began_at, ?) WHERE task_id = ?"
            self._db.execute(f"{began} AND status IN ('waiting', 'sent')", (words, now, task_id))
        elif what == "_finish":
            ended = "UPDATE jobs SET status = ?, ended_at = ? WHERE task_id = ? AND ended_at IS NULL"
            self._db.execute(ended, (words if words in FINAL else "error", now, task_id))
            self._db.execute("UPDATE jobs SET finishes = finishes + 1 WHERE task_id = ?", (task_id,))
        grown = "UPDATE jobs SET output_bytes = output_bytes + ? WHERE task_id = ? AND output_bytes < ?"
        is_kept = what != "_process" or self._db.execute(grown, (len(body), task_id, OUTPUT_LIMIT_BYTES)).rowcount
        if is_kept:
            self._db.execute("INSERT INTO said(task_id, what, body, at) VALUES(?, ?, ?, ?)", (task_id, what, body, now))
        self._db.execute("COMMIT")

    def output(self, task_id: str) -> bytes:
        """The standard output of a job."""
        rows = self._rows("SELECT body FROM said WHERE task_id = ? AND what = '_process' ORDER BY number", task_id)
        return b"".join(row["body"] for row in rows)

    def add_result(self, task_id: str, body: str) -> None:
        """Keep a result."""
        self._db.execute(
            "INSERT INTO results(task_id, sha256, body, at) VALUES(?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET times = times + 1",
            (task_id, hashlib.sha256(body.encode()).hexdigest(), body, time.time()),
        )

    def add_file(self, task_id: str, name: str, came: Path) -> dict[str, Any]:
        """Keep a file that has come whole; returns its row."""
        with came.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        row = self._row(
            "INSERT INTO files(task_id, name, size, sha256, token, at) VALUES(?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET times = times + 1 RETURNING *",
            *(task_id, name, came.stat().st_size, sha256, secrets.token_urlsafe(16), time.time()),
        )
        assert row is not None  # noqa: S101 - it was just written
        came.replace(self.files / str(row["id"]))
        return row

    def file(self, number: int) -> dict[str, Any] | None:
        """One file."""
        return self._row("SELECT * FROM files WHERE id = ?", number)

    def add_upload(self, task_id: str, name: str, size: int) -> str:
        """Begin an upload that comes in pieces; returns its token, which names its file too."""
        token = secrets.token_urlsafe(16)
        (self.files / f"{token}.part").touch(0o600)
        self._db.execute("INSERT INTO uploads VALUES(?, ?, ?, ?, ?)", (token, task_id, name, size, time.time()))
        return token

    def upload(self, token: str) -> dict[str, Any] | None:
        """One upload in the making."""
        return self._row("SELECT * FROM uploads WHERE token = ?", token)

    def report(self, subject: str, host_id: str, body: str) -> None:
        """Keep the newest report of a host on a subject."""
        self._db.execute(
            "INSERT INTO reports(subject, host_id, body, at) VALUES(?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET body = excluded.body, at = excluded.at, times = times + 1",
            (subject, host_id, body, time.time()),
        )

    def reports(self) -> Sequence[Mapping[str, Any]]:
        """The newest report of each kind and host."""
        return self._rows("SELECT * FROM reports ORDER BY subject, host_id")

    def _row(self, query: str, *values: object) -> dict[str, Any] | None:
        rows = self._rows(query, *values)
        return rows[0] if rows else None

    def _rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        return [dict(row) for row in self._db.execute(query, values).fetchall()]
