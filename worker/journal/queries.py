"""The reads of the journal, in the loop's own thread: each uses an index and a LIMIT and takes microseconds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from heapq import nlargest
from itertools import chain
from pathlib import Path
from typing import Any

from job_item.job import JobRecord, Status
from worker.desk import Note
from worker.journal import errors, grants, records
from worker.journal.grants import Grant
from worker.journal.loans import HERE
from worker.journal.schema import open_reader
from worker.journal.values import WISHES, Ended, Pledge, Saying, Share, Waiting
from worker.recovery import Lost

_NO_SEQ = 2**63 - 1
UNSAID_MAX = 100_000


class Reader:
    """Sees what is committed. Every query reads to its end, so that no reader ever holds up a checkpoint.

    Raises `Unavailable` when the disk does not give what is asked for.
    """

    def __init__(self, path: Path) -> None:
        self._db = open_reader(path)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def record(self, task_id: str) -> JobRecord | None:
        """One job with its attempts; None when it is unknown."""
        try:
            return records.find(self._db, task_id)
        except sqlite3.Error as error:
            raise errors.of_use(error, "read") from error

    def records(self, status: Status | None, event: str | None, before: str | None, limit: int) -> Sequence[JobRecord]:
        """The newest jobs first, without their attempts, from those older than the task `before`."""
        below = _NO_SEQ
        if before is not None:
            below = self._one("SELECT seq FROM tasks WHERE task_id = ?", before) or 0
        if status is None and event is None:
            newest = f"{records.SELECT} WHERE seq < ? ORDER BY seq DESC LIMIT ?"
            rows = self._rows(newest, below, limit)
        else:
            seqs = nlargest(limit, chain.from_iterable(self._newest(status, event, below, limit)))
            those = f"{records.SELECT} WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq DESC"  # noqa: S608
            rows = self._rows(those, json.dumps(seqs))
        return [records.job_record(row) for row in rows]

    def body(self, task_id: str) -> bytes | None:
        """The canonical JSON of a job's data; None when the job is unknown."""
        found: bytes | None = self._one("SELECT body FROM tasks WHERE task_id = ?", task_id)
        return found

    def result(self, task_id: str, attempt: int) -> bytes | None:
        """The result of an attempt as it was accepted, byte for byte; None while there is none."""
        found: bytes | None = self._one(
            "SELECT result FROM attempts WHERE seq = (SELECT seq FROM tasks WHERE task_id = ?) AND attempt = ?",
            task_id,
            attempt,
        )
        return found

    def notes(self, task_id: str, after: int) -> Sequence[Note]:
        """The notes of a job whose number is above `after`, oldest first."""
        rows = self._rows(
            "SELECT number, at, msg FROM notes WHERE seq = (SELECT seq FROM tasks WHERE task_id = ?) AND number > ?"
            " ORDER BY number",
            task_id,
            after,
        )
        return [Note(*row) for row in rows]

    def shares(self) -> Sequence[Share]:
        """All share data, oldest first: bounded by whoever adds them (`worker.share`)."""
        return [
            Share(*row)
            for row in self._rows("SELECT number, task_id, key, data, ttl_s, expires_at FROM shares ORDER BY number")
        ]

    def waiting(self, event: str, after_seq: int, limit: int) -> Sequence[Waiting]:
        """The queued jobs of an event that came after another, oldest first; some may have to wait for their moment."""
        rows = self._rows(
            "SELECT seq, task_id, attempt, not_before, leased FROM tasks"
            " WHERE status = 'queued' AND event = ? AND seq > ? ORDER BY seq LIMIT ?",
            event,
            after_seq,
            limit,
        )
        return [_waiting(row) for row in rows]

    def waiting_as(self, task_id: str) -> Waiting | None:
        """One job as it stands in the queue; None when it does not."""
        rows = self._rows(
            "SELECT seq, task_id, attempt, not_before, leased FROM tasks WHERE task_id = ? AND status = 'queued'",
            task_id,
        )
        return _waiting(rows[0]) if rows else None

    def events(self, status: Status) -> Sequence[str]:
        """The events of the jobs in a status: one step in the index for each."""
        found: list[str] = []
        event = self._one("SELECT min(event) FROM tasks WHERE status = ?", status.value)
        while event is not None:
            found.append(event)
            event = self._one("SELECT min(event) FROM tasks WHERE status = ? AND event > ?", status.value, event)
        return found

    def oldest_waiting(self) -> dict[str, float]:
        """When the oldest queued job of each event was accepted: two steps in the index for each event."""
        oldest = "SELECT created_at FROM tasks WHERE status = 'queued' AND event = ? ORDER BY seq LIMIT 1"
        found = {event: self._one(oldest, event) for event in self.events(Status.QUEUED)}
        return {event: moment for event, moment in found.items() if moment is not None}

    def lost(self, incarnation: str) -> Sequence[Lost]:
        """What runs by the word of another incarnation than this one."""
        rows = self._rows(
            "SELECT task_id, event, attempt, fence, cancel, spent, leased FROM tasks"
            " WHERE status = 'running' AND incarnation <> ?",
            incarnation,
        )
        return [
            Lost(task_id, event, attempt, fence, WISHES.get(cancel), spent, bool(leased))
            for task_id, event, attempt, fence, cancel, spent, leased in rows
        ]

    def sayings(self, after: int, limit: int) -> Sequence[Saying]:
        """What is to be said, in its order, from what came after the number `after` on."""
        rows = self._rows(
            "SELECT number, task_id, kind, body, due_at FROM outbox WHERE number > ? ORDER BY number LIMIT ?",
            after,
            limit,
        )
        return [Saying(*row) for row in rows]

    def grants(self, limit: int) -> Sequence[Grant]:
        """What was asked for at an HTTP job queue and is not over, oldest first."""
        rows = self._rows(f"{grants.SELECT} ORDER BY g.number LIMIT ?", limit)
        return [_grant(row) for row in rows]

    def grant(self, task_id: str) -> Grant | None:
        """The grant that a job came with."""
        rows = self._rows(f"{grants.SELECT} WHERE g.task_id = ?", task_id)
        return _grant(rows[0]) if rows else None

    def outgoing(self, task_id: str) -> int:
        """How many results and files of a task wait for the Job Manager."""
        waiting = "SELECT count(*) FROM outbox WHERE task_id = ? AND kind IN ('result', 'file')"
        return int(self._one(waiting, task_id))

    def outbox_counts(self) -> dict[str, int]:
        """How much is to be said, by kind; of very much only the first `UNSAID_MAX`, as each is counted."""
        counted = "SELECT kind, count(*) FROM (SELECT kind FROM outbox LIMIT ?) GROUP BY kind"
        return dict(self._rows(counted, UNSAID_MAX))

    def parcels(self) -> Sequence[str]:
        """The files that wait for the Job Manager; read once, when the node starts."""
        return [body.decode() for (body,) in self._rows("SELECT body FROM outbox WHERE kind = 'file'")]

    def queue(self, limit: int) -> Sequence[str]:
        """The task ids of some jobs in the queue."""
        rows = self._rows("SELECT task_id FROM tasks WHERE status = 'queued' ORDER BY event, seq LIMIT ?", limit)
        return [task_id for (task_id,) in rows]

    def lends(self) -> bool:
        """Whether jobs on loan wait here."""
        return self._one("SELECT 1 FROM tasks WHERE status = 'queued' AND leased LIMIT 1") is not None

    def pledges(self, boot: str) -> Sequence[Pledge]:
        """The jobs on loan whose lender can be told what became of them, of this boot."""
        rows = self._rows(
            "SELECT task_id, event, pledge, pledged_until, round FROM tasks"
            " WHERE leased AND pledge IS NOT NULL AND boot = ?",
            boot,
        )
        return [Pledge(*row) for row in rows]

    def is_leased(self, task_id: str) -> bool:
        """Whether a broker is to hear yet what became of a job."""
        return bool(self._one("SELECT leased FROM tasks WHERE task_id = ?", task_id))

    def unsaid(self) -> Sequence[str]:
        """The tasks of which something is held back."""
        return [task_id for (task_id,) in self._rows("SELECT DISTINCT task_id FROM held")]

    def spent(self, task_id: str) -> int:
        """The attempts that a job had had before it came back from the dead letters."""
        return self._one("SELECT spent FROM tasks WHERE task_id = ?", task_id) or 0

    def dead(self, limit: int) -> Sequence[JobRecord]:
        """The dead letters that are kept here, newest first, without their attempts."""
        rows = self._rows(f"{records.SELECT} WHERE dead = {HERE} ORDER BY seq DESC LIMIT ?", limit)
        return [records.job_record(row) for row in rows]

    def oldest_ended(self, limit: int) -> Sequence[Ended]:
        """The jobs that ended first."""
        rows = self._rows(
            "SELECT task_id, attempt, finished_at, log_bytes FROM tasks"
            " WHERE finished_at IS NOT NULL ORDER BY finished_at LIMIT ?",
            limit,
        )
        return [Ended(*row) for row in rows]

    def _newest(self, status: Status | None, event: str | None, below: int, limit: int) -> Iterator[list[int]]:
        """The newest jobs of each status and event that is meant."""
        for one in Status if status is None else (status,):
            for other in self.events(one) if event is None else (event,):
                rows = self._rows(
                    "SELECT seq FROM tasks WHERE status = ? AND event = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
                    one.value,
                    other,
                    below,
                    limit,
                )
                yield [seq for (seq,) in rows]

    def _one(self, query: str, *parameters: object) -> Any:
        """The first column of the first row; None where there is none."""
        rows = self._rows(query, *parameters)
        return rows[0][0] if rows else None

    def _rows(self, query: str, *parameters: object) -> list[Any]:
        try:
            return self._db.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise errors.of_use(error, "read") from error


def _waiting(row: Any) -> Waiting:
    seq, task_id, attempt, not_before, leased = row
    return Waiting(seq, task_id, attempt, not_before, bool(leased))


def _grant(row: Any) -> Grant:
    *members, has_ended = row
    return Grant(*members)._replace(has_ended=bool(has_ended))
