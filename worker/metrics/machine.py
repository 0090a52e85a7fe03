"""What metrics show of the machine and of the node's own processes: asked beside the loop, within a bound."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from job_item.hardware import Unknown, ask
from job_item.hardware.disk import Usage, disk_usage
from job_item.hardware.memory import memory
from job_item.hardware.network import Traffic, traffic
from job_item.hardware.processor import MODES, processor_times, ticks_per_s
from job_item.hardware.query import ROOT
from job_item.log import get
from worker.aside import aside

PATIENCE_S = 2.0
"""How long one scrape waits for the machine; what comes later is shown by the next."""

INTERFACES = 32
"""How many interfaces are shown at most."""

_PASSING = ("lo", "veth", "cali", "lxc", "tap", "fwpr", "fwln", "flannel")
"""Interfaces that come and go with containers and virtual machines, and the one that leads nowhere: not shown."""


class Process(NamedTuple):
    """One process of the node."""

    cpu_s: float
    resident_bytes: int


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine at one moment; what could not be found out is absent and named in `unknown`."""

    cpus: int = 0
    cpu_s: Mapping[str, float] = field(default_factory=dict)
    """Of all processors together, by mode, since the boot."""
    memory: Mapping[str, float] = field(default_factory=dict)
    disks: Mapping[str, Usage] = field(default_factory=dict)
    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    load: tuple[float, ...] = ()
    processes: Mapping[str, Process] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    """What each query that failed said."""


def look(folders: Mapping[str, Path], pids: Mapping[str, int | None], root: Path = ROOT) -> Machine:
    """Look at the machine. `folders` are those whose disks are shown, `pids` the node's processes, by their names."""
    queries: dict[str, Callable[[], Any]] = {
        "cpu": partial(processor_times, root),
        "memory": partial(memory, root),
        "network": partial(traffic, root),
        "load": partial(ask, "load", os.getloadavg),
        **{f"disk {name}": partial(disk_usage, folder) for name, folder in folders.items()},
    }
    found: dict[str, Any] = {}
    unknown: dict[str, str] = {}
    for name, query in queries.items():
        try:
            found[name] = query()
        except Unknown as error:
            unknown[name] = error.message
    times = found.get("cpu", ())
    second = ticks_per_s()
    return Machine(
        cpus=len(times),
        cpu_s={mode: sum(each.ticks[place] for each in times) / second for place, mode in enumerate(MODES) if times},
        memory=found.get("memory", {}),
        disks={name: found[f"disk {name}"] for name in folders if f"disk {name}" in found},
        traffic=_lasting(found.get("network", {})),
        load=found.get("load", ()),
        processes={name: seen for name, pid in pids.items() if pid and (seen := _process(pid, second, root))},
        unknown=unknown,
    )


def _lasting(counters: Mapping[str, Traffic]) -> dict[str, Traffic]:
    names = [name for name in counters if not name.startswith(_PASSING)]
    return {name: counters[name] for name in sorted(names)[:INTERFACES]}


def _process(pid: int, ticks_of_a_second: int, root: Path) -> Process | None:
    try:
        fields = (root / f"proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return Process(
            (int(fields[11]) + int(fields[12])) / ticks_of_a_second, int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        )
    except (OSError, ValueError, IndexError):
        return None


class Lookout:
    """Looks at the machine when it is asked: one look at a time, however many ask."""

    def __init__(self, take: Callable[[], Machine], patience_s: float = PATIENCE_S) -> None:
        self._take = take
        self._patience_s = patience_s
        self._pending: asyncio.Future[Machine] | None = None
        self._told: Mapping[str, str] = {}

    async def machine(self) -> Machine:
        """The machine now; empty, with the reason, where the look takes too long."""
        if self._pending is None:
            self._pending = aside(self._take)
            self._pending.add_done_callback(self._forget)
        pending = self._pending
        await asyncio.wait({pending}, timeout=self._patience_s)
        found = pending.result() if pending.done() else _overdue(self._patience_s)
        self._tell(found.unknown)
        return found

    def _forget(self, _: object) -> None:
        self._pending = None

    def _tell(self, unknown: Mapping[str, str]) -> None:
        """Report each failing query once for as long as it fails."""
        for name in unknown.keys() - self._told.keys():
            get("worker").warning("host.unknown", code="ERR-HST-001", query=name, reason=unknown[name])
        self._told = unknown


def _overdue(patience_s: float) -> Machine:
    return Machine(unknown={"machine": f"The machine did not answer within {patience_s:g} s."})
