"""What a trigger and a control message say: pure decoding (protocol job-item.md, sections 3.2 and 9.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

from job_item import payload
from job_item.errors import BadMessage
from job_item.job import is_task_id

LIMIT_BYTES = 8 << 20
"""A larger trigger is not even looked into."""

Action = Literal["timeout", "terminate"]


@dataclass(frozen=True, slots=True)
class Trigger:
    """A job that is asked for; `body` is the canonical JSON of its data."""

    task_id: str
    body: bytes


class Refused(BadMessage):
    """A message that cannot be used. `task_id` is whom to answer; None where that is not safe to tell."""

    def __init__(self, code: str, message: str, task_id: str | None = None) -> None:
        super().__init__(code, message)
        self.task_id = task_id


def read_trigger(raw: bytes) -> Trigger:
    """Read a trigger. `action` is ignored, as in the original; `data` that is absent or null is `{}`.

    Raises `Refused`.
    """
    members = _members(raw)
    task_id = members.get("task_id")
    if not isinstance(task_id, str) or not is_task_id(task_id):
        raise Refused("ERR-JOB-003", "The trigger has no task id that may be used.")
    try:
        return Trigger(task_id, payload.encode(payload.adopt(members.get("data"))))
    except BadMessage as error:
        raise Refused(error.code, error.message, task_id) from None


def read_control(raw: bytes, task_id: str) -> Action | None:
    """Read what is asked for on the control subject of `task_id`; None where nothing is that we know.

    The message has to name that task, or none (section 9.1, L14). Raises `Refused`.
    """
    members = _members(raw)
    if members.get("task_id") not in (None, "", task_id):
        raise Refused("ERR-SRC-002", "The control message names another task than its subject.")
    action = members.get("action")
    return cast(Action, action) if action in ("timeout", "terminate") else None


def write_trigger(task_id: str, body: bytes) -> bytes:
    """Ask for a job; `body` is the canonical JSON of its data."""
    return b'{"data":' + body + b',"task_id":"' + task_id.encode() + b'"}'


def write_control(task_id: str, action: Action) -> bytes:
    """Ask for the end of a task."""
    return f'{{"action":"{action}","data":null,"task_id":"{task_id}"}}'.encode()


def _members(raw: bytes) -> dict[str, Any]:
    """The members of a message by their names in lower case, as Go reads them; the last of several counts."""
    if len(raw) > LIMIT_BYTES:
        raise Refused("ERR-SRC-001", f"The message has {len(raw)} bytes; {LIMIT_BYTES} are the most.")
    try:
        value = payload.decode(raw)
    except BadMessage as error:
        raise Refused("ERR-SRC-001", f"The message is not usable JSON: {error.message}") from None
    if not isinstance(value, dict):
        raise Refused("ERR-SRC-001", "The message is no JSON object.")
    return {name.lower(): member for name, member in value.items()}
