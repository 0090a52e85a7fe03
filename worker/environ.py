"""The environment of a job: a clean base and what belongs to it, never the node's own secrets.

Protocol job-item.md, section 4.4 (the seven variables) and section 9.3, S2 (nothing else of the node's).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from job_item import environ

NAME_LIMIT = 255
VALUE_LIMIT_BYTES = 32 * 1024
TOTAL_LIMIT_BYTES = 256 * 1024
"""Of all data variables together, so that room is left for the command and the rest of its environment."""
OVERHEAD_BYTES = 10
"""What a variable costs the kernel besides its name and value: `=`, the end, a pointer (execve(2), ARG_MAX)."""
_NOT_A_NAME = re.compile(r"[^A-Z0-9]")


@dataclass(frozen=True, slots=True)
class Owner:
    """Where job scripts find the Job Manager and this node: the same for all jobs of a node."""

    end_point: str
    project_id: str
    project_key: str
    base_url: str
    """Of the local API, with its token where it needs one."""
    share: Mapping[str, str]
    """Where share data are added and got (`job_item.environ.share_variables`)."""


def node_variables(owner: Owner) -> dict[str, str]:
    """What all jobs of this node are told alike (protocol 4.4 and 6.2)."""
    return {
        "JOB_MANAGER_HOST": owner.end_point,
        "JOB_ITEM_PROJECT_ID": owner.project_id,
        "JOB_ITEM_PROJECT_KEY": owner.project_key,
        "JOB_ITEM_BASE_URL": owner.base_url,
        **owner.share,
    }


def job_variables(owner: Owner, task_id: str, attempt: int, fence: int) -> dict[str, str]:
    """What one job is told: the rest of the seven variables of protocol 4.4, and which attempt this is."""
    return environ.job_variables(owner.end_point, owner.base_url, task_id, attempt, fence)


def data_variables(data: dict[str, Any] | list[Any]) -> dict[str, str]:
    """The members of `data` as `JOB_ITEM_DATA_<NAME>`.

    Strings as they are, all else as JSON. What cannot be passed (too long, NUL, two members with one name) is left out
    and named in `JOB_ITEM_DATA_OMITTED`; the task file has everything.
    """
    if not data or not isinstance(data, dict):
        return {}
    names = {member: "JOB_ITEM_DATA_" + _NOT_A_NAME.sub("_", member.upper()) for member in data}
    taken = Counter(names.values())
    variables: dict[str, str] = {}
    omitted, total_bytes = [], 0
    for member, name in names.items():
        text = data[member] if isinstance(data[member], str) else json.dumps(data[member], ensure_ascii=False)
        size_bytes = len(name) + len(text.encode("utf-8", "surrogatepass")) + OVERHEAD_BYTES
        clear = taken[name] == 1 and name != "JOB_ITEM_DATA_OMITTED" and "\0" not in text and _is_text(text)
        if clear and _fits(name, size_bytes) and total_bytes + size_bytes <= TOTAL_LIMIT_BYTES:
            variables[name] = text
            total_bytes += size_bytes
        else:
            omitted.append(member)
    if omitted:
        variables["JOB_ITEM_DATA_OMITTED"] = _listing(omitted)
    return variables


def _fits(name: str, size_bytes: int) -> bool:
    return len(name) <= NAME_LIMIT and size_bytes <= VALUE_LIMIT_BYTES


def _listing(members: list[str]) -> str:
    """Names as a JSON list; `...` at its end stands for those that it has no room for."""
    named, room = [], VALUE_LIMIT_BYTES
    for member in members:
        size = len(json.dumps(member)) + 2
        if size <= room:
            named.append(member)
            room -= size
    return json.dumps(named if len(named) == len(members) else [*named, "..."])


def _is_text(text: str) -> bool:
    """Whether the text has a UTF-8 form (a lone surrogate has none)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
