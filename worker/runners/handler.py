"""Runs a job as a Python function in a hand: input, output, environment, limits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from job_item import trace
from job_item.errors import JobFailure
from job_item.handlers.context import Facts
from job_item.handlers.wish import Wish
from job_item.keeper.siblings import Siblings
from job_item.log import get
from job_item.resources import rlimits
from job_item.settings import Job
from worker.environ import Owner, node_variables
from worker.output import spool_path
from worker.runners.command import Places
from worker.runners.hands import Hands
from worker.runners.kind import Kind, Plan
from worker.runners.ticket import Ticket
from worker.seams import Assignment, given_context
from worker.standing import Board, Standing

Note = Callable[[str, str], Any]


def local_facts(environ: Mapping[str, str]) -> Callable[[Assignment], Facts]:
    """What is known of jobs that come from no job API: where this node keeps things (protocol reefguide.md, 2)."""
    facts = Facts(
        aws_region=environ.get("AWS_REGION") or None,
        s3_endpoint=environ.get("S3_ENDPOINT") or None,
        cache_path=environ.get("CACHE_PATH") or None,
        data_path=environ.get("DATA_PATH") or None,
    )
    return lambda _: facts


class HandlerRunner:
    """Turns assignments into wishes and gives them to hands. Nothing is started before there is a job spec for it."""

    def __init__(
        self,
        places: Places,
        owner: Owner,
        board: Board,
        *,
        lock: int | None = None,
        open_files: tuple[int, int] | None = None,
        siblings: Siblings | None = None,
        context: Callable[[Assignment], trace.Trace | None] = given_context,
        facts: Callable[[Assignment], Facts] | None = None,
    ) -> None:
        """Parameters: `lock`, `open_files`, `siblings`, as of `KeeperPool`; `context`, which trace a job is told
        of; `facts`, what its source knows of it.
        """
        self.note: Note = lambda _, __: None
        """Called with the notifications of handlers; may return an awaitable."""
        self._places = places
        self._logs = str(places.logs)
        self._owner = owner
        self._board = board
        self._context = context
        self._facts = facts or local_facts({**board.standing.start.dotenv, **os.environ})
        self._hands_of = partial(Hands, note=self._note, lock=lock, open_files=open_files, siblings=siblings)
        self._hands: Hands | None = None
        self._made_for: Standing | None = None
        self._retired: list[Hands] = []
        self._plans: dict[str, Plan] = {}
        self._told: tuple[Facts | None, dict[str, Any]] = (None, {})
        """The facts that were told last: most jobs have the same."""
        self._notes: set[asyncio.Future[Any]] = set()

    def prepare(self) -> None:
        """Load the handlers that are in force now, so that they are there when the first job comes."""
        standing = self._board.standing
        if any(spec.handler is not None for spec in standing.specs.values()):
            self._current(standing)

    def start(self, assignment: Assignment, on_output: Callable[[], None]) -> Ticket:
        """Give it to a hand. Raises JobFailure."""
        (ticket,) = self.start_all((assignment,), lambda _: on_output())
        self._watch_time(ticket)
        return ticket

    def start_all(self, assignments: Sequence[Assignment], on_output: Callable[[str], None]) -> Sequence[Ticket]:
        """Give attempts of one job spec to a hand, which runs them in this order. Raises JobFailure.

        Their timeouts are not watched over before `single_out`.
        """
        if not assignments:
            return ()
        plan = self._plan(assignments[0].spec)
        hands = self._current(self._board.standing)
        tickets = [
            Ticket(each, self._wish(plan, each), plan.kind, partial(on_output, each.task_id), hands.stop)
            for each in assignments
        ]
        hands.give(tickets)
        return tickets

    def single_out(self, tickets: Sequence[Ticket]) -> None:
        """Leave unbegun what has not begun; from now on the one that runs has its timeout."""
        hand = next((ticket.hand for ticket in tickets if ticket.hand is not None), None)
        for ticket in hand.single_out() if hand is not None else tickets[1:]:
            ticket.leave_unbegun()
        for ticket in tickets:
            if ticket.result is None:
                self._watch_time(ticket)

    def _watch_time(self, ticket: Ticket) -> None:
        """Stop it when its time is over, which begins when a hand has it: not while handlers are being loaded."""
        if ticket.hand is not None:
            _set_alarm(ticket)
        else:
            ticket.on_sent = _set_alarm

    async def close(self) -> None:
        """End all hands, and what they run."""
        for hands in (*self._retired, *([self._hands] if self._hands is not None else [])):
            await hands.close()

    def _current(self, standing: Standing) -> Hands:
        """The hands of the handlers that are in force; the ones before end with their jobs."""
        made_for = self._made_for
        is_new = made_for is None or made_for.start.cast != standing.start.cast or made_for.base != standing.base
        if self._hands is None or self._hands.is_unfit or is_new:
            if self._hands is not None:
                self._hands.retire()
                self._retired = [hands for hands in (*self._retired, self._hands) if not hands.is_over]
            self._hands = self._hands_of(standing.start.cast.roster, dict(standing.base))
            self._made_for = standing
        return self._hands

    def _plan(self, spec: Job) -> Plan:
        standing = self._board.standing
        plan = self._plans.get(spec.event)
        if plan is not None and plan.spec is spec and plan.base is standing.base:
            return plan
        if spec.handler is None:
            raise JobFailure("ERR-HND-004", "There is no handler to run.")
        env = {**standing.base, **node_variables(self._owner), **spec.env}
        limits = rlimits(spec.resources)
        recycle = standing.settings.recycle
        kind = Kind(
            str(self._places.work_dir / spec.working_dir if spec.working_dir else self._places.work_dir),
            tuple(sorted(env.items())),
            tuple(sorted(limits.items())),
            spec.resources.nice,
            spec.resources.cgroup,
        )
        # Processor time is counted for the whole life of a process: each job gets one of its own.
        jobs_limit = 1 if spec.resources.cpu_time is not None else recycle.jobs
        plan = Plan(spec, standing.base, kind, spec.handler, jobs_limit, recycle.memory)
        self._plans = {event: known for event, known in self._plans.items() if event in standing.specs}
        self._plans[spec.event] = plan
        return plan

    def _wish(self, plan: Plan, assignment: Assignment) -> Wish:
        facts = self._facts(assignment)
        if facts is not self._told[0]:
            self._told = (facts, {name: value for name, value in asdict(facts).items() if value is not None})
        return Wish(
            task_id=assignment.task_id,
            type=assignment.event,
            attempt=assignment.attempt,
            fence=assignment.fence,
            duty=plan.duty,
            body=assignment.body,
            spool=spool_path(self._logs, assignment.task_id, assignment.attempt),
            output_limit=plan.spec.output_limit,
            timeout_s=plan.spec.timeout,
            facts=self._told[1],
            variables=trace.variables(self._context(assignment)) or None,
            jobs_limit=plan.jobs_limit,
            memory_limit=plan.memory_limit,
        )

    def _note(self, task_id: str, text: str) -> None:
        """Keep a notification of a handler; one that cannot be kept is told in the log."""
        found = self.note(task_id, text)
        if found is not None:
            task = asyncio.ensure_future(found)
            self._notes.add(task)
            task.add_done_callback(self._noted)

    def _noted(self, task: asyncio.Future[Any]) -> None:
        self._notes.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            get("worker").warning("note.lost", code=getattr(error, "code", "ERR-RUN-013"), reason=str(error))


def _set_alarm(ticket: Ticket) -> None:
    spec = ticket.assignment.spec
    if spec.timeout is not None and ticket.alarm is None:
        loop = asyncio.get_running_loop()
        ticket.alarm = loop.call_later(spec.timeout, ticket.stop, "timeout", spec.kill_grace)
