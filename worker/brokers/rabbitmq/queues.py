"""Quorum queues of RabbitMQ (3.10 and newer): one for each event, named as its subject, with a dead-letter exchange.

A loan ends with the channel on which it came. The server closes that when a message is not acknowledged within its
`consumer_timeout`, whatever a consumer says (3.10 takes `x-consumer-timeout` and ignores it, tried): so a node keeps a
loan for half of that time at most. How often a message was delivered stands in `x-delivery-count`; to give back with a
reject would count too, so what goes back gets there as a new message, confirmed before the old one is acknowledged.
The limit of deliveries that servers have (20 since 4.0, and then the message is dropped) is set out of reach: nodes
count, and put among the dead letters themselves.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from aiormq import exceptions
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from job_item.connections import RabbitmqConnection
from job_item.errors import NodeError, Unavailable
from worker.brokers.queues import Expired, Fallen, Loan
from worker.brokers.rabbitmq.draw import RabbitmqQueue
from worker.brokers.rabbitmq.words import explain

if TYPE_CHECKING:
    from worker.brokers.rabbitmq.life import RabbitmqLife

Found = TypeVar("Found")

RUNS, DELIVERY, ROUND = "job-item-runs", "job-item-delivery", "job-item-round"
DEAD_EXCHANGE = "job_item.dead"
DELIVERIES = 1_000_000
LOOKS, LOOK_PAUSE_S = 15, 0.2
"""How often a dead letter is looked for: who lists them has all of them meanwhile, mostly for a moment."""
_OTHER_KIND = (
    "A queue of this name is there with other arguments: with `delivery: durable` all nodes of a project need it as a "
    "durable quorum queue. Let the nodes without it stop, delete the queue, and start again."
)


@dataclass(frozen=True, slots=True)
class Token:
    """A message that was not acknowledged yet, on its channel."""

    life: RabbitmqLife
    queue: RabbitmqQueue
    tag: int


class RabbitmqQueues:
    """See `Queues`."""

    is_bypassed = False

    def __init__(self, life: RabbitmqLife, settings: RabbitmqConnection, project: str) -> None:
        self.keep_s = settings.consumer_timeout / 2.0
        self._life = life
        self._dead = f"job_item.dead.{project}"
        self._is_dead_ready = False
        self._declared: set[str] = set()

    async def open(self, subject: str, slots: int) -> RabbitmqQueue:
        """See `Queues`."""
        self._life.check()
        self._life.fit_subscription(subject)
        await self._declare(subject)
        queue = RabbitmqQueue(self._life, subject, slots, self.loan_of)
        await self._refusable(queue.open())
        return queue

    def loan_of(self, queue: RabbitmqQueue, message: DeliveredMessage) -> Loan:
        """What a message lends."""
        headers = message.header.properties.headers or {}
        runs, delivery, turn = (_number(headers.get(name)) for name in (RUNS, DELIVERY, ROUND))
        losses = _number(headers.get("x-delivery-count"))
        token = Token(self._life, queue, message.delivery_tag or 0)
        return Loan(queue.subject, message.body, token, math.inf, delivery + losses + 1, runs + losses, losses, turn)

    async def renew(self, loan: Loan) -> Loan:
        """See `Queues`: it is ours as long as its channel is open."""
        self._mine(loan)
        return replace(loan)

    async def accept(self, loan: Loan) -> None:
        """See `Queues`. The server confirms no acknowledgement; it answers what is asked after it."""
        token = self._mine(loan)
        await self._life.ask(_acknowledge(token.queue.channel, token.tag))
        await token.queue.returned()

    async def give_back(self, loan: Loan, runs: int) -> None:
        """See `Queues`."""
        self._mine(loan)
        await self._publish(loan.subject, loan.body, {RUNS: runs, DELIVERY: loan.delivery, ROUND: loan.round})
        await self.accept(loan)

    async def redeem(self, subject: str, pledge: str, until_s: float, *, is_done: bool) -> bool:  # noqa: ARG002 - of the Protocol
        """See `Queues`: a loan ends with its connection."""
        return False

    async def put(self, subject: str, task_id: str, body: bytes, round: int = 0) -> None:  # noqa: A002 - of the Protocol
        """See `Queues`. RabbitMQ does not know task ids; the nodes' journals do."""
        self._life.fit(subject, body, self._life.payload_limit)
        await self._declare(subject)
        await self._publish(subject, body, {ROUND: round}, task_id)

    async def bury(self, task_id: str, letter: bytes) -> None:
        """See `Queues`."""
        self._life.fit(self._dead, letter, self._life.payload_limit)
        await self._ensure_dead()
        await self._life.ask(self._life.send_durable(DEAD_EXCHANGE, self._dead, letter, {}, task_id))

    async def fallen(self, limit: int) -> Sequence[Fallen]:
        """See `Queues`. To look at a queue is to take all and to give all back."""
        await self._ensure_dead()
        channel = await self._life.ask(self._life.channel())
        try:
            messages = await self._life.ask(_get_all(channel, self._dead, limit))
        finally:
            await self._life.ask(channel.close())
        return [_fallen(message) for message in messages]

    async def exhume(self, fallen: Fallen) -> bool:
        """See `Queues`. Where it is not there, somebody else may just be looking at it: it is looked for again."""
        for _ in range(LOOKS):
            if await self._take_out(fallen):
                return True
            await asyncio.sleep(LOOK_PAUSE_S)
        return False

    async def _take_out(self, fallen: Fallen) -> bool:
        """Look for it among all that are there."""
        channel = await self._life.ask(self._life.channel())
        try:
            messages = await self._life.ask(_get_all(channel, self._dead, DELIVERIES))
            for message in messages:
                if _fallen(message).token == fallen.token:
                    await self._life.ask(_acknowledge(channel, message.delivery_tag or 0))
                    return True
            return False
        finally:
            await self._life.ask(channel.close())

    def _mine(self, loan: Loan) -> Token:
        token = loan.token
        assert isinstance(token, Token)  # noqa: S101 - made by `loan_of`
        self._life.check()
        if token.life is not self._life or token.queue.channel.is_closed:
            raise Expired("ERR-DLV-001", "The connection on which the job was lent is lost.")
        return token

    async def _publish(self, subject: str, body: bytes, headers: dict[str, int], task_id: str = "") -> None:
        exchange, key = self._life.route(subject)
        await self._life.ask(self._life.send_durable(exchange, key, body, dict(headers), task_id))

    async def _declare(self, subject: str) -> None:
        if subject in self._declared:
            return
        await self._ensure_dead()
        arguments = {
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERIES,
            "x-dead-letter-exchange": DEAD_EXCHANGE,
            "x-dead-letter-routing-key": self._dead,
        }
        await self._refusable(self._declare_on(subject, arguments))
        self._declared.add(subject)

    async def _declare_on(self, subject: str, arguments: dict[str, Any]) -> None:
        channel = await self._life.channel()
        await channel.queue_declare(subject, durable=True, arguments=arguments)
        exchange, key = self._life.route(subject)
        if exchange:
            await channel.queue_bind(subject, exchange, key)
        await channel.close()

    async def _ensure_dead(self) -> None:
        if not self._is_dead_ready:
            await self._refusable(self._declare_dead())
            self._is_dead_ready = True

    async def _declare_dead(self) -> None:
        channel = await self._life.channel()
        await channel.exchange_declare(DEAD_EXCHANGE, exchange_type="direct", durable=True)
        arguments: dict[str, Any] = {"x-queue-type": "quorum", "x-delivery-limit": DELIVERIES}
        await channel.queue_declare(self._dead, durable=True, arguments=arguments)
        await channel.queue_bind(self._dead, DEAD_EXCHANGE, self._dead)
        await channel.close()

    async def _refusable(self, work: Coroutine[Any, Any, Found]) -> Found:
        """Await what the server may refuse for good, by closing the channel of it."""
        try:
            return await self._life.during(work, ANSWER_S)
        except exceptions.ChannelPreconditionFailed as error:
            raise NodeError(
                "ERR-DLV-005", self._life.clean(f"{self._life.place}: {explain(error)}"), _OTHER_KIND
            ) from None
        except exceptions.AMQPChannelError as error:
            raise NodeError("ERR-BRK-003", self._life.clean(f"{self._life.place}: {explain(error)}")) from None
        except (exceptions.AMQPError, RuntimeError, OSError) as error:
            self._life.end(explain(error))
            raise Unavailable("ERR-BRK-002", self._life.lost.result()) from error


ANSWER_S = 20.0
"""A quorum queue that has just come back needs a while to elect who leads it."""


async def _acknowledge(channel: Channel, tag: int) -> None:
    """Acknowledge, and return when the server has answered what was asked after that."""
    await channel.basic_ack(tag, wait=False)
    await channel.basic_qos(prefetch_count=0)


async def _get_all(channel: Channel, queue: str, limit: int) -> list[DeliveredMessage]:
    """Take what lies in a queue, without acknowledging it."""
    found: list[DeliveredMessage] = []
    while len(found) < limit:
        message = await channel.basic_get(queue, no_ack=False)
        if message.delivery_tag is None:
            break
        found.append(message)
    return found


def _fallen(message: DeliveredMessage) -> Fallen:
    """A message of the dead letters; it is known by its own id, or by what the server says of where it came from."""
    properties = message.header.properties
    headers: dict[str, Any] = dict(properties.headers or {})
    deaths: Any = headers.get("x-death") or []
    reason = f"The server has put it there ({deaths[0].get('reason', 'no reason')})." if deaths else ""
    return Fallen(properties.message_id or repr(deaths[:1]), message.body, reason)


def _number(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 40 else 0
