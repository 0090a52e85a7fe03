"""What the API takes and answers of jobs and execs, as pydantic models; they are its documentation too.

`worker.api.nodemodels` has those of the node itself.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from job_item.job import TASK_ID_PATTERN, Status


def well_formed(text: object) -> object:
    """Replace what no encoding can carry: names of files and processes may hold any bytes."""
    return text.encode("utf-8", "replace").decode() if isinstance(text, str) else text


Text = Annotated[str, BeforeValidator(well_formed)]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2025-01-02T03:04:05.678Z"])]
TASK_ID = f"^{TASK_ID_PATTERN.pattern}$"
TaskId = Annotated[str, Field(json_schema_extra={"pattern": TASK_ID})]


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
    task_id: str | None = Field(default=None, json_schema_extra={"pattern": TASK_ID})


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
    fence: int = Field(description="Grows with every attempt of this node and is never given again.")
    status: Status | None
    started_at: Moment
    finished_at: Moment | None
    duration_s: float | None
    exit_code: int | None
    signal: int | None
    error: Failure | None
    output: Any = Field(description="What the handler returned; null where a command ran.")
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
    output: Any = Field(description="What the handler returned in the last attempt; null where a command ran.")
    attempts: list[AttemptAnswer]
    notes: list[NoteAnswer]


class JobList(BaseModel):
    """The newest jobs first; `next` is what `before` has to be for those that follow, null at the end."""

    jobs: list[JobSummary]
    next: TaskId | None


class DeadAnswer(BaseModel):
    """A job that was tried as often as it may be; `data` is what it was asked for with."""

    task_id: TaskId
    event: Text
    attempts: int
    error: Failure
    died_at: Moment | None
    node: Text = Field(description="Who gave it up; empty where that is not known.")
    data: Any


class DeadList(BaseModel):
    """The dead letters, oldest first: those at the broker and those of this node."""

    dead: list[DeadAnswer]


class DeadOrder(BaseModel):
    """It was done."""

    status: Literal["ok"]
    task_id: TaskId


class ExecAnswer(BaseModel):
    """One background command."""

    key: Text
    name: Text
    state: str = Field(description="waiting, starting, running, backoff, stopped or failed.")
    pid: int | None
    attempts: int
    exit_code: int | None
    since: Moment
    ready: bool = Field(description="Whether its `ready` probe has said yes in this run; without one, whether it runs.")
    health: str | None = Field(description="`healthy` or `unhealthy`; null where no `health` probe has spoken.")
    reason: Text | None = Field(description="Why it is in this state, in words for people.")


class ExecList(BaseModel):
    """The background commands of this node."""

    execs: list[ExecAnswer]
