"""A broker in this process: the same promises as the others, without a server.

A `Hub` is what a server is to the others. Tests and rehearsals use it; the embedded queue of a node without a broker is
its journal.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field

from job_item.errors import Unavailable
from worker.brokers.belt import Belt
from worker.brokers.life import PROBE_SUBJECT, Life
from worker.brokers.seam import Delivery, Take
from worker.brokers.stored import Item, Store, StoredQueues

PAYLOAD_LIMIT_BYTES = 8 << 20


@dataclass(slots=True)
class Hub:
    """Where connections meet. `is_open` is False while the "server" is down, `is_deaf` while nothing comes out."""

    lives: set[EmbeddedLife] = field(default_factory=set)
    is_open: bool = True
    is_deaf: bool = False
    store: Store | None = None
    """What keeps jobs, where `delivery` is durable; it takes what is published to the subjects that it knows."""
    _turns: dict[tuple[str, str], itertools.count[int]] = field(default_factory=dict)

    def stop(self) -> None:
        """The server is gone, and all connections with it."""
        self.is_open = False
        for life in list(self.lives):
            life.end("the server ended the connection")
        self.lives.clear()

    def pass_on(self, subject: str, body: bytes, keep_out: EmbeddedSubscription | None = None) -> int:
        """Hand a message to everyone without a group, and to one member of each group; return how many got it."""
        if self.is_deaf:
            return 1
        if self.store is not None and subject in self.store.waiting:
            self.store.lay(Item(subject, body, ""))
            return 1
        groups: dict[str, list[EmbeddedSubscription]] = {}
        single: list[EmbeddedSubscription] = []
        for life in self.lives:
            for subscription in life.subscriptions:
                if subscription.subject == subject and subscription is not keep_out:
                    (single if subscription.group is None else groups.setdefault(subscription.group, [])).append(
                        subscription
                    )
        for group, members in groups.items():
            turn = next(self._turns.setdefault((subject, group), itertools.count()))
            single.append(members[turn % len(members)])
        for subscription in single:
            subscription.belt.put(body, len(body))
        return len(single)


class EmbeddedBroker:
    """Connects to a hub."""

    name = "embedded"
    is_keeper = False
    is_dear = False

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def connect(self) -> EmbeddedLife:
        """See `Broker`."""
        if not self._hub.is_open:
            raise Unavailable("ERR-BRK-001", "the embedded broker is stopped")
        return EmbeddedLife(self._hub)


class EmbeddedLife(Life):
    """One life of a connection; see `Connection`."""

    def __init__(self, hub: Hub) -> None:
        super().__init__("embedded", ())
        self.payload_limit = PAYLOAD_LIMIT_BYTES
        self.hub = hub
        self.subscriptions: list[EmbeddedSubscription] = []
        if hub.store is not None:
            self.queues = StoredQueues(self, hub.store)
        hub.lives.add(self)

    async def publish(self, subject: str, body: bytes) -> None:
        """See `Connection`."""
        await self.deliver(subject, body)

    async def deliver(self, subject: str, body: bytes) -> bool:
        """See `Connection`."""
        self.check()
        self.fit(subject, body, self.payload_limit)
        return self.hub.pass_on(subject, body) > 0

    async def subscribe(
        self,
        subject: str,
        group: str | None,
        take: Take,
        *,
        prefetch: int | None = None,  # noqa: ARG002 - of the Protocol
    ) -> EmbeddedSubscription:
        """See `Connection`."""
        self.check()
        self.fit_subscription(subject)
        subscription = EmbeddedSubscription(self, subject, group, take)
        self.subscriptions.append(subscription)
        return subscription

    async def flush(self) -> None:
        """See `Connection`: one connection carries all, in its order."""

    async def waiting(self, subject: str) -> int | None:  # noqa: ARG002 - of the Protocol
        """See `Connection`: nothing is kept here."""
        return None

    async def probe(self, limit_s: float) -> None:
        """See `Connection`."""
        came = asyncio.get_running_loop().create_future()

        async def take(_: Delivery) -> None:
            came.set_result(None)

        subject = f"{PROBE_SUBJECT}{id(came):x}"
        subscription = await self.subscribe(subject, None, take)
        try:
            await self.publish(subject, b"")
            await self.await_probe(came, limit_s)
        finally:
            await subscription.cancel()

    async def close(self) -> None:
        """See `Connection`."""
        self.hub.lives.discard(self)
        self.end("closed by this node")


class EmbeddedSubscription:
    """See `Subscription`."""

    def __init__(self, life: EmbeddedLife, subject: str, group: str | None, take: Take) -> None:
        self._life = life
        self.subject = subject
        self.group = group
        self._take = take
        self.belt: Belt[bytes] = Belt(self._work, lambda: life.end("this node takes its messages too slowly"))

    async def _work(self, body: bytes) -> None:
        async def nothing() -> None:
            pass

        async def give_back() -> None:
            if not self._life.hub.pass_on(self.subject, body, keep_out=self):
                self._life.hub.pass_on(self.subject, body)

        await self._take(Delivery(self.subject, body, nothing, nothing, give_back))

    async def stand(self, *, is_behind: bool) -> None:
        """See `Subscription`: nothing is kept."""

    def leave(self) -> None:
        """See `Subscription`."""
        if self in self._life.subscriptions:
            self._life.subscriptions.remove(self)

    async def cancel(self) -> None:
        """See `Subscription`."""
        self.leave()
