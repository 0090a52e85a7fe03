"""The one register of error codes: what each means and what to do about it.

A code is never reused. `was` keeps the four codes that users of the Go worker grep for (architecture, section 8).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Code:
    """One entry of the register."""

    code: str
    meaning: str
    remedy: str
    was: str | None = None


_ENTRIES = (
    # CFG: settings
    Code("ERR-CFG-001", "The configuration file cannot be read.", "Check the path (option --config, CONFIG_PATH) and its permissions."),
    # SUP: the parent process
    Code("ERR-SUP-001", "A child process ended unexpectedly.", "The node replaces it; look at the lines before this one.", was="ERR-60350903200"),
    # LNK: the link between parent and child
    # BRK: brokers
    # SRC: sources
    # JOB: jobs as they come in
    Code("ERR-JOB-001", "No job is configured for this event.", "Use an event of `jobs` in the configuration file."),
    Code("ERR-JOB-002", "The request names another project.", "Use the project id of this node, or leave app_id out."),
    Code("ERR-JOB-003", "The task id is not acceptable.", "Use 1 to 128 letters, digits, `_` or `-`, the first a letter or digit."),
    Code("ERR-JOB-004", "The queue is full.", "Try again later, or raise limits.queue."),
    Code("ERR-JOB-005", "The node is stopping and takes no new jobs.", "Try again when it is back."),
    Code("ERR-JOB-006", "There is no such job on this node.", "Look at `job_item jobs`; ended jobs are kept as `keep` says."),
    Code("ERR-JOB-007", "The body of the request is not usable.", "Send a JSON document as the API documentation shows."),
    # RUN: running a job
    Code("ERR-RUN-001", "The job's command failed.", "Read its output with `job_item logs TASK_ID`.", was="ERR-303509T3200"),
    # REP: reports
    # STO: storage
    # EXE: background commands
    # API: the local HTTP API
    # HST: the host
    # UPD: updates
)

REGISTER: Mapping[str, Code] = MappingProxyType({entry.code: entry for entry in _ENTRIES})
"""All codes by their name."""
