"""What the job child can say of its node without a journal: who it is, and what the parent told of the others."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from job_item import __version__
from job_item.link import ChildStart, ExecState, NodeState
from worker.desk import Health
from worker.metrics.machine import Lookout, Machine, look
from worker.metrics.observation import Jobs, Observation


class About:
    """The node as the job child knows it; `start` is what it was born with."""

    def __init__(self, start: ChildStart) -> None:
        self.start = start
        self._node = NodeState(None, None)
        self._lookout = Lookout(self._look)

    def learn(self, node: NodeState) -> None:
        """Take news of the node from the parent."""
        self._node = node

    def execs(self) -> Sequence[ExecState]:
        """The background commands of this node."""
        return self._node.execs

    def health(self) -> Health:
        """What `/healthz` shows."""
        return Health(
            version=__version__,
            identity=self.start.identity,
            uptime_s=time.monotonic() - self.start.started_at,
            supervisor_pid=self.start.supervisor_pid,
            worker_pid=os.getpid(),
            execs_pid=self._node.execs_pid,
        )

    async def observe(self, *, is_ready: bool, jobs: Jobs | None = None) -> Observation:
        """What metrics show; `jobs` is the part that needs a journal."""
        return Observation(
            health=self.health(),
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
