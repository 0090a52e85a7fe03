"""The journal as the job child uses it: writes are awaited, reads answer at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Literal

from job_item.job import JobRecord, Status
from worker.faults import FaultPoints
from worker.journal.batch import GiveBack, SettleAll, TakeAll
from worker.journal.grantbook import GrantBook
from worker.journal.loanbook import LoanBook
from worker.journal.operations import Accept, AskCancel, Forget, Recover, Settle, TakeJob
from worker.journal.outbook import Outbook
from worker.journal.queries import Reader
from worker.journal.schema import open_writer, opening
from worker.journal.sharing import AddShare, DropShares
from worker.journal.tally import Tally
from worker.journal.values import (
    Claim,
    Ended,
    LastWords,
    Recovered,
    Settlement,
    Share,
    Waiting,
)
from worker.journal.writer import Writer
from worker.recovery import Fate, Follow, Lost, Rules, decide

FENCES_PER_EPOCH = 1 << 32


class Journal(LoanBook, Outbook, GrantBook):
    """Every job that was accepted, and what became of it. Belongs to one event loop; open it with `Journal.open`.

    Writes and reads raise `Unavailable` when the disk does not take or give (nothing has changed then; they may be
    tried again).
    """

    def __init__(self, writer: Writer, reader: Reader, tally: Tally, *, incarnation: str, epoch: int) -> None:
        super().__init__(writer, reader)
        self._tally = tally
        self._incarnation = incarnation
        self._fences = count(epoch * FENCES_PER_EPOCH + 1)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        incarnation: str,
        loop: asyncio.AbstractEventLoop,
        on_fatal: Callable[[BaseException], None],
        sync: Literal["normal", "full"] = "normal",
        faults: FaultPoints | None = None,
    ) -> Journal:
        """Open the journal at `path`, made where there is none, and start its writer.

        `sync` "normal" survives the death of any process, "full" a power cut too. `on_fatal` is called in `loop` when
        the writer has died: the process must end then. Raises `Unavailable` when the disk is full or another process
        is in the way, `NodeError` when the file cannot be used.
        """
        with opening(path), ExitStack() as undo:
            db, epoch = open_writer(path, sync)
            undo.callback(db.close)
            reader, tally = Reader(path), Tally()
            undo.callback(reader.close)
            writer = Writer(db, path, tally, sync=sync, loop=loop, on_fatal=on_fatal, faults=faults or FaultPoints())
            writer.start()
            undo.pop_all()
        return cls(writer, reader, tally, incarnation=incarnation, epoch=epoch)

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written just now; one sentence."""
        return self._writer.trouble

    async def close(self) -> None:
        """Write what waits and let go of the file."""
        self._reader.close()
        await self._writer.close()

    async def accept(
        self, task_id: str, event: str, source: str, body: bytes, created_at: float, trace: str | None = None
    ) -> tuple[bool, JobRecord]:
        """Take a job in; `body` is the canonical JSON of its data, `trace` its trace context.

        False when the task id is known already; its record is returned as it is.
        """
        return await self._writer.submit(Accept(task_id, event, source, body, created_at, trace))

    def claim(self, task_id: str, started_at: float) -> asyncio.Future[Claim | None]:
        """Make the next attempt of a queued job; None when it is not in the queue any more.

        The order is given with the call itself, so what is called together is committed together.
        """
        return self._writer.submit(TakeJob(task_id, next(self._fences), self._incarnation, started_at))

    async def settle(self, settlement: Settlement, words: LastWords | None = None) -> Status | None:
        """End the running attempt; returns the status of its job from then on.

        None when it is not accepted: this attempt, with this fence, is not the one that runs (any more). A job whose
        end was asked for ends as it was asked to, even where `retry_at` would put it back into the queue. `words` go
        to the outbox with it.
        """
        write = "settle" if settlement.retry_at is None else "requeue"
        return await self._writer.submit(Settle(settlement, write, words))

    def claim_all(self, numbers: Sequence[int], started_at: float) -> asyncio.Future[dict[int, Claim]]:
        """Make the next attempts of queued jobs, all at once; by their numbers, without those that do not wait."""
        fences = {number: next(self._fences) for number in numbers}
        return self._writer.submit(TakeAll(fences, self._incarnation, started_at))

    async def settle_all(
        self, settlements: Mapping[int, Settlement], words: Sequence[LastWords | None] = ()
    ) -> Sequence[Status | None]:
        """End running attempts, all at once; what `settle` returns, for each. `words` go to the outbox with them.

        `settlements` by the numbers of the jobs.
        """
        return await self._writer.submit(SettleAll(settlements, words))

    async def give_back(self, fences: Mapping[int, int]) -> Mapping[int, Status | None]:
        """Put jobs back into the queue whose attempts were claimed and not begun: they count for nothing.

        `fences` by the numbers of the jobs. Returns None for each that waits again; one whose end was asked for
        meanwhile runs on, and is to end with that status.
        """
        return await self._writer.submit(GiveBack(fences))

    async def ask_cancel(
        self, task_id: str, wish: Status = Status.TERMINATE, words: LastWords | None = None
    ) -> JobRecord | None:
        """Mark that a job is to end with the status `wish`; one in the queue has ended at once, and `words` go to the
        outbox.

        Returns its record, None when it is unknown.
        """
        return await self._writer.submit(AskCancel(task_id, time.time(), wish, words))

    def queue(self, limit: int) -> Sequence[str]:
        """The task ids of some jobs in the queue."""
        return self._reader.queue(limit)

    async def share(self, share: Share) -> None:
        """Keep a text under a key of a task; its number must be new."""
        await self._writer.submit(AddShare(share))

    async def unshare(self, numbers: Sequence[int]) -> None:
        """Drop share data, a slice at a time please."""
        await self._writer.submit(DropShares(tuple(numbers)))

    async def forget(self, task_ids: Sequence[str]) -> int:
        """Drop ended jobs, a slice at a time please; returns how many there were."""
        return await self._writer.submit(Forget(tuple(task_ids)))

    async def recover(
        self, rules: Mapping[str, Rules], now: float, words: LastWords | None = None
    ) -> Sequence[Recovered]:
        """Settle what other incarnations left running, all or none; `rules` by event.

        Of each that has ended `words` go to the outbox, with the reason. The processes of those jobs must be gone.
        """
        lost = self._reader.lost(self._incarnation)
        fates = [decide(job, rules.get(job.event)) for job in lost]
        ends = tuple(_end_of(job, fate, now) for job, fate in zip(lost, fates, strict=True))
        is_needed = bool(ends) or self._reader.lends()
        statuses = await self._writer.submit(Recover(ends, words, now)) if is_needed else ()
        return [
            Recovered(job.task_id, job.event, job.attempt, status, fate.error_code, fate.error)
            for job, fate, status in zip(lost, fates, statuses, strict=True)
            if status is not None
        ]

    def record(self, task_id: str) -> JobRecord | None:
        """The record of one job with its attempts; None when it is unknown."""
        return self._reader.record(task_id)

    def records(
        self, *, status: Status | None = None, event: str | None = None, before: str | None = None, limit: int = 100
    ) -> Sequence[JobRecord]:
        """The newest jobs first, without their attempts; `before` is the task id to go on from."""
        return self._reader.records(status, event, before, limit)

    def body(self, task_id: str) -> bytes | None:
        """The canonical JSON of a job's data; None when the job is unknown."""
        return self._reader.body(task_id)

    def result(self, task_id: str, attempt: int) -> bytes | None:
        """The result of an attempt as it was accepted, byte for byte; None while there is none."""
        return self._reader.result(task_id, attempt)

    def shares(self) -> Sequence[Share]:
        """All share data, oldest first."""
        return self._reader.shares()

    def waiting(self, event: str, after_seq: int, limit: int) -> Sequence[Waiting]:
        """The queued jobs of an event, oldest first, from those that came after `after_seq` (0: from the first).

        Numbers grow in the order of acceptance and are never given again, so a caller may read on from where it was.
        """
        return self._reader.waiting(event, after_seq, limit)

    def waiting_as(self, task_id: str) -> Waiting | None:
        """One job as it stands in the queue; None when it does not."""
        return self._reader.waiting_as(task_id)

    def waiting_events(self) -> Sequence[str]:
        """The events that jobs wait for."""
        return self._reader.events(Status.QUEUED)

    def oldest_ended(self, limit: int) -> Sequence[Ended]:
        """The jobs that ended first."""
        return self._reader.oldest_ended(limit)

    def counts(self) -> dict[Status, int]:
        """How many jobs there are in each status."""
        return self._tally.counts()

    def counts_by_event(self) -> dict[tuple[str, Status], int]:
        """How many jobs there are by event and status."""
        return self._tally.by_event()

    def steps(self) -> dict[tuple[str, Status | None, Status | None], int]:
        """How often a job of an event went from one status to another since this opening (None: came, forgotten)."""
        return self._tally.steps()

    def oldest_waiting(self) -> dict[str, float]:
        """When the oldest job in the queue was accepted, by event (seconds since the epoch)."""
        return self._reader.oldest_waiting()

    @property
    def queued(self) -> int:
        """How many jobs are in the queue."""
        return self._tally.number(Status.QUEUED)

    @property
    def ended(self) -> int:
        """How many jobs have ended."""
        return self._tally.ended

    @property
    def log_bytes(self) -> int:
        """Bytes of output of all jobs that have ended, as their results say."""
        return self._tally.log_bytes


def _end_of(lost: Lost, fate: Fate, now: float) -> Settlement:
    return Settlement(
        task_id=lost.task_id,
        attempt=lost.attempt,
        fence=lost.fence,
        status=fate.status,
        finished_at=now,
        error_code=fate.error_code,
        error=fate.error,
        retry_at=now if fate.follow is Follow.AGAIN else None,
        is_dead=fate.follow is Follow.DEAD,
        is_left=lost.is_leased,
    )
