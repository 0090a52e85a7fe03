"""What is in force in the job child: one value, replaced as a whole, and the place where it is looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from job_item.environ import base_environment
from job_item.link import ChildStart
from job_item.settings import Job, Settings
from worker.recovery import Rules


@dataclass(frozen=True, slots=True)
class Standing:
    """The settings in force and what follows from them for all jobs.

    A job spec that a reload did not change stays the very same object, and so does an unchanged `base`: who has worked
    something out for one sees by `is` whether it still holds.
    """

    start: ChildStart
    specs: Mapping[str, Job]
    """By event."""
    base: Mapping[str, str]
    """The environment that every job begins with."""

    @property
    def settings(self) -> Settings:
        """What the configuration says."""
        return self.start.settings

    @classmethod
    def of(cls, start: ChildStart, environ: Mapping[str, str], before: Standing | None = None) -> Standing:
        """What `start` puts into force in a process with this environment, in place of `before`."""
        specs = {spec.event: spec for spec in start.settings.jobs}
        base: Mapping[str, str] = base_environment(environ, start.dotenv, start.settings.pass_env)
        if before is not None:
            known = before.specs
            specs = {event: known[event] if known.get(event) == spec else spec for event, spec in specs.items()}
            base = before.base if before.base == base else base
        return cls(start, specs, base)

    def rules(self) -> dict[str, Rules]:
        """What becomes of lost attempts, by event."""
        return {event: Rules.of(spec) for event, spec in self.specs.items()}


class Board:
    """Where what is in force is posted. Its readers look here each time, so none of them can lag behind the others."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
