"""Everything that a node has besides which polls the ReefGuide API, wired."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from job_item import reeftokens
from job_item.handlers.context import Facts
from job_item.job import JobRecord, Status
from job_item.log import get
from job_item.redact import Redactor
from job_item.reefspec import ReefGuide
from worker.about import About
from worker.desk import JobApiState
from worker.dispatch import Dispatcher
from worker.faults import FaultPoints
from worker.journal import Grant, Journal
from worker.reefguide.access import Access
from worker.reefguide.claims import GRANTS_MAX, Claimant, Claims, until_kept
from worker.reefguide.client import Client
from worker.reefguide.courier import Courier
from worker.reefguide.ecs import Naming
from worker.reefguide.exchange import Exchange
from worker.reefguide.idle import Idle, Load
from worker.reefguide.reason import Reasons
from worker.reefguide.reporter import ReefReporter
from worker.reefguide.sentry import Sentry
from worker.reefguide.source import Slots, Source
from worker.reefguide.stock import Stock
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
    `on_fatal` is called with a failure of ours after which nothing would be polled.
    """

    def __init__(
        self,
        settings: ReefGuide,
        about: About,
        board: Board,
        journal: Journal,
        logs: Path,
        on_idle: Callable[[str], None],
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._about = about
        self._board = board
        self._journal = journal
        self._on_idle = on_idle
        self._on_fatal = on_fatal
        self._grants: dict[str, Grant] = {}
        dsn = settings.sentry_dsn.get_secret_value() if settings.sentry_dsn is not None else None
        self._sentry = Sentry(dsn, about.start.identity)
        self.reporter = ReefReporter(self._grants, logs, self._ended, self._sentry.tell_failure)
        self._naming = Naming(about.start.identity, os.environ)
        self._exchange = Exchange(settings.api_endpoint, settings.request_timeout)
        passing = FaultPoints.from_environ(os.environ).passing
        self._tokens = about.start.state_dir / reeftokens.FILE
        self._access = Access(settings, self._exchange, self._tokens, passing)
        self._client = Client(settings.api_endpoint, self._exchange, self._access, passing)
        about.job_api = self._state
        node = board.standing.settings
        is_alone = node.broker_connection is None and not node.end_point
        self._idle = Idle(settings.idle_timeout if is_alone else 0.0, self._load, self._tell_idle)
        claimant = Claimant(self._naming.task, self._naming.cluster, settings.settle, settings.api_endpoint)
        self._claims = Claims(self._client, journal, claimant, self._take, self._idle.look)
        environ = {**about.start.dotenv, **os.environ}
        self._stock = Stock(settings, environ)
        reasons = Reasons(journal, logs, self._stock, Redactor(about.start.secrets()))
        self._courier = Courier(self._client, journal, settings.api_endpoint, reasons, self._delivered)
        self._watch = Watch(self._client, settings, self._stop)
        self._slots = Slots(settings.max_concurrent_jobs)
        self._is_over = self._is_final = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._source: Source
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
        self._source.on_bug = self._sentry.tell_bug
        self._source.on_settled = self._idle.look

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
        await self._end_tasks()
        self._courier.grow()
        if self._is_final:
            self._stock.hurry()
            await self._courier.flush(FLUSH_S)
        await self._claims.stop()
        await self._watch.close()
        await self._courier.stop()
        self._exchange.close()
        await self._sentry.close()

    async def _end_tasks(self) -> None:
        """Let come to its end what is under way, and what that begins, but wait for no API that is silent: the journal
        knows the rest.
        """
        loop = asyncio.get_running_loop()
        end_s = loop.time() + CLAIMS_S
        while self._tasks and (left_s := end_s - loop.time()) > 0:
            await asyncio.wait(tuple(self._tasks), timeout=left_s)
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _start(self) -> None:
        """Who this node is, what it holds, and then: more."""
        await self._sentry.open()
        await self._naming.learn()
        await until_kept(self._go_on)
        if self._is_over:
            return
        self._idle.start()
        self._spawn(self._claims.find_left())
        self._source.start()

    async def _go_on(self) -> None:
        """Watch over the jobs that are here already, end those that nobody serves any more, post what is due."""
        for task_id, grant in tuple(self._grants.items()):
            if (record := self._journal.record(task_id)) is None or record.status.is_final:
                del self._grants[task_id]  # it was lost with the process that ran it
            elif grant.job_type in self._board.standing.specs:
                self._slots.held.add(task_id)
                self._watch.begin(task_id, grant)
            else:
                self._spawn(self._watch.end_job(task_id, Status.TERMINATE))
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
            self._spawn(self._watch.end_job(task_id, Status.TERMINATE))
            return
        self._reporters.accepted(record)
        self._watch.begin(task_id, grant)
        self._dispatcher.offer(grant.job_type)

    def _ended(self, task_id: str) -> None:
        """A job has ended, wherever it came from; of one of the API the slot is free and the result is due."""
        self._idle.touch()
        if self._grants.pop(task_id, None) is None:
            return
        self._slots.held.discard(task_id)
        self._watch.end(task_id)
        self._courier.grow()
        self._source.wake()

    async def _stop(self, task_id: str, status: Status) -> None:
        await self._stopper.stop(task_id, status)

    async def _fail_waiting(self) -> None:
        """End the jobs that wait for a slot, so that clients hear of it now and not hours later (row 11)."""
        running = {task_id for task_id, _ in self._dispatcher.running()}
        for task_id in tuple(self._grants):
            if task_id not in running:
                await self._watch.end_job(task_id, Status.TERMINATE)

    def _delivered(self) -> None:
        self._idle.touch()
        self._idle.look()

    def _state(self) -> JobApiState:
        return replace(self._client.state, unposted=self._courier.waiting)

    def _load(self) -> Load:
        """What there is to do. Jobs that wait for an event which nothing serves any more are none of it (row 16)."""
        specs = self._board.standing.specs
        waiting = {
            event
            for (event, status), number in self._journal.counts_by_event().items()
            if number and status is Status.QUEUED
        }
        return Load(
            has_jobs=bool(self._slots.held or self._dispatcher.running() or waiting & specs.keys()),
            has_open_claims=bool(self._slots.asking or self._claims.is_open),
            has_results=not self._courier.is_idle,
        )

    def _tell_idle(self) -> None:
        self._on_idle(f"there was no job for {self._settings.idle_timeout:g} s")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        bug = None if task.cancelled() else task.exception()
        if bug is not None:
            self._on_fatal(bug)
