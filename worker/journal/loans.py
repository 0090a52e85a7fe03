"""The writes of the journal that are about jobs on loan from a broker, and about dead letters.

A job on loan (`leased`) is the broker's until it knows the result: where this process dies, or loses the loan, the job
is `left`, and whoever gets it next runs it.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from job_item.job import JobRecord, Status
from worker.journal import records
from worker.journal.sayings import speak
from worker.journal.tally import Change
from worker.journal.values import LastWords, Loaned

HERE, AT_BROKER = 1, 2
"""Where a dead letter is kept."""

_REOPEN = (
    "UPDATE tasks SET status = 'queued', leased = ?, pledge = ?, pledged_until = ?, boot = ?,"
    " delivery = max(delivery, ?), attempt = max(attempt, ?), round = ?,"
    " spent = ?, dead = 0, cancel = 0, not_before = NULL, finished_at = NULL, exit_code = NULL, error_code = NULL,"
    " error = NULL WHERE seq = ?"
)


class Borrow(NamedTuple):
    """A broker lends a job. One that was left here before, or that comes back from the dead letters, is open again."""

    task_id: str
    event: str
    body: bytes
    created_at: float
    loaned: Loaned
    write: str = "borrow"

    def apply(self, db: sqlite3.Cursor) -> tuple[tuple[bool, JobRecord], tuple[Change, ...]]:
        """Returns whether it is to be run, and its record."""
        row = db.execute(
            "SELECT seq, status, attempt, round, spent, log_bytes FROM tasks WHERE task_id = ?", (self.task_id,)
        ).fetchone()
        delivery, runs, turn, *pledge = self.loaned
        if row is None:
            db.execute(
                "INSERT INTO tasks(task_id, event, source, body, status, created_at, attempt, leased, delivery, round,"
                " pledge, pledged_until, boot) VALUES(?, ?, 'broker', ?, 'queued', ?, ?, 1, ?, ?, ?, ?, ?)",
                (self.task_id, self.event, self.body, self.created_at, runs, delivery, turn, *pledge),
            )
            change = Change(self.event, None, Status.QUEUED)
            return (True, JobRecord(self.task_id, self.event, Status.QUEUED, runs, self.created_at)), (change,)
        seq, status, attempt, last_turn, spent, log_bytes = row
        is_next_turn = Status(status).is_final and turn > last_turn
        if not is_next_turn and status != Status.LEFT:
            db.execute("UPDATE tasks SET delivery = max(delivery, ?) WHERE seq = ?", (delivery, seq))
            return (False, _known(db, self.task_id)), ()
        spent = attempt if is_next_turn else spent
        db.execute(_REOPEN, (1, *pledge, delivery, spent + runs, max(turn, last_turn), spent, seq))
        change = Change(self.event, Status(status), Status.QUEUED, -log_bytes)
        return (True, _known(db, self.task_id)), (change,)


class Own(NamedTuple):
    """The broker has forgotten a job: it is this node's alone, and what was held back of it may be said."""

    task_id: str
    write: str = "own"

    def apply(self, db: sqlite3.Cursor) -> tuple[None, tuple[Change, ...]]:
        """Nothing is returned."""
        db.execute("UPDATE tasks SET leased = 0, pledge = NULL WHERE task_id = ?", (self.task_id,))
        db.execute(
            "INSERT INTO outbox(task_id, kind, body, due_at)"
            " SELECT task_id, kind, body, due_at FROM held WHERE task_id = ? ORDER BY number",
            (self.task_id,),
        )
        db.execute("DELETE FROM held WHERE task_id = ?", (self.task_id,))
        return None, ()


class Prolong(NamedTuple):
    """A loan lasts for longer."""

    task_id: str
    until_s: float
    write: str = "prolong"

    def apply(self, db: sqlite3.Cursor) -> tuple[None, tuple[Change, ...]]:
        """Nothing is returned."""
        db.execute("UPDATE tasks SET pledged_until = ? WHERE task_id = ? AND leased", (self.until_s, self.task_id))
        return None, ()


class Leave(NamedTuple):
    """A job on loan that waits is given up: somebody else has it, or will have it."""

    task_id: str
    at: float
    write: str = "leave"

    def apply(self, db: sqlite3.Cursor) -> tuple[bool, tuple[Change, ...]]:
        """Returns whether it waited."""
        row = db.execute(
            "SELECT seq, event, log_bytes FROM tasks WHERE task_id = ? AND status = 'queued' AND leased",
            (self.task_id,),
        ).fetchone()
        if row is None:
            return False, ()
        return True, (_leave(db, row, self.at),)


class GiveUp(NamedTuple):
    """A job that waits ends without another attempt; `is_dead`: as one of the dead letters."""

    task_id: str
    error_code: str
    error: str
    at: float
    is_dead: bool
    words: LastWords | None = None
    write: str = "give_up"

    def apply(self, db: sqlite3.Cursor) -> tuple[JobRecord | None, tuple[Change, ...]]:
        """Returns its record; None when it does not wait."""
        row = db.execute(
            "SELECT seq, event, log_bytes, leased FROM tasks WHERE task_id = ? AND status = 'queued'", (self.task_id,)
        ).fetchone()
        if row is None:
            return None, ()
        seq, event, log_bytes, leased = row
        dead = (AT_BROKER if leased else HERE) if self.is_dead else 0
        db.execute(
            "UPDATE tasks SET status = 'error', not_before = NULL, finished_at = ?, error_code = ?, error = ?, dead = ?"
            " WHERE seq = ?",
            (self.at, self.error_code, self.error, dead, seq),
        )
        if self.words is not None:
            speak(db, self.task_id, Status.ERROR, self.words, is_held=bool(leased))
        return _known(db, self.task_id), (Change(event, Status.QUEUED, Status.ERROR, log_bytes),)


class Revive(NamedTuple):
    """A dead letter that is kept here is tried again, with all its attempts before it."""

    task_id: str
    write: str = "revive"

    def apply(self, db: sqlite3.Cursor) -> tuple[JobRecord | None, tuple[Change, ...]]:
        """Returns its record; None when it is no such dead letter."""
        row = db.execute(
            "SELECT seq, event, status, attempt, round, log_bytes FROM tasks WHERE task_id = ? AND dead = ?",
            (self.task_id, HERE),
        ).fetchone()
        if row is None:
            return None, ()
        seq, event, status, attempt, turn, log_bytes = row
        db.execute(_REOPEN, (0, None, None, None, 0, 0, turn + 1, attempt, seq))
        return _known(db, self.task_id), (Change(event, Status(status), Status.QUEUED, -log_bytes),)


class Drop(NamedTuple):
    """A dead letter that is kept here is none any more: nobody wants it tried again."""

    task_id: str
    write: str = "drop"

    def apply(self, db: sqlite3.Cursor) -> tuple[bool, tuple[Change, ...]]:
        """Returns whether it was one."""
        db.execute("UPDATE tasks SET dead = 0 WHERE task_id = ? AND dead = ?", (self.task_id, HERE))
        return db.rowcount > 0, ()


def leave_queued(db: sqlite3.Cursor, at: float) -> list[Change]:
    """Give up all jobs on loan that wait."""
    rows = db.execute("SELECT seq, event, log_bytes FROM tasks WHERE status = 'queued' AND leased").fetchall()
    return [_leave(db, row, at) for row in rows]


def _leave(db: sqlite3.Cursor, row: tuple[int, str, int], at: float) -> Change:
    seq, event, log_bytes = row
    db.execute("UPDATE tasks SET status = 'left', not_before = NULL, finished_at = ? WHERE seq = ?", (at, seq))
    return Change(event, Status.QUEUED, Status.LEFT, log_bytes)


def _known(db: sqlite3.Cursor, task_id: str) -> JobRecord:
    found = records.find(db, task_id)
    assert found is not None  # noqa: S101 - its row was just read
    return found
