"""The room's side: a pool of keepers on an asyncio loop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from job_item.errors import Unavailable
from job_item.keeper import tree
from job_item.keeper.command import Command, Ended
from job_item.keeper.wire import Frames, pack
from job_item.prompt import Prompt

IDLE_S = 10.0
"""A keeper that had nothing to do for this long is let go."""
END_LIMIT_S = 5.0
SWEEP_LIMIT_S = 2.0
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from job_item.keeper.zygote import main; main(3)"
LOST = Ended("lost")


class Run:
    """One command that was handed to a keeper. `ended` is resolved once, with what became of it."""

    def __init__(self, keeper: _Keeper, ended: asyncio.Future[Ended], news: Callable[[dict[str, Any]], None]) -> None:
        self.ended = ended
        self.news = news
        self._keeper = keeper

    def stop(self, how: str, grace_s: float) -> None:
        """Have the command end: its stop signal, SIGKILL to all of its tree after `grace_s` seconds (0 = at once)."""
        if not self.ended.done():
            self._keeper.send({"stop": how, "grace_s": grace_s})


class KeeperPool:
    """Runs commands in keepers, made when needed, kept while busy, let go when idle."""

    def __init__(self, *, lock: int | None = None) -> None:
        """`lock`: a descriptor that zygote and keepers hold open as long as anything of theirs may live."""
        self._lock = lock
        self._loop = asyncio.get_running_loop()
        self._idle: list[_Keeper] = []
        self._keepers: dict[int, _Keeper] = {}
        self._next = 0
        self._zygote: socket.socket | None = None
        self._zygote_pid = 0
        self._frames = Frames()
        self._retiring: asyncio.TimerHandle | None = None
        self._mending: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Start the zygote; commands may be given right after."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        actions: list[tuple[Any, ...]] = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)]
        if self._lock is not None:
            actions.append((os.POSIX_SPAWN_DUP2, self._lock, 4))
        root = str(Path(__file__).parents[2])
        with theirs:
            self._zygote_pid = os.posix_spawn(
                sys.executable,
                (sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, root),
                {"PATH": os.defpath},
                file_actions=actions,
                setsigdef=(signal.SIGCHLD,),
                setsigmask=(),
            )
        self._zygote = ours
        self._frames = Frames()
        self._loop.add_reader(ours.fileno(), self._hear)

    def start(self, command: Command, news: Callable[[dict[str, Any]], None] = lambda _: None) -> Run:
        """Give `command` to a keeper. `news` gets `{"size": bytes}` as output comes and `{"pid": pid}` where announced.

        Raises Unavailable while the zygote is being replaced.
        """
        keeper = self._idle.pop() if self._idle else self._make()
        run = Run(keeper, Prompt(self._loop), news)
        keeper.run = run
        keeper.send(command.as_message())
        return run

    async def close(self) -> None:
        """Let go of all keepers; each kills what it still runs. Returns when all are gone, within a bound."""
        if self._mending:
            self._mending.cancel()
        if self._retiring:
            self._retiring.cancel()
        for keeper in list(self._keepers.values()):
            keeper.break_off()
        if self._zygote is None:
            return
        self._loop.remove_reader(self._zygote.fileno())
        self._zygote.close()
        self._zygote = None
        await asyncio.to_thread(_await_end, self._zygote_pid, END_LIMIT_S)

    def rest(self, keeper: _Keeper) -> None:
        """Take a keeper back that has ended its command."""
        self._idle.append(keeper)
        if self._retiring is None:
            self._retiring = self._loop.call_later(IDLE_S, self._retire)

    def forget(self, keeper: _Keeper) -> None:
        """A keeper's socket has ended: what it ran is lost as soon as the zygote says that its tree is gone."""
        if keeper in self._idle:
            self._idle.remove(keeper)
        if keeper.run is None:
            self._keepers.pop(keeper.number, None)

    def _make(self) -> _Keeper:
        if self._zygote is None:
            raise Unavailable("ERR-RUN-006", "The process that starts jobs is being replaced.")
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._next += 1
        with theirs:
            try:
                socket.send_fds(self._zygote, [pack({"fork": self._next})], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise Unavailable("ERR-RUN-006", "The process that starts jobs does not answer.") from error
        keeper = self._keepers[self._next] = _Keeper(self._next, ours, self)
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

    def _hear(self) -> None:
        """News of the zygote: a keeper and all below it are gone; or its own end."""
        assert self._zygote is not None  # noqa: S101 - the reader is registered with it
        try:
            chunk = self._zygote.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._loop.remove_reader(self._zygote.fileno())
            self._zygote.close()
            self._zygote = None
            self._mending = self._loop.create_task(self._mend())
        for message in self._frames.feed(chunk):
            keeper = self._keepers.pop(message["gone"], None)
            if keeper is not None:
                keeper.bury()

    async def _mend(self) -> None:
        """The zygote was killed: its keepers fell to this process. End them all, sweep, start anew."""
        broken = list(self._keepers.values())
        for keeper in broken:
            keeper.break_off()
        await asyncio.to_thread(tree.sweep, None, SWEEP_LIMIT_S)
        self._keepers.clear()
        self.open()
        for keeper in broken:
            keeper.bury()


class _Keeper:
    """One keeper as the room sees it: a socket, and at most one run."""

    def __init__(self, number: int, sock: socket.socket, pool: KeeperPool) -> None:
        self.number = number
        self.run: Run | None = None
        self.idle_since = 0.0
        self._socket: socket.socket | None = sock
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._frames = Frames()
        self._unsent = bytearray()
        self._loop.add_reader(sock.fileno(), self._hear)

    def send(self, message: dict[str, Any]) -> None:
        """Send without waiting; what does not fit goes out as the keeper reads."""
        if self._socket is None:
            return
        data = pack(message)
        if not self._unsent:
            with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                data = data[self._socket.send(data) :]
        if data:
            self._unsent += data
            self._loop.add_writer(self._socket.fileno(), self._flush)

    def _flush(self) -> None:
        if self._socket is None:
            return
        with suppress(BlockingIOError):
            try:
                del self._unsent[: self._socket.send(self._unsent)]
            except (BrokenPipeError, ConnectionResetError):
                self._unsent.clear()  # the reader hears of the end and acts on it
        if not self._unsent:
            self._loop.remove_writer(self._socket.fileno())

    def _hear(self) -> None:
        assert self._socket is not None  # noqa: S101 - the reader is registered with it
        try:
            chunk = self._socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self.break_off()
        for message in self._frames.feed(chunk):
            if "end" in message:
                self._settle(message)
            elif self.run is not None:
                self.run.news(message)

    def _settle(self, message: dict[str, Any]) -> None:
        run, self.run = self.run, None
        self.idle_since = self._loop.time()
        if message.get("survivors"):
            self.break_off()  # it waits for nobody else's processes: a new keeper is a clean one
        else:
            self._pool.rest(self)
        if run is not None and not run.ended.done():
            run.ended.set_result(Ended.from_message(message))

    def break_off(self) -> None:
        """Let go of the socket: the keeper kills what it runs and ends."""
        if self._socket is None:
            return
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        self._socket = None
        self._pool.forget(self)

    def bury(self) -> None:
        """The keeper and all below it are gone; what it ran is lost."""
        self.break_off()
        run, self.run = self.run, None
        if run is not None and not run.ended.done():
            run.ended.set_result(LOST)


def _await_end(pid: int, limit_s: float) -> None:
    """Wait until child `pid` has ended, kill it when it does not, and what then is left below this process."""
    descriptor = os.pidfd_open(pid)
    try:
        if not tree.is_readable(descriptor, limit_s):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    finally:
        os.close(descriptor)
    tree.sweep(None, limit_s)
