"""What the parent knows of its node, in one sentence for people, as `systemctl status` shows it; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from job_item.link import ExecState
from supervisor.cues import Node
from supervisor.tables import Life, Phase, Room

_NAMES = {Room.WORKER: "job child", Room.EXECS: "execs child"}
_UP = ("running",)
_SERVING = (Life.READY, Life.RETIRING)


@dataclass(frozen=True, slots=True)
class Outlook:
    """A moment of the node's life."""

    node: Node
    url: str
    execs: Sequence[ExecState] = ()
    is_reloading: bool = False
    """Whether new settings are being read and brought into force."""
    settings_faults: int = 0
    """How many faults keep the newest settings from being in force."""
    deaths: int = 0
    """How many children have failed, since the start of the node."""

    @property
    def is_ready(self) -> bool:
        """Whether all children that there should be do their work."""
        return self.node.phase is Phase.RUNNING and all(child.life in _SERVING for child in self.node.children)

    @property
    def is_stopping(self) -> bool:
        """Whether the node is on its way down."""
        return self.node.phase is not Phase.RUNNING


def status_of(outlook: Outlook, was_ready: bool) -> str:
    """Say where the node stands; `was_ready`, whether it ever was. The text changes only when something has changed."""
    node = outlook.node
    match node.phase:
        case Phase.DRAINING:
            return f"Draining: no new jobs, running ones may go on for {node.rules.drain_grace_s:g} s at most."
        case Phase.CANCELLING:
            return "Stopping: running jobs are being ended."
        case Phase.KILLING:
            return "Stopping: what is left is being killed."
        case Phase.STOPPED:
            return f"Stopped with exit code {node.exit_code}."
    if outlook.is_reloading:
        return f"Serving at {outlook.url}; new settings are being brought into force."
    missing = [_NAMES[child.room] for child in node.children if child.life not in _SERVING]
    if missing:
        return f"{'Restarting' if was_ready else 'Starting'} the {' and the '.join(missing)}."
    return f"Serving at {outlook.url}{_execs(outlook.execs)}{_faults(outlook.settings_faults)}."


def _execs(execs: Sequence[ExecState]) -> str:
    if not execs:
        return ""
    up = sum(state.state in _UP for state in execs)
    return f", {up} of {len(execs)} exec{'s' if len(execs) > 1 else ''} running"


def _faults(number: int) -> str:
    return "; the newest settings have faults and are not in force" if number else ""
