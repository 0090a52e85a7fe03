"""The life of a node: state x event -> state + actions, pure.

`step` decides, the parent obeys. Time comes in as `now_s` (monotonic seconds), chance as `draw` (in [0, 1)).
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace

from job_item.exits import Exit
from job_item.link import Cancel, Drain
from job_item.policy import Again, Restarts, Stop
from supervisor.moves import (
    Action,
    Babbled,
    BecameReady,
    Died,
    Event,
    Heard,
    Kill,
    Say,
    Signalled,
    Spawn,
    StopAsked,
    Tell,
    Ticked,
    Woke,
)
from supervisor.tables import ALIVE, CHILD_TABLE, Act, Cue, Life, Phase, Room

_CUE_OF_PHASE = {Phase.DRAINING: Cue.DRAIN, Phase.CANCELLING: Cue.CANCEL, Phase.KILLING: Cue.KILL}
_PHASE_OF_SIGNAL = {1: Phase.DRAINING, 2: Phase.CANCELLING}
_DEATH_TIME_S = 10.0
"""How long a process that was sent SIGKILL may take to die before the node ends without it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The times that the settings give, in seconds."""

    drain_grace_s: float
    kill_time_s: float
    """How long the end of jobs that did not drain may take: TERM, their grace, KILL and the report."""
    silence_s: float


@dataclass(frozen=True, slots=True)
class Child:
    """One child; `deadline_s` is when it is due (waiting) or hung (alive) unless something happens before."""

    room: Room
    restarts: Restarts
    life: Life = Life.WAITING
    was_ready: bool = False
    deadline_s: float | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """The whole node; `children` stand in the order in which they drain."""

    rules: Rules
    children: tuple[Child, ...]
    phase: Phase = Phase.RUNNING
    signals: int = 0
    exit_code: int = 0
    drain_end_s: float = 0.0
    deadline_s: float | None = None

    def child(self, room: Room) -> Child:
        """The child of this room."""
        return next(child for child in self.children if child.room is room)

    def next_deadline_s(self) -> float | None:
        """When `Ticked` must come at the latest; None when nothing is due."""
        moments = [self.deadline_s, *(child.deadline_s for child in self.children)]
        return min((moment for moment in moments if moment is not None), default=None)


def new_node(rules: Rules, restarts: Restarts, rooms: tuple[Room, ...], now_s: float) -> Node:
    """A node whose children are due at once; `rooms` stand in the order in which they drain."""
    return Node(rules, tuple(Child(room, restarts, deadline_s=now_s) for room in rooms))


Step = tuple[Node, tuple[Action, ...]]


def step(node: Node, event: Event, now_s: float, draw: float = 0.0) -> Step:
    """Decide what an event changes and what is to be done about it."""
    node, actions = _react(node, event, now_s, draw)
    node, more = _carry_phase(node, now_s)
    return node, actions + more


def _react(node: Node, event: Event, now_s: float, draw: float) -> Step:
    match event:
        case Ticked():
            result = _tick(node, now_s)
        case Heard(room):
            result = _hear(node, room, now_s), ()
        case BecameReady(room):
            result = _welcome(_hear(node, room, now_s), room, now_s)
        case Babbled(room):
            say = Say("link.broken", "ERR-LNK-001", room)
            result = _then((say,), _cue(node, room, Cue.KILL, now_s))
        case Died(room, exit_code):
            result = _bury(node, room, exit_code, now_s, draw)
        case StopAsked(room, exit_code, reason):
            result = _stop(node, exit_code, "ERR-SUP-012", room, {"reason": reason}, now_s)
        case Signalled(number):
            result = _climb(node, number, now_s)
        case Woke(late_s):
            result = _wake(node, late_s, now_s), ()
    return result


def _cue(node: Node, room: Room, cue: Cue, now_s: float) -> Step:
    """Look one child's cue up in the table and give its new life the deadline that belongs to it."""
    child = node.child(room)
    row = CHILD_TABLE.get((child.life, cue))
    if row is None:
        return node, ()
    life, act = row
    deadline_s = now_s + node.rules.silence_s if life in ALIVE else None
    child = replace(child, life=life, deadline_s=deadline_s, was_ready=child.was_ready and act is not Act.SPAWN)
    node = _put(node, child)
    match act:
        case Act.SPAWN:
            return node, (Spawn(room),)
        case Act.DRAIN:
            return node, (Tell(room, Drain(max(0.0, node.drain_end_s - now_s))),)
        case Act.CANCEL:
            return node, (Tell(room, Cancel()),)
        case Act.KILL:
            return node, (Kill(room),)
        case Act.NONE:
            return node, ()


def _put(node: Node, child: Child) -> Node:
    return replace(node, children=tuple(child if old.room is child.room else old for old in node.children))


def _then(actions: tuple[Action, ...], following: Step) -> Step:
    node, more = following
    return node, actions + more


def _tick(node: Node, now_s: float) -> Step:
    actions: tuple[Action, ...] = ()
    for child in node.children:
        if child.deadline_s is None or now_s < child.deadline_s:
            continue
        if child.life is Life.WAITING:
            node, more = _cue(node, child.room, Cue.DUE, now_s)
        else:
            hung = Say("child.hung", "ERR-SUP-002", child.room, {"silence_s": node.rules.silence_s})
            node, more = _then((hung,), _cue(node, child.room, Cue.SILENT, now_s))
        actions += more
    if node.deadline_s is not None and now_s >= node.deadline_s:
        node, more = _overdue(node, now_s)
        actions += more
    return node, actions


def _overdue(node: Node, now_s: float) -> Step:
    left = [child.room.value for child in node.children if child.life is not Life.GONE]
    say = Say("node.overdue", "ERR-SUP-010", fields={"left": left})
    node = replace(node, exit_code=node.exit_code or Exit.FAILURE)
    if node.phase is Phase.KILLING:
        return replace(node, phase=Phase.STOPPED, deadline_s=None), (say,)
    return _then((say,), _enter(node, Phase.KILLING, now_s))


def _hear(node: Node, room: Room, now_s: float) -> Node:
    child = node.child(room)
    if child.life not in ALIVE:
        return node
    return _put(node, replace(child, deadline_s=now_s + node.rules.silence_s))


def _wake(node: Node, late_s: float, now_s: float) -> Node:
    """Time in which this process could not run is nobody's silence and part of no bound."""
    for child in node.children:
        node = _hear(node, child.room, now_s)
    return node if node.deadline_s is None else replace(node, deadline_s=node.deadline_s + late_s)


def _welcome(node: Node, room: Room, now_s: float) -> Step:
    if node.child(room).life is not Life.STARTING:
        return node, ()
    node, actions = _cue(node, room, Cue.READY, now_s)
    child = node.child(room)
    node = _put(node, replace(child, was_ready=True, restarts=child.restarts.ready()))
    return node, (Say("child.ready", room=room), *actions)


def _bury(node: Node, room: Room, exit_code: int | None, now_s: float, draw: float) -> Step:
    child = node.child(room)
    told = {"exit_code": exit_code}
    if node.phase is not Phase.RUNNING:
        clean = exit_code == Exit.DONE or node.phase is Phase.KILLING
        if not clean:
            node = replace(node, exit_code=node.exit_code or Exit.FAILURE)
        say = Say("child.ended", None if clean else "ERR-SUP-001", room, told)
        return _then((say,), _cue(node, room, Cue.ENDED, now_s))
    restarts, verdict = child.restarts.judge(exit_code, child.was_ready, now_s, draw)
    node = _put(node, replace(child, restarts=restarts))
    match verdict:
        case Again(after_s):
            say = Say("child.died", "ERR-SUP-001", room, told | {"restart_in_s": round(after_s, 3)})
            node, _ = _cue(node, room, Cue.DIED, now_s)
            node = _put(node, replace(node.child(room), deadline_s=now_s + after_s))
            return _then((say,), _tick(node, now_s))
        case Stop(code, error_code):
            node, _ = _cue(node, room, Cue.ENDED, now_s)
            return _stop(node, code, error_code, room, told, now_s)


def _stop(node: Node, exit_code: int, error_code: str, room: Room, fields: Mapping[str, object], now_s: float) -> Step:
    """Drain the node because of a child; the first reason counts."""
    if node.phase is not Phase.RUNNING:
        return node, ()
    say = Say("node.gave_up", error_code, room, {**fields, "node_exit_code": int(exit_code)})
    return _then((say,), _enter(replace(node, exit_code=exit_code), Phase.DRAINING, now_s))


def _climb(node: Node, number: int, now_s: float) -> Step:
    """Take the next step of the ladder: the first signal drains, the second cancels, the third kills; QUIT kills."""
    node = replace(node, signals=node.signals + 1)
    phase = Phase.KILLING if number == signal.SIGQUIT else _PHASE_OF_SIGNAL.get(node.signals, Phase.KILLING)
    if phase <= node.phase:
        return node, ()
    if phase > Phase.DRAINING:
        node = replace(node, exit_code=128 + number)
    return _enter(node, phase, now_s)


def _enter(node: Node, phase: Phase, now_s: float) -> Step:
    """Go to a phase of the stop, with a bound to its length."""
    match phase:
        case Phase.DRAINING:
            drain_end_s = now_s + node.rules.drain_grace_s
            deadline_s = drain_end_s + node.rules.kill_time_s
            node = replace(node, drain_end_s=drain_end_s)
        case Phase.CANCELLING:
            deadline_s = min(node.deadline_s or now_s, now_s) + node.rules.kill_time_s
        case _:
            deadline_s = now_s + _DEATH_TIME_S
    fields = {"bound_s": round(deadline_s - now_s, 3)}
    return replace(node, phase=phase, deadline_s=deadline_s), (Say(f"node.{phase.name.lower()}", fields=fields),)


def _carry_phase(node: Node, now_s: float) -> Step:
    """Bring the children to where the phase wants them: draining one after the other, the rest all at once."""
    cue = _CUE_OF_PHASE.get(node.phase)
    if cue is None:
        return node, ()
    actions: tuple[Action, ...] = ()
    somebody_drains = False
    for child in node.children:
        if cue is Cue.DRAIN and somebody_drains and child.life is not Life.WAITING:
            continue  # jobs may need the background commands, so these are drained when the jobs are
        node, more = _cue(node, child.room, cue, now_s)
        actions += more
        somebody_drains = somebody_drains or node.child(child.room).life is not Life.GONE
    if all(child.life is Life.GONE for child in node.children):
        node = replace(node, phase=Phase.STOPPED, deadline_s=None)
    return node, actions
