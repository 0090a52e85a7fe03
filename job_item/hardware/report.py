"""What goes to the Job Manager about this machine: the wrapper that three of the four reports share (protocol 8.2)."""

from __future__ import annotations

from typing import Any

PERIOD = "one_minute"
"""What `time_duration` always says."""


def wrap(data: Any, host_id: str, project: str) -> dict[str, Any]:
    """Put `data` into the wrapper of the reports on processors, memory and network; `project` is the project's UUID."""
    return {"host_id": host_id, "data": data, "time_duration": PERIOD, "project_data_uuid": project}
