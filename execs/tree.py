"""Who waits for whom: the order in which execs are started and stopped. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from execs.policy import Life
from execs.tables import Stage
from job_item.execspec import Condition

_WISHES: Mapping[Condition, str] = {
    "started": "has not started",
    "ready": "is not ready",
    "healthy": "is not healthy",
    "completed": "has not completed",
}
_ENDS = {Stage.FAILED: "has failed", Stage.STOPPED: "is stopped"}


def is_met(condition: Condition, life: Life) -> bool:
    """Whether an exec is as one that depends on it wants it.

    One that ended well has started, too; it is ready only where no probe has to say so.
    """
    is_done = life.stage is Stage.DONE
    match condition:
        case "started":
            return life.stage is Stage.RUNNING or is_done
        case "ready":
            return (life.stage is Stage.RUNNING and life.is_ready) or (is_done and life.rules.ready is None)
        case "healthy":
            return life.stage is Stage.RUNNING and life.health == "healthy"
        case "completed":
            return is_done


def unmet(depends_on: Mapping[str, Condition], lives: Mapping[str, Life]) -> str | None:
    """What an exec still waits for, in words; None when nothing keeps it from being started."""
    waits = [
        f"{key} {_ENDS.get(lives[key].stage, _WISHES[condition])}"
        for key, condition in depends_on.items()
        if key in lives and not is_met(condition, lives[key])
    ]
    return f"waits: {', '.join(waits)}" if waits else None


def may_end(keys: Iterable[str], needs: Mapping[str, Iterable[str]]) -> set[str]:
    """Which of `keys` no other of them depends on, directly or through others: these may be asked to end now.

    `needs` names for each exec what it depends on. In a circle nobody would be the first: then all may.
    """
    running = set(keys)
    needed: set[str] = set()
    for key in running:
        needed |= _below(key, needs)
    return running - needed or running


def _below(key: str, needs: Mapping[str, Iterable[str]]) -> set[str]:
    """All that `key` depends on."""
    found: set[str] = set()
    todo = list(needs.get(key, ()))
    while todo:
        other = todo.pop()
        if other not in found:
            found.add(other)
            todo += needs.get(other, ())
    return found
