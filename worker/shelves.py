"""What is shared, by task: bookkeeping only. The time comes in, in seconds of the monotonic clock."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from job_item.errors import BadMessage, NodeError, Unavailable
from worker.journal import Share

TASK_BYTES, TASK_ENTRIES = 1 << 20, 1_000
NODE_BYTES, NODE_ENTRIES = 16 << 20, 20_000
"""How much there may be of one task and of all together; a text counts as UTF-8, with its key."""

LINGER_S = 3600.0
"""How long the data of a task that has ended are kept on, at least; twice that at most."""


@dataclass(slots=True)
class Shelf:
    """The data of one task; `look_s` is when to see next whether the task has ended, which it had if `is_over`."""

    shares: dict[int, Share] = field(default_factory=dict)
    size_bytes: int = 0
    entries: int = 0
    look_s: float = 0.0
    is_over: bool = False


class Shelves:
    """The data of all tasks."""

    def __init__(self) -> None:
        self._shelves: defaultdict[str, Shelf] = defaultdict(Shelf)
        self._deadlines: list[tuple[float, int, str]] = []
        self._gone_at: dict[int, float] = {}
        self._size_bytes = 0
        self._entries = 0

    def refusal(self, share: Share) -> NodeError | None:
        """Why there is no room for one more; None when there is."""
        shelf, size = self._shelves.get(share.task_id) or Shelf(), size_of(share)
        if shelf.size_bytes + size > TASK_BYTES or shelf.entries >= TASK_ENTRIES:
            return BadMessage("ERR-JOB-010", f"A task may share {TASK_BYTES} bytes in {TASK_ENTRIES} entries.")
        if self._size_bytes + size > NODE_BYTES or self._entries >= NODE_ENTRIES:
            return Unavailable("ERR-JOB-011", f"All tasks may share {NODE_BYTES} bytes in {NODE_ENTRIES} entries.")
        return None

    def reserve(self, share: Share, sign: int = 1) -> None:
        """Count one that is on its way; with `sign` -1, one that is not here (any more)."""
        shelf = self._shelves[share.task_id]
        shelf.size_bytes += sign * size_of(share)
        shelf.entries += sign
        self._size_bytes += sign * size_of(share)
        self._entries += sign
        if not shelf.entries:
            del self._shelves[share.task_id]

    def put(self, share: Share, now_s: float, rest_s: float | None) -> float:
        """Lay down one that was counted; it is there for `rest_s` seconds more. Returns when to look after it."""
        shelf = self._shelves[share.task_id]
        shelf.shares[share.number] = share
        shelf.is_over = False
        shelf.look_s = shelf.look_s or now_s + LINGER_S
        if rest_s is None:
            return shelf.look_s
        self._gone_at[share.number] = now_s + rest_s
        heapq.heappush(self._deadlines, (now_s + rest_s, share.number, share.task_id))
        return min(now_s + rest_s, shelf.look_s)

    def texts(self, task_id: str, key: str, now_s: float) -> list[str]:
        """What is there under a key, oldest first."""
        shelf = self._shelves.get(task_id)
        here = shelf.shares.values() if shelf else ()
        return [share.data for share in here if share.key == key and self._gone_at.get(share.number, now_s + 1) > now_s]

    def expire(self, now_s: float) -> list[int]:
        """Take away what has expired, and give the numbers."""
        gone: list[int] = []
        while self._deadlines and self._deadlines[0][0] <= now_s:
            _, number, task_id = heapq.heappop(self._deadlines)
            gone += self._take(task_id, (number,))
        return gone

    def due(self, now_s: float) -> list[str]:
        """The tasks of which it is time to see whether they have ended."""
        return [task_id for task_id, shelf in self._shelves.items() if shelf.shares and shelf.look_s <= now_s]

    def see(self, task_id: str, is_over: bool, now_s: float) -> list[int]:
        """Take away the data of a task that had ended at the last look already, and give the numbers."""
        shelf = self._shelves[task_id]
        if is_over and shelf.is_over:
            return self._take(task_id, tuple(shelf.shares))
        shelf.is_over, shelf.look_s = is_over, now_s + LINGER_S
        return []

    def next_s(self) -> float | None:
        """When something is to be done next."""
        looks = (shelf.look_s for shelf in self._shelves.values() if shelf.shares)
        return min((*looks, *(deadline for deadline, _, _ in self._deadlines[:1])), default=None)

    def _take(self, task_id: str, numbers: Sequence[int]) -> list[int]:
        """Take away those that are still here."""
        shelf = self._shelves.get(task_id)
        taken = [share for number in numbers if shelf and (share := shelf.shares.pop(number, None))]
        for share in taken:
            self._gone_at.pop(share.number, None)
            self.reserve(share, -1)
        return [share.number for share in taken]


def size_of(share: Share) -> int:
    """How many bytes it counts."""
    return len(share.key.encode()) + len(share.data.encode())
