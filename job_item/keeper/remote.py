"""One keeper as its room sees it, and the run of a command in it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, cast

from job_item.alarm import Alarm
from job_item.keeper.command import Command, End, Ended
from job_item.keeper.wire import Frames, pack

HANG_S = 3.5
"""A keeper that has not answered so long after it should have killed its tree never will: it is stopped itself."""


class Owner(Protocol):
    """Whose keeper it is."""

    def rest(self, keeper: Keeper) -> None:
        """Take a keeper back that has ended its command."""

    def forget(self, keeper: Keeper) -> None:
        """A keeper's socket has ended: what it ran is lost as soon as the zygote says that its tree is gone."""

    def kill(self, keeper: Keeper) -> None:
        """Have a keeper killed that does not answer."""


class Run:
    """One command that was handed to a keeper. `ended` is resolved once, with what became of it."""

    def __init__(
        self, keeper: Keeper, command: Command, ended: asyncio.Future[Ended], news: Callable[[dict[str, Any]], None]
    ) -> None:
        self.ended = ended
        self.news = news
        self._keeper = keeper
        self._loop = ended.get_loop()
        self._how = "lost"
        self._alarm: Alarm | None = None
        if command.timeout_s is not None:
            self._expect_end("timeout", command.timeout_s + command.grace_s)

    def stop(self, how: str, grace_s: float, number: int | None = None) -> None:
        """Have the command end: its stop signal, SIGKILL to all of its tree after `grace_s` seconds (0 = at once).

        `number` is the signal in place of the one that the command came with.
        """
        if not self.ended.done():
            self._keeper.send({"stop": how, "grace_s": grace_s, "signal": number})
            if self._how == "lost":
                self._how = how
            self._expect_end(how, grace_s)

    def bound_output(self, limit_bytes: int, older: int) -> None:
        """Hold the output of a command that rotates it to other bounds from now on."""
        if not self.ended.done():
            self._keeper.send({"output_limit": limit_bytes, "older": older})

    def settle(self, ended: Ended) -> None:
        """Resolve it."""
        if self._alarm is not None:
            self._alarm.cancel()
        if not self.ended.done():
            self.ended.set_result(ended)

    def lose(self) -> None:
        """Resolve it without an answer of its keeper: lost, or ended as was asked for."""
        self.settle(Ended(cast(End, self._how)))

    def _expect_end(self, how: str, within_s: float) -> None:
        if self._alarm is not None:
            if self._alarm.when() <= self._loop.time() + within_s + HANG_S:
                return
            self._alarm.cancel()
        self._alarm = Alarm(self._loop, within_s + HANG_S, partial(self._end_keeper, how))

    def _end_keeper(self, how: str) -> None:
        if self._how == "lost":
            self._how = how
        self._keeper.kill()


class Keeper:
    """One keeper: a socket, and at most one run."""

    def __init__(self, number: int, sock: socket.socket, owner: Owner, *, is_for_one: bool = False) -> None:
        """Parameter `is_for_one`: it serves one command and is let go then."""
        self.number = number
        self._is_for_one = is_for_one
        self.run: Run | None = None
        self.idle_since = 0.0
        self._socket: socket.socket | None = sock
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._frames = Frames()
        self._unsent = bytearray()
        self._loop.add_reader(sock.fileno(), self._hear)

    def start(self, run: Run, command: Command) -> None:
        """Have it run a command."""
        self.run = run
        self.send(command.as_message())

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

    def kill(self) -> None:
        """Have it killed; what it runs is over when the zygote has swept after it."""
        self._owner.kill(self)

    def break_off(self) -> None:
        """Let go of the socket: the keeper kills what it runs and ends."""
        if self._socket is None:
            return
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        self._socket = None
        self._owner.forget(self)

    def bury(self) -> None:
        """The keeper and all below it are gone; what it ran is lost."""
        self.break_off()
        run, self.run = self.run, None
        if run is not None:
            run.lose()

    def fail(self, number: int) -> None:
        """The keeper was never born, for the reason `number`; what it was to run has not begun."""
        run, self.run = self.run, None
        if run is not None:
            run.settle(Ended("failed", errno=number, step="fork"))
        self.break_off()

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
        if message.get("survivors") or self._is_for_one:
            self.break_off()  # one that has survivors waits for nobody else's processes: a new keeper is a clean one
        else:
            self._owner.rest(self)
        if run is not None:
            run.settle(Ended.from_message(message))
