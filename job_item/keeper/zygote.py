"""The zygote: a bare interpreter that forks keepers, and sweeps for one that was killed."""

from __future__ import annotations

import _socket
import errno
import gc
import os
import select
import struct
import sys
import time

from job_item.keeper import keep, tree
from job_item.keeper.wire import Frames, pack
from job_item.process import become_subreaper, children_of, close_all_on_exec, signal_when_orphaned

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import NoReturn
else:
    import _signal as signal  # the C module itself, as in `tree`

END_LIMIT_S = 2.0
"""How long keepers are given to kill their trees when the room is gone; then they are killed themselves."""


def main(descriptor: int) -> None:
    """Serve one room over the socket `descriptor` until its end."""
    close_all_on_exec()  # a command's descriptors are 0, 1, 2 and nothing else
    become_subreaper()
    signal_when_orphaned(signal.SIGCONT)
    ignore_stops()
    zygote = Zygote(_socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, descriptor), keep.run)
    gc.collect()
    gc.freeze()  # what is shared with the keepers stays shared
    zygote.serve()


def ignore_stops() -> None:
    """Only the end of the room ends a zygote."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


class Zygote:
    """Forks a keeper for each request, tells the room when a keeper and all below it are gone.

    `keep` is what a keeper does: it gets the socket to the room, the descriptor that SIGCHLD makes readable, and what
    else of descriptors came with the request.
    """

    def __init__(self, control: _socket.socket, keep: Callable[..., None]) -> None:
        self._control = control
        self._keep = keep
        self._wakeup = tree.watch_children()
        self._keepers: dict[int, int] = {}
        self._frames = Frames()
        self._sockets: list[int] = []

    def serve(self) -> None:
        """Answer requests until the room is gone, then see that nothing is left."""
        poller = select.poll()
        poller.register(self._control.fileno(), select.POLLIN)
        poller.register(self._wakeup, select.POLLIN)
        while True:
            for descriptor, _ in poller.poll():
                if descriptor == self._wakeup:
                    tree.drain(self._wakeup)
                    self._bury()
                elif not self._hear():
                    return self._end()

    def _hear(self) -> bool:
        """Take requests; False when the room is gone.

        `{"fork": number, "descriptors": count}` comes with the keeper's socket beside it, and whatever else it is to
        have; `{"kill": number}` is for a keeper that does not do what it should. Each is answered by
        `{"heard": number}`, with the `errno` of what went wrong.
        """
        try:
            data, ancillary, _, _ = self._control.recvmsg(4096, _socket.CMSG_SPACE(256))
        except OSError:
            return False
        for _, _, raw in ancillary:
            self._sockets += struct.unpack(f"{len(raw) // 4}i", raw)
        for request in self._frames.feed(data):
            if "kill" in request:
                number, failure = request["kill"], self._kill(request["kill"])
            else:
                number, failure = request["fork"], self._fork(request["fork"], request["descriptors"])
            self._tell({"heard": number, "errno": failure})
        return bool(data)

    def _kill(self, number: int) -> int:
        for pid, keeper in self._keepers.items():
            if keeper == number:
                os.kill(pid, signal.SIGKILL)
        return 0

    def _fork(self, number: int, count: int) -> int:
        """Fork a keeper; returns the errno when there can be none now."""
        if len(self._sockets) < count:
            return errno.EMFILE  # the kernel drops what we have no room for
        descriptors, self._sockets = self._sockets[:count], self._sockets[count:]
        try:
            pid = os.fork()
            if pid == 0:
                self._become_keeper(*descriptors)
            self._keepers[pid] = number
        except OSError as error:
            return error.errno or errno.EAGAIN
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return 0

    def _become_keeper(self, descriptor: int, *others: int) -> NoReturn:
        code = 70
        try:
            os.close(self._control.detach())
            for foreign in self._sockets:
                os.close(foreign)
            os.set_inheritable(descriptor, False)
            become_subreaper()
            signal_when_orphaned(signal.SIGCONT)
            wakeup = tree.watch_children()
            self._keep(_socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, descriptor), wakeup, *others)
            code = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)

    def _bury(self) -> None:
        """Reap; when a keeper has ended kill what fell from it to us, then tell the room that it is gone."""
        deaths, _ = tree.reap({})
        gone = [self._keepers.pop(death.pid) for death in deaths if death.pid in self._keepers]
        if not gone:
            return
        self._sweep(time.monotonic() + keep.SWEEP_LIMIT_S)
        for number in gone:
            self._tell({"gone": number})

    def _sweep(self, deadline: float) -> None:
        """Kill every child that is no keeper, until there is none."""
        while tree.kill_children(self._keepers) and time.monotonic() < deadline:
            select.select((self._wakeup,), (), (), tree.PAUSE_S)
            for pid in children_of(os.getpid()):
                if pid not in self._keepers:
                    tree.reap_one(pid)

    def _tell(self, message: dict[str, int]) -> None:
        try:
            self._control.send(pack(message))
        except OSError:
            pass  # the room is gone too: `serve` finds out

    def _end(self) -> None:
        """The room is gone and the keepers know it: wait for them, then kill what is left."""
        deadline = time.monotonic() + END_LIMIT_S
        poller = select.poll()
        poller.register(self._wakeup, select.POLLIN)
        while self._keepers and time.monotonic() < deadline:
            poller.poll(tree.PAUSE_S * 1000)
            tree.drain(self._wakeup)
            deaths, any_left = tree.reap({})
            for death in deaths:
                self._keepers.pop(death.pid, None)
            if not any_left:
                return
        for pid in self._keepers:
            os.kill(pid, signal.SIGKILL)
        tree.sweep(self._wakeup, END_LIMIT_S)
