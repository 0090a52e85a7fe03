"""One job on loan, as the node that has it looks at it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from worker.brokers.queues import Loan, Queues
from worker.brokers.seam import Connection


@dataclass(slots=True, eq=False)
class Lease:
    """One job on loan."""

    task_id: str
    event: str
    loan: Loan
    connection: Connection
    keep_until_s: float
    keeper: asyncio.Task[None] | None = None
    is_lost: bool = False
    """Somebody else has the job, or will."""
    is_leaving: bool = False
    """This node gives it up by itself."""
    is_concluding: bool = False
    returned: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the same job was lent to this node again."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when nothing of it is left here."""

    @property
    def is_bereft(self) -> bool:
        """Whether it has lost the connection that it was lent on; mostly the same node gets it again."""
        return self.loan.is_bound and self.connection.lost.done()

    def is_over(self, now_s: float) -> bool:
        """Whether it may be somebody else's by now."""
        return self.is_lost or self.loan.until_s <= now_s or self.is_bereft


def queues_of(connection: Connection) -> Queues:
    """The queues of a connection that has some, as `delivery` is durable."""
    assert connection.queues is not None  # noqa: S101 - the settings say durable
    return connection.queues
