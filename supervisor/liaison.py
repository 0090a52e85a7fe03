"""When the Job Manager is asked again whether anything is new, and what is said of it: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from job_item.manager.offer import Offer
from job_item.manager.state import ManagerState
from job_item.policy import Backoff
from supervisor.plan import Plan

JITTER = 0.1
"""The share of a pause that chance takes away, so that the nodes of a project do not ask in step."""
RETRY = Backoff(base_s=2.0, factor=2.0, cap_s=300.0, jitter=0.5)
"""The pauses while it is away, none longer than the usual one."""


@dataclass(frozen=True, slots=True)
class Liaison:
    """`due_s` is when it is to be asked again, None without a Job Manager; `failures` counts those in a row."""

    due_s: float | None = None
    failures: int = 0

    @classmethod
    def begin(cls, plan: Plan, now_s: float, draw: float) -> Liaison:
        """With the plan that the node starts with."""
        is_away = plan.manager is not None and plan.manager.is_away
        return cls().hear(plan, now_s, draw, is_away=is_away)

    def is_due(self, now_s: float) -> bool:
        """Whether it is to be asked now."""
        return self.due_s is not None and now_s >= self.due_s

    def ask(self, now_s: float) -> Liaison:
        """It is being asked; the answer sets the next moment. Should none ever come, it is asked again all the same."""
        return replace(self, due_s=now_s + RETRY.cap_s)

    def hear(self, plan: Plan, now_s: float, draw: float, *, is_away: bool) -> Liaison:
        """Settings were read: with `plan` it was asked, or its last answer was used."""
        if plan.manager is None and not is_away:
            return Liaison()
        if not is_away:
            return Liaison(now_s + plan.refresh_s * (1 - JITTER * draw))
        failures = self.failures + 1
        return Liaison(now_s + min(plan.refresh_s, RETRY.delay_s(failures, draw)), failures)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log; with a code it warns."""

    event: str
    code: str | None = None
    fields: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


def heard(before: ManagerState | None, news: ManagerState | None) -> ManagerState | None:
    """How the node stands with its Job Manager after a reading; a last answer that was used says nothing new."""
    if before is None or news is None or news.has_been_asked or news.url != before.url:
        return news
    return replace(news, code=before.code, failure=before.failure)


def told(before: ManagerState | None, now: ManagerState | None) -> Line | None:
    """What is said of the change, if anything."""
    if now is None or (before is not None and (before.failure, before.url) == (now.failure, now.url)):
        return None
    if now.is_away:
        fields = {"url": now.url, "reason": f"{now.failure} ({now.code})"}
        return Line("manager.lost", "ERR-MGR-008", fields)
    return Line("manager.found", fields={"url": now.url}) if before is None or before.is_away else None


def offered(before: Offer | None, now: Offer | None) -> Line | None:
    """What is said of a newer worker that the Job Manager would have: once for each offer."""
    if now is None or now == before:
        return None
    return Line("update.offered", "ERR-UPD-002", {"reason": now.sentence, "link": now.link})
