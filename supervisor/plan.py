"""What the parent knows of its node: plain values, worked out of the settings before it begins.

So the parent needs no settings, and none of the libraries that read and check them. Whoever has new settings makes a
new plan of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from job_item.manager.state import ManagerState
from job_item.release.marker import Staged
from job_item.sign import Sign
from job_item.state import NodeInfo
from supervisor.finding import Finding
from supervisor.moves import Rules
from supervisor.tables import Room
from supervisor.trial import Terms


@dataclass(frozen=True, slots=True)
class LogWish:
    """What the settings say of the log, and what it must not show."""

    level: str
    format: str
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the settings came from: the configuration, and all files that were read, as they were then."""

    config_path: Path
    files: Mapping[str, Sign]
    is_watched: bool
    """Whether an edit of the files takes effect by itself."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A node that is ready to be run: its folder is locked, its socket bound, its faults refused."""

    digest: str
    """Of the settings."""
    start: bytes
    """The pickled `ChildStart`. The parent passes it on as it is."""
    fixed: Mapping[Room, str]
    """For each room the digest of what a living child cannot take over in place."""
    entries: Mapping[Room, str]
    """What runs in each child, also in one that there is not now."""
    rooms: tuple[Room, ...]
    """The children that there are, in the order in which they drain."""
    rules: Rules
    early_deaths: tuple[int, float]
    """How many deaths before ready are borne within how many seconds."""
    log: LogWish
    sources: Sources
    state_dir: Path
    node: NodeInfo
    """What others are told of the node."""
    greeting: str
    manager: ManagerState | None
    """What the Job Manager has said last; None without one."""
    refresh_s: float
    """How often it is asked whether anything is new."""
    doubts: tuple[Finding, ...]
    """What is doubtful in these settings."""
    takes_updates: bool
    """Whether releases are taken at all, also those that the Job Manager offers."""
    change_wait_s: float
    """How long a change of version waits for a moment in which no job runs; 0: no more are started at once."""
    lock: int
    """The descriptor that holds the lock `node`."""
    listener: int
    """The descriptor of the API's socket."""


@dataclass(frozen=True, slots=True)
class GuardPlan:
    """What a guard knows: which version it guards, and where what is known of it is kept.

    `terms` are those of a version on trial; None for one that is confirmed.
    """

    state_dir: Path
    staged: Staged
    terms: Terms | None
    log: LogWish
