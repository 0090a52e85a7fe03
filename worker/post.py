"""Takes results and files of scripts to the Job Manager once it can be reached, in threads that nobody waits for.

All wait together: while nobody answers, a few at a time look whether he is back. What he refuses is not tried again.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from job_item.errors import NodeError, Unavailable
from job_item.log import get
from job_item.policy import Backoff
from worker.aside import aside
from worker.journal import Saying
from worker.parcels import Parcels

if TYPE_CHECKING:
    from job_item.sdk.courier import Courier

AT_ONCE = 4
PAUSES = Backoff(0.25, 2.0, 2.0, 0.0)
"""Between looks whether the Job Manager answers: the first is served within 5 s after he is back."""
REFUSED_TRIES = 100
REFUSED_PAUSES = Backoff(0.5, 2.0, 4.0, 0.0)
"""How often something is tried that he fails at (5xx) while he answers, and the pauses."""
CONNECT_S, SILENCE_S = 10.0, 600.0


class Post:
    """Delivers what the outbox hands it. `end_point` is the Job Manager's address, `key` the project's."""

    def __init__(self, end_point: str, key: str, parcels: Parcels) -> None:
        self.parcels = parcels
        self.waiting = 0
        """How many wait for him to come back."""
        self._records = f"{end_point}/api/worker/job_record"
        self._key = key
        self._couriers: list[Courier] = []
        self._few = asyncio.Semaphore(AT_ONCE)
        self._loop = asyncio.get_running_loop()
        self._failures = 0
        self._shut_until_s = 0.0
        self._is_told = False
        self._logger = get("worker")

    async def send(self, saying: Saying) -> None:
        """Deliver, however long that takes. Raises `NodeError`: refused (ERR-REP-003), or gone (ERR-OUT-005)."""
        failures = 0
        while True:
            await self._open()
            async with self._few:
                if self._loop.time() < self._shut_until_s:
                    continue
                try:
                    await aside(partial(self._deliver, saying))
                except Unavailable as error:
                    failures += self._note_failure(error)
                    if failures >= REFUSED_TRIES:
                        raise
                else:
                    self._note_success(saying)
                    return
            if failures:
                await self._pause(REFUSED_PAUSES.delay_s(failures, 0.0))

    def forget(self, saying: Saying) -> None:
        """It is out of the journal, delivered or not."""
        if saying.kind == "file":
            self.parcels.drop(saying.body.decode())

    async def _open(self) -> None:
        """Wait until he may be asked."""
        while (left_s := self._shut_until_s - self._loop.time()) > 0:
            await self._pause(left_s)

    async def _pause(self, pause_s: float) -> None:
        self.waiting += 1
        try:
            await asyncio.sleep(pause_s)
        finally:
            self.waiting -= 1

    def _note_failure(self, error: Unavailable) -> int:
        """Shut the door for a while where nobody answers; gives 1 where he answers that he has failed."""
        from job_item.sdk.answer import Failing

        if isinstance(error, Failing):
            return 1
        self._failures += 1
        self._shut_until_s = self._loop.time() + PAUSES.delay_s(self._failures, 0.0)
        if not self._is_told:
            self._is_told = True
            self._logger.warning("manager.lost", code=error.code, reason=error.message)
        return 0

    def _note_success(self, saying: Saying) -> None:
        self._failures, self._shut_until_s = 0, 0.0
        if self._is_told:
            self._is_told = False
            self._logger.info("manager.back")
        self._logger.info("manager.delivered", task_id=saying.task_id, kind=saying.kind)

    def _deliver(self, saying: Saying) -> None:
        """In a thread. Raises `Unavailable` (ERR-REP-004; as `Failing` where he answers that he fails), `NodeError`."""
        from job_item.sdk.courier import Courier, Patience  # only nodes that have something to deliver load it

        try:
            courier = self._couriers.pop()
        except IndexError:
            courier = Courier(Patience(attempts=1, connect_s=CONNECT_S, silence_s=SILENCE_S))
        if saying.kind == "result":
            from job_item.sdk.result import send_result

            send_result(courier, f"{self._records}/result/{saying.task_id}", self._key, saying.body)
        else:
            self._deliver_file(courier, saying)
        self._couriers.append(courier)  # with its connection; one that has failed is not used again

    def _deliver_file(self, courier: Courier, saying: Saying) -> None:
        from job_item.sdk.filebody import OpenFile
        from job_item.sdk.tus import Begun
        from job_item.sdk.upload import send_file

        number = saying.body.decode()
        try:
            path = self.parcels.path(number)
        except OSError as error:
            raise NodeError("ERR-OUT-005", f"The file that waited for the Job Manager is gone: {error}.") from error
        url = f"{self._records}/file/{saying.task_id}"
        with OpenFile(path) as file:
            known = self.parcels.location(number)
            send_file(courier, url, self._key, file, _unwatched, Begun(known, partial(self.parcels.remember, number)))


def _unwatched(_sent_bytes: int, _size_bytes: int) -> None:
    return
