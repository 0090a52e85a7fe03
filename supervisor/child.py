"""A child of the parent: a room's process, its link, and the plan that it was born with."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module

from job_item.link import ChildStart, Connection, Link, ToChild, ToParent
from supervisor.born import Born, bear
from supervisor.forkserver import Forkserver
from supervisor.plan import Plan
from supervisor.tables import Room


def enter(birth: tuple[str, bytes, str], connection: Connection, *lent: object) -> None:
    """Run the entry of a room with the start of this child, its link and what is lent to it."""
    entry, packed, incarnation = birth
    module, _, name = entry.partition(":")
    main = getattr(import_module(module), name)
    start: ChildStart = pickle.loads(packed)  # noqa: S301 - made by this node
    main(replace(start, incarnation=incarnation), connection, *lent)


def spawn(births: Forkserver, room: Room, plan: Plan, incarnation: str, lent: Sequence[object] = ()) -> Child:
    """Start the child of a room as `plan` says: its entry gets its start, its end of the link, and what is lent to it.

    Raises OSError or EOFError when the process cannot be made.
    """
    birth = (plan.entries[room], plan.start, incarnation)
    return Child(room, plan, bear(births, room.value, "supervisor.child:enter", birth, *lent))


class Child:
    """A child that was born, its room, and the plan that it was born with."""

    def __init__(self, room: Room, plan: Plan, born: Born) -> None:
        self.room = room
        self.plan = plan
        self.born = born
        self.pid = born.pid
        self.link: Link[ToChild, ToParent] = Link(born.connection)

    def send(self, message: ToChild) -> None:
        """Tell the child something; one that is gone or deaf is found out by its death or its silence."""
        if self.born.is_linked:
            self.link.send(message)
