"""Takes jobs from queues that lend them: as many as there are free slots, and never more.

What was lent is renewed by `worker.leases` until the journal has the result. A task id that is known is not run twice:
one whose end is known is acknowledged, one that was left here, or comes back from the dead letters, is open again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from job_item.errors import BadMessage, NodeError, Unavailable
from job_item.job import JobRecord, Status
from job_item.log import get
from worker.brokers.queues import Expired, Loan
from worker.brokers.seam import Connection
from worker.brokers.session import Session
from worker.intake import Intake
from worker.journal import LastWords, Loaned
from worker.lease import queues_of
from worker.leases import Leases
from worker.letters import Letter, write_letter
from worker.outbox import Outbox
from worker.recovery import Follow, Rules, follow
from worker.sources.draw import Draw
from worker.sources.trigger import Refused, Trigger, read_trigger

HOLD_S = 1.0
"""How long a job that has come waits for a slot that another has taken meanwhile; then another node may have it."""
JOURNAL_PAUSE_S = 1.0


class DurableSource:
    """Draws from the queues of the events that the board shows, until it is drained.

    Parameter `last_words`: what is said of a job that ends without an attempt.
    """

    def __init__(
        self,
        session: Session,
        intake: Intake,
        leases: Leases,
        outbox: Outbox,
        last_words: Callable[[bytes | None], LastWords],
    ) -> None:
        self.refused = 0
        """Messages that could not be used."""
        self.on_accepted: Callable[[str], None] = lambda _: None
        """Called with the task id of each job that this node has taken."""
        self._session = session
        self._intake = intake
        self._leases = leases
        self._outbox = outbox
        self._last_words = last_words
        self._project = intake.board.standing.settings.project
        self._draws: dict[str, Draw] = {}
        self._changes: set[asyncio.Task[None]] = set()
        self._is_over = True
        self._logger = get("worker")
        leases.on_rest = self._rest

    @property
    def refusals(self) -> tuple[str, ...]:
        """Queues that the broker does not want, or has not made yet, in words: a job for these may be lost."""
        return tuple(f"{draw.subject}: {draw.lack}" for draw in self._draws.values() if draw.lack)

    def start(self) -> None:
        """Take jobs from now on."""
        self._is_over = False
        self.refresh()

    def refresh(self) -> None:
        """Go by what is in force now: draw from the queues of new events, leave those that are gone."""
        if self._is_over:
            return
        specs = self._intake.board.standing.announced
        for event in self._draws.keys() - specs.keys():
            change = asyncio.get_running_loop().create_task(self._end(event, self._draws.pop(event)))
            self._changes.add(change)
            change.add_done_callback(self._changes.discard)
        for event in specs.keys() - self._draws.keys():
            take = partial(self._take, event)
            self._draws[event] = Draw(self._session, self._intake, self._leases, event, take, self._share)

    async def _end(self, event: str, draw: Draw) -> None:
        """Draw no more. What waits for an event that is configured no more would wait here for ever."""
        await draw.stop()
        if event not in self._intake.board.standing.specs:
            self._leases.give_back_all(event)

    def retire(self) -> None:
        """A successor follows, which takes what comes."""
        self._is_over = True
        for draw in self._draws.values():
            draw.end()

    async def drain(self) -> None:
        """Take nothing more."""
        self._is_over = True
        await asyncio.gather(*(draw.stop() for draw in self._draws.values()), *self._changes)

    def _rest(self, event: str) -> None:
        if (draw := self._draws.get(event)) is not None:
            draw.widen()
        elif event not in self._intake.board.standing.specs:
            self._leases.give_back_all(event)

    def _share(self, free: int) -> int:
        """How many of the free slots one event asks for: all do, and each may get what it has asked for."""
        return free // max(1, len(self._draws))

    async def _take(self, event: str, connection: Connection, loans: Sequence[Loan]) -> None:
        """Take what was lent; what finds no slot, as others have come meanwhile, one after the other."""
        free = self._intake.dispatcher.free(event)
        takes = (self._take_one(event, connection, loan) for loan in loans[:free])
        faults = await asyncio.gather(*takes, return_exceptions=True)
        for fault in faults:
            if fault is not None:
                raise fault
        for loan in loans[free:]:
            await self._take_one(event, connection, loan)

    async def _take_one(self, event: str, connection: Connection, loan: Loan) -> None:
        try:
            await self._take_job(event, connection, loan)
        except Refused as refusal:
            await self._refuse(event, connection, loan, refusal)
        except Expired:
            self._logger.info("job.come_too_late", job_event=event)  # it is lent again
        except Unavailable as error:  # the journal, or the connection: it is lent again
            self._logger.warning("job.not_taken", code=error.code, job_event=event, reason=error.message)
            with suppress(NodeError):
                await queues_of(connection).give_back(loan, loan.runs)
            await asyncio.sleep(JOURNAL_PAUSE_S)

    async def _take_job(self, event: str, connection: Connection, loan: Loan) -> None:
        """Raises `Refused`, `Unavailable`, `Expired`."""
        trigger = read_trigger(loan.body)
        queues, journal, task_id = queues_of(connection), self._intake.journal, trigger.task_id
        try:
            async with asyncio.timeout_at(None if loan.is_bound else loan.until_s):
                await self._leases.lost(task_id)
        except TimeoutError:
            raise Expired("ERR-DLV-001", "The time for which the job was lent is over.") from None
        known = journal.record(task_id)
        if known is not None:
            self._refuse_unless_same(known, event, trigger)
        if self._leases.has(task_id):
            await self._take_again(task_id, event, loan, connection)
            return
        is_open = known is None or known.status is Status.LEFT or loan.round > 0
        if is_open and not await self._intake.dispatcher.slot(event, HOLD_S):
            await queues.give_back(loan, loan.runs)
            return
        boot = self._leases.inheritance.boot
        loaned = Loaned(loan.delivery, loan.runs, loan.round, loan.pledge or None, loan.until_s, boot)
        is_new, record = await journal.borrow(task_id, event, trigger.body, time.time(), loaned)
        if is_new:
            self._leases.hold(task_id, event, loan, connection, queues.keep_s)
            self._session.taken()
            self.on_accepted(task_id)
            try:
                await self._begin(record, loan, is_known=known is not None)
            except Unavailable as error:  # it is on loan already, and nothing would begin it
                self._logger.warning("job.not_begun", code=error.code, task_id=task_id, reason=error.message)
                self._leases.give_back(task_id)
            return
        self._refuse_unless_same(record, event, trigger)
        if self._leases.has(task_id):  # it came twice at the same time
            await self._take_again(task_id, event, loan, connection)
        elif record.status.is_final:
            self._logger.info("trigger.repeated", task_id=task_id, job_event=event, status=str(record.status))
            self._leases.hold(task_id, event, loan, connection, queues.keep_s)
            # Whoever died before its acknowledgement may not have written the letter either.
            self._leases.conclude(task_id, is_dead=record.is_dead and journal.is_leased(task_id))
        else:  # the journal has it for good
            await queues.accept(loan)
            await journal.own(task_id)

    async def _take_again(self, task_id: str, event: str, loan: Loan, connection: Connection) -> None:
        """A job that we have on loan is lent once more. Raises `Unavailable`, `Expired`."""
        queues = queues_of(connection)
        if self._leases.is_lent_again(task_id, loan):
            self._leases.hold(task_id, event, loan, connection, queues.keep_s)
        else:  # the same job was asked for twice
            await queues.accept(loan)

    async def _begin(self, record: JobRecord, loan: Loan, *, is_known: bool) -> None:
        """Let a job run, unless whoever had it before was lost once too often."""
        spec = self._intake.board.standing.specs.get(record.event)
        attempts = record.attempt - self._intake.journal.spent(record.task_id) if loan.losses else 0
        follows = follow("lost", Rules.of(spec), attempts) if attempts and spec else Follow.AGAIN
        if follows is Follow.AGAIN:
            (self._intake.resume if is_known else self._intake.begin)(record)
            return
        is_dead = follows is Follow.DEAD
        code, error = "ERR-RUN-020", "Whoever ran the job died, or lost touch with the broker."
        if is_dead:
            code, error = "ERR-DLV-004", f"The job was lost while it ran, {attempts} times; it is tried no more."
        self._logger.error("job.given_up", code=code, task_id=record.task_id, job_event=record.event, reason=error)
        words = self._last_words(f"{code}: {error}".encode())
        await self._intake.journal.give_up(record.task_id, code, error, time.time(), is_dead=is_dead, words=words)
        self._leases.conclude(record.task_id, is_dead=is_dead)

    def _refuse_unless_same(self, known: JobRecord, event: str, trigger: Trigger) -> None:
        """Raises `Refused`, which nobody is told: he would take it for the end of the job that is known."""
        try:
            self._intake.same(known, event, trigger.body)
        except BadMessage as error:
            raise Refused(error.code, error.message) from None

    async def _refuse(self, event: str, connection: Connection, loan: Loan, refusal: Refused) -> None:
        """Count it, say it, put it among the dead letters; answer where there is a task id to answer to."""
        self.refused += 1
        task_id, shown = refusal.task_id, f"{refusal.code}: {refusal.message}".encode()
        self._logger.warning(
            "trigger.refused", code=refusal.code, task_id=task_id, job_event=event, reason=refusal.message
        )
        journal, queues = self._intake.journal, queues_of(connection)
        try:
            if task_id is not None and journal.record(task_id) is None:
                await journal.say(task_id, ("failed", shown), ("finish", b"error"), due_at=time.time())
                self._outbox.grow()
            await queues.bury(task_id or "", _unusable(event, loan, refusal))
            await queues.accept(loan)
        except NodeError as error:
            self._logger.error("refusal.unsaid", code=error.code, task_id=task_id, reason=error.message)


def _unusable(event: str, loan: Loan, refusal: Refused) -> bytes:
    """The dead letter of a message that cannot be used."""
    try:
        trigger = read_trigger(loan.body)
    except Refused:
        return loan.body
    return write_letter(
        Letter(
            trigger.task_id, event, trigger.body, refusal.code, refusal.message, loan.runs, time.time(), "", loan.round
        )
    )
