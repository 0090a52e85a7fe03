"""When a connection to a broker is not trusted any more, though nobody has said that it is lost: a pure rule.

A client library may believe in a connection on which nothing comes in any more (reliability.md, section 3, number 3).
So an idle connection is probed now and then; and where the broker says that messages wait for us, slots are free and
still nothing is taken, the connection is made anew whatever a probe says.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

STUCK_S = 10.0
"""How long work may wait for a node with free slots before its subscriptions are made anew."""


class Verdict(Enum):
    """What to do with a connection."""

    TRUST = "trust"
    PROBE = "probe"
    REBUILD = "rebuild"


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known of one connection; moments are of one monotonic clock, in seconds."""

    now_s: float
    heard_s: float
    """When something last came in on it: a message, the answer to a probe, or its making."""
    taken_s: float
    """When a job was last taken from it, or its making."""
    waited_s: float = 0.0
    """For how many seconds the broker is known to have messages for us, none of which has come."""
    is_hungry: bool = False
    """Whether slots have been free all the time since a job was taken."""


def judge(progress: Progress, interval_s: float) -> Verdict:
    """Decide what to do with a connection; `interval_s` is how long it may be silent without being asked."""
    if progress.is_hungry and min(progress.waited_s, progress.now_s - progress.taken_s) >= STUCK_S:
        return Verdict.REBUILD
    if progress.now_s - progress.heard_s >= interval_s:
        return Verdict.PROBE
    return Verdict.TRUST
