"""Messages of one subject of Redis: who sets a message's lock first takes it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from job_item.errors import Unavailable
from worker.brokers.belt import Belt
from worker.brokers.seam import Delivery, Take

if TYPE_CHECKING:
    from worker.brokers.redis.life import RedisLife

LOCK_S = 5
"""How long a lock lasts; it is never taken off."""
LOCK_PAUSE_S = 0.2


def lock_key(subject: str, group: str, body: bytes) -> bytes:
    """The key that the members of a group compete for: `lock:<subject>:<group>:<hex of the payload>`."""
    return b"lock:%b:%b:%b" % (subject.encode(), group.encode(), body.hex().encode())


@dataclass(slots=True, eq=False)
class Arrived:
    """A message of a subscription, and what became of its lock."""

    body: bytes
    lock: asyncio.Future[Any] | None
    until: float
    """On the loop's clock: later, a lock would be another one."""


class RedisSubscription:
    """See `Subscription`."""

    def __init__(self, life: RedisLife, subject: str, group: str | None, take: Take) -> None:
        self._life = life
        self.subject = subject
        self.group = group
        self._take = take
        self.belt: Belt[Arrived] = Belt(self._work, life.end_overflow)

    async def cancel(self) -> None:
        """See `Subscription`."""
        await self._life.end_subscription(self)

    async def stand(self, *, is_behind: bool) -> None:
        """See `Subscription`: nothing is kept."""

    def leave(self) -> None:
        """See `Subscription`."""
        self._life.leave_subscription(self)

    async def _work(self, arrived: Arrived) -> None:
        """Let one message be taken, if it is for us; the server has forgotten it already."""
        if arrived.lock is not None and not await self._won(arrived, arrived.lock):
            return

        async def give_back() -> None:
            self._life.say_lost_message(self.subject, "Redis takes nothing back")

        await self._take(Delivery(self.subject, arrived.body, _nothing, _nothing, give_back))

    async def _won(self, arrived: Arrived, lock: asyncio.Future[Any]) -> bool:
        """Whether the lock is ours. What Redis refuses is asked again as long as the lock would be the same one."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await lock is not None
            except Unavailable as failure:
                self._life.say_lost_message(self.subject, f"its lock could not be taken: {failure.message}")
                return False
            except ResponseError as error:
                if loop.time() + LOCK_PAUSE_S > arrived.until:
                    self._life.say_lost_message(self.subject, f"its lock could not be taken: {error}")
                    return False
            await asyncio.sleep(LOCK_PAUSE_S)
            lock = await self._life.lock(self.subject, self.group or "", arrived.body)


async def _nothing() -> None:
    """The server forgets a message when it sends it."""
