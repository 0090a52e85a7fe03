"""What a reload of the settings changes, and which settings are in force: values that several rooms speak of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from job_item.manager.state import ManagerState

Effect = Literal[
    "in place",
    "restarts the exec",
    "restarts the execs that see it",
    "restarts the job child",
    "restarts the execs child",
]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs between two settings. `path` is dotted, list entries by their key: `jobs.backup.cmd`."""

    path: str
    kind: Literal["added", "removed", "changed"]
    effect: Effect


@dataclass(frozen=True, slots=True)
class ReloadReport:
    """What a reload does, did or would do; with faults nothing is applied and the old settings stay in force.

    `faults` are whole sentences with place and code, secrets left out.
    """

    digest: str
    changes: tuple[Change, ...] = ()
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SettingsState:
    """The settings of a running node, as `/healthz` shows them."""

    digest: str = ""
    """Of the settings in force."""
    since: float = 0.0
    """When they came into force, seconds since the epoch."""
    faults: tuple[str, ...] = ()
    """Why the newest version of the file is not in force; empty when it is."""
    pending: tuple[str, ...] = ()
    """The rooms that take new settings over as soon as what runs in them has ended."""
    manager: ManagerState | None = None
    """How the node stands with its Job Manager; None without one."""
