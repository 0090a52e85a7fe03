"""What each part of the journal needs: who writes and who reads."""

from __future__ import annotations

from worker.journal.queries import Reader
from worker.journal.writer import Writer


class Book:
    """One part of the journal; all parts share its writer and its reader."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
