"""Messages that are too large for the broker, made to fit it without cutting a character."""

from __future__ import annotations

import json

from worker.characters import whole_characters
from worker.journal import SayingKind
from worker.notice import written

CUT = "..."


def fitted(kind: SayingKind, body: bytes, limit: int) -> bytes:
    """The body where it is no larger than `limit` bytes; else what fits.

    Of a notification the end of its text goes, of why a job failed the beginning: the reason stands at the end.
    """
    if len(body) <= limit:
        return body
    if kind == "note":
        return _shorter_note(body, limit)
    if kind == "failed":
        return tail_of_characters(body[-limit:])
    return body[: whole_characters(body[:limit])]


def tail_of_characters(data: bytes) -> bytes:
    """The data without the rest of a character that was cut off at their beginning."""
    begin = 0
    while begin < min(3, len(data)) and data[begin] & 0xC0 == 0x80:
        begin += 1
    return data[begin:]


def _shorter_note(body: bytes, limit: int) -> bytes:
    """A notification is written with escapes, so its text is cut by what it takes when it is written."""
    note = json.loads(body)
    text = note["msg"]
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(written({**note, "msg": text[:middle] + CUT})) <= limit else (low, middle - 1)
    return written({**note, "msg": text[:low] + CUT})
