"""When files that somebody writes have come to rest: pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

QUIET_S = 0.03
"""For so long nothing may have changed: an editor writes several files and renames them."""
PATIENCE_S = 1.0
"""After this time the files are read whatever their writer is at."""


@dataclass(frozen=True, slots=True)
class Unrest:
    """Files have changed: at `since_s` for the first time, at `last_s` for the last.

    `is_unfinished`: a writer has not closed its file, or the file is missing or empty for the moment.
    """

    since_s: float
    last_s: float
    is_unfinished: bool

    @property
    def end_s(self) -> float:
        """When to read the files unless something happens before."""
        patience_end_s = self.since_s + PATIENCE_S
        return patience_end_s if self.is_unfinished else min(self.last_s + QUIET_S, patience_end_s)


def step(unrest: Unrest | None, *, has_news: bool, is_unfinished: bool, now_s: float) -> Unrest | None:
    """What a look at the files makes of the unrest so far."""
    if has_news:
        return Unrest(unrest.since_s if unrest else now_s, now_s, is_unfinished)
    return replace(unrest, is_unfinished=is_unfinished) if unrest else None
