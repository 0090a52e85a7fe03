"""What the Job Manager has given to this node: its answer, and the certificates that belong to it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from job_item.manager.answer import Answer
from job_item.manager.state import ManagerState

ORIGIN = "Job Manager"
"""How the origin of all values begins that it has given."""


@dataclass(frozen=True, slots=True)
class Supply:
    """An answer that settings can be made with.

    `bundle` is the folder with the certificates that were fetched for it. `is_new` says that it has come just now and
    is not kept yet. Where the Job Manager was asked and gave nothing newer, `code` and `failure` say why.
    """

    url: str
    answer: Answer
    answered_at: float
    bundle: Path | None = None
    is_new: bool = False
    code: str = ""
    failure: str = ""
    has_been_asked: bool = True

    @property
    def origin(self) -> str:
        """What `config show` says of a value that comes from it."""
        return f"{ORIGIN}, {moment(self.answered_at)}"

    def state(self) -> ManagerState:
        """What others are shown of it."""
        events = tuple(sorted(self.answer.events))
        offer = self.answer.offer
        return ManagerState(self.url, self.answered_at, events, self.code, self.failure, self.has_been_asked, offer)


def moment(at: float) -> str:
    """Seconds since the epoch as people read them, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
