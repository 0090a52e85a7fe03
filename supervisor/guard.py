"""The guard of a version: the process that a service manager knows, above a node that an update has brought.

It runs the version, hears what its node says of itself (`supervisor.ear`), passes that on to the service manager and
signals to the node. A version on trial that fails, in whatever way, is ended with all that it has started, and the
command is executed again: that start runs the version before. The guard is of the installed version, holds nothing but
the API's socket between two versions, and lives as long as its node.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping, MutableMapping
from contextlib import closing, suppress

from job_item.errors import NodeError
from job_item.exits import Exit
from job_item.plainlog import PlainLog
from job_item.process import become_subreaper, children_of, signal_when_orphaned
from job_item.release.launch import environment, interpreter
from job_item.release.shelf import Shelf
from supervisor.clearing import clear_away
from supervisor.ear import Ear, Saying
from supervisor.notify import Wish, take_wish
from supervisor.plan import GuardPlan
from supervisor.signals import HEARD_SIGNALS, STOP_SIGNALS, Signals, reset
from supervisor.succession import GUARDED_VARIABLE, LISTENER_VARIABLE, begin_again, take_listener
from supervisor.trial import SILENCE_S, Trial, Verdict

_NOT_PASSED_ON = ("MAINPID=", "FDSTORE=", "FDNAME=", "X_JOB_ITEM_")
_LATE_S = 2.0
"""A wait that ends so late was one in which this process could not run."""
_TERMINAL = 0


def run(plan: GuardPlan, environ: MutableMapping[str, str]) -> int:
    """Guard a version until its node has ended; returns the exit code, or begins again with another version."""
    before = dict(environ)
    log = PlainLog(plan.log, room="guard", secrets=plan.log.secrets, environ=environ)
    signals = Signals()
    signals.install()
    listener = take_listener(environ)
    become_subreaper()
    with closing(Ear(Shelf(plan.state_dir).folder)) as ear:
        guard = Guard(plan, log, signals, ear, take_wish(environ, os.getpid()))
        code = guard.run(environ, listener)
    if code is None:
        begin_again(guard.listener, before)
    return int(code or 0)


class Guard:
    """One version as it runs."""

    def __init__(self, plan: GuardPlan, log: PlainLog, signals: Signals, ear: Ear, wish: Wish) -> None:
        self.listener: socket.socket | None = None
        """The API's socket while no node has it alone."""
        self._plan = plan
        self._shelf = Shelf(plan.state_dir)
        self._log = log
        self._signals = signals
        self._ear = ear
        self._wish = wish
        self._strangers = frozenset(children_of(os.getpid()))
        self._is_foreground = _is_foreground()
        self._is_stopping = self._was_ready = self._has_given_way = False
        self._trial: Trial | None = None
        self._node = 0

    def run(self, environ: Mapping[str, str], listener: socket.socket | None) -> int | None:
        """Start the version and stay with it; returns its exit code, None where another version is to be run."""
        self.listener = listener
        self._log.info("update.started", version=self._plan.staged.version, is_on_trial=self._plan.terms is not None)
        if self._plan.terms is not None:
            self._trial = Trial.begin(self._plan.terms, time.monotonic())
        self._node = self._start(environ)
        while True:
            end_s = self._trial.due_s if self._trial is not None else None
            select.select([self._signals.fileno(), self._ear.fileno()], [], [], _left_s(end_s))
            self._note_sleep(end_s)
            self._hear()
            code = self._take_signals()
            if code is not None:
                return self._conclude(code)
            if self._trial is not None and not self._is_stopping and not self._goes_on(self._trial):
                return None

    def _start(self, environ: Mapping[str, str]) -> int:
        artifact = self._shelf.artifact(self._plan.staged.version)
        told = environment(environ, artifact)
        told |= {GUARDED_VARIABLE: str(os.getpid()), "NOTIFY_SOCKET": self._ear.address}
        interval_s = min(SILENCE_S / 2, self._wish.watchdog_s or SILENCE_S)
        told["WATCHDOG_USEC"] = str(int(interval_s * 1e6))
        words = [interpreter(), str(artifact), *sys.argv[1:]]
        guard = os.getpid()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (*HEARD_SIGNALS, signal.SIGTTOU))
        node = os.fork()
        if node == 0:
            try:
                self._become(guard, words, told, mask)
            finally:
                os._exit(127)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return node

    def _become(self, guard: int, words: list[str], told: dict[str, str], mask: set[int | signal.Signals]) -> None:
        """Be the version: in a process group of its own, so that Ctrl-C reaches it once; it ends with its guard."""
        signal.set_wakeup_fd(-1)
        reset()
        os.setpgid(0, 0)
        if self._is_foreground:
            _take_terminal()
        signal_when_orphaned(signal.SIGKILL)
        if os.getppid() != guard:
            return
        told["WATCHDOG_PID"] = str(os.getpid())
        if self.listener is not None:
            os.set_inheritable(self.listener.fileno(), True)
            told[LISTENER_VARIABLE] = f"{os.getpid()}:{self.listener.fileno()}"
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execve(words[0], words, told)  # noqa: S606

    def _note_sleep(self, end_s: float | None) -> None:
        if end_s is not None and self._trial is not None and (late_s := time.monotonic() - end_s) > _LATE_S:
            self._trial = self._trial.wake(late_s)

    def _hear(self) -> None:
        for saying in self._ear.take():
            self._keep_descriptors(saying)
            self._was_ready = self._was_ready or "READY=1" in saying.lines
            if self._trial is not None:
                self._trial = self._trial.hear(saying.lines, time.monotonic())
            self._relay([line for line in saying.lines if self._is_passed_on(line)])

    def _keep_descriptors(self, saying: Saying) -> None:
        """The socket of the API: the node is about to make room for another version."""
        for descriptor in saying.descriptors:
            if self.listener is not None:
                self.listener.close()
            self.listener = socket.socket(fileno=descriptor)
            self._has_given_way = True

    def _is_passed_on(self, line: str) -> bool:
        return not line.startswith(_NOT_PASSED_ON) and (self._is_stopping or not line.startswith("STOPPING="))

    def _relay(self, lines: list[str]) -> None:
        """Tell the service manager, in our name."""
        if self._wish.address is None or not lines:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
            speaker.settimeout(1.0)
            speaker.sendto("\n".join(lines).encode(), self._wish.address)

    def _take_signals(self) -> int | None:
        """Pass signals on, and reap; the exit code of the node where it has ended."""
        for number in self._signals.take():
            if number == signal.SIGCHLD:
                continue
            self._is_stopping = self._is_stopping or number in STOP_SIGNALS
            with suppress(ProcessLookupError):
                os.kill(self._node, number)
        code = None
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._node:
                    code = os.waitstatus_to_exitcode(ended[1])
        return code

    def _goes_on(self, trial: Trial) -> bool:
        """Ask whether the version has proved itself, or has failed; False where it was given up."""
        verdict, reason = trial.judge(time.monotonic())
        if verdict is Verdict.KEEP:
            self._trial = None
            try:
                self._shelf.change(lambda marker: marker.confirm(time.time()))
                self._log.info("update.confirmed", version=self._plan.staged.version)
            except NodeError as error:  # it goes on, and has to prove itself again at the next start
                self._log.error("update.unconfirmed", code=error.code, reason=error.message)
        elif verdict is Verdict.DROP:
            self._drop(reason)
            return False
        return True

    def _conclude(self, code: int) -> int | None:
        """The node has ended."""
        self._hear()
        clear_away(self._strangers)
        if self._is_foreground:
            _take_terminal()
        if self._has_given_way and code == Exit.RESTART:
            return None
        if self._trial is not None:
            if not self._is_stopping and code == Exit.UNAVAILABLE:
                return code  # somebody else's fault, such as a port that is taken; the start has been counted
            if not self._is_stopping and not (self._was_ready and code == Exit.DONE):
                self._drop(f"it ended with {'exit code' if code >= 0 else 'signal'} {abs(code)}")
                return None
            with suppress(NodeError):
                self._shelf.change(lambda marker: marker.take_try_back())
        return code if code >= 0 else 128 - code

    def _drop(self, reason: str) -> None:
        """Give the version up: nothing of it is left, and the marker names the one before."""
        with suppress(ProcessLookupError):
            os.kill(self._node, signal.SIGKILL)
        clear_away(self._strangers)
        if self._is_foreground:
            _take_terminal()
        self._log.error("update.failed", code="ERR-REL-017", version=self._plan.staged.version, reason=reason)
        try:
            self._shelf.change(lambda marker: marker.fall_back(reason, time.time()))
        except NodeError as error:  # the start that follows counts as a try, so there is an end to it
            self._log.error("update.unusable", code=error.code, reason=error.message)


def _left_s(end_s: float | None) -> float | None:
    return None if end_s is None else max(0.0, end_s - time.monotonic())


def _is_foreground() -> bool:
    """Whether a terminal's Ctrl-C comes to us."""
    with suppress(OSError):
        return os.tcgetpgrp(_TERMINAL) == os.getpgrp()
    return False


def _take_terminal() -> None:
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTTOU,))
    with suppress(OSError):
        os.tcsetpgrp(_TERMINAL, os.getpgrp())
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
