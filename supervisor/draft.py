"""From settings to the plan of a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from job_item.link import ChildStart
from job_item.state import NodeInfo
from supervisor.difference import digest_of, fixed_of
from supervisor.finding import Finding
from supervisor.greeting import greeting
from supervisor.moves import Rules
from supervisor.plan import Plan, Sources
from supervisor.start import pack, wish_of
from supervisor.tables import Room

if TYPE_CHECKING:
    from job_item.load import Loaded
    from job_item.settings import Settings

_REPORT_TIME_S = 10.0
"""What a stop takes beyond the grace of jobs: the kill until nothing is left, the reports, the end of the execs."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What the plan of a node stands on: what runs in its children, and what is open already."""

    entries: Mapping[Room, str]
    lock: int
    listener: int


def draft(loaded: Loaded, start: ChildStart, node: NodeInfo, ground: Ground, doubts: tuple[Finding, ...] = ()) -> Plan:
    """The plan of a node with these settings; `start` gets their digest. `doubts` are what is doubtful in them."""
    settings = loaded.settings
    start = replace(start, digest=digest_of(start))
    return Plan(
        digest=start.digest,
        start=pack(start),
        fixed=fixed_of(start),
        entries=dict(ground.entries),
        rooms=tuple(room for room in Room if room is Room.WORKER or settings.execs),
        rules=_rules(settings),
        early_deaths=(settings.restart.limit, settings.restart.window),
        log=wish_of(loaded),
        sources=Sources(loaded.config_path, loaded.files, settings.reload == "auto"),
        state_dir=loaded.state_dir,
        node=node,
        greeting=greeting(start),
        manager=loaded.supply.state() if loaded.supply else None,
        refresh_s=settings.manager.refresh,
        doubts=doubts,
        takes_updates=settings.update.public_key is not None,
        change_wait_s=settings.update.wait if settings.update.jobs == "leave" else 0.0,
        lock=ground.lock,
        listener=ground.listener,
    )


def _rules(settings: Settings) -> Rules:
    graces = [*(job.kill_grace for job in settings.jobs), *(entry.stop_grace for entry in settings.execs)]
    return Rules(
        drain_grace_s=settings.drain_grace,
        kill_time_s=max(graces, default=0.0) + _REPORT_TIME_S,
        silence_s=settings.heartbeat.timeout,
    )
