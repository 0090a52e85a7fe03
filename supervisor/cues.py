"""The node as a value, and what one cue changes in it: the lifecycle's ground. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from job_item.link import Cancel, Drain, Retire
from job_item.policy import Restarts
from supervisor.moves import Action, Kill, Rules, Spawn, Tell
from supervisor.tables import ALIVE, CHILD_TABLE, Act, Cue, Life, News, Phase, Room


@dataclass(frozen=True, slots=True)
class Child:
    """One child; `deadline_s` is when it is due (waiting) or hung (alive) unless something happens before.

    `is_wanted`: the settings have work for it, so that a successor follows. `news`: the newest settings on their way to
    it; `news_end_s` is when it is replaced if it has not taken them over.
    """

    room: Room
    restarts: Restarts
    life: Life = Life.WAITING
    was_ready: bool = False
    deadline_s: float | None = None
    is_wanted: bool = True
    news: News = News.NONE
    news_end_s: float | None = None


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
        moments = [self.deadline_s]
        for child in self.children:
            moments += [child.deadline_s, child.news_end_s]
        return min((moment for moment in moments if moment is not None), default=None)

    @property
    def is_adopting(self) -> bool:
        """Whether a child has yet to take the newest settings over in place."""
        return any(child.news is not News.NONE for child in self.children)

    def pending(self) -> tuple[Room, ...]:
        """The rooms in which the newest settings are not in force yet."""
        late = (child for child in self.children if child.life is Life.RETIRING or child.news is not News.NONE)
        return tuple(child.room for child in late)


def new_node(rules: Rules, restarts: Restarts, rooms: tuple[Room, ...], now_s: float) -> Node:
    """A node whose children are due at once; `rooms` stand in the order in which they drain."""
    return Node(rules, tuple(Child(room, restarts, deadline_s=now_s) for room in rooms))


Step = tuple[Node, tuple[Action, ...]]


def give(node: Node, room: Room, cue: Cue, now_s: float) -> Step:
    """Look one child's cue up in the table and give its new life the deadline that belongs to it."""
    child = node.child(room)
    row = CHILD_TABLE.get((child.life, cue))
    if row is None:
        return node, ()
    life, act = row
    deadline_s = now_s + node.rules.silence_s if life in ALIVE else None
    news = child.news if cue is Cue.READY else News.NONE
    child = replace(
        child,
        life=life,
        deadline_s=deadline_s,
        was_ready=child.was_ready and act is not Act.SPAWN,
        news=news,
        news_end_s=child.news_end_s if news is News.TOLD else None,
    )
    node = put(node, child)
    match act:
        case Act.SPAWN:
            return node, (Spawn(room),)
        case Act.DRAIN:
            return node, (Tell(room, Drain(max(0.0, node.drain_end_s - now_s))),)
        case Act.CANCEL:
            return node, (Tell(room, Cancel()),)
        case Act.RETIRE:
            return node, (Tell(room, Retire()),)
        case Act.KILL:
            return node, (Kill(room),)
        case Act.NONE:
            return node, ()


def put(node: Node, child: Child) -> Node:
    """The node with this child in the place of the one of its room."""
    return replace(node, children=tuple(child if old.room is child.room else old for old in node.children))


def drop(node: Node, room: Room) -> Node:
    """Know this room no longer."""
    return replace(node, children=tuple(child for child in node.children if child.room is not room))


def then(actions: tuple[Action, ...], following: Step) -> Step:
    """A step whose actions come after others."""
    node, more = following
    return node, actions + more
