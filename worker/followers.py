"""Jobs that were asked for here and run on another node: what is heard of them on their subjects, in memory."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from job_item.errors import NodeError
from job_item.job import AttemptRecord, JobRecord, Status
from worker import subjects
from worker.brokers.seam import Delivery
from worker.brokers.session import Session
from worker.brokers.wish import Wish
from worker.news import News

JOBS_MAX = 250
BYTES_MAX = 64 << 20
"""How many such jobs are known, and how much of their output is kept of all together; the oldest go first."""
PROBE_S = 1.0
GAP = b"[what follows is not kept here]\n"


@dataclass(slots=True)
class HeardLog:
    """The output of such a job as it was heard (`worker.desk.Log`)."""

    data: bytearray = field(default_factory=bytearray)
    pieces: list[tuple[int, int, str]] = field(default_factory=list)

    def size(self) -> int:
        """Bytes heard so far."""
        return len(self.data)

    def read(self, offset: int, limit: int) -> bytes:
        """At most `limit` bytes from `offset`."""
        return bytes(self.data[offset : offset + limit])

    def runs(self, start: int, stop: int) -> Sequence[tuple[int, int, str]]:
        """Which stream wrote what between two offsets."""
        found = ((max(begin, start), min(end, stop), stream) for begin, end, stream in self.pieces)
        return [piece for piece in found if piece[0] < piece[1]][:1024]

    def add(self, stream: str, data: bytes) -> None:
        """There is more."""
        begin = len(self.data)
        self.data += data
        if self.pieces and self.pieces[-1][2] == stream:
            begin = self.pieces.pop()[0]
        self.pieces.append((begin, len(self.data), stream))


@dataclass(slots=True)
class Heard:
    """What is known of one such job."""

    record: JobRecord
    wishes: tuple[Wish, ...]
    log: HeardLog = field(default_factory=HeardLog)
    is_cut: bool = False


class Step(Protocol):
    """What is done with one message."""

    async def __call__(self, heard: Heard, body: bytes) -> None:
        """Take what it says."""


class Followers:
    """Listens to what other nodes say of jobs that were asked for here."""

    def __init__(self, session: Session, news: News) -> None:
        self._session = session
        self._news = news
        self._heard: OrderedDict[str, Heard] = OrderedDict()
        self._bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def follow(self, task_id: str, event: str, limit_s: float) -> None:
        """Listen from now on; returns when the broker has confirmed it, no later than after `limit_s` seconds."""
        takes = {
            subjects.who(task_id): self._who,
            subjects.process(task_id): self._process,
            subjects.failed(task_id): self._failed,
            subjects.finish(task_id): self._finish,
        }
        wishes = tuple(
            self._session.subscribe(subject, None, partial(self._take, task_id, take))
            for subject, take in takes.items()
        )
        self._heard[task_id] = Heard(JobRecord(task_id, event, Status.QUEUED, 0, time.time()), wishes)
        while len(self._heard) > JOBS_MAX or self._bytes > BYTES_MAX:
            self.drop(next(iter(self._heard)))
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                for wish in wishes:
                    await wish.is_confirmed.wait()

    def record(self, task_id: str) -> JobRecord | None:
        """What is known of a job; None where it is none of these."""
        heard = self._heard.get(task_id)
        return heard.record if heard is not None else None

    def log(self, task_id: str) -> HeardLog | None:
        """What was heard of its output."""
        heard = self._heard.get(task_id)
        return heard.log if heard is not None else None

    def drop(self, task_id: str) -> None:
        """Forget a job: it runs here, or there are too many."""
        heard = self._heard.pop(task_id, None)
        if heard is not None:
            self._bytes -= heard.log.size()
            self._leave(heard)
            self._news.publish(task_id)

    def _leave(self, heard: Heard) -> None:
        for wish in heard.wishes:
            task = asyncio.get_running_loop().create_task(wish.cancel())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        heard.wishes = ()

    async def _take(self, task_id: str, take: Step, delivery: Delivery) -> None:
        with suppress(NodeError):
            await delivery.accept()
        heard = self._heard.get(task_id)
        if heard is not None and not heard.record.status.is_final:
            await take(heard, delivery.body)
            self._news.publish(task_id)

    async def _who(self, heard: Heard, body: bytes) -> None:
        _begin(heard, body.decode("utf-8", "replace")[:128])

    async def _process(self, heard: Heard, body: bytes) -> None:
        _begin(heard, "")
        self._add(heard, "stdout", body)

    async def _failed(self, heard: Heard, body: bytes) -> None:
        _begin(heard, "")
        heard.record = replace(heard.record, error=body.decode("utf-8", "replace")[:1000])
        self._add(heard, "stderr", body)

    async def _finish(self, heard: Heard, body: bytes) -> None:
        """The status, once everything that was said before it has been heard."""
        if self._session.connection is not None:
            with suppress(NodeError):
                await self._session.connection.probe(PROBE_S)
        _begin(heard, "")
        try:
            status = Status(body.decode())
        except ValueError:
            return
        _end(heard, status)
        self._leave(heard)

    def _add(self, heard: Heard, stream: str, data: bytes) -> None:
        if heard.is_cut:
            return
        if self._bytes + len(data) > BYTES_MAX:
            heard.is_cut, stream, data = True, "gap", GAP
        heard.log.add(stream, data)
        self._bytes += len(data)


def _begin(heard: Heard, host: str) -> None:
    """Somebody runs it."""
    if heard.record.status is Status.QUEUED:
        now = time.time()
        attempt = AttemptRecord(1, 0, host, now)
        heard.record = replace(heard.record, status=Status.RUNNING, attempt=1, started_at=now, attempts=(attempt,))


def _end(heard: Heard, status: Status) -> None:
    now, record = time.time(), heard.record
    code = None if status is Status.FINISH else "ERR-RUN-001" if status is Status.ERROR else None
    error = None if status is Status.FINISH else record.error
    ended = tuple(
        replace(attempt, finished_at=now, status=status, error_code=code, error=error) for attempt in record.attempts
    )
    heard.record = replace(record, status=status, finished_at=now, error_code=code, error=error, attempts=ended)
