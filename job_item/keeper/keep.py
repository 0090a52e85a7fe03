"""The keeper's own loop: one command after the other, until its room is gone."""

from __future__ import annotations

import _socket
import errno
import os
import select
import time

from job_item.keeper import spawn, taskfile, tree
from job_item.keeper.rolling import RollingSpool
from job_item.keeper.spool import STDERR, STDOUT, Spool
from job_item.keeper.streams import READ_BYTES, Streams
from job_item.keeper.wire import Inbox, pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SWEEP_LIMIT_S = 1.5
"""How long a tree that cannot be killed is waited for; the promise is 2 s in all."""
READ_LIMIT_S = 0.4
"""How long what dead processes have left in the pipes is read."""
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
        self._control_fd = control.fileno()
        self._inbox = inbox
        self._wakeup = wakeup
        self._stdin = stdin
        self._spool = self._make_spool()
        self._poller = select.poll()
        self._streams = Streams(self._spool, buffer, self._poller)
        self._step = "stage"
        self._main = 0
        self._main_death: tree.Death | None = None
        self._deaths: list[tree.Death] = []
        self._how = "exit"
        self._stop_at = self._kill_at = self._give_up_at = self._notice_at = NEVER
        self._notice_pause = FIRST_NOTICE_S
        self._any_left = False
        self._orphaned = False

    def perform(self) -> bool:
        """Run the command and answer with what became of it; False when this keeper must not take another.

        Only what goes wrong before the command runs makes the attempt `failed`; later its real end counts.
        """
        self._listen_before()
        if self._how != "exit":
            return self._answer(self._result(0))
        try:
            self._stage_and_start()
        except (OSError, ValueError) as error:  # ValueError: a text that the system cannot be given
            return self._answer(self._failure(error))
        survivors = self._follow()
        self._unstage()
        return self._answer(self._result(survivors)) and survivors == 0

    def _listen_before(self) -> None:
        """A stop that is here already keeps the command from starting."""
        self._poller.register(self._control_fd, select.POLLIN)
        if self._poller.poll(0):
            self._listen()
        else:
            self._obey()

    def _stage_and_start(self) -> None:
        path = self._command["task_file"]
        if path is not None:
            taskfile.write(path, self._command["task_body"], replace=self._command["replace"])
        try:
            self._start()
        except BaseException:
            self._streams.close()
            self._unstage()
            raise

    def _unstage(self) -> None:
        if self._command["task_file"] is not None:
            taskfile.remove(self._command["task_file"])

    def _start(self) -> None:
        self._step = "directory"
        os.chdir(self._command["cwd"])
        self._step = "start"
        out_writer, err_writer = self._streams.open()
        try:
            self._main = self._spawn(out_writer, err_writer)
        finally:
            os.close(out_writer)
            os.close(err_writer)
        self._any_left = True

    def _make_spool(self) -> Spool:
        command = self._command
        if command["older"] is None:
            return Spool(command["spool"], command["output_limit"])
        return RollingSpool(command["spool"], command["output_limit"], command["older"])

    def _spawn(self, stdout: int, stderr: int) -> int:
        return spawn.start(self._command, self._stdin, stdout, stderr)

    def _pump(self, descriptor: int) -> bool:
        return self._streams.pump(descriptor)

    def _follow(self) -> int:
        """Watch the running command to its end, sweep after it; returns how many processes could not be killed."""
        if self._command["announce"]:
            self._tell({"pid": self._main})
        self._poller.register(self._wakeup, select.POLLIN)
        if self._command["timeout_s"] is not None:
            self._stop_at = time.monotonic() + self._command["timeout_s"]
        self._watch()
        return self._clear()

    def _watch(self) -> None:
        """Pump, reap and listen until the command itself has ended."""
        while self._main_death is None and time.monotonic() < self._give_up_at:
            for descriptor, _ in self._poller.poll(self._pause_ms()):
                if descriptor == self._wakeup:
                    tree.drain(self._wakeup)
                    self._reap()
                elif descriptor == self._control_fd:
                    self._listen()
                elif self._pump(descriptor) and self._notice_at == NEVER:
                    self._notice_at = time.monotonic() + self._notice_pause
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
            tree.kill_children(main=0 if self._main_death else self._main)

    def _listen(self) -> None:
        if not self._inbox.read():
            self._orphaned = True
            self._poller.unregister(self._control_fd)
            self._stop("lost", 0.0)
        self._obey()

    def _obey(self) -> None:
        """Follow what the room has asked for since the command came: stops, and other bounds for the output."""
        while self._inbox.messages:
            message = self._inbox.messages.popleft()
            if "stop" in message:
                self._stop(message["stop"], message["grace_s"], message["signal"])
            elif isinstance(self._spool, RollingSpool):
                self._spool.bound(message["output_limit"], message["older"])

    def _stop(self, how: str, grace_s: float, number: int | None = None) -> None:
        """End the command: its stop signal to the whole tree, and SIGKILL after the grace. The first reason counts."""
        first = self._how == "exit"
        self._how = how if first else self._how
        self._stop_at = NEVER
        self._kill_at = min(self._kill_at, time.monotonic() + grace_s)
        self._give_up_at = self._kill_at + SWEEP_LIMIT_S  # a command that changed its user is beyond our rights
        if first and grace_s > 0 and self._main:
            tree.signal_all(number or self._command["stop_signal"], self._main)

    def _reap(self) -> None:
        deaths, self._any_left = tree.reap({self._main: self._command["argv"][0]}, self._main)
        for death in deaths:
            self._note(death)

    def _note(self, death: tree.Death) -> None:
        if death.pid == self._main:
            self._main_death = death
        if len(self._deaths) < LISTED_PROCESSES or death.pid == self._main:
            self._deaths.append(death)
        else:
            last = self._deaths[-1]
            last.cpu_s += death.cpu_s
            last.max_rss_bytes = max(last.max_rss_bytes, death.max_rss_bytes)

    def _clear(self) -> int:
        """Kill what is left of the tree, read what is left in the pipes; return how many could not be killed."""
        survivors = 0
        if self._any_left:
            limit_s = SWEEP_LIMIT_S if self._main_death else 0.0  # else it was waited for already
            deaths, survivors = tree.sweep(self._wakeup, limit_s, 0 if self._main_death else self._main)
            for death in deaths:
                self._note(death)
        self._streams.finish(READ_LIMIT_S)
        return survivors

    def _tell(self, message: dict[str, Any]) -> None:
        """Send news that may be missed: a room that does not read must not block its jobs."""
        try:
            self._control.send(pack(message), _socket.MSG_DONTWAIT)
        except OSError:
            pass

    def _answer(self, message: dict[str, Any]) -> bool:
        try:
            self._control.sendall(pack(message))
        except OSError:
            return False
        return not self._orphaned

    def _failure(self, error: OSError | ValueError) -> dict[str, Any]:
        step = error.step if isinstance(error, spawn.StartError) else self._step
        if isinstance(error, ValueError):
            return {"end": "failed", "errno": errno.EINVAL, "text": str(error), "step": step}
        return {"end": "failed", "errno": error.errno or errno.EIO, "text": str(error.filename or ""), "step": step}

    def _result(self, survivors: int) -> dict[str, Any]:
        code = os.waitstatus_to_exitcode(self._main_death.status) if self._main_death else None
        return {
            "end": self._how,
            "exit_code": None if code is None or code < 0 else code,
            "signal": None if code is None or code >= 0 else -code,
            "cpu_s": sum(death.cpu_s for death in self._deaths),
            "max_rss_bytes": max((death.max_rss_bytes for death in self._deaths), default=0),
            "stdout_bytes": self._spool.bytes_of[STDOUT],
            "stderr_bytes": self._spool.bytes_of[STDERR],
            "dropped_bytes": self._spool.dropped,
            "refused_bytes": self._spool.refused,
            "log_bytes": self._spool.size,
            "processes": [str(death) for death in self._deaths],
            "survivors": survivors,
        }
