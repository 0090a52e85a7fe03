"""One connection to a NATS server.

A subscription is confirmed by a round trip, `deliver` by the server's answer that nobody is there (status 503), which
comes before the answer to a ping sent after the message. All who wait at the same time share one ping. Nothing is
stored: what nobody takes is gone.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

from job_item import log
from job_item.address import Address
from job_item.connections import NatsConnection
from job_item.errors import BadMessage, NodeError, Unavailable
from worker.brokers.belt import Belt
from worker.brokers.failure import connect_failure, why
from worker.brokers.life import Life, is_subject
from worker.brokers.nats.answers import Answers, is_nobody
from worker.brokers.nats.client import ConnectFailed, GuardedClient, Hear, Msg, errors
from worker.brokers.nats.queues import NatsQueues
from worker.brokers.nats.subscription import NatsSubscription
from worker.brokers.nats.wildcards import is_subscribable
from worker.brokers.seam import Delivery, Take
from worker.brokers.tls import tls_context

CONNECT_S = 5.0
ANSWER_S = 10.0
CLOSE_S = 2.0
_PENDING_BYTES = 4 << 20
_PING_S = 20
_VIOLATION = re.compile(r'permissions violation for (subscription|publish) to "([^"]*)"')


class NatsLife(Life):
    """One connection to one server; see `Connection`."""

    def __init__(self, settings: NatsConnection, address: Address, project: str) -> None:
        super().__init__(f"nats {address}", settings.secrets())
        if settings.delivery == "durable":
            self.queues = NatsQueues(self, settings, project)
        self.payload_limit = 0
        self._client = GuardedClient(is_tls=settings.is_tls)
        self._is_open = False
        self._belts: set[Belt[Msg]] = set()
        self._refused: dict[str, str] = {}
        self._answers: Answers

    async def open(self, settings: NatsConnection, address: Address) -> None:
        """Connect. Raises as `Broker.connect`."""
        try:
            await self._connect(settings, address)
        except BaseException as error:
            await self.close()
            if isinstance(error, NodeError) or not isinstance(error, Exception):
                raise
            cause = error.__cause__ if isinstance(error, ConnectFailed) and error.__cause__ else error
            is_login = isinstance(cause, errors.AuthorizationError) or "authorization violation" in str(cause).lower()
            raise connect_failure(settings, address, cause, is_login=is_login) from None

    async def _connect(self, settings: NatsConnection, address: Address) -> None:
        client, auth = self._client, settings.auth
        user = settings.user if auth == "user_password" else None
        password = settings.password.get_secret_value() if auth == "user_password" and settings.password else None
        token = settings.token.get_secret_value() if auth == "token" and settings.token else None
        async with asyncio.timeout(CONNECT_S):
            await client.connect(
                f"nats://{address}",
                error_cb=self._on_error,
                closed_cb=self._on_closed,
                name=settings.name or "job_item",
                allow_reconnect=False,
                connect_timeout=int(CONNECT_S),
                ping_interval=_PING_S,
                pending_size=_PENDING_BYTES,
                tls=tls_context(settings),
                user=client.shown(user),
                password=client.shown(password),
                token=client.shown(token),
            )
        self._is_open = True
        self.payload_limit = client.max_payload
        # When its reader dies of a bug, the library says so to its log only.
        if client._reading_task is not None:
            client._reading_task.add_done_callback(lambda _: self._on_end())
        self._answers = Answers(client.new_inbox())
        client.listen(self._answers.subject, "", self._answers.take)
        await self._round_trip(ANSWER_S)
        self._raise_if_refused(self._answers.subject)

    async def publish(self, subject: str, body: bytes) -> None:
        """See `Connection`."""
        self.check()
        self.fit(subject, body, self.payload_limit)
        await self.send(subject, body)

    async def send(self, subject: str, body: bytes, reply: str = "", headers: dict[str, str] | None = None) -> None:
        """Send a message that may be answered. Raises as `Connection.publish`."""
        self.check()
        try:
            if headers is None:
                self._client.tell(subject, body, reply)
            else:
                await self._client.publish(subject, body, reply, headers)
        except errors.BadSubjectError:
            raise BadMessage("ERR-BRK-006", f"{subject!r} cannot be a subject") from None
        except errors.Error as error:
            raise self._ended(error) from error
        if self._client.backlog_bytes >= _PENDING_BYTES // 2:
            await self.during(self._client.drained(), ANSWER_S * 6)

    def _ended(self, error: errors.Error) -> Unavailable:
        """The library has refused to go on."""
        self._on_end()
        return Unavailable("ERR-BRK-002", self.clean(f"{self.place}: {why(error)}"))

    async def deliver(self, subject: str, body: bytes) -> bool:
        """See `Connection`. The further reply subject is invisible to who takes the message (section 9.1, L8)."""
        self.check()
        self.fit(subject, body, self.payload_limit)
        with self._answers.awaited() as (reply, answer):
            await self.send(subject, body, reply)
            await self._round_trip(ANSWER_S)  # whether nobody is there has come before
            return not (answer.done() and is_nobody(answer.result()))

    async def subscribe(
        self,
        subject: str,
        group: str | None,
        take: Take,
        *,
        prefetch: int | None = None,  # noqa: ARG002 - of the Protocol
    ) -> NatsSubscription:
        """See `Connection`; there is nothing to prefetch, as the server pushes."""
        self.check()
        self.fit_subscription(subject)
        if not is_subscribable(subject) or not is_subject(group or "-"):
            raise NodeError("ERR-BRK-003", f"{subject!r} of group {group!r} cannot be subscribed to")
        belt: Belt[Msg] = Belt(lambda message: self._hand_over(message, take), self._on_overflow)
        number = self.listen(subject, group or "", lambda message: belt.put(message, len(message.data)))
        self._belts.add(belt)
        await self._round_trip(ANSWER_S)
        try:
            self._raise_if_refused(subject)
        except NodeError:
            self._client.forget(number)
            raise
        return NatsSubscription(self, number, belt)

    def _raise_if_refused(self, subject: str) -> None:
        if reason := self._refused.pop(subject.lower(), None):
            raise NodeError("ERR-BRK-003", self.clean(f"{self.place}: {reason}"))

    async def _hand_over(self, message: Msg, take: Take) -> None:
        """Let one message be taken; the server has forgotten it already."""

        async def give_back() -> None:
            self.say_lost_message(message.subject, "NATS takes nothing back")

        await take(Delivery(message.subject, message.data, _nothing, _nothing, give_back))

    async def flush(self) -> None:
        """See `Connection`: one connection carries all, in its order."""

    async def waiting(self, subject: str) -> int | None:  # noqa: ARG002 - of the Protocol
        """See `Connection`: nothing is kept here."""
        return None

    async def probe(self, limit_s: float) -> None:
        """See `Connection`: a message to this connection's own inbox."""
        self.check()
        with self._answers.awaited() as (reply, answer):
            await self.send(reply, b"")
            await self.await_probe(answer, limit_s)

    async def request(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> Msg:
        """Send, and return the answer; one that does not come is the end of this life.

        Raises Unavailable, and NodeError (ERR-BRK-009) where the user may not publish there.
        """
        self.check()
        with self._answers.awaited(subject) as (reply, answer):
            await self.send(subject, body, reply, headers)
            return await self.answered(answer, ANSWER_S)

    def new_inbox(self) -> str:
        """A subject of this connection's own."""
        return self._client.new_inbox()

    def listen(self, subject: str, group: str, hear: Hear) -> int:
        """Have `hear` called with what comes; returns the number of the subscription. Raises Unavailable."""
        try:
            return self._client.listen(subject, group, hear)
        except errors.Error as error:
            raise self._ended(error) from error

    async def unlisten(self, number: int) -> None:
        """Take no more; what the server sent before has come when this returns. Raises Unavailable."""
        self._client.unlisten(number)
        await self._round_trip(ANSWER_S)
        self._client.forget(number)

    async def _round_trip(self, limit_s: float) -> None:
        """Return when the server has seen all that was sent. Raises Unavailable when the connection is lost."""
        await self.answered(self._client.ping(), limit_s)

    async def end_subscription(self, number: int, belt: Belt[Msg]) -> None:
        """Unsubscribe, and wait until what the server sent before has come; the belt runs on until it is empty."""
        self._belts.discard(belt)
        if not self.lost.done():
            with suppress(Unavailable):
                await self.unlisten(number)

    def leave_subscription(self, number: int, belt: Belt[Msg]) -> None:
        """Unsubscribe without waiting."""
        self._belts.discard(belt)
        if not self.lost.done():
            self._client.unlisten(number)
            self._client.forget_later(number)

    async def close(self) -> None:
        """See `Connection`."""
        if self._is_open and not self.is_deaf and not self.lost.done():
            with suppress(NodeError):
                await self._round_trip(CLOSE_S)
        self.end("closed by this node")
        if self.is_deaf:
            self._client.abort()
        if self._is_open:
            with suppress(Exception):  # whatever it is, nothing is wanted of this connection any more
                async with asyncio.timeout(CLOSE_S):
                    await self._client.close()
        self._client.abort()
        for belt in self._belts:
            for message in belt.clear():
                self.say_lost_message(message.subject, "it waited here when the connection was closed")

    async def _on_error(self, error: Exception) -> None:
        """What the library has to say. While it connects, the first failure ends it."""
        if not self._is_open:
            raise ConnectFailed from error
        if isinstance(error, errors.SlowConsumerError):
            self._on_overflow()
        if found := _VIOLATION.search(str(error)):
            kind, subject = found.groups()
            if kind == "subscription":
                self._refused[subject] = f"the user may not subscribe to {subject}"
            else:
                log.get("worker").error(
                    "broker.publish_refused", code="ERR-BRK-009", broker=self.place, subject=self.clean(subject)
                )
                refusal = NodeError("ERR-BRK-009", self.clean(f"{self.place}: the user may not publish to {subject}"))
                self._answers.refuse(subject, refusal)

    async def _on_closed(self) -> None:
        self._on_end()

    def _on_end(self) -> None:
        error = self._client.last_error
        self.end(why(error) if error is not None else "the server ended the connection")

    def _on_overflow(self) -> None:
        """Messages would be dropped without a word: rather be lost and come back."""
        self.end("this node takes its messages too slowly")


async def _nothing() -> None:
    """The server forgets a message when it sends it."""
