"""How many jobs of an event are sent to a hand at once: pure.

A job that waits in a hand behind another counts as running though it does not, so only jobs that take next to no time
are sent ahead. What was foreseen wrongly is taken back (`worker.batch`).
"""

from __future__ import annotations

from job_item.settings import Job

TARGET_S = 0.005
"""What a batch may take, as far as one can tell."""
LIMIT = 64
_WEIGHT = 0.2
"""Of the newest job in the mean."""
SHORTEST_TIMEOUT_S = 1.0
"""A job with a shorter timeout is always alone: its time must not pass while another runs."""


class Pace:
    """How long the handlers of each event take lately."""

    def __init__(self) -> None:
        self._means_s: dict[str, float] = {}

    def learn(self, event: str, run_s: float) -> None:
        """A handler has taken so long."""
        before_s = self._means_s.get(event, run_s)
        self._means_s[event] = max(run_s, before_s) if run_s > TARGET_S else before_s + _WEIGHT * (run_s - before_s)

    def ahead(self, spec: Job) -> int:
        """How many jobs may be sent together with one of this spec; none while nothing is known of it."""
        mean_s = self._means_s.get(spec.event)
        if spec.handler is None or mean_s is None or spec.on_lost == "error" or "lost" not in spec.retries.on:
            return 0  # a job that must not run twice is not to be lost while it waits
        if spec.timeout is not None and spec.timeout < SHORTEST_TIMEOUT_S:
            return 0
        return max(0, min(LIMIT, int(TARGET_S / max(mean_s, 1e-6))) - 1)
