"""The keeper's own loop: one command after the other, until its room is gone."""

from __future__ import annotations

import _socket
import errno
import os
import select
import time

from job_item.keeper import spawn, taskfile, tree
from job_item.keeper.spool import STDERR, STDOUT, Spool
from job_item.keeper.wire import Inbox, pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

READ_BYTES = 1 << 18
PIPE_BYTES = 1 << 20
F_SETPIPE_SZ = 1031
SWEEP_LIMIT_S = 1.5
"""How long a tree that cannot be killed is waited for; the promise is 2 s in all."""
FIRST_NOTICE_S, NEXT_NOTICE_S = 0.02, 0.1
"""Output is told to the room this long after it came first, and this often while it flows."""
LISTED_PROCESSES = 64
NEVER = float("inf")


def run(control: _socket.socket, wakeup: int) -> None:
    """Serve one room until the end of its socket. `wakeup` is the descriptor that SIGCHLD makes readable."""
    inbox = Inbox(control)
    stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    buffer = memoryview(bytearray(READ_BYTES))
    while inbox.read():
        while inbox.messages:
            message = inbox.messages.popleft()
            # A stop for a command that has ended meanwhile has nothing to stop.
            if "argv" in message and not Attempt(message, control, inbox, wakeup, stdin, buffer).perform():
                return


class Attempt:
    """One run of one command, from its task file to the last of its processes."""

    def __init__(
        self,
        command: dict[str, Any],
        control: _socket.socket,
        inbox: Inbox,
        wakeup: int,
        stdin: int,
        buffer: memoryview,
    ) -> None:
        self._command = command
        self._control = control
        self._inbox = inbox
        self._wakeup = wakeup
        self._stdin = stdin
        self._buffer = buffer
        self._spool = Spool(command["spool"], command["output_limit"], rotate=command["rotate"])
        self._poller = select.poll()
        self._pipes: dict[int, int] = {}
        self._main = 0
        self._main_death: tree.Death | None = None
        self._deaths: list[tree.Death] = []
        self._ended = 0
        self._how = "exit"
        self._stop_at = self._kill_at = self._give_up_at = self._notice_at = NEVER
        self._notice_pause = FIRST_NOTICE_S
        self._any_left = True
        self._orphaned = False

    def perform(self) -> bool:
        """Run the command and answer with what became of it; False when this keeper must not take another."""
        survivors = 0
        answer: dict[str, Any]
        try:
            survivors = self._stage_and_run()
        except OSError as error:
            answer = {"end": "failed", "errno": error.errno or errno.EIO, "text": str(error.filename or error.strerror)}
            answer["step"] = "stage" if isinstance(error, taskfile.StageError) else "start"
            self._close_pipes()
        else:
            answer = self._result(survivors)
        if self._orphaned:
            return False
        try:
            self._control.sendall(pack(answer))
        except OSError:
            return False
        return survivors == 0

    def _stage_and_run(self) -> int:
        path = self._command["task_file"]
        if path is not None:
            taskfile.write(path, self._command["task_body"], replace=self._command["replace"])
        try:
            self._start()
            self._watch()
            return self._clear()
        finally:
            if path is not None:
                taskfile.remove(path)

    def _start(self) -> None:
        os.chdir(self._command["cwd"])
        out_reader, out_writer = os.pipe()
        err_reader, err_writer = os.pipe()
        self._pipes = {out_reader: STDOUT, err_reader: STDERR}
        try:
            self._main = spawn.start(self._command, self._stdin, out_writer, err_writer)
        finally:
            os.close(out_writer)
            os.close(err_writer)
        if self._command["announce"]:
            self._tell({"pid": self._main})
        for descriptor in (self._control.fileno(), self._wakeup, *self._pipes):
            self._poller.register(descriptor, select.POLLIN)
        for descriptor in self._pipes:
            os.set_blocking(descriptor, False)
        if self._command["timeout_s"] is not None:
            self._stop_at = time.monotonic() + self._command["timeout_s"]
        self._obey()

    def _watch(self) -> None:
        """Pump, reap and listen until the command itself has ended."""
        while self._main_death is None and time.monotonic() < self._give_up_at:
            for descriptor, _ in self._poller.poll(self._pause_ms()):
                if descriptor == self._wakeup:
                    tree.drain(self._wakeup)
                    self._reap()
                elif descriptor == self._control.fileno():
                    self._listen()
                else:
                    self._pump(descriptor)
            self._keep_time()

    def _pause_ms(self) -> float | None:
        deadline = min(self._stop_at, self._kill_at, self._notice_at)
        return None if deadline == NEVER else max(0.0, (deadline - time.monotonic()) * 1000 + 1)

    def _keep_time(self) -> None:
        if min(self._stop_at, self._kill_at, self._notice_at) == NEVER:
            return
        now = time.monotonic()
        if now >= self._notice_at:
            self._notice_at, self._notice_pause = NEVER, NEXT_NOTICE_S
            self._tell({"size": self._spool.size})
        if now >= self._stop_at:
            self._stop("timeout", self._command["grace_s"])
        if now >= self._kill_at:
            self._kill_at = now + tree.PAUSE_S * 10  # what is just being forked is killed in the next round
            tree.kill_children()

    def _listen(self) -> None:
        if not self._inbox.read():
            self._orphaned = True
            self._poller.unregister(self._control.fileno())
            self._stop("lost", 0.0)
        self._obey()

    def _obey(self) -> None:
        """Follow what the room has asked for since the command came: nothing but stops."""
        while self._inbox.messages:
            message = self._inbox.messages.popleft()
            self._stop(message["stop"], message["grace_s"])

    def _stop(self, how: str, grace_s: float) -> None:
        """End the command: its stop signal to the whole tree, and SIGKILL after the grace. The first reason counts."""
        first = self._how == "exit"
        self._how = self._how if not first else how
        self._stop_at = NEVER
        self._kill_at = min(self._kill_at, time.monotonic() + grace_s)
        self._give_up_at = self._kill_at + SWEEP_LIMIT_S  # a command that changed its user is beyond our rights
        if first and grace_s > 0:
            tree.signal_all(self._command["stop_signal"])

    def _reap(self) -> None:
        deaths, self._any_left = tree.reap({self._main: self._command["argv"][0]}, self._main)
        for death in deaths:
            self._note(death)

    def _note(self, death: tree.Death) -> None:
        self._ended += 1
        if death.pid == self._main:
            self._main_death = death
        if len(self._deaths) < LISTED_PROCESSES or death.pid == self._main:
            self._deaths.append(death)
        else:
            self._deaths[-1].cpu_s += death.cpu_s

    def _pump(self, descriptor: int) -> bool:
        """Read once from a pipe; False when there is nothing to read now or ever."""
        try:
            count = os.readv(descriptor, (self._buffer,))
        except BlockingIOError:
            return False
        if not count:
            self._close_pipe(descriptor)
            return False
        if count == 1 << 16:
            _grow(descriptor)
        self._spool.write(self._pipes[descriptor], self._buffer[:count])
        if self._notice_at == NEVER:
            self._notice_at = time.monotonic() + self._notice_pause
        return True

    def _clear(self) -> int:
        """Kill what is left of the tree, read what is left in the pipes; return how many could not be killed."""
        survivors = 0
        if self._any_left:
            deaths, survivors = tree.sweep(self._wakeup, SWEEP_LIMIT_S)
            for death in deaths:
                self._note(death)
        limit = time.monotonic() + SWEEP_LIMIT_S
        for descriptor in tuple(self._pipes):
            while self._pump(descriptor) and (not survivors or time.monotonic() < limit):
                pass
        self._close_pipes()
        self._spool.close()
        return survivors

    def _close_pipe(self, descriptor: int) -> None:
        if self._main:
            self._poller.unregister(descriptor)
        del self._pipes[descriptor]
        os.close(descriptor)

    def _close_pipes(self) -> None:
        for descriptor in self._pipes:
            os.close(descriptor)
        self._pipes = {}

    def _tell(self, message: dict[str, Any]) -> None:
        """Send news that may be missed: a room that does not read must not block its jobs."""
        try:
            self._control.send(pack(message), _socket.MSG_DONTWAIT)
        except OSError:
            pass

    def _result(self, survivors: int) -> dict[str, Any]:
        code = os.waitstatus_to_exitcode(self._main_death.status) if self._main_death else None
        return {
            "end": self._how,
            "exit_code": code if code is not None and code >= 0 else None,
            "signal": -code if code is not None and code < 0 else None,
            "cpu_s": sum(death.cpu_s for death in self._deaths),
            "max_rss_bytes": max((death.max_rss_bytes for death in self._deaths), default=0),
            "stdout_bytes": self._spool.bytes_of[STDOUT],
            "stderr_bytes": self._spool.bytes_of[STDERR],
            "dropped_bytes": self._spool.dropped,
            "log_bytes": self._spool.size,
            "processes": [str(death) for death in self._deaths],
            "ended": self._ended,
            "survivors": survivors,
        }


def _grow(descriptor: int) -> None:
    """Give a pipe that is full the largest buffer that any user may have."""
    import fcntl

    try:
        fcntl.fcntl(descriptor, F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:
        pass  # the user's share of pipe memory is used up: slower, not wrong
