"""Takes new settings over while the job child runs: all of them in one turn of the loop, or none.

What takes long (a log that has a thousand secrets to look for) is done in a thread before that turn, so the API goes on
answering; what a thousand job specs need (templates compiled) is done when each is run for the first time.
"""

from __future__ import annotations

import asyncio
import os
import pickle
from collections import deque
from collections.abc import Callable
from functools import partial

from job_item import log
from job_item.link import Adopted, ChildStart
from job_item.room import Room
from worker.standing import Board, Standing


class Adopter:
    """Answers each `Adopt` of the parent with `Adopted`, in their order.

    Settings that cannot be taken over are a bug, as the parent has checked them: `on_fatal` is called, and is to end
    the process, so that its successor starts with them.
    """

    def __init__(self, board: Board, room: Room, on_fatal: Callable[[BaseException], None]) -> None:
        self.act: Callable[[Standing], None] = lambda _: None
        """Called in the turn in which the board shows the new settings, with the ones before."""
        self._board = board
        self._room = room
        self._on_fatal = on_fatal
        self._asked: deque[bytes] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_over = False

    def take(self, packed: bytes) -> None:
        """Bring the settings of a pickled `ChildStart` into force."""
        if self._is_over:
            return
        self._asked.append(packed)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    def stop(self) -> None:
        """Leave what is not in force yet to the successor: the parts of this child are being taken apart."""
        self._is_over = True
        if self._task is not None:
            self._task.cancel()

    async def _work(self) -> None:
        try:
            while self._asked:
                await self._adopt(self._asked.popleft())
        except Exception as bug:
            self._on_fatal(bug)

    async def _adopt(self, packed: bytes) -> None:
        start: ChildStart = pickle.loads(packed)  # noqa: S301 - the parent is this node
        before = self._board.standing
        standing = Standing.of(start, os.environ, before)
        await _set_log_up(before.start, start)
        self._board.standing = standing
        self._room.follow(start.settings)
        self.act(before)
        self._room.say(Adopted(start.digest))


async def _set_log_up(before: ChildStart, start: ChildStart) -> None:
    """Let the log be as `start` says from now on.

    The secrets of before stay hidden with the new ones: jobs that run still have them.
    """
    old, new = before.secrets(), start.secrets()
    if start.settings.log == before.settings.log and set(new) == set(old):
        return
    settings, secrets = start.settings.log, (*new, *old)
    set_up = partial(log.configure, settings, room="worker", secrets=secrets, environ=os.environ)
    try:
        await asyncio.to_thread(set_up)
    except RuntimeError:  # there can be no thread now
        set_up()
