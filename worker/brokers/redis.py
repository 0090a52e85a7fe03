"""Redis: PUBLISH and SUBSCRIBE, and a lock for each message of a group (protocol job-item.md, section 3.5).

A life has two connections: one that listens, as a connection with subscriptions may do nothing else, and one that
talks. All members of a group get a message; who sets the lock first takes it. Nothing is stored.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.asyncio.connection import Connection as Wire
from redis.asyncio.connection import SSLConnection
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from job_item import log
from job_item.connections import RedisConnection
from job_item.errors import NodeError, Unavailable
from worker.brokers.belt import Belt
from worker.brokers.failure import connect_failure, why
from worker.brokers.life import PROBE_SUBJECT, Life
from worker.brokers.seam import Delivery, Take
from worker.brokers.tls import tls_context

CONNECT_S = 5.0
ANSWER_S = 10.0
CLOSE_S = 2.0
LOCK_S = 5
"""How long a lock lasts; it is never taken off."""
LOCK_PAUSE_S = 0.2
PAYLOAD_LIMIT_BYTES = 8 << 20
"""Of our own: a server ends subscribers that have 8 MiB waiting for a minute, and 32 MiB at once."""


def lock_key(subject: str, group: str, body: bytes) -> bytes:
    """The key that the members of a group compete for: `lock:<subject>:<group>:<hex of the payload>`."""
    return b"lock:%b:%b:%b" % (subject.encode(), group.encode(), body.hex().encode())


class RedisBroker:
    """Connects to the server of the settings."""

    name = "redis"

    def __init__(self, settings: RedisConnection) -> None:
        self._settings = settings

    async def connect(self) -> RedisLife:
        """See `Broker`."""
        life = RedisLife(self._settings)
        await life.open(self._settings)
        return life


@dataclass(slots=True, eq=False)
class _Arrived:
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
        self.belt: Belt[_Arrived] = Belt(self._work, life.end_overflow)

    async def cancel(self) -> None:
        """See `Subscription`."""
        await self._life.end_subscription(self)

    async def _work(self, arrived: _Arrived) -> None:
        """Let one message be taken, if it is for us; the server has forgotten it already."""
        if arrived.lock is not None and not await self._won(arrived, arrived.lock):
            return

        async def give_back() -> None:
            self._life.say_lost_message(self.subject, "Redis takes nothing back")

        await self._take(Delivery(self.subject, arrived.body, _nothing, _nothing, give_back))

    async def _won(self, arrived: _Arrived, lock: asyncio.Future[Any]) -> bool:
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


class RedisLife(Life):
    """One life of a connection; see `Connection`."""

    def __init__(self, settings: RedisConnection) -> None:
        self._address = settings.addresses[0]
        super().__init__(f"redis {self._address}", settings.secrets())
        self.payload_limit = PAYLOAD_LIMIT_BYTES
        self._talk = _Line(self, _wire(settings), {})
        self._subscriptions: dict[bytes, list[RedisSubscription]] = {}
        self._listen = _Line(self, _wire(settings), self._subscriptions)
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
            return int(await self.during(_answered(answer), ANSWER_S)) > 0
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
        prefetch: int = 1,  # noqa: ARG002 - of the Protocol
    ) -> RedisSubscription:
        """See `Connection`; there is nothing to prefetch, as the server pushes."""
        self.check()
        self.fit_subscription(subject)
        subscription = RedisSubscription(self, subject, group, take)
        self._subscriptions.setdefault(subject.encode(), []).append(subscription)
        try:
            await self.during(_answered(await self._listen.ask("SUBSCRIBE", subject)), ANSWER_S)
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
                await self.during(_answered(await self._listen.ask("UNSUBSCRIBE", subscription.subject)), ANSWER_S)
        self._forget_subscription(subscription)

    async def arrive(self, subscription: RedisSubscription, body: bytes) -> None:
        """A message: the lock is asked for at once, so that waiting for a turn does not outlast it."""
        until = asyncio.get_running_loop().time() + LOCK_S
        lock = None if subscription.group is None else await self.lock(subscription.subject, subscription.group, body)
        subscription.belt.put(_Arrived(body, lock, until), len(body))

    async def lock(self, subject: str, group: str, body: bytes) -> asyncio.Future[Any]:
        """Ask for the lock of a message."""
        return await self._talk.ask("SET", lock_key(subject, group, body), "1", "EX", LOCK_S, "NX")

    async def probe(self, limit_s: float) -> None:
        """See `Connection`: a message to this connection's own subject."""
        self.check()
        sign = secrets.token_hex(8).encode()
        came = self._probes[sign] = asyncio.get_running_loop().create_future()
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
        for line in (self._talk, self._listen):
            await line.close()
        for subscription in [entry for entries in self._subscriptions.values() for entry in entries]:
            for _ in subscription.belt.clear():
                self.say_lost_message(subscription.subject, "it waited here when the connection was closed")


class _Line:
    """One connection: commands go out in order, and answers come in the same order, messages between them."""

    def __init__(self, life: RedisLife, wire: Wire, subscriptions: dict[bytes, list[RedisSubscription]]) -> None:
        self._life = life
        self._wire = wire
        self._subscriptions = subscriptions
        self._awaited: deque[asyncio.Future[Any]] = deque()
        self._reader: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect and log in. Raises what the library raises."""
        await self._wire.connect()  # type: ignore[no-untyped-call]  # the library's
        self._reader = asyncio.get_running_loop().create_task(self._read())

    async def ask(self, *command: str | bytes | int) -> asyncio.Future[Any]:
        """Send a command; the future has its answer. Raises Unavailable when the connection is lost.

        Its error need not be fetched.
        """
        self._life.check()
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(_fetch)
        self._awaited.append(answer)
        try:
            await self._wire.send_packed_command(self._wire.pack_command(*command), check_health=False)
        except (RedisError, OSError) as error:
            self._life.end(why(error))
            self._life.check()
        return answer

    async def flush(self) -> None:
        """Return when all that was asked has been answered."""
        if self._awaited:
            await asyncio.wait((self._awaited[-1],))

    async def _read(self) -> None:
        """Read to the end of this life."""
        try:
            while True:
                try:
                    await self._take(await self._wire.read_response(timeout=math.inf, disconnect_on_error=False))
                except (ResponseError, AuthenticationError) as error:
                    self._answer(error)
        except (RedisError, OSError, Unavailable) as error:
            self._life.end(why(error) if not isinstance(error, RedisError) else "the server ended the connection")
        finally:
            gone = Unavailable("ERR-BRK-002", f"{self._life.place}: the connection is lost")
            while self._awaited:
                self._answer(gone)

    async def _take(self, response: Any) -> None:
        match response:
            case [b"message", bytes(subject), bytes(body)]:
                for subscription in list(self._subscriptions.get(subject, ())):
                    await self._life.arrive(subscription, body)
            case _:
                self._answer(response)

    def _answer(self, response: Any) -> None:
        if not self._awaited:  # e.g. the reason why the server is about to hang up
            return
        answer = self._awaited.popleft()
        if answer.done():
            return
        if isinstance(response, Exception):
            answer.set_exception(response)
        else:
            answer.set_result(response)

    async def close(self) -> None:
        """Hang up without waiting for the other end."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait((self._reader,))
        # A link that takes nothing would hold the socket until the kernel gives up; the library has no word for that.
        if self._wire._writer is not None:
            self._wire._writer.transport.abort()
        with suppress(RedisError, OSError):
            await self._wire.disconnect(nowait=True)


def _wire(settings: RedisConnection) -> Wire:
    """A connection that is not open yet; it neither tries again nor tells the server what library it is."""
    address = settings.addresses[0]
    wanted: dict[str, Any] = {
        "host": address.host,
        "port": address.port,
        "db": settings.db,
        "username": settings.user,
        "password": settings.password.get_secret_value() if settings.password else None,
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_S,
        "protocol": 2,
        "driver_info": None,
    }
    context = tls_context(settings)
    if context is None:
        return Wire(**wanted)
    wire = SSLConnection(**wanted)
    wire.ssl_context.context = context
    return wire


async def _answered(answer: asyncio.Future[Any]) -> Any:
    return await answer


def _fetch(answer: asyncio.Future[Any]) -> None:
    if not answer.cancelled():
        answer.exception()


async def _nothing() -> None:
    """The server forgets a message when it sends it."""
