"""Histories of a node's lifecycle for tests: events in, actions out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from job_item.policy import Backoff, Restarts, Window
from supervisor.cues import Node, new_node
from supervisor.lifecycle import step
from supervisor.moves import (
    Action,
    BecameReady,
    Event,
    Renewed,
    Rules,
    Say,
    Ticked,
)
from supervisor.tables import Life, Room

W, X = Room.WORKER, Room.EXECS
RULES = Rules(drain_grace_s=30.0, kill_time_s=10.0, silence_s=20.0)
RESTARTS = Restarts(early=Window(5, 60.0), backoff=Backoff(0.05, 2.0, 10.0, 0.0))
TERM, INT = 15, 2


@dataclass
class History:
    """A node with a clock; `saw` is what it has asked for since the last look."""

    rooms: tuple[Room, ...] = (W, X)
    now_s: float = 0.0
    saw: list[Action] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.node: Node = new_node(RULES, RESTARTS, self.rooms, self.now_s)

    def tell(self, *events: Event) -> History:
        for event in events:
            self.node, actions = step(self.node, event, self.now_s)
            self.saw += actions
        return self

    def wait(self, seconds: float) -> History:
        """Let time pass as the parent does: from deadline to deadline."""
        end_s = self.now_s + seconds
        while (due_s := self.node.next_deadline_s()) is not None and due_s <= end_s:
            assert due_s >= self.now_s, "a deadline was left behind"
            self.now_s = due_s
            self.tell(Ticked())
        self.now_s = end_s
        return self

    def look(self) -> Sequence[Action]:
        """What was asked for, log lines aside."""
        saw = [action for action in self.saw if not isinstance(action, Say)]
        self.saw.clear()
        return saw

    def look_all(self) -> list[Action]:
        saw = list(self.saw)
        self.saw.clear()
        return saw

    def said(self) -> list[tuple[str, str | None]]:
        said = [(action.event, action.code) for action in self.saw if isinstance(action, Say)]
        self.saw.clear()
        return said

    def lives(self) -> list[Life]:
        return [child.life for child in self.node.children]


def running(*rooms: Room) -> History:
    """A node whose children are all ready."""
    rooms = rooms or (W, X)
    history = History(rooms).tell(Ticked(), *(BecameReady(room) for room in rooms))
    history.saw.clear()
    return history


def renewed(*outdated: Room, rooms: tuple[Room, ...] = (W, X), rules: Rules = RULES) -> Renewed:
    return Renewed(rules, (5, 60.0), rooms, frozenset(outdated))
