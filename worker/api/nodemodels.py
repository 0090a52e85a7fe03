"""What the API takes and answers of the node itself, as pydantic models; they are its documentation too."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from job_item.job import Status
from worker.api.models import Moment, Problem, Text


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
