"""What only this machine can tell of valid settings: templates, shells, programs, directories, the address of the API.

Nothing is started, created or changed. A fault that is no warning keeps the node from starting.
"""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from job_item.errors import Fault
from job_item.execspec import Exec
from job_item.load import Loaded
from job_item.manager.address import is_exposed
from job_item.settings import Job
from job_item.template import TemplateError, TemplateFault, compile_command
from job_item.yamlfile import KeyPath, dotted, nearest

_SHELL_OF_EXECS = "sh"
_FILES_OF_A_JOB = 3
_FILES_BESIDES = 64
"""What the job child has open besides: the journal, the API and some of its connections."""


def check(loaded: Loaded) -> tuple[Fault, ...]:
    """Find all that would keep these settings from working here, in the order of their lines.

    The warnings of loading (`loaded.warnings`) are not repeated.
    """
    faults = [*_manager(loaded), *_api(loaded), *_work_dir(loaded), *_open_files(loaded), *_job_types(loaded)]
    for index, job in enumerate(loaded.settings.jobs):
        faults += _job(loaded, job, ("jobs", index))
    faults += loaded.cast_faults
    for index, entry in enumerate(loaded.settings.execs):
        faults += _exec(loaded, entry, ("execs", index))
    return tuple(sorted(faults, key=lambda fault: (fault.line or 0, fault.column or 0)))


def _manager(loaded: Loaded) -> Iterator[Fault]:
    """Warn of secrets that cross a network in the clear, and of jobs that the Job Manager does not know."""
    if is_exposed(loaded.settings.end_point):
        message = "the secret of the project is sent there in clear text"
        yield _fault(loaded, "ERR-MGR-006", message, ("end_point",), warning=True)
    for index, job in enumerate(loaded.settings.jobs if loaded.registered is not None else ()):
        if job.event not in (loaded.registered or ()):
            message = f"{job.event!r} is not registered at the Job Manager: no job comes for it yet"
            yield _fault(loaded, "ERR-MGR-007", message, ("jobs", index, "event"), warning=True)


def _api(loaded: Loaded) -> Iterator[Fault]:
    """The API may be open to other machines only with a token."""
    api = loaded.settings.api
    if not api.is_loopback and not (api.token and api.token.get_secret_value()):
        message = f"{api.host} is open to other machines, and there is no api.token"
        yield _fault(loaded, "ERR-CFG-018", message, ("api", "host"))


def _work_dir(loaded: Loaded) -> Iterator[Fault]:
    """Task files are written to the directory of jobs."""
    reason = _why_unusable(loaded.work_dir, os.R_OK | os.W_OK | os.X_OK)
    if reason:
        act = "Let the node's user write to" if loaded.work_dir.exists() else "Make"
        remedy = f"{act} {loaded.work_dir}, or set work_dir to a directory that the node's user may write to."
        yield _fault(loaded, "ERR-CFG-020", f"{loaded.work_dir} {reason}", ("work_dir",), remedy)


def _open_files(loaded: Loaded) -> Iterator[Fault]:
    """Warn where the job child cannot open as many files as its jobs need; it raises its own limit as far as it may."""
    wanted = _FILES_OF_A_JOB * loaded.settings.limits.concurrency + _FILES_BESIDES
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < wanted:
        jobs = loaded.settings.limits.concurrency
        message = f"a process may open {most} files here, and {jobs} jobs at once need about {wanted}"
        yield _fault(loaded, "ERR-CFG-026", message, ("limits", "concurrency"), warning=True)


def _job_types(loaded: Loaded) -> Iterator[Fault]:
    """Every type that is polled must be served: no job is taken that nobody here can do."""
    reefguide = loaded.settings.reefguide
    served = {job.event for job in loaded.settings.jobs}
    for job_type in reefguide.job_types if reefguide is not None else ():
        if job_type not in served:
            message = f"there is no job with the event {job_type}, and no handler of that type"
            yield _fault(loaded, "ERR-RFG-002", message, ("reefguide", "job_types"))


def _job(loaded: Loaded, job: Job, key: KeyPath) -> Iterator[Fault]:
    if job.event == "restart":
        yield _fault(loaded, "ERR-CFG-025", "'restart' is the name of a control message", (*key, "event"))
    # The task file is there too, so the directory must be writable.
    yield from _working_dir(loaded, job.working_dir, key, os.W_OK | os.X_OK)
    if job.cmd is not None:
        yield from _command(loaded, job, job.cmd, key)


def _command(loaded: Loaded, job: Job, cmd: str | tuple[str, ...], key: KeyPath) -> Iterator[Fault]:
    yield from _template(loaded, job, cmd, (*key, "cmd"))
    path = _search_path(loaded, job.env)
    if isinstance(cmd, str):
        yield from _shell(loaded, job.shell, path, (*key, "shell"))
    elif "{{" not in cmd[0]:
        yield from _program(loaded, job, cmd[0], path, (*key, "cmd"))


def _exec(loaded: Loaded, entry: Exec, key: KeyPath) -> Iterator[Fault]:
    yield from _working_dir(loaded, entry.working_dir, key, os.X_OK)
    yield from _shell(loaded, _SHELL_OF_EXECS, _search_path(loaded, entry.env), (*key, "cmd"))


def _working_dir(loaded: Loaded, working_dir: str | None, key: KeyPath, mode: int) -> Iterator[Fault]:
    reason = _why_unusable(Path(working_dir), mode) if working_dir else None
    if reason:
        yield _fault(loaded, "ERR-CFG-021", f"{working_dir} {reason}", (*key, "working_dir"))


def _why_unusable(folder: Path, mode: int) -> str | None:
    """What keeps this process from using a directory."""
    if not folder.exists():
        return "does not exist"
    if not folder.is_dir():
        return "is not a directory"
    return (
        None if os.access(folder, mode) else "cannot be used by this user" if not mode & os.W_OK else "is not writable"
    )


def _search_path(loaded: Loaded, env: dict[str, str]) -> str:
    """The PATH that a command gets: its own, else the node's, else that of `.env`."""
    return env.get("PATH") or os.environ.get("PATH") or loaded.dotenv.get("PATH") or os.defpath


def _shell(loaded: Loaded, shell: str, path: str, key: KeyPath) -> Iterator[Fault]:
    if shutil.which(shell, path=path) is None:
        yield _fault(loaded, "ERR-CFG-022", f"there is no shell '{shell}' that can be run", key)


def _program(loaded: Loaded, job: Job, program: str, path: str, key: KeyPath) -> Iterator[Fault]:
    """Warn where the first word of a list command is no program; it may still come before the first job does."""
    place = Path(job.working_dir or loaded.work_dir, program) if "/" in program else program
    if shutil.which(place, path=path) is None:
        yield _fault(loaded, "ERR-CFG-023", f"there is no program '{program}' that can be run", key, warning=True)


def _template(loaded: Loaded, job: Job, cmd: str | tuple[str, ...], key: KeyPath) -> Iterator[Fault]:
    """All that is wrong or doubtful in a command, at its place in the file."""
    try:
        template = compile_command(cmd, shell=job.shell, render=job.render)
    except TemplateError as error:
        for fault in error.faults:
            yield _in_command(loaded, job, fault, key, warning=False)
    else:
        for fault in template.warnings:
            yield _in_command(loaded, job, fault, key, warning=True)


def _in_command(loaded: Loaded, job: Job, fault: TemplateFault, key: KeyPath, *, warning: bool) -> Fault:
    """Turn a position within a command into a line of the file; the message keeps the position in the command."""
    place = nearest(loaded.places, key)
    within = fault.line - 1 if isinstance(job.cmd, str) else 0
    line = place.text_line + within if place else None
    return Fault(fault.code, fault.message, str(loaded.config_path), line, dotted(key), fault.remedy, warning)


def _fault(
    loaded: Loaded, code: str, message: str, key: KeyPath, remedy: str | None = None, *, warning: bool = False
) -> Fault:
    place = nearest(loaded.places, key)
    return Fault(code, message, str(loaded.config_path), place.line if place else None, dotted(key), remedy, warning)
