"""A job's life as server-sent events (WHATWG HTML, section 9.2): pure bookkeeping over the desk, no waiting here.

The id of an event is a position: the byte offset in the output of the attempt up to which the client has everything,
behind `<attempt>:` from the second attempt on. A client that comes back with the last id misses no byte and gets none
twice.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from job_item.job import AttemptRecord, JobRecord, Status
from worker.api.excerpt import CHUNK_BYTES, Stream
from worker.api.show import show_failure, show_note
from worker.characters import whole_characters
from worker.desk import Desk, Log

RECONNECT_MS = 500

_POSITION = re.compile(r"(?:([1-9][0-9]{0,8}):)?([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Position:
    """Where a client stands: in the output of which attempt, behind how many bytes."""

    attempt: int
    offset: int

    def __str__(self) -> str:
        return f"{self.attempt}:{self.offset}" if self.attempt > 1 else str(self.offset)


def parse_position(text: str, attempt: int) -> Position | None:
    """Read a position back; one that names no attempt belongs to `attempt`."""
    found = _POSITION.fullmatch(text)
    return Position(int(found[1] or attempt), int(found[2])) if found else None


def encode(name: str, members: dict[str, Any], position: object = None) -> bytes:
    """Write one event. Its data are one line of ASCII: many clients take U+2028 and the like for the end of a line."""
    identity = "" if position is None else f"id: {position}\n"
    return f"{identity}event: {name}\ndata: {json.dumps(members)}\n\n".encode()


def show_bytes(data: bytes) -> dict[str, str]:
    """Show bytes without loss: as text where they are UTF-8, else in base64."""
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


class Tape:
    """The output of one attempt as events; keeps back a character of which a part is still to come.

    Where the other stream cuts into a character, the order of arrival wins and its bytes go out as they are.
    """

    def __init__(self, position: Position, stream: Stream) -> None:
        self._attempt = position.attempt
        self._stream = stream
        self.offset = position.offset
        self._kept = b""
        self._kept_at = position.offset
        self._kept_of = ""

    def advance(self, log: Log, stop: int) -> bytes:
        """Go on towards `stop`, as far as the log tells its streams at once, and give the events up to there."""
        events = []
        begin, runs = self.offset, log.runs(self.offset, stop)
        self.offset = runs[-1][1] if runs else stop
        data = log.read(begin, self.offset - begin)
        for start, end, stream in runs:
            if self._stream not in ("both", stream):
                continue
            if self._kept and stream != self._kept_of:
                events.append(self.flush())
            events.append(self._show(start, stream, data[start - begin : end - begin]))
        return b"".join(events)

    def flush(self) -> bytes:
        """Give what was kept back, for nothing more will come."""
        kept, self._kept = self._kept, b""
        if not kept:
            return b""
        return self._event(self._kept_at, self._kept_of, kept, self._kept_at + len(kept))

    def _show(self, begin: int, stream: str, data: bytes) -> bytes:
        whole = self._kept + data
        at = self._kept_at if self._kept else begin
        size = whole_characters(whole)
        self._kept = whole[size:]
        self._kept_at = begin + len(data) - len(self._kept) if size else at
        self._kept_of = stream
        return self._event(at, stream, whole[:size], self._kept_at) if size else b""

    def _event(self, at: int, stream: str, data: bytes, reached: int) -> bytes:
        members = {"attempt": self._attempt, "offset": at, "stream": stream, **show_bytes(data)}
        return encode("output", members, Position(self._attempt, reached))


class Feed:
    """All events of one job from a position on."""

    def __init__(self, desk: Desk, task_id: str, position: Position, stream: Stream, *, only_attempt: bool) -> None:
        self._desk = desk
        self._task_id = task_id
        self._stream: Stream = stream
        self._attempt = position.attempt
        self._only_attempt = only_attempt
        self._tape = Tape(position, stream)
        self._note = 0
        self._told: tuple[Status, int] | None = None

    def pieces(self) -> Iterator[bytes | None]:
        """Give the events in pieces of bounded size and effort, some of them empty; None where news has to be waited
        for; up to the end.
        """
        yield f"retry: {RECONNECT_MS}\n\n".encode()
        while (record := self._desk.job(self._task_id)) is not None:
            yield from self._notes()
            if not record.status.is_final:
                yield from self._status(record)
            yield from self._output(record)
            if record.status.is_final or (self._only_attempt and is_over(record, self._attempt)):
                yield from self._gap(record)
                yield from self._status(record)
                yield encode("end", outcome(record, self._attempt if self._only_attempt else record.attempt))
                return
            yield None

    def _notes(self) -> Iterator[bytes]:
        for note in self._desk.notes(self._task_id, self._note):
            self._note = note.number
            yield encode("note", show_note(note).model_dump())

    def _status(self, record: JobRecord) -> Iterator[bytes]:
        told = (record.status, record.attempt)
        if told != self._told:
            self._told = told
            yield encode("status", {"status": record.status, "attempt": record.attempt})

    def _output(self, record: JobRecord) -> Iterator[bytes]:
        yield from self._play(record)
        while self._attempt < record.attempt and not self._only_attempt:
            yield from self._gap(record)
            self._attempt += 1
            self._tape = Tape(Position(self._attempt, 0), self._stream)
            yield from self._play(record)

    def _play(self, record: JobRecord) -> Iterator[bytes]:
        log = self._desk.log(self._task_id, self._attempt)
        size = log.size() if log else 0
        while log and self._tape.offset < size:
            yield self._tape.advance(log, min(size, self._tape.offset + CHUNK_BYTES))
        if is_over(record, self._attempt) and (rest := self._tape.flush()):
            yield rest

    def _gap(self, record: JobRecord) -> Iterator[bytes]:
        attempt = find_attempt(record, self._attempt)
        if attempt and attempt.usage.dropped_bytes:
            yield encode(
                "gap",
                {"attempt": self._attempt, "offset": self._tape.offset, "bytes": attempt.usage.dropped_bytes},
            )


def find_attempt(record: JobRecord, attempt: int) -> AttemptRecord | None:
    """Find an attempt in the record of its job."""
    return next((found for found in record.attempts if found.attempt == attempt), None)


def is_over(record: JobRecord, attempt: int) -> bool:
    """Tell whether an attempt will write nothing more."""
    if record.status.is_final or attempt < record.attempt:
        return True
    found = find_attempt(record, attempt)
    return found is not None and found.finished_at is not None


def outcome(record: JobRecord, attempt: int) -> dict[str, Any]:
    """Say how an attempt, or the job whose last it is, has ended."""
    found = find_attempt(record, attempt)
    last = found is None or attempt == record.attempt
    ended: JobRecord | AttemptRecord = record if last or found is None else found
    failure = show_failure(ended.error_code, ended.error)
    return {
        "status": ended.status,
        "attempt": attempt,
        "exit_code": ended.exit_code,
        "signal": found.signal if found else None,
        "error": failure.model_dump() if failure else None,
    }
