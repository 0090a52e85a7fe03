"""The hands of this node: made when needed, kept while busy, let go when idle; all of one nursery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from job_item.errors import Unavailable
from job_item.handlers.boot import boot_of
from job_item.handlers.roster import Roster
from job_item.keeper.pool import KeeperPool
from job_item.log import get
from worker.outcome import Outcome
from worker.runners.hand import Hand
from worker.runners.kind import Kind
from worker.runners.ticket import Ticket

IDLE_S = 60.0
"""A hand that had nothing to do for this long is let go."""
DEATHS = 5
"""How often a nursery may die before it was fit, until the jobs that wait for it fail."""
RETRY_S = 0.1
UNFIT = "The process that loads them dies again and again."


class Hands:
    """Gives tickets to hands. What it has no hand for yet waits until the nursery has made one."""

    def __init__(
        self,
        roster: Roster,
        environ: Mapping[str, str],
        note: Callable[[str, str], None],
        *,
        lock: int | None = None,
        open_files: tuple[int, int] | None = None,
    ) -> None:
        """Parameters: `roster`, what is loaded; `environ`, of the nursery; `note`, called with the notifications of
        handlers; `lock` and `open_files`, as of `KeeperPool`.
        """
        self.note = note
        self._loop = asyncio.get_running_loop()
        self._pool = KeeperPool(lock=lock, open_files=open_files, boot=boot_of(roster, environ), hear=self._hear)
        self._is_fit = False
        self._unfit: tuple[str, str] | None = None
        self._deaths = 0
        self._waiting: list[Ticket] = []
        self._idle: dict[Kind, list[Hand]] = {}
        self._hands: set[Hand] = set()
        self._where: dict[Ticket, Hand] = {}
        self._retiring: asyncio.TimerHandle | None = None
        self._is_retired = False
        self._pool.open()

    @property
    def is_unfit(self) -> bool:
        """Whether its nursery could not load the handlers."""
        return self._unfit is not None

    def give(self, ticket: Ticket) -> None:
        """Have a job run."""
        if self._unfit is not None:
            self._refuse(ticket, *self._unfit)
        elif not self._give(ticket):
            self._waiting.append(ticket)

    def stop(self, ticket: Ticket, how: str, grace_s: float) -> None:
        """End a job at whatever stage it is."""
        hand = self._where.get(ticket)
        unbegun = hand.stop(ticket, how, grace_s) if hand is not None else [ticket]
        if ticket in self._waiting:
            self._waiting.remove(ticket)
        for other in unbegun:
            self._where.pop(other, None)
            if other is ticket:
                ticket.settle(Outcome("timeout" if how == "timeout" else "terminate"))
            else:
                self.give(other)

    def retire(self) -> None:
        """Others follow: end when everything that was given has ended."""
        self._is_retired = True
        for hand in [hand for hands in self._idle.values() for hand in hands]:
            hand.let_go()
        self._end_if_retired()

    async def close(self) -> None:
        """End all hands, and what they run."""
        if self._retiring is not None:
            self._retiring.cancel()
        await self._pool.close()

    def rest(self, hand: Hand) -> None:
        """Take back a hand that has nothing to do, and give it what waits for its kind."""
        for ticket in self._waiting:
            if ticket.kind == hand.kind and self._send(hand, ticket):
                self._waiting.remove(ticket)
                return
        if self._is_retired:
            hand.let_go()
            return
        self._idle.setdefault(hand.kind, []).append(hand)
        if self._retiring is None:
            self._retiring = self._loop.call_later(IDLE_S, self._let_go_idle)

    def bury(self, hand: Hand, unbegun: list[Ticket]) -> None:
        """A hand is gone; what it had not begun goes to others."""
        self._hands.discard(hand)
        idle = self._idle.get(hand.kind, [])
        if hand in idle:
            idle.remove(hand)
        for ticket in unbegun:
            self._where.pop(ticket, None)
            self.give(ticket)
        self._end_if_retired()

    def _give(self, ticket: Ticket) -> bool:
        """Send it to a hand that rests, else to a new one; False when there can be none now."""
        resting = self._idle.get(ticket.kind)
        while resting:
            if self._send(resting.pop(), ticket):
                return True
        return self._is_fit and self._make(ticket)

    def _make(self, ticket: Ticket) -> bool:
        hand = Hand(ticket.kind, self)
        try:
            run = self._pool.start(ticket.kind.command(), hand.tell, hand.far_end)
        except Unavailable:
            hand.abandon()
            self._loop.call_later(RETRY_S, self._give_waiting)
            return False
        self._hands.add(hand)
        self._send(hand, ticket)
        hand.begin(run)
        return True

    def _send(self, hand: Hand, ticket: Ticket) -> bool:
        if hand.is_leaving or not hand.send(ticket):
            return False
        self._where[ticket] = hand
        ticket.ended.add_done_callback(lambda _: self._where.pop(ticket, None))
        return True

    def _give_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for ticket in waiting:
            self.give(ticket)

    def _hear(self, message: dict[str, Any]) -> None:
        """News of the nursery."""
        if "fit" in message:
            self._is_fit, self._deaths = True, 0
            self._give_waiting()
        elif "unfit" in message:
            self._give_up(message["code"], message["unfit"])
        elif "lost" in message:
            self._deaths += not self._is_fit
            self._is_fit = False
            if self._deaths >= DEATHS:
                self._give_up("ERR-HND-009", f"The handlers cannot be loaded. {UNFIT}")

    def _give_up(self, code: str, reason: str) -> None:
        get("worker").error("handlers.unloaded", code=code, reason=reason)
        self._unfit = (code, reason)
        self._give_waiting()

    def _refuse(self, ticket: Ticket, code: str, reason: str) -> None:
        ticket.settle(Outcome("failed", error_code=code, error=reason, may_pass=True))

    def _let_go_idle(self) -> None:
        """Let those go that were idle since the timer was set; look again while there are others."""
        self._retiring = None
        since = self._loop.time() - IDLE_S
        for hand in [hand for hands in self._idle.values() for hand in hands if hand.idle_since <= since]:
            self._idle[hand.kind].remove(hand)
            hand.let_go()
        left = [hand.idle_since for hands in self._idle.values() for hand in hands]
        if left:
            self._retiring = self._loop.call_later(min(left) - since, self._let_go_idle)

    def _end_if_retired(self) -> None:
        if self._is_retired and not self._hands and not self._waiting:
            self._loop.create_task(self.close())
