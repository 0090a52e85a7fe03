"""What the node tells of itself: the job child for its API, the service manager, and whoever started it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from job_item.errors import NodeError
from job_item.link import ExecState, NodeState
from job_item.plainlog import PlainLog
from supervisor.children import Children
from supervisor.cues import Node
from supervisor.holdings import Holdings
from supervisor.notify import Notifier
from supervisor.outlook import Outlook
from supervisor.plan import Plan
from supervisor.progress import Progress
from supervisor.reload import Reload
from supervisor.tables import Room


class Announcer:
    """Tells each of them what has changed since the last time."""

    def __init__(self, notifier: Notifier, holdings: Holdings, log: PlainLog) -> None:
        self.execs: Sequence[ExecState] = ()
        self.deaths = 0
        self._notifier = notifier
        self._holdings = holdings
        self._log = log
        self._told: NodeState | None = None
        self._is_greeted = False

    @property
    def deadline_s(self) -> float | None:
        """When `report` must come at the latest."""
        return self._notifier.deadline_s

    def publish(self, node: Node, children: Children, reload: Reload) -> None:
        """Let the job child know what it shows of the node."""
        worker, execs = children.get(Room.WORKER), children.get(Room.EXECS)
        if worker is None:
            return
        settings = reload.state(node.pending())
        births = tuple(children.born.items())
        state = NodeState(worker.pid, execs.pid if execs else None, tuple(self.execs), settings, births)
        if state != self._told:
            self._told = state
            worker.send(state)

    def report(self, node: Node, progress: Progress, reload: Reload) -> None:
        """Let the service manager know how the node is."""
        state = reload.state(node.pending())
        outlook = Outlook(
            node,
            reload.plan.node.url,
            self.execs,
            is_reloading=reload.is_busy,
            settings_faults=len(state.faults),
            deaths=self.deaths,
        )
        self._notifier.tell(outlook, progress, time.monotonic())

    def greet(self, room: Room, plan: Plan) -> None:
        """Say where the API is, as soon as the job child with this plan answers there."""
        if room is not Room.WORKER:
            return
        try:
            has_moved = self._holdings.tell(plan)
        except NodeError as error:
            has_moved = True
            self._log.error("node.untold", code=error.code, reason=error.message)
        if has_moved:
            self._log.info("api.moved", url=plan.node.url)
        if has_moved or not self._is_greeted:
            self._is_greeted = True
            with suppress(OSError):
                print(plan.greeting, flush=True)
