"""What the API says, read once: jobs, assignments, their states (protocol reefguide.md, sections 4 and 5). Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from worker.journal import Granted

LIFE_S = 3600.0
"""How long an assignment is taken to last where its times cannot be read (section 6)."""


class Unreadable(ValueError):  # noqa: N818 - a verdict on an answer
    """Something that the API said is not what it should be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the API."""

    status: int
    body: bytes
    retry_after_s: float | None = None

    def json(self) -> Any:
        """The JSON of the body; None where there is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def message(self) -> str:
        """What a domain error says (section 4); empty for any other answer."""
        content = self.json()
        said = content.get("message") if isinstance(content, dict) else None
        return said if isinstance(said, str) else ""

    @property
    def is_bearer_refused(self) -> bool:
        """Whether the access token does not count: told by plain text (section 3.6)."""
        return self.status == 401 and not self.message

    def __str__(self) -> str:
        said = self.message or self.body[:200].decode(errors="replace")
        return f"{self.status} {said}".strip()


@dataclass(frozen=True, slots=True)
class Listed:
    """A job in the answer to a poll."""

    id: int
    type: str


@dataclass(frozen=True, slots=True)
class Seen:
    """An assignment of a job as `GET /jobs/{id}` shows it."""

    id: int
    claimant: str
    storage_uri: str
    lasts_s: float
    is_open: bool

    @property
    def granted(self) -> Granted:
        """What its holder has to know."""
        return Granted(self.id, self.storage_uri, self.lasts_s)


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as `GET /jobs/{id}` shows it; `assignments` by their ids, the lowest first."""

    status: str
    payload: Any
    assignments: tuple[Seen, ...]

    def assignment(self, number: int) -> Seen | None:
        """The assignment with this id."""
        return next((seen for seen in self.assignments if seen.id == number), None)


def read_jobs(content: Any) -> tuple[list[Listed], int]:
    """The jobs of a poll, and how many entries could not be read. Raises `Unreadable`."""
    entries = content.get("jobs") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise Unreadable("the answer has no list of jobs")
    found = [Listed(entry["id"], entry["type"]) for entry in entries if _is_usable(entry)]
    return found, len(entries) - len(found)


def _is_usable(entry: Any) -> bool:
    """Whether an entry can become a job here: the data of a job are an object or a list."""
    return (
        isinstance(entry, dict)
        and _is_id(entry.get("id"))
        and isinstance(entry.get("type"), str)
        and isinstance(entry.get("input_payload"), (dict, list))
    )


def read_granted(content: Any) -> Granted:
    """The assignment of a claim. Raises `Unreadable`."""
    return _read_assignment(content.get("assignment") if isinstance(content, dict) else None).granted


def read_job(content: Any) -> JobView:
    """A job with its assignments. Raises `Unreadable`."""
    job = content.get("job") if isinstance(content, dict) else None
    if not isinstance(job, dict) or not isinstance(job.get("status"), str):
        raise Unreadable("the answer has no job")
    entries = job.get("assignments") or []
    if not isinstance(entries, list):
        raise Unreadable("the assignments of the job are no list")
    seen = sorted(map(_read_assignment, entries), key=lambda each: each.id)
    return JobView(job["status"], job.get("input_payload"), tuple(seen))


def _read_assignment(entry: Any) -> Seen:
    if not isinstance(entry, dict) or not _is_id(entry.get("id")) or not isinstance(entry.get("storage_uri"), str):
        raise Unreadable("an assignment has no id or no storage_uri")
    is_open = entry.get("completed_at") is None and entry.get("result") is None
    return Seen(entry["id"], str(entry.get("ecs_task_arn")), entry["storage_uri"], _lasts_s(entry), is_open)


def _lasts_s(entry: dict[str, Any]) -> float:
    """From the making of an assignment to its end, both by the server's clock."""
    try:
        made, ends = (datetime.fromisoformat(entry[name]) for name in ("created_at", "expires_at"))
        return max((ends - made).total_seconds(), 0.0)
    except (KeyError, TypeError, ValueError):
        return LIFE_S


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
