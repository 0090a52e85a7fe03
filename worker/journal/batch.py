"""The writes of the journal for many small jobs at once: each does for a batch what its counterpart does for one job.

A statement that is run for many rows in one call costs a fraction of as many calls. The plus before `status` keeps
SQLite from going through all jobs of that status.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from job_item.job import Status
from worker.journal.operations import dead_of, fence_of, follows
from worker.journal.sayings import speak
from worker.journal.tally import Change
from worker.journal.values import WISHES, Claim, LastWords, Settlement


class TakeAll(NamedTuple):
    """Queued jobs become running, each with a new attempt; `fences` by the numbers of the jobs."""

    fences: Mapping[int, int]
    incarnation: str
    started_at: float
    write: str = "claim"

    def apply(self, db: sqlite3.Cursor) -> tuple[dict[int, Claim], tuple[Change, ...]]:
        """Returns the claims by the numbers of the jobs; those that are not in the queue are left out."""
        rows = db.execute(
            "SELECT seq, task_id, event, source, attempt, body, created_at, not_before, trace, delivery,"
            " spent FROM tasks"
            " WHERE seq IN (SELECT value FROM json_each(?)) AND +status = 'queued'",
            (json.dumps(list(self.fences)),),
        ).fetchall()
        moment = self.started_at
        fences = {row[0]: fence_of(self.fences[row[0]], row[9]) for row in rows}
        db.executemany(
            "UPDATE tasks SET status = 'running', attempt = ?, fence = ?, incarnation = ?, started_at = ?,"
            " not_before = NULL, exit_code = NULL, error_code = NULL, error = NULL WHERE seq = ?",
            [(row[4] + 1, fences[row[0]], self.incarnation, moment, row[0]) for row in rows],
        )
        claims = {
            seq: Claim(task_id, event, source, before + 1, fences[seq], body, moment, pause or created, trace, spent)
            for seq, task_id, event, source, before, body, created, pause, trace, _, spent in rows
        }
        return claims, tuple(Change(claim.event, Status.QUEUED, Status.RUNNING) for claim in claims.values())


class SettleAll(NamedTuple):
    """Running attempts end, and their jobs with them or not; `settlements` by the numbers of the jobs, `words` in their
    order.
    """

    settlements: Mapping[int, Settlement]
    words: Sequence[LastWords | None] = ()
    write: str = "settle"

    def apply(self, db: sqlite3.Cursor) -> tuple[list[Status | None], tuple[Change, ...]]:
        """Returns the statuses of the jobs from now on; None for an attempt that does not run (any more)."""
        rows = db.execute(
            "SELECT seq, attempt, fence, event, source, cancel, incarnation, started_at, log_bytes, leased"
            " FROM tasks WHERE seq IN (SELECT value FROM json_each(?)) AND +status = 'running'",
            (json.dumps(list(self.settlements)),),
        ).fetchall()
        running = {row[0]: row for row in rows}
        statuses: list[Status | None] = []
        is_leased: dict[str, bool] = {}
        alike: dict[tuple[Any, ...], list[int]] = {}
        attempts, changes = [], []
        for number, end in self.settlements.items():
            row = running.get(number)
            if row is None or (row[1], row[2]) != (end.attempt, end.fence):
                statuses.append(None)
                continue
            seq, attempt, fence, event, source, cancel, incarnation, started_at, log_bytes, leased = row
            status = follows(end, WISHES.get(cancel))
            is_leased[end.task_id] = bool(leased)
            statuses.append(status)
            log_bytes += end.log_bytes
            is_final = status.is_final
            turned = (
                status,
                None if is_final else end.retry_at,
                end.finished_at if is_final else None,
                end.exit_code,
                end.error_code,
                end.error,
                log_bytes,
                dead_of(end, status, source, is_leased=bool(leased)),
                int(end.is_excused),
            )
            alike.setdefault(turned, []).append(seq)
            attempts.append((seq, attempt, fence, incarnation, started_at, end.result()))
            changes.append(Change(event, Status.RUNNING, status, log_bytes if is_final else 0))
        for (status, *rest), seqs in alike.items():  # most end alike: one statement turns them all
            db.execute(
                "UPDATE tasks SET status = ?, not_before = ?, finished_at = ?, exit_code = ?, error_code = ?,"
                " error = ?, log_bytes = ?, dead = ?, spent = spent + ? WHERE seq IN (SELECT value FROM json_each(?))",
                (status.value, *rest, json.dumps(seqs)),
            )
        db.executemany(
            "INSERT INTO attempts(seq, attempt, fence, incarnation, started_at, result) VALUES(?, ?, ?, ?, ?, ?)",
            attempts,
        )
        for end, follows_it, words in zip(self.settlements.values(), statuses, self.words, strict=False):
            if words is not None and follows_it is not None:
                speak(db, end.task_id, follows_it, words, is_held=is_leased[end.task_id])
        return statuses, tuple(changes)


class GiveBack(NamedTuple):
    """Attempts that were claimed and not begun are no attempts: their jobs wait again; `fences` by their numbers."""

    fences: Mapping[int, int]
    write: str = "requeue"

    def apply(self, db: sqlite3.Cursor) -> tuple[dict[int, Status | None], tuple[Change, ...]]:
        """Returns, by number, None for each that waits again; one whose end was asked for runs on, with that status."""
        rows = db.execute(
            "SELECT seq, event, fence, cancel FROM tasks"
            " WHERE seq IN (SELECT value FROM json_each(?)) AND +status = 'running'",
            (json.dumps(list(self.fences)),),
        ).fetchall()
        ours = [(seq, event, cancel) for seq, event, fence, cancel in rows if self.fences[seq] == fence]
        db.executemany(
            "UPDATE tasks SET status = 'queued', attempt = attempt - 1, fence = NULL, incarnation = NULL,"
            " started_at = NULL WHERE seq = ?",
            [(seq,) for seq, _, cancel in ours if not cancel],
        )
        changes = tuple(Change(event, Status.RUNNING, Status.QUEUED) for _, event, cancel in ours if not cancel)
        return {seq: WISHES.get(cancel) for seq, _, cancel in ours}, changes
