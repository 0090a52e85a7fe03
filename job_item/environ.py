"""What jobs and execs see of the node's own environment: a clean base, never its secrets (protocol 9.3, S2)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from fnmatch import fnmatchcase

BASE = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "XDG_RUNTIME_DIR")
"""What every job gets of the node's environment (globs); `pass_env` adds to it."""


SHARE_PATH = "/msg/share/data"


def share_variables(base_url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Where a job or an exec adds and gets share data (protocol job-item.md, sections 1.5 and 6.2).

    `:task_id` and `:key` stand in the URLs for whoever uses them to fill in. `JOB_ITEM_SHARE_DATA_BASE` of the node's
    environment is the path in the URLs where something before the node changes it; the node's own routes stay.
    """
    host = base_url + (environ.get("JOB_ITEM_SHARE_DATA_BASE") or SHARE_PATH)
    return {
        "JOB_ITEM_SHARE_DATA_HOST": host,
        "JOB_ITEM_SHARE_DATA_ADD": f"{host}/:task_id",
        "JOB_ITEM_SHARE_DATA_GET": f"{host}/:task_id/:key",
    }


def job_variables(end_point: str, base_url: str, task_id: str, attempt: int, fence: int) -> dict[str, str]:
    """What one job is told: of the seven variables of protocol job-item.md, 4.4, those that are its own, and which
    attempt this is.
    """
    records = f"{end_point}/api/worker/job_record"
    return {
        "JOB_MANAGER_RESULT_URL": f"{records}/result/{task_id}",
        "JOB_MANAGER_UPLOAD_FILE": f"{records}/file/{task_id}",
        "JOB_ITEM_TASK_ID": task_id,
        "JOB_ITEM_MSG_NOTIF_HOST": f"{base_url}/msg/notif/{task_id}",
        "JOB_ITEM_ATTEMPT": str(attempt),
        "JOB_ITEM_FENCE": str(fence),
    }


def base_environment(
    environ: Mapping[str, str], dotenv: Mapping[str, str], pass_env: tuple[str, ...]
) -> dict[str, str]:
    """Choose what of the node's own environment jobs and execs see; it wins over `.env`, as in protocol 2.3.

    The folder of the node's own programs ends PATH, so that scripts find `job_item save` however the node started.
    """
    patterns = (*BASE, *pass_env)
    passed = {name: value for name, value in environ.items() if any(fnmatchcase(name, glob) for glob in patterns)}
    chosen = {"PATH": "/usr/local/bin:/usr/bin:/bin", **dotenv, **passed}
    return {**chosen, "PATH": _with_own_programs(chosen["PATH"])}


def _with_own_programs(path: str) -> str:
    """PATH with the folder of this node's programs at its end: what is elsewhere by the same name wins."""
    own = os.path.dirname(sys.executable)  # noqa: PTH120 - as text: a symbolic link stays one
    return path if not own or own in path.split(os.pathsep) else os.pathsep.join(filter(None, (path, own)))
