"""The settings of the manager: one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from job_item.connections import BrokerConnection

_CONNECTION: TypeAdapter[Any] = TypeAdapter(BrokerConnection)


class Part(BaseModel):
    """A section in which every key has to be known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Project(Part):
    """The one project of this manager; its nodes show `id` and `key`. `uuid` is what subjects begin with."""

    id: str
    key: str
    name: str = "Example"
    uuid: str = ""

    @property
    def subject(self) -> str:
        """The project's part of all subjects."""
        return self.uuid or self.id


class Nested(Part):
    """A job that belongs to another one; its event on the wire is `<event of that one>.<event>`."""

    event: str
    name: str = ""
    limit: int = 0
    timeout: float = 0


class Job(Part):
    """A registered event: `limit_process` jobs run at once, each for `timeout` seconds; 0 is no bound."""

    event: str
    name: str = ""
    limit_process: int = 0
    timeout: float = 0
    nested: tuple[Nested, ...] = ()


class Settings(Part):
    """All of it; README.md has an example. Relative paths start at the folder of the file.

    `fd` is a socket that listens already, of whoever started this process; then `port` is of no effect.
    """

    project: Project
    broker_connection: dict[str, Any]
    password: str = Field(min_length=1)
    jobs: tuple[Job, ...] = ()
    host: str = "127.0.0.1"
    port: int = 9000
    fd: int | None = None
    folder: Path = Path("state")
    tls_bundle: Path | None = None

    @property
    def connection(self) -> Any:
        """How this manager itself reaches the broker; its certificates are those that it sends to nodes."""
        files = {
            key: str(self.tls_bundle / Path(name).name)
            for key, name in self.broker_connection.items()
            if key in ("ca_file", "cert_file", "key_file") and self.tls_bundle and name
        }
        return _CONNECTION.validate_python(self.broker_connection | files)

    def events(self) -> dict[str, tuple[int, float]]:
        """Limit and time-out of each event, nested ones too."""
        nested = {f"{job.event}.{each.event}": (each.limit, each.timeout) for job in self.jobs for each in job.nested}
        return {job.event: (job.limit_process, job.timeout) for job in self.jobs} | nested


def load(path: Path) -> Settings:
    """Read the file. Raises `OSError`, `yaml.YAMLError`, pydantic's `ValidationError`."""
    settings = Settings.model_validate(yaml.safe_load(path.read_text()))
    here = path.absolute().parent
    bundle = settings.tls_bundle and here / settings.tls_bundle
    return settings.model_copy(update={"folder": here / settings.folder, "tls_bundle": bundle})
