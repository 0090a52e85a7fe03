"""The desk while the journal cannot be opened: it says that the node lives, and sends everybody else away for now."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NoReturn

from job_item.errors import Unavailable
from job_item.job import JobRecord, Status
from worker.about import About
from worker.desk import Log, NewJob, Note, Outgoing, Readiness, Watch
from worker.letters import Letter
from worker.metrics.observation import Observation
from worker.nodedesk import NodeDesk


class ClosedDesk(NodeDesk):
    """A desk (`worker.desk.Desk`) that raises `Unavailable` for every job; `reason` is what keeps it closed."""

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.project = about.start.settings.project
        self.base_url = about.start.base_url
        self.reason = "the journal is not open yet"

    async def create(self, request: NewJob) -> JobRecord:  # noqa: ARG002 - nothing is taken
        """Send away."""
        self._refuse()

    def job(self, task_id: str) -> JobRecord | None:  # noqa: ARG002 - nobody knows
        """Send away."""
        self._refuse()

    def jobs(
        self,
        *,
        status: Status | None = None,  # noqa: ARG002 - nobody knows
        event: str | None = None,  # noqa: ARG002
        before: str | None = None,  # noqa: ARG002
        limit: int = 100,  # noqa: ARG002
    ) -> Sequence[JobRecord]:
        """Send away."""
        self._refuse()

    async def cancel(
        self,
        task_id: str,  # noqa: ARG002 - nobody knows
        wish: Status = Status.TERMINATE,  # noqa: ARG002
    ) -> JobRecord | None:
        """Send away."""
        self._refuse()

    async def notify(self, task_id: str, msg: str) -> bool:  # noqa: ARG002 - nothing is taken
        """Send away."""
        self._refuse()

    def notes(self, task_id: str, after: int = 0) -> Sequence[Note]:  # noqa: ARG002 - nobody knows
        """Send away."""
        self._refuse()

    async def share(self, task_id: str, key: str, data: str, ttl_s: float | None) -> None:  # noqa: ARG002 - not taken
        """Send away."""
        self._refuse()

    def shared(self, task_id: str, key: str) -> Sequence[str]:  # noqa: ARG002 - nobody knows
        """Send away."""
        self._refuse()

    def outgoing(self) -> Outgoing | None:
        """Send away."""
        self._refuse()

    def log(self, task_id: str, attempt: int | None = None) -> Log | None:  # noqa: ARG002 - nobody knows
        """Send away."""
        self._refuse()

    def watch(self, task_id: str) -> AbstractContextManager[Watch]:  # noqa: ARG002 - nobody knows
        """Send away."""
        self._refuse()

    async def dead(self, limit: int) -> Sequence[Letter]:  # noqa: ARG002 - nobody knows
        """Send away."""
        self._refuse()

    async def retry_dead(self, task_id: str) -> bool:  # noqa: ARG002 - nobody knows
        """Send away."""
        self._refuse()

    async def drop_dead(self, task_id: str) -> bool:  # noqa: ARG002 - nobody knows
        """Send away."""
        self._refuse()

    def counts(self) -> dict[Status, int]:
        """None that can be seen."""
        return dict.fromkeys(Status, 0)

    def slots(self) -> int:
        """As the settings of the start have it."""
        return self._about.start.settings.limits.concurrency

    def readiness(self) -> Readiness:
        """Not ready, and why."""
        return Readiness(False, (self.reason,))

    async def observe(self) -> Observation:
        """What metrics show without a journal."""
        return await self._about.observe(self.health(), is_ready=False)

    def _refuse(self) -> NoReturn:
        raise Unavailable("ERR-STO-001", self.reason)
