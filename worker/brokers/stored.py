"""Queues in this process: the same promises as those of a server, but for its death."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from job_item.errors import Unavailable
from worker.brokers.queues import Expired, Fallen, Loan

if TYPE_CHECKING:
    from worker.brokers.life import Life


@dataclass(slots=True, eq=False)
class Item:
    """One job: as it was put in, and how often it was lent since."""

    subject: str
    body: bytes
    task_id: str
    runs: int = 0
    delivery: int = 0
    round: int = 0
    lent: int = 0
    holder: int = 0
    """The number of the loan that counts; 0: it lies in its queue."""
    alarm: asyncio.TimerHandle | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """Which loan of a job it is."""

    item: Item
    number: int


@dataclass(slots=True)
class Store:
    """All queues of a hub. A loan ends `lease_s` after it was made or renewed."""

    lease_s: float = 30.0
    waiting: dict[str, deque[Item]] = field(default_factory=dict)
    fallen: dict[int, bytes] = field(default_factory=dict)
    known: set[tuple[str, int]] = field(default_factory=set)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def lay(self, item: Item, *, is_first: bool = False) -> None:
        """Put a job into its queue."""
        item.holder = 0
        queue = self.waiting.setdefault(item.subject, deque())
        (queue.appendleft if is_first else queue.append)(item)
        self.changed.set()
        self.changed = asyncio.Event()

    def lend(self, subject: str) -> Loan | None:
        """Lend the first job of a queue."""
        queue = self.waiting.get(subject)
        if not queue:
            return None
        item = queue.popleft()
        item.lent += 1
        item.holder = next(self.numbers)
        until_s = self.prolong(item)
        losses = item.lent - 1
        delivery, runs = item.delivery + item.lent, item.runs + losses
        token, entry = Token(item, item.holder), str(id(item))
        return Loan(subject, item.body, token, until_s, delivery, runs, losses, item.round, entry=entry)

    def prolong(self, item: Item) -> float:
        """Let a loan last for another term; returns until when."""
        if item.alarm is not None:
            item.alarm.cancel()
        loop = asyncio.get_running_loop()
        item.alarm = loop.call_later(self.lease_s, self._expire, item)
        return loop.time() + self.lease_s * 0.8

    def take(self, item: Item) -> None:
        """The job is nobody's any more."""
        if item.alarm is not None:
            item.alarm.cancel()
        item.holder = 0

    def _expire(self, item: Item) -> None:
        self.lay(item, is_first=True)


class StoredQueues:
    """See `Queues`."""

    keep_s = math.inf
    is_bypassed = False

    def __init__(self, life: Life, store: Store) -> None:
        self._life = life
        self.store = store

    async def open(self, subject: str, slots: int) -> StoredQueue:  # noqa: ARG002 - of the Protocol
        """See `Queues`."""
        self._life.check()
        self._life.fit_subscription(subject)
        self.store.waiting.setdefault(subject, deque())
        return StoredQueue(self._life, self.store, subject)

    def _mine(self, loan: Loan) -> Item:
        self._life.check()
        assert isinstance(loan.token, Token)  # noqa: S101 - made by `Store.lend`
        if loan.token.item.holder != loan.token.number:
            raise Expired("ERR-DLV-001", "The job was lent to somebody else.")
        return loan.token.item

    async def renew(self, loan: Loan) -> Loan:
        """See `Queues`."""
        return replace(loan, until_s=self.store.prolong(self._mine(loan)))

    async def accept(self, loan: Loan) -> None:
        """See `Queues`."""
        self.store.take(self._mine(loan))

    async def give_back(self, loan: Loan, runs: int) -> None:
        """See `Queues`."""
        item = self._mine(loan)
        self.store.take(item)
        item.runs, item.delivery, item.lent = runs, loan.delivery, 0
        self.store.lay(item)

    async def redeem(self, subject: str, pledge: str, until_s: float, *, is_done: bool) -> bool:  # noqa: ARG002 - of the Protocol
        """See `Queues`: nothing here outlives a process."""
        return False

    async def put(self, subject: str, task_id: str, body: bytes, round: int = 0) -> None:  # noqa: A002 - of the Protocol
        """See `Queues`."""
        self._life.check()
        if (task_id, round) not in self.store.known:
            self.store.known.add((task_id, round))
            self.store.lay(Item(subject, body, task_id, round=round))

    async def bury(self, task_id: str, letter: bytes) -> None:  # noqa: ARG002 - of the Protocol
        """See `Queues`."""
        self._life.check()
        self.store.fallen[next(self.store.numbers)] = letter

    async def fallen(self, limit: int) -> Sequence[Fallen]:
        """See `Queues`."""
        self._life.check()
        return [Fallen(number, letter) for number, letter in itertools.islice(self.store.fallen.items(), limit)]

    async def exhume(self, fallen: Fallen) -> bool:
        """See `Queues`."""
        self._life.check()
        assert isinstance(fallen.token, int)  # noqa: S101 - made above
        return self.store.fallen.pop(fallen.token, None) is not None


class StoredQueue:
    """See `Queue`."""

    def __init__(self, life: Life, store: Store, subject: str) -> None:
        self._life = life
        self._store = store
        self._subject = subject

    async def borrow(self, limit: int) -> Sequence[Loan]:
        """See `Queue`."""
        while True:
            self._life.check()
            loans: list[Loan] = []
            while len(loans) < limit and (loan := self._store.lend(self._subject)) is not None:
                loans.append(loan)
            if loans:
                return loans
            news: asyncio.Future[Any] = asyncio.ensure_future(self._store.changed.wait())
            try:
                await asyncio.wait({news, self._life.lost}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                news.cancel()
            if self._life.lost.done():
                raise Unavailable("ERR-BRK-002", self._life.lost.result())

    def widen(self, resting: int) -> None:
        """See `Queue`: nothing is sent that was not asked for."""

    async def close(self) -> None:
        """See `Queue`."""
