"""What reading the settings again is asked for and what it brings: the words between the parent and its reader."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from job_item.link import Connection
from job_item.manager.state import ManagerState
from job_item.reload import ReloadReport
from job_item.sign import Sign
from supervisor.finding import Finding
from supervisor.plan import Plan

Lent = Literal["lock", "listener"]


@dataclass(frozen=True, slots=True)
class Task:
    """Read the settings and compare them with those of `plan`.

    `listeners` and `locks` are what the parent holds: the descriptors of sockets that listen, and of the locks of state
    folders. With `is_dry` nothing is prepared. `candidate` is a file to read in place of the configuration.
    `asks_manager` and `is_routine` as in `supervisor.requests.Request`.
    """

    plan: Plan
    listeners: tuple[int, ...]
    locks: Mapping[Path, int]
    is_dry: bool
    candidate: str | None
    asks_manager: bool = True
    is_routine: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of a reading. Without a `plan` nothing is to be done: faults, no change, or it was a dry one.

    `files` are the files as they were when they were read. `lent` says which descriptors of the plan are new. `manager`
    is how the node stands with its Job Manager, where these settings have one.
    """

    report: ReloadReport
    files: Mapping[str, Sign]
    plan: Plan | None = None
    faults: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    lent: tuple[Lent, ...] = ()
    manager: ManagerState | None = None


def send(connection: Connection, reading: Reading, descriptors: Sequence[int]) -> None:
    """Hand a reading over, and the descriptors that `reading.lent` names."""
    connection.send_bytes(pickle.dumps(reading))
    if descriptors:
        with socket.socket(fileno=os.dup(connection.fileno())) as twin:
            socket.send_fds(twin, [b"d"], list(descriptors))


def receive(connection: Connection) -> Reading:
    """Take a reading; the descriptors of its plan are open here then. Raises EOFError or OSError: the reader died."""
    reading: Reading = pickle.loads(connection.recv_bytes())  # noqa: S301 - from a process of this node
    if not reading.lent:
        return reading
    with socket.socket(fileno=os.dup(connection.fileno())) as twin:
        _, descriptors, _, _ = socket.recv_fds(twin, 1, len(reading.lent))
    if reading.plan is None or len(descriptors) != len(reading.lent):
        for descriptor in descriptors:
            os.close(descriptor)
        raise EOFError
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    found: dict[Lent, int] = dict(zip(reading.lent, descriptors, strict=True))
    lock, listener = found.get("lock", reading.plan.lock), found.get("listener", reading.plan.listener)
    return replace(reading, plan=replace(reading.plan, lock=lock, listener=listener))
