"""The seam for what is to last: queues of a broker that lend a job until its result is known.

A job on loan is this node's until a moment (`Loan.until_s`), and that is put off again and again while it runs. Whoever
lets it pass has lost the job: the broker lends it to the next one. Where a broker knows no such time (RabbitMQ) a loan
lasts as long as the connection that it came on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from job_item.errors import NodeError


class Expired(NodeError):  # noqa: N818 - what it says is no error of anybody
    """A loan is not this node's any more."""


@dataclass(frozen=True, slots=True)
class Loan:
    """One job that a queue has lent to this node."""

    subject: str
    body: bytes
    token: object
    """What the adapter knows it by."""
    until_s: float
    """The moment by the loop's clock at which it is this node's no more; infinite: it ends with its connection."""
    delivery: int = 1
    """How often the job was given out, this time included; it only ever grows, from node to node too."""
    runs: int = 0
    """How many attempts were begun before, as far as the broker can tell."""
    losses: int = 0
    """How many of these went without a word since the job was last put there."""
    round: int = 0
    """How often it came back from the dead letters."""
    pledge: str = ""
    """By what a successor of this process can end the loan; empty where that ends with its connection."""
    entry: str = ""
    """Which message of its queue lends it, in a word; empty where the queue lends none a second time before the
    connection that it came on is lost."""

    @property
    def is_bound(self) -> bool:
        """Whether it ends with the connection that it came on."""
        return self.until_s == math.inf


@dataclass(frozen=True, slots=True)
class Fallen:
    """A dead letter as it lies at the broker."""

    token: object
    body: bytes
    """A letter (`worker.letters`), or what a server has put there by itself: a trigger as it was sent."""
    reason: str = ""
    """Why the server has put it there."""


class Queue(Protocol):
    """The jobs of one subject."""

    async def borrow(self, limit: int) -> Sequence[Loan]:
        """Borrow what there is, `limit` jobs at most, as soon as there is one; never none.

        May be cancelled: what comes nevertheless is kept for the next call. Raises Unavailable (ERR-BRK-002) when the
        connection is lost.
        """

    def widen(self, resting: int) -> None:
        """So many jobs that are on loan wait for another attempt: they are not to keep others from coming."""

    async def close(self) -> None:
        """Borrow nothing more; what has come and was not asked for is given back. Never raises."""


class Queues(Protocol):
    """What a connection offers besides, where `delivery` is durable. All methods raise Unavailable (ERR-BRK-002) when
    the connection is lost, and those that take a loan `Expired` where it is known to be somebody else's.
    """

    keep_s: float
    """How long a loan may be kept at most; infinite where that has no end."""
    is_bypassed: bool
    """Whether what others publish to a subject does not get into its queue by itself (Redis)."""

    async def open(self, subject: str, slots: int) -> Queue:
        """Make the queue of a subject where there is none, and borrow from it, about `slots` jobs at a time.

        Raises NodeError (ERR-DLV-005, ERR-BRK-003) where the server cannot, or will not.
        """

    async def renew(self, loan: Loan) -> Loan:
        """Put the end of a loan off, confirmed by the server."""

    async def accept(self, loan: Loan) -> None:
        """The job is done: the queue forgets it, confirmed by the server."""

    async def give_back(self, loan: Loan, runs: int) -> None:
        """Let somebody else have it at once; `runs` attempts have been begun so far. That counts as no loss."""

    async def redeem(self, subject: str, pledge: str, until_s: float, *, is_done: bool) -> bool:
        """End the loan of a process that is dead: the queue forgets the job where that `is_done`, confirmed by the
        server; else it lends it to somebody else at once, and counts that as a loss, as at the end of a lease.

        `until_s` is until when the loan stood, by the loop's clock. False where it is over, or may be.
        """

    async def put(self, subject: str, task_id: str, body: bytes, round: int = 0) -> None:  # noqa: A002 - the word
        """Add a job, once for each task id and `round` within `dedupe`; returns when the server has it for good."""

    async def bury(self, task_id: str, letter: bytes) -> None:
        """Add a dead letter; returns when the server has it for good. Twice the same may leave two.

        Raises BadMessage (ERR-BRK-006) for one that the server never takes.
        """

    async def fallen(self, limit: int) -> Sequence[Fallen]:
        """The dead letters of the project, in an order that is not promised."""

    async def exhume(self, fallen: Fallen) -> bool:
        """Take a dead letter away; False when somebody else has."""
