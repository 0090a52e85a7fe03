"""The settings of a node: frozen models of `config.yaml`, named as protocol job-item.md section 2.1 names them.

Loading, layers, `${NAME}` and messages are the work of `job_item.load`; here stands what a valid setting is.
"""

from __future__ import annotations

import os
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Section(BaseModel):
    """Base of all sections: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Credential(Section):
    """`credential`: who this node is to its project."""

    project_id: str = ""
    secret_key: SecretStr = SecretStr("")


class Api(Section):
    """`api`: where the local HTTP API listens; port 0 means any free port."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    token: SecretStr | None = None


class Limits(Section):
    """`limits`: how much this node takes on at once."""

    concurrency: int = Field(default_factory=lambda: 2 * (os.cpu_count() or 1), ge=1)
    queue: int = Field(default=1_000_000, ge=1)


class Restart(Section):
    """`restart`: when the parent gives a child up that dies before it was ready."""

    limit: int = Field(default=5, ge=1)
    window: float = Field(default=60.0, gt=0)


class Heartbeat(Section):
    """`heartbeat`: a child that is silent for `timeout` seconds is hung and gets replaced."""

    interval: float = Field(default=5.0, gt=0)
    timeout: float = Field(default=20.0, gt=0)


class Log(Section):
    """`log`: what is written to standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["auto", "text", "json"] = "auto"


class Keep(Section):
    """`keep`: how long ended jobs and their output stay."""

    days: float = Field(default=7.0, gt=0)
    jobs: int = Field(default=100_000, ge=1)
    log_bytes: int = Field(default=1 << 30, ge=0)


class Retries(Section):
    """`retries` of a job: runs in all, and the pauses between them in seconds."""

    attempts: int = Field(default=1, ge=1)
    backoff: float = Field(default=1.0, ge=0)
    backoff_max: float = Field(default=60.0, ge=0)


class Resources(Section):
    """`resources` of a job or exec: what the kernel holds it to."""

    nice: int = Field(default=0, ge=-20, le=19)
    memory: int | None = Field(default=None, gt=0)
    cpu_time: float | None = Field(default=None, gt=0)
    open_files: int | None = Field(default=None, gt=0)
    file_size: int | None = Field(default=None, ge=0)
    processes: int | None = Field(default=None, gt=0)
    core: int | None = Field(default=None, ge=0)
    cgroup: str | None = None


class Job(Section):
    """An entry of `jobs`: what to do when `event` is triggered."""

    name: str = ""
    event: str = Field(min_length=1)
    cmd: str | tuple[str, ...]
    timeout: float | None = Field(default=None, gt=0)
    concurrency: int | None = Field(default=None, ge=1)
    retries: Retries = Retries()
    on_lost: Literal["rerun", "error"] = "rerun"
    env: dict[str, str] = Field(default_factory=dict)
    working_dir: str | None = None
    shell: str = "bash"
    status: Literal["exit_code", "stderr", "strict"] = "exit_code"
    render: Literal["safe", "legacy"] = "safe"
    kill_grace: float = Field(default=5.0, ge=0)
    output_limit: int = Field(default=64 << 20, ge=0)
    resources: Resources = Resources()


class Exec(Section):
    """An entry of `execs`: a background command that is kept alive (`attempt` <= 0 means 3)."""

    name: str = ""
    key: str = Field(min_length=1)
    cmd: str = Field(min_length=1)
    working_dir: str | None = None
    cascade_exit: bool = False
    attempt: int = 3
    env: dict[str, str] = Field(default_factory=dict)


class Settings(Section):
    """The whole of `config.yaml`."""

    identity_id: str | None = None
    end_point: str = ""
    credential: Credential = Credential()
    jobs: tuple[Job, ...] = ()
    execs: tuple[Exec, ...] = ()
    broker_connection: dict[str, object] | None = None
    api: Api = Api()
    state_dir: str | None = None
    work_dir: str | None = None
    limits: Limits = Limits()
    restart: Restart = Restart()
    heartbeat: Heartbeat = Heartbeat()
    drain_grace: float = Field(default=30.0, ge=0)
    log: Log = Log()
    keep: Keep = Keep()
    sync: Literal["normal", "full"] = "normal"
    pass_env: tuple[str, ...] = ()

    @property
    def project(self) -> str:
        """The project's name `P`; `local` where no project is configured, so that the embedded queue has a name too."""
        return self.credential.project_id or "local"
