"""The process that reads the settings again: it lives for one reading, so that the parent need not know how.

It is forked by the forkserver, which has imported all this. It binds a new address and locks a new state folder before
anything is given up for them, and hands both over open. Its death harms nothing.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from job_item.check import check
from job_item.errors import Fault, NodeError, SettingsError
from job_item.link import ChildStart, Connection
from job_item.load import Loaded, load
from job_item.manager.supplier import Source, Wish, keep, load_managed
from job_item.nodespec import Api
from job_item.process import own_session
from job_item.reload import ReloadReport
from job_item.settings import Settings
from job_item.sign import Sign, signs
from job_item.state import StateFolder
from supervisor.difference import changes
from supervisor.draft import Ground, draft
from supervisor.finding import Finding, finding_of
from supervisor.listen import bind, url_of
from supervisor.plan import Plan
from supervisor.reading import Lent, Reading, Task, send
from supervisor.start import make_start, node_of


def main(task: Task, connection: Connection, *listeners: socket.socket) -> None:
    """Do the task and send what came of it; `listeners` are the sockets that `task.listeners` names."""
    own_session()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with ExitStack() as stack:
        reading, descriptors = read(task, dict(zip(task.listeners, listeners, strict=True)), os.environ, stack)
        send(connection, reading, descriptors)


def read(
    task: Task, listeners: Mapping[int, socket.socket], environ: Mapping[str, str], stack: ExitStack
) -> tuple[Reading, tuple[int, ...]]:
    """Read, check and compare; with the reading come the new descriptors, which are closed with `stack`."""
    plan = task.plan
    files = signs(plan.sources.files)
    try:
        old: ChildStart = pickle.loads(plan.start)  # noqa: S301 - made by this node
        loaded = _load(task, environ, old)
        warnings = _check(loaded)
        lent: dict[Lent, int] = {}
        lock = _lock(loaded, task, lent, stack)
        listener = _listen(loaded.settings.api, old, plan, listeners)
        if listener.fileno() not in (held.fileno() for held in listeners.values()):
            lent["listener"] = stack.enter_context(listener).fileno()
        start = _start(task, loaded, environ, url_of(listener), old)
    except SettingsError as error:
        return _rejected(plan, files, error.faults), ()
    except NodeError as error:
        return _rejected(plan, files, (Fault(error.code, error.message),)), ()
    numbers = {held.fileno(): number for number, held in listeners.items()}
    ground = Ground(plan.entries, lock, numbers.get(listener.fileno(), -1))
    new = draft(loaded, start, node_of(start, plan.node.pid, plan.node.started_at), ground)
    report = ReloadReport(new.digest, changes(old, start))
    found = Reading(report, loaded.files, warnings=warnings, manager=new.manager)
    if task.is_dry:
        return found, ()
    if (unkept := keep(loaded)) is not None:
        found = replace(found, warnings=(*warnings, Finding(unkept.code, "", unkept.message)))
    if new.digest == plan.digest:
        return found, ()
    return replace(found, plan=new, lent=tuple(lent)), tuple(lent.values())


def _load(task: Task, environ: Mapping[str, str], old: ChildStart) -> Loaded:
    """Load the settings; a file that says nothing at all was emptied by somebody just now. Raises NodeError."""
    candidate = Path(task.candidate) if task.candidate is not None else None
    path = task.plan.sources.config_path
    local = load(path, environ, candidate)
    if not local.places and (candidate or path).exists():
        raise SettingsError((Fault("ERR-CFG-029", "it says nothing", str(candidate or path)),))
    is_settled = _is_same_manager(local.settings, old.settings)
    asks = (task.asks_manager and not task.is_dry) or not is_settled
    source = Source(path, environ, candidate)
    return load_managed(source, Wish(asks, not task.is_routine, is_settled, task.is_dry))


def _is_same_manager(new: Settings, old: Settings) -> bool:
    return (new.end_point, new.credential) == (old.end_point, old.credential)


def _check(loaded: Loaded) -> tuple[Finding, ...]:
    """The warnings. Raises SettingsError with all that is wrong."""
    faults = (*loaded.warnings, *check(loaded))
    wrong = tuple(fault for fault in faults if not fault.warning)
    if wrong:
        raise SettingsError(wrong)
    return tuple(map(finding_of, faults))


def _listen(api: Api, old: ChildStart, plan: Plan, listeners: Mapping[int, socket.socket]) -> socket.socket:
    """The socket that listens where `api` says: one of the node's, or a new one. Raises Unavailable."""
    before, current = old.settings.api, listeners[plan.listener]
    is_same = (api.port, api.port_was_set) == (before.port, before.port_was_set)
    if api.host == before.host and (is_same or api.port == current.getsockname()[1]):
        return current
    for held in listeners.values():  # of a job child that retires
        if api.port and held.getsockname()[:2] == (api.host, api.port):
            return held
    return bind(api, tuple(listeners.values()))


def _lock(loaded: Loaded, task: Task, lent: dict[Lent, int], stack: ExitStack) -> int:
    """The descriptor of the state folder's lock: one that the parent holds (its number there), or a new one.

    Raises NodeError.
    """
    held = task.locks.get(loaded.state_dir)
    if held is not None:
        return held
    if task.is_dry and not loaded.state_dir.exists():
        return -1
    folder = StateFolder(loaded.state_dir)
    folder.prepare()
    lock = folder.lock("node")
    stack.callback(lock.release)
    lent["lock"] = lock.fileno()
    return -1


def _start(task: Task, loaded: Loaded, environ: Mapping[str, str], url: str, old: ChildStart) -> ChildStart:
    """What children are born with. A dry reading makes no identity in a folder that is not there."""
    if task.is_dry and not loaded.state_dir.exists():
        environ = {**environ, "JOB_ITEM_IDENTITY_ID": environ.get("JOB_ITEM_IDENTITY_ID") or old.identity}
    return make_start(loaded, environ, url, old.supervisor_pid, old.started_at)


def _rejected(plan: Plan, files: Mapping[str, Sign], faults: tuple[Fault, ...]) -> Reading:
    found = tuple(map(finding_of, faults))
    told = tuple(f"{fault} [{fault.code}]" for fault in faults)
    return Reading(ReloadReport(plan.digest, faults=told), files, faults=found)
