"""The output of an exec as an answer: its bytes as they are kept, or a life of events without an end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from job_item.link import ExecState
from worker.api.excerpt import CHUNK_BYTES
from worker.api.feed import RECONNECT_MS, encode, show_bytes, whole_characters
from worker.api.show import show_exec
from worker.desk import Desk
from worker.execlog import KeptLog, Tail


class KeptAnswer(Response):
    """Sends what is kept of a log from an offset on, piece by piece at the client's pace, and closes it."""

    media_type = "text/plain"

    def __init__(self, kept: KeptLog, start: int) -> None:
        self._kept = kept
        self._start = start
        super().__init__(None, 200, {"content-length": str(max(0, kept.size() - start))})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - given by ASGI
        """Send the answer (ASGI)."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            offset, stop = self._start, self._kept.size()
            # A log that somebody empties meanwhile is shorter than was said: the server then cuts the connection.
            while offset < stop and (chunk := self._kept.read(offset, min(CHUNK_BYTES, stop - offset))):
                offset += len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await asyncio.sleep(0)
            await send({"type": "http.response.body"})
        finally:
            self._kept.close()


async def last_lines(kept: KeptLog, count: int) -> int:
    """Where the last `count` lines begin, letting others go on between bounded pieces.

    What comes behind the last line end is one of them.
    """
    stop = size = kept.size()
    if count == 0:
        return size
    missing = count
    while stop > 0:
        begin = max(0, stop - CHUNK_BYTES)
        piece = _read_all(kept, begin, stop)
        at = len(piece) - (stop == size and piece.endswith(b"\n"))
        while (at := piece.rfind(b"\n", 0, at)) >= 0:
            missing -= 1
            if missing == 0:
                return begin + at + 1
        stop = begin
        await asyncio.sleep(0)
    return 0


def _read_all(kept: KeptLog, begin: int, stop: int) -> bytes:
    pieces = []
    while begin < stop and (piece := kept.read(begin, stop - begin)):
        pieces.append(piece)
        begin += len(piece)
    return b"".join(pieces)


class ExecFeed:
    """The events of one exec: its output from where `tail` stands, and its states.

    A character of which a part is still to come is kept back, over a rotation too.
    """

    def __init__(self, desk: Desk, key: str, tail: Tail) -> None:
        self._desk = desk
        self._key = key
        self._tail = tail
        self._kept = b""
        self._told: ExecState | None = None

    def pieces(self) -> Iterator[bytes | None]:
        """Give the events in pieces of bounded size; None where news has to be waited for; up to the exec's removal."""
        yield f"retry: {RECONNECT_MS}\n\n".encode()
        while (state := self._state()) is not None:
            yield self._gap()
            if state != self._told:
                self._told = state
                yield self._event("state", show_exec(state).model_dump())
            yield from self._output()
            if state.pid is None and (rest := self._flush()):
                yield rest
            yield None
        yield from self._output()
        yield encode("end", {"reason": f"There is no exec {self._key!r} any more."})

    def _state(self) -> ExecState | None:
        return next((state for state in self._desk.execs() if state.key == self._key), None)

    def _output(self) -> Iterator[bytes]:
        while data := self._tail.read(CHUNK_BYTES):
            yield self._gap()
            whole = self._kept + data
            size = whole_characters(whole)
            self._kept = whole[size:]
            yield self._event("output", show_bytes(whole[:size])) if size else b""

    def _gap(self) -> bytes:
        """Tell of lost output before anything that stands behind it."""
        if not self._tail.has_lost:
            return b""
        self._tail.has_lost = False
        self._kept = b""
        return encode("gap", {})

    def _flush(self) -> bytes:
        """Give what was kept back, for nothing more will come as yet."""
        kept, self._kept = self._kept, b""
        return self._event("output", show_bytes(kept)) if kept else b""

    def _event(self, name: str, members: dict[str, Any]) -> bytes:
        return encode(name, members, self._tail.place(len(self._kept)))
