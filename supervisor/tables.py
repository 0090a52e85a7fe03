"""The states of a node and of its children, and the table of what may happen to a child."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType


class Room(StrEnum):
    """Who a child is."""

    WORKER = "worker"
    EXECS = "execs"


ENTRIES: Mapping[Room, str] = MappingProxyType({Room.WORKER: "worker.app:main", Room.EXECS: "execs.app:main"})
"""What runs in each child, as `module:function`; imported there, never here."""


class Phase(IntEnum):
    """Where the whole node stands. It only ever goes upward."""

    RUNNING = 0
    DRAINING = 1
    CANCELLING = 2
    KILLING = 3
    STOPPED = 4


class Life(StrEnum):
    """Where one child stands."""

    WAITING = "waiting"
    """There is no process; one is started when the time has come."""
    STARTING = "starting"
    READY = "ready"
    RETIRING = "retiring"
    """It ends as soon as nothing runs in it any more: the node's settings have changed."""
    DRAINING = "draining"
    CANCELLING = "cancelling"
    KILLED = "killed"
    """SIGKILL is sent, the death not yet confirmed."""
    GONE = "gone"
    """There is no process and none will follow."""


class Cue(StrEnum):
    """What happens to a child, judged already."""

    DUE = "due"
    READY = "ready"
    SILENT = "silent"
    RETIRE = "retire"
    """It cannot take the new settings over in place; a successor will be born with them."""
    DISMISS = "dismiss"
    """The new settings have no work for it; no successor follows."""
    DRAIN = "drain"
    CANCEL = "cancel"
    KILL = "kill"
    DIED = "died"
    """Its death is confirmed; a successor follows, at once or later."""
    ENDED = "ended"
    """Its death is confirmed; no successor follows."""


class Act(StrEnum):
    """What a change in the life of a child asks for."""

    NONE = "none"
    SPAWN = "spawn"
    RETIRE = "retire"
    DRAIN = "drain"
    CANCEL = "cancel"
    KILL = "kill"


ALIVE = (Life.STARTING, Life.READY, Life.RETIRING, Life.DRAINING, Life.CANCELLING)

CHILD_TABLE: Mapping[tuple[Life, Cue], tuple[Life, Act]] = MappingProxyType(
    {
        (Life.WAITING, Cue.DUE): (Life.STARTING, Act.SPAWN),
        (Life.WAITING, Cue.DISMISS): (Life.GONE, Act.NONE),
        (Life.WAITING, Cue.DRAIN): (Life.GONE, Act.NONE),
        (Life.WAITING, Cue.CANCEL): (Life.GONE, Act.NONE),
        (Life.WAITING, Cue.KILL): (Life.GONE, Act.NONE),
        (Life.STARTING, Cue.READY): (Life.READY, Act.NONE),
        **{
            (life, cue): (Life.RETIRING, Act.RETIRE)
            for life in (Life.STARTING, Life.READY)
            for cue in (Cue.RETIRE, Cue.DISMISS)
        },
        (Life.STARTING, Cue.DRAIN): (Life.DRAINING, Act.DRAIN),
        (Life.READY, Cue.DRAIN): (Life.DRAINING, Act.DRAIN),
        (Life.RETIRING, Cue.DRAIN): (Life.DRAINING, Act.DRAIN),
        (Life.STARTING, Cue.CANCEL): (Life.CANCELLING, Act.CANCEL),
        (Life.READY, Cue.CANCEL): (Life.CANCELLING, Act.CANCEL),
        (Life.RETIRING, Cue.CANCEL): (Life.CANCELLING, Act.CANCEL),
        (Life.DRAINING, Cue.CANCEL): (Life.CANCELLING, Act.CANCEL),
        **{(life, cue): (Life.KILLED, Act.KILL) for life in ALIVE for cue in (Cue.SILENT, Cue.KILL)},
        **{(life, Cue.DIED): (Life.WAITING, Act.NONE) for life in (*ALIVE, Life.KILLED)},
        **{(life, Cue.ENDED): (Life.GONE, Act.NONE) for life in (*ALIVE, Life.KILLED)},
    }
)
"""All that can happen to a child; a pair that is not in the table changes nothing."""


class News(StrEnum):
    """How far new settings have come in a child that can take them over in place."""

    NONE = "none"
    DUE = "due"
    """It is told as soon as it is ready."""
    TOLD = "told"
    """It has been told, and has not said yet that they are in force."""
