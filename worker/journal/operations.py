"""The writes of the journal. Each is a value that can be applied again when its group was rolled back."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple, Protocol, TypeVar

from job_item.job import JobRecord, Status
from worker.journal import records
from worker.journal.tally import Change
from worker.journal.values import WISHES, Claim, LastWords, SayingKind, Settlement, Share

NOTES_KEPT = 1_000

Result_co = TypeVar("Result_co", covariant=True)


class Operation(Protocol[Result_co]):
    """One write."""

    @property
    def write(self) -> str:
        """Its name among the fault points."""

    def apply(self, db: sqlite3.Cursor) -> tuple[Result_co, tuple[Change, ...]]:
        """Do it within the open transaction; returns the caller's result and what it changes in the tally."""


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
            "SELECT seq, event, source, attempt, body, created_at, not_before, trace FROM tasks"
            " WHERE task_id = ? AND status = 'queued'",
            (self.task_id,),
        ).fetchone()
        if row is None:
            return None, ()
        seq, event, source, attempt, body, created_at, not_before, trace = row
        db.execute(
            "UPDATE tasks SET status = 'running', attempt = ?, fence = ?, incarnation = ?, started_at = ?,"
            " not_before = NULL, exit_code = NULL, error_code = NULL, error = NULL WHERE seq = ?",
            (attempt + 1, self.fence, self.incarnation, self.started_at, seq),
        )
        due_at = not_before or created_at
        claim = Claim(self.task_id, event, source, attempt + 1, self.fence, body, self.started_at, due_at, trace)
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
            "SELECT seq, event, cancel, incarnation, started_at, log_bytes FROM tasks"
            " WHERE task_id = ? AND status = 'running' AND attempt = ? AND fence = ?",
            (end.task_id, end.attempt, end.fence),
        ).fetchone()
        if row is None:
            return None, ()
        seq, event, cancel, incarnation, started_at, log_bytes = row
        status = follows(end, WISHES.get(cancel))
        log_bytes += end.log_bytes
        finished_at, not_before = (end.finished_at, None) if status.is_final else (None, end.retry_at)
        db.execute(
            "UPDATE tasks SET status = ?, not_before = ?, finished_at = ?, exit_code = ?, error_code = ?, error = ?,"
            " log_bytes = ? WHERE seq = ?",
            (status.value, not_before, finished_at, end.exit_code, end.error_code, end.error, log_bytes, seq),
        )
        db.execute(
            "INSERT INTO attempts(seq, attempt, fence, incarnation, started_at, result) VALUES(?, ?, ?, ?, ?, ?)",
            (seq, end.attempt, end.fence, incarnation, started_at, end.result()),
        )
        if self.words is not None:
            speak(db, end.task_id, status, self.words)
        return status, (Change(event, Status.RUNNING, status, log_bytes if status.is_final else 0),)


class Recover(NamedTuple):
    """The attempts that a dead worker left behind end, all or none."""

    ends: tuple[Settlement, ...]
    words: LastWords | None = None
    write: str = "recover"

    def apply(self, db: sqlite3.Cursor) -> tuple[tuple[Status | None, ...], tuple[Change, ...]]:
        """Returns what `Settle` does, for each."""
        done = [Settle(end, self.write, self._words_of(end)).apply(db) for end in self.ends]
        return tuple(status for status, _ in done), tuple(change for _, changes in done for change in changes)

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
        wanted = "SELECT seq, event, status, log_bytes FROM tasks WHERE task_id = ?"
        row = db.execute(wanted, (self.task_id,)).fetchone()
        changes: tuple[Change, ...] = ()
        mark = next(mark for mark, status in WISHES.items() if status is self.wish)
        match row:
            case (seq, event, Status.QUEUED, log_bytes):
                db.execute(
                    "UPDATE tasks SET status = ?, cancel = ?, not_before = NULL, finished_at = ? WHERE seq = ?",
                    (self.wish.value, mark, self.asked_at, seq),
                )
                if self.words is not None:
                    speak(db, self.task_id, self.wish, self.words)
                changes = (Change(event, Status.QUEUED, self.wish, log_bytes),)
            case (seq, _, Status.RUNNING, _):
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
            _put(db, self.task_id, "note", self.say, 0.0)
        return True, ()


class AddShare(NamedTuple):
    """A text is left under a key of a task."""

    share: Share
    write: str = "share"

    def apply(self, db: sqlite3.Cursor) -> tuple[None, tuple[Change, ...]]:
        """Nothing is returned."""
        db.execute(
            "INSERT INTO shares(number, task_id, key, data, ttl_s, expires_at) VALUES(?, ?, ?, ?, ?, ?)", self.share
        )
        return None, ()


class DropShares(NamedTuple):
    """Share data of these numbers leave the journal."""

    numbers: tuple[int, ...]
    write: str = "unshare"

    def apply(self, db: sqlite3.Cursor) -> tuple[None, tuple[Change, ...]]:
        """Nothing is returned."""
        db.executemany("DELETE FROM shares WHERE number = ?", [(number,) for number in self.numbers])
        return None, ()


class Say(NamedTuple):
    """Things are to be said of a task that are not part of another write."""

    task_id: str
    words: tuple[tuple[SayingKind, bytes], ...]
    due_at: float
    write: str = "say"

    def apply(self, db: sqlite3.Cursor) -> tuple[None, tuple[Change, ...]]:
        """Puts them into the outbox."""
        for kind, body in self.words:
            _put(db, self.task_id, kind, body, self.due_at)
        return None, ()


class Said(NamedTuple):
    """Something was said, or is not to be said any more."""

    number: int
    write: str = "said"

    def apply(self, db: sqlite3.Cursor) -> tuple[None, tuple[Change, ...]]:
        """Takes it out of the outbox."""
        db.execute("DELETE FROM outbox WHERE number = ?", (self.number,))
        return None, ()


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
                db.execute("DELETE FROM tasks WHERE seq = ?", (seq,))
                changes.append(Change(event, Status(status), None, -log_bytes))
        return len(changes), tuple(changes)


def follows(end: Settlement, wish: Status | None) -> Status:
    """The status of the job after the end of an attempt: no other attempt follows once its end was asked for."""
    if end.retry_at is None:
        return end.status
    return wish or Status.QUEUED


def speak(db: sqlite3.Cursor, task_id: str, status: Status, words: LastWords) -> None:
    """Put what is to be said after the end of an attempt into the outbox, in its order, or to its grant."""
    if words.result is not None:
        if status.is_final:
            db.execute("UPDATE grants SET result = ? WHERE task_id = ?", (words.result, task_id))
        return
    if words.output is not None:
        _put(db, task_id, "output", words.output, 0.0)
    if status.is_final:
        if words.failed is not None:
            _put(db, task_id, "failed", words.failed, 0.0)
        _put(db, task_id, "finish", status.value.encode(), words.due_at)


def _put(db: sqlite3.Cursor, task_id: str, kind: SayingKind, body: bytes, due_at: float) -> None:
    db.execute("INSERT INTO outbox(task_id, kind, body, due_at) VALUES(?, ?, ?, ?)", (task_id, kind, body, due_at))
