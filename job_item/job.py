"""A job as every room speaks of it: its id, its status words, the record of what became of it."""

from __future__ import annotations

import os
import re
import time
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

TASK_ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
"""The only task ids that are taken (protocol job-item.md, section 9.2, R2): they become file names and subjects."""


class Status(StrEnum):
    """State of one job; the four after RUNNING are words that go over the wire (protocol job-item.md, section 3.1)."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISH = "finish"
    ERROR = "error"
    TIMEOUT = "timeout"
    TERMINATE = "terminate"
    LEFT = "left"
    """This node gave the job up, or lost it, before its end: its broker gives it to another node, or to this one."""

    @property
    def is_final(self) -> bool:
        """Whether no further attempt of the job will follow by itself here."""
        return self not in (Status.QUEUED, Status.RUNNING)


def is_task_id(text: str) -> bool:
    """Tell whether `text` may name a task."""
    return TASK_ID_PATTERN.fullmatch(text) is not None


def new_task_id() -> str:
    """Make a UUID version 7 (RFC 9562, section 5.7): sorted by the time of its making, in milliseconds."""
    moment_ms = time.time_ns() // 1_000_000
    tail = int.from_bytes(os.urandom(10), "big")
    value = (moment_ms & (1 << 48) - 1) << 80 | tail
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    return str(uuid.UUID(int=value))


class Usage(NamedTuple):
    """What one attempt used and how its processes ended, as its keeper counted it."""

    cpu_s: float = 0.0
    max_rss_bytes: int = 0
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    dropped_bytes: int = 0
    processes: tuple[str, ...] = ()
    """A line for each process that the keeper reaped, `pid name: exit 0` or `pid name: signal 9` (the first 64)."""


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One run of a job."""

    attempt: int
    fence: int
    incarnation: str
    started_at: float
    finished_at: float | None = None
    status: Status | None = None
    exit_code: int | None = None
    signal: int | None = None
    error_code: str | None = None
    error: str | None = None
    usage: Usage = field(default_factory=Usage)
    output: Any = None
    """What a handler returned, as plain JSON values."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as the journal has it. Moments are seconds since the epoch (wall clock), for people to read only."""

    task_id: str
    event: str
    status: Status
    attempt: int
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    exit_code: int | None = None
    error_code: str | None = None
    error: str | None = None
    attempts: tuple[AttemptRecord, ...] = ()
    is_dead: bool = False
    """Whether it is among the dead letters: it was tried as often as it may be."""
