"""What an HTTP job queue has granted to this node, from before the asking until the result is delivered.

A row is written before a job is asked for, so that a claim whose answer nobody heard is found again. The job and the
answer are written together. The row outlives its task, until the result was delivered: retention takes no result away.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from job_item.job import JobRecord
from worker.journal.operations import Accept
from worker.journal.tally import Change

_COLUMNS = (
    "g.number, g.api, g.job_id, g.job_type, g.claimant, g.asked_at, g.task_id, g.assignment_id, g.storage_uri,"
    " g.taken_at, g.lasts_s, g.result"
)
SELECT = (
    f"SELECT {_COLUMNS}, g.task_id IS NOT NULL AND (t.seq IS NULL OR t.finished_at IS NOT NULL)"  # noqa: S608
    " FROM grants AS g LEFT JOIN tasks AS t ON t.task_id = g.task_id"
)
"""The columns of `Grant`, ready for a WHERE clause."""

TABLE = (
    """CREATE TABLE grants(
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        api TEXT NOT NULL,
        job_id INTEGER NOT NULL,
        job_type TEXT NOT NULL,
        claimant TEXT NOT NULL,
        asked_at REAL NOT NULL,
        task_id TEXT UNIQUE,
        assignment_id INTEGER,
        storage_uri TEXT,
        taken_at REAL,
        lasts_s REAL,
        result BLOB
    )""",
)


class Grant(NamedTuple):
    """A job that was asked for; with `assignment_id` it was granted, with `task_id` it is a job of this node.

    Moments are seconds since the epoch.
    """

    number: int
    api: str
    job_id: int
    job_type: str
    claimant: str
    """The name under which it was asked for (`ecsTaskArn`)."""
    asked_at: float
    task_id: str | None = None
    assignment_id: int | None = None
    storage_uri: str | None = None
    taken_at: float | None = None
    lasts_s: float | None = None
    """How long the assignment is good for, from `taken_at` on."""
    result: bytes | None = None
    """The body that is to be posted; None where the job ended without one."""
    has_ended: bool = False
    """Whether the job has ended, and its result is to be delivered."""


class Granted(NamedTuple):
    """What the API answered: an assignment."""

    assignment_id: int
    storage_uri: str
    lasts_s: float


class AskGrant(NamedTuple):
    """A job is about to be asked for."""

    api: str
    job_id: int
    job_type: str
    claimant: str
    asked_at: float
    write: str = "ask"

    def apply(self, db: sqlite3.Cursor) -> tuple[Grant, tuple[Change, ...]]:
        """Returns the new grant."""
        asked = (self.api, self.job_id, self.job_type, self.claimant, self.asked_at)
        db.execute("INSERT INTO grants(api, job_id, job_type, claimant, asked_at) VALUES(?, ?, ?, ?, ?)", asked)
        return Grant(db.lastrowid or 0, *asked), ()


class TakeGrant(NamedTuple):
    """A job was granted: it becomes a job of this node, together with what is known of its assignment."""

    number: int
    granted: Granted
    job: Accept
    write: str = "take"

    def apply(self, db: sqlite3.Cursor) -> tuple[tuple[bool, JobRecord], tuple[Change, ...]]:
        """Returns what `Accept` does."""
        found = self.job.apply(db)
        db.execute(
            "UPDATE grants SET task_id = ?, assignment_id = ?, storage_uri = ?, taken_at = ?, lasts_s = ?"
            " WHERE number = ?",
            (
                self.job.task_id,
                self.granted.assignment_id,
                self.granted.storage_uri,
                self.job.created_at,
                self.granted.lasts_s,
                self.number,
            ),
        )
        return found


class DropGrant(NamedTuple):
    """A grant is of no interest any more: it was not given, left to others, or its result was delivered."""

    number: int
    write: str = "drop"

    def apply(self, db: sqlite3.Cursor) -> tuple[None, tuple[Change, ...]]:
        """Nothing is returned."""
        db.execute("DELETE FROM grants WHERE number = ?", (self.number,))
        return None, ()
