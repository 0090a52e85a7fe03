"""Runs a job as a command in a keeper: its template rendered, its task file, its environment, its limits."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from job_item import payload, trace
from job_item.errors import JobFailure, Unavailable
from job_item.keeper import taskfile
from job_item.keeper.command import Command, Ended
from job_item.keeper.pool import KeeperPool, Run
from job_item.log import get
from job_item.resources import rlimits
from job_item.settings import Job
from job_item.template import Template, TemplateError, compile_command
from worker.environ import Owner, data_variables, job_variables, node_variables
from worker.outcome import Outcome
from worker.output import spool_path
from worker.seams import Assignment, given_context
from worker.standing import Board

_DECODER = json.JSONDecoder()

_START_FAILURES: Mapping[int, tuple[str, str]] = {
    errno.ENOENT: ("ERR-RUN-002", "The program does not exist: {0}."),
    errno.ENOTDIR: ("ERR-RUN-002", "The program does not exist: {0}."),
    errno.EACCES: ("ERR-RUN-003", "The program may not be executed: {0}."),
    errno.ENOEXEC: ("ERR-RUN-003", "The file is not a program (does its first line lack `#!`?): {0}."),
    errno.E2BIG: ("ERR-RUN-004", "The command line and environment are too long for the system."),
}

_STEP_FAILURES: Mapping[str, tuple[str, str]] = {
    "fork": ("ERR-RUN-014", "There can be no more processes now: {1}."),
    "directory": ("ERR-RUN-002", "The working directory cannot be entered: {0}: {1}."),
    "cgroup": ("ERR-RUN-015", "The job cannot be put into the cgroup {0}: {1}."),
    "nice": ("ERR-RUN-016", "The niceness {0} cannot be set: {1}."),
    "limit": ("ERR-RUN-016", "A limit cannot be set to {0}: {1}."),
}


@dataclass(frozen=True, slots=True)
class Places:
    """Where jobs work and leave things."""

    work_dir: Path
    logs: Path


@dataclass(frozen=True, slots=True)
class Plan:
    """What is the same for all attempts of one job spec, worked out once: when the first of them is started."""

    spec: Job
    base: Mapping[str, str]
    template: Template
    directory: str
    env: dict[str, str]
    rlimits: dict[int, int]


class CommandRunner:
    """Turns assignments into commands and gives them to the keepers."""

    def __init__(
        self,
        pool: KeeperPool,
        places: Places,
        owner: Owner,
        board: Board,
        context: Callable[[Assignment], trace.Trace | None] = given_context,
    ) -> None:
        """Parameter `context`: which trace a job is told of, by default the one that came with it."""
        self.variables: Callable[[str], Mapping[str, str]] = lambda _: {}
        """What a job is told besides, by its task id: whoever granted it knows."""
        self._context = context
        self._pool = pool
        self._work_dir = places.work_dir
        self._logs = str(places.logs)
        self._owner = owner
        self._board = board
        self._plans: dict[str, Plan] = {}

    def start(self, assignment: Assignment, on_output: Callable[[], None]) -> CommandPerformance:
        """Render, and hand over to a keeper. Raises JobFailure or Unavailable."""
        run = self._pool.start(self._command(assignment), lambda _: on_output())
        return CommandPerformance(run, assignment)

    def clear(self, task_id: str, spec: Job | None) -> None:
        """Take away the task file that a lost attempt left behind and no other attempt will replace."""
        taskfile.clear(f"{self._directory(spec)}/{task_id}.json")

    def _directory(self, spec: Job | None) -> str:
        named = spec.working_dir if spec is not None else None
        return str(self._work_dir / named if named else self._work_dir)

    def _plan(self, spec: Job) -> Plan:
        """The plan of `spec`, in the environment that is in force. Raises JobFailure where the spec cannot be used."""
        standing = self._board.standing
        plan = self._plans.get(spec.event)
        if plan is not None and plan.spec is spec and plan.base is standing.base:
            return plan
        env = {**standing.base, **node_variables(self._owner)}
        if plan is not None and plan.spec is spec:
            plan = replace(plan, base=standing.base, env=env)
        else:
            plan = Plan(spec, standing.base, _compile(spec), self._directory(spec), env, rlimits(spec.resources))
        self._plans = {event: known for event, known in self._plans.items() if event in standing.specs}
        self._plans[spec.event] = plan
        return plan

    def _command(self, assignment: Assignment) -> Command:
        spec, task_id = assignment.spec, assignment.task_id
        plan = self._plan(spec)
        data: dict[str, Any] | list[Any] = _DECODER.decode(assignment.body.decode())
        return Command(
            argv=plan.template.render(data, task_id),
            env={
                **plan.env,
                **job_variables(self._owner, task_id, assignment.attempt, assignment.fence),
                **data_variables(data),
                **trace.variables(self._context(assignment)),
                **self.variables(task_id),
                **spec.env,
            },
            cwd=plan.directory,
            spool=spool_path(self._logs, task_id, assignment.attempt),
            output_limit=spec.output_limit,
            task_file=f"{plan.directory}/{task_id}.json",
            task_body=payload.encode_legacy(data) if spec.render == "legacy" else assignment.body,
            replace=assignment.attempt > 1,
            timeout_s=spec.timeout,
            grace_s=spec.kill_grace,
            rlimits=plan.rlimits,
            nice=spec.resources.nice,
            cgroup=spec.resources.cgroup,
        )


class CommandPerformance:
    """A command that runs in a keeper."""

    def __init__(self, run: Run, assignment: Assignment) -> None:
        self._run = run
        self._assignment = assignment

    async def outcome(self) -> Outcome:
        """What became of it; its tree is gone by then. Raises Unavailable when it has not begun, but may soon."""
        ended = await self._run.ended
        if ended.refused_bytes:
            get("worker").warning(
                "output.refused", code="ERR-RUN-017", task_id=self._assignment.task_id, lost_bytes=ended.refused_bytes
            )
        return outcome_of(ended, self._assignment)

    def stop(self, how: str, grace_s: float) -> None:
        """End it."""
        self._run.stop(how, grace_s)


def _compile(spec: Job) -> Template:
    """Compile the command of a job. The parent has refused what cannot be compiled; if it has not, the job fails."""
    if spec.cmd is None:
        raise JobFailure("ERR-CFG-006", "There is no command to run.")
    try:
        return compile_command(spec.cmd, shell=spec.shell, render=spec.render)
    except TemplateError as error:
        raise JobFailure(error.code, error.message) from error


def outcome_of(ended: Ended, assignment: Assignment) -> Outcome:
    """What became of a process that a keeper held. Raises Unavailable when the command has not begun, but may soon."""
    if ended.end != "failed":
        return Outcome(ended.end, ended.exit_code, ended.signal, ended.usage)
    if ended.may_pass:
        raise Unavailable("ERR-RUN-014", f"There can be no more processes now: {ended.reason}.")
    if ended.step == "stage":
        return Outcome("failed", error_code="ERR-RUN-005", error=_stage_failure(ended, assignment))
    code, sentence = _STEP_FAILURES.get(ended.step) or _START_FAILURES.get(
        ended.errno, ("ERR-RUN-012", "The command could not be started: {0}: {1}.")
    )
    return Outcome("failed", error_code=code, error=sentence.format(ended.text, os.strerror(ended.errno)))


def _stage_failure(ended: Ended, assignment: Assignment) -> str:
    name = f"{assignment.task_id}.json"
    if ended.errno == errno.EEXIST:
        return f"A file {name} that is not of this job stands in the job's directory already."
    return f"The task file {name} could not be written: {os.strerror(ended.errno)}."
