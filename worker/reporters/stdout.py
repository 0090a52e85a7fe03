"""The standard output of an attempt as messages: read from the spool by offset, cut between characters.

Nothing is kept in memory for a slow broker: what was not sent stays in the spool (protocol job-item.md, section 9.1,
L17).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from worker.characters import whole_characters
from worker.desk import Log

CHUNK_BYTES = 1 << 20
"""The largest message that is sent, where the broker does not want smaller ones."""
BURST_BYTES = 1 << 16
PAUSE_S = 0.05
"""Less than a burst is sent at most once in this time: 20 messages a second."""


class NobodyHears(Exception):  # noqa: N818 - it says what is
    """There is somebody for whom this is kept, and he is not there."""


@dataclass(slots=True)
class Stdout:
    """Reads one attempt's standard output; `offset` is where what has not been taken begins in the spool."""

    log: Log
    offset: int = 0

    def take(self, stop: int, limit: int, *, to_end: bool) -> tuple[bytes, int]:
        """Give at most `limit` bytes that stand before `stop`, and the offset behind them.

        Part of a character at the end is left for the next time unless `to_end`: then nothing more will come. One call
        looks at a bounded number of changes of stream, so it may give less, or nothing, and still have moved on.
        """
        begin = self.offset
        runs = self.log.runs(begin, min(stop, begin + limit))
        if not runs:
            return b"", stop
        reached = runs[-1][1]
        raw = self.log.read(begin, reached - begin)
        pieces = [(start, raw[start - begin : end - begin]) for start, end, stream in runs if stream != "stderr"]
        data = b"".join(piece for _, piece in pieces)
        left = len(data) - whole_characters(data)
        if not left or (to_end and reached >= stop):
            return data, reached
        last, piece = pieces[-1]
        if left > len(piece) or last + len(piece) != reached:
            return data, reached  # standard error cuts into the character: the order of arrival wins
        return data[:-left], reached - left


async def send_all(
    stdout: Stdout, stop: int, publish: Callable[[bytes], Awaitable[None]], limit: int, *, to_end: bool
) -> None:
    """Send what stands before `stop`. Raises what `publish` raises; what was sent until then is not sent again."""
    while stdout.offset < stop:
        data, reached = stdout.take(stop, limit, to_end=to_end)
        if data:
            await publish(data)
        elif reached == stdout.offset:
            return  # the first part of a character
        stdout.offset = reached
        await asyncio.sleep(0)
