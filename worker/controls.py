"""The control subjects of the tasks of this node: their end is asked for there, and whether somebody runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from job_item.errors import Unavailable
from job_item.log import get
from worker import subjects
from worker.brokers.seam import Delivery
from worker.brokers.session import Session
from worker.brokers.wish import Wish
from worker.sources.trigger import Action, Refused, read_control

WAITING_MAX = 1_000
"""For so many tasks the subjects are listened to while they wait; the others follow as these end."""
WAITING_MAX_RABBITMQ = 250
"""There each subject may need a channel, and a connection has 2,047. No more jobs than slots wait here for long."""
LATER_MAX = 100_000
"""Of so many others it is known that they wait."""
PONG_S = 1.0
PONG = b"world"


class Ears(NamedTuple):
    """What is subscribed for one task: where its end is asked for, and the pings."""

    worker: Wish
    listen: Wish

    def missing(self) -> list[Wish]:
        """What the broker has not confirmed yet."""
        return [wish for wish in self if not wish.is_confirmed.is_set()]


class Controls:
    """Listens for the tasks of this node. `act` is told what a message asks for."""

    def __init__(self, session: Session, group: str | None, act: Callable[[str, Action], Awaitable[object]]) -> None:
        self._session = session
        self._group = group
        self._act = act
        self._ears: dict[str, Ears] = {}
        self._later: dict[str, None] = {}
        """Tasks that wait and are not listened to yet, the oldest first."""
        self.waiting_max = WAITING_MAX_RABBITMQ if session.broker.name == "rabbitmq" else WAITING_MAX
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def wait_with(self, task_id: str) -> None:
        """Listen for a task that waits for a slot, as soon as that is not too much."""
        if len(self._ears) < self.waiting_max:
            self.listen(task_id)
        elif len(self._later) < LATER_MAX:
            self._later[task_id] = None

    def listen(self, task_id: str) -> Ears:
        """Listen for a task."""
        self._later.pop(task_id, None)
        ears = self._ears.get(task_id)
        if ears is None:
            subscribe, group = self._session.subscribe, self._group
            ears = self._ears[task_id] = Ears(
                subscribe(subjects.worker(task_id), group, partial(self._control, task_id)),
                subscribe(subjects.listen(task_id), group, partial(self._ping, task_id)),
            )
        return ears

    async def confirmed(self, task_id: str, limit_s: float) -> None:
        """Listen for a task, and return when the broker has confirmed it; no later than after `limit_s` seconds."""
        missing = self.listen(task_id).missing()
        if not missing:
            return
        try:
            async with asyncio.timeout(limit_s):
                for wish in missing:
                    await wish.is_confirmed.wait()
        except TimeoutError:
            get("worker").debug("controls.late", task_id=task_id)

    def drop(self, task_id: str) -> None:
        """The task has ended."""
        self._later.pop(task_id, None)
        ears = self._ears.pop(task_id, None)
        if ears is not None:
            for wish in ears:
                wish.leave()
            while self._later and len(self._ears) < self.waiting_max:
                self.listen(next(iter(self._later)))

    async def settle(self) -> None:
        """Return when what was begun here is done."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _control(self, task_id: str, delivery: Delivery) -> None:
        try:
            action = read_control(delivery.body, task_id)
        except Refused as refusal:
            get("worker").warning("control.refused", code=refusal.code, task_id=task_id, reason=refusal.message)
            await delivery.refuse()
            return
        if action is not None:
            get("worker").info("control.received", task_id=task_id, action=action)
            try:
                await self._act(task_id, action)
            except Unavailable as error:
                get("worker").error("control.failed", code=error.code, task_id=task_id, reason=error.message)
                await delivery.give_back()
                return
        await delivery.accept()

    async def _ping(self, task_id: str, delivery: Delivery) -> None:
        await delivery.accept()
        self._loop.call_later(PONG_S, lambda: self._spawn(self._pong(task_id)))

    async def _pong(self, task_id: str) -> None:
        connection = self._session.connection
        if task_id in self._ears and connection is not None:
            with suppress(Unavailable):
                await connection.publish(subjects.callback(task_id), PONG)

    def _spawn(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        task = self._loop.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
