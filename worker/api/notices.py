"""The notifications of a job as server-sent events, without its output."""

from __future__ import annotations

from collections.abc import Iterator

from worker.api.feed import RECONNECT_MS, encode, outcome
from worker.api.show import show_note
from worker.desk import Desk


class Notices:
    """The notes of one job whose number is above `after`, and its end."""

    def __init__(self, desk: Desk, task_id: str, after: int) -> None:
        self._desk = desk
        self._task_id = task_id
        self._number = after

    def pieces(self) -> Iterator[bytes | None]:
        """Give the events, None where news has to be waited for, up to the end (`worker.api.follow.Pieces`)."""
        yield f"retry: {RECONNECT_MS}\n\n".encode()
        while (record := self._desk.job(self._task_id)) is not None:
            for note in self._desk.notes(self._task_id, self._number):
                self._number = note.number
                yield encode("note", show_note(note).model_dump(), note.number)
            if record.status.is_final:
                yield encode("end", outcome(record, record.attempt))
                return
            yield None
