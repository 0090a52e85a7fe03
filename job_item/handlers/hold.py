"""What a keeper of the nursery does: it holds one hand, from its fork to the last of its processes.

All of it is an `Attempt` of `job_item.keeper.keep` but for three things: the process is forked and not executed, it is
told apart which job wrote what (`page`), and it ends when its room or it itself wants it to, not with a job.
"""

from __future__ import annotations

import _socket
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from job_item.handlers.page import Page
from job_item.keeper import spawn
from job_item.keeper.keep import READ_LIMIT_S, Attempt
from job_item.keeper.spool import STDERR, STDOUT, Spool
from job_item.keeper.streams import READ_BYTES
from job_item.keeper.tree import is_readable
from job_item.keeper.wire import Inbox

CUT = struct.Struct("=5Q")
"""What a job has written: bytes of standard output, of standard error, dropped, refused by the disk, kept."""


@dataclass(frozen=True, slots=True)
class Ends:
    """What a hand holds on to."""

    line: int
    cut: int
    page: Page


Serve = Callable[[dict[str, object], Ends, int], None]
"""Be a hand: gets the command that it was started with, and a descriptor to be closed once it serves."""


def run(serve: Serve, control: _socket.socket, wakeup: int, line: int) -> None:
    """Hold one hand for the room at the other end of `control`."""
    inbox = Inbox(control)
    stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    buffer = memoryview(bytearray(READ_BYTES))
    while inbox.read():
        while inbox.messages:
            message = inbox.messages.popleft()
            if "argv" in message:
                holding = Holding(message, control, inbox, wakeup, stdin, buffer)
                holding.serve, holding.line = serve, line
                holding.perform()
                return


class Holding(Attempt):
    """The life of one hand."""

    serve: Serve
    line: int

    def _make_spool(self) -> Spool:
        self._page = Page()
        self._cut, self._theirs = socket.socketpair()
        self._is_open = False
        return Spool("", 0)

    def _spawn(self, stdout: int, stderr: int) -> int:
        ends = Ends(self.line, self._theirs.fileno(), self._page)

        def become(answer: int) -> None:
            spawn.confine(self._command, (self._stdin, stdout, stderr))
            self.serve(self._command, ends, answer)

        pid = spawn.fork(become, self._command["argv"][0])
        self._theirs.close()
        os.close(self.line)
        self._poller.register(self._cut.fileno(), select.POLLIN)
        return pid

    def _pump(self, descriptor: int) -> bool:
        if descriptor == self._cut.fileno():
            self._cut_off()
            return False
        self._open_spool()
        self._page.count_read()
        return super()._pump(descriptor)

    def _open_spool(self) -> None:
        """What comes out now belongs to the job that runs now."""
        if not self._is_open:
            self._is_open = True
            self._spool = self._streams.spool = Spool(*self._page.place())

    def _cut_off(self) -> None:
        """A job is over: what is in the pipes is its own, and the rest is not."""
        if not self._cut.recv(1):
            self._poller.unregister(self._cut.fileno())
            return
        self._open_spool()
        limit = time.monotonic() + READ_LIMIT_S
        while time.monotonic() < limit and sum(map(self._drain, self._streams.pipes)):
            pass  # as long as either gave anything
        self._spool.close()
        spool, self._is_open = self._spool, False
        written = (spool.bytes_of[STDOUT], spool.bytes_of[STDERR], spool.dropped, spool.refused, spool.size)
        with suppress(OSError):  # it has died just now: its end tells the rest
            self._cut.send(CUT.pack(*written))

    def _drain(self, pipe: int) -> bool:
        return is_readable(pipe, 0) and self._pump(pipe)

    def _clear(self) -> int:
        self._open_spool()
        return super()._clear()
