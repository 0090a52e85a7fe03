"""What is known of the Job Manager in a running node; plain values, also for the parent."""

from __future__ import annotations

from dataclasses import dataclass

from job_item.manager.offer import Offer


@dataclass(frozen=True, slots=True)
class ManagerState:
    """How the node stands with its Job Manager.

    `answered_at` is when it gave the answer that is in force, in seconds since the epoch. `code` and `failure` say why
    there is no newer one; they are empty while it answers. `events` are those that it has registered.
    `offer` is a newer worker that it would have, None where this one will do.
    """

    url: str
    answered_at: float
    events: tuple[str, ...] = ()
    code: str = ""
    failure: str = ""
    has_been_asked: bool = True
    """Whether this is news: False where its last answer was good enough to read other settings with."""
    offer: Offer | None = None

    @property
    def is_away(self) -> bool:
        """Whether the last question was not answered as it should."""
        return bool(self.failure)
