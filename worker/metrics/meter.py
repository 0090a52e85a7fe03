"""The reporter that measures: how long jobs waited and ran, and what they used, by event, since this process began."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.metrics.histogram import Histogram

if TYPE_CHECKING:  # the API shows what is measured here, and needs no journal for that
    from job_item.job import JobRecord, Status
    from worker.journal import Settlement
    from worker.seams import Assignment


class Sums:
    """What the attempts of one event came to."""

    __slots__ = ("cpu_s", "dropped_bytes", "ran", "stderr_bytes", "stdout_bytes", "waited")

    def __init__(self) -> None:
        self.waited = Histogram()
        """From the moment an attempt could start to the moment it did."""
        self.ran = Histogram()
        self.stdout_bytes = self.stderr_bytes = self.dropped_bytes = 0
        self.cpu_s = 0.0


class Meter:
    """Sums up what attempts say of themselves (`worker.seams.Reporter`). Only events of the settings come here."""

    def __init__(self) -> None:
        self.events: dict[str, Sums] = {}

    def accepted(self, record: JobRecord) -> None:
        """Counted by the journal."""

    def started(self, assignment: Assignment) -> None:
        """An attempt begins."""
        waited_s = assignment.started_at - assignment.due_at
        self._of(assignment.event).waited.observe(waited_s if waited_s > 0 else 0.0)

    def output(self, task_id: str) -> None:
        """Counted at the end."""

    def noted(self, task_id: str) -> None:
        """Not counted."""

    def settled(
        self,
        assignment: Assignment,
        end: Settlement,
        status: Status,  # noqa: ARG002 - counted by the journal
        details: dict[str, Any],  # noqa: ARG002
    ) -> None:
        """An attempt has ended."""
        sums, usage = self._of(assignment.event), end.usage
        ran_s = end.finished_at - assignment.started_at
        sums.ran.observe(ran_s if ran_s > 0 else 0.0)
        sums.cpu_s += usage.cpu_s
        sums.stdout_bytes += usage.stdout_bytes
        sums.stderr_bytes += usage.stderr_bytes
        sums.dropped_bytes += usage.dropped_bytes

    def _of(self, event: str) -> Sums:
        sums = self.events.get(event)
        if sums is None:
            sums = self.events[event] = Sums()
        return sums
