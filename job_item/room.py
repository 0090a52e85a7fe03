"""What both children do alike: the link to the parent, the heartbeat, and the wish to stop."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from job_item.exits import Exit
from job_item.link import (
    Adopt,
    Beat,
    Cancel,
    Connection,
    Drain,
    Drained,
    Dump,
    Idle,
    Link,
    NodeState,
    Ready,
    Retire,
    StopNode,
    Swept,
    ToChild,
    ToParent,
    WhenIdle,
)
from job_item.orders import Answer, ExecOrder
from job_item.settings import Settings


class Room:
    """A child as its parent sees it.

    Without a connection (the room is run by hand) nothing was there before it, and TERM or INT ask it to stop: once
    to drain, twice to cancel. A room that is being replaced hears of its end in `drain_asked` first; where the node
    stops meanwhile, `stop_asked` follows.
    """

    def __init__(self, settings: Settings, connection: Connection | None) -> None:
        self.swept = asyncio.Event()
        self.drain_asked = asyncio.Event()
        self.stop_asked = asyncio.Event()
        """The node stops: set with or after `drain_asked`, never for a room that is only replaced."""
        self.cancel_asked = asyncio.Event()
        self.grace_s: float | None = settings.drain_grace
        """How long what runs may take to end after `drain_asked`; None without bound."""
        self.is_replaced = False
        """Whether a successor follows after the drain."""
        self.learn: Callable[[NodeState], None] = lambda _: None
        self.adopt: Callable[[bytes], None] = lambda _: None
        self.obey: Callable[[ExecOrder], None] = lambda _: None
        self.take_answer: Callable[[Answer], None] = lambda _: None
        self.await_idle: Callable[[], None] = self.idle
        """Start nothing more once nothing runs, and call `idle` then: at once as long as this room runs nothing."""
        self.dump: Callable[[], None] = lambda: None
        """Write to the log what this room holds (SIGUSR1)."""
        self._drain_grace_s = settings.drain_grace
        self._interval_s = settings.heartbeat.interval
        self._next_beat: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._link: Link[ToParent, ToChild] | None = None
        self._listen_to_signals(by_hand=connection is None)
        if connection is None:
            self.swept.set()
        else:
            self._link = Link(connection)
            self._loop.add_reader(self._link.fileno(), self._hear)

    def follow(self, settings: Settings) -> None:
        """Go by these settings: the heartbeat at once, the grace of a drain that has not been asked for yet."""
        self._drain_grace_s = settings.drain_grace
        if not self.drain_asked.is_set():
            self.grace_s = settings.drain_grace
        if self._interval_s != settings.heartbeat.interval:
            self._interval_s = settings.heartbeat.interval
            if self._next_beat is not None:
                self._beat()

    def say(self, message: ToParent) -> None:
        """Tell the parent; without one nobody hears."""
        if self._link is not None:
            self._link.send(message)

    def end_node(self, reason: str) -> None:
        """Have the whole node stop, drained, because it is done; a room that is run by hand stops itself."""
        if self._link is not None:
            self.say(StopNode(Exit.DONE, reason))
        else:
            self._stop(self._drain_grace_s)

    def ready(self) -> None:
        """Say that this room does its work, and from now on that its loop turns: the first time after an interval, as
        being ready is not yet getting on.
        """
        self.say(Ready())
        self._beat_later()

    def idle(self) -> None:
        """Say that nothing runs, and that nothing will be started any more."""
        self.say(Idle())

    def drained(self) -> None:
        """Say that nothing runs any more. The link stays silent from now on: the parent may end before this child."""
        self._hold_beat()
        self.say(Drained())
        if self._link is not None:
            self._loop.remove_reader(self._link.fileno())

    async def unless_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do `work`, but not for longer than until this room is to stop; tells whether it was done."""
        task = self._loop.create_task(work)
        asked = self._loop.create_task(self.drain_asked.wait())
        await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not task.done():
            task.cancel()
            return False
        task.result()
        return True

    def _listen_to_signals(self, *, by_hand: bool) -> None:
        if by_hand:
            self._loop.add_signal_handler(signal.SIGINT, self._ask)
        else:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the parent
        self._loop.add_signal_handler(signal.SIGTERM, self._ask)
        self._loop.add_signal_handler(signal.SIGUSR1, self._dump)

    def _ask(self) -> None:
        if self.stop_asked.is_set():
            self.cancel_asked.set()
        else:
            self._stop(self._drain_grace_s)

    def _stop(self, grace_s: float | None) -> None:
        """The node stops, whether this room was to be replaced or not."""
        self.is_replaced, self.grace_s = False, grace_s
        self.stop_asked.set()
        self.drain_asked.set()

    def _dump(self) -> None:
        self.dump()

    def _hear(self) -> None:
        assert self._link is not None  # noqa: S101 - the reader is registered with it
        match self._link.receive():
            case None:
                os._exit(0)  # the leash: our keepers see the end of their sockets and kill what they run
            case Swept():
                self.swept.set()
            case Drain(grace_s=grace_s):
                self._stop(grace_s)
            case Cancel():
                self.cancel_asked.set()
                self._stop(self.grace_s)
            case Dump():
                self.dump()
            case Retire():
                self._retire()
            case WhenIdle():
                self.await_idle()
            case Adopt(packed):
                self.adopt(packed)
            case NodeState() as state:
                self.learn(state)
            case ExecOrder() as order:
                self.obey(order)
            case Answer() as answer:
                self.take_answer(answer)

    def _retire(self) -> None:
        if not self.stop_asked.is_set():  # a node that stops needs no successor
            self.is_replaced, self.grace_s = True, None
            self.drain_asked.set()

    def _beat(self) -> None:
        self._hold_beat()
        if self._link is not None:
            self._link.send(Beat())
            self._beat_later()

    def _beat_later(self) -> None:
        if self._link is not None:
            self._next_beat = self._loop.call_later(self._interval_s, self._beat)

    def _hold_beat(self) -> None:
        if self._next_beat is not None:
            self._next_beat.cancel()
            self._next_beat = None


class TreeLock:
    """Held open by a room's zygote and keepers as long as anything of theirs may live, whoever else has died.

    A successor that gets it knows from the kernel that nothing of its predecessor's tree is left.
    """

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    async def take(self) -> None:
        """Wait until it is free. The lock belongs to the open file, so the zygote, which has it too, holds it with
        us.
        """
        await asyncio.to_thread(fcntl.flock, self.descriptor, fcntl.LOCK_EX)
