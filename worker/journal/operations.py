"""The writes of the journal. Each is a value that can be applied again when its group was rolled back."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from job_item.job import JobRecord, Status
from worker.journal import records
from worker.journal.loans import AT_BROKER, HERE, leave_queued
from worker.journal.sayings import put, speak
from worker.journal.tally import Change
from worker.journal.values import WISHES, Claim, LastWords, Settlement

NOTES_KEPT = 1_000
FENCES_PER_DELIVERY = 1 << 44
DELIVERIES = 511
"""A fence begins with how often the broker has given the job out, so that it grows from node to node too; it stays
below 2**53, which is what JSON can carry everywhere."""


class Accept(NamedTuple):
    """A job comes in; a task id that is known already is left as it is."""

    task_id: str
    event: str
    source: str
    body: bytes
    created_at: float
    trace: str | None = None
    write: str = "accept"

    def apply(self, db: sqlite3.Cursor) -> tuple[tuple[bool, JobRecord], tuple[Change, ...]]:
        """Returns whether it is new, and its record."""
        db.execute(
            "INSERT INTO tasks(task_id, event, source, body, status, created_at, trace)"
            " VALUES(?, ?, ?, ?, 'queued', ?, ?) ON CONFLICT (task_id) DO NOTHING",
            (self.task_id, self.event, self.source, self.body, self.created_at, self.trace),
        )
        if db.rowcount:
            record = JobRecord(self.task_id, self.event, Status.QUEUED, 0, self.created_at)
            return (True, record), (Change(self.event, None, Status.QUEUED),)
        known = records.find(db, self.task_id)
        assert known is not None  # noqa: S101 - the conflict says so
        return (False, known), ()


class TakeJob(NamedTuple):
    """A queued job becomes running, with a new attempt."""

    task_id: str
    fence: int
    incarnation: str
    started_at: float
    write: str = "claim"

    def apply(self, db: sqlite3.Cursor) -> tuple[Claim | None, tuple[Change, ...]]:
        """Returns None when the job is not in the queue."""
        row = db.execute(
            "SELECT seq, event, source, attempt, body, created_at, not_before, trace, delivery, spent FROM tasks"
            " WHERE task_id = ? AND status = 'queued'",
            (self.task_id,),
        ).fetchone()
        if row is None:
            return None, ()
        seq, event, source, attempt, body, created_at, not_before, trace, delivery, spent = row
        fence = fence_of(self.fence, delivery)
        db.execute(
            "UPDATE tasks SET status = 'running', attempt = ?, fence = ?, incarnation = ?, started_at = ?,"
            " not_before = NULL, exit_code = NULL, error_code = NULL, error = NULL WHERE seq = ?",
            (attempt + 1, fence, self.incarnation, self.started_at, seq),
        )
        due_at = not_before or created_at
        claim = Claim(self.task_id, event, source, attempt + 1, fence, body, self.started_at, due_at, trace, spent)
        return claim, (Change(event, Status.QUEUED, Status.RUNNING),)


class Settle(NamedTuple):
    """The running attempt ends, and its job with it or not."""

    settlement: Settlement
    write: str
    words: LastWords | None = None

    def apply(self, db: sqlite3.Cursor) -> tuple[Status | None, tuple[Change, ...]]:
        """Returns the status of the job from now on; None when this attempt does not run (any more)."""
        end = self.settlement
        row = db.execute(
            "SELECT seq, event, source, cancel, incarnation, started_at, log_bytes, leased FROM tasks"
            " WHERE task_id = ? AND status = 'running' AND attempt = ? AND fence = ?",
            (end.task_id, end.attempt, end.fence),
        ).fetchone()
        if row is None:
            return None, ()
        seq, event, source, cancel, incarnation, started_at, log_bytes, leased = row
        status = follows(end, WISHES.get(cancel))
        log_bytes += end.log_bytes
        finished_at, not_before = (end.finished_at, None) if status.is_final else (None, end.retry_at)
        db.execute(
            "UPDATE tasks SET status = ?, not_before = ?, finished_at = ?, exit_code = ?, error_code = ?, error = ?,"
            " log_bytes = ?, dead = ?, spent = spent + ? WHERE seq = ?",
            (
                status.value,
                not_before,
                finished_at,
                end.exit_code,
                end.error_code,
                end.error,
                log_bytes,
                dead_of(end, status, source, is_leased=bool(leased)),
                int(end.is_excused),
                seq,
            ),
        )
        db.execute(
            "INSERT INTO attempts(seq, attempt, fence, incarnation, started_at, result) VALUES(?, ?, ?, ?, ?, ?)",
            (seq, end.attempt, end.fence, incarnation, started_at, end.result()),
        )
        if self.words is not None:
            speak(db, end.task_id, status, self.words, is_held=bool(leased))
        return status, (Change(event, Status.RUNNING, status, log_bytes if status.is_final else 0),)


class Recover(NamedTuple):
    """The attempts that a dead worker left behind end, all or none; what waited on loan is left."""

    ends: tuple[Settlement, ...]
    words: LastWords | None = None
    at: float = 0.0
    write: str = "recover"

    def apply(self, db: sqlite3.Cursor) -> tuple[tuple[Status | None, ...], tuple[Change, ...]]:
        """Returns what `Settle` does, for each."""
        done = [Settle(end, self.write, self._words_of(end)).apply(db) for end in self.ends]
        changes = [change for _, changes in done for change in changes]
        return tuple(status for status, _ in done), (*changes, *leave_queued(db, self.at))

    def _words_of(self, end: Settlement) -> LastWords | None:
        return self.words and self.words._replace(failed=(end.error or "").encode())


class AskCancel(NamedTuple):
    """The end of a job is wished: one that waits has ended at once, one that runs is marked. The first wish counts."""

    task_id: str
    asked_at: float
    wish: Status = Status.TERMINATE
    words: LastWords | None = None
    write: str = "cancel"

    def apply(self, db: sqlite3.Cursor) -> tuple[JobRecord | None, tuple[Change, ...]]:
        """Returns its record; None when it is unknown."""
        wanted = "SELECT seq, event, status, log_bytes, leased FROM tasks WHERE task_id = ?"
        row = db.execute(wanted, (self.task_id,)).fetchone()
        changes: tuple[Change, ...] = ()
        mark = next(mark for mark, status in WISHES.items() if status is self.wish)
        match row:
            case (seq, event, Status.QUEUED, log_bytes, leased):
                db.execute(
                    "UPDATE tasks SET status = ?, cancel = ?, not_before = NULL, finished_at = ? WHERE seq = ?",
                    (self.wish.value, mark, self.asked_at, seq),
                )
                if self.words is not None:
                    speak(db, self.task_id, self.wish, self.words, is_held=bool(leased))
                changes = (Change(event, Status.QUEUED, self.wish, log_bytes),)
            case (seq, _, Status.RUNNING, _, _):
                db.execute("UPDATE tasks SET cancel = ? WHERE seq = ? AND cancel = 0", (mark, seq))
        return records.find(db, self.task_id), changes


class AddNote(NamedTuple):
    """A job's script has something to say; the last `NOTES_KEPT` notes of a job are kept."""

    task_id: str
    at: float
    msg: str
    say: bytes | None = None
    write: str = "note"

    def apply(self, db: sqlite3.Cursor) -> tuple[bool, tuple[Change, ...]]:
        """Returns False when the job is unknown."""
        row = db.execute(
            "SELECT seq, (SELECT coalesce(max(number), 0) FROM notes WHERE notes.seq = tasks.seq) FROM tasks"
            " WHERE task_id = ?",
            (self.task_id,),
        ).fetchone()
        if row is None:
            return False, ()
        seq, last = row
        db.execute("INSERT INTO notes(seq, number, at, msg) VALUES(?, ?, ?, ?)", (seq, last + 1, self.at, self.msg))
        db.execute("DELETE FROM notes WHERE seq = ? AND number <= ?", (seq, last + 1 - NOTES_KEPT))
        if self.say is not None:
            put(db, self.task_id, "note", self.say, 0.0)
        return True, ()


class Forget(NamedTuple):
    """Ended jobs leave the journal with all that belongs to them."""

    task_ids: tuple[str, ...]
    write: str = "prune"

    def apply(self, db: sqlite3.Cursor) -> tuple[int, tuple[Change, ...]]:
        """Returns how many there were."""
        changes = []
        for task_id in self.task_ids:
            row = db.execute(
                "SELECT seq, event, status, log_bytes FROM tasks WHERE task_id = ? AND finished_at IS NOT NULL",
                (task_id,),
            ).fetchone()
            if row is not None:
                seq, event, status, log_bytes = row
                db.execute("DELETE FROM notes WHERE seq = ?", (seq,))
                db.execute("DELETE FROM attempts WHERE seq = ?", (seq,))
                db.execute("DELETE FROM outbox WHERE task_id = ?", (task_id,))
                db.execute("DELETE FROM held WHERE task_id = ?", (task_id,))
                db.execute("DELETE FROM tasks WHERE seq = ?", (seq,))
                changes.append(Change(event, Status(status), None, -log_bytes))
        return len(changes), tuple(changes)


def fence_of(fence: int, delivery: int) -> int:
    """The fence of an attempt: a job on loan has one that grows from node to node."""
    if not delivery:
        return fence
    return min(delivery, DELIVERIES) * FENCES_PER_DELIVERY + fence % FENCES_PER_DELIVERY


def dead_of(end: Settlement, status: Status, source: str, *, is_leased: bool) -> int:
    """Where a job is kept as a dead letter after the end of an attempt; 0 where it is none.

    A job of the ReefGuide API never is one: its failure is posted, and whether it is tried again is said there.
    """
    if not end.is_dead or status is not end.status or source == "reefguide":
        return 0
    return AT_BROKER if is_leased else HERE


def follows(end: Settlement, wish: Status | None) -> Status:
    """The status of the job after the end of an attempt: no other attempt follows once its end was asked for."""
    if end.is_left:
        return Status.LEFT
    if end.retry_at is None:
        return end.status
    return wish or Status.QUEUED
