"""The room's side: a pool of keepers on an asyncio loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from job_item.errors import Unavailable
from job_item.keeper.command import Command
from job_item.keeper.remote import Keeper, Run
from job_item.keeper.siblings import Siblings
from job_item.keeper.zygote_link import Boot, ZygoteLink
from job_item.policy import Backoff
from job_item.prompt import Prompt

__all__ = ["KeeperPool", "Run"]

IDLE_S = 10.0
"""A keeper that had nothing to do for this long is let go."""
SWEEP_LIMIT_S = 2.0
OPEN_PAUSES = Backoff(base_s=0.05, factor=2.0, cap_s=2.0, jitter=0.0)
OPEN_TRIES = 8
"""How often a zygote that was killed is started again; after that, some seconds later, the room is given up."""


class KeeperPool:
    """Runs commands in keepers, made when needed, kept while busy, let go when idle."""

    def __init__(
        self,
        *,
        lock: int | None = None,
        open_files: tuple[int, int] | None = None,
        on_fatal: Callable[[BaseException], None] | None = None,
        boot: Boot | None = None,
        siblings: Siblings | None = None,
        hear: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        """Parameters: `lock`, a descriptor that zygote and keepers hold open as long as anything of theirs may live;
        `open_files`, the limits that commands get, else those of this process;
        `on_fatal`, called when no zygote can be had any more (None: it is tried for ever);
        `boot`, what the zygote is, by default a bare interpreter; `siblings`, the zygotes of all pools of this process;
        `hear`, called with what it says of its own accord, and with `{"lost": True}` when it has died.
        """
        self._boot = boot
        self._siblings = siblings or Siblings()
        self._tell = hear
        self._lock = lock
        self._open_files = open_files
        self._on_fatal = on_fatal
        self._loop = asyncio.get_running_loop()
        self._idle: list[Keeper] = []
        self._keepers: dict[int, Keeper] = {}
        self._next = 0
        self._zygote: ZygoteLink | None = None
        self._retiring: asyncio.TimerHandle | None = None
        self._mending: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Start the zygote; commands may be given right after. Raises OSError."""
        self._zygote = ZygoteLink(
            self._lock, self._hear, self._lose_zygote, self._open_files, self._boot, self._siblings
        )

    def start(
        self, command: Command, news: Callable[[dict[str, Any]], None] = lambda _: None, line: int | None = None
    ) -> Run:
        """Give `command` to a keeper. `news` gets `{"size": bytes}` as output comes and `{"pid": pid}` where announced.

        With the descriptor `line` it is a new keeper that has this one too and serves nothing else. Raises Unavailable
        while the zygote is being replaced and while there can be no more processes.
        """
        keeper = self._idle.pop() if self._idle and line is None else self._make(line)
        run = Run(keeper, command, Prompt(self._loop), news)
        keeper.start(run, command)
        return run

    async def close(self) -> None:
        """Let go of all keepers; each kills what it still runs. Returns when all are gone, within a bound."""
        if self._mending:
            self._mending.cancel()
        if self._retiring:
            self._retiring.cancel()
        for keeper in list(self._keepers.values()):
            keeper.break_off()
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            await zygote.close()

    @property
    def sizes(self) -> tuple[int, int]:
        """How many keepers there are, and how many of them have nothing to do."""
        return len(self._keepers), len(self._idle)

    def rest(self, keeper: Keeper) -> None:
        """Take a keeper back that has ended its command."""
        self._idle.append(keeper)
        if self._retiring is None:
            self._retiring = self._loop.call_later(IDLE_S, self._retire)

    def forget(self, keeper: Keeper) -> None:
        """A keeper's socket has ended: what it ran is lost as soon as the zygote says that its tree is gone."""
        if keeper in self._idle:
            self._idle.remove(keeper)
        if keeper.run is None:
            self._keepers.pop(keeper.number, None)

    def kill(self, keeper: Keeper) -> None:
        """Have a keeper killed that does not answer; without a zygote all are being killed already."""
        if self._zygote is not None:
            self._zygote.kill(keeper.number)

    def _make(self, line: int | None = None) -> Keeper:
        if self._zygote is None:
            raise Unavailable("ERR-RUN-006", "The process that starts jobs is being replaced.")
        self._next += 1
        sock = self._zygote.fork(self._next, *(() if line is None else (line,)))
        keeper = self._keepers[self._next] = Keeper(self._next, sock, self, is_for_one=line is not None)
        return keeper

    def _retire(self) -> None:
        """Let the keepers go that were idle since the timer was set; look again while there are others."""
        self._retiring = None
        since = self._loop.time() - IDLE_S
        for keeper in [keeper for keeper in self._idle if keeper.idle_since <= since]:
            keeper.break_off()
        if self._idle:
            wait_s = min(keeper.idle_since for keeper in self._idle) - since
            self._retiring = self._loop.call_later(wait_s, self._retire)

    def _hear(self, message: dict[str, Any]) -> None:
        """News of the zygote: a keeper and all below it are gone, or there can be none now."""
        if message.get("errno"):
            keeper = self._keepers.get(message["heard"])
            if keeper is not None:
                keeper.fail(message["errno"])
        elif "gone" in message:
            keeper = self._keepers.pop(message["gone"], None)
            if keeper is not None:
                keeper.bury()
        elif "heard" not in message:
            self._tell(message)

    def _lose_zygote(self) -> None:
        self._zygote = None
        self._tell({"lost": True})
        self._mending = self._loop.create_task(self._mend())

    async def _mend(self) -> None:
        """The zygote was killed: its keepers fell to this process. End them all, sweep, start anew."""
        broken = list(self._keepers.values())
        for keeper in broken:
            keeper.break_off()
        try:
            await asyncio.to_thread(self._siblings.sweep, SWEEP_LIMIT_S)
        except RuntimeError:  # there can be no thread now
            self._siblings.sweep(SWEEP_LIMIT_S)
        self._keepers.clear()
        for keeper in broken:
            keeper.bury()
        await self._reopen()

    async def _reopen(self) -> None:
        """Start a zygote, again and again: the system may be out of processes for the moment."""
        failures = 0
        while True:
            try:
                return self.open()
            except OSError as error:
                failures += 1
                if failures == OPEN_TRIES and self._on_fatal is not None:
                    return self._on_fatal(error)
            await asyncio.sleep(OPEN_PAUSES.delay_s(failures, 0.0))
