"""The control subjects of the tasks of this node: their end is asked for there, and whether somebody runs them.

Where a subscription is dear (`Broker.is_dear`) only the end is listened to from the first on: hardly anybody pings, and
most tasks have ended before anybody could. The second subject follows for those that run on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from job_item.errors import Unavailable
from job_item.log import get
from worker import subjects
from worker.brokers.seam import Delivery
from worker.brokers.session import Session
from worker.brokers.wish import Wish
from worker.sources.trigger import Action, Refused, read_control

WAITING_MAX = 1_000
"""For so many tasks the subjects are listened to while they wait; the others follow as these end."""
WAITING_MAX_DEAR = 250
"""The same where a subscription is dear: each may need a channel there, and a connection has 2,047."""
PINGS_AFTER_S = 0.1
"""How long a task has run before pings are listened to where that is dear (4 ms of a RabbitMQ server's processor). Who
pings before finds nobody; with the Go worker, too, both subjects come after `_who`."""
LATER_MAX = 100_000
"""Of so many others it is known that they wait."""
PONG_S = 1.0
PONG = b"world"


@dataclass(slots=True)
class Ears:
    """What is subscribed for one task: where its end is asked for, and the pings."""

    worker: Wish
    listen: Wish | None = None
    later: asyncio.TimerHandle | None = None
    """When the pings are listened to, where that is to follow."""

    def leave(self) -> None:
        """The task has ended."""
        if self.later is not None:
            self.later.cancel()
        self.worker.leave()
        if self.listen is not None:
            self.listen.leave()


class Controls:
    """Listens for the tasks of this node. `act` is told what a message asks for."""

    def __init__(self, session: Session, group: str | None, act: Callable[[str, Action], Awaitable[object]]) -> None:
        self._session = session
        self._group = group
        self._act = act
        self._ears: dict[str, Ears] = {}
        self._later: dict[str, None] = {}
        """Tasks that wait and are not listened to yet, the oldest first."""
        self._is_dear = session.broker.is_dear
        self.waiting_max = WAITING_MAX_DEAR if self._is_dear else WAITING_MAX
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
            take = partial(self._control, task_id)
            ears = self._ears[task_id] = Ears(self._session.subscribe(subjects.worker(task_id), self._group, take))
            if not self._is_dear:
                self._hear_pings(task_id, ears)
        return ears

    def _hear_pings(self, task_id: str, ears: Ears) -> None:
        take = partial(self._ping, task_id)
        ears.listen = self._session.subscribe(subjects.listen(task_id), self._group, take)

    async def confirmed(self, task_id: str, limit_s: float) -> None:
        """Listen for a task, and return when the broker has confirmed it; no later than after `limit_s` seconds.

        Where a subscription is dear, the pings are not waited for.
        """
        ears = self.listen(task_id)
        wanted = (ears.worker,) if self._is_dear or ears.listen is None else (ears.worker, ears.listen)
        missing = [wish for wish in wanted if not wish.is_confirmed.is_set()]
        if not missing:
            return
        try:
            async with asyncio.timeout(limit_s):
                for wish in missing:
                    await wish.is_confirmed.wait()
        except TimeoutError:
            get("worker").debug("controls.late", task_id=task_id)

    def begin(self, task_id: str) -> None:
        """The task runs from now on, and it was said who runs it: pings may come."""
        ears = self._ears.get(task_id)
        if ears is not None and ears.listen is None and ears.later is None:
            ears.later = self._loop.call_later(PINGS_AFTER_S, self._hear_pings, task_id, ears)

    def drop(self, task_id: str) -> None:
        """The task has ended."""
        self._later.pop(task_id, None)
        ears = self._ears.pop(task_id, None)
        if ears is not None:
            ears.leave()
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
