"""The settings of a node: frozen models of `config.yaml`, named as protocol job-item.md section 2.1 names them.

Loading, layers, `${NAME}` and messages are the work of `job_item.load`; here stands what a valid setting is. Every
number may also come as text, because that is how the loader hands over what stands in the file. A key without a value
is as good as absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from job_item.connections import BrokerConnection
from job_item.execspec import Exec
from job_item.kinds import (
    Bytes,
    Environment,
    Event,
    Handler,
    Identity,
    MaybeCommand,
    Passable,
    Seconds,
    Shell,
    Sources,
)
from job_item.manager.address import base_of
from job_item.nodespec import Api, Credential, Heartbeat, Keep, Limits, Log, Manager, Recycle, Restart
from job_item.quantity import Unfit
from job_item.redact import secret_values
from job_item.reefspec import ReefGuide
from job_item.resources import Resources
from job_item.section import Section
from job_item.updatespec import Update


class Retries(Section):
    """`retries` of a job: runs in all, the pauses between them in seconds, and what another run is for."""

    attempts: int = Field(default=1, ge=1)
    """Runs in all."""
    backoff: Seconds = Field(default=1.0, ge=0)
    """Pause before the second run; it doubles each time."""
    backoff_max: Seconds = Field(default=60.0, ge=0)
    """The longest pause."""
    on: tuple[Literal["error", "timeout", "lost"], ...] = ("error", "timeout", "lost")
    """What another run is for: a failure, a time-out, the death of the node that ran it. A job that has used up its
    runs is a [dead letter](brokers.md#retries-and-dead-letters).
    """


class Job(Section):
    """An entry of `jobs`: what to do when `event` is triggered, a command or a handler. `pub_type` is accepted and
    unused.
    """

    name: Passable = ""
    """A label for people."""
    event: Event = Field(min_length=1)
    """The name under which the job is triggered."""
    handler: Handler | None = None
    """In place of `cmd`: a Python function, named by the type that it is marked with or as `module:function`. See
    [handlers.md](handlers.md).
    """
    cmd: MaybeCommand = Field(default=None, validate_default=True)
    """Text: a Mustache template for the shell. List: a program and its arguments, no shell; each word is a template.
    Default: this or `handler` must be set.
    """
    pub_type: object = Field(default=None, exclude=True, repr=False)
    """Accepted for old files, without effect."""
    timeout: Seconds | None = Field(default=None, gt=0)
    """After this time the job and everything it started gets SIGTERM, then SIGKILL; status `timeout`."""
    concurrency: int | None = Field(default=None, ge=1)
    """How many jobs of this event run at once, within `limits.concurrency`."""
    retries: Retries = Retries()
    """How often and when it is run again."""
    on_lost: Literal["rerun", "error"] = "rerun"
    """What becomes of a job whose node was killed while it ran: `rerun` starts it again, at least once; `error` reports
    it, as does `retries.on` without `lost`.
    """
    env: Environment = Field(default_factory=dict)
    """Further environment variables."""
    working_dir: str | None = None
    """Directory of this job; its task file is there too. Default: `work_dir`."""
    shell: Shell = "bash"
    """The shell that reads `cmd`: name or path."""
    status: Literal["exit_code", "stderr", "strict"] = "exit_code"
    """What decides between `finish` and `error`. `exit_code`: 0 is `finish`. `stderr`: any byte on standard error is
    `error`. `strict`: both must be clean.
    """
    render: Literal["safe", "legacy"] = "safe"
    """`safe`: values are literal text. `legacy`: as the Go worker rendered; no protection, and numbers in the task file
    lose digits beyond a 64-bit float, as there.
    """
    kill_grace: Seconds = Field(default=5.0, ge=0)
    """Time between SIGTERM and SIGKILL."""
    output_limit: Bytes = Field(default=64 << 20, ge=0)
    """Output kept of one run. What is beyond it is left out, and the gap is marked with its size."""
    resources: Resources = Resources()
    """What the kernel holds its processes to."""

    @field_validator("cmd")
    @classmethod
    def _want_one(cls, cmd: str | tuple[str, ...] | None, known: ValidationInfo) -> str | tuple[str, ...] | None:
        has_handler = known.data.get("handler", "?") is not None  # one that is wrong is a fault of its own
        if cmd is None and not has_handler:
            raise Unfit("ERR-CFG-006", "is missing", "Add `cmd` (a command), or `handler` (a Python function).")
        if cmd is not None and known.data.get("handler") is not None:
            raise Unfit("ERR-HND-006", "stands beside `handler`")
        return cmd

    @model_validator(mode="after")
    def _refuse_what_is_for_commands(self) -> Job:
        idle = sorted({"shell", "render"} & self.model_fields_set) if self.handler is not None else ()
        if idle:
            raise Unfit("ERR-HND-006", f"`{idle[0]}` is for `cmd`, and this job has a handler")
        return self


class Settings(Section):
    """The whole of `config.yaml`.

    `uuid` and the `job_item_*` keys are meant for the Job Manager's answer (protocol job-item.md, section 2.1), as is
    `project` (here `project_record`, as `project` is the project's name), which is accepted and unused.
    """

    identity_id: Identity | None = None
    """The unique id of this node. `WORKER_ID` wins over it; `JOB_ITEM_IDENTITY_ID` is used where it is absent. Default:
    made once, kept in the state folder.
    """
    end_point: Annotated[str, AfterValidator(base_of)] = ""
    """Address of the [Job Manager](job-manager.md): scheme, host and port, with or without `/api/worker/config`.
    Default: none, which is local mode.
    """
    manager: Manager = Manager()
    """How the Job Manager is asked."""
    allow_remote_commands: bool = False
    """Whether the node takes `jobs` and `execs`, commands that is, from the Job Manager where it has none of its own.
    """
    credential: Credential = Credential()
    """Who this node is to its project."""
    handlers: Sources = ()
    """Modules (`package.module`) and files (`areas.py`, relative to the folder of the configuration) with Python
    functions that run jobs. Each type that they mark can be asked for without an entry in `jobs`.
    `JOB_ITEM_HANDLERS` (with commas) wins over it.
    """
    recycle: Recycle = Recycle()
    """When a process that runs handlers is replaced, though nothing is wrong with it."""
    jobs: tuple[Job, ...] = ()
    """What can be asked of this node."""
    execs: tuple[Exec, ...] = ()
    """Commands that run as long as the node does."""
    uuid: str = ""
    """With `end_point`: the project's name in all subjects, and `app_id` of a request. Default: the Job Manager's."""
    broker_connection: BrokerConnection | None = None
    """The message broker, see [brokers.md](brokers.md). With `end_point` the Job Manager's counts and this is not used.
    Neither this nor `end_point`: the embedded queue.
    """
    reefguide: ReefGuide | None = None
    """The ReefGuide job API that this node polls, see [reefguide.md](reefguide.md)."""
    project_record: object = Field(default=None, alias="project", exclude=True, repr=False)
    """A member of the Job Manager's answer; accepted in a file for compatibility, without effect."""
    job_item_version_number: int | None = None
    """A member of the Job Manager's answer, see [Newer versions](job-manager.md#newer-versions); without effect in a
    file.
    """
    job_item_version: str = ""
    """The same."""
    job_item_link: str = ""
    """The same."""
    api: Api = Api()
    """Where the local HTTP API listens."""
    state_dir: str | None = Field(default=None, min_length=1)
    """Journal, output and locks. Mode 0700. One node per folder. A path that is not absolute starts at the folder of
    the file. Default: `$STATE_DIRECTORY`, else `.job_item` beside the file, else the user's state folder.
    """
    work_dir: str | None = Field(default=None, min_length=1)
    """Directory of the jobs and place of their task files `<task_id>.json`. Must be writable. Default: the folder of
    the file.
    """
    limits: Limits = Field(default_factory=Limits)
    """How much this node takes on at once."""
    restart: Restart = Restart()
    """When the parent gives up a child that dies before it was ready."""
    heartbeat: Heartbeat = Heartbeat()
    """When a child counts as hung."""
    drain_grace: Seconds = Field(default=30.0, ge=0)
    """On the first SIGTERM or Ctrl-C, how long running jobs may go on before they are ended."""
    finish_settle: Seconds | None = Field(default=None, ge=0)
    """With a broker: a job's status is said no earlier than this after it was said who runs it, for those who begin to
    listen late. It is repeated until somebody has it. No slot is held meanwhile. Default: `3` with `end_point`, `0`
    without.
    """
    log: Log = Log()
    """What is written to standard error."""
    keep: Keep = Keep()
    """How long ended jobs and their output stay."""
    sync: Literal["normal", "full"] = "normal"
    """`normal`: an accepted job survives any kill of the node. `full`: also a power cut; accepting costs about a third
    more.
    """
    pass_env: tuple[str, ...] = ()
    """Names of variables of the node's own environment that jobs may see; `*` and `?` are wildcards, as in `[LANG,
    AWS_*]`.
    """
    reload: Literal["auto", "manual"] = "auto"
    """`auto`: an edit of this file takes effect by itself. `manual`: only with `job_item reload` or SIGHUP."""
    update: Update = Update()
    """Releases that this node takes: off without a key."""

    @property
    def project(self) -> str:
        """The project's name `P`: with a Job Manager the uuid that it has for it (protocol job-item.md, section 12).

        It is `local` where no project is configured, so that the embedded queue has a name too.
        """
        return (self.uuid if self.end_point else "") or self.credential.project_id or "local"

    @property
    def settle_s(self) -> float:
        """How long after `_who` a `_finish` is said at the earliest (protocol job-item.md, section 9.1, L15)."""
        if self.finish_settle is not None:
            return self.finish_settle
        return 3.0 if self.end_point else 0.0

    def secrets(self) -> tuple[str, ...]:
        """All values that must never be shown: keys, tokens, passwords, and environment values with such names."""
        return tuple(value for value in self._secrets() if value)

    def _secrets(self) -> Iterator[str]:
        yield self.credential.secret_key.get_secret_value()
        if self.api.token is not None:
            yield self.api.token.get_secret_value()
        for env in (*(job.env for job in self.jobs), *(entry.env for entry in self.execs)):
            yield from secret_values(env)
        if self.broker_connection is not None:
            yield from self.broker_connection.secrets()
        if self.reefguide is not None:
            yield from self.reefguide.secrets()
