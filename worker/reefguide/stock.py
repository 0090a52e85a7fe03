"""The storage of an assignment as the node itself sees it: how many files a job has left, and a text of the node's own.

The node looks where its own environment has credentials for the storage, and for a bounded time; nobody's result waits
for a storage that is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from job_item.errors import NodeError
from job_item.log import get
from job_item.reefspec import ReefGuide
from job_item.storage.keys import are_known
from worker.aside import aside

if TYPE_CHECKING:
    from job_item.storage import Storage

Result = TypeVar("Result")
LIMIT_S = 15.0
"""How long anybody waits for it, for a turn included."""
LAST_S = 2.0
"""How long when the node is about to end."""
TRYING_S = 5.0
AT_ONCE = 4


class Stock:
    """Storages by their URI. Parameter `environ`: the node's, with what `.env` says."""

    def __init__(self, settings: ReefGuide, environ: Mapping[str, str]) -> None:
        self._region = settings.aws_region
        self._endpoint = settings.s3_endpoint
        self._environ = environ
        self._few = asyncio.Semaphore(AT_ONCE)
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()

    @property
    def is_known(self) -> bool:
        """Whether there are credentials for it."""
        return are_known(self._endpoint, self._environ)

    def hurry(self) -> None:
        """The node is about to end: wait only a moment more."""
        self._loop.call_later(LAST_S, self._over.cancel)

    async def count(self, uri: str, most: int) -> int | None:
        """How many files there are below `uri`, of which so many at most are counted; None where nobody can tell."""

        def count(storage: Storage) -> int:
            return sum(1 for _ in islice(storage.list(), most))

        return await self.use(uri, count, "files.uncounted") if self.is_known else None

    async def use(self, uri: str, work: Callable[[Storage], Result], failure: str) -> Result | None:
        """Do something with the storage at `uri`; None, and the event `failure` in the log, where that cannot be."""
        try:
            return await self._within_limit(partial(self._use, uri, work))
        except Exception as error:  # whatever a storage makes of it, results go on
            code = error.code if isinstance(error, NodeError) else "ERR-STG-003"
            get("worker").warning(failure, code=code, storage_uri=uri, reason=str(error))
            return None

    async def _within_limit(self, work: Callable[[], Result]) -> Result:
        """A thread that hangs for longer goes on counting among those that there may be."""
        asked = self._loop.create_task(self._in_turn(work))
        either: set[asyncio.Future[Any]] = {asked, self._over}
        try:
            await asyncio.wait(either, timeout=LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                return asked.result()
        finally:
            asked.cancel()
        raise NodeError("ERR-STG-003", "the storage did not answer in time")

    async def _in_turn(self, work: Callable[[], Result]) -> Result:
        await self._few.acquire()
        future = aside(work)
        future.add_done_callback(self._let_next)
        return await asyncio.shield(future)

    def _let_next(self, future: asyncio.Future[Result]) -> None:
        self._few.release()
        if not future.cancelled():
            future.exception()  # told to whoever waits, and to nobody where nobody does

    def _use(self, uri: str, work: Callable[[Storage], Result]) -> Result:
        from job_item.storage import open_storage
        from job_item.storage.bucket import Patience

        patience = Patience(attempts=2, connect_s=TRYING_S, silence_s=TRYING_S, trying_s=TRYING_S)
        return work(
            open_storage(uri, region=self._region, endpoint=self._endpoint, environ=self._environ, patience=patience)
        )
