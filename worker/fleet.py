"""The desk of a node that has a broker: jobs are asked for there, and may run on any node of the project."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from job_item import payload
from job_item.errors import BadMessage, NodeError, Unavailable
from job_item.job import JobRecord, Status, new_task_id
from worker import subjects
from worker.brokers.session import Session
from worker.desk import Health, Log, NewJob, OutboxState, Outgoing, Readiness
from worker.followers import Followers
from worker.local import LocalDesk
from worker.notice import note_body
from worker.sources.trigger import write_control, write_trigger

FOLLOW_S = 1.0
"""How long the broker may take to confirm that we listen to what becomes of a job."""


class Counting(Protocol):
    """What counts messages that could not be used."""

    refused: int

    @property
    def refusals(self) -> Sequence[str]:
        """What the broker refuses of what it needs, in words."""


class Fleet:
    """What this node may ask of the others."""

    def __init__(self, session: Session, followers: Followers, source: Counting, project: str) -> None:
        self.session = session
        self.followers = followers
        self.source = source
        self._project = project

    async def ask(self, task_id: str, event: str, body: bytes) -> None:
        """Ask for a job, and follow it. Raises `Unavailable` where nobody has taken it."""
        connection = self.session.connection
        if connection is None:
            raise Unavailable("ERR-BRK-001", f"The message broker is away: {self.session.state.reason}")
        await self.followers.follow(task_id, event, FOLLOW_S)
        subject, trigger, taken = subjects.trigger(self._project, event), write_trigger(task_id, body), True
        try:
            if connection.queues is not None:
                await connection.queues.put(subject, task_id, trigger)
            else:
                taken = await connection.deliver(subject, trigger)
        except NodeError as error:
            self.followers.drop(task_id)
            if isinstance(error, (BadMessage, Unavailable)):
                raise
            raise Unavailable(error.code, error.message) from error
        if not taken:
            self.followers.drop(task_id)
            raise Unavailable("ERR-SRC-004", f"No node takes jobs of event {event!r} now.")

    async def stop(self, task_id: str, wish: Status) -> None:
        """Ask whoever runs a job to end it."""
        connection = self.session.connection
        if connection is not None:
            with suppress(NodeError):
                await connection.publish(
                    subjects.worker(task_id),
                    write_control(task_id, "timeout" if wish is Status.TIMEOUT else "terminate"),
                )


class FleetDesk(LocalDesk):
    """What the API asks (`worker.desk.Desk`). `fleet`, `leaves` and `outbox` are set by whoever makes it."""

    fleet: Fleet
    leaves: Outgoing | None = None
    outbox: Callable[[], OutboxState]

    async def create(self, request: NewJob) -> JobRecord:
        """Ask for a job over the broker."""
        event, task_id = request.event, request.task_id or new_task_id()
        self._refuse_unless_acceptable(request, task_id)
        body = payload.encode(request.data)
        if (known := self.job(task_id)) is not None:
            return self._intake.same(known, event, body)
        if (refusal := self._refusal()) is not None:
            raise refusal
        await self.fleet.ask(task_id, event, body)
        record = self.job(task_id)
        if record is None:  # so many others were asked for meanwhile that this one is followed no more
            raise Unavailable("ERR-BRK-002", "The job was asked for, but is not followed.")
        return record

    def job(self, task_id: str) -> JobRecord | None:
        """The record of a job of this node, or what is known of one that another node runs."""
        return super().job(task_id) or self.fleet.followers.record(task_id)

    def log(self, task_id: str, attempt: int | None = None) -> Log | None:
        """The output of an attempt, or what was heard of it."""
        found = super().log(task_id, attempt)
        return found if found is not None or attempt not in (None, 1) else self.fleet.followers.log(task_id)

    async def cancel(self, task_id: str, wish: Status = Status.TERMINATE) -> JobRecord | None:
        """Ask for the end of a job, wherever it runs."""
        record = await super().cancel(task_id, wish)
        if record is None and (record := self.fleet.followers.record(task_id)) is not None:
            await self.fleet.stop(task_id, wish)
        return record

    def outgoing(self) -> Outgoing | None:
        """Who takes what is for the Job Manager."""
        return self.leaves

    async def notify(self, task_id: str, msg: str) -> bool:
        """Keep a notification with its job, and pass it on."""
        at = time.time()
        known = await self._journal.note(task_id, at, msg, note_body(msg, at))
        if known:
            self._reporter.noted(task_id)
        return known

    def health(self) -> Health:
        """What `/healthz` shows."""
        state = replace(self.fleet.session.state, refused=self.fleet.source.refused)
        with suppress(Unavailable):  # without a count this is still an answer
            return replace(super().health(), broker=state, outbox=self.outbox())
        return replace(super().health(), broker=state)

    def readiness(self) -> Readiness:
        """Whether jobs are taken and run."""
        local, state = super().readiness(), self.fleet.session.state
        reasons = [*self.fleet.session.refusals, *self.fleet.source.refusals]
        if not state.connected:
            reasons.append(f"the message broker is away: {state.reason}")
        return Readiness(False, (*local.reasons, *reasons)) if reasons else local
