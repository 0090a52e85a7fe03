"""The probes of one run, asked in their order: `ready` until it says yes, from then on `health`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress

from execs.loglines import LogLines
from execs.policy import BecameReady, Examined, StillUnready
from execs.probes import Inquirer
from job_item.execspec import Exec
from job_item.keeper.command import Command
from job_item.probespec import HealthProbe, ReadyProbe


class Checkup:
    """Asks as long as it is not stopped, and hands over what it hears."""

    def __init__(
        self,
        spec: Exec,
        command: Command,
        inquirer: Inquirer,
        lines: LogLines,
        hear: Callable[[BecameReady | StillUnready | Examined], None],
        *,
        is_ready: bool,
    ) -> None:
        self._command = command
        self._inquirer = inquirer
        self._lines = lines
        self._hear = hear
        self._output = asyncio.Event()
        ready = None if is_ready else spec.ready
        self._task = asyncio.create_task(self._ask(ready, spec.health)) if ready or spec.health else None

    def stop(self) -> None:
        """Ask no more; a probe that is being asked is broken off."""
        if self._task is not None:
            self._task.cancel()

    def note_output(self) -> None:
        """The run has written something."""
        self._output.set()

    async def _ask(self, ready: ReadyProbe | None, health: HealthProbe | None) -> None:
        if ready is not None:
            await asyncio.sleep(ready.initial_delay)
            await (self._ask_until_ready(ready) if ready.log is None else self._look_for(ready.log, ready.interval))
            self._hear(BecameReady())
        if health is None:
            return
        await asyncio.sleep(health.initial_delay)
        while True:
            answer = await self._inquirer.ask(health, self._command)
            if answer.is_yes is not None:
                self._hear(Examined(answer.is_yes, answer.why))
            await asyncio.sleep(health.interval)

    async def _ask_until_ready(self, probe: ReadyProbe) -> None:
        while True:
            answer = await self._inquirer.ask(probe, self._command)
            if answer.is_yes:
                return
            if answer.why:
                self._hear(StillUnready(answer.why))
            await asyncio.sleep(probe.interval)

    async def _look_for(self, pattern: str, interval_s: float) -> None:
        """Look for a line whenever there is output; also at times without word of it, which may get lost."""
        wanted = re.compile(pattern)
        while True:
            self._output.clear()
            lines, has_more = self._lines.read()
            if any(wanted.search(line) for line in lines):
                return
            if has_more:
                await asyncio.sleep(0)
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._output.wait(), interval_s)
