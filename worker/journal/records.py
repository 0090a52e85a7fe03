"""From rows to records: the record of a job and of its attempts."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from job_item.job import AttemptRecord, JobRecord, Status, Usage

_COLUMNS = "task_id, event, status, attempt, created_at, started_at, finished_at, exit_code, error_code, error, dead"

SELECT = f"SELECT {_COLUMNS} FROM tasks"  # noqa: S608 - a constant
"""The columns that `job_record` takes, ready for a WHERE clause."""


def find(db: sqlite3.Connection | sqlite3.Cursor, task_id: str) -> JobRecord | None:
    """Read the record of one job with its attempts, oldest first; None when it is unknown."""
    row = db.execute(f"{SELECT} WHERE task_id = ?", (task_id,)).fetchone()
    if row is None:
        return None
    return job_record(row, _attempts(db, task_id))


def job_record(row: Any, attempts: tuple[AttemptRecord, ...] = ()) -> JobRecord:
    """Make the record of a job from its row."""
    task_id, event, status, attempt, created_at, started_at, finished_at, exit_code, error_code, error, dead = row
    return JobRecord(
        task_id=task_id,
        event=event,
        status=Status(status),
        attempt=attempt,
        created_at=created_at,
        started_at=started_at,
        finished_at=finished_at,
        exit_code=exit_code,
        error_code=error_code,
        error=error,
        attempts=attempts,
        is_dead=bool(dead),
    )


def _attempts(db: sqlite3.Connection | sqlite3.Cursor, task_id: str) -> tuple[AttemptRecord, ...]:
    ended = db.execute(
        "SELECT a.incarnation, a.started_at, a.result FROM attempts AS a JOIN tasks USING (seq)"
        " WHERE task_id = ? ORDER BY a.attempt",
        (task_id,),
    ).fetchall()
    running = db.execute(
        "SELECT attempt, fence, incarnation, started_at FROM tasks WHERE task_id = ? AND status = 'running'", (task_id,)
    ).fetchall()
    return tuple(_ended(*row) for row in ended) + tuple(AttemptRecord(*row) for row in running)


def _ended(incarnation: str, started_at: float, result: bytes) -> AttemptRecord:
    members = json.loads(result)
    usage = members["usage"]
    return AttemptRecord(
        attempt=members["attempt"],
        fence=members["fence"],
        incarnation=incarnation,
        started_at=started_at,
        finished_at=members["finished_at"],
        status=Status(members["status"]),
        exit_code=members["exit_code"],
        signal=members["signal"],
        error_code=members["error_code"],
        error=members["error"],
        usage=Usage(**{**usage, "processes": tuple(usage["processes"])}),
        output=members.get("output"),
    )
