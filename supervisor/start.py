"""What comes before the children: faults are refused, their start is put together, the command line is told."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from job_item import __version__
from job_item.check import check
from job_item.errors import SettingsError
from job_item.identity import resolve_identity
from job_item.job import new_task_id
from job_item.link import ChildStart
from job_item.plainlog import PlainLog
from job_item.state import NodeInfo
from supervisor.finding import Finding, finding_of
from supervisor.plan import LogWish

if TYPE_CHECKING:
    from job_item.load import Loaded


def wish_of(loaded: Loaded) -> LogWish:
    """What the settings say of the log."""
    return LogWish(loaded.settings.log.level, loaded.settings.log.format, tuple(loaded.secrets))


def log_of(loaded: Loaded, environ: Mapping[str, str]) -> PlainLog:
    """The log of this process."""
    return PlainLog(loaded.settings.log, room="supervisor", secrets=loaded.secrets, environ=environ)


def refuse_faults(loaded: Loaded, log: PlainLog) -> tuple[Finding, ...]:
    """Say what the settings make doubtful, and return that.

    Raises SettingsError, with all faults at once, for what is wrong.
    """
    faults = check(loaded)
    if not all(fault.warning for fault in faults):
        raise SettingsError((*loaded.warnings, *faults))
    doubts = tuple(map(finding_of, (*loaded.warnings, *faults)))
    for doubt in doubts:
        log.warning("settings.doubted", code=doubt.code, at=doubt.at, reason=doubt.reason)
    return doubts


def refuse_own_faults(loaded: Loaded) -> None:
    """Raise SettingsError for what is wrong before a Job Manager is asked."""
    faults = tuple(fault for fault in check(loaded) if not fault.warning)
    if faults:
        raise SettingsError((*loaded.warnings, *faults))


def keep_answer(loaded: Loaded, log: PlainLog) -> None:
    """Keep what the Job Manager has answered, as these settings are good; a node that cannot goes on."""
    if loaded.supply is not None:
        from job_item.manager.supplier import keep

        if (error := keep(loaded)) is not None:
            log.warning("manager.unkept", code=error.code, reason=error.message)


def start_of(
    loaded: Loaded, environ: Mapping[str, str], base_url: str, supervisor_pid: int | None, log: PlainLog
) -> ChildStart:
    """What a child is born with, but for its incarnation; says where the API listens."""
    api = loaded.settings.api
    fields = {"url": base_url, "config": str(loaded.config_path), "state_dir": str(loaded.state_dir)}
    log.info("node.started", version=__version__, pid=os.getpid(), **fields)
    if api.port and not base_url.endswith(f":{api.port}"):
        log.warning("api.port_taken", code="ERR-SUP-008", port=api.port, url=base_url)
    return make_start(loaded, environ, base_url, supervisor_pid, time.monotonic())


def make_start(
    loaded: Loaded, environ: Mapping[str, str], base_url: str, supervisor_pid: int | None, started_at: float
) -> ChildStart:
    """What a child of a node is born with, but for its incarnation and the digest. Raises NodeError (the identity)."""
    return ChildStart(
        settings=loaded.settings,
        config_path=loaded.config_path,
        state_dir=loaded.state_dir,
        work_dir=loaded.work_dir,
        identity=resolve_identity(loaded, environ),
        incarnation=new_task_id(),
        dotenv=dict(loaded.dotenv),
        base_url=base_url,
        supervisor_pid=supervisor_pid,
        started_at=started_at,
        cast=loaded.cast,
        registered=loaded.registered,
    )


def pack(start: ChildStart) -> bytes:
    """Make of `start` what the parent passes on to its children, not knowing what it is."""
    return pickle.dumps(start)


def node_of(start: ChildStart, pid: int, started_at: float) -> NodeInfo:
    """What the command line is told of this node; `started_at` is seconds since the epoch."""
    token = start.settings.api.token
    secret = token.get_secret_value() if token is not None else None
    return NodeInfo(pid, start.base_url, secret, __version__, started_at)
