"""The writes of the journal that are about share data."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from worker.journal.tally import Change
from worker.journal.values import Share


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
