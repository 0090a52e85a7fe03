"""What the API takes and answers, as pydantic models; they are its documentation too."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

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


class Process(BaseModel):
    """A process of this node; null where there is none."""

    pid: int | None


class BrokerAnswer(BaseModel):
    """The connection to the message broker."""

    type: str
    connected: bool
    since: Moment = Field(description="Since when it is so.")
    reason: Text | None = Field(description="Why it is not connected.")
    refused: int = Field(description="Messages that could not be used.")


class JobApiAnswer(BaseModel):
    """How the node stands with the ReefGuide API."""

    url: Text
    connected: bool = Field(description="Whether the last call went as it should.")
    since: Moment = Field(description="Since when it is so.")
    code: str | None = Field(description="Why it is not, as a code.")
    reason: Text | None = Field(description="The same in words.")
    unposted: int = Field(description="Results that the API has not got yet.")


class SettingsAnswer(BaseModel):
    """Which settings are in force."""

    digest: str
    since: Moment
    faults: list[Text] = Field(description="Why the newest version of the file is not in force; empty when it is.")
    pending: list[str] = Field(description="Rooms that take new settings over when what runs in them has ended.")


class OutboxAnswer(BaseModel):
    """What is still to be said of jobs, and handed to the Job Manager."""

    waiting: dict[str, int] = Field(description="How much of each kind; of very much the first 100,000 are counted.")
    file_bytes: int = Field(description="What the files take that scripts have left for the Job Manager.")


class ManagerAnswer(BaseModel):
    """How the node stands with its Job Manager."""

    url: Text
    answered_at: Moment = Field(description="When it gave the answer that is in force.")
    events: list[Text] = Field(description="The events that it knows.")
    code: str | None = Field(description="Why there is no newer answer, as a code; null while it answers.")
    reason: Text | None = Field(description="The same in words.")


class UpdateAnswer(BaseModel):
    """A newer version of the worker that the Job Manager offers; taken only where it is signed with the node's key."""

    number: int = Field(description="Its number; this worker counts as 3.")
    version: Text
    link: Text = Field(description="Where it lies, without credentials; empty where nothing is said.")
    code: str
    notice: Text


class OutcomeAnswer(BaseModel):
    """What became of the last update."""

    version: str
    result: str = Field(description="`staged`, `on trial`, `confirmed` or `fell back`.")
    reason: Text = Field(description="Why it fell back; empty else.")
    at: Moment


class VersionsAnswer(BaseModel):
    """The versions that updates have brought, and the releases that the node takes."""

    channel: str | None = Field(description="The channel of the releases that it takes; null where updates are off.")
    current: str | None = Field(description="The one that is to run; null for what was installed.")
    previous: str | None = Field(description="The one that runs where that fails; null for what was installed.")
    on_trial: bool
    last: OutcomeAnswer | None = Field(description="Null where there was no update yet.")


class HealthAnswer(BaseModel):
    """Who this node is, its processes and its settings."""

    version: str
    identity: Text
    uptime_s: float
    supervisor: Process
    worker: Process
    execs: Process
    broker: BrokerAnswer | None = Field(description="Null where the node uses its embedded queue.")
    reefguide: JobApiAnswer | None = Field(description="Null where the node polls no ReefGuide API.")
    outbox: OutboxAnswer | None = Field(description="Null where there is no broker, or the journal cannot be read now.")
    counts: dict[Status, int] = Field(description="How many jobs this node knows in each status.")
    slots: int = Field(description="How many jobs may run at once.")
    settings: SettingsAnswer
    manager: ManagerAnswer | None = Field(description="Null where the node has no Job Manager.")
    update: UpdateAnswer | None = Field(description="Null where no newer version is offered.")
    versions: VersionsAnswer | None = Field(description="Null where updates are off and there was none.")


class ReloadRequest(BaseModel):
    """How the settings are read again: with `plan` nothing is applied, and `candidate` may name another file."""

    model_config = ConfigDict(strict=True)

    plan: bool = False
    candidate: Text | None = Field(default=None, description="Absolute path of a file on the node's machine.")

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if self.candidate is not None and not self.plan:
            raise ValueError("`candidate` goes with `plan` only; the node runs on its own configuration file")
        if self.candidate is not None and not self.candidate.startswith("/"):
            raise ValueError("`candidate` is no absolute path")
        return self


class ChangeAnswer(BaseModel):
    """One thing that differs. `path` is dotted, entries of lists by their key: `jobs.backup.cmd`."""

    path: Text
    kind: Literal["added", "removed", "changed"]
    effect: str = Field(
        description="`in place`, `restarts the exec`, or, after a drain, `restarts the job child` or "
        "`restarts the execs child`."
    )


class ReloadAnswer(BaseModel):
    """What a reload did or, with `plan`, would do; with faults nothing, and the old settings stay in force."""

    digest: str = Field(description="Of the settings that were read.")
    changes: list[ChangeAnswer]
    faults: list[Text]
    applied: bool


class ReloadProblem(Problem, ReloadAnswer):
    """A reload of settings with faults."""


class ReadinessAnswer(BaseModel):
    """Whether jobs are taken, and what is missing if not."""

    ready: bool
    reasons: list[Text]


class Welcome(BaseModel):
    """Where to go from here."""

    message: str
    links: dict[str, str]
