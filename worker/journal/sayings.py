"""The writes of the journal that are about what is said over a broker."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from job_item.job import Status
from worker.journal.tally import Change
from worker.journal.values import LastWords, SayingKind


class Say(NamedTuple):
    """Things are to be said of a task that are not part of another write."""

    task_id: str
    words: tuple[tuple[SayingKind, bytes], ...]
    due_at: float
    write: str = "say"

    def apply(self, db: sqlite3.Cursor) -> tuple[None, tuple[Change, ...]]:
        """Puts them into the outbox."""
        for kind, body in self.words:
            put(db, self.task_id, kind, body, self.due_at)
        return None, ()


class Said(NamedTuple):
    """Something was said, or is not to be said any more."""

    number: int
    write: str = "said"

    def apply(self, db: sqlite3.Cursor) -> tuple[None, tuple[Change, ...]]:
        """Takes it out of the outbox."""
        db.execute("DELETE FROM outbox WHERE number = ?", (self.number,))
        return None, ()


def speak(db: sqlite3.Cursor, task_id: str, status: Status, words: LastWords, *, is_held: bool) -> None:
    """Put what is to be said after the end of an attempt into the outbox, in its order, or to its grant.

    Of a job that a broker lends the end is held back until the broker knows of it (`is_held`); of one that this node
    has left nothing is said.
    """
    if status is Status.LEFT:
        return
    if words.result is not None:
        if status.is_final:
            db.execute("UPDATE grants SET result = ? WHERE task_id = ?", (words.result, task_id))
        return
    is_held = is_held and status.is_final
    if words.output is not None:
        put(db, task_id, "output", words.output, 0.0, is_held=is_held)
    if status.is_final:
        if words.failed is not None:
            put(db, task_id, "failed", words.failed, 0.0, is_held=is_held)
        put(db, task_id, "finish", status.value.encode(), words.due_at, is_held=is_held)


def put(
    db: sqlite3.Cursor, task_id: str, kind: SayingKind, body: bytes, due_at: float, *, is_held: bool = False
) -> None:
    """Put one saying into the outbox, or among those that are held back."""
    table = "held" if is_held else "outbox"
    db.execute(f"INSERT INTO {table}(task_id, kind, body, due_at) VALUES(?, ?, ?, ?)", (task_id, kind, body, due_at))
