"""A subscription that is wished for: made on one connection after the other, for as long as it is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from job_item.errors import NodeError, Unavailable
from job_item.log import get
from worker.brokers.seam import Connection, Delivery, Subscription, Take

if TYPE_CHECKING:
    from worker.brokers.session import Session


class Wish:
    """A subscription that is made on every connection, until it is cancelled."""

    def __init__(self, session: Session, subject: str, group: str | None, take: Take, prefetch: int | None) -> None:
        self.subject = subject
        self.is_hungry: Callable[[], bool] = lambda: False
        """Whether a message would be of use now: then one that waits at the broker has to come soon."""
        self.is_behind = False
        """Whether others are to be given messages first."""
        self.refusal: NodeError | None = None
        """Why the broker does not want it, on this connection."""
        self.is_confirmed = asyncio.Event()
        self._session = session
        self._group = group
        self._take = take
        self._prefetch = prefetch
        self._made: Subscription | None = None
        self._making = asyncio.Lock()
        self._is_over = False

    async def make(self, connection: Connection) -> None:
        """Subscribe on `connection`. Raises Unavailable when that is lost; a refusal is kept, and told."""
        async with self._making:
            if self._is_over or self._session.connection is not connection:
                return
            try:
                made = await connection.subscribe(self.subject, self._group, self._hear, prefetch=self._prefetch)
            except Unavailable:
                raise
            except NodeError as error:
                self.refusal = error
                get("worker").error("subscription.refused", code=error.code, subject=self.subject, reason=error.message)
                return
            if self._is_over:
                await made.cancel()
                return
            if self.is_behind:
                await made.stand(is_behind=True)
            self._made, self.refusal = made, None
            self.is_confirmed.set()

    async def stand(self, *, is_behind: bool) -> None:
        """Let others be given messages first, or not any more, on this connection and later ones."""
        async with self._making:
            self.is_behind = is_behind
            if self._made is not None:
                with suppress(NodeError):
                    await self._made.stand(is_behind=is_behind)

    def forget(self) -> None:
        """The connection is gone, and the subscription with it."""
        self._made, self.refusal = None, None
        self.is_confirmed.clear()

    def leave(self) -> None:
        """As `cancel`, without waiting: a message that was on its way may still come."""
        self._is_over = True
        self._session.drop(self)
        made, self._made = self._made, None
        if made is not None:
            made.leave()

    async def cancel(self) -> None:
        """No more messages, now and on later connections."""
        self._is_over = True
        self._session.drop(self)
        async with self._making:
            made, self._made = self._made, None
            if made is not None:
                with suppress(NodeError):
                    await made.cancel()

    async def _hear(self, delivery: Delivery) -> None:
        self._session.heard()
        try:
            await self._take(delivery)
        except Exception as bug:
            get("worker").error("message.failed", code="ERR-HST-003", subject=self.subject, exc_info=bug)
            with suppress(NodeError):
                await delivery.refuse()
