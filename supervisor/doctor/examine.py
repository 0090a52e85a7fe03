"""All checks, side by side and within a bound: one that hangs holds no other up."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from job_item.check import check
from job_item.errors import SettingsError
from job_item.folders import default_state_dir
from job_item.manager.supplier import Source, load_kept
from supervisor.doctor import clock, configured, processes, running, storage
from supervisor.doctor.line import Case, Check, Line, fail

LIMIT_S = 15.0
"""How long all of it may take."""

CHECKS: Sequence[Check] = (
    processes.keepers,
    processes.process_descriptors,
    processes.cgroup,
    processes.processes,
    processes.open_files,
    storage.state_folder,
    storage.durability,
    storage.task_files,
    storage.space,
    clock.system_clock,
    clock.steady_clock,
    clock.watches,
    configured.user,
    configured.settings,
    configured.shells,
    configured.secrets,
    configured.port,
    configured.connectivity,
    configured.job_api,
    running.node,
)


def case_of(config: Path | None, environ: Mapping[str, str]) -> Case:
    """Find out which node is meant; settings that cannot be used are a part of the findings."""
    try:
        loaded = load_kept(Source(config, environ))
    except SettingsError as error:
        path = Path(config or environ.get("CONFIG_PATH") or "config.yaml").absolute()
        return Case(path, default_state_dir(path, environ)[0], path.parent, None, error.faults, environ)
    faults = (*loaded.warnings, *check(loaded))
    return Case(loaded.config_path, loaded.state_dir, loaded.work_dir, loaded, faults, environ)


def examine(case: Case, checks: Sequence[Check] = CHECKS, limit_s: float = LIMIT_S) -> list[Line]:
    """Do all checks; the lines come in the order of the checks."""
    found: list[list[Line] | None] = [None] * len(checks)

    def do(place: int) -> None:
        try:
            found[place] = list(checks[place](case))
        except Exception as error:
            found[place] = [_broken(checks[place], f"{type(error).__name__}: {error}")]

    threads = [threading.Thread(target=do, args=(place,), daemon=True) for place in range(len(checks))]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + limit_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = f"no answer within {limit_s:g} s"
    return [
        line
        for check, lines in zip(checks, tuple(found), strict=True)
        for line in (lines if lines is not None else [_broken(check, late)])
    ]


def is_well(lines: Sequence[Line]) -> bool:
    """Whether the node can do its work here; warnings are no hindrance."""
    return not any(line.verdict == "fail" for line in lines)


def _broken(check: Check, reason: str) -> Line:
    name = getattr(check, "__name__", "check").replace("_", " ")
    return fail(name, "ERR-HST-100", f"This could not be looked at: {reason}.")
