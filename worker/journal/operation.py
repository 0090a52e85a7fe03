"""What a write of the journal is: a value that can be applied again when its group was rolled back."""

from __future__ import annotations

import sqlite3
from typing import Protocol, TypeVar

from worker.journal.tally import Change

Result_co = TypeVar("Result_co", covariant=True)


class Operation(Protocol[Result_co]):
    """One write."""

    @property
    def write(self) -> str:
        """Its name among the fault points."""

    def apply(self, db: sqlite3.Cursor) -> tuple[Result_co, tuple[Change, ...]]:
        """Do it within the open transaction; returns the caller's result and what it changes in the tally."""
