"""Whether the node gets on, for whoever watches it from outside; pure.

A room makes progress whenever it is heard of after it has become ready: its loop turns. Becoming ready alone is none,
else a child that falls again and again right after its start would pass for well. A room that made none for
`patience_s` holds up the node. So the watchdog of a service manager is fed while the parent's wait turns, no room has
been silent, dead or on its way up for longer than that, and a stop keeps within its bound.

A child whose journal cannot be opened (a full disk) beats and counts as well: a restart of the node mends no disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from supervisor.cues import Node
from supervisor.tables import Life, Phase, Room

_UP = (Life.READY, Life.RETIRING, Life.DRAINING, Life.CANCELLING)
_SILENCES = 3
"""How many times the silence that a child is allowed a room may do without progress: a hung child, its death and the
start of a successor fit into two."""


@dataclass(frozen=True, slots=True)
class Progress:
    """When each room made progress last (monotonic seconds)."""

    patience_s: float
    moments: Mapping[Room, float] = field(default_factory=dict)

    @classmethod
    def begin(cls, node: Node, now_s: float) -> Progress:
        """The start of a node counts as progress of all its rooms."""
        return cls(_SILENCES * node.rules.silence_s, {child.room: now_s for child in node.children})

    def renew(self, node: Node, now_s: float) -> Progress:
        """New settings: what is new among the rooms begins now, and the silence that is borne may be another."""
        moments = {child.room: self.moments.get(child.room, now_s) for child in node.children}
        return Progress(_SILENCES * node.rules.silence_s, moments)

    def hear(self, node: Node, room: Room, now_s: float) -> Progress:
        """A child was heard of that had been ready before."""
        return self._at((room,), now_s) if node.child(room).life in _UP else self

    def wake(self, now_s: float) -> Progress:
        """The whole process had been stopped: nobody could be heard."""
        return self._at(self.moments, now_s)

    def idle_rooms(self, node: Node, now_s: float) -> tuple[Room, ...]:
        """The rooms that hold up the node."""
        living = [child.room for child in node.children if child.life is not Life.GONE]
        return tuple(room for room in living if now_s > self.moments[room] + self.patience_s)

    def is_made(self, node: Node, now_s: float) -> bool:
        """Whether the node gets on."""
        if node.phase is Phase.KILLING:  # the dead say nothing; its bound is short
            return node.deadline_s is None or now_s <= node.deadline_s
        return not self.idle_rooms(node, now_s)

    def _at(self, rooms: Iterable[Room], now_s: float) -> Progress:
        return replace(self, moments={**self.moments, **dict.fromkeys(rooms, now_s)})
