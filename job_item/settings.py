"""The settings of a node: frozen models of `config.yaml`, named as protocol job-item.md section 2.1 names them.

Loading, layers, `${NAME}` and messages are the work of `job_item.load`; here stands what a valid setting is. Every
number may also come as text, because that is how the loader hands over what stands in the file. A key without a value
is as good as absent.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator, model_validator

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
    level_of,
)
from job_item.manager.address import base_of
from job_item.quantity import Unfit
from job_item.redact import secret_values
from job_item.reefspec import ReefGuide
from job_item.resources import Resources
from job_item.section import Section
from job_item.updatespec import Update


class Credential(Section):
    """`credential`: who this node is to its project."""

    project_id: str = ""
    secret_key: SecretStr = SecretStr("")
    secret_key_file: str | None = None


class Api(Section):
    """`api`: where the local HTTP API listens; port 0 means any free port."""

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8080, ge=0, le=65535)
    token: SecretStr | None = None
    token_file: str | None = None

    @property
    def port_was_set(self) -> bool:
        """Whether the port was asked for: then a taken one is an error; the default gives way to any free one."""
        return "port" in self.model_fields_set

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the API: 127.0.0.0/8, ::1 or localhost."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"


class Limits(Section):
    """`limits`: how much this node takes on at once."""

    concurrency: int = Field(default_factory=lambda: 2 * (os.cpu_count() or 1), ge=1)
    queue: int = Field(default=1_000_000, ge=1)


class Restart(Section):
    """`restart`: when the parent gives a child up that dies before it was ready."""

    limit: int = Field(default=5, ge=1)
    window: Seconds = Field(default=60.0, gt=0)


class Heartbeat(Section):
    """`heartbeat`: a child that is silent for `timeout` seconds is hung and gets replaced."""

    interval: Seconds = Field(default=5.0, gt=0)
    timeout: Seconds = Field(default=20.0, gt=0)

    @model_validator(mode="after")
    def _leave_time_for_a_beat(self) -> Heartbeat:
        if self.timeout <= self.interval:
            raise Unfit(
                "ERR-CFG-007", f"timeout ({self.timeout:g} s) must be longer than interval ({self.interval:g} s)"
            )
        return self


class Log(Section):
    """`log`: what is written to standard error."""

    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(level_of)] = "INFO"
    format: Literal["auto", "text", "json"] = "auto"


class Keep(Section):
    """`keep`: how long ended jobs and their output stay, and how much may wait for the Job Manager."""

    days: float = Field(default=7.0, gt=0, allow_inf_nan=False)
    jobs: int = Field(default=100_000, ge=1)
    log_bytes: Bytes = Field(default=1 << 30, ge=0)
    outbox_bytes: Bytes = Field(default=4 << 30, ge=0)


class Recycle(Section):
    """`recycle`: when a process that runs handlers is replaced, though nothing is wrong with it."""

    jobs: int = Field(default=10_000, ge=1)
    memory: Bytes = Field(default=1 << 30, gt=0)


class Manager(Section):
    """`manager`: how often the Job Manager is asked whether anything is new."""

    refresh: Seconds = Field(default=60.0, ge=1)


class Retries(Section):
    """`retries` of a job: runs in all, the pauses between them in seconds, and what another run is for."""

    attempts: int = Field(default=1, ge=1)
    backoff: Seconds = Field(default=1.0, ge=0)
    backoff_max: Seconds = Field(default=60.0, ge=0)
    on: tuple[Literal["error", "timeout", "lost"], ...] = ("error", "timeout", "lost")


class Job(Section):
    """An entry of `jobs`: what to do when `event` is triggered, a command or a handler. `pub_type` is accepted and
    unused.
    """

    name: Passable = ""
    event: Event = Field(min_length=1)
    handler: Handler | None = None
    cmd: MaybeCommand = Field(default=None, validate_default=True)
    pub_type: object = Field(default=None, exclude=True, repr=False)
    timeout: Seconds | None = Field(default=None, gt=0)
    concurrency: int | None = Field(default=None, ge=1)
    retries: Retries = Retries()
    on_lost: Literal["rerun", "error"] = "rerun"
    env: Environment = Field(default_factory=dict)
    working_dir: str | None = None
    shell: Shell = "bash"
    status: Literal["exit_code", "stderr", "strict"] = "exit_code"
    render: Literal["safe", "legacy"] = "safe"
    kill_grace: Seconds = Field(default=5.0, ge=0)
    output_limit: Bytes = Field(default=64 << 20, ge=0)
    resources: Resources = Resources()

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
    end_point: Annotated[str, AfterValidator(base_of)] = ""
    manager: Manager = Manager()
    allow_remote_commands: bool = False
    credential: Credential = Credential()
    handlers: Sources = ()
    recycle: Recycle = Recycle()
    jobs: tuple[Job, ...] = ()
    execs: tuple[Exec, ...] = ()
    uuid: str = ""
    broker_connection: BrokerConnection | None = None
    reefguide: ReefGuide | None = None
    project_record: object = Field(default=None, alias="project", exclude=True, repr=False)
    job_item_version_number: int | None = None
    job_item_version: str = ""
    job_item_link: str = ""
    api: Api = Api()
    state_dir: str | None = Field(default=None, min_length=1)
    work_dir: str | None = Field(default=None, min_length=1)
    limits: Limits = Field(default_factory=Limits)
    restart: Restart = Restart()
    heartbeat: Heartbeat = Heartbeat()
    drain_grace: Seconds = Field(default=30.0, ge=0)
    finish_settle: Seconds | None = Field(default=None, ge=0)
    log: Log = Log()
    keep: Keep = Keep()
    sync: Literal["normal", "full"] = "normal"
    pass_env: tuple[str, ...] = ()
    reload: Literal["auto", "manual"] = "auto"
    update: Update = Update()

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
