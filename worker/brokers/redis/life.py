"""One life of a connection to Redis.

It has two connections: one that listens, as a connection with subscriptions may do nothing else, and one that talks.
All members of a group get a message; who sets the lock first takes it. Nothing is stored.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import Any

from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from job_item import log
from job_item.connections import RedisConnection
from job_item.errors import NodeError
from worker.brokers.failure import connect_failure, why
from worker.brokers.life import PROBE_SUBJECT, Life
from worker.brokers.redis.line import CONNECT_S, Line, wire_of
from worker.brokers.redis.queues import RedisQueues
from worker.brokers.redis.subscription import LOCK_S, Arrived, RedisSubscription, lock_key
from worker.brokers.seam import Delivery, Take

ANSWER_S = 10.0
CLOSE_S = 2.0
PAYLOAD_LIMIT_BYTES = 8 << 20
"""Of our own: a server ends subscribers that have 8 MiB waiting for a minute, and 32 MiB at once."""


class RedisLife(Life):
    """One life of a connection; see `Connection`."""

    def __init__(self, settings: RedisConnection, project: str) -> None:
        self._address = settings.addresses[0]
        super().__init__(f"redis {self._address}", settings.secrets())
        if settings.delivery == "durable":
            self.queues = RedisQueues(self, settings, project)
        self._further: set[Line] = set()
        self.payload_limit = PAYLOAD_LIMIT_BYTES
        self._talk = Line(self, wire_of(settings), {})
        self._subscriptions: dict[bytes, list[RedisSubscription]] = {}
        self._listen = Line(self, wire_of(settings), self._subscriptions)
        self._own = PROBE_SUBJECT + secrets.token_hex(8)
        self._probes: dict[bytes, asyncio.Future[None]] = {}

    async def open(self, settings: RedisConnection) -> None:
        """Connect. Raises as `Broker.connect`."""
        try:
            async with asyncio.timeout(CONNECT_S):
                for line in (self._talk, self._listen):
                    await line.open()
                    await (await line.ask("PING"))
            await self.subscribe(self._own, None, self._on_probe)
        except BaseException as error:
            await self.close()
            if not isinstance(error, Exception) or (isinstance(error, NodeError) and error.code != "ERR-BRK-002"):
                raise
            is_login = isinstance(error, (AuthenticationError, NoPermissionError)) or "NOAUTH" in str(error)
            raise connect_failure(settings, self._address, error, is_login=is_login) from None

    async def call(self, *command: str | bytes | int) -> Any:
        """Ask something on the line that talks. Raises Unavailable, and ResponseError where Redis refuses it."""
        self.check()
        return await self.answered(await self._talk.ask(*command), ANSWER_S)

    async def join(self, line: Line) -> None:
        """Open one more line, which lives and ends with this connection. Raises Unavailable."""
        self._further.add(line)  # also while it opens and closes: who does that may be cancelled
        try:
            async with asyncio.timeout(CONNECT_S):
                await line.open()
                line.number = int(await (await line.ask("CLIENT", "ID")))
        except (RedisError, OSError) as error:
            await self.leave(line)
            self.end(why(error))
            self.check()

    async def leave(self, line: Line) -> None:
        """Close such a line."""
        await line.close()
        self._further.discard(line)

    async def publish(self, subject: str, body: bytes) -> None:
        """See `Connection`. That Redis refuses it comes later, and goes to the log."""
        self.check()
        self.fit(subject, body, self.payload_limit)
        answer = await self._talk.ask("PUBLISH", subject, body)
        answer.add_done_callback(lambda done: self._say_refused(subject, done))

    async def deliver(self, subject: str, body: bytes) -> bool:
        """See `Connection`: Redis says how many got it."""
        self.check()
        self.fit(subject, body, self.payload_limit)
        answer = await self._talk.ask("PUBLISH", subject, body)
        try:
            return int(await self.answered(answer, ANSWER_S)) > 0
        except ResponseError:
            self._say_refused(subject, answer)
            return False

    def _say_refused(self, subject: str, answer: asyncio.Future[Any]) -> None:
        error = answer.exception() if not answer.cancelled() else None
        if isinstance(error, ResponseError):
            log.get("worker").error(
                "broker.publish_refused",
                code="ERR-BRK-009",
                broker=self.place,
                subject=subject,
                reason=self.clean(str(error)),
            )

    async def subscribe(
        self,
        subject: str,
        group: str | None,
        take: Take,
        *,
        prefetch: int | None = None,  # noqa: ARG002 - of the Protocol
    ) -> RedisSubscription:
        """See `Connection`; there is nothing to prefetch, as the server pushes."""
        self.check()
        self.fit_subscription(subject)
        subscription = RedisSubscription(self, subject, group, take)
        self._subscriptions.setdefault(subject.encode(), []).append(subscription)
        try:
            await self.answered(await self._listen.ask("SUBSCRIBE", subject), ANSWER_S)
        except ResponseError as error:
            self._forget_subscription(subscription)
            raise NodeError("ERR-BRK-003", self.clean(f"{self.place}: {subject}: {error}")) from None
        return subscription

    def _forget_subscription(self, subscription: RedisSubscription) -> bool:
        """Whether it was the last one of its subject."""
        subject = subscription.subject.encode()
        others = self._subscriptions.get(subject, [])
        if subscription not in others:
            return False
        others.remove(subscription)
        if not others:
            del self._subscriptions[subject]
        return not others

    async def end_subscription(self, subscription: RedisSubscription) -> None:
        """Unsubscribe; what came before the answer is on the belt."""
        if self.lost.done() or subscription not in self._subscriptions.get(subscription.subject.encode(), []):
            return
        with suppress(NodeError, ResponseError):
            if len(self._subscriptions[subscription.subject.encode()]) == 1:
                await self.answered(await self._listen.ask("UNSUBSCRIBE", subscription.subject), ANSWER_S)
        self._forget_subscription(subscription)

    def leave_subscription(self, subscription: RedisSubscription) -> None:
        """Unsubscribe without waiting. What the server sends until then is nobody's."""
        if self._forget_subscription(subscription) and not self.lost.done():
            self._listen.tell("UNSUBSCRIBE", subscription.subject)

    async def arrive(self, subscription: RedisSubscription, body: bytes) -> None:
        """A message: the lock is asked for at once, so that waiting for a turn does not outlast it."""
        until = self._loop.time() + LOCK_S
        lock = None if subscription.group is None else await self.lock(subscription.subject, subscription.group, body)
        subscription.belt.put(Arrived(body, lock, until), len(body))

    async def lock(self, subject: str, group: str, body: bytes) -> asyncio.Future[Any]:
        """Ask for the lock of a message."""
        return await self._talk.ask("SET", lock_key(subject, group, body), "1", "EX", LOCK_S, "NX")

    async def flush(self) -> None:
        """See `Connection`: one connection carries all, in its order."""

    async def waiting(self, subject: str) -> int | None:  # noqa: ARG002 - of the Protocol
        """See `Connection`: nothing is kept here."""
        return None

    async def probe(self, limit_s: float) -> None:
        """See `Connection`: a message to this connection's own subject."""
        self.check()
        sign = secrets.token_hex(8).encode()
        came = self._probes[sign] = self._loop.create_future()
        try:
            await self._talk.ask("PUBLISH", self._own, sign)
            await self.await_probe(came, limit_s)
        finally:
            self._probes.pop(sign, None)

    async def _on_probe(self, delivery: Delivery) -> None:
        came = self._probes.get(delivery.body)
        if came is not None and not came.done():
            came.set_result(None)

    def end_overflow(self) -> None:
        """More waits than may: rather be lost and come back."""
        self.end("this node takes its messages too slowly")

    async def close(self) -> None:
        """See `Connection`."""
        if not self.is_deaf and not self.lost.done():
            with suppress(Exception):
                async with asyncio.timeout(CLOSE_S):
                    await self._talk.flush()
        self.end("closed by this node")
        for line in (self._talk, self._listen, *self._further):
            await line.close()
        for subscription in [entry for entries in self._subscriptions.values() for entry in entries]:
            for _ in subscription.belt.clear():
                self.say_lost_message(subscription.subject, "it waited here when the connection was closed")
