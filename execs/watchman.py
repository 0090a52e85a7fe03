"""One background command: started, watched, started again as the policy says. One owner for each exec."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from execs.policy import Rest, count_failures, decide, tries_of
from job_item import log
from job_item.errors import Unavailable
from job_item.keeper.command import Command, Ended
from job_item.keeper.pool import KeeperPool, Run
from job_item.link import ExecState
from job_item.settings import Exec

START_PAUSE_S = 0.2


class Watchman:
    """Keeps one exec alive and knows its state."""

    def __init__(
        self,
        spec: Exec,
        command: Command,
        pool: KeeperPool,
        changed: Callable[[], None],
    ) -> None:
        self.spec = spec
        self._command = command
        self._pool = pool
        self._changed = changed
        self._run: Run | None = None
        self._failures = 0
        self._stopping = asyncio.Event()
        self._logger = log.get("execs")
        self.down = asyncio.Event()
        """Set once the exec is down for good."""
        self.state = ExecState(spec.key, spec.name, "waiting", None, 0, None, time.time())

    async def watch(self) -> bool:
        """Keep the exec alive until it is down for good. Returns whether the whole node must stop with it."""
        ended = None
        while not self._stopping.is_set():
            ended = await self._perform()
            if ended is None or self._stopping.is_set():
                break
            verdict = decide(ended.exit_code, self._failures, tries_of(self.spec.attempt), random.random())  # noqa: S311
            if isinstance(verdict, Rest):
                self._become(verdict.state, exit_code=ended.exit_code)
                self._tell_rest(verdict)
                self.down.set()
                return self.spec.cascade_exit
            self._become("backoff", exit_code=ended.exit_code)
            await self._pause(verdict.after_s)
        self._become("stopped", exit_code=ended.exit_code if ended else None)
        self.down.set()
        return False

    def stop(self, grace_s: float) -> None:
        """End the command, however far its start has come, and do not start it again."""
        self._stopping.set()
        if self._run is not None:
            self._run.stop("terminate", grace_s)

    async def _perform(self) -> Ended | None:
        """One run, from its start to its end; None when it is stopped before it could be started."""
        self._become("starting", attempts=self._failures + 1)
        started = time.monotonic()
        self._run = await self._start()
        if self._run is None:
            return None
        ended = await self._run.ended
        self._run = None
        ran_s = time.monotonic() - started
        if ended.exit_code != 0:
            self._failures = count_failures(self._failures, ran_s)
        if not self._stopping.is_set():
            self._tell_end(ended, ran_s)
        return ended

    async def _start(self) -> Run | None:
        while not self._stopping.is_set():
            try:
                return self._pool.start(self._command, self._hear)
            except Unavailable:  # the process that forks keepers is being replaced, or there can be no more processes
                await self._pause(START_PAUSE_S)
        return None

    async def _pause(self, seconds: float) -> None:
        """Wait, but not for longer than until the exec is to stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _hear(self, message: dict[str, Any]) -> None:
        if "pid" in message:
            self._become("running", pid=message["pid"], attempts=self.state.attempts)
            self._logger.info("exec.started", exec=self.spec.key, pid=message["pid"], attempt=self.state.attempts)

    def _become(
        self, state: str, *, pid: int | None = None, attempts: int | None = None, exit_code: int | None = None
    ) -> None:
        attempts = self.state.attempts if attempts is None else attempts
        self.state = ExecState(self.spec.key, self.spec.name, state, pid, attempts, exit_code, time.time())
        self._changed()

    def _tell_end(self, ended: Ended, ran_s: float) -> None:
        facts = {"exec": self.spec.key, "exit_code": ended.exit_code, "signal": ended.signal, "ran_s": round(ran_s, 3)}
        if ended.exit_code == 0:
            self._logger.info("exec.ended", **facts)
        elif ended.end == "failed":
            self._logger.error("exec.failed", code="ERR-EXE-001", reason=ended.reason, exec=self.spec.key)
        else:
            self._logger.warning("exec.failed", code="ERR-EXE-002", **facts)

    def _tell_rest(self, verdict: Rest) -> None:
        if verdict.state == "failed":
            tries = tries_of(self.spec.attempt)
            self._logger.error("exec.given_up", code="ERR-EXE-003", exec=self.spec.key, attempts=tries)
