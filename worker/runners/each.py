"""The runner of all jobs: each goes to the one of its kind."""

from __future__ import annotations

from collections.abc import Callable

from job_item.settings import Job
from worker.seams import Assignment, Performance, Runner


class EachRunner:
    """Commands go to one runner, handlers to another."""

    def __init__(self, commands: Runner, handlers: Callable[[Assignment, Callable[[], None]], Performance]) -> None:
        self._commands = commands
        self._handlers = handlers

    def start(self, assignment: Assignment, on_output: Callable[[], None]) -> Performance:
        """Start an attempt. Raises as the runner that it is for."""
        if assignment.spec.handler is None:
            return self._commands.start(assignment, on_output)
        return self._handlers(assignment, on_output)

    def clear(self, task_id: str, spec: Job | None) -> None:
        """Take away what a lost attempt may have left behind."""
        if spec is None or spec.handler is None:
            self._commands.clear(task_id, spec)
