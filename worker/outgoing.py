"""Takes what scripts leave for the Job Manager: into the journal and the folder of parcels, in the order of arrival."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from job_item.errors import Unavailable
from worker.journal import Journal
from worker.outbox import Outbox
from worker.parcels import Parcel, Parcels

BLOCK_BYTES = 1 << 20
"""What is written to the disk in one go, beside the loop."""


class Outgoing:
    """See `worker.desk.Outgoing`. `limit` is what all files together may take now, in bytes."""

    def __init__(
        self, journal: Journal, outbox: Outbox, parcels: Parcels, limit: Callable[[], int], *, is_synced: bool
    ) -> None:
        self._journal = journal
        self._outbox = outbox
        self._parcels = parcels
        self._limit = limit
        self._is_synced = is_synced

    def waiting(self, task_id: str) -> int:
        """How many results and files of a task wait."""
        return self._journal.outgoing(task_id)

    async def leave_result(self, task_id: str, body: bytes) -> bool:
        """Keep a result for him; False when the job is unknown."""
        if self._journal.record(task_id) is None:
            return False
        await self._journal.say(task_id, ("result", body))
        self._outbox.grow()
        return True

    async def leave_file(self, task_id: str, name: str, size_bytes: int, chunks: AsyncIterator[bytes]) -> bool:
        """Keep a file for him; False when the job is unknown, or less came than was said."""
        if self._journal.record(task_id) is None:
            return False
        with self._parcels.begin(name, size_bytes, self._limit()) as parcel:
            if await _write(parcel, chunks, size_bytes) != size_bytes:
                return False
            if self._is_synced:
                await asyncio.to_thread(parcel.flush)
            await self._journal.say(task_id, ("file", parcel.number.encode()))
            parcel.seal()
        self._outbox.grow()
        return True


async def _write(parcel: Parcel, chunks: AsyncIterator[bytes], size_bytes: int) -> int:
    """Write what comes, no more than was announced; returns how much it was. Raises `Unavailable`."""
    block, written = bytearray(), 0
    async for chunk in chunks:
        block += chunk
        if written + len(block) > size_bytes:
            raise Unavailable("ERR-OUT-003", "More comes than was announced.")
        if len(block) >= BLOCK_BYTES:
            await asyncio.to_thread(parcel.write, bytes(block))
            written += len(block)
            block.clear()
    await asyncio.to_thread(parcel.write, bytes(block))
    return written + len(block)
