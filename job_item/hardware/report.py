"""What goes to the Job Manager about this machine, as the members of its reports (protocol job-item.md, section 8).

Disk usage and traffic are no part of that protocol: they go to subjects of their own, in the same wrapper, with the
member names of gopsutil, which the other reports have too.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from job_item.hardware.disk import Usage, disk_usage
from job_item.hardware.network import traffic
from job_item.hardware.query import ROOT, Unknown

PERIOD = "one_minute"
"""What `time_duration` always says."""


def wrap(data: Any, host_id: str, project: str) -> dict[str, Any]:
    """Put `data` into the wrapper of all reports but that of the host; `project` is the project's UUID."""
    return {"host_id": host_id, "data": data, "time_duration": PERIOD, "project_data_uuid": project}


def disks(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """How full the file systems of these folders are, each once. A dead network mount may hold the caller up.

    A folder that is not there is left out. Raises `Unknown` where none of them tells.
    """
    found: dict[tuple[int, int, int], dict[str, Any]] = {}
    failure: Unknown | None = None
    for folder in folders:
        try:
            usage, device = disk_usage(folder), folder.stat().st_dev
        except Unknown as error:
            failure = error
        except OSError:
            continue
        else:
            found.setdefault((device, usage.total_bytes, usage.total_inodes), _disk(folder, usage))
    if not found and failure is not None:
        raise failure
    return list(found.values())


def counters(root: Path = ROOT) -> list[dict[str, Any]]:
    """What went through each interface since it is there, by name. Raises `Unknown`."""
    return [
        {
            "name": name,
            "bytesSent": seen.sent_bytes,
            "bytesRecv": seen.received_bytes,
            "errin": seen.received_errors,
            "errout": seen.sent_errors,
        }
        for name, seen in sorted(traffic(root).items())
    ]


def _disk(folder: Path, usage: Usage) -> dict[str, Any]:
    used, inodes = usage.total_bytes - usage.free_bytes, usage.total_inodes - usage.free_inodes
    return {
        "path": str(folder),
        "total": usage.total_bytes,
        "free": usage.free_bytes,
        "used": used,
        "usedPercent": _percent(used, usage.total_bytes),
        "inodesTotal": usage.total_inodes,
        "inodesUsed": inodes,
        "inodesFree": usage.free_inodes,
        "inodesUsedPercent": _percent(inodes, usage.total_inodes),
    }


def _percent(part: int, whole: int) -> float:
    return part / whole * 100.0 if whole else 0.0
