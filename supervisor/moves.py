"""What goes into one step of the lifecycle, events, and what comes out of it, actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from job_item.link import Cancel, Drain, Retire
from supervisor.tables import Room

# Values


@dataclass(frozen=True, slots=True)
class Rules:
    """The times that the settings give, in seconds."""

    drain_grace_s: float
    kill_time_s: float
    """How long the end of jobs that did not drain may take: TERM, their grace, KILL and the report."""
    silence_s: float


# Events


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed; a deadline may have come."""


@dataclass(frozen=True, slots=True)
class Born:
    """A child has come into the world; how long that took (a busy machine) is no silence of its own."""

    room: Room


@dataclass(frozen=True, slots=True)
class Heard:
    """A child has said something, if only that it lives."""

    room: Room


@dataclass(frozen=True, slots=True)
class BecameReady:
    """A child does its work."""

    room: Room


@dataclass(frozen=True, slots=True)
class Babbled:
    """A child has said something that is not a message."""

    room: Room


@dataclass(frozen=True, slots=True)
class Died:
    """The death of a child is confirmed; exit code None means that it was never born."""

    room: Room
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class StopAsked:
    """A child wants the whole node to stop."""

    room: Room
    exit_code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Signalled:
    """TERM, INT or QUIT has come."""

    number: int


@dataclass(frozen=True, slots=True)
class Renewed:
    """New settings are in force: how long things may take, how many early deaths are borne within how many seconds,
    and which rooms there are. The children of `outdated` cannot take them over in place.
    """

    rules: Rules
    early_deaths: tuple[int, float]
    rooms: tuple[Room, ...]
    outdated: frozenset[Room]


@dataclass(frozen=True, slots=True)
class TookOver:
    """A child has the newest settings in force."""

    room: Room


@dataclass(frozen=True, slots=True)
class Woke:
    """This process had been stopped, for `late_s` seconds as far as that is known: nobody could be heard meanwhile."""

    late_s: float


Event = Ticked | Born | Heard | BecameReady | Babbled | Died | StopAsked | Signalled | Woke | Renewed | TookOver


# Actions


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start a process for this room."""

    room: Room


@dataclass(frozen=True, slots=True)
class Tell:
    """Send this message to the child."""

    room: Room
    message: Drain | Cancel | Retire


@dataclass(frozen=True, slots=True)
class Renew:
    """Give the child the newest settings, to be taken over in place."""

    room: Room


@dataclass(frozen=True, slots=True)
class Kill:
    """Send SIGKILL to the child."""

    room: Room


@dataclass(frozen=True, slots=True)
class Say:
    """Write a line to the log; with a code it is an error, with a room it speaks of that child."""

    event: str
    code: str | None = None
    room: Room | None = None
    fields: Mapping[str, object] = field(default_factory=dict)


Action = Spawn | Tell | Renew | Kill | Say
