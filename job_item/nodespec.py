"""The sections of the settings that say how the node itself works: its API, its limits, its log, its patience."""

from __future__ import annotations

import ipaddress
import os
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from job_item.kinds import Bytes, Seconds, level_of
from job_item.quantity import Unfit
from job_item.section import Section


class Credential(Section):
    """`credential`: who this node is to its project."""

    project_id: str = ""
    """The project. Without a Job Manager, `app_id` of a request has to be the same."""
    secret_key: SecretStr = SecretStr("")
    """Its secret. Jobs get it as `JOB_ITEM_PROJECT_KEY`."""
    secret_key_file: str | None = None
    """File that holds the secret, in place of `secret_key`."""


class Api(Section):
    """`api`: where the local HTTP API listens; port 0 means any free port."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """Address to listen on. Anything but a loopback address needs a token, else the node does not start."""
    port: int = Field(default=8080, ge=0, le=65535)
    """`0` means any free port. A port that is set and taken is an error; where none is set and 8080 is taken, the node
    takes a free one and says which.
    """
    token: SecretStr | None = None
    """Secret that callers send as `Authorization: Bearer TOKEN`."""
    token_file: str | None = None
    """File that holds the token, in place of `token`."""

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
    """Jobs that run at once. Default: twice the number of cores."""
    queue: int = Field(default=1_000_000, ge=1)
    """Jobs that may wait. When it is full, a new one is refused with 503."""


class Restart(Section):
    """`restart`: when the parent gives a child up that dies before it was ready."""

    limit: int = Field(default=5, ge=1)
    """How many deaths of a child before it was ready are tolerated within the window; one more ends the node."""
    window: Seconds = Field(default=60.0, gt=0)
    """The window."""


class Heartbeat(Section):
    """`heartbeat`: a child that is silent for `timeout` seconds is hung and gets replaced."""

    interval: Seconds = Field(default=5.0, gt=0)
    """How often a child says that it is well."""
    timeout: Seconds = Field(default=20.0, gt=0)
    """After this silence a child counts as hung and is replaced. Longer than the interval."""

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
    """The least that is written; `WARN` is `WARNING`. `LOG_LEVEL` wins over it."""
    format: Literal["auto", "text", "json"] = "auto"
    """`auto` is text on a terminal and JSON elsewhere."""


class Keep(Section):
    """`keep`: how long ended jobs and their output stay, and how much may wait for the Job Manager."""

    days: float = Field(default=7.0, gt=0, allow_inf_nan=False)
    """Age in days."""
    jobs: int = Field(default=100_000, ge=1)
    """Number of ended jobs."""
    log_bytes: Bytes = Field(default=1 << 30, ge=0)
    """Sum of the output kept on disk."""
    outbox_bytes: Bytes = Field(default=4 << 30, ge=0)
    """Files of scripts that may wait for a Job Manager who is away; further ones are refused."""


class Recycle(Section):
    """`recycle`: when a process that runs handlers is replaced, though nothing is wrong with it."""

    jobs: int = Field(default=10_000, ge=1)
    """After so many jobs a process that runs handlers is replaced."""
    memory: Bytes = Field(default=1 << 30, gt=0)
    """Also when it holds more than this after a job."""


class Manager(Section):
    """`manager`: how often the Job Manager is asked whether anything is new."""

    refresh: Seconds = Field(default=60.0, ge=1)
    """How often the Job Manager is asked whether anything is new."""
