"""What the parent holds, line by line, for the log: the answer to SIGUSR1; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from job_item.policy import Window
from supervisor.children import Children
from supervisor.cues import Child, Node
from supervisor.moves import Say
from supervisor.progress import Progress
from supervisor.tables import Room


def lines_of(
    node: Node, children: Children, progress: Progress, settings: Mapping[str, object], now_s: float
) -> Iterator[Say]:
    """One line per thing. Times are seconds from now on (negative: over since), never moments of a clock."""
    yield Say(
        "node.dumped",
        fields={
            "phase": node.phase.name.lower(),
            "signals": node.signals,
            "exit_code": int(node.exit_code),
            "deadline_in_s": _from_now(node.deadline_s, now_s),
            "makes_progress": progress.is_made(node, now_s),
            "strangers": len(children.strangers),
        },
    )
    for child in node.children:
        yield Say("child.dumped", fields=_child(child, children.pids, progress, now_s))
    yield Say("settings.dumped", fields=settings)
    sweep = children.sweep
    if sweep.is_active:
        strays = {"pids": list(sweep.pids), "killed": len(sweep.killed)}
        yield Say("sweep.dumped", fields={**strays, "deadline_in_s": _from_now(sweep.deadline_s, now_s)})


def _child(child: Child, pids: Mapping[Room, int], progress: Progress, now_s: float) -> Mapping[str, object]:
    return {
        "child": child.room.value,
        "pid": pids.get(child.room),
        "life": child.life.value,
        "was_ready": child.was_ready,
        "deadline_in_s": _from_now(child.deadline_s, now_s),
        "progress_in_s": _from_now(progress.moments.get(child.room), now_s),
        "restarts": _counting(child.restarts.late, now_s),
        "deaths_before_ready": _counting(child.restarts.early, now_s),
        "failures_in_a_row": child.restarts.failures,
    }


def _counting(window: Window, now_s: float) -> str:
    """How many events the window holds, of how many that it bears."""
    number = sum(moment + window.window_s > now_s for moment in window.moments)
    return f"{number} of {window.limit} in {window.window_s:g} s"


def _from_now(moment_s: float | None, now_s: float) -> float | None:
    return None if moment_s is None else round(moment_s - now_s, 3)
