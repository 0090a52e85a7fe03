"""What the local API may ask of the job child: the seam between HTTP and the work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from job_item.job import JobRecord, Status
from job_item.link import ExecState
from job_item.orders import Refusal, Verb
from job_item.release.marker import Marker
from job_item.reload import ReloadReport, SettingsState
from job_item.trace import Trace
from worker.execlog import KeptLog
from worker.letters import Letter

if TYPE_CHECKING:
    from worker.metrics.observation import Observation


@dataclass(frozen=True, slots=True)
class NewJob:
    """A request to run `event` with `data`; `app_id` None means the node's own project; `trace` is the caller's."""

    event: str
    data: dict[str, Any] | list[Any]
    app_id: str | None = None
    task_id: str | None = None
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """One notification that a job's script sent; `number` grows with every one of its job, gaps allowed."""

    number: int
    at: float
    msg: str


@dataclass(frozen=True, slots=True)
class BrokerState:
    """The connection to the message broker; `since` is seconds since the epoch, `refused` counts unusable messages."""

    type: str
    connected: bool
    since: float
    reason: str | None = None
    refused: int = 0


Outcome = Literal["taken", "unheard", "refused"]
"""What becomes of something that is said: somebody has it, it was said and nobody listened, or it was given up."""


@dataclass(frozen=True, slots=True)
class OutboxState:
    """What is still to be said of jobs. `waiting` is by kind, `outcomes` by kind and outcome since the job child began.

    `file_bytes` is what the files take that scripts have left for the Job Manager.
    """

    waiting: Mapping[str, int]
    file_bytes: int = 0
    outcomes: Mapping[tuple[str, Outcome], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobApiState:
    """How the node stands with the HTTP job queue that it polls; `since` is seconds since the epoch, `unposted` counts
    results that it has not yet.
    """

    url: str
    connected: bool
    since: float
    code: str | None = None
    reason: str | None = None
    unposted: int = 0


@dataclass(frozen=True, slots=True)
class Health:
    """What `/healthz` shows."""

    version: str
    identity: str
    uptime_s: float
    supervisor_pid: int | None
    worker_pid: int
    execs_pid: int | None
    settings: SettingsState = SettingsState()
    updates: Marker = Marker()
    """What is known of updates that were applied to the node."""
    channel: str | None = None
    """The channel of the releases that the node takes; None where updates are off."""
    broker: BrokerState | None = None
    """None where the node has none."""
    outbox: OutboxState | None = None
    """None where the node has no broker."""
    reefguide: JobApiState | None = None
    """None where the node polls none."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether jobs are taken; `reasons` says in words what is missing."""

    ready: bool
    reasons: tuple[str, ...] = ()


class Log(Protocol):
    """The output of one attempt: bytes of both streams in their order of arrival, addressed by offset."""

    def size(self) -> int:
        """Bytes written so far."""

    def read(self, offset: int, limit: int) -> bytes:
        """At most `limit` bytes from `offset`."""

    def runs(self, start: int, stop: int) -> Sequence[tuple[int, int, str]]:
        """Which stream wrote what between two offsets: (start, stop, "stdout" | "stderr" | "gap"), in order.

        Of very many only the first from `start` on, so that no call takes long: whoever wants the others goes on where
        the last one ends. A gap is the line that stands for bytes that could not be kept.
        """


class Watch(Protocol):
    """News of one job or exec."""

    async def changed(self) -> None:
        """Return as soon as there is new output, a new note or a new status since the last call."""


class Outgoing(Protocol):
    """Takes what scripts leave for the Job Manager. Its methods raise `Unavailable` when there is no room."""

    def waiting(self, task_id: str) -> int:
        """How many results and files of a task wait."""

    async def leave_result(self, task_id: str, body: bytes) -> bool:
        """Keep a result, durably; False when the job is unknown."""

    async def leave_file(self, task_id: str, name: str, size_bytes: int, chunks: AsyncIterator[bytes]) -> bool:
        """Keep a file, durably; False when the job is unknown, or less came than was said."""


class Desk(Protocol):
    """The job child as its API sees it. Every method may be called from the event loop and returns soon."""

    project: str
    base_url: str

    async def create(self, request: NewJob) -> JobRecord:
        """Accept a job, durably. Raises `BadMessage` (unknown event, foreign project, bad id) or `Unavailable` (full,
        draining, no room on the disk).

        A task id that is known already is not run twice: its record is returned as it is, also while new jobs are
        refused; with another event or other data it raises `BadMessage`.
        """

    def job(self, task_id: str) -> JobRecord | None:
        """The record of one job, attempts included."""

    def jobs(
        self, *, status: Status | None = None, event: str | None = None, before: str | None = None, limit: int = 100
    ) -> Sequence[JobRecord]:
        """The newest jobs first, without their attempts; `before` is the task id to go on from."""

    async def cancel(self, task_id: str, wish: Status = Status.TERMINATE) -> JobRecord | None:
        """Ask for the end of a job at whatever stage it is; returns its record right away, None when it is unknown.

        `wish` is the status that it will have, TERMINATE or TIMEOUT.
        """

    async def notify(self, task_id: str, msg: str) -> bool:
        """Keep a notification with its job; False when the job is unknown."""

    def notes(self, task_id: str, after: int = 0) -> Sequence[Note]:
        """The notifications of one job whose number is above `after`, oldest first (the last 1,000 are kept)."""

    async def share(self, task_id: str, key: str, data: str, ttl_s: float | None) -> None:
        """Add a text to those under a key of a task, durably; it is there for `ttl_s` seconds, None: without an end.

        Raises `BadMessage` when the task, `Unavailable` when the node has no room for it.
        """

    def shared(self, task_id: str, key: str) -> Sequence[str]:
        """The texts under a key of a task, oldest first."""

    def outgoing(self) -> Outgoing | None:
        """Who takes what is for the Job Manager; None where this node has none."""

    def log(self, task_id: str, attempt: int | None = None) -> Log | None:
        """The output of an attempt (the last one where none is named); None when there is no such attempt."""

    def watch(self, task_id: str) -> AbstractContextManager[Watch]:
        """Follow one job; the subscription ends with the context."""

    async def dead(self, limit: int) -> Sequence[Letter]:
        """The dead letters: of this node, and those of its project that lie at its broker. Raises Unavailable."""

    async def retry_dead(self, task_id: str) -> bool:
        """Have a dead letter tried again; False where there is no such one. Raises Unavailable."""

    async def drop_dead(self, task_id: str) -> bool:
        """Let a dead letter go for good; False where there is no such one. Raises Unavailable."""

    def counts(self) -> dict[Status, int]:
        """How many jobs the journal has in each status."""

    def slots(self) -> int:
        """How many jobs may run at once, as the settings in force have it."""

    def execs(self) -> Sequence[ExecState]:
        """The background commands of this node."""

    async def order_exec(self, key: str, verb: Verb) -> Refusal | None:
        """Have one exec started, stopped or restarted; None when that is done, and `execs` shows it.

        Raises `Unavailable` when the rest of the node does not answer.
        """

    def exec_log(self, key: str) -> KeptLog:
        """Open what is kept of the output of an exec; to be closed."""

    def watch_exec(self, key: str) -> AbstractContextManager[Watch]:
        """Follow the state and the log of one exec; the subscription ends with the context."""

    async def reload(self, *, is_dry: bool, candidate: str | None = None) -> ReloadReport | Refusal:
        """Have the settings read again and brought into force; with `is_dry` only the report comes of it.

        `candidate` is a file to look at in place of the configuration. Raises `Unavailable` when the rest of the node
        does not answer.
        """

    def health(self) -> Health:
        """What `/healthz` shows."""

    def readiness(self) -> Readiness:
        """Whether jobs are taken and run."""

    async def observe(self) -> Observation:
        """What metrics show, the machine included; takes a bounded time."""
