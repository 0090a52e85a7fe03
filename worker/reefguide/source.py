"""Takes jobs from the API: polls one type after the other while a slot is free (protocol reefguide.md, section 14).

Each poll names its type, so that ten older jobs of another type hide nothing; of the jobs that it shows one is taken by
chance, so that nodes meet seldom. A claim that was lost to others is no find: the job is left alone for a while, the
next one is tried, and when all were lost the pauses grow.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable

from job_item.errors import Unavailable
from job_item.log import get
from job_item.policy import Backoff
from job_item.reefspec import ReefGuide
from worker.reefguide.access import Busy
from worker.reefguide.claims import Claims
from worker.reefguide.client import Client
from worker.reefguide.wire import Listed

JITTER = 0.25
"""The share of a pause that chance takes away."""
AVOID_S = 60.0
"""How long a job is left alone that others have got."""
LONGEST = 16.0
"""A pause is at most so many poll intervals long, however often nothing was to be had."""
FAILED = Backoff(1.0, 2.0, 60.0, 0.5)


class Slots:
    """How many jobs of the API this node may hold: those that it has, and those that it is asking for."""

    def __init__(self, most: int) -> None:
        self.held: set[str] = set()
        self.asking = 0
        self._most = most

    @property
    def free(self) -> int:
        """How many more it may take."""
        return max(self._most - len(self.held) - self.asking, 0)


class Source:
    """Polls until it is stopped. `has_slot` tells whether a job of a type would start here at once."""

    def __init__(
        self, client: Client, claims: Claims, settings: ReefGuide, slots: Slots, has_slot: Callable[[str], bool]
    ) -> None:
        self.on_bug: Callable[[Exception], None] = lambda _: None
        """Called when a round failed for a reason of our own."""
        self.on_settled: Callable[[], None] = lambda: None
        """Called whenever a claim has come to its end."""
        self._client = client
        self._claims = claims
        self._settings = settings
        self._slots = slots
        self._has_slot = has_slot
        self._types = deque(settings.job_types)
        self._avoided: dict[int, float] = {}
        self._wake = asyncio.Event()
        self._over = asyncio.Event()
        self._rounds: asyncio.Task[None] | None = None
        self._claiming: set[asyncio.Task[bool | None]] = set()

    def start(self) -> None:
        """Poll from now on."""
        self._rounds = asyncio.get_running_loop().create_task(self._work())

    def wake(self) -> None:
        """A slot may be free: poll at once."""
        self._wake.set()

    async def stop(self, limit_s: float) -> None:
        """Poll no more. Claims that are on their way are waited for, so long at most: none is given up half-way."""
        self._over.set()
        if self._rounds is not None:
            self._rounds.cancel()
            await asyncio.gather(self._rounds, return_exceptions=True)
        if self._claiming:
            await asyncio.wait(tuple(self._claiming), timeout=limit_s)
        for task in tuple(self._claiming):
            task.cancel()
        await asyncio.gather(*self._claiming, return_exceptions=True)

    async def _work(self) -> None:
        """Rounds, and pauses between them. A failure of ours is told, and polling goes on."""
        failures = fruitless = 0
        while True:
            self._wake.clear()
            pause_s = self._settings.poll_interval
            try:
                won, lost = await self._round()
            except Unavailable as error:
                failures += 1
                self._client.lose(error)
                pause_s = max(pause_s, FAILED.delay_s(failures, random.random()))  # noqa: S311 - against herds
                if isinstance(error, Busy):
                    pause_s = max(pause_s, error.wait_s)
            except Exception as bug:
                failures += 1
                get("worker").error("poll.failed", code="ERR-HST-003", reason=repr(bug), exc_info=bug)
                self.on_bug(bug)
                pause_s = max(pause_s, FAILED.delay_s(failures, 0.0))
            else:
                failures = 0
                fruitless = fruitless + 1 if lost and not won else 0
                pause_s *= min(2.0**fruitless, LONGEST)
                if won and self._slots.free:
                    continue
            is_willing = failures == 0
            await self._pause(pause_s * (1 - JITTER * random.random()), is_willing=is_willing)  # noqa: S311

    async def _round(self) -> tuple[int, int]:
        """Ask for jobs of each type once, while there is a slot for them; how many were got, and how many lost."""
        won = lost = 0
        for _ in range(len(self._types)):
            job_type = self._types[0]
            self._types.rotate(-1)
            if not self._slots.free or not self._has_slot(job_type):
                continue
            listed = [job for job in await self._client.poll(job_type) if self._is_open(job)]
            random.shuffle(listed)
            while listed and self._slots.free and self._has_slot(job_type):
                batch, listed = listed[: self._slots.free], listed[self._slots.free :]
                results = await self._claim(batch)
                won += results.count(True)
                lost += results.count(False)
        return won, lost

    async def _claim(self, batch: list[Listed]) -> list[bool | None]:
        """Claim some jobs at once. They go on when this is cancelled; raises the first failure once all are done."""
        tasks = [asyncio.get_running_loop().create_task(self._claim_one(job)) for job in batch]
        self._claiming.update(tasks)
        for task in tasks:
            task.add_done_callback(self._forget)
        await asyncio.wait(tasks)
        return [task.result() for task in tasks]

    async def _claim_one(self, job: Listed) -> bool | None:
        self._slots.asking += 1
        try:
            is_won = await self._claims.claim(job)
        finally:
            self._slots.asking -= 1
            self.on_settled()
        if is_won is False:
            self._avoided[job.id] = time.monotonic() + AVOID_S
        return is_won

    def _forget(self, task: asyncio.Task[bool | None]) -> None:
        self._claiming.discard(task)
        if not task.cancelled():
            task.exception()

    def _is_open(self, job: Listed) -> bool:
        """Whether a job may be tried: not one that others have just got, nor one that may be ours already."""
        now_s = time.monotonic()
        self._avoided = {number: until_s for number, until_s in self._avoided.items() if until_s > now_s}
        return job.id not in self._avoided and job.id not in self._claims.doubtful

    async def _pause(self, pause_s: float, *, is_willing: bool) -> None:
        """Wait; a slot that becomes free ends the wait where the API is well."""
        try:
            async with asyncio.timeout(pause_s):
                await (self._wake if is_willing else self._over).wait()
                await asyncio.sleep(0)
        except TimeoutError:
            return
