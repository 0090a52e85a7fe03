"""What a desk knows that metrics show, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from job_item.job import Status
from job_item.link import ExecState
from worker.desk import Health
from worker.metrics.machine import Machine
from worker.metrics.meter import Meter

Step = tuple[str, Status | None, Status | None]


@dataclass(frozen=True, slots=True)
class Jobs:
    """The journal and the dispatcher at one moment."""

    counts: Mapping[tuple[str, Status], int]
    steps: Mapping[Step, int]
    oldest: Mapping[str, float]
    """When the oldest waiting job of an event was accepted, seconds since the epoch."""
    log_bytes: int
    slots: int
    queue_limit: int
    events: frozenset[str]
    """Those of the settings: the only ones that become labels."""
    meter: Meter


@dataclass(frozen=True, slots=True)
class Observation:
    """A node at one moment; `jobs` is None while the journal is closed."""

    health: Health
    is_ready: bool
    jobs: Jobs | None = None
    execs: Sequence[ExecState] = ()
    births: Mapping[str, int] = field(default_factory=dict)
    """How often the process of a room was started, as the parent told."""
    machine: Machine = Machine()
