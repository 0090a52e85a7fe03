"""When a node takes up what its Job Manager offers: pure.

Each offer is looked at once with the same settings; what may pass (nobody answers, another update goes on) is tried
again later.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from job_item.manager.offer import Offer
from job_item.policy import Backoff

PAUSES = Backoff(base_s=60.0, factor=2.0, cap_s=3600.0, jitter=0.5)
"""The pauses between tries at what may pass."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an offer: it is staged, or `reason` and `code` say why it is not.

    `will_pass`: the same may go well another time.
    """

    version: str = ""
    code: str = ""
    reason: str = ""
    will_pass: bool = False

    @property
    def is_staged(self) -> bool:
        """Whether the node has to make room for it."""
        return not self.code


@dataclass(frozen=True, slots=True)
class Uptake:
    """`due_s` is when the offer is to be looked at (monotonic clock), None where there is nothing to do."""

    offer: Offer | None = None
    digest: str = ""
    due_s: float | None = None
    failures: int = 0

    def see(self, offer: Offer | None, digest: str, now_s: float) -> Uptake:
        """This is offered now to a node with these settings (their digest); None: nothing that it may take."""
        if offer is None or not offer.link:
            return Uptake()
        return self if (offer, digest) == (self.offer, self.digest) else Uptake(offer, digest, now_s)

    def begin(self) -> Uptake:
        """It is being looked at."""
        return replace(self, due_s=None)

    def hear(self, taken: Taken, now_s: float, draw: float) -> Uptake:
        """What came of it; `draw` is a random number in [0, 1)."""
        if not taken.will_pass or self.offer is None:
            return replace(self, due_s=None)
        failures = self.failures + 1
        return replace(self, due_s=now_s + PAUSES.delay_s(failures, draw), failures=failures)
