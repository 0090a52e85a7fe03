"""A child of the parent: a room's process and its link."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

from job_item.link import ChildStart, Connection, Link, ToChild, ToParent
from supervisor.born import Born, bear
from supervisor.forkserver import Forkserver
from supervisor.tables import Room


def enter(birth: tuple[str, bytes, str], connection: Connection, *lent: object) -> None:
    """Run the entry of a room with the start of this child, its link and what is lent to it."""
    entry, packed, incarnation = birth
    module, _, name = entry.partition(":")
    main = getattr(import_module(module), name)
    start: ChildStart = pickle.loads(packed)  # noqa: S301 - made by this node
    main(replace(start, incarnation=incarnation), connection, *lent)


def spawn(
    births: Forkserver, room: Room, entry: str, packed: bytes, incarnation: str, lent: Sequence[object] = ()
) -> Child:
    """Start the child of a room: its entry gets its start (`packed`), its end of the link, and what is lent to it.

    Raises OSError or EOFError when the process cannot be made.
    """
    birth = (entry, packed, incarnation)
    return Child(room, *bear(births, room.value, "supervisor.child:enter", birth, *lent), births)


class Child(Born):
    """A child that was born."""

    def __init__(self, room: Room, process: Any, connection: Any, births: Forkserver) -> None:
        super().__init__(process, connection, births)
        self.room = room
        self.link: Link[ToChild, ToParent] = Link(connection)

    def send(self, message: ToChild) -> None:
        """Tell the child something; one that is gone or deaf is found out by its death or its silence."""
        if self.is_linked:
            self.link.send(message)
