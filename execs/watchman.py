"""The effects of one exec's life: one owner for each exec, that starts it, hears of it, and asks the policy."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

from execs.account import describe, how_it_ended, shown
from execs.checkup import Checkup
from execs.commands import is_same_run
from execs.diary import tell
from execs.loglines import LogLines
from execs.policy import Ended, Event, Life, Ruled, Rules, Started, Ticked, step
from execs.probes import Inquirer
from execs.tables import Act, Stage
from job_item import log
from job_item.errors import Unavailable
from job_item.execspec import Exec
from job_item.keeper import command as keeper
from job_item.keeper.command import Command
from job_item.keeper.pool import KeeperPool, Run
from job_item.link import ExecState

START_PAUSE_S = 0.2
"""Until a start is tried again that the system, not the command, has refused."""


class Watchman:
    """Keeps one exec as its settings and its orders want it. `changed` is called after everything that happens."""

    def __init__(
        self,
        spec: Exec,
        command: Command,
        pool: KeeperPool,
        inquirer: Inquirer,
        changed: Callable[[], None],
        cascade: Callable[[Exec], None],
    ) -> None:
        self.spec = spec
        self.life = Life(Rules.of(spec))
        self._command = command
        self._pool = pool
        self._inquirer = inquirer
        self._changed = changed
        self._cascade = cascade
        self._loop = asyncio.get_running_loop()
        self._run: Run | None = None
        self._lines = LogLines(command.spool)
        self._checkup: Checkup | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._start_timer: asyncio.TimerHandle | None = None
        self._since = time.time()

    def state(self, unmet: str | None) -> ExecState:
        """What others are told; `unmet` says what it waits for."""
        return describe(self.spec, self.life, unmet, self._since)

    def feed(self, event: Event) -> None:
        """Let something happen to the exec."""
        before = self.life
        self.life, acts = step(before, event, self._loop.time(), random.random())  # noqa: S311 - jitter, no secret
        if (shown(self.life.stage), self.life.pid) != (shown(before.stage), before.pid):
            self._since = time.time()
        tell(self.spec, before, self.life, event)
        if (before.stage is Stage.RUNNING) != (self.life.stage is Stage.RUNNING):
            self._examine()
        self._set_timer()
        for act in acts:
            self._do(act)
        self._changed()

    def adopt(self, spec: Exec, command: Command) -> None:
        """Take new settings over. A run that is the same under them goes on."""
        old_spec, old_command = self.spec, self._command
        if (spec, command) == (old_spec, old_command):
            return
        self.spec, self._command = spec, command
        if self._run is not None and spec.log != old_spec.log:
            self._run.bound_output(spec.log.max_bytes, spec.log.keep)
        self.feed(Ruled(Rules.of(spec), is_other_run=not is_same_run(old_command, command)))
        if self.life.stage is Stage.RUNNING and (spec.ready, spec.health) != (old_spec.ready, old_spec.health):
            self._examine()

    def kill(self) -> None:
        """End the run and its tree at once."""
        if self._run is not None:
            self._run.stop("terminate", 0.0)

    def _do(self, act: Act) -> None:
        match act:
            case Act.START:
                self._lines = LogLines(self._command.spool)
                self._start()
            case Act.END:
                self._end()
            case Act.CASCADE:
                self._cascade(self.spec)

    def _start(self) -> None:
        self._start_timer = None
        try:
            self._run = self._pool.start(self._command, self._hear)
        except Unavailable:  # the process that forks keepers is being replaced, or there can be no more processes
            self._start_later()
        else:
            self._run.ended.add_done_callback(self._bury)

    def _start_later(self) -> None:
        self._start_timer = self._loop.call_later(START_PAUSE_S, self._start)

    def _end(self) -> None:
        if self._run is not None:
            self._run.stop("terminate", self.spec.stop_grace, self.spec.stop_number)
        elif self._start_timer is not None:
            self._start_timer.cancel()
            self._start_timer = None
            self._loop.call_soon(self.feed, Ended(None, "was not started"))

    def _hear(self, message: dict[str, Any]) -> None:
        """News of the keeper."""
        if "pid" in message:
            self.feed(Started(message["pid"]))
        elif self._checkup is not None:
            self._checkup.note_output()

    def _bury(self, future: asyncio.Future[keeper.Ended]) -> None:
        """The run has ended, and nothing of its tree is left."""
        self._run = None
        ended = future.result()
        if ended.may_pass and self.life.stage is Stage.STARTING:  # not the fault of the command
            log.get("execs").warning("exec.held_up", code="ERR-RUN-014", exec=self.spec.key, reason=ended.reason)
            self._start_later()
        else:
            self.feed(Ended(ended.exit_code, how_it_ended(ended)))

    def _examine(self) -> None:
        """Ask the probes of the run that there is now, if there is one, and no others."""
        if self._checkup is not None:
            self._checkup.stop()
            self._checkup = None
        if self.life.stage is Stage.RUNNING:
            self._checkup = Checkup(
                self.spec, self._command, self._inquirer, self._lines, self.feed, is_ready=self.life.is_ready
            )

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline_s = self.life.next_deadline_s()
        if deadline_s is not None:
            self._timer = self._loop.call_at(deadline_s, self.feed, Ticked())
