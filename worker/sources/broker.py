"""Takes jobs from the broker: a subscription for each event, decoded, checked, kept in the journal, then run.

A job is acknowledged when the journal has it. Where the broker keeps what nobody has acknowledged (RabbitMQ), a job is
only taken while a slot is free; otherwise other nodes are to get it (`worker.sources.appetite`).
Where it does not (NATS core, Redis), everything goes into the journal at once, as it would be lost otherwise; beyond
`limits.queue` a job is refused, and whoever waits for it is told. A task id that is known is not run twice, so doubles
do no harm.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from job_item.errors import BadMessage, NodeError, Unavailable
from job_item.job import JobRecord
from job_item.log import get
from job_item.settings import Job
from worker import subjects
from worker.brokers.seam import Delivery
from worker.brokers.session import Session
from worker.intake import Intake
from worker.outbox import Outbox
from worker.sources.appetite import Appetite
from worker.sources.trigger import Refused, Trigger, read_trigger

LEAVE_S = 1.0
"""How long a subscription is kept that another one replaces; the broker may be away."""
JOURNAL_TRIES, JOURNAL_PAUSE_S = 10, 1.0


class BrokerSource:
    """Subscribes what the board shows, until it is drained."""

    def __init__(
        self,
        session: Session,
        intake: Intake,
        outbox: Outbox,
    ) -> None:
        self.refused = 0
        """Messages that could not be used."""
        self.on_accepted: Callable[[str], None] = lambda _: None
        """Called with the task id of each job that this node has taken."""
        self._session = session
        self._intake = intake
        self._journal = intake.journal
        self._dispatcher = intake.dispatcher
        self._board = intake.board
        self._outbox = outbox
        self._keeps = session.broker.is_keeper
        self._project = intake.board.standing.settings.project
        self._appetites: dict[str, Appetite] = {}
        self._entrance = asyncio.Lock()
        """Where a slot is needed, one job at a time comes in."""
        self._is_started = self._is_retiring = self._is_over = False
        self._taking = 0
        self._quiet = asyncio.Event()
        self._changes: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._logger = get("worker")

    @property
    def refusals(self) -> tuple[str, ...]:
        """Nothing that the session does not tell."""
        return ()

    def start(self) -> None:
        """Take jobs from now on."""
        self._is_started = True
        self.refresh()

    def refresh(self) -> None:
        """Go by what is in force now: subscribe new events, leave those that are gone."""
        if self._is_over or not self._is_started:
            return
        specs = self._board.standing.announced
        wanted = {event: self._prefetch(spec) for event, spec in specs.items()}
        old = [
            event for event, appetite in self._appetites.items() if wanted.get(event) != appetite.prefetch
        ]  # the new ones are there before the old ones go: a queue without a consumer would be deleted
        gone = {event: self._appetites.pop(event) for event in old}
        for event in wanted.keys() - self._appetites.keys():
            self._appetites[event] = self._subscribe(event, wanted[event])
        for event, appetite in gone.items():
            change = self._loop.create_task(self._leave(appetite, self._appetites.get(event)))
            self._changes.add(change)
            change.add_done_callback(self._changes.discard)

    def _subscribe(self, event: str, prefetch: int) -> Appetite:
        subject = subjects.trigger(self._project, event)
        wish = self._session.subscribe(subject, self._project, partial(self._take, event), prefetch=prefetch)
        wish.is_hungry = partial(self._dispatcher.has_slot, event)
        return Appetite(self._dispatcher, event, wish, prefetch)

    async def _leave(self, appetite: Appetite, replaced_by: Appetite | None) -> None:
        if replaced_by is not None and self._session.connection is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await replaced_by.wish.is_confirmed.wait()
        await appetite.stop()

    def retire(self) -> None:
        """A successor follows: everything is taken for it."""
        self._is_retiring = True

    async def drain(self) -> None:
        """Take nothing more: what was not taken is given back."""
        self._is_over = True
        await asyncio.gather(*(appetite.stop() for appetite in self._appetites.values()), *self._changes)
        while self._taking:
            self._quiet.clear()
            await self._quiet.wait()

    def _prefetch(self, spec: Job) -> int:
        slots = self._board.standing.settings.limits.concurrency
        return slots if spec.concurrency is None else min(slots, spec.concurrency)

    async def _take(self, event: str, delivery: Delivery) -> None:
        self._taking += 1
        try:
            await self._take_job(event, delivery)
        except Refused as refusal:
            await self._refuse(event, delivery, refusal)
        finally:
            self._taking -= 1
            self._quiet.set()

    async def _take_job(self, event: str, delivery: Delivery) -> None:
        """Raises `Refused`."""
        trigger = read_trigger(delivery.body)
        appetite = self._appetites.get(event)
        if not self._keeps or self._is_retiring:
            await self._enter(event, delivery, trigger)
        elif self._is_over or appetite is None or not await self._enter_slot(appetite, event, delivery, trigger):
            await delivery.give_back()

    async def _enter_slot(self, appetite: Appetite, event: str, delivery: Delivery, trigger: Trigger) -> bool:
        """Take a job for which there is a slot, or soon is; False where others are to have it. Raises `Refused`."""
        try:
            while await appetite.comes() or self._is_retiring:
                async with self._entrance:
                    if appetite.is_there() or self._is_retiring:
                        await self._enter(event, delivery, trigger)
                        return True
            return False
        finally:
            appetite.done()

    async def _enter(self, event: str, delivery: Delivery, trigger: Trigger) -> None:
        """Take a job in; it has its slot, if there is one, when this returns. Raises `Refused`."""
        if event not in self._board.standing.specs:
            raise Refused("ERR-JOB-001", f"No job is configured for event {event!r}.", trigger.task_id)
        try:
            self._refuse_where_full(trigger)
            new, record = await self._keep(event, trigger)
        except Unavailable as error:
            await self._give_up(delivery, trigger, error)
            return
        if not new:
            self._refuse_unless_same(record, event, trigger)
            self._logger.info("trigger.repeated", task_id=record.task_id, job_event=event, status=str(record.status))
        with suppress(NodeError):  # the connection is lost: a redelivery is known by its task id
            await delivery.accept()
        if new:
            self._session.taken()
            self.on_accepted(record.task_id)
            self._intake.begin(record)

    def _refuse_where_full(self, trigger: Trigger) -> None:
        """Raises `Refused` for a new job where the queue is full, `Unavailable`."""
        fullness = self._intake.fullness()
        if fullness is not None and self._journal.record(trigger.task_id) is None:
            raise Refused(fullness.code, fullness.message, trigger.task_id)

    def _refuse_unless_same(self, known: JobRecord, event: str, trigger: Trigger) -> None:
        """Raises `Refused`, which nobody is told: he would take it for the end of the job that is known."""
        try:
            self._intake.same(known, event, trigger.body)
        except BadMessage as error:
            raise Refused(error.code, error.message) from None

    async def _keep(self, event: str, trigger: Trigger) -> tuple[bool, JobRecord]:
        """Keep the job in the journal; where the broker would lose it, that is tried for a while.

        Raises Unavailable.
        """
        for tries in range(JOURNAL_TRIES):
            try:
                return await self._journal.accept(trigger.task_id, event, "broker", trigger.body, time.time())
            except Unavailable as error:
                self._logger.error("trigger.unkept", code=error.code, task_id=trigger.task_id, reason=error.message)
                if self._keeps or tries == JOURNAL_TRIES - 1:
                    raise
                await asyncio.sleep(JOURNAL_PAUSE_S)
        raise AssertionError("the last try returns or raises")

    async def _give_up(self, delivery: Delivery, trigger: Trigger, error: Unavailable) -> None:
        """The journal does not take it: the broker gets it back, or whoever waits for the job is told."""
        if self._keeps:
            await asyncio.sleep(JOURNAL_PAUSE_S)
        else:
            self._logger.error("trigger.lost", code="ERR-SRC-003", task_id=trigger.task_id)
            await self._say_at_once(trigger.task_id, error)
        await delivery.give_back()

    async def _say_at_once(self, task_id: str, error: NodeError) -> None:
        connection = self._session.connection
        if connection is not None:
            with suppress(NodeError):
                await connection.publish(subjects.failed(task_id), _shown(error))
                await connection.publish(subjects.finish(task_id), b"error")

    async def _refuse(self, event: str, delivery: Delivery, refusal: Refused) -> None:
        """Count it, say it, and answer where there is a task id to answer to."""
        self.refused += 1
        self._logger.warning(
            "trigger.refused", code=refusal.code, task_id=refusal.task_id, job_event=event, reason=refusal.message
        )
        task_id = refusal.task_id
        try:
            if task_id is not None and not self._outbox.is_full and self._journal.record(task_id) is None:
                due_at = time.time() + self._outbox.settle_s()
                await self._journal.say(task_id, ("failed", _shown(refusal)), ("finish", b"error"), due_at=due_at)
                self._outbox.grow()
        except Unavailable as error:
            self._logger.error("refusal.unsaid", code=error.code, task_id=task_id, reason=error.message)
        with suppress(NodeError):
            await delivery.refuse()


def _shown(error: NodeError) -> bytes:
    """An error as `_failed` carries it."""
    return f"{error.code}: {error.message}".encode()
