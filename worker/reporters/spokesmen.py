"""Who speaks of a job: whoever it came from."""

from __future__ import annotations

from typing import Protocol

from worker.journal import LastWords, Settlement
from worker.seams import Assignment, Spokesman


class Owner(Spokesman, Protocol):
    """A spokesman who knows which jobs are his."""

    def is_mine(self, task_id: str) -> bool:
        """Whether he speaks of this job, and nobody else does."""


class Spokesmen:
    """Passes each job on to its owner, all others to `rest`, where there is one."""

    def __init__(self, owner: Owner, rest: Spokesman | None) -> None:
        self._owner = owner
        self._rest = rest

    async def announce(self, assignment: Assignment) -> None:
        """Before an attempt begins."""
        speaker = self._of(assignment.task_id)
        if speaker is not None:
            await speaker.announce(assignment)

    async def conclude(self, end: Settlement) -> LastWords | None:
        """What is to be said of the end of an attempt."""
        speaker = self._of(end.task_id)
        return await speaker.conclude(end) if speaker is not None else None

    def _of(self, task_id: str) -> Spokesman | None:
        return self._owner if self._owner.is_mine(task_id) else self._rest
