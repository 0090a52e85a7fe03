"""Server-sent events: the bytes of a stream become events (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `id` is the last one the stream has named, which a client sends back as `Last-Event-ID`."""

    name: str
    data: str
    id: str


class EventParser:
    """Takes a stream in chunks cut anywhere and gives the events that are complete."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._after_cr = False
        self._at_start = True
        self._name = ""
        self._data: list[str] = []
        self._id = ""

    def feed(self, chunk: bytes) -> list[Event]:
        """Take the next bytes. What is left when the stream ends is no event: the standard drops it."""
        events = []
        for line in self._lines(chunk):
            if not line:
                events += self._dispatch()
            elif not line.startswith(":"):
                name, _, value = line.partition(":")
                self._take(name, value.removeprefix(" "))
        return events

    def _lines(self, chunk: bytes) -> Iterator[str]:
        if not chunk:
            return
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        *complete, rest = _LINE_END.split(chunk)
        for line in complete:
            yield self._decode(b"".join((*self._rest, line)))
            self._rest.clear()
        self._rest.append(rest)

    def _decode(self, line: bytes) -> str:
        text = line.decode(errors="replace")
        if self._at_start:
            self._at_start = False
            return text.removeprefix(_BYTE_ORDER_MARK)
        return text

    def _take(self, field: str, value: str) -> None:
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value
        elif field == "id" and "\0" not in value:
            self._id = value

    def _dispatch(self) -> list[Event]:
        name, data = self._name, self._data
        self._name, self._data = "", []
        return [Event(name or "message", "\n".join(data), self._id)] if data else []
