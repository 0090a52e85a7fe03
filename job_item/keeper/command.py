"""What a room asks of a keeper, and what it gets back."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import dataclass, field
from typing import Any, Literal

from job_item.job import Usage

_MAY_PASS = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOBUFS})

End = Literal["exit", "timeout", "terminate", "lost", "failed"]


@dataclass(frozen=True, slots=True)
class Command:
    """One command. Times are seconds, sizes bytes; `rlimits` maps the numbers of the `resource` module to values."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    spool: str
    """The file for its output; the folder is made when there is output. Empty: the output is not kept."""
    output_limit: int
    older: int | None = None
    """How many older files are kept when one is full (`RollingSpool`); None: there is one file and no more."""
    task_file: str | None = None
    task_body: bytes = b""
    replace: bool = False
    """Whether a task file that an earlier attempt left there may go."""
    timeout_s: float | None = None
    grace_s: float = 5.0
    stop_signal: int = int(signal.SIGTERM)
    rlimits: dict[int, int] = field(default_factory=dict)
    nice: int = 0
    cgroup: str | None = None
    announce: bool = False
    """Whether the room wants to know the pid."""

    def as_message(self) -> dict[str, Any]:
        """The command as it goes to the keeper."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a command.

    `end` says who ended it: itself (`exit`), its time-out, a request (`terminate`), the death of its keeper (`lost`),
    or it never started (`failed`: then `errno`, `text` and `step` say why). The steps are `fork` (there is no keeper),
    `stage` (the task file), `directory`, `cgroup`, `nice`, `limit` and `start`; `text` is the path or value that was
    meant. A keeper that had to be killed leaves no count of anything.
    """

    end: End
    exit_code: int | None = None
    signal: int | None = None
    usage: Usage = Usage()
    log_bytes: int = 0
    survivors: int = 0
    """Processes that could not be killed: they changed their user or hang in the kernel."""
    errno: int = 0
    text: str = ""
    step: str = ""
    refused_bytes: int = 0
    """Output that the disk did not take."""

    @property
    def may_pass(self) -> bool:
        """Whether it failed for want of something that may be free again in a moment."""
        return self.end == "failed" and self.errno in _MAY_PASS

    @property
    def reason(self) -> str:
        """Why it failed, as words of the system."""
        return ": ".join(part for part in (self.text, os.strerror(self.errno)) if part)

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Ended:
        """Read a keeper's answer."""
        if message["end"] == "failed":
            # A path may hold bytes that are no UTF-8, and a text halves of characters: neither can be stored.
            text = message["text"].encode("utf-8", "backslashreplace").decode()
            return cls("failed", errno=message["errno"], text=text, step=message["step"])
        usage = Usage(
            cpu_s=round(message["cpu_s"], 6),
            max_rss_bytes=message["max_rss_bytes"],
            stdout_bytes=message["stdout_bytes"],
            stderr_bytes=message["stderr_bytes"],
            dropped_bytes=message["dropped_bytes"],
            processes=tuple(message["processes"]),
        )
        return cls(
            message["end"],
            message["exit_code"],
            message["signal"],
            usage,
            message["log_bytes"],
            message["survivors"],
            refused_bytes=message["refused_bytes"],
        )
