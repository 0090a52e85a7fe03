"""A part of a job's output: of which streams, from where to where; the arithmetic of ranges and its answer."""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_right
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from worker.api.faults import Refusal
from worker.desk import Log

CHUNK_BYTES = 1 << 16

Stream = Literal["both", "stdout", "stderr"]

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Span:
    """Some bytes: from `start` up to, not including, `stop`."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many bytes these are."""
        return self.stop - self.start


def cut(total: int, offset: int | None, limit: int | None, tail: int | None) -> Span:
    """Choose a part by numbers: `limit` bytes from `offset`, and of these the last `tail`. Never outside of `total`."""
    start = min(offset or 0, total)
    stop = total if limit is None else min(total, start + limit)
    return Span(start if tail is None else max(start, stop - tail), stop)


def choose(header: str | None, total: int) -> Span | None:
    """Choose a part by the header `Range`; None where it asks for nothing that is given, so that all is sent.

    Raises `Refusal` 416 where the range lies outside (RFC 9110, section 14). Several ranges at once are not given.
    """
    found = _RANGE.fullmatch(header.replace(" ", "").lower()) if header else None
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found[1], found[2]
    if not first:
        start, stop = max(0, total - int(last)), total
    else:
        start, stop = int(first), min(int(last) + 1, total) if last else total
        if last and int(last) < start:
            return None
    if start >= total:
        raise Refusal(416, "ERR-API-008", headers={"content-range": f"bytes */{total}"})
    return Span(start, stop)


class Excerpt:
    """The bytes of one stream, or of both as they came, as far as they are there now; positions count these bytes.

    Where they stand in the log is not kept, but for a mark now and then: a log may change its stream at every byte.
    """

    def __init__(self, log: Log | None, stream: Stream) -> None:
        self._log = log
        self._stream = stream
        self._stop = log.size() if log else 0
        self._marks: list[tuple[int, int]] = []
        self.size = 0
        """How many bytes these are, as soon as they are measured."""

    async def measure(self) -> None:
        """Count the bytes, letting others go on between bounded pieces."""
        offset = 0
        while offset < self._stop:
            self._marks.append((self.size, offset))
            runs, offset = self._runs(offset)
            self.size += sum(stop - start for start, stop in runs)
            await asyncio.sleep(0)

    def read(self, position: int, limit: int) -> bytes:
        """At most `limit` bytes from `position`: as many as stand close together in the log, nothing at the end."""
        if self._log is None or position >= self.size:
            return b""
        at, offset = self._marks[bisect_right(self._marks, position, key=itemgetter(0)) - 1]
        runs = _part(self._runs(offset)[0], position - at, limit)
        if not runs:
            return b""  # the index was removed since
        first = runs[0][0]
        data = self._log.read(first, min(runs[-1][1] - first, CHUNK_BYTES))
        return b"".join(data[start - first : stop - first] for start, stop in runs)

    def _runs(self, offset: int) -> tuple[list[tuple[int, int]], int]:
        """Where the log has these bytes from `offset` on, and up to where it was looked at."""
        if self._log is None or self._stream == "both":
            return [(offset, self._stop)], self._stop
        runs = self._log.runs(offset, self._stop)
        found = [(start, stop) for start, stop, source in runs if source == self._stream]
        return found, runs[-1][1] if runs else self._stop


def _part(runs: list[tuple[int, int]], skip: int, limit: int) -> list[tuple[int, int]]:
    """Leave out the first `skip` bytes of all runs, and what comes behind `limit` more."""
    part = []
    for start, stop in runs:
        begin = start + min(skip, stop - start)
        end = min(stop, begin + limit)
        skip -= begin - start
        limit -= end - begin
        if begin < end:
            part.append((begin, end))
    return part


class ExcerptAnswer(Response):
    """Sends a part of a job's output, piece by piece at the client's pace."""

    media_type = "text/plain"

    def __init__(self, excerpt: Excerpt, whole: Span, part: Span | None, *, attempt: int) -> None:
        span = part or Span(0, whole.size)
        headers = {"accept-ranges": "bytes", "content-length": str(span.size), "x-job-item-attempt": str(attempt)}
        if part:
            headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{whole.size}"
        super().__init__(None, 206 if part else 200, headers)
        self._excerpt = excerpt
        self._span = Span(whole.start + span.start, whole.start + span.stop)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - given by ASGI
        """Send the answer (ASGI)."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        offset = self._span.start
        while offset < self._span.stop:
            chunk = self._excerpt.read(offset, min(CHUNK_BYTES, self._span.stop - offset))
            if not chunk:
                raise Refusal(500, "ERR-API-011", "The output of the job was removed while it was sent.")
            offset += len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body"})
