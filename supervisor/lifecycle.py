"""The life of a node: state x event -> state + actions, pure.

`step` decides, the parent obeys. Time comes in as `now_s` (monotonic seconds), chance as `draw` (in [0, 1)).
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import replace

from job_item.exits import Exit
from job_item.policy import Again, Stop
from supervisor.cues import Node, Step, drop, give, put, then
from supervisor.moves import (
    Action,
    Babbled,
    BecameReady,
    Born,
    Died,
    Event,
    Heard,
    Renewed,
    Say,
    Signalled,
    StopAsked,
    Ticked,
    TookOver,
    Woke,
)
from supervisor.renewal import renew, tell_news
from supervisor.tables import ALIVE, Cue, Life, News, Phase, Room

_CUE_OF_PHASE = {Phase.DRAINING: Cue.DRAIN, Phase.CANCELLING: Cue.CANCEL, Phase.KILLING: Cue.KILL}
_PHASE_OF_SIGNAL = {1: Phase.DRAINING, 2: Phase.CANCELLING}
_WORDS_OF_PHASE = {Phase.CANCELLING: "ends running jobs", Phase.KILLING: "kills what is left"}
_DEATH_TIME_S = 10.0
"""How long a process that was sent SIGKILL may take to die before the node ends without it."""


def step(node: Node, event: Event, now_s: float, draw: float = 0.0) -> Step:
    """Decide what an event changes and what is to be done about it."""
    node, actions = _react(node, event, now_s, draw)
    node, more = _carry_phase(node, now_s)
    return node, actions + more


def _react(node: Node, event: Event, now_s: float, draw: float) -> Step:
    match event:
        case Ticked():
            result = _tick(node, now_s)
        case Born(room) | Heard(room):
            result = _hear(node, room, now_s), ()
        case BecameReady(room):
            result = _welcome(_hear(node, room, now_s), room, now_s)
        case Babbled(room):
            say = Say("link.broken", "ERR-LNK-001", room)
            result = then((say,), give(node, room, Cue.KILL, now_s))
        case Died(room, exit_code):
            result = _bury(node, room, exit_code, now_s, draw)
        case StopAsked(room, exit_code, reason):
            result = _stop(node, exit_code, "ERR-SUP-012" if exit_code else None, room, {"reason": reason}, now_s)
        case Signalled(number):
            result = _climb(node, number, now_s)
        case Renewed():
            node, actions = renew(node, event, now_s)
            result = then(actions, _tick(node, now_s))
        case TookOver(room):
            child = node.child(room)
            has_been_told = child.news is News.TOLD  # before that it cannot speak of these settings
            result = put(node, replace(child, news=News.NONE, news_end_s=None)) if has_been_told else node, ()
        case Woke(late_s):
            result = _wake(node, late_s, now_s), ()
    return result


def _tick(node: Node, now_s: float) -> Step:
    actions: tuple[Action, ...] = ()
    for child in node.children:
        if child.deadline_s is None or now_s < child.deadline_s:
            continue
        if child.life is Life.WAITING:
            node, more = give(node, child.room, Cue.DUE, now_s)
        else:
            hung = Say("child.hung", "ERR-SUP-002", child.room, {"silence_s": node.rules.silence_s})
            node, more = then((hung,), give(node, child.room, Cue.SILENT, now_s))
        actions += more
    for child in node.children:
        if child.news_end_s is not None and now_s >= child.news_end_s:
            deaf = Say("child.not_renewed", "ERR-SUP-020", child.room)
            node, more = then((deaf,), give(node, child.room, Cue.RETIRE, now_s))
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
    return then((say,), _enter(node, Phase.KILLING, now_s))


def _hear(node: Node, room: Room, now_s: float) -> Node:
    child = node.child(room)
    if child.life not in ALIVE:
        return node
    return put(node, replace(child, deadline_s=now_s + node.rules.silence_s))


def _wake(node: Node, late_s: float, now_s: float) -> Node:
    """Time in which this process could not run is nobody's silence and part of no bound."""
    for child in node.children:
        node = _hear(node, child.room, now_s)
        if child.news_end_s is not None:
            node = put(node, replace(node.child(child.room), news_end_s=now_s + node.rules.silence_s))
    return node if node.deadline_s is None else replace(node, deadline_s=node.deadline_s + late_s)


def _welcome(node: Node, room: Room, now_s: float) -> Step:
    if node.child(room).life is not Life.STARTING:
        return node, ()
    node, actions = give(node, room, Cue.READY, now_s)
    child = node.child(room)
    node = put(node, replace(child, was_ready=True, restarts=child.restarts.ready()))
    said = (Say("child.ready", room=room), *actions)
    return then(said, tell_news(node, room, now_s)) if child.news is News.DUE else (node, said)


def _bury(node: Node, room: Room, exit_code: int | None, now_s: float, draw: float) -> Step:
    child = node.child(room)
    told = {"exit_code": exit_code}
    if node.phase is not Phase.RUNNING:
        clean = exit_code == Exit.DONE or node.phase is Phase.KILLING
        if not clean:
            node = replace(node, exit_code=node.exit_code or Exit.FAILURE)
        say = Say("child.ended", None if clean else "ERR-SUP-001", room, told)
        return then((say,), give(node, room, Cue.ENDED, now_s))
    if not child.is_wanted:
        clean = exit_code == Exit.DONE
        return drop(node, room), (Say("child.ended", None if clean else "ERR-SUP-001", room, told),)
    if child.life is Life.RETIRING and exit_code == Exit.DONE:
        node, _ = give(node, room, Cue.DIED, now_s)
        node = put(node, replace(node.child(room), deadline_s=now_s))
        return then((Say("child.retired", room=room),), _tick(node, now_s))
    restarts, verdict = child.restarts.judge(exit_code, child.was_ready, now_s, draw)
    node = put(node, replace(child, restarts=restarts))
    match verdict:
        case Again(after_s):
            say = Say("child.died", "ERR-SUP-001", room, told | {"restart_in_s": round(after_s, 3)})
            node, _ = give(node, room, Cue.DIED, now_s)
            node = put(node, replace(node.child(room), deadline_s=now_s + after_s))
            return then((say,), _tick(node, now_s))
        case Stop(code, error_code):
            node, _ = give(node, room, Cue.ENDED, now_s)
            return _stop(node, code, error_code, room, told, now_s)


def _stop(
    node: Node, exit_code: int, error_code: str | None, room: Room, fields: Mapping[str, object], now_s: float
) -> Step:
    """Drain the node because of a child; the first reason counts. Without an error the node has done what it is for."""
    if node.phase is not Phase.RUNNING:
        return node, ()
    event = "node.gave_up" if error_code else "node.done"
    say = Say(event, error_code, room, {**fields, "node_exit_code": int(exit_code)})
    return then((say,), _enter(replace(node, exit_code=exit_code), Phase.DRAINING, now_s))


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
    fields: dict[str, object] = {"bound_s": round(deadline_s - now_s, 3)}
    further = _PHASE_OF_SIGNAL.get(node.signals + 1, Phase.KILLING)
    if further > phase:
        fields["next_signal"] = _WORDS_OF_PHASE[further]
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
        node, more = give(node, child.room, cue, now_s)
        actions += more
        somebody_drains = somebody_drains or node.child(child.room).life is not Life.GONE
    if all(child.life is Life.GONE for child in node.children):
        node = replace(node, phase=Phase.STOPPED, deadline_s=None)
    return node, actions
