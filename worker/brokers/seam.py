"""The seam between the node and a message broker: one connection, what can be sent over it and what comes from it.

An adapter makes one connection and never mends it: when it is lost, `lost` says so, and whoever holds it
(`worker.brokers.session`) makes a new one with back-off and subscribes again. So reconnecting, back-off, deafness and
resubscription are the same for all brokers and are written once; the automatic reconnection of the client libraries is
switched off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from worker.brokers.queues import Queues


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that came to a subscription. Exactly one of its three ends is called, once."""

    subject: str
    body: bytes
    accept: Callable[[], Awaitable[None]]
    """The journal has it: the broker may forget it. Does nothing where the broker forgets at once."""
    refuse: Callable[[], Awaitable[None]]
    """Nobody can ever use it: the broker drops it (or dead-letters it, where so configured)."""
    give_back: Callable[[], Awaitable[None]]
    """Somebody else shall have it, or we later. NATS and Redis cannot take it back: there it is lost, and is logged."""


Take = Callable[[Delivery], Awaitable[None]]
"""What a subscription does with a message. It is called once per message, in the order of arrival; it must not raise.
While it has not returned the subscription's next message waits (with RabbitMQ unacknowledged, at most `prefetch`)."""


class Subscription(Protocol):
    """Messages of one subject."""

    async def cancel(self) -> None:
        """The broker sends no more. What had come before is still taken, also after this has returned: nobody else
        would get it any more, and whoever does not want it gives it back. Does nothing when the connection is lost."""

    async def stand(self, *, is_behind: bool) -> None:
        """Let other takers of the subject be given messages first, or not any more.

        Whoever stands behind them gets one message at a time, which nobody else could take just now; what waited here
        to be taken is given back. Does nothing where the broker keeps nothing (`Broker.is_keeper`).
        """

    def leave(self) -> None:
        """As `cancel`, without waiting: some that the broker had sent may come later."""


class Connection(Protocol):
    """One life of a connection to a broker."""

    lost: asyncio.Future[str]
    """Resolved once with the reason, in words without credentials, when the connection is of no use any more."""
    payload_limit: int
    """The most bytes a message may have here."""
    queues: Queues | None
    """What keeps jobs until their result is known; None where `delivery` is compat."""

    async def publish(self, subject: str, body: bytes) -> None:
        """Send; returns when the client library has it on its way (ordered per subject).

        Raises Unavailable (ERR-BRK-002) when the connection is lost, BadMessage (ERR-BRK-006) when no broker of this
        kind would take it: larger than `payload_limit`, or a subject that cannot be one.
        """

    async def deliver(self, subject: str, body: bytes) -> bool:
        """Send and learn whether somebody has it: a subscriber (NATS request without responders, Redis receiver
        count), a queue (AMQP mandatory and confirmed). Raises as `publish`.
        """

    async def flush(self) -> None:
        """Return when whatever is sent from now on, on any subject, comes after all that was published before. Raises
        Unavailable as `publish`.
        """

    async def subscribe(
        self, subject: str, group: str | None, take: Take, *, prefetch: int | None = None
    ) -> Subscription:
        """Take messages of `subject`; the members of `group` share them, with None everyone gets each. RabbitMQ lets
        all share, whatever the group, as in the Go worker (protocol job-item.md, section 3.4). `prefetch` is how many
        jobs may be here at a time; None for a subject on which there are none and little comes, which may share what
        it needs with others. Returns when the broker has confirmed it. Raises Unavailable, or NodeError (ERR-BRK-003)
        when the broker refuses it for good; the connection is still of use then.
        """

    async def waiting(self, subject: str) -> int | None:
        """How many messages of `subject` the broker has that nobody was given yet; None where it keeps none, or does
        not tell. Raises Unavailable as `publish`.
        """

    async def probe(self, limit_s: float) -> None:
        """Prove that messages still come in on this connection, over the same path that subscriptions use.
        Raises Unavailable (ERR-BRK-004, connected but deaf) when nothing came back within `limit_s` seconds.
        """

    async def close(self) -> None:
        """Flush what was published, within a bound, and let go. Never raises."""


class Broker(Protocol):
    """Makes connections to one broker, as its settings say."""

    name: str
    """nats, rabbitmq, redis or embedded."""
    is_keeper: bool
    """Whether what was handed over and not accepted is kept: it can be given back, and somebody else gets it."""
    is_dear: bool
    """Whether a subscription costs milliseconds of the server's processor: one that is hardly used is made late."""

    async def connect(self) -> Connection:
        """Open one. Raises Unavailable (ERR-BRK-001) when it may work later, with a reason that names server and cause
        and no credential, or for TLS (ERR-BRK-007); NodeError (ERR-BRK-005) when credentials are refused (tried again
        all the same, more slowly).
        """
