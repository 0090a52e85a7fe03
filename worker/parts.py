"""The parts of a job child: the only place where they are wired, and their life from start to end.

Theory of operation. Jobs start when the parent has said that nothing of a dead predecessor is left (`Swept`) and the
tree lock, which the predecessor's keepers held, is free. On `Drain` the child takes nothing new and lets jobs end, the
API still answering so that a cancel works; on `Cancel`, or when the grace is over, it ends them. On `Retire` it starts
nothing more but goes on taking jobs, which its successor runs; what runs may take its time. `WhenIdle` has it work on
until no job runs. `Adopt` brings new settings: each part looks at the board, where they are posted in one turn of the
loop.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from job_item import log, process
from job_item.environ import share_variables
from job_item.errors import Unavailable
from job_item.exits import Exit
from job_item.keeper.pool import KeeperPool
from job_item.keeper.siblings import Siblings
from job_item.link import ChildStart
from job_item.policy import Backoff
from job_item.room import Room, TreeLock
from worker.about import About
from worker.api.server import Server
from worker.batch import BatchExecutor
from worker.brokers.choose import choose_broker
from worker.dispatch import Dispatcher
from worker.dump import dump
from worker.environ import Owner
from worker.execute import Executor
from worker.fleet import FleetDesk
from worker.gateway import Gateway
from worker.housekeeping import Housekeeper
from worker.intake import Intake
from worker.journal import Journal, Recovered
from worker.local import LocalDesk
from worker.metrics.meter import Meter
from worker.news import News
from worker.reporters.all import AllReporters
from worker.reporters.local import LocalReporter
from worker.reporters.spokesmen import Spokesmen
from worker.runners.command import CommandRunner, Places
from worker.runners.each import EachRunner
from worker.runners.handler import HandlerRunner
from worker.seams import given_context
from worker.share import Shares
from worker.standing import Board, Standing
from worker.tracing import open_tracer

if TYPE_CHECKING:
    from worker.reefguide.gateway import ReefGateway
    from worker.seams import Spokesman

STOP_LIMIT_S = 5.0
"""How long after the last kill the end of all jobs is waited for."""

RETRY = Backoff(0.05, 2.0, 1.0, 0.0)
"""The pauses between tries to open the journal."""


class JobChild:
    """The parts of a job child, wired, and their life from start to end."""

    def __init__(self, about: About, board: Board, room: Room, journal: Journal) -> None:
        start = about.start
        self._about = about
        self._board = board
        self._room = room
        self._journal = journal
        self._places = Places(work_dir=start.work_dir, logs=start.state_dir / "logs")
        self._tree_lock = TreeLock(start.state_dir / "worker-tree.lock")
        open_files = process.raise_open_files()
        shared: dict[str, Any] = {
            "lock": self._tree_lock.descriptor,
            "open_files": open_files,
            "siblings": Siblings(),
        }
        self._pool = KeeperPool(on_fatal=die, **shared)
        news = News()
        meter = Meter()
        self._tracer = tracer = open_tracer(os.environ, start.identity, journal.record)
        broker = start.settings.broker_connection
        self._gateway: Gateway | None = None
        if broker is not None:
            self._gateway = Gateway(
                choose_broker(broker, start.settings.project), about, board, journal, news, self._places.logs
            )
        self._reef = _open_reef(about, board, journal, self._places, room.end_node)
        reef = self._reef.reporter if self._reef is not None else None
        speaker = self._gateway.reporter if self._gateway is not None else None
        spokesman: Spokesman | None = Spokesmen(reef, speaker) if reef is not None else speaker
        reporter = AllReporters([one for one in (LocalReporter(news), meter, tracer, speaker, reef) if one is not None])
        self._housekeeper = Housekeeper(self._journal, self._places.logs, board)
        context = tracer.context if tracer else given_context
        owner = _owner(start)
        facts = self._reef.facts if self._reef is not None else None
        self._handlers = HandlerRunner(self._places, owner, board, context=context, facts=facts, **shared)
        commands = CommandRunner(self._pool, self._places, owner, board, context)
        if self._reef is not None:
            commands.variables = self._reef.variables
        self._runner = EachRunner(commands, self._handlers.start)
        lessor = self._gateway.leases if self._gateway is not None else None
        executor = Executor(self._journal, self._runner, reporter, self._housekeeper.job_ended, spokesman, lessor)
        batches = BatchExecutor(self._journal, self._handlers, reporter, self._housekeeper.job_ended, spokesman)
        self._dispatcher = Dispatcher(self._journal, executor, board, die, batches)
        self._shares = Shares(self._journal)
        logs = self._places.logs
        intake = Intake(journal, self._dispatcher, board, reporter)
        parts = (about, intake, news, logs, self._shares, meter)
        self._desk: LocalDesk
        if self._gateway is not None:
            self._desk = desk = FleetDesk(*parts)
            self._gateway.join(intake, desk)
        else:
            self._desk = LocalDesk(*parts)
        self._handlers.note = self._desk.notify
        if self._reef is not None:
            self._reef.join(self._dispatcher, reporter, self._desk.stopper)

    async def serve(self, server: Server) -> None:
        """Work until this room is to stop."""
        server.hand_over(self._desk)
        self._room.dump = partial(dump, self._journal, self._dispatcher, self._pool)
        self._room.await_idle = partial(self._dispatcher.close_when_idle, self._room.idle)
        if not server.is_up:
            await server.start()
            self._room.ready()
        if self._gateway:
            self._gateway.start()
        if await self._room.unless_stopped(self._take_over()):
            await self._room.drain_asked.wait()
        await self._wind_up()
        if self._gateway:
            await self._gateway.drain()
            await self._gateway.close(is_replaced=self._room.is_replaced)
        if self._reef:
            await self._reef.close()
        await server.stop()
        await self._shares.stop()
        await self._housekeeper.stop()
        await self._handlers.close()
        await self._pool.close()
        if self._tracer is not None:
            await self._tracer.close()

    def refresh(self, before: Standing) -> None:
        """Go by what the board shows now, in place of `before`."""
        standing = self._board.standing
        self._about.update = standing.settings.update
        self._handlers.prepare()
        self._dispatcher.refresh()
        if self._gateway:
            self._gateway.refresh()
        if standing.settings.keep != before.settings.keep:
            self._housekeeper.refresh()
        if gone := before.specs.keys() - standing.specs.keys():
            with suppress(Unavailable):  # it is only about a line in the log
                _tell_stranded(gone.intersection(self._journal.waiting_events()))

    async def _take_over(self) -> None:
        """Once nothing of a predecessor is left, decide what becomes of the jobs it was running; then start jobs."""
        await self._room.swept.wait()
        self._pool.open()  # not before the API answers: it takes a while
        await self._tree_lock.take()
        self._handlers.prepare()
        for job in await self._recover():
            self._runner.clear(job.task_id, self._board.standing.specs.get(job.event))
            log.get("worker").warning(
                "job.recovered", task_id=job.task_id, attempt=job.attempt, status=str(job.status), code=job.error_code
            )
        self._dispatcher.start()
        if self._gateway:
            self._gateway.recovered()
        if self._reef:
            self._reef.start()
        self._desk.open()
        self._housekeeper.start()
        self._shares.start()

    async def _recover(self) -> Sequence[Recovered]:
        """Settle what a predecessor left running; where the disk takes nothing, that is tried until it does."""
        while True:
            standing = self._board.standing
            try:
                _tell_stranded(event for event in self._journal.waiting_events() if event not in standing.specs)
                if self._reef:
                    self._reef.know()
                words = self._gateway.last_words() if self._gateway else None
                return await self._journal.recover(standing.rules(), time.time(), words)
            except Unavailable as error:
                log.get("worker").error("jobs.unrecovered", code=error.code, reason=error.message)
                await asyncio.sleep(RETRY.cap_s)

    async def _wind_up(self) -> None:
        """Start nothing more and let jobs end: in their own time where a successor follows, else within the grace."""
        self._dispatcher.close()
        if self._reef:
            self._reef.drain(is_final=not self._room.is_replaced)
        idle = asyncio.create_task(self._dispatcher.idle())
        if self._room.is_replaced:
            self._desk.retire()
            if self._gateway:
                self._gateway.retire()
            await _either(idle, self._room.stop_asked.wait(), None)
        if self._room.is_replaced and idle.done():
            return
        self._desk.close()
        if self._reef:
            self._reef.drain(is_final=True)
        if self._gateway:
            await self._gateway.drain()
        await _either(idle, self._room.cancel_asked.wait(), self._room.grace_s)
        if not idle.done():
            if self._gateway:
                self._gateway.leave_all()
            longest_s = self._dispatcher.stop_all("terminate")
            await asyncio.wait({idle}, timeout=longest_s + STOP_LIMIT_S)


async def _either(task: asyncio.Task[None], other: Coroutine[Any, Any, Any], timeout_s: float | None) -> None:
    """Wait for one of the two, or for so long; the first goes on afterwards."""
    second = asyncio.create_task(other)
    await asyncio.wait({task, second}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    second.cancel()


def _open_reef(
    about: About, board: Board, journal: Journal, places: Places, end_node: Callable[[str], None]
) -> ReefGateway | None:
    """The parts that poll the ReefGuide API, loaded where a node does."""
    settings = about.start.settings.reefguide
    if settings is None:
        return None
    from worker.reefguide.gateway import ReefGateway

    return ReefGateway(settings, about, board, journal, places.logs, end_node, die)


def _owner(start: ChildStart) -> Owner:
    settings = start.settings
    return Owner(
        end_point=settings.end_point,
        project_id=settings.credential.project_id,
        project_key=settings.credential.secret_key.get_secret_value(),
        base_url=start.local_url(),
        share=share_variables(start.local_url(), {**start.dotenv, **os.environ}),
    )


def _tell_stranded(events: Iterable[str]) -> None:
    """Say that jobs wait for events that are not configured (any more)."""
    for event in events:
        log.get("worker").warning("queue.stranded", code="ERR-JOB-001", job_event=event)


def die(exception: BaseException, code: str = "ERR-RUN-013") -> None:
    """A part of this process is broken: a new one puts it right, this one must not go on."""
    log.get("worker").critical("worker.died", code=code, reason=repr(exception))
    os._exit(Exit.BUG)
