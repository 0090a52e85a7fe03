"""Dead letters: jobs that were tried as often as they may be, as they are kept and shown. Pure text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from job_item import payload
from job_item.errors import BadMessage
from worker.sources.trigger import Refused, read_trigger


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter; `body` is the canonical JSON of the job's data, `died_at` seconds since the epoch."""

    task_id: str
    event: str
    body: bytes
    error_code: str
    error: str
    attempts: int
    died_at: float
    node: str = ""
    round: int = 0


def write_letter(letter: Letter) -> bytes:
    """A dead letter as a broker keeps it."""
    members = {
        "attempts": letter.attempts,
        "data": json.loads(letter.body),
        "died_at": letter.died_at,
        "error": letter.error,
        "error_code": letter.error_code,
        "event": letter.event,
        "node": letter.node,
        "round": letter.round,
        "task_id": letter.task_id,
    }
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def read_letter(raw: bytes, reason: str = "") -> Letter:
    """Read what lies among the dead letters: one of ours, or a message that the server has put there by itself.

    What cannot be used at all is shown too, without a task id: nobody can try it again.
    """
    try:
        members = payload.decode(raw)
        if isinstance(members, dict) and "error_code" in members:
            return _read(members)
        trigger = read_trigger(raw)
    except (Refused, BadMessage, TypeError, ValueError):
        shown = json.dumps({"message": raw[:1024].decode("utf-8", "replace")}).encode()
        return Letter("", "", shown, "ERR-SRC-001", reason or "The message is of no use.", 0, 0.0)
    return Letter(trigger.task_id, "", trigger.body, "ERR-DLV-004", reason or "The server has put it there.", 0, 0.0)


def _read(members: dict[str, Any]) -> Letter:
    return Letter(
        task_id=str(members.get("task_id", "")),
        event=str(members.get("event", "")),
        body=payload.encode(payload.adopt(members.get("data"))),
        error_code=str(members["error_code"]),
        error=str(members.get("error", "")),
        attempts=int(members.get("attempts", 0)),
        died_at=float(members.get("died_at", 0.0)),
        node=str(members.get("node", "")),
        round=int(members.get("round", 0)),
    )
