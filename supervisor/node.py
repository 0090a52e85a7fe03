"""The whole node in the foreground: what may fail for a reason that people must hear comes first, then the parent."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from job_item.state import StateFolder
from supervisor.greeting import greeting
from supervisor.handover import become_parent
from supervisor.lifecycle import Rules
from supervisor.listen import bind, url_of
from supervisor.plan import Plan
from supervisor.signals import hold
from supervisor.start import log_of, pack, refuse_faults, start_of, wish_of, write_node
from supervisor.tables import ENTRIES, Room

if TYPE_CHECKING:
    from job_item.load import Loaded
    from job_item.settings import Settings

_REPORT_TIME_S = 10.0
"""What a stop takes beyond the grace of jobs: the kill until nothing is left, the reports, the end of the execs."""


def run(loaded: Loaded, environ: MutableMapping[str, str]) -> int:
    """Run the whole node in the foreground; returns its exit code. Raises as `prepare`."""
    plan = prepare(loaded, environ)
    become_parent(plan, environ)
    from supervisor import parent

    return parent.run(plan, environ)


def prepare(loaded: Loaded, environ: Mapping[str, str], entries: Mapping[Room, str] = ENTRIES) -> Plan:
    """Do all that comes before the parent; what the plan names is open and belongs to whoever runs it.

    Raises NodeError, nothing being left then: faults in the settings (SettingsError), a state folder that is not usable
    or in use, an address of the API that is not to be had (Unavailable).
    """
    settings = loaded.settings
    log = log_of(loaded, environ)
    refuse_faults(loaded, log)
    folder = StateFolder(loaded.state_dir)
    folder.prepare()
    with ExitStack() as stack:
        lock = folder.lock("node")
        stack.callback(lock.release)
        listener = stack.enter_context(bind(settings.api))
        start = start_of(loaded, environ, url_of(listener), os.getpid(), log)
        hold()  # whoever finds the node may stop it, also while it becomes the parent
        write_node(folder, start)
        plan = Plan(
            start=pack(start),
            entries={room: entries[room] for room in Room if room is Room.WORKER or settings.execs},
            rules=_rules(settings),
            early_deaths=(settings.restart.limit, settings.restart.window),
            log=wish_of(loaded),
            state_dir=loaded.state_dir,
            greeting=greeting(start),
            lock=lock.fileno(),
            listener=listener.fileno(),
        )
        stack.pop_all()
        listener.detach()
    return plan


def _rules(settings: Settings) -> Rules:
    graces = [job.kill_grace for job in settings.jobs]
    return Rules(
        drain_grace_s=settings.drain_grace,
        kill_time_s=max(graces, default=0.0) + _REPORT_TIME_S,
        silence_s=settings.heartbeat.timeout,
    )
