"""What is in force in the job child: one value, replaced as a whole, and the place where it is looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from job_item.environ import base_environment
from job_item.link import ChildStart
from job_item.manager.answer import Registration
from job_item.manager.offer import Offer, offer_of
from job_item.settings import Job, Settings
from worker.recovery import Rules

BACKSTOP_S = 30.0
"""So much later than the Job Manager a job is ended here: its own message is to come first."""


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
    def announced(self) -> Mapping[str, Job]:
        """The specs whose jobs come over the broker: with a Job Manager those that it knows (protocol, section 3.6)."""
        known = self.start.registered
        return self.specs if known is None else {event: spec for event, spec in self.specs.items() if event in known}

    @property
    def settings(self) -> Settings:
        """What the configuration says."""
        return self.start.settings

    @property
    def offer(self) -> Offer | None:
        """The newer worker that the Job Manager would have, if it said so."""
        settings = self.settings
        return offer_of(settings.job_item_version_number or 0, settings.job_item_version, settings.job_item_link)

    @classmethod
    def of(cls, start: ChildStart, environ: Mapping[str, str], before: Standing | None = None) -> Standing:
        """What `start` puts into force in a process with this environment, in place of `before`."""
        specs = {spec.event: bounded(spec, start.registered) for spec in start.settings.jobs}
        base: Mapping[str, str] = base_environment(environ, start.dotenv, start.settings.pass_env)
        if before is not None:
            known = before.specs
            specs = {event: known[event] if known.get(event) == spec else spec for event, spec in specs.items()}
            base = before.base if before.base == base else base
        return cls(start, specs, base)

    def rules(self) -> dict[str, Rules]:
        """What becomes of lost attempts, by event."""
        return {event: Rules.of(spec) for event, spec in self.specs.items()}


def bounded(spec: Job, registered: Mapping[str, Registration] | None) -> Job:
    """A spec with the Job Manager's bounds as a back-stop: it counts and times itself, and we must not be earlier.

    Protocol job-item.md, section 9.1, L10.
    """
    bounds = (registered or {}).get(spec.event)
    if bounds is None:
        return spec
    more: dict[str, float] = {}
    if bounds.limit and (spec.concurrency is None or bounds.limit < spec.concurrency):
        more["concurrency"] = bounds.limit
    late_s = bounds.timeout_s + BACKSTOP_S
    if bounds.timeout_s and (spec.timeout is None or late_s < spec.timeout):
        more["timeout"] = late_s
    return spec.model_copy(update=more) if more else spec


class Board:
    """Where what is in force is posted. Its readers look here each time, so none of them can lag behind the others."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
