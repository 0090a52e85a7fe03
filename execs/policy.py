"""What follows the end of a background command: a pure rule.

`attempt` is how many tries in a row an exec gets until it is given up; a run that was stable ends the row. This differs
from the Go worker on purpose (protocol job-item.md, sections 5.3 and 9.4, O10): there the count never starts anew, and
an exec that is given up stops the whole node even without `cascade_exit`. With it the node stops once the exec is down
for good: after a clean end at once, after failures only when all tries are used up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from job_item.policy import Backoff

STABLE_S = 10.0
"""A run that lasted this long was a success: the count of tries starts anew."""
DEFAULT_TRIES = 3
PAUSES = Backoff(base_s=1.0, factor=2.0, cap_s=60.0, jitter=0.2)


@dataclass(frozen=True, slots=True)
class Retry:
    """Start it again after a pause."""

    after_s: float


@dataclass(frozen=True, slots=True)
class Rest:
    """It is down for good: `stopped` after a clean end, `failed` when its tries are used up."""

    state: Literal["stopped", "failed"]


def tries_of(attempt: int) -> int:
    """How many tries the setting `attempt` means (protocol 2.1: 0 and less mean 3)."""
    return attempt if attempt > 0 else DEFAULT_TRIES


def count_failures(failures: int, ran_s: float) -> int:
    """The length of the row of failures, with a run of `ran_s` seconds that has just failed."""
    return 1 if ran_s >= STABLE_S else failures + 1


def decide(exit_code: int | None, failures: int, tries: int, draw: float) -> Retry | Rest:
    """What to do after an end with `exit_code` (None: a signal, or it could not be started).

    `failures` is the length of the row with this end in it, `draw` a random number in [0, 1).
    """
    if exit_code == 0:
        return Rest("stopped")
    if failures >= tries:
        return Rest("failed")
    return Retry(PAUSES.delay_s(failures, draw))
