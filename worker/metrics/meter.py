"""The reporter that measures: how long jobs waited and ran, and what they used, by event, since this process began."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from job_item.job import JobRecord, Status
from worker.journal import Settlement
from worker.metrics.histogram import Histogram
from worker.seams import Assignment


class Meter:
    """Sums up what attempts say of themselves (`worker.seams.Reporter`). Only events of the settings come here."""

    def __init__(self) -> None:
        self.waited: defaultdict[str, Histogram] = defaultdict(Histogram)
        """From the moment an attempt could start to the moment it did."""
        self.ran: defaultdict[str, Histogram] = defaultdict(Histogram)
        self.output_bytes: defaultdict[tuple[str, str], int] = defaultdict(int)
        """By event and by what became of them: stdout, stderr, dropped."""
        self.cpu_s: defaultdict[str, float] = defaultdict(float)

    def accepted(self, record: JobRecord) -> None:
        """Counted by the journal."""

    def started(self, assignment: Assignment) -> None:
        """An attempt begins."""
        self.waited[assignment.event].observe(max(0.0, assignment.started_at - assignment.due_at))

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
        event, usage = assignment.event, end.usage
        self.ran[event].observe(max(0.0, end.finished_at - assignment.started_at))
        self.cpu_s[event] += usage.cpu_s
        for kind, size in (
            ("stdout", usage.stdout_bytes),
            ("stderr", usage.stderr_bytes),
            ("dropped", usage.dropped_bytes),
        ):
            if size:
                self.output_bytes[event, kind] += size
