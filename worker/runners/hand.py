"""One hand as the job child sees it: what it was sent, in order, and what has come back."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from job_item.handlers import parcel
from job_item.handlers.wish import NOTE, Result
from job_item.keeper.command import Ended
from job_item.keeper.remote import Run
from worker.runners.kind import Kind
from worker.runners.ticket import Ticket


class Owner(Protocol):
    """Whose hand it is."""

    def rest(self, hand: Hand) -> None:
        """Take back a hand that has nothing to do."""

    def bury(self, hand: Hand) -> None:
        """A hand is gone, and all below it."""

    def note(self, task_id: str, text: str) -> None:
        """A handler sent a notification."""


class Hand:
    """One hand, and the jobs that were sent to it.

    The job child keeps the far end of the line too: what the hand has not taken from it yet can be taken back. A hand
    takes the next job only after it has sent the result of the one before, so of what was sent at most one is neither
    in the line nor answered: that one runs.
    """

    def __init__(self, kind: Kind, owner: Owner) -> None:
        self.kind = kind
        self.idle_since = 0.0
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._ours, self._theirs = parcel.make_line()
        self._ours.setblocking(False)
        self._inlet = parcel.Inlet(self._ours)
        self._back = parcel.Inlet(self._theirs, socket.MSG_DONTWAIT)
        self._sent: deque[Ticket] = deque()
        self._run: Run | None = None
        self._cpu_s = 0.0
        self._is_resting = False
        self.is_leaving = False
        """Whether it takes no more jobs."""
        self._loop.add_reader(self._ours.fileno(), self._hear)

    @property
    def far_end(self) -> int:
        """The descriptor of the end that the hand gets."""
        return self._theirs.fileno()

    def abandon(self) -> None:
        """There is none, after all."""
        self._loop.remove_reader(self._ours.fileno())
        self._ours.close()
        self._theirs.close()

    def begin(self, run: Run) -> None:
        """Its keeper has been asked for it."""
        self._run = run
        run.ended.add_done_callback(self._end)

    def send(self, batch: Sequence[Ticket]) -> int:
        """Have it run jobs, in this order; returns how many it takes now."""
        count = 0
        for ticket in batch:
            try:
                parcel.send(self._ours, ticket.wish)
            except OSError:
                break
            ticket.hand = self
            if ticket.on_sent is not None:
                ticket.on_sent(ticket)
            count += 1
        self._sent += batch[:count]
        self._is_resting = False
        return count

    def tell(self, _: dict[str, Any]) -> None:
        """There is more output."""
        if self._sent:
            self._sent[0].on_output()

    def stop(self, ticket: Ticket, how: str, grace_s: float) -> list[Ticket]:
        """End a job that it was sent; returns those it had not begun, `ticket` among them or not."""
        unbegun = self.take_back()
        if self._sent and self._sent[0] is ticket:
            ticket.stop_how = ticket.stop_how or how
            self.is_leaving = True
            if self._run is not None:
                self._run.stop(how, grace_s)
        self._rest()
        return unbegun

    def single_out(self) -> list[Ticket]:
        """Take back all but the one that runs."""
        unbegun = self.take_back()
        self._rest()
        return unbegun

    def take_back(self) -> list[Ticket]:
        """Take back what it has not begun. What is left then, if anything, is the one that runs."""
        count = 0
        while True:
            try:
                if self._back.take() is None:
                    break
            except BlockingIOError:
                break
            count += 1
        self._read()
        unbegun = [self._sent.pop() for _ in range(count)]
        unbegun.reverse()
        return unbegun

    def let_go(self) -> None:
        """End it, whatever it does."""
        self.is_leaving = True
        if self._run is not None:
            self._run.stop("terminate", 0.0)

    def _hear(self) -> None:
        """Take results as they come."""
        self._read()
        self._rest()

    def _rest(self) -> None:
        """Have it given other jobs, when it has answered everything; of one that leaves the end is heard."""
        if not (self._sent or self.is_leaving or self._is_resting):
            self._is_resting = True
            self.idle_since = self._loop.time()
            self._owner.rest(self)

    def _read(self) -> None:
        while True:
            try:
                message = self._inlet.take()
            except OSError:
                return
            if message is None:
                return
            if message[0] == NOTE:
                self._owner.note(message[1], message[2])
            else:
                self._take(Result(*message))

    def _take(self, result: Result) -> None:
        self._cpu_s += result.cpu_s
        self.is_leaving = self.is_leaving or result.is_last
        ticket = self._sent[0]
        if ticket.stop_how is None:
            self._sent.popleft()
            ticket.return_with(result)
        # One that was asked to end has ended when its whole tree has.

    def _end(self, ended: asyncio.Future[Ended]) -> None:
        unbegun = self.take_back()
        self.abandon()
        if self._sent:
            self._sent.popleft().die_with(ended.result(), self._cpu_s)
        for ticket in unbegun:
            ticket.leave_unbegun()
        self._owner.bury(self)
