"""What the parent keeps open for its children: the API's socket and the lock of the state folder.

After a change of the settings there may be two of each for a while: those of the new plan, and those that a living
child was born with.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from job_item.errors import NodeError
from job_item.state import StateFolder
from supervisor.plan import Plan


class Holdings:
    """Descriptors of plans, closed when no plan that counts names them any more."""

    def __init__(self, plan: Plan) -> None:
        self._listeners = {plan.listener: socket.socket(fileno=plan.listener)}
        self._folders = {plan.lock: StateFolder(plan.state_dir)}
        self._told = plan.lock, plan.node

    @property
    def listeners(self) -> Mapping[int, socket.socket]:
        """All sockets that are held, by their descriptors."""
        return self._listeners

    @property
    def locks(self) -> Mapping[Path, int]:
        """The descriptors of the locks that are held, by their folders."""
        return {folder.path: descriptor for descriptor, folder in self._folders.items()}

    def listener(self, plan: Plan) -> socket.socket:
        """The API's socket of a plan that is held."""
        return self._listeners[plan.listener]

    def take(self, plan: Plan) -> None:
        """Hold what a plan names, too."""
        if plan.listener not in self._listeners:
            self._listeners[plan.listener] = socket.socket(fileno=plan.listener)
        if plan.lock not in self._folders:
            self._folders[plan.lock] = StateFolder(plan.state_dir)
            with suppress(OSError):  # whose lock it is, for people; another process of ours has taken it
                os.pwrite(plan.lock, f"{os.getpid():<20}".encode(), 0)
            with suppress(NodeError):  # `tell` says so later; until then the command line finds the node as it is now
                self._folders[plan.lock].write_node(self._told[1])

    def tell(self, plan: Plan) -> bool:
        """Let `node.json` say what is true now; whether the address has changed. Raises NodeError."""
        before, self._told = self._told, (plan.lock, plan.node)
        if before != self._told:
            self._folders[plan.lock].write_node(plan.node)
        return before[1].url != plan.node.url

    def keep(self, plans: Iterable[Plan]) -> None:
        """Close what none of these plans names."""
        kept = list(plans)
        for descriptor in self._listeners.keys() - {plan.listener for plan in kept}:
            self._listeners.pop(descriptor).close()
        for descriptor in self._folders.keys() - {plan.lock for plan in kept}:
            self._folders.pop(descriptor).remove_node()
            os.close(descriptor)

    def close(self) -> None:
        """Close everything: the node has ended in good order."""
        self.keep(())
