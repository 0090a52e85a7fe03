"""What hands are alike in, and what all attempts of one job spec have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from job_item.keeper.command import Command
from job_item.settings import Job


class Kind(NamedTuple):
    """A hand is born with these, so it serves the jobs of every spec that has the same."""

    directory: str
    env: tuple[tuple[str, str], ...]
    rlimits: tuple[tuple[int, int], ...]
    nice: int
    cgroup: str | None

    def command(self) -> Command:
        """What its keeper is told."""
        return Command(
            argv=("handler",),
            env=dict(self.env),
            cwd=self.directory,
            spool="",
            output_limit=0,
            rlimits=dict(self.rlimits),
            nice=self.nice,
            cgroup=self.cgroup,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What is the same for all attempts of one job spec, worked out once."""

    spec: Job
    base: Mapping[str, str]
    kind: Kind
    duty: str
    jobs_limit: int
    memory_limit: int
