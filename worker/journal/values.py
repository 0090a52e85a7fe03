"""What goes into the journal and comes out of it. Moments are seconds since the epoch.

Named tuples where one is made for every job: frozen dataclasses take several times as long to make.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from job_item.job import Status, Usage

WISHES: Mapping[int, Status] = MappingProxyType({1: Status.TERMINATE, 2: Status.TIMEOUT})
"""What the column `cancel` of a task says of the end that was asked for; 0 is none."""

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Waiting(NamedTuple):
    """A job in the queue; `not_before` is the moment that its next attempt waits for, `is_leased`: it is on loan."""

    seq: int
    task_id: str
    attempt: int
    not_before: float | None
    is_leased: bool = False


class Ended(NamedTuple):
    """A job that has ended, as pruning sees it."""

    task_id: str
    attempt: int
    finished_at: float
    log_bytes: int


class Claim(NamedTuple):
    """A new attempt, made durable. `body` is the canonical JSON of the job's data."""

    task_id: str
    event: str
    source: str
    attempt: int
    fence: int
    body: bytes
    started_at: float
    due_at: float
    """When it could have been started at the earliest: its acceptance, or the end of the pause before a retry."""
    trace: str | None = None
    """The trace context that came with the job, as it is kept (`job_item.trace`)."""
    spent: int = 0
    """Attempts before the job was taken out of the dead letters."""


class Settlement(NamedTuple):
    """The end of an attempt. With `retry_at` the job goes back to the queue until then, without it has ended too.

    `is_dead`: it is one of the dead letters now. `is_left`: whatever the attempt came to does not count, as somebody
    else has the job, or will have it. `is_excused`: it is none of the attempts that the job may have.
    """

    task_id: str
    attempt: int
    fence: int
    status: Status
    finished_at: float
    exit_code: int | None = None
    signal: int | None = None
    error_code: str | None = None
    error: str | None = None
    usage: Usage = Usage()
    retry_at: float | None = None
    output: bytes | None = None
    """What a handler returned, as JSON."""
    is_dead: bool = False
    is_left: bool = False
    is_excused: bool = False

    @property
    def log_bytes(self) -> int:
        """Bytes of output that the attempt left on the disk."""
        return self.usage.stdout_bytes + self.usage.stderr_bytes - self.usage.dropped_bytes

    def result(self) -> bytes:
        """The result as it is kept and told: canonical JSON, the same bytes however often it is told.

        Written piece by piece, as a general encoder takes longer than all else about a small job.
        """
        usage = self.usage
        processes = _encode(usage.processes) if usage.processes else "[]"
        told = (
            f'{{"attempt":{self.attempt},"error":{_text(self.error)},"error_code":{_text(self.error_code)},'
            f'"exit_code":{_number(self.exit_code)},"fence":{self.fence},"finished_at":{self.finished_at!r},'
        )
        rest = (
            f'"signal":{_number(self.signal)},"status":"{self.status.value}","task_id":{_text(self.task_id)},'
            f'"usage":{{"cpu_s":{usage.cpu_s!r},"dropped_bytes":{usage.dropped_bytes},'
            f'"max_rss_bytes":{usage.max_rss_bytes},"processes":{processes},"stderr_bytes":{usage.stderr_bytes},'
            f'"stdout_bytes":{usage.stdout_bytes}}}}}'
        )
        if self.output is None:
            return (told + rest).encode()
        return b"".join((told.encode(), b'"output":', self.output, b",", rest.encode()))


def _text(value: str | None) -> str:
    return "null" if value is None else _encode(value)


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


class Share(NamedTuple):
    """A text that was left under a key of a task. `ttl_s` None: it stays as long as its task is of interest.

    Numbers grow with every one. `expires_at` is the moment by the wall clock, for whoever opens the journal next.
    """

    number: int
    task_id: str
    key: str
    data: str
    ttl_s: float | None = None
    expires_at: float | None = None


SayingKind = Literal["who", "note", "output", "failed", "finish", "result", "file"]
"""What is said over the broker, and at last what is handed to the Job Manager by HTTP."""


class Saying(NamedTuple):
    """Something that is to be said of a task over the broker, as it waits in the journal.

    The body is what is sent, but for `output`: there it says of which attempt, and from which offset on; and for
    `file`: there it names the parcel (`worker.parcels`).
    """

    number: int
    task_id: str
    kind: SayingKind
    body: bytes
    due_at: float
    """The moment before which it is not said."""


class LastWords(NamedTuple):
    """What is said once an attempt has ended: the rest of its output, and where it was the last, why it failed.

    The status of the job is said after that, not before `due_at`.
    """

    due_at: float
    output: bytes | None = None
    failed: bytes | None = None
    result: bytes | None = None
    """What is posted to the HTTP job queue that the job came from (`worker.journal.grants`); nothing is said then."""


class Loaned(NamedTuple):
    """What a broker says of a job that it lends: how often it was given out, the attempts that were begun before, how
    often it came back from the dead letters; and by what a successor of this process can let go of it.
    """

    delivery: int
    runs: int = 0
    round: int = 0
    pledge: str | None = None
    until_s: float = 0.0
    boot: str = ""


class Pledge(NamedTuple):
    """A job on loan to a process that is dead; `until_s` is by the monotonic clock, of this boot."""

    task_id: str
    event: str
    pledge: str
    until_s: float
    round: int


class Recovered(NamedTuple):
    """A job that was running when its worker died; `status` is QUEUED when it runs again."""

    task_id: str
    event: str
    attempt: int
    status: Status
    error_code: str
    error: str
