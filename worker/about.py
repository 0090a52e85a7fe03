"""What the job child can say of its node without a journal, and what it can ask of it.

Who the node is; what the parent told of the others; orders to them; the logs of execs.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path

from job_item import __version__
from job_item.errors import NodeError
from job_item.exits import Exit
from job_item.link import ChildStart, ExecState, NodeState, StopNode
from job_item.orders import Order
from job_item.release.marker import Marker
from job_item.release.shelf import Shelf
from job_item.reload import SettingsState
from job_item.state import exec_log
from worker.desk import Health, JobApiState, Watch
from worker.execlog import KeptLog
from worker.lognews import LogNews
from worker.metrics.machine import Lookout, Machine, look
from worker.metrics.observation import Jobs, Observation
from worker.orders import Orders


class About:
    """The node as the job child knows it.

    `start` is what it was born with; `say` tells the parent, None where the room is run by hand.
    """

    def __init__(self, start: ChildStart, say: Callable[[Order | StopNode], None] | None = None) -> None:
        self.start = start
        self.update = start.settings.update
        """What the settings in force say of updates."""
        self._say = say
        self.orders = Orders(say)
        self.job_api: Callable[[], JobApiState | None] = lambda: None
        """How the node stands with the API that it polls."""
        self._node = NodeState(None, None)
        self._lookout = Lookout(self._look)
        self._heard_of_execs = start.supervisor_pid is None
        self._since = time.time()
        self._log_news = LogNews(start.state_dir / "execs")

    def learn(self, node: NodeState) -> None:
        """Take news of the node from the parent."""
        before, self._node = set(self._node.execs), node
        self._heard_of_execs = self._heard_of_execs or bool(node.execs)
        for changed in before ^ set(node.execs):
            self._log_news.publish(exec_log(self.start.state_dir, changed.key).name)

    def execs(self) -> Sequence[ExecState]:
        """The background commands of this node. Before anything was heard of them they wait."""
        if self._heard_of_execs:
            return self._node.execs
        specs = self.start.settings.execs
        return [ExecState(spec.key, spec.name, "waiting", None, 0, None, self._since) for spec in specs]

    def exec_log(self, key: str) -> KeptLog:
        """Open what is kept of the output of an exec; to be closed."""
        return KeptLog(exec_log(self.start.state_dir, key))

    def watch_exec(self, key: str) -> AbstractContextManager[Watch]:
        """Follow one exec: its state and its log."""
        return self._log_news.follow(exec_log(self.start.state_dir, key).name)

    def health(self) -> Health:
        """What `/healthz` shows."""
        return Health(
            version=__version__,
            identity=self.start.identity,
            uptime_s=time.monotonic() - self.start.started_at,
            supervisor_pid=self.start.supervisor_pid,
            worker_pid=os.getpid(),
            execs_pid=self._node.execs_pid,
            settings=self._settings(),
            reefguide=self.job_api(),
            updates=self.updates(),
            channel=self.channel,
        )

    @property
    def channel(self) -> str | None:
        """The channel of the releases that the node takes; None where updates are off."""
        return None if self.update.public_key is None else self.update.channel

    def updates(self) -> Marker:
        """What is known of updates: a small file, which changes while this child lives.

        One that cannot be read is told at the next start.
        """
        with suppress(NodeError):
            return Shelf(self.start.state_dir).read()
        return Marker()

    def stop(self) -> None:
        """Have the node stop as after one TERM; a room that is run by hand gets that TERM."""
        if self._say is None:
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            self._say(StopNode(Exit.DONE, "asked to over the broker"))

    async def observe(self, health: Health, *, is_ready: bool, jobs: Jobs | None = None) -> Observation:
        """What metrics show; `jobs` is the part that needs a journal."""
        return Observation(
            health=health,
            is_ready=is_ready,
            jobs=jobs,
            execs=self.execs(),
            births=dict(self._node.births),
            machine=await self._lookout.machine(),
        )

    def _look(self) -> Machine:
        start, node = self.start, self._node
        return look(
            {"state": start.state_dir, "work": start.work_dir, "root": Path("/")},
            {"supervisor": start.supervisor_pid, "worker": os.getpid(), "execs": node.execs_pid},
        )

    def _settings(self) -> SettingsState:
        """Those in force: as the parent tells, else those that this child was born with."""
        told = self._node.settings
        return told if told.digest else replace(told, digest=self.start.digest, since=self._since)
