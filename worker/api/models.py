"""What the API takes and answers, as pydantic models; they are its documentation too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from job_item.codes import REGISTER
from job_item.job import TASK_ID_PATTERN, AttemptRecord, JobRecord, Status
from job_item.link import ExecState
from worker.desk import Note


def well_formed(text: object) -> object:
    """Replace what no encoding can carry: names of files and processes may hold any bytes."""
    return text.encode("utf-8", "replace").decode() if isinstance(text, str) else text


def moment(at: float) -> str:
    """Write seconds since the epoch as RFC 3339 in UTC with milliseconds."""
    whole_ms = round(at * 1000)
    text = datetime.fromtimestamp(whole_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{whole_ms % 1000:03d}Z"


def maybe_moment(at: float | None) -> str | None:
    """Write a moment that may not have come yet."""
    return None if at is None else moment(at)


def duration(started_at: float | None, finished_at: float | None) -> float | None:
    """Tell how many seconds lie between two moments; None where one has not come yet."""
    if started_at is None or finished_at is None:
        return None
    return max(0.0, round(finished_at - started_at, 3))


Text = Annotated[str, BeforeValidator(well_formed)]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2025-01-02T03:04:05.678Z"])]
TaskId = Annotated[str, Field(json_schema_extra={"pattern": f"^{TASK_ID_PATTERN.pattern}$"})]


class Problem(BaseModel):
    """Any error: one sentence, its code in the register, what to do."""

    error: str
    code: str = Field(examples=["ERR-JOB-006"])
    remedy: str


class CreateProblem(Problem):
    """An error of `/job/create`: with the two members of the protocol."""

    status: Literal["error"]
    message: str


class CreateRequest(BaseModel):
    """A job to run. Without `app_id` it is this node's own project; without `task_id` the node makes one."""

    app_id: str | None = Field(default=None, min_length=1)
    event: str = Field(min_length=1)
    form_body: dict[str, Any] | list[Any]
    task_id: str | None = None


class CreateAnswer(BaseModel):
    """A job was taken, durably; `job` repeats the request."""

    status: Literal["success"]
    message: str
    job: dict[str, Any]
    app_id: str
    task_id: TaskId


class Message(BaseModel):
    """A notification: at most 102400 bytes of UTF-8."""

    msg: str = Field(min_length=1)


class MessageAnswer(BaseModel):
    """A notification was kept; `return` repeats it."""

    status: Literal["success"]
    return_: Message = Field(alias="return")


class Failure(BaseModel):
    """Why a job or an attempt is not `finish`."""

    code: str
    message: Text
    remedy: str


class UsageAnswer(BaseModel):
    """What an attempt used, and how its processes ended."""

    cpu_s: float
    max_rss_bytes: int
    stdout_bytes: int
    stderr_bytes: int
    dropped_bytes: int = Field(description="Output beyond the job's output_limit.")
    processes: list[Text]


class AttemptAnswer(BaseModel):
    """One run of a job."""

    attempt: int
    status: Status | None
    started_at: Moment
    finished_at: Moment | None
    duration_s: float | None
    exit_code: int | None
    signal: int | None
    error: Failure | None
    usage: UsageAnswer


class NoteAnswer(BaseModel):
    """One notification of a job's script; `number` grows with every one."""

    number: int
    at: Moment
    msg: Text


class JobSummary(BaseModel):
    """A job in a list."""

    task_id: TaskId
    event: Text
    status: Status
    attempt: int
    exit_code: int | None
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    duration_s: float | None
    error: Failure | None


class JobAnswer(JobSummary):
    """All about one job; `log_bytes` is the size of the output of its last attempt."""

    log_bytes: int
    attempts: list[AttemptAnswer]
    notes: list[NoteAnswer]


class JobList(BaseModel):
    """The newest jobs first; `next` is what `before` has to be for those that follow, null at the end."""

    jobs: list[JobSummary]
    next: TaskId | None


class ExecAnswer(BaseModel):
    """One background command."""

    key: Text
    name: Text
    state: str
    pid: int | None
    attempts: int
    exit_code: int | None
    since: Moment


class ExecList(BaseModel):
    """The background commands of this node."""

    execs: list[ExecAnswer]


class Process(BaseModel):
    """A process of this node; null where there is none."""

    pid: int | None


class HealthAnswer(BaseModel):
    """Who this node is, and its processes."""

    version: str
    identity: Text
    uptime_s: float
    supervisor: Process
    worker: Process
    execs: Process


class ReadinessAnswer(BaseModel):
    """Whether jobs are taken, and what is missing if not."""

    ready: bool
    reasons: list[Text]


class Welcome(BaseModel):
    """Where to go from here."""

    message: str
    links: dict[str, str]


def show_failure(code: str | None, message: str | None) -> Failure | None:
    """Show why something failed, with the register's remedy."""
    if code is None and message is None:
        return None
    entry = REGISTER.get(code or "")
    said = message or (entry.meaning if entry else "")
    return Failure(code=code or "", message=said, remedy=entry.remedy if entry else "")


def show_attempt(record: AttemptRecord) -> AttemptAnswer:
    """Show one run of a job."""
    usage = record.usage
    return AttemptAnswer(
        attempt=record.attempt,
        status=record.status,
        started_at=moment(record.started_at),
        finished_at=maybe_moment(record.finished_at),
        duration_s=duration(record.started_at, record.finished_at),
        exit_code=record.exit_code,
        signal=record.signal,
        error=show_failure(record.error_code, record.error),
        usage=UsageAnswer(
            cpu_s=usage.cpu_s,
            max_rss_bytes=usage.max_rss_bytes,
            stdout_bytes=usage.stdout_bytes,
            stderr_bytes=usage.stderr_bytes,
            dropped_bytes=usage.dropped_bytes,
            processes=list(usage.processes),
        ),
    )


def show_note(note: Note) -> NoteAnswer:
    """Show one notification."""
    return NoteAnswer(number=note.number, at=moment(note.at), msg=note.msg)


def summarise(record: JobRecord) -> JobSummary:
    """Show a job as a line of a list."""
    return JobSummary(
        task_id=record.task_id,
        event=record.event,
        status=record.status,
        attempt=record.attempt,
        exit_code=record.exit_code,
        created_at=moment(record.created_at),
        started_at=maybe_moment(record.started_at),
        finished_at=maybe_moment(record.finished_at),
        duration_s=duration(record.started_at, record.finished_at),
        error=show_failure(record.error_code, record.error),
    )


def show_job(record: JobRecord, log_bytes: int, notes: Sequence[Note]) -> JobAnswer:
    """Show all about one job."""
    return JobAnswer(
        **dict(summarise(record)),
        log_bytes=log_bytes,
        attempts=[show_attempt(attempt) for attempt in record.attempts],
        notes=[show_note(note) for note in notes],
    )


def show_exec(state: ExecState) -> ExecAnswer:
    """Show one background command."""
    return ExecAnswer(
        key=state.key,
        name=state.name,
        state=state.state,
        pid=state.pid,
        attempts=state.attempts,
        exit_code=state.exit_code,
        since=moment(state.since),
    )
