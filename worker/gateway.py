"""Everything that a node with a broker has besides, wired: what comes in over it, and what is said over it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from job_item.errors import NodeError, Unavailable
from job_item.hardware.host import host_id
from job_item.job import Status
from job_item.log import get
from job_item.orders import Refusal
from job_item.settings import Settings
from worker import subjects
from worker.about import About
from worker.brokers.seam import Broker
from worker.brokers.session import Session
from worker.controls import LATER_MAX, Controls
from worker.dead import DeadLetters
from worker.desk import OutboxState
from worker.fleet import Fleet, FleetDesk
from worker.followers import Followers
from worker.intake import Intake
from worker.journal import Journal, LastWords
from worker.leases import Leases
from worker.news import News
from worker.outbox import Outbox
from worker.outgoing import Outgoing
from worker.parcels import Parcels
from worker.post import Post
from worker.recovery import Follow, Rules, follow
from worker.reporters.subjects import SubjectReporter
from worker.reports import Reports, Versions
from worker.sources.broker import BrokerSource
from worker.sources.durable import DurableSource
from worker.sources.summons import Summons
from worker.sources.trigger import Action
from worker.standing import Board
from worker.stopper import Stopper

FLUSH_S = 4.0
"""How long the end of a node waits for what is still to be said; the rest is said at its next start."""


class Gateway:
    """The parts between the broker and the dispatcher, and their life. `join` follows when that is made."""

    def __init__(self, broker: Broker, about: About, board: Board, journal: Journal, news: News, logs: Path) -> None:
        settings = board.standing.settings
        host = host_id()
        self._parcels = Parcels(about.start.state_dir / "parcels")
        self._parcels.keep(journal.parcels())
        key = settings.credential.secret_key.get_secret_value()
        post = Post(settings.end_point, key, self._parcels) if settings.end_point else None
        self.session = Session(broker, settings.heartbeat.interval)
        is_durable = settings.broker_connection is not None and settings.broker_connection.delivery == "durable"
        self.reporter = SubjectReporter(
            journal=journal,
            session=self.session,
            outbox=Outbox(journal, self.session, logs, self._settle_s, post),
            # Two nodes may have ears for a job on loan for a moment: each hears all, who has it not does nothing.
            controls=Controls(self.session, None if is_durable else settings.project, self._obey),
            logs=logs,
            host_id=host,
            settle_s=self._settle_s,
        )
        folders = (Path("/"), about.start.work_dir, about.start.state_dir)
        self._reports = (
            Reports(self.session, host, settings.project, folders, self._versions) if settings.end_point else None
        )
        self.leases = self._open_leases(settings, journal)
        """The jobs on loan; None where `delivery` is compat."""
        self._about = about
        self._summons = Summons(self.session, settings.project, about.start.identity, self._reload, about.stop)
        self._board = board
        self._journal = journal
        self._news = news
        self._project = settings.project
        self._tasks: set[asyncio.Task[None]] = set()
        self._source: BrokerSource | DurableSource
        self._stopper: Stopper

    def _versions(self) -> Versions:
        return Versions(self._board.standing.offer, self._about.channel, self._about.updates())

    def join(self, intake: Intake, desk: FleetDesk) -> None:
        """Connect to the rest of the job child; the intake's reporter hears of every step of a job."""
        dispatcher, outbox = intake.dispatcher, self.reporter.outbox
        if self.leases is not None:
            self.leases.kill = dispatcher.kill
            self.leases.on_left = self._leave
            last_words = self.reporter.last_words
            self._source = DurableSource(self.session, intake, self.leases, outbox, last_words)
        else:
            self._source = BrokerSource(self.session, intake, outbox)
        self._stopper = Stopper(self._journal, dispatcher, self._news, self.reporter, self.leases)
        followers = Followers(self.session, self._news)
        self._source.on_accepted = followers.drop
        desk.fleet = Fleet(self.session, followers, self._source, self._project)
        desk.stopper = self._stopper
        desk.letters = DeadLetters(intake, self.session)
        desk.outbox = self._outbox_state
        if self.reporter.outbox.is_patient:
            desk.leaves = Outgoing(
                self._journal,
                self.reporter.outbox,
                self._parcels,
                lambda: self._board.standing.settings.keep.outbox_bytes,
                is_synced=self._board.standing.settings.sync == "full",
            )

    def _open_leases(self, settings: Settings, journal: Journal) -> Leases | None:
        wanted = settings.broker_connection
        if wanted is None or wanted.delivery == "compat":
            return None
        grow, node = self.reporter.outbox.grow, host_id()
        return Leases(self.session, journal, term_s=wanted.lease, grow=grow, node=node)

    def start(self) -> None:
        """Connect, and take jobs from now on; they run when the dispatcher gives slots."""
        self._summons.start()
        self._source.start()
        self.session.start()
        if self._reports is not None:
            self._reports.start()

    def last_words(self) -> LastWords:
        """What is said of a job that was lost."""
        return self.reporter.last_words()

    def recovered(self) -> None:
        """What was left behind is settled: say it, and listen for the jobs that wait."""
        self.reporter.outbox.grow()
        for task_id in self._journal.queue(LATER_MAX):
            self.reporter.controls.wait_with(task_id)
        if self.leases is not None:
            self.leases.inheritance.take(partial(subjects.trigger, self._project))

    def refresh(self) -> None:
        """Go by what is in force now."""
        self._source.refresh()

    def retire(self) -> None:
        """Take what comes for a successor."""
        self._source.retire()

    async def drain(self) -> None:
        """Take nothing more."""
        await self._summons.drain()
        await self._source.drain()

    def leave_all(self) -> None:
        """What runs is to be ended: what is on loan is given back, so that another node runs it."""
        if self.leases is None:
            return
        specs = self._board.standing.specs
        for task_id, event in self.leases.held:
            spec = specs.get(event)
            if spec is None or follow("lost", Rules.of(spec), 0) is Follow.AGAIN:
                self.leases.leave(task_id)

    async def close(self, *, is_replaced: bool) -> None:
        """Say what can be said in time, and let the connection go; a successor says the rest at once."""
        if self.leases is not None:
            await self.leases.stop(FLUSH_S)
        if not is_replaced:
            await self.reporter.outbox.flush(min(self._settle_s() + 1.0, FLUSH_S))
        await self.reporter.outbox.stop()
        if self._reports is not None:
            await self._reports.stop()
        for task in tuple(self._tasks):
            task.cancel()
        await self.session.stop()

    def _outbox_state(self) -> OutboxState:
        return OutboxState(self._journal.outbox_counts(), self._parcels.size_bytes, dict(self.reporter.outbox.outcomes))

    def _leave(self, task_id: str) -> None:
        self.reporter.ended(task_id)
        self._news.publish(task_id)

    def _settle_s(self) -> float:
        return self._board.standing.settings.settle_s

    async def _obey(self, task_id: str, action: Action) -> None:
        record = self._journal.record(task_id)
        if record is not None and record.status is Status.LEFT and self.session.broker.is_keeper:
            raise Unavailable("ERR-DLV-001", "The job is not this node's any more; who has it is to hear this.")
        await self._stopper.obey(task_id, action)

    def _reload(self) -> None:
        """Have the settings read again, after a moment of chance: all nodes of a project hear of it at once."""
        self._spawn(self._ask_for_reload)

    async def _ask_for_reload(self) -> None:
        await asyncio.sleep(random.random())  # noqa: S311 - chance against herds
        try:
            answer = await self._about.orders.give_reload(is_dry=False)
        except NodeError as error:
            get("worker").error("restart.failed", code=error.code, reason=error.message)
            return
        if isinstance(answer, Refusal):
            get("worker").error("restart.failed", code=answer.code, reason=answer.message)

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.get_running_loop().create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
