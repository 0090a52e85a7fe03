"""How new settings reach the children of a running node. Pure, a part of the lifecycle."""

from __future__ import annotations

from dataclasses import replace

from job_item.policy import Restarts, Window
from supervisor.cues import Child, Node, Step, give, put
from supervisor.moves import Action, Renew, Renewed
from supervisor.tables import Cue, Life, News, Phase, Room


def renew(node: Node, new: Renewed, now_s: float) -> Step:
    """Bring new settings to the children: in place, by a successor, by a first one, or by the end of one."""
    if node.phase is not Phase.RUNNING:
        return node, ()
    known = {child.room: child for child in node.children}
    early = Window(*new.early_deaths)
    children = [
        _kept(known[room], early) if room in known else Child(room, Restarts(early=early), deadline_s=now_s)
        for room in new.rooms
    ]
    children += [replace(child, is_wanted=False) for child in node.children if child.room not in new.rooms]
    node = replace(node, rules=new.rules, children=tuple(children))
    actions: tuple[Action, ...] = ()
    for child in node.children:
        if not child.is_wanted:
            node, more = give(node, child.room, Cue.DISMISS, now_s)
        elif child.room in new.outdated:
            node, more = give(node, child.room, Cue.RETIRE, now_s)
        else:
            node, more = tell_news(node, child.room, now_s)
        actions += more
    node = replace(node, children=tuple(child for child in node.children if child.life is not Life.GONE))
    return node, actions


def _kept(child: Child, early: Window) -> Child:
    """A child that goes on, under a new rule for early deaths; those that have been count on."""
    window = replace(child.restarts.early, limit=early.limit, window_s=early.window_s)
    return replace(child, restarts=replace(child.restarts, early=window), is_wanted=True)


def tell_news(node: Node, room: Room, now_s: float) -> Step:
    """Let a child take the newest settings over, as soon as it can hear of them."""
    child = node.child(room)
    match child.life:
        case Life.READY:
            told = replace(child, news=News.TOLD, news_end_s=now_s + node.rules.silence_s)
            return put(node, told), (Renew(room),)
        case Life.STARTING:
            return put(node, replace(child, news=News.DUE)), ()
    return node, ()  # whoever follows it is born with them
