"""Everything that a node has besides which polls the ReefGuide API, wired."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from job_item import reeftokens
from job_item.errors import Unavailable
from job_item.handlers.context import Facts
from job_item.job import JobRecord, Status, new_task_id
from job_item.log import get
from job_item.redact import Redactor
from job_item.reefspec import ReefGuide
from job_item.reefvars import ECS_METADATA
from worker.about import About
from worker.aside import aside
from worker.desk import JobApiState
from worker.dispatch import Dispatcher
from worker.faults import FaultPoints
from worker.journal import Grant, Journal, Settlement
from worker.reefguide.access import Access
from worker.reefguide.claims import GRANTS_MAX, Claimant, Claims
from worker.reefguide.client import Client
from worker.reefguide.courier import Courier
from worker.reefguide.ecs import UNKNOWN, EcsTask, look_up
from worker.reefguide.exchange import Exchange
from worker.reefguide.idle import Idle
from worker.reefguide.reason import Reasons
from worker.reefguide.reporter import ReefReporter
from worker.reefguide.sentry import Sentry, open_sentry
from worker.reefguide.source import Slots, Source
from worker.reefguide.variables import facts_of, variables_of
from worker.reefguide.watch import Watch
from worker.seams import Assignment, Reporter
from worker.standing import Board
from worker.stopper import Stopper

CLAIMS_S = 5.0
"""How long the end of a node waits for claims that are on their way."""
FLUSH_S = 4.0
"""How long it waits for results to be posted; the rest is posted at its next start."""


class ReefGateway:
    """The parts between the API and the dispatcher, and their life. `join` follows when that is made.

    `on_idle` ends the node; it is called with the reason when there was no job for as long as the settings say.
    """

    def __init__(
        self,
        settings: ReefGuide,
        about: About,
        board: Board,
        journal: Journal,
        logs: Path,
        on_idle: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._about = about
        self._board = board
        self._journal = journal
        self._on_idle = on_idle
        self._grants: dict[str, Grant] = {}
        self.reporter = ReefReporter(self._grants, logs, self._ended, self._failed)
        self._ecs: EcsTask | None = None
        self._exchange = Exchange(settings.api_endpoint, settings.request_timeout)
        passing = FaultPoints.from_environ(os.environ).passing
        self._tokens = about.start.state_dir / reeftokens.FILE
        self._access = Access(settings, self._exchange, self._tokens, passing)
        self._client = Client(settings.api_endpoint, self._exchange, self._access, passing)
        about.job_api = self._state
        claimant = Claimant(self._name, self._cluster, settings.settle, settings.api_endpoint)
        self._claims = Claims(self._client, journal, claimant, self._take)
        environ = {**about.start.dotenv, **os.environ}
        reasons = Reasons(settings, journal, logs, environ, Redactor(about.start.secrets()))
        self._courier = Courier(self._client, journal, settings.api_endpoint, reasons, self._delivered)
        self._watch = Watch(self._client, settings, self._stop)
        self._slots = Slots(settings.max_concurrent_jobs)
        self._sentry: Sentry | None = None
        self._is_over = self._is_final = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._source: Source
        self._idle: Idle
        self._dispatcher: Dispatcher
        self._reporters: Reporter
        self._stopper: Stopper

    def join(self, dispatcher: Dispatcher, reporter: Reporter, stopper: Stopper) -> None:
        """Connect to the rest of the job child; `reporter` hears of every step of a job."""
        self._dispatcher = dispatcher
        self._reporters = reporter
        self._stopper = stopper
        stopper.on_ended = self._ended
        self._source = Source(self._client, self._claims, self._settings, self._slots, dispatcher.has_slot)
        self._source.on_bug = self._tell_bug
        settings = self._board.standing.settings
        is_alone = settings.broker_connection is None and not settings.end_point
        self._idle = Idle(self._settings.idle_timeout if is_alone else 0.0, self._is_busy, self._tell_idle)

    def know(self) -> None:
        """Know the jobs that an earlier process has taken, before what became of them is decided.

        Raises Unavailable.
        """
        for grant in self._journal.grants(GRANTS_MAX):
            if grant.task_id is not None and not grant.has_ended and grant.api == self._settings.api_endpoint:
                self._grants[grant.task_id] = grant

    def start(self) -> None:
        """What was left behind is settled: go on with it, and poll."""
        self._spawn(self._start())

    def variables(self, task_id: str) -> Mapping[str, str]:
        """What a command is told of the assignment of its job."""
        grant = self._grants.get(task_id)
        return variables_of(grant, self._settings) if grant is not None else {}

    def facts(self, assignment: Assignment) -> Facts:
        """What a handler is told of it."""
        return facts_of(self._grants.get(assignment.task_id), self._settings, self._access.current, str(self._tokens))

    def drain(self, *, is_final: bool) -> None:
        """Take nothing more. Where no successor follows, jobs that have not begun are reported as failed."""
        was_over, was_final = self._is_over, self._is_final
        self._is_over, self._is_final = True, self._is_final or is_final
        self._claims.hurry()
        self._idle.stop()
        if not was_over:
            self._spawn(self._source.stop(CLAIMS_S))
        if is_final and not was_final:
            self._spawn(self._fail_waiting())

    async def close(self) -> None:
        """Post what can be posted in time, and let the connections go."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._courier.grow()
        if self._is_final:
            await self._courier.flush(FLUSH_S)
        await self._claims.stop()
        await self._watch.close()
        await self._courier.stop()
        self._exchange.close()
        if self._sentry is not None:
            await asyncio.wait({aside(self._sentry.close)}, timeout=1.0)

    async def _start(self) -> None:
        """Who this node is, what it holds, and then: more."""
        if self._settings.sentry_dsn is not None:
            dsn = self._settings.sentry_dsn.get_secret_value()
            self._sentry = await aside(partial(open_sentry, dsn, self._about.start.identity))
        await self._look_ecs_up()
        await self._go_on()
        if self._is_over:
            return
        self._idle.start()
        self._spawn(self._claims.find_left())
        self._source.start()

    async def _look_ecs_up(self) -> None:
        uri = os.environ.get(ECS_METADATA)
        if not uri:
            return
        try:
            self._ecs = await aside(partial(look_up, uri))
        except ValueError as error:
            get("worker").warning("ecs.unknown", code="ERR-RFG-014", reason=str(error))

    async def _go_on(self) -> None:
        """Watch over the jobs that are here already, end those that nobody serves any more, post what is due."""
        for task_id, grant in tuple(self._grants.items()):
            if (record := self._journal.record(task_id)) is None or record.status.is_final:
                del self._grants[task_id]  # it was lost with the process that ran it
            elif grant.job_type in self._board.standing.specs:
                self._slots.held.add(task_id)
                self._watch.begin(task_id, grant)
            else:
                await self._stop(task_id, Status.TERMINATE)
        self._courier.grow()

    def _take(self, grant: Grant, record: JobRecord) -> None:
        """A granted job is in the journal."""
        task_id = record.task_id
        if record.status.is_final:
            self._courier.grow()
            return
        self._grants[task_id] = grant
        self._slots.held.add(task_id)
        self._idle.touch()
        get("worker").info("job.claimed", task_id=task_id, job_id=grant.job_id, job_event=grant.job_type)
        if self._is_final or grant.job_type not in self._board.standing.specs:
            self._spawn(self._stop(task_id, Status.TERMINATE))
            return
        self._reporters.accepted(record)
        self._watch.begin(task_id, grant)
        self._dispatcher.offer(grant.job_type)

    def _ended(self, task_id: str) -> None:
        """A job has ended: its slot is free, and its result is due."""
        if self._grants.pop(task_id, None) is None:
            return
        self._slots.held.discard(task_id)
        self._watch.end(task_id)
        self._idle.touch()
        self._courier.grow()
        self._source.wake()

    async def _stop(self, task_id: str, status: Status) -> None:
        await self._stopper.stop(task_id, status)

    async def _fail_waiting(self) -> None:
        """End the jobs that wait for a slot, so that clients hear of it now and not hours later (row 11)."""
        running = {task_id for task_id, _ in self._dispatcher.running()}
        for task_id in tuple(self._grants):
            if task_id not in running:
                try:
                    await self._stop(task_id, Status.TERMINATE)
                except Unavailable as error:
                    get("worker").error("job.unended", code=error.code, task_id=task_id, reason=error.message)

    def _failed(self, grant: Grant, end: Settlement) -> None:
        if self._sentry is not None:
            message = f"Job {grant.job_id} of type {grant.job_type} failed: {end.error_code}: {end.error}"
            tags = {"job_id": str(grant.job_id), "job_type": grant.job_type, "code": str(end.error_code)}
            self._sentry.tell(message, tags)

    def _tell_bug(self, bug: Exception) -> None:
        if self._sentry is not None:
            self._sentry.tell(f"Polling failed: {bug!r}", {"code": "ERR-HST-003"})

    def _delivered(self) -> None:
        self._idle.touch()

    def _state(self) -> JobApiState:
        return replace(self._client.state, unposted=self._courier.waiting)

    def _is_busy(self) -> bool:
        holds = self._slots.held or self._slots.asking or self._claims.doubtful
        return bool(holds or self._dispatcher.running() or self._journal.queued or not self._courier.is_idle)

    def _tell_idle(self) -> None:
        self._on_idle(f"there was no job for {self._settings.idle_timeout:g} s")

    def _name(self) -> str:
        """The name for a claim: it finds a claim again whose answer was lost."""
        if self._ecs is not None:
            return self._ecs.arn
        return f"job_item:{self._about.start.identity}:{new_task_id()}"

    def _cluster(self) -> str:
        return self._ecs.cluster if self._ecs is not None else UNKNOWN

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
