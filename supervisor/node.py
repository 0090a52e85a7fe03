"""The whole node in the foreground: what may fail for a reason that people must hear comes first, then the parent."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, MutableMapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from job_item.state import StateFolder
from supervisor.choice import choose
from supervisor.draft import Ground, draft
from supervisor.enrolment import enrol
from supervisor.handover import become_guard, become_parent
from supervisor.listen import take_up, url_of
from supervisor.plan import GuardPlan, Plan
from supervisor.signals import hold, overlook
from supervisor.start import keep_answer, log_of, node_of, refuse_faults, refuse_own_faults, start_of, wish_of
from supervisor.succession import take_listener
from supervisor.tables import ENTRIES, Room
from supervisor.trial import Terms

if TYPE_CHECKING:
    from job_item.load import Loaded


def run(loaded: Loaded, environ: MutableMapping[str, str]) -> int:
    """Run the whole node in the foreground, in the version that is to be run; returns its exit code.

    Raises as `prepare`.
    """
    marker = choose(loaded, environ, log_of(loaded, environ))
    if marker is not None and marker.current is not None:
        terms = Terms(loaded.settings.update.ready, marker.watch_s) if marker.is_on_trial else None
        guarded = GuardPlan(loaded.state_dir, marker.current, terms, wish_of(loaded))
        become_guard(guarded, environ)
        from supervisor import guard

        return guard.run(guarded, environ)
    plan = prepare(loaded, environ)
    become_parent(plan, environ)
    from supervisor import parent

    return parent.run(plan, environ)


def prepare(loaded: Loaded, environ: MutableMapping[str, str], entries: Mapping[Room, str] = ENTRIES) -> Plan:
    """Do all that comes before the parent; what the plan names is open and belongs to whoever runs it.

    With a Job Manager this takes until it has answered; a signal that asks for the end meanwhile raises SystemExit.

    Raises NodeError, nothing being left then: faults in the settings (SettingsError), a state folder that is not usable
    or in use, an address of the API that is not to be had (Unavailable).
    """
    overlook()
    refuse_own_faults(loaded)
    folder = StateFolder(loaded.state_dir)
    folder.prepare()
    with ExitStack() as stack:
        lock = folder.lock("node")
        stack.callback(lock.release)
        loaded = enrol(loaded, environ, log_of(loaded, environ))
        if loaded.state_dir != folder.path:  # edited while the Job Manager was away
            return prepare(loaded, environ, entries)
        log = log_of(loaded, environ)
        doubts = refuse_faults(loaded, log)
        keep_answer(loaded, log)
        listener = stack.enter_context(take_up(loaded.settings.api, take_listener(environ)))
        hold()  # whoever finds the node, by its log too, may stop it, also while it becomes the parent
        start = start_of(loaded, environ, url_of(listener), os.getpid(), log)
        node = node_of(start, os.getpid(), time.time())
        plan = draft(loaded, start, node, Ground(entries, lock.fileno(), listener.fileno()), doubts)
        folder.write_node(node)
        stack.pop_all()
        listener.detach()
    return plan
