"""The hands of this node: made when needed, kept while busy, let go when idle; all of one nursery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from job_item.errors import Unavailable
from job_item.handlers.boot import boot_of
from job_item.handlers.roster import Roster
from job_item.keeper.pool import KeeperPool
from job_item.keeper.siblings import Siblings
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
    """Gives jobs to hands. What it has no hand for yet waits until the nursery has made one."""

    def __init__(
        self,
        roster: Roster,
        environ: Mapping[str, str],
        note: Callable[[str, str], None],
        *,
        lock: int | None = None,
        open_files: tuple[int, int] | None = None,
        siblings: Siblings | None = None,
    ) -> None:
        """Parameters: `roster`, what is loaded; `environ`, of the nursery; `note`, called with the notifications of
        handlers; `lock`, `open_files`, `siblings`, as of `KeeperPool`.
        """
        self.note = note
        self._loop = asyncio.get_running_loop()
        boot = boot_of(roster, environ)
        self._pool = KeeperPool(lock=lock, open_files=open_files, boot=boot, hear=self._hear, siblings=siblings)
        self._is_fit = False
        self._unfit: tuple[str, str] | None = None
        self._deaths = 0
        self._waiting: list[Sequence[Ticket]] = []
        self._idle: dict[Kind, list[Hand]] = {}
        self._hands: set[Hand] = set()
        self._retiring: asyncio.TimerHandle | None = None
        self._is_retired = False
        self._pool.open()

    @property
    def is_over(self) -> bool:
        """Whether it was to end, and nothing of it runs any more."""
        return self._is_retired and not self._hands and not self._waiting

    @property
    def is_unfit(self) -> bool:
        """Whether its nursery could not load the handlers."""
        return self._unfit is not None

    def give(self, batch: Sequence[Ticket]) -> None:
        """Have jobs run, one after the other in one hand: they are all of one kind.

        Those that it does not come to are left unbegun (`Ticket.leave_unbegun`).
        """
        if self._unfit is not None:
            code, reason = self._unfit
            for ticket in batch:
                ticket.settle(Outcome("failed", error_code=code, error=reason, may_pass=True))
        elif not self._give(batch):
            self._waiting.append(batch)

    def stop(self, ticket: Ticket, how: str, grace_s: float) -> None:
        """End a job at whatever stage it is; those behind it are left unbegun."""
        unbegun = ticket.hand.stop(ticket, how, grace_s) if ticket.hand is not None else [ticket]
        for other in unbegun:
            if other is ticket:
                other.settle(Outcome("timeout" if how == "timeout" else "terminate"))
            else:
                other.leave_unbegun()

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
        self._waiting = [batch for batch in self._waiting if any(ticket.result is None for ticket in batch)]
        for batch in self._waiting:
            if batch[0].kind == hand.kind and self._send(hand, batch):
                self._waiting.remove(batch)
                return
        if self._is_retired:
            hand.let_go()
            return
        self._idle.setdefault(hand.kind, []).append(hand)
        if self._retiring is None:
            self._retiring = self._loop.call_later(IDLE_S, self._let_go_idle)

    def bury(self, hand: Hand) -> None:
        """A hand is gone."""
        self._hands.discard(hand)
        idle = self._idle.get(hand.kind, [])
        if hand in idle:
            idle.remove(hand)
        self._end_if_retired()

    def _give(self, batch: Sequence[Ticket]) -> bool:
        """Send it to a hand that rests, else to a new one; False when there can be none now."""
        resting = self._idle.get(batch[0].kind)
        while resting:
            if self._send(resting.pop(), batch):
                return True
        return self._is_fit and self._make(batch)

    def _make(self, batch: Sequence[Ticket]) -> bool:
        kind = batch[0].kind
        hand = Hand(kind, self)
        try:
            run = self._pool.start(kind.command(), hand.tell, hand.far_end)
        except Unavailable:
            hand.abandon()
            self._loop.call_later(RETRY_S, self._give_waiting)
            return False
        self._hands.add(hand)
        self._send(hand, batch)
        hand.begin(run)
        return True

    def _send(self, hand: Hand, batch: Sequence[Ticket]) -> bool:
        """Send what it takes; False when it takes nothing."""
        if hand.is_leaving:
            return False
        wanted = [ticket for ticket in batch if ticket.result is None]  # others were ended while they waited
        sent = hand.send(wanted)
        if not sent:
            return False
        for ticket in wanted[sent:]:
            ticket.leave_unbegun()
        return True

    def _give_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for batch in waiting:
            if any(ticket.result is None for ticket in batch):
                self.give(batch)

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
        if self.is_over:
            self._loop.create_task(self.close())
