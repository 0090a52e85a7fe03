"""What the environment of a job says to its script: who it is and where to send what (protocol 1.5 and 4.4)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from job_item.errors import NodeError

_EXAMPLES = {
    "JOB_ITEM_TASK_ID": "0190a5f2-7c3e-7000-8000-000000000001",
    "JOB_ITEM_MSG_NOTIF_HOST": "http://127.0.0.1:8080/msg/notif",
    "JOB_ITEM_PROJECT_KEY": "the-key-of-the-project",
    "JOB_MANAGER_UPLOAD_FILE": "https://manager.example/api/worker/job_record/file/TASK_ID",
    "JOB_MANAGER_RESULT_URL": "https://manager.example/api/worker/job_record/result/TASK_ID",
}


def task_id(environ: Mapping[str, str]) -> str:
    """The id of the task that this script works on. Raises `NodeError` (ERR-REP-001)."""
    return _need(environ, "JOB_ITEM_TASK_ID")


def is_in_job(environ: Mapping[str, str]) -> bool:
    """Whether a node, or somebody by hand, has said where notifications go."""
    return bool(environ.get("JOB_ITEM_TASK_ID") and environ.get("JOB_ITEM_MSG_NOTIF_HOST"))


def notification_url(environ: Mapping[str, str]) -> str:
    """Where notifications of this task go: JOB_ITEM_MSG_NOTIF_HOST, which may be the whole address or its beginning.

    The task id is appended where it is not the last segment of the path already. Raises `NodeError` (ERR-REP-001 not
    set, ERR-REP-002 no address).
    """
    task = task_id(environ)
    parts = urlsplit(_address(environ, "JOB_ITEM_MSG_NOTIF_HOST"))
    path = parts.path.rstrip("/")
    if path.rpartition("/")[2] != task:
        path = f"{path}/{task}"
    return urlunsplit(parts._replace(path=path))


def upload_url(environ: Mapping[str, str]) -> str:
    """Where files of this task go. Raises `NodeError` (ERR-REP-001, ERR-REP-002)."""
    return _address(environ, "JOB_MANAGER_UPLOAD_FILE")


def result_url(environ: Mapping[str, str]) -> str:
    """Where the result of this task goes. Raises `NodeError` (ERR-REP-001, ERR-REP-002)."""
    return _address(environ, "JOB_MANAGER_RESULT_URL")


def project_key(environ: Mapping[str, str]) -> str:
    """What shows the Job Manager whose task it is. Raises `NodeError` (ERR-REP-001)."""
    return _need(environ, "JOB_ITEM_PROJECT_KEY")


def shared_url(environ: Mapping[str, str], key: str) -> str | None:
    """Where the node keeps what was shared under `key` for this task; None where it says nothing of it."""
    pattern, task = environ.get("JOB_ITEM_SHARE_DATA_GET", ""), environ.get("JOB_ITEM_TASK_ID", "")
    return pattern.replace(":task_id", task).replace(":key", key) if pattern and task else None


def _need(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise NodeError(
            "ERR-REP-001",
            f"The variable {name} is not set.",
            f"A node sets it for its jobs; elsewhere: export {name}='{_EXAMPLES[name]}'",
        )
    return value


def _address(environ: Mapping[str, str], name: str) -> str:
    url = _need(environ, name)
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_whole = False
    if is_whole:
        return url
    if url.startswith("/") and name.startswith("JOB_MANAGER_"):
        raise NodeError(
            "ERR-REP-002",
            f"There is no Job Manager to send to: {name} is only the path {url}.",
            "Set end_point in the node's settings; without it a node has no Job Manager.",
        )
    raise NodeError("ERR-REP-002", f"The variable {name} holds no http or https address: {url!r}.")
